"""A run, step by step: what it refuses, in which order it works, what it writes and reports."""

import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from daena_kms.engine import run
from daena_kms.errors import ConfigError, InvalidKeyId

from tests.unit.engine.engines import DAY, World


@pytest.fixture
def world(tmp_path: Path) -> World:
    """An empty store and log."""
    return World(tmp_path)


def test_a_dry_run_needs_no_log_and_changes_nothing(world: World) -> None:
    """It plans every key, with or without a log, and writes nothing anywhere."""
    world.create("due-key", "new-key")
    world.store.tag(world.store.describe("new-key"), {"daena.rotate-after": "300d"})
    before = [world.store.describe(k) for k in ("due-key", "new-key")]
    puts = world.log.puts
    now = datetime.now(UTC) + 91 * DAY
    without = run(world.adapter, None, now=now, dry_run=True)
    with_log = world.run(dry_run=True)
    for summary in (without, with_log):
        kinds = [(a.key_id, a.kind.value) for a in summary.actions]
        assert kinds == [("due-key", "rotate"), ("new-key", "nothing")]
        assert (summary.dry_run, summary.run_id, summary.rotated) == (True, None, [])
        assert (summary.keys, summary.overdue) == (2, 1)
    assert [world.store.describe(k) for k in ("due-key", "new-key")] == before
    assert (world.log.puts, world.store.changes) == (puts, [])


def test_no_log_no_run(world: World) -> None:
    """Without a log only a dry run is possible."""
    world.create("due-key")
    with pytest.raises(ConfigError, match="no audit log was given"):
        run(world.adapter, None, now=datetime.now(UTC) + 91 * DAY)
    assert world.store.changes == []


@pytest.mark.parametrize("workers", [0, -1, 65, 1000])
def test_workers_have_bounds(world: World, workers: int) -> None:
    """One to 64 workers; anything else is refused before anything is read."""
    with pytest.raises(ConfigError, match=f"workers is {workers}.*1 to 64"):
        world.run(workers=workers)
    assert world.log.puts == 0


@pytest.mark.parametrize("workers", [1, 64])
def test_workers_within_bounds(world: World, workers: int) -> None:
    """The bounds themselves are taken."""
    world.create("due-key")
    assert world.run(workers=workers).rotated == ["due-key"]


def test_times_have_zones(world: World) -> None:
    """A naive now or deadline is refused, wherever it lies."""
    for naive in (datetime(2020, 1, 1), datetime(2030, 1, 1)):
        with pytest.raises(ConfigError, match="now has no time zone"):
            run(world.adapter, world.log, now=naive)
        with pytest.raises(ConfigError, match="deadline has no time zone"):
            run(world.adapter, world.log, deadline=naive)
    for odd in ("soon", float("nan"), float("inf"), object()):
        with pytest.raises(ConfigError, match="deadline is"):
            run(world.adapter, world.log, deadline=odd)  # type: ignore[arg-type] # as above


def test_the_intent_is_durable_before_any_change(world: World) -> None:
    """Events in order: the intent of a key is in the log before the store changes the key."""
    world.create("a-key", "b-key", "c-key")
    world.clear_log()
    events: list[str] = []
    world.log.after = lambda name, _data: events.append(name.rsplit("/", 1)[1])
    world.store.before = lambda name, key: events.append(f"{name} {key}")
    world.run(workers=1)
    changes = ["rotate a-key", "rotate b-key", "rotate c-key"]
    assert events == ["000000.json", *changes, "000001.json", "999999.json"]


def test_named_keys(world: World) -> None:
    """Each named key once, due or not; text alone is one key; nobody else's key is touched."""
    world.create("one-key", "two-key", "other-key")
    summary = world.run(timedelta(), keys=["two-key", "one-key", "two-key", "one-key"])
    assert summary.rotated == ["one-key", "two-key"]
    assert sorted(world.store.changes) == [("rotate", "one-key"), ("rotate", "two-key")]
    assert world.run(timedelta(), keys="other-key").rotated == ["other-key"]
    assert world.run(timedelta(), keys=iter(["one-key"])).rotated == ["one-key"]
    assert world.run(91 * DAY, keys=[]).counts()["rotated"] == 0


def test_named_keys_that_cannot_be(world: World) -> None:
    """Unknown, held, unmanaged and deleted ones fail by name; the rest are rotated."""
    world.create("good-key", "held-key", "their-key", "gone-key", "bad-key")
    for key_id, tags in (
        ("held-key", {"daena.hold": "true"}),
        ("their-key", {"daena.managed": None}),
        ("bad-key", {"daena.keep": "1"}),
    ):
        world.store.tag(world.store.describe(key_id), tags)
    world.adapter.delete_key("gone-key")
    ids = ["no-key", "held-key", "their-key", "gone-key", "bad-key", "good-key"]
    summary = world.run(timedelta(), keys=ids)
    assert summary.rotated == ["good-key"]
    assert {key: error.code for key, error in summary.errors.items()} == {
        "no-key": "key-not-found",
        "held-key": "rotation-conflict",
        "their-key": "not-managed",
        "gone-key": "key-not-found",
        "bad-key": "config-error",
    }
    assert summary.failed == sorted(set(ids) - {"good-key"})
    rows = {r["key"]: r for o in world.records("outcome") for r in o["results"]}
    assert all(rows[key]["error"] == error.code for key, error in summary.errors.items())
    with pytest.raises(InvalidKeyId):
        world.run(keys=["good-key", "Not A Key"])
    with pytest.raises(InvalidKeyId):
        world.run(keys=[None])


