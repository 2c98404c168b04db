"""A key that carries only our tags: enrolled first, rotated a day later at the earliest, or not."""

import contextlib
import json
import secrets
from datetime import timedelta
from typing import Any

import pytest
from daena_kms.errors import ConfigError, DaenaKMSError, NotManaged
from daena_kms.rules.due import due_at
from daena_kms.rules.durations import format_time
from daena_kms.rules.policy import parse_policy

from tests.faults.at_once import at_once
from tests.worlds.base import DAY, FaultWorld, refused, value
from tests.worlds.seam import Effect, Killed

KEY = "their-key"
MANAGED = {"daena.managed": "true"}
TAGS = {**MANAGED, "daena.spec": "token", "daena.rotate-after": "10d", "daena.grace": "30d"}
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def tagged(world: FaultWorld, tags: dict[str, str], material: str | None = None) -> str:
    """Let somebody make a key long ago and tag it now; return its value."""
    theirs = material if material is not None else value()
    world.foreign(KEY, theirs, {}, age=400 * DAY)
    world.retag(KEY, tags)
    return theirs


def first_due(world: FaultWorld) -> timedelta:
    """Return when the key is due, as a closer look shows."""
    adapter, key = world.adapter, world.look(KEY)
    policy = parse_policy(key.tags, adapter.defaults, adapter.store.can)
    return due_at(key, policy) - world.began


def results(world: FaultWorld) -> list[dict[str, Any]]:
    """Return every result that the log holds."""
    return [row for record in world.records() for row in record.get("results", ())]


def rows(world: FaultWorld) -> list[tuple[str, str, str]]:
    """Return what the log says was done."""
    return [(row["key"], row["kind"], row["result"]) for row in results(world)]


def json_login() -> str:
    """Return what an application logs in with: replacing all of it would break it."""
    return json.dumps({"username": "app", "password": secrets.token_urlsafe()})


@pytest.mark.parametrize(
    "material",
    [json_login(), "ghp_" + secrets.token_hex(18), "-----BEGIN CERTIFICATE-----\nx", value()],
    ids=["a login", "a third party's", "a certificate", "a value"],
)
def test_a_managed_tag_alone_overwrites_nothing(world: FaultWorld, material: str) -> None:
    """Neither a run, nor one that names it, nor an emergency, nor the adapter, at whatever time."""
    theirs = tagged(world, MANAGED, material)
    versions = len(world.values())
    command = f"daena-kms adopt {KEY} --spec"
    for summary in (
        *(world.run(days * DAY) for days in (0, 2, 400)),
        world.run(401 * DAY, keys=[KEY]),
        world.run(401 * DAY, keys=[KEY], if_due=True),
        world.run(401 * DAY, keys=[KEY], compromised=True, reason="it leaked"),
    ):
        assert (summary.failed, summary.enrolled, summary.rotated) == ([KEY], [], [])
        assert command in str(summary.errors[KEY])
    with refused(world, ConfigError, "neither created nor adopted"):
        world.adapter.rotate_key(KEY)
    assert len(world.values()) == versions
    # Compared here, so that a failure prints no value.
    assert (world.adapter.get_key(KEY) == theirs) is True


def test_a_run_enrols_it_and_a_later_one_rotates_it(world: FaultWorld) -> None:
    """Not within a day, then at its first due time; both versions are known to the log."""
    theirs = tagged(world, TAGS)
    old = world.current(KEY)
    summary = world.run(MINUTE)
    assert (summary.enrolled, summary.rotated, summary.failed) == ([KEY], [], [])
    assert "enrolled by tag; first due at" in summary.notes[KEY]
    assert summary.counts()["enrolled"] == 1
    assert world.look(KEY).enrolled
    due = first_due(world)
    assert DAY + MINUTE <= due <= 10 * DAY + MINUTE
    assert format_time(world.began + due) in summary.notes[KEY]
    for after in (2 * MINUTE, DAY, due - 6 * MINUTE):
        again = world.run(after)
        assert (again.enrolled, again.rotated, again.failed) == ([], [], [])
    assert world.run(due + MINUTE).rotated == [KEY]
    assert (world.adapter.get_key(KEY, "previous") == theirs) is True
    assert rows(world) == [(KEY, "enrol", "done"), (KEY, "rotate", "done")]
    enrolled, _ = results(world)
    assert enrolled["message"] == summary.notes[KEY]
    assert enrolled["versions"] == [old]
    report = world.verify()
    assert report.ok
    assert {finding.status for finding in report.findings} == {"confirmed"}
    assert world.run(due + 10 * DAY + HOUR).rotated == [KEY]


