"""What a run leaves unknown, the next one settles; and runs that meet do no harm."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from daena_kms.errors import AuditUnavailable, RotationConflict, StoreUnavailable

from tests.unit.engine.engines import DAY, DUE, World


@pytest.fixture
def world(tmp_path: Path) -> World:
    """An empty store and log."""
    return World(tmp_path)


def test_a_lost_answer_is_settled_by_the_next_run(world: World) -> None:
    """A change whose answer was lost is unknown and failed; the next run finds it done."""
    world.create("a-key", "b-key")
    world.store.lose_answer("a-key")
    summary = world.run()
    assert (summary.rotated, summary.failed) == (["b-key"], ["a-key"])
    assert [r["key"] for r in world.records("closing")[-1]["unresolved"]] == ["a-key"]
    assert [f.status for f in world.verify().findings].count("unconfirmed") == 1
    summary = world.run(DUE + timedelta(hours=2))
    assert (summary.rotated, summary.finished) == ([], [])
    recovery = world.records("recovery")[-1]
    assert [(r["key"], r["result"], r["recovered"]) for r in recovery["results"]] == [
        ("a-key", "done", True)
    ]
    assert "error" not in recovery["results"][0]
    assert world.records("closing")[-1]["unresolved"] == []
    assert (world.count("a-key"), world.count("b-key")) == (2, 2)
    assert {f.status for f in world.verify().findings} == {"confirmed"}


def test_a_change_that_failed_is_made_by_the_next_run(world: World) -> None:
    """An answer lost before the change took effect: the next run says so, and rotates."""
    world.create("a-key")

    def fail(_name: str, key: str) -> None:
        raise StoreUnavailable("no answer", key_id=key)

    world.store.before = fail
    assert world.run().failed == ["a-key"]
    world.store.before = lambda _name, _key: None
    summary = world.run(DUE + timedelta(hours=2))
    assert summary.finished == ["a-key"]
    results = world.records("recovery")[-1]["results"]
    assert [(r["key"], r["result"]) for r in results] == [("a-key", "not-done")]
    assert world.records("closing")[-1]["unresolved"] == []


def test_what_can_not_be_looked_up_stays_open(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the store does not answer, an unknown result is handed on; then it is settled."""
    world.create("a-key", "b-key", rotate_after="365d")
    world.store.lose_answer("a-key")
    world.run(timedelta(), keys=["a-key"])
    for hours in (3, 6):
        with monkeypatch.context() as patched:
            patched.setattr(world.store, "describe", unavailable)
            world.run(timedelta(hours=hours))
        assert [r["key"] for r in world.records("closing")[-1]["unresolved"]] == ["a-key"]
    world.run(timedelta(hours=9))
    assert world.records("closing")[-1]["unresolved"] == []
    assert {f.status for f in world.verify().findings} == {"confirmed"}


def unavailable(key_id: str, *, exact: bool = False) -> None:
    """Fail as a store that does not answer."""
    del exact
    raise StoreUnavailable("no answer", key_id=key_id)


def test_a_key_that_is_not_found_is_not_settled(world: World) -> None:
    """An unknown result for a key that the store does not show is asked for again, for a week."""
    world.create("a-key")
    world.store.lose_answer("a-key")
    world.run()
    other = World(world.store._db.path.parent / "other")
    other.objects, other.log = world.objects, world.log
    other.run(DUE + timedelta(hours=2))
    assert other.records("recovery") == []
    assert [a["key"] for a in other.records("closing")[-1]["unresolved"]] == ["a-key"]
    other.run(DUE + 8 * DAY)
    results = other.records("recovery")[-1]["results"]
    assert [(r["key"], r["result"]) for r in results] == [("a-key", "gone")]
    assert other.records("closing")[-1]["unresolved"] == []
    (note,) = [note for note in other.verify().notes if "no run looks any more" in note]
    assert "the rotate of a-key was left unresolved" in note


def test_a_lost_race_is_no_failure(world: World) -> None:
    """A key that another run rotated in between is skipped, with who was faster."""
    world.create("a-key")

    def overtake(_name: str, key: str) -> None:
        raise RotationConflict("another rotation of it was faster", key_id=key)

    world.store.before = overtake
    summary = world.run()
    assert (summary.skipped, summary.failed, summary.overdue) == (["a-key"], [], 0)
    assert "already rotated, or being rotated" in summary.notes["a-key"]
    row = world.records("outcome")[-1]["results"][0]
    assert (row["result"], row["key"]) == ("skipped", "a-key")


def test_two_runs_at_once_rotate_once(world: World) -> None:
    """A run that starts and ends while another is between plan and change leaves it nothing."""
    world.create("a-key", "b-key")
    started: list[bool] = []

    def start_another(_name: str, _data: bytes) -> None:
        if not started:
            started.append(True)
            # To the other run these look interrupted: an intent without an outcome.
            assert world.run().finished == ["a-key", "b-key"]

    world.log.after = start_another
    summary = world.run()
    assert (summary.rotated, summary.skipped) == ([], ["a-key", "b-key"])
    assert "already rotated: daena-" in summary.notes["a-key"]
    world.run(DUE + 2 * DAY / 24)
    assert world.verify().ok


def test_a_key_of_which_a_part_failed_is_overdue(world: World) -> None:
    """Somebody else retired its version, which is decided; the rotation after it failed."""
    world.create("api-key", rotate_after="10d", grace="1d")
    world.run(11 * DAY)

    def retire_first(_name: str, _data: bytes) -> None:
        world.log.after = lambda _name, _data: None
        key = world.store.describe("api-key")
        (previous,) = (v.id for v in key.versions if v.state == "previous")
        world.store.retire(key, previous, datetime.now(UTC) + 22 * DAY)
        world.store.before = fail

    def fail(_name: str, _key: str) -> None:
        raise RuntimeError

    world.log.after = retire_first
    summary = world.run(22 * DAY)
    assert (summary.skipped, summary.failed, summary.overdue) == (["api-key"], ["api-key"], 1)


@pytest.mark.parametrize("age", [DAY, DUE])
def test_an_emergency_of_which_only_the_intent_is_there(world: World, age: timedelta) -> None:
    """Where the key is due anyway, its rotation is the emergency, and the run retires the version.

    If not, the person who asked has seen that nothing was done: the log alone makes nothing due.
    """
    world.create("a-key")
    old = world.store.describe("a-key").versions[0].id

    def lost(_name: str, _data: bytes) -> None:
        raise AuditUnavailable("the answer was lost", todo="Try again")

    world.log.after = lost
    with pytest.raises(AuditUnavailable):
        world.run(age, keys=["a-key"], compromised=True, reason="it leaked")
    world.log.after = lambda _name, _data: None
    assert world.store.changes == []
    summary = world.run(age + timedelta(minutes=5))
    due = age == DUE
    assert summary.rotated + summary.finished == ["a-key"] * due
    assert summary.revoked_versions == ({"a-key": [old]} if due else {})
    assert summary.failed == []
    assert world.run(age + timedelta(hours=2)).actions == []
