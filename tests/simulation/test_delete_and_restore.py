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


class _Play:
    """Three processes on one key."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._scheduler = Scheduler()
        self.told: dict[str, DaenaKMSError | None] = {}
        cloud.begin(self._scheduler.wall)

    def begin(self, number: int, after: float, pace: float, what: str) -> None:
        """Let a process do an operation from then on, each call taking twice ``pace`` seconds."""

        def body() -> None:
            process = next(p for p in self._scheduler.processes if p.name == what)
            self._cloud.calls[number] = Calls(process, _Steady(pace), {}, lambda _name: None)
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
                played.begin(1, 10, 1, "delete")
                played.begin(2, 10.5 + start / 2, pace, "restore")
                played.run()
            seen = cloud.see().get(KEY)
            there = seen is not None and seen.readable
            gone = seen is None or seen.deleted
            assert there is not gone, (start, played.told, seen)
            assert played.told["create"] is None
            done = [what for what in ("delete", "restore") if played.told[what] is None]
            both += len(done) == 2
            if done == ["delete"]:
                assert gone, (start, played.told)
            for what in ("delete", "restore"):
                error = played.told[what]
                assert error is None or isinstance(error, DaenaKMSError), error
            if isinstance(played.told["delete"], RotationConflict):
                assert there
    finally:
        cloud.end()
    assert both, "the two never met"
