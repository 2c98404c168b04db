"""How much a run writes, how much it puts into one object, and when it stops."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from daena_kms.audit.records import MAX_ACTIONS
from daena_kms.engine import run
from daena_kms.engine.clock import Budget, RunClock

from tests.unit.engine.engines import DAY, DUE, World
from tests.worlds.seconds import Seconds, time_runs_by


@pytest.fixture
def world(tmp_path: Path) -> World:
    """An empty store and log."""
    return World(tmp_path)


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> Seconds:
    """The clock of every run in the test."""
    clock = Seconds()
    time_runs_by(clock, monkeypatch)
    return clock


def slow(world: World, seconds: Seconds, each: float) -> None:
    """Let each change of the store take that many seconds."""

    def take(_name: str, _key: str) -> None:
        seconds.now += each

    world.store.before = take


def test_an_intent_holds_at_most_two_hundred_actions(world: World) -> None:
    """Many keys make several intents, each written before its own keys change."""
    ids = world.fill(450)
    held: list[int] = []
    intents: dict[int, set[str]] = {}

    def check(_name: str, key: str) -> None:
        objects = len(world.objects.stored)
        if objects not in intents:  # nothing is ever taken away
            found = world.records("intent")
            held.append(len(found))
            intents[objects] = {a["key"] for record in found for a in record["actions"]}
        assert key in intents[objects]

    world.store.before = check
    assert world.run(workers=4).rotated == ids
    sizes = [len(record["actions"]) for record in world.records("intent")]
    assert sizes == [MAX_ACTIONS, MAX_ACTIONS, 50]
    assert held[0] == 1
    assert {len(r["results"]) <= MAX_ACTIONS for r in world.records("outcome")} == {True}


def test_keys_with_several_actions_count_them_all(world: World) -> None:
    """Two hundred is the limit of actions, not of keys."""
    world.fill(150, rotate_after="10d", grace="1d")
    assert len(world.run(11 * DAY).rotated) == 150
    world.clear_log()
    summary = world.run(22 * DAY)
    assert len(summary.rotated) == len(summary.retired) == 150
    assert max(len(record["actions"]) for record in world.records("intent")) <= MAX_ACTIONS


def test_results_of_failing_keys_are_batched_too(world: World) -> None:
    """However many keys fail, no object holds more than two hundred results."""
    ids = world.fill(250)
    for key_id in ids:
        world.store.tag(world.store.describe(key_id), {"daena.keep": "1"})
    assert world.run().failed == ids
    assert sum(len(record["results"]) for record in world.records("outcome")) == 250
    assert max(len(record["results"]) for record in world.records("outcome")) <= MAX_ACTIONS


@pytest.mark.parametrize("workers", [1, 16])
def test_a_hundred_keys_take_few_objects(world: World, workers: int) -> None:
    """Under 0.2 audit objects for each rotation of a run of a hundred."""
    ids = world.fill(100)
    assert world.run(workers=workers).rotated == ids
    assert world.log.puts / len(ids) < 0.2


def test_an_idle_run_writes_one_object(world: World) -> None:
    """A run that finds nothing to do leaves its closing record alone."""
    world.fill(10)
    assert world.run(timedelta()).counts()["rotated"] == 0
    assert [record["type"] for record in world.records()] == ["closing"]


def test_old_results_do_not_wait_for_a_full_batch(world: World, seconds: Seconds) -> None:
    """When keys take long, what is done is written every few seconds."""
    world.fill(8)
    slow(world, seconds, 6)
    world.run(workers=1)
    assert len(world.records("outcome")) >= 4


@pytest.mark.parametrize(
    "deadline",
    [0, -5, timedelta(), timedelta(days=-1), 0.0, lambda now: now, lambda now: now - DAY],
)
def test_a_deadline_that_has_passed(world: World, deadline: object) -> None:
    """Nothing is begun, no intent is written, everything that is due is left and overdue."""
    ids = world.fill(3)
    now = datetime.now(UTC) + DUE
    given = deadline(now) if callable(deadline) else deadline
    summary = run(world.adapter, world.log, now=now, deadline=given)  # type: ignore[arg-type] # one of each kind
    assert (summary.left, summary.overdue, summary.ok) == (ids, 3, True)
    assert world.store.changes == []
    assert [record["type"] for record in world.records()] == ["closing"]
    assert world.records()[0]["counts"]["left"] == 3


@pytest.mark.parametrize(
    "deadline",
    [60, 60.0, timedelta(minutes=1), lambda now: now + timedelta(minutes=1)],
)
def test_a_run_stops_before_its_deadline(world: World, seconds: Seconds, deadline: object) -> None:
    """Keys of five seconds each: none begins that might not end in time, and the rest is left."""
    ids = world.fill(20)
    slow(world, seconds, 5)
    began, now = seconds.now, datetime.now(UTC) + DUE
    given = deadline(now) if callable(deadline) else deadline
    summary = run(world.adapter, world.log, now=now, deadline=given, workers=1)  # type: ignore[arg-type] # one of each kind
    assert (len(summary.rotated), len(summary.left), summary.failed) == (10, 10, [])
    assert sorted(summary.rotated + summary.left) == ids
    assert seconds.now - began <= 60
    assert summary.overdue == 10
    assert summary.duration == timedelta(seconds=50)
    rows = {r["key"]: r["result"] for o in world.records("outcome") for r in o["results"]}
    assert sorted(key for key, result in rows.items() if result == "left") == summary.left
    world.store.before = lambda _name, _key: None
    assert world.run().rotated == summary.left
    assert world.verify().problems == []


def test_one_slow_key_teaches_the_run(world: World, seconds: Seconds) -> None:
    """After one key that took long, the run keeps twice its time in reserve."""
    world.fill(20)
    durations = iter([1.0, 1.0, 20.0, *[1.0] * 20])

    def takes(_name: str, _key: str) -> None:
        seconds.now += next(durations)

    world.store.before = takes
    assert len(world.run(workers=1, deadline=60).rotated) == 3


def test_the_next_run_takes_what_was_left_first(world: World, seconds: Seconds) -> None:
    """What is left is more overdue than what has been rotated, and so comes first."""
    world.create("a-key", rotate_after="80d")
    world.create("b-key", rotate_after="10d")
    world.create("c-key", rotate_after="70d")
    slow(world, seconds, 8)
    summary = world.run(workers=1, deadline=10)
    assert (summary.rotated, summary.left) == (["b-key"], ["a-key", "c-key"])
    world.store.changes.clear()
    world.run(DUE + 20 * DAY, workers=1)
    assert [key for _, key in world.store.changes] == ["c-key", "a-key", "b-key"]


def test_a_wall_clock_that_jumps_does_no_harm(seconds: Seconds) -> None:
    """The time of a run is its beginning plus what the monotonic clock says."""
    began = datetime(2026, 3, 1, 12, tzinfo=UTC)
    clock = RunClock(began, seconds)
    seconds.now += 90.5
    assert clock() == began + timedelta(seconds=90.5)
    assert clock.elapsed == timedelta(seconds=90.5)
    assert not Budget(clock, None).over
    assert Budget(clock, began + timedelta(seconds=92)).over
    assert not Budget(clock, began + timedelta(seconds=93)).over
