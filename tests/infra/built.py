"""The packages that ``make package`` has built, and processes that see nothing else."""

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
DIST = ROOT / "dist"
LIBRARIES = Path(".python_packages") / "lib" / "site-packages"


def path(name: str) -> Path:
    """Return a file or folder of a package, by its name under ``dist``."""
    found = DIST / name
    assert found.exists(), f"dist/{name} is not there: run make package first"
    return found


def run_alone(program: str, *arguments: str, env: Mapping[str, str]) -> dict[str, Any]:
    """Run a program that sees the standard library alone, and return the document it ends with.

    What it wants beside that it puts on its path itself.
    """
    done = subprocess.run(
        [sys.executable, "-s", "-S", "-P", str(ROOT / "tests" / "infra" / program), *arguments],
        env={"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1", **env},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    document: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return document


def python_folders(package: Path) -> set[str]:
    """Return the folders of a package that modules lie in."""
    files = (*package.rglob("*.py"), *package.rglob("*.so"))
    return {file.parent.relative_to(package).as_posix() for file in files}


def folders_of(files: Iterable[str], package: Path) -> set[str]:
    """Return the folders of a package that the files lie in, those above them too."""
    found: set[str] = set()
    for file in files:
        inside = Path(file).relative_to(package)
        found |= {parent.as_posix() for parent in inside.parents}
    return found
