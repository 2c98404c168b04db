"""Whatever somebody adds to the log, a run reads a bounded part of it, and rotates what is due."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from daena_kms.audit.bounds import MAX_BYTES, MAX_CALLS, MAX_OBJECT
from daena_kms.audit.records import digest
from daena_kms.audit.verify import verify
from daena_kms.engine import run
from daena_kms.engine.clock import RunClock
from daena_kms.engine.journal import Journal
from daena_kms.operations import Operations
from daena_kms.rules.model import Key

from tests.unit.engine.engines import DAY, DUE, World
from tests.unit.forgers import (
    ATTACKS,
    LIKE_OURS,
    Forger,
    closed_runs,
    full_run,
    junk_hours,
    unclosed_runs,
)
from tests.unit.logs import CONTEXT
from tests.worlds.memory import Counted, MemoryObjects

KEYS = ["one-key", "two-key"]


class HostileWorld(World):
    """A store of two keys that are due at ``now``, and a log that counts what is read."""

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        self.log = self.counted = Counted(self.objects)
        self.create(*KEYS)
        self.now = datetime.now(UTC) + DUE
        self.objects.clock = lambda: self.now

    def check(self) -> None:
        """Check what was read since the last :meth:`Counted.begin`."""
        assert self.counted.calls <= MAX_CALLS
        assert self.counted.size <= MAX_BYTES
        self.counted.begin()

    def names_of(self, run_id: str) -> list[str]:
        """Return the names of a run's objects."""
        return [name for name in self.objects.stored if f"/{run_id}/" in name]

    def records_of(self, run_id: str) -> list[dict[str, Any]]:
        """Return a run's records."""
        return [json.loads(self.objects.stored[name]) for name in self.names_of(run_id)]

    def hash_of(self, name: str) -> str:
        """Return the hash of an object that is there."""
        return digest(self.objects.stored[name])


@pytest.fixture
def world(tmp_path: Path) -> HostileWorld:
    """Give such a world."""
    return HostileWorld(tmp_path)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_every_due_key_is_rotated_within_the_bounds(
    world: HostileWorld, attack: Callable[[Forger], None]
) -> None:
    """By the run that meets it, by the runs after it, and by hand."""
    world.run(DUE - 2 * DAY)
    attack(Forger(world.objects, world.now, KEYS[0]))
    world.counted.begin()
    assert world.run().rotated == KEYS
    world.check()
    for minutes in (1, 2):
        again = world.run(DUE + timedelta(minutes=minutes), keys=KEYS)
        assert again.rotated == KEYS
        world.check()
    Operations(world.adapter, world.log, now=world.now + timedelta(minutes=3)).hold(KEYS[0])
    world.check()


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_verify_names_it_in_a_short_report(
    world: HostileWorld, attack: Callable[[Forger], None]
) -> None:
    """What no run writes is a problem; what a run may have written is a note at most."""
    world.run(DUE - 2 * DAY)
    attack(Forger(world.objects, world.now, KEYS[0]))
    report = verify(world.objects, world.store.inventory(), now=world.now)
    assert report.notes if attack in LIKE_OURS else report.problems
    assert len(json.dumps(report.to_dict())) < 100_000
    world.run()
    after = verify(world.objects, world.store.inventory(), now=world.now + DAY)
    assert {f.status for f in after.findings} <= {"confirmed", "unconfirmed"}
    mine = {name for name, data in world.objects.stored.items() if b'"manual"' in data[-200:]}
    assert not mine & {problem.name for problem in after.problems}, "an honest run is named"


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_nothing_forged_is_passed_on(world: HostileWorld, attack: Callable[[Forger], None]) -> None:
    """Later closing records hold what their runs read and hashed themselves, and no more of it."""
    attack(Forger(world.objects, world.now, KEYS[0]))
    summary = world.run()
    (closing,) = (r for r in world.records_of(str(summary.run_id)) if r["type"] == "closing")
    for name, hashed in closing["saw"].items():
        assert world.hash_of(name) == hashed
    for prefix, hashes in closing["open"].items():
        assert [world.hash_of(f"{prefix}{n:06}.json") for n in range(len(hashes))] == hashes
    assert len(closing["unresolved"]) <= 200
    for action in closing["unresolved"]:
        name, _, hashed = action["intent"].partition("@")
        assert world.hash_of(name) == hashed
    assert (
        max(len(world.objects.stored[n]) for n in world.names_of(str(summary.run_id))) < MAX_OBJECT
    )


class Slow(Counted):
    """A log in which each call takes a second of a clock that only it moves."""

    def __init__(self, inner: MemoryObjects) -> None:
        super().__init__(inner)
        self.seconds = 0.0

    def _count(self, size: int) -> None:
        super()._count(size)
        self.seconds += 1


@pytest.mark.parametrize("attack", [closed_runs, unclosed_runs, junk_hours, full_run])
def test_reading_ends_when_a_quarter_of_the_time_is_over(
    world: HostileWorld, monkeypatch: pytest.MonkeyPatch, attack: Callable[[Forger], None]
) -> None:
    """And the rest is for the work."""
    attack(Forger(world.objects, world.now, KEYS[0]))
    slow = Slow(world.objects)
    monkeypatch.setattr(RunClock, "elapsed", property(lambda _: timedelta(seconds=slow.seconds)))
    summary = run(world.adapter, slow, now=world.now, deadline=200)
    assert summary.rotated == KEYS
    assert slow.calls <= 50


def test_many_actions_on_one_key_take_one_look(
    world: HostileWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever a forged intent holds of it, and the results that are written are bounded."""
    forger = Forger(world.objects, world.now, KEYS[0])
    for number in range(20):
        actions = [forger.action(base=f"{number}-{n}", why="due") for n in range(200)]
        forger.record("intent", forger.folder(), 0, actions=actions)
    looks = []
    describe = world.store.describe

    def looked(key_id: str, *, exact: bool = False) -> Key:
        looks.append(key_id)
        return describe(key_id, exact=exact)

    monkeypatch.setattr(world.store, "describe", looked)
    journal = Journal.begin(world.log, CONTEXT, lambda: world.now)
    journal.recover(world.store)
    assert looks == [KEYS[0]]
    assert sum(len(r["results"]) for r in world.records_of(journal.run_id)) <= 1_000
    journal.close({})
    assert len(world.records_of(journal.run_id)[-1]["unresolved"]) <= 200
