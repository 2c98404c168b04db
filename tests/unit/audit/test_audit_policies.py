"""What verify notes about policies: each change that the log itself did not make, and no other."""

import tracemalloc
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import pytest
from daena_kms.audit.policies import MAX_NOTES, PolicyWatch
from daena_kms.audit.records import new_run_id, run_prefix
from daena_kms.audit.verify import verify
from daena_kms.audit.writer import RunWriter
from daena_kms.rules.durations import format_time

from tests.unit.logs import CONTEXT, Hands
from tests.worlds.memory import START, MemoryObjects

BASE = {"rotate_after": "90d", "grace": "7d", "destroy_after": "never", "keep": "2"}
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


class Story:
    """A log, told entry by entry. Its runs are called a, b, c and so on."""

    def __init__(self) -> None:
        self.records: list[tuple[str, dict[str, Any]]] = []

    def tell(
        self,
        run: str,
        after: timedelta,
        entry: dict[str, Any],
        kind: str = "intent",
        began: timedelta | None = None,
    ) -> None:
        """Add a record of a run that many minutes after the start."""
        at: datetime = START + after
        prefix = run_prefix(run.ljust(32, "0"), START + (after if began is None else began))
        member = "actions" if kind == "intent" else "results"
        record = {"type": kind, "run": run, "time": format_time(at), member: [entry]}
        self.records.append((prefix, record))

    def notes(self) -> list[str]:
        """Return what is noted when the log is read in the order of the names."""
        watch = PolicyWatch()
        for prefix, record in sorted(self.records, key=lambda pair: pair[0]):
            watch.see(prefix, record)
        return list(watch.notes())


def rotate(spec: str = "token", kind: str = "rotate", **policy: str) -> dict[str, Any]:
    """Return an intent's action with the policy in force."""
    return {"key": "k", "kind": kind, "spec": spec, "policy": {**BASE, **policy}}


def change(old: dict[str, Any] | None, new: dict[str, Any], result: str = "") -> dict[str, Any]:
    """Return an action that changes a policy, or its result."""
    was = {} if old is None else {"old_spec": old["spec"], "old_policy": old["policy"]}
    return {**new, "kind": "policy", **was, **({"result": result} if result else {})}


def told(*entries: tuple[dict[str, Any], str]) -> list[str]:
    """Return what is noted of entries an hour after each other, each in a run of its own."""
    story = Story()
    for number, (entry, kind) in enumerate(entries):
        story.tell("abcdefgh"[number], number * 60 * MINUTE, entry, kind)
    return story.notes()


@pytest.mark.parametrize("kind", ["rotate", "finish", "retire", "destroy"])
@pytest.mark.parametrize(
    ("later", "what"),
    [
        (rotate("password"), "its spec changed from token to password"),
        (rotate(grace="1d"), "its grace changed from 7d to 1d"),
        (rotate(destroy_after="1h"), "its destroy-after changed from never to 1h"),
        (rotate(rotate_after="1h"), "its rotate-after changed from 90d to 1h"),
        (rotate(keep="9"), "its keep changed from 2 to 9"),
        (
            rotate(first_due="2030-01-01T00:00:00Z"),
            "its first-due changed from none to 2030-01-01T00:00:00Z",
        ),
    ],
)
def test_a_change_between_two_actions_is_noted(kind: str, later: dict[str, Any], what: str) -> None:
    """With what changed, and between which runs."""
    notes = told((rotate(), "intent"), ({**later, "kind": kind}, "intent"))
    assert notes == [f"key k: {what} between a and b, outside `policy set`"]


def test_each_change_is_noted_once() -> None:
    """There and back are two changes; what stays is none."""
    weak = rotate("password")
    notes = told(*((entry, "intent") for entry in (rotate(), weak, weak, rotate(), rotate())))
    assert [note[note.index("between") :] for note in notes] == [
        "between a and b, outside `policy set`",
        "between c and d, outside `policy set`",
    ]


