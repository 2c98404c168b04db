"""How many calls a rotation takes, how many claims, and how many audit objects."""

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

from daena_kms.api.messages import Request
from daena_kms.api.router import respond
from daena_kms.engine import run

from tests.bench.cloud import Cloud
from tests.bench.figures import Figure, Must
from tests.worlds.kinds import InCloud

_OBJECTS = 0.2
_KEYS, _RUNS = 100, 3
#: The default interval, 90 days, and a day.
_LATER = timedelta(days=91)


def measure(cloud: Cloud) -> Iterator[Figure]:
    """Yield the figures of one key on demand, then those of a hundred due keys, run after run."""
    with cloud.world() as world:
        yield from _on_demand(cloud, world)
    for spec in (None, "token"):
        with cloud.world() as world:
            yield from _runs(cloud, world, spec)


def _on_demand(cloud: Cloud, world: InCloud) -> Iterator[Figure]:
    adapter = world.adapter
    adapter.create_key("on-demand")
    request = Request("POST", "/v1/keys/on-demand/rotate", None, "somebody whom the platform knows")

    def by_http() -> None:
        answer = respond(request, lambda: (adapter, world.log))
        if answer.status != 200:
            raise RuntimeError(answer.body)

    yield from _demanded(cloud, world, "by HTTP", by_http)
    yield from _demanded(cloud, world, "by rotate_key", lambda: adapter.rotate_key("on-demand"))


def _demanded(
    cloud: Cloud, world: InCloud, how: str, rotate: Callable[[], object]
) -> Iterator[Figure]:
    world.sim.calls.clear()
    rotate()
    made = world.store_calls()
    name = f"{cloud.name}, one key on demand {how}"
    yield Figure(
        f"{name}: calls", len(made), Must.BE_AT_MOST, cloud.on_demand, context=", ".join(made)
    )
    if cloud.claims is not None:
        claims = sum(map(cloud.is_claim, world.sim.calls))
        yield Figure(f"{name}: claims", claims, Must.BE_AT_MOST, cloud.claims)


def _runs(cloud: Cloud, world: InCloud, spec: str | None) -> Iterator[Figure]:
    for number in range(_KEYS):
        world.adapter.create_key(f"due-{number}", spec=spec)
    for turn in range(1, _RUNS + 1):
        world.wait(_LATER)
        world.sim.calls.clear()
        summary = run(world.adapter, world.log, now=datetime.now(UTC) + turn * _LATER)
        if (rotated := summary.counts()["rotated"]) != _KEYS:
            raise RuntimeError(summary.to_dict())
        calls = [name for name in world.store_calls() if name != cloud.listing]
        per_rotation = len(calls) / rotated
        name = f"{cloud.name}, {_KEYS} due keys, run {turn}"
        if spec is not None:
            # From the second run on, what the one before superseded is retired, too.
            each = Counter(calls).most_common()
            context = ", ".join(f"{count / rotated:.3g} {name}" for name, count in each)
            target = cloud.with_retirement if turn > 1 else cloud.per_rotation
            must = Must.BE_AT_MOST if target is not None else None
            text = f"{name}: calls per rotation, {spec}"
            yield Figure(text, per_rotation, must, target, context=context)
            continue
        yield Figure(
            f"{name}: calls per rotation", per_rotation, Must.BE_AT_MOST, cloud.per_rotation
        )
        if cloud.claims is not None:
            claims = sum(map(cloud.is_claim, world.sim.calls)) / rotated
            yield Figure(f"{name}: claims per rotation", claims, Must.BE_AT_MOST, cloud.claims)
        objects = sum(map(cloud.is_record, world.sim.calls)) / rotated
        yield Figure(f"{name}: audit objects per rotation", objects, Must.BE_UNDER, _OBJECTS)
