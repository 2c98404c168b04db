"""What the benchmarks run in: an environment without settings of ours, processes of their own."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
_FOREIGN = (
    "APPLICATIONINSIGHTS_",
    "AWS_",
    "AZURE_",
    "CLOUDSDK_",
    "DAENA_",
    "FUNCTIONS_",
    "GCE_",
    "GCP_",
    "GOOGLE_",
    "IDENTITY_",
    "MSI_",
    "POWERTOOLS_",
    "REQUESTS_",
)


def environment(**extra: str) -> dict[str, str]:
    """Return an environment with no settings of the person who runs this."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
    return {
        **kept,
        "PYTHONPATH": os.pathsep.join((str(ROOT / "core"), str(ROOT))),
        **extra,
    }


@contextmanager
def surrounded(given: Mapping[str, str]) -> Iterator[None]:
    """Let this process have these settings and no others until the block ends."""
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(environment(**given))
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def child(module: str, *arguments: str, env: Mapping[str, str]) -> dict[str, float]:
    """Run a module of the benchmarks in a fresh process and return the JSON object it prints."""
    return children(module, [arguments], env=env)[0]


def children(
    module: str, each: Sequence[Sequence[str]], *, env: Mapping[str, str]
) -> list[dict[str, float]]:
    """Run a module in one process for each list of arguments, all at once."""
    # Not the script's own folder but PYTHONPATH leads to what it imports.
    command = [sys.executable, "-P", str(ROOT / f"tests/bench/{module}.py")]
    with ExitStack() as stack:
        processes = [
            stack.enter_context(
                subprocess.Popen(
                    [*command, *arguments], env=dict(env), cwd=ROOT, stdout=subprocess.PIPE
                )
            )
            for arguments in each
        ]
        outputs = [process.communicate()[0] for process in processes]
    for process in processes:
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, module)
    return [json.loads(output) for output in outputs]