@pytest.mark.parametrize("kind", ["create", "adopt"])
def test_what_makes_a_managed_key_sets_its_policy(kind: str) -> None:
    """The first rotation is compared with that."""
    made = {**rotate(), "kind": kind, "result": "done"}
    assert told((made, "outcome"), (rotate(), "intent")) == []
    notes = told((made, "outcome"), (rotate("password"), "intent"))
    assert len(notes) == 1
    # A key that was deleted and made again is another one, also where an older version made it.
    assert told((rotate("password"), "intent"), (made, "outcome"), (rotate(), "intent")) == []
    story = Story()
    story.tell("a", 1 * MINUTE, rotate("password"))
    story.tell("b", 2 * MINUTE, {"key": "k", "kind": kind})
    story.tell("b", 3 * MINUTE, {"key": "k", "kind": kind, "result": "done"}, "outcome")
    story.tell("c", 4 * MINUTE, rotate())
    assert story.notes() == []


def test_an_intent_may_hold_what_its_outcome_does_not_repeat() -> None:
    """As those of a run do: what was intended and is done is what the key has."""
    story = Story()
    story.tell("a", 1 * MINUTE, rotate())
    story.tell("b", 2 * MINUTE, rotate("password", kind="enrol"))
    story.tell("b", 3 * MINUTE, {"key": "k", "kind": "enrol", "result": "done"}, "outcome")
    story.tell("c", 4 * MINUTE, rotate("password"))
    assert story.notes() == []
    story.tell("d", 5 * MINUTE, rotate())
    assert len(story.notes()) == 1


@pytest.mark.parametrize(("first_due", "notes"), [("then", 0), (None, 0), ("later", 1)])
def test_an_enrolment_may_set_when_the_key_is_first_due(first_due: str | None, notes: int) -> None:
    """Where the store can, it writes the time into a tag; elsewhere it notes it otherwise."""
    story = Story()
    enrol = {**rotate(kind="enrol"), "due": "then"}
    story.tell("a", 1 * MINUTE, enrol)
    story.tell("a", 2 * MINUTE, {"key": "k", "kind": "enrol", "due": "then", "result": "done"}, "o")
    due = {} if first_due is None else {"first_due": first_due}
    story.tell("b", 3 * MINUTE, rotate(**due))
    assert len(story.notes()) == notes


def test_a_policy_that_changed_after_the_intent_is_noted() -> None:
    """The outcome names what the rotation went by, also if it was put back since."""
    story = Story()
    story.tell("a", 1 * MINUTE, rotate())
    story.tell("a", 2 * MINUTE, {**rotate("password"), "result": "done"}, "outcome")
    story.tell("b", 3 * MINUTE, rotate())
    notes = story.notes()
    assert [note.partition(" between ")[0] for note in notes] == [
        "key k: its spec changed from token to password",
        "key k: its spec changed from password to token",
    ]


def test_long_texts_are_kept_short_and_apart() -> None:
    """Two policies that differ at their ends are two, and a note shows the beginning."""
    long = "x" * 900
    (note,) = told((rotate(f"{long}a"), "intent"), (rotate(f"{long}b"), "intent"))
    assert len(note) < 800
    assert told((rotate(f"{long}a"), "intent"), (rotate(f"{long}a"), "intent")) == []