@pytest.mark.parametrize(
    ("interval", "first", "least", "most"),
    [
        ("1h", None, DAY, DAY + 3 * HOUR),
        ("24h", None, DAY, 3 * DAY),
        ("90d", None, DAY, 91 * DAY),
        # A tag can't make it earlier than a day, and may make it later.
        ("1h", -400 * DAY, DAY, DAY + 3 * HOUR),
        ("1h", 40 * DAY, 40 * DAY, 40 * DAY),
    ],
)
def test_it_is_not_due_for_a_day(
    world: FaultWorld,
    interval: str,
    first: timedelta | None,
    least: timedelta,
    most: timedelta,
) -> None:
    """Whatever its tags say; a first due time that is later is kept."""
    tags = {**MANAGED, "daena.spec": "aes-256", "daena.rotate-after": interval}
    if first is not None:
        tags["daena.first-due"] = format_time((world.began + first).replace(microsecond=0))
    tagged(world, tags)
    assert world.run().enrolled == [KEY]
    assert world.run(DAY - MINUTE).actions == []
    due = first_due(world)
    assert least - timedelta(seconds=1) <= due <= most
    assert world.run(due - timedelta(seconds=2)).actions == []
    assert world.run(due).rotated == [KEY]


def test_a_run_that_names_it_enrols_it_only(world: FaultWorld) -> None:
    """It says so; who asks again gets the rotation."""
    theirs = tagged(world, TAGS)
    summary = world.run(keys=[KEY])
    assert (summary.enrolled, summary.rotated, summary.failed) == ([KEY], [], [])
    assert "not rotated, because it is not enrolled yet" in summary.notes[KEY]
    assert (world.adapter.get_key(KEY) == theirs) is True
    again = world.run(MINUTE, keys=[KEY])
    assert (again.enrolled, again.rotated) == ([], [KEY])


def test_an_emergency_does_not_wait(world: FaultWorld) -> None:
    """It is enrolled, rotated and its old version retired, all in one run."""
    tagged(world, TAGS)
    old = world.current(KEY)
    summary = world.run(keys=[KEY], compromised=True, reason="it leaked")
    assert (summary.enrolled, summary.rotated, summary.revoked) == ([KEY], [KEY], [KEY])
    assert world.current(KEY) != old
    assert [row[1:] for row in rows(world)] == [
        *(("enrol", "done"), ("rotate", "done"), ("retire", "done")),
    ]
    assert world.verify().ok
    assert world.run(MINUTE).actions == []


def test_nothing_of_ours_is_enrolled_again(world: FaultWorld) -> None:
    """Not a key that was created or adopted, nor one in which others put a value since."""
    world.operations().create("made-key", spec="token")
    world.foreign("adopted-key", value(), {}, age=400 * DAY)
    first = world.operations().adopt("adopted-key", spec="token")
    world.overwrite("made-key", value())
    world.overwrite("adopted-key", value())
    for after in (timedelta(), 2 * DAY):
        assert world.run(after).actions == []
    assert all(world.look(key_id).enrolled for key_id in ("made-key", "adopted-key"))
    kinds = {(row[0], row[1]) for row in rows(world)}
    assert kinds == {("made-key", "create"), ("adopted-key", "adopt")}
    assert first > world.began


def test_a_plan_and_a_hold_change_nothing(world: FaultWorld) -> None:
    """A dry run shows the enrolment; a key on hold is not enrolled."""
    tagged(world, TAGS)
    before = world.state()
    (action,) = world.run(dry_run=True).actions
    assert (action.kind, action.base) == ("enrol", world.look(KEY).current_ref)
    assert world.state() == before
    world.retag(KEY, {"daena.hold": "true"})
    before = world.state()
    summary = world.run()
    assert (summary.held, summary.enrolled) == ([KEY], [])
    assert world.state() == before


