"""Somebody deletes a key while somebody else restores it: in the end it is the one or the other."""

import random

import pytest
from daena_kms.errors import DaenaKMSError, RotationConflict
from daena_kms.operations import Operations

from tests.simulation.base import Cloud
from tests.simulation.calls import Calls
from tests.simulation.clouds import CLOUDS
from tests.simulation.scheduler import Scheduler, simulated

KEY = "app-key"


class _Steady(random.Random):
    """Lets each half of a call take the same time."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds

    def expovariate(self, _rate: float = 1) -> float:
        """Return it."""
        return self._seconds


class _Uneven(random.Random):
    """Lets some calls take far longer than others."""

    def expovariate(self, rate: float = 1) -> float:
        """Return a time."""
        return super().expovariate(rate) * self.choice((0.1, 1, 10))


class _Play:
    """Three processes on one key."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._scheduler = Scheduler()
        self.told: dict[str, DaenaKMSError | None] = {}
        cloud.begin(self._scheduler.wall)

    def begin(self, number: int, after: float, pace: float | random.Random, what: str) -> None:
        """Let a process do an operation from then on, each call taking twice ``pace`` seconds."""
        draw = pace if isinstance(pace, random.Random) else _Steady(pace)

        def body() -> None:
            process = next(p for p in self._scheduler.processes if p.name == what)
            self._cloud.calls[number] = Calls(process, draw, {}, lambda _name: None)
            log = self._cloud.log_of(number)
            now = self._scheduler.wall()
            operations = Operations(self._cloud.adapter(number), log, now=now)
            try:
                getattr(operations, what)(KEY)
            except DaenaKMSError as error:
                self.told[what] = error
            else:
                self.told[what] = None

        self._scheduler.begin(after, what, body)

    def run(self) -> None:
        """Let everything happen."""
        self._scheduler.run()


@pytest.mark.parametrize("store", CLOUDS)
@pytest.mark.parametrize("pace", [0.2, 1.0, 2.3])
def test_it_is_either_deleted_or_there(store: str, pace: float) -> None:
    """Whichever began when: no key is left that nobody deleted and nobody reads."""
    cloud = CLOUDS[store]()
    both = 0
    try:
        # Elsewhere it is one call, or a few.
        for start in range(0, 40, 1 if store == "gcp" else 4):
            with simulated(f"{store}-{pace}-{start}"):
                played = _Play(cloud)
                played.begin(0, 0, 0.001, "create")
                played.begin(1, 100, 1, "delete")
                # Who is slower begins earlier, so that the two meet at the store.
                played.begin(2, 100.5 + start / 2 - 18 * max(0, pace - 1), pace, "restore")
                played.run()
            both += _check(cloud, played)
    finally:
        cloud.end()
    assert both, "the two never met"


def test_in_whatever_order_their_calls_come() -> None:
    """On Google Cloud, where either takes many calls: each as long as it happens to take."""
    cloud = CLOUDS["gcp"]()
    both = 0
    try:
        for seed in range(160):
            with simulated(f"overlap-{seed}"):
                played = _Play(cloud)
                played.begin(0, 0, 0.001, "create")
                played.begin(1, 100, _Uneven(seed), "delete")
                played.begin(2, 100 + seed % 16 / 8, _Uneven(seed + 0.5), "restore")
                played.run()
            both += _check(cloud, played)
    finally:
        cloud.end()
    assert both > 50


def _check(cloud: Cloud, played: _Play) -> bool:
    """Assert that the key is as it was said, and return whether both said that they did it."""
    seen = cloud.see().get(KEY)
    there = seen is not None and seen.readable
    gone = seen is None or seen.deleted
    assert there is not gone, (played.told, seen)
    assert played.told["create"] is None
    done = [what for what in ("delete", "restore") if played.told[what] is None]
    if done == ["delete"]:
        assert gone, played.told
    if isinstance(played.told["delete"], RotationConflict):
        assert there
    return len(done) == 2