def test_held_keys_are_reported_not_failed(world: World) -> None:
    """A scheduled run lists what is on hold, changes nothing of it, and is well."""
    world.create("held-key", hold="true")
    summary = world.run()
    assert (summary.held, summary.failed, summary.ok, summary.overdue) == (
        ["held-key"],
        [],
        True,
        0,
    )
    assert world.store.changes == []


def test_the_most_overdue_key_comes_first(world: World) -> None:
    """With one worker keys are rotated in the order in which they fell due."""
    for key_id, interval in (("a-key", "80d"), ("b-key", "20d"), ("c-key", "60d"), ("d-key", "1d")):
        world.create(key_id, rotate_after=interval)
    summary = world.run(workers=1)
    assert [key for _, key in world.store.changes] == ["d-key", "b-key", "c-key", "a-key"]
    assert [a.key_id for a in summary.actions] == ["d-key", "b-key", "c-key", "a-key"]
    assert summary.overdue == 0


def test_retire_destroy_and_rotate_one_key_in_one_run(world: World) -> None:
    """All three are done, in an order in which none undoes another."""
    tags = {"rotate_after": "10d", "grace": "1d", "destroy_after": "5d", "keep": "2"}
    world.create("api-key", **tags)
    assert world.run(11 * DAY).counts()["rotated"] == 1
    assert world.run(22 * DAY).counts()["retired"] == 1
    world.store.changes.clear()
    summary = world.run(33 * DAY)
    assert summary.destroyed == summary.retired == summary.rotated == ["api-key"]
    assert world.store.changes == [(name, "api-key") for name in ("destroy", "retire", "rotate")]
    states = [v.state for v in world.store.describe("api-key").versions]
    assert sorted(states) == ["current", "destroyed", "previous", "retired"]
    assert world.verify().ok


def test_a_failing_key_does_not_stop_the_others(world: World) -> None:
    """Any exception from the store for one key is that key's failure; its text goes nowhere."""
    canary = secrets.token_urlsafe()
    world.create("a-key", "b-key", "c-key")

    def fail(_name: str, key: str) -> None:
        if key == "b-key":
            raise RuntimeError(canary)

    world.store.before = fail
    summary = world.run()
    assert (summary.rotated, summary.failed) == (["a-key", "c-key"], ["b-key"])
    assert "an unexpected RuntimeError" in str(summary.errors["b-key"])
    assert canary not in str(summary.to_dict()) + repr(summary) + repr(world.objects.stored)
    assert summary.errors["b-key"].__cause__ is summary.errors["b-key"].__context__ is None
    assert summary.overdue == 1
    world.store.before = lambda _name, _key: None
    assert world.run().finished == ["b-key"]


def test_who_and_why_stand_in_every_record(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the caller said, or else DAENA_OPERATOR, or else the user and the machine."""
    world.create("due-key")
    world.clear_log()
    world.run(trigger="schedule", reason="leaked", principal="role/rotation")
    who = {(r["trigger"], r["reason"], r["principal"]) for r in world.records()}
    assert who == {("schedule", "leaked", "role/rotation")}
    assert {r["provider"] for r in world.records()} == {"local"}
    world.clear_log()
    monkeypatch.setenv("DAENA_OPERATOR", "jane")
    world.run()
    assert {(r["trigger"], r["reason"], r["principal"]) for r in world.records()} == {
        ("manual", None, "jane")
    }
    world.clear_log()
    monkeypatch.delenv("DAENA_OPERATOR")
    world.run()
    assert "@" in world.records()[0]["principal"]


def test_no_value_is_in_the_log_or_the_summary(world: World) -> None:
    """Neither the old nor the new value of a key stands in what a run writes or returns."""
    world.create("due-key")
    values = [world.adapter.get_key("due-key")]
    summary = world.run()
    values.append(world.adapter.get_key("due-key"))
    shown = repr(world.objects.stored) + repr(summary) + str(summary.to_dict())
    assert not [value for value in values if value in shown]


def test_progress_is_shown(world: World) -> None:
    """The callback hears how many keys of how many are done, up to all of them."""
    world.create("a-key", "b-key", "c-key")
    heard: list[tuple[int, int]] = []
    world.run(progress=lambda done, of: heard.append((done, of)), workers=1)
    assert heard[-1] == (3, 3)
    assert heard == sorted(heard)