def test_what_changes_before_the_second_look_counts(
    world: FaultWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who takes the tag off, or puts another value, between plan and change is heard."""
    tagged(world, TAGS)
    store = world.adapter.store
    describe = type(store).describe
    done: list[str] = []

    def released(self: object, key_id: str, *, exact: bool = False) -> object:
        if not done:
            done.append(key_id)
            world.retag(KEY, {"daena.managed": "false"})
        return describe(self, key_id, exact=exact)  # type: ignore[arg-type] # of the same store

    planned = world.run(dry_run=True)
    assert [action.kind for action in planned.actions] == ["enrol"]
    scan = list(store.scan())
    monkeypatch.setattr(store, "scan", lambda: iter(scan))
    monkeypatch.setattr(type(store), "describe", released)
    summary = world.run()
    assert summary.enrolled == []
    monkeypatch.undo()
    assert not world.look(KEY).enrolled


def test_it_can_be_adopted_instead(world: FaultWorld) -> None:
    """The command that the error names works, keeps the tags that are there, and checks more."""
    tagged(world, {**MANAGED, "daena.rotate-after": "20d"})
    assert world.run().failed == [KEY]
    world.operations().adopt(KEY, spec="token")
    tags = world.look(KEY).tags
    assert (tags["daena.spec"], tags["daena.rotate-after"]) == ("token", "20d")
    assert world.run(MINUTE).actions == []
    with refused(world, NotManaged, "already managed"):
        world.operations().adopt(KEY, spec="token")


def test_adopting_refuses_what_it_always_refused(world: FaultWorld) -> None:
    """A tag does not help past it."""
    tagged(world, MANAGED, json_login())
    with refused(world, ConfigError, "its value is JSON"):
        world.operations().adopt(KEY, spec="password")
    assert not world.look(KEY).enrolled


def test_only_a_run_or_an_adoption_opens_it_to_an_adapter(world: FaultWorld) -> None:
    """The adapter's own methods write no record, so they refuse it with the command."""
    tagged(world, TAGS)
    with refused(world, NotManaged, "neither created nor adopted it"):
        world.adapter.rotate_key(KEY)
    with refused(world, NotManaged, "neither created nor adopted it"):
        world.operations().rollback(KEY, world.current(KEY))
    assert world.run().enrolled == [KEY]
    world.adapter.rotate_key(KEY)


def test_runs_at_the_same_moment_enrol_it_once(world: FaultWorld) -> None:
    """The store shows one enrolment, and no run rotates it."""
    theirs = tagged(world, TAGS)
    summaries = at_once([world.run for _ in range(4)])
    found = [s for s in summaries if not isinstance(s, BaseException)]
    assert len(found) == len(summaries)
    assert [s.rotated + s.failed for s in found] == [[]] * len(found)
    enrolments = sum(s.enrolled == [KEY] for s in found)
    # Without a compare-and-swap those who come at the same moment write the same thing.
    assert enrolments == 1 or world.provider in {"aws", "azure"}
    assert enrolments >= 1
    due = first_due(world)
    assert DAY - timedelta(seconds=1) <= due <= 10 * DAY + HOUR
    assert (world.adapter.get_key(KEY) == theirs) is True
    assert world.run(2 * MINUTE).actions == []


@pytest.mark.parametrize("effect", [Effect.BEFORE, Effect.AFTER, Effect.KILLED_AFTER])
def test_an_enrolment_that_is_interrupted_is_settled(world: FaultWorld, effect: Effect) -> None:
    """A fault at each write: the next run settles it, it is enrolled once, and never rotated."""
    tagged(world, TAGS)
    world.save()
    world.arm(0, Effect.BEFORE)
    assert world.run().enrolled == [KEY]
    writes = world.writes()
    assert len(writes) >= 3
    for at in writes:
        world.load()
        before = len(world.values())
        world.arm(at, effect)
        with contextlib.suppress(DaenaKMSError, Killed):
            world.run()
        world.mend()
        for after in (MINUTE, 2 * MINUTE):
            assert world.run(after).failed == []
        assert world.look(KEY).enrolled
        assert len(world.values()) == before
        assert world.run(3 * MINUTE).actions == []
        report = world.verify()
        assert (report.problems, {f.status for f in report.findings}) == ([], {"confirmed"})
        done = [row for row in results(world) if row["result"] == "done"]
        assert {row["kind"] for row in done} == {"enrol"}
        # A later run that settles an interrupted one says so.
        assert sum(not row.get("recovered") for row in done) <= 1
        assert world.run(DAY - MINUTE).rotated == []


def test_a_key_with_the_timers_interval_rotates_at_each_firing(world: FaultWorld) -> None:
    """Also when a firing comes minutes early, by the plan and by the second look alike."""
    tags = {"daena.rotate-after": "24h", "daena.grace": "24h"}
    world.operations().create(KEY, spec="token", tags=tags)
    for day, early in ((1, 4 * MINUTE), (2, 7 * MINUTE), (3, 6 * MINUTE)):
        after = day * DAY - early
        assert world.run(after - 3 * MINUTE, dry_run=True).overdue == 0
        assert world.run(after).rotated == [KEY]
        assert KEY not in world.run(after + MINUTE).rotated


def test_what_was_ours_before_is_ours_again(world: FaultWorld) -> None:
    """A key that was released and is adopted anew keeps what is known of its versions."""
    operations = world.operations()
    operations.create("our-key")
    first = world.adapter.get_key("our-key")
    assert world.run(91 * DAY, keys=["our-key"]).rotated == ["our-key"]
    before = world.look("our-key").versions
    world.retag("our-key", {"daena.managed": "false"})
    world.operations(92 * DAY).adopt("our-key", spec="aes-256")
    assert world.look("our-key").versions == before
    assert world.adapter.get_key("our-key", "previous") == first
    assert world.run(183 * DAY).failed == []
    assert {finding.status for finding in world.verify().findings} == {"confirmed"}
