"""Installs what a lock file names for the platform of a package, and says what was installed."""

import importlib.metadata
import json
import os
import re
import subprocess
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from infra.packages.targets import PYTHON, ROOT, Target

_UV = ROOT / ".uv" / "bin" / "uv"


@dataclass(frozen=True, slots=True)
class Library:
    """One distribution in a package."""

    name: str
    version: str
    #: The SHA-256 of the wheel that it comes from, as the lock file has it.
    sha256: str
    license: str
    requires: tuple[str, ...]
    files: tuple[PurePosixPath, ...]


def install(target: Target, folder: Path) -> list[Library]:
    """Install a package's dependencies, each by its hash, and return them in order of name."""
    options = [
        *("--python-platform", target.platform, "--python-version", PYTHON, "--no-deps"),
        *("--only-binary", ":all:"),
    ]
    lock = str(target.requirements)
    python = str(ROOT / ".venv")
    _uv(
        *("install", "--target", str(folder), "--python", python, "--require-hashes"),
        *(*options, "--link-mode", "copy", "--requirement", lock),
    )
    with tempfile.TemporaryDirectory() as made:
        chosen = Path(made) / "pylock.toml"
        _uv("compile", "--format", "pylock.toml", *options, "--output-file", str(chosen), lock)
        wheels = _wheels(chosen)
    found = importlib.metadata.distributions(path=[str(folder)])
    return sorted((_library(each, wheels) for each in found), key=lambda library: library.name)


def _uv(*arguments: str) -> None:
    done = subprocess.run(
        [str(_UV), "pip", *arguments[:1], "--quiet", *arguments[1:]],
        env=os.environ | {"UV_NO_CONFIG": "1"},
        stdout=subprocess.DEVNULL,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"package: uv pip {arguments[0]} failed with status {done.returncode}")


def _wheels(lock: Path) -> dict[str, dict[str, str]]:
    """Return the wheels that the platform could take: by distribution, hashes by file name."""
    packages = tomllib.loads(lock.read_text(encoding="utf-8"))["packages"]
    return {
        package["name"]: {
            wheel["url"].rpartition("/")[2]: wheel["hashes"]["sha256"]
            for wheel in package["wheels"]
        }
        for package in packages
    }


def _library(
    distribution: importlib.metadata.Distribution, wheels: dict[str, dict[str, str]]
) -> Library:
    name = canonical(distribution.name)
    tags = re.findall(r"^Tag: (\S+)", distribution.read_text("WHEEL") or "", flags=re.MULTILINE)
    offered = wheels[name]
    sha256 = next((offered[file] for file in offered if _has(file, tags)), None)
    if sha256 is None:
        raise SystemExit(f"package: no wheel of {name} in the lock has the tags {json.dumps(tags)}")
    requires = (
        re.match(r"[A-Za-z0-9._-]+", line)
        for line in distribution.requires or ()
        if "extra ==" not in line
    )
    return Library(
        name,
        distribution.version,
        sha256,
        _license(distribution),
        tuple(sorted({canonical(match.group()) for match in requires if match})),
        tuple(PurePosixPath(file) for file in distribution.files or ()),
    )


def _has(wheel: str, tags: list[str]) -> bool:
    """Whether a wheel's name says these tags: each part may name several, joined by dots."""
    python, abi, platform = wheel.removesuffix(".whl").split("-")[-3:]
    spelt = {
        f"{p}-{a}-{on}"
        for p in python.split(".")
        for a in abi.split(".")
        for on in platform.split(".")
    }
    return spelt == set(tags)


def _license(distribution: importlib.metadata.Distribution) -> str:
    """Return the licence that a distribution states: an expression, or else text."""
    given = distribution.metadata
    said = given.get("License-Expression") or given.get("License") or ""
    classified = [
        text.rpartition(" :: ")[2]
        for text in given.get_all("Classifier", [])
        if text.startswith("License :: ")
    ]
    first = said.strip().partition("\n")[0]
    return first or " or ".join(classified) or "not stated"


def canonical(name: str) -> str:
    """Return a distribution's name as the lock files have it."""
    return re.sub(r"[-_.]+", "-", name).lower()