def test_a_bounded_number_of_keys_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that the log has not named for longest is forgotten."""
    monkeypatch.setattr("daena_kms.audit.policies.MAX_STATES", 2)
    keys = ["k", "one", "k", "two", "k", "one"]
    specs = ["token", "token", "token", "token", "password", "password"]
    story = [({**rotate(s), "key": key}, "intent") for key, s in zip(keys, specs, strict=True)]
    (note,) = told(*story)
    assert note.startswith("key k: its spec changed")


@pytest.mark.parametrize(
    ("result", "in_force", "notes"),
    [
        ("done", rotate(grace="1d"), 0),
        ("done", rotate(), 1),
        ("done", rotate(grace="2d"), 1),
        ("failed", rotate(), 0),
        ("failed", rotate(grace="1d"), 1),
        ("not-done", rotate(), 0),
        ("not-done", rotate(grace="1d"), 1),
        # Nobody knows what became of it: both are as the log says, and anything else is not.
        ("unknown", rotate(), 0),
        ("unknown", rotate(grace="1d"), 0),
        ("unknown", rotate(grace="2d"), 1),
        (None, rotate(), 0),
        (None, rotate(grace="1d"), 0),
        (None, rotate(grace="2d"), 1),
    ],
)
def test_policy_set_explains_what_it_did(
    result: str | None, in_force: dict[str, Any], notes: int
) -> None:
    """And nothing that it did not do."""
    new = rotate(grace="1d")
    entries = [(rotate(), "intent"), (change(rotate(), new), "intent")]
    if result is not None:
        entries.append((change(rotate(), new, result), "outcome"))
    assert len(told(*entries, (in_force, "intent"))) == notes


@pytest.mark.parametrize("result", ["failed", "not-done"])
@pytest.mark.parametrize(
    ("in_force", "notes"),
    [
        (rotate(grace="1d"), 0),
        (rotate(keep="3"), 0),
        (rotate(), 0),
        (rotate(grace="1d", keep="3"), 2),
        (rotate(grace="1d", keep="4"), 2),
        (rotate("password"), 1),
    ],
)
def test_a_part_of_a_change_that_failed_is_explained(
    result: str, in_force: dict[str, Any], notes: int
) -> None:
    """Some stores set tags in two calls. What is no part of the change is noted all the same."""
    new = rotate(grace="1d", keep="3")
    entries = [(rotate(), "intent"), (change(rotate(), new), "intent")]
    entries += [(change(rotate(), new, result), "outcome"), (in_force, "intent")]
    assert len(told(*entries)) == notes
    # It explains the next action alone.
    later = (rotate(keep="3") if in_force != rotate(keep="3") else rotate(grace="1d"), "intent")
    assert len(told(*entries, later)) > notes


def test_policy_set_shows_what_was_changed_before_it() -> None:
    """The old policy in its intent is compared, too."""
    notes = told(
        (rotate(), "intent"),
        (change(rotate("password"), rotate(grace="1d")), "intent"),
        (change(rotate("password"), rotate(grace="1d"), "done"), "outcome"),
        (rotate(grace="1d"), "intent"),
    )
    assert notes == [
        "key k: its spec changed from token to password between a and b, outside `policy set`"
    ]


def test_a_policy_that_was_refused_before_it_was_mended_is_noted() -> None:
    """There is no old policy to name, but it was not the one that the log shows."""
    notes = told(
        (rotate(), "intent"),
        (change(None, rotate()), "intent"),
        (change(None, rotate(), "done"), "outcome"),
        (rotate(), "intent"),
    )
    what = "its spec or policy changed to one that is refused"
    assert notes == [f"key k: {what} between a and b, outside `policy set`"]


@pytest.mark.parametrize("kind", ["hold", "release", "rollback", "delete", "restore", "failing"])
def test_other_actions_say_nothing_about_the_policy(kind: str) -> None:
    """They have none, as all intents of older versions."""
    silent = {"key": "k", "kind": kind}
    assert told((rotate(), "intent"), (silent, "intent"), (rotate(), "intent")) == []
    assert len(told((rotate(), "intent"), (silent, "intent"), (rotate("password"), "intent"))) == 1


def test_an_older_version_s_log_notes_nothing() -> None:
    """Its intents hold no policy: the first that holds one is compared with nothing."""
    old = {"key": "k", "kind": "rotate"}
    assert told((old, "intent"), (old, "intent"), (rotate("password"), "intent")) == []


def test_keys_are_apart() -> None:
    """What changes on one is not a change of the other."""
    other = {**rotate("password"), "key": "other"}
    assert told((rotate(), "intent"), (other, "intent"), (rotate(), "intent")) == []


def test_time_counts_and_not_the_order_of_names() -> None:
    """Within an hour a run's name is random, and a run of the hour before may write in this one."""
    story = Story()
    story.tell("f", 5 * MINUTE, rotate())
    story.tell("b", 10 * MINUTE, change(rotate(), rotate(grace="1d")))
    story.tell("b", 11 * MINUTE, change(rotate(), rotate(grace="1d"), "done"), "outcome")
    story.tell("d", 20 * MINUTE, rotate(grace="1d"))
    story.tell("a", 70 * MINUTE, change(rotate(grace="1d"), rotate()), began=50 * MINUTE)
    story.tell(
        "a", 71 * MINUTE, change(rotate(grace="1d"), rotate(), "done"), "outcome", 50 * MINUTE
    )
    story.tell("e", 65 * MINUTE, rotate(grace="1d"))
    story.tell("c", 80 * MINUTE, rotate())
    assert story.notes() == []


