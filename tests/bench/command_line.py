"""How long a command takes to start, beside importing what draws it, process by process."""

import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median

from daena_kms.cloud_kms import LocalAdapter
from daena_kms.rules.policy import Defaults

from tests.bench.figures import Figure, Must
from tests.bench.surroundings import environment

_RATIO = 2.0
_ROUNDS, _QUICK_ROUNDS = 21, 7
_PROGRAM = str(Path(sys.executable).with_name("daena-kms"))
_BESIDE = (sys.executable, "-c", "import typer, rich")
_COMMANDS = {"--help": (_PROGRAM, "--help"), "plan": (_PROGRAM, "plan")}


def measure(*, quick: bool) -> Iterator[Figure]:
    """Yield the ratios of the medians of the processes' own time; the processes alternate."""
    with tempfile.TemporaryDirectory() as folder:
        LocalAdapter(folder, defaults=Defaults()).create_key("app-key")
        # Both sides compiled, as an installed program is, whatever this environment writes.
        env = environment(DAENA_KMS_HOME=folder, PYTHONPYCACHEPREFIX=f"{folder}/compiled")
        env.pop("PYTHONDONTWRITEBYTECODE", None)
        beside: list[float] = []
        taken: dict[str, list[float]] = {name: [] for name in _COMMANDS}
        for round_ in range((_QUICK_ROUNDS if quick else _ROUNDS) + 1):
            found = [_time(command, env) for command in (_BESIDE, *_COMMANDS.values())]
            if round_:  # the first one compiles
                beside.append(found[0])
                for name, time in zip(_COMMANDS, found[1:], strict=True):
                    taken[name].append(time)
        for name, times in taken.items():
            figure = f"command line, start of {name} over importing typer and rich"
            context = (
                f"{1000 * median(times):.0f} ms of processor time over {1000 * median(beside):.0f}"
            )
            ratio = median(times) / median(beside)
            yield Figure(figure, ratio, Must.BE_AT_MOST, _RATIO, "x", context)


def _time(command: Sequence[str], env: Mapping[str, str]) -> float:
    """Return the processor time that a command takes: others on the machine don't count."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, env=dict(env), check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
