"""A cold start of the Lambda handler beside that of boto3 with one client, process by process."""

import tempfile
from collections.abc import Iterator, Mapping
from statistics import median

from tests.bench.figures import Figure, Must
from tests.bench.surroundings import AUDIT_URL, child, environment

_RATIO = 1.15
_ROUNDS, _QUICK_ROUNDS = 11, 5
_KMS_KEY = "alias/bench"


def measure(*, quick: bool) -> Iterator[Figure]:
    """Yield the ratio of the medians; the processes alternate, and none of them makes a call."""
    with tempfile.TemporaryDirectory() as cache:
        # Both sides compiled, as a deployed bundle is, whatever this environment writes or keeps.
        env = environment(
            AWS_KMS_KEY_ID=_KMS_KEY, DAENA_KMS_AUDIT_URL=AUDIT_URL, PYTHONPYCACHEPREFIX=cache
        )
        env.pop("PYTHONDONTWRITEBYTECODE", None)
        yield _compare(env, _QUICK_ROUNDS if quick else _ROUNDS)


def _compare(env: Mapping[str, str], rounds: int) -> Figure:
    taken: dict[str, list[dict[str, float]]] = {"cold_handler": [], "cold_boto3": []}
    for module in taken:  # once for the disk's cache and the compiled modules
        child(module, env=env)
    for _ in range(rounds):
        for module, results in taken.items():
            results.append(child(module, env=env))
    ours, theirs = (median(result["wall"] for result in results) for results in taken.values())
    cpu = [median(result["cpu"] for result in results) for results in taken.values()]
    name = "Lambda handler and its clients, over boto3 and one client"
    context = (
        f"{1000 * ours:.0f} ms over {1000 * theirs:.0f} ms; processor time {cpu[0] / cpu[1]:.2f}x"
    )
    return Figure(name, ours / theirs, Must.BE_AT_MOST, _RATIO, "x", context)
