"""Planning very many keys of which none is due: calls, and memory above an idle process."""

from collections import Counter
from collections.abc import Iterator

from tests.bench.cloud import Cloud
from tests.bench.figures import Figure, Must
from tests.bench.surroundings import child, environment

_KEYS, _QUICK_KEYS = 10_000, 2_000
_MEGABYTES = 60


def measure(cloud: Cloud, *, quick: bool) -> Iterator[Figure]:
    """Yield the calls and the memory of a whole run, then of a dry run, which keeps its plan."""
    count = _QUICK_KEYS if quick else _KEYS
    with cloud.world(keys=count) as world:
        for mode in ("run", "dry-run"):
            world.sim.calls.clear()
            memory = child("planning_child", mode, env=environment(**cloud.settings(world)))
            if (memory["keys"], memory["due"]) != (count, 0):
                raise RuntimeError(memory)
            calls = Counter(world.store_calls())
            what = f"{cloud.name}, {count:,} keys, none due, {mode}"
            listings = calls.pop(cloud.listing)
            yield Figure(f"{what}: listings", listings, Must.BE, count // cloud.page)
            yield Figure(f"{what}: other calls", calls.total(), Must.BE, 0)
            yield Figure(
                f"{what}: memory above idle",
                memory["peak"] - memory["idle"],
                Must.BE_UNDER,
                _MEGABYTES,
                " MB",
                f"idle {memory['idle']:.0f} MB",
            )