def test_two_changes_at_once_explain_each_other() -> None:
    """One of them loses, and its failure takes nothing back."""
    first, second = rotate(grace="1d"), rotate(grace="2d")
    story = Story()
    story.tell("a", 1 * MINUTE, rotate())
    story.tell("b", 2 * MINUTE, change(rotate(), first))
    story.tell("c", 3 * MINUTE, change(rotate(), second))
    story.tell("b", 4 * MINUTE, change(rotate(), first, "done"), "outcome")
    story.tell("c", 5 * MINUTE, change(rotate(), second, "failed"), "outcome")
    story.tell("d", 6 * MINUTE, first)
    assert story.notes() == []


@pytest.mark.parametrize(
    "nonsense",
    [
        {"spec": 1, "policy": {}},
        {"spec": "token"},
        {"policy": {}},
        {"spec": "token", "policy": []},
        {"spec": "token", "policy": {"grace": 7}},
        {"spec": "token", "policy": {"grace": ["7d"]}},
        {"spec": "x" * 2_000, "policy": {}},
        {"spec": "token", "policy": {str(n): "x" for n in range(11)}},
        {"spec": "token", "policy": {"x" * 2_000: "y"}},
    ],
)
@pytest.mark.parametrize("kind", ["rotate", "policy", "create"])
def test_nonsense_is_passed_over(nonsense: dict[str, Any], kind: str) -> None:
    """Whoever may add to the log may add it: it breaks nothing and explains nothing."""
    odd = {"key": "k", "kind": kind, **nonsense}
    watch = PolicyWatch()
    record = {"type": "intent", "run": "r", "time": format_time(START), "actions": [odd]}
    watch.see(run_prefix("0" * 32, START), record)
    assert list(watch.notes()) == []


@pytest.mark.parametrize("ahead", [-HOUR, 27 * HOUR, 9_999 * HOUR], ids=str)
def test_a_record_of_another_time_than_its_run_is_passed_over(ahead: timedelta) -> None:
    """It could hold up all that is known until then."""
    story = Story()
    story.tell("a", MINUTE, rotate())
    story.tell("b", ahead, rotate("password"), began=MINUTE)
    story.tell("c", 2 * MINUTE, rotate())
    assert story.notes() == []


@pytest.mark.parametrize("name", ["", "log/", "log/9999/99/99/99/x", "elsewhere/a.json"])
def test_a_name_without_an_hour_is_taken_as_it_comes(name: str) -> None:
    """It only tells nothing about the order."""
    watch = PolicyWatch()
    for spec in ("token", "password"):
        record = {
            "type": "intent",
            "run": "r",
            "time": format_time(START),
            "actions": [rotate(spec)],
        }
        watch.see(name, record)
    assert len(list(watch.notes())) == 1


def many(count: int) -> Iterable[tuple[str, dict[str, Any]]]:
    """Yield the records of hourly rotations of one key whose spec changes each time."""
    for hour in range(count):
        at = START + timedelta(hours=hour)
        spec = ("token", "password")[hour % 2]
        record = {"type": "intent", "run": "r", "time": format_time(at), "actions": [rotate(spec)]}
        yield run_prefix(new_run_id(), at), record


def test_notes_are_bounded() -> None:
    """A log full of changes has a report that can be read."""
    watch = PolicyWatch()
    for prefix, record in many(MAX_NOTES + 51):
        watch.see(prefix, record)
    notes = list(watch.notes())
    assert len(notes) == MAX_NOTES + 1
    assert notes[-1] == "50 more changes of specs and policies, outside `policy set`"


def test_memory_stays_flat() -> None:
    """For each key one state is held, however long the log is."""
    peaks = []
    for count in (300, 3_000):
        watch = PolicyWatch()
        tracemalloc.start()
        for prefix, record in many(count):
            watch.see(prefix, record)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 2 * peaks[0]


def test_verify_notes_it() -> None:
    """A note and not a problem: whether the change was right the log can't tell."""
    clock = Hands()
    log = MemoryObjects(clock)
    for spec in ("token", "password"):
        writer = RunWriter(log, CONTEXT, clock)
        writer.intent([rotate(spec)])
        clock.pass_(hours=2)
    report = verify(log)
    assert report.ok
    (note,) = (note for note in report.notes if "policy set" in note)
    assert note.startswith("key k: its spec changed from token to password between ")
