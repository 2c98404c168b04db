"""What a run and an operation are told as."""

import json
from datetime import timedelta
from typing import Any

import pytest
from cloudevents.http import from_http
from daena_kms.audit.records import Context
from daena_kms.errors import ConfigError, StoreUnavailable
from daena_kms.notify.base import Event
from daena_kms.notify.events import (
    ENROLLED,
    FAILED,
    MAX_EVENTS,
    OVERDUE,
    REVOKED,
    ROLLED_BACK,
    ROTATED,
    RUN,
    of_operation,
    of_run,
)
from daena_kms.rules.durations import format_time
from daena_kms.rules.plan import Action, Kind
from daena_kms.rules.summary import Summary
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.keys import DAY, HOUR, NOW

CONTEXT = Context("gcp", "schedule", "alice", "ticket 7")
RUN_ID = "0" * 31 + "1"


def summary(**fields: Any) -> Summary:
    """A run of an hour."""
    return Summary(RUN_ID, NOW, duration=HOUR, **fields)


def told(found: Summary, context: Context = CONTEXT) -> list[tuple[str, str]]:
    """Type and subject of each event of a run."""
    return [(event.type, event.subject) for event in of_run(found, context)]


def test_an_event_is_a_cloud_event() -> None:
    """As their own library reads it, with every attribute that was promised."""
    [event] = of_run(summary(rotated=["k"], new_versions={"k": "v2"}), CONTEXT)
    read = from_http({"content-type": "application/cloudevents+json"}, event.encode())
    assert read.get_attributes() == {
        "specversion": "1.0",
        "id": event.id,
        "type": "io.daena-kms.key.rotated",
        "source": "urn:daena-kms:gcp",
        "subject": "k",
        "time": "2026-11-24T13:00:00Z",
        "datacontenttype": "application/json",
    }
    assert read.get_data() == {
        "key": "k",
        "provider": "gcp",
        "run": RUN_ID,
        "operation": "run",
        "trigger": "schedule",
        "reason": "ticket 7",
        "new_version": "v2",
    }


def test_an_event_has_one_form() -> None:
    """The same bytes at every try: they are what is signed."""
    [event] = of_run(summary(rotated=["k"]), Context("aws", "manual", "bob", "ü \u2028"))
    assert event.encode() == event.encode()
    assert event.encode().isascii()
    assert b"\n" not in event.encode()
    assert json.loads(event.encode())["data"]["reason"] == "ü \u2028"


def test_a_run_without_a_reason_names_none() -> None:
    """Nor a version that is not known."""
    [event] = of_run(summary(rotated=["k"]), Context("aws", "manual", "bob", None))
    assert not {"reason", "new_version", "finished"} & set(event.data)


def test_what_pressed_most_comes_first() -> None:
    """Failures, what is overdue, what was rotated; each by the name of its key."""
    found = summary(
        rotated=["b", "a"],
        finished=["c"],
        failed=["z", "y"],
        retired=["r"],
        skipped=["s"],
        held=["h"],
        overdue_keys={"x", "w", "z"},
        errors={
            "y": StoreUnavailable("no answer", key_id="y", todo="Wait"),
            "z": ConfigError("bad tag", key_id="z"),
        },
        actions=[Action("w", Kind.ROTATE, "due", due=NOW - DAY)],
    )
    events = list(of_run(found, CONTEXT))
    assert [(event.type, event.subject) for event in events] == [
        *((FAILED, "z"), (FAILED, "y")),
        *((OVERDUE, "w"), (OVERDUE, "x")),
        *((ROTATED, "a"), (ROTATED, "b"), (ROTATED, "c")),
    ]
    assert events[1].data["error"] == "store-unavailable"
    assert events[1].data["message"] == "key 'y': no answer. Wait"
    assert events[2].data["due"] == format_time(NOW - DAY)
    assert "due" not in events[3].data
    assert [event.data.get("finished") for event in events[4:]] == [None, None, True]


def test_a_key_that_was_rotated_and_failed_is_told_as_both() -> None:
    """Who waits for new versions misses none because an old one could not be retired."""
    found = summary(rotated=["k"], failed=["k"], errors={"k": ConfigError("no", key_id="k")})
    assert told(found) == [(FAILED, "k"), (ROTATED, "k")]


def test_an_emergency_is_told() -> None:
    """With the versions that nobody is to use; also when a later run found it owed."""
    emergency = summary(rotated=["k"], revoked=["k"], revoked_versions={"k": ["v1"]})
    assert told(emergency) == [(REVOKED, "k"), (ROTATED, "k")]
    [event] = of_run(summary(revoked=["k"], revoked_versions={"k": ["v1", "v0"]}), CONTEXT)
    assert (event.type, event.data["versions"]) == (REVOKED, ["v1", "v0"])


def test_a_failure_without_an_error_is_told() -> None:
    """The summary is what counts."""
    [event] = of_run(summary(failed=["k"]), CONTEXT)
    assert not {"error", "message"} & set(event.data)


def test_a_run_that_did_nothing_tells_nothing() -> None:
    """Silence means that all is well."""
    assert told(summary(keys=9, held=["h"], skipped=["s"])) == []


def test_too_many_keys_are_told_as_one() -> None:
    """The first few by themselves, and before them how many of which kind are left out."""
    failed = [f"f{number:02}" for number in range(15)]
    rotated = [f"r{number:02}" for number in range(15)]
    found = summary(rotated=rotated, failed=failed, overdue_keys={"late"}, keys=31)
    events = list(of_run(found, CONTEXT))
    assert len(events) == MAX_EVENTS + 1
    assert (events[0].type, events[0].subject) == (RUN, RUN_ID)
    assert events[0].data["unsent"] == {"rotated": 11}
    assert events[0].data["counts"] == found.counts()
    assert "key" not in events[0].data
    assert [e.subject for e in events[1:]] == [*failed, "late", *rotated[:4]]


def test_long_texts_are_cut() -> None:
    """An event stays small, whoever wrote the reason."""
    error = ConfigError("m" * 9_000, key_id="k")
    context = Context("gcp", "t" * 9_000, "alice", "\U0001f511" * 9_000)
    [event] = of_run(summary(failed=["k"], errors={"k": error}), context)
    assert len(event.encode()) < 10_000
    assert {len(event.data[name]) for name in ("message", "trigger", "reason")} == {501}


def test_ids_tell_events_apart_and_repeats_together() -> None:
    """By run, key and type alone; there is no full stop in them, which signing could not bear."""
    once = [event.id for event in of_run(summary(rotated=["k", "l"], failed=["k"]), CONTEXT)]
    again = [event.id for event in of_run(summary(failed=["k"], rotated=["l", "k"]), CONTEXT)]
    later = Summary(RUN_ID, NOW + DAY, rotated=["k"])
    other = Summary("2" * 32, NOW, rotated=["k"])
    assert once == again
    assert len(set(once)) == 3
    assert [event.id for event in of_run(later, CONTEXT)] == [once[1]]
    assert next(event.id for event in of_run(other, CONTEXT)) not in once
    assert not any("." in event_id for event_id in once)


KEYS = st.lists(st.from_regex(r"[a-z][a-z0-9-]{0,5}", fullmatch=True), max_size=30, unique=True)


@given(KEYS, KEYS, KEYS)
def test_every_key_is_told_or_counted(
    rotated: list[str], failed: list[str], late: list[str]
) -> None:
    """However many there are, none is lost, and the events are few."""
    found = summary(rotated=rotated, failed=failed, overdue_keys=set(late))
    events = list(of_run(found, CONTEXT))
    of_keys = [event for event in events if event.type != RUN]
    unsent = sum(sum(e.data["unsent"].values()) for e in events if e.type == RUN)
    assert len(of_keys) <= MAX_EVENTS
    assert len(of_keys) + unsent == len(rotated) + len(failed) + len({*late} - {*failed})
    assert len({event.id for event in events}) == len(events)


def operation(kind: str, **came_to: Any) -> list[Event]:
    """The events of an operation on k."""
    return list(of_operation(kind, "k", RUN_ID, CONTEXT, NOW, **came_to))


def test_a_rollback_is_told() -> None:
    """With the version that it made, or with what went wrong."""
    [done] = operation("rollback", new_version="v3")
    assert (done.type, done.subject, done.time) == (ROLLED_BACK, "k", NOW)
    assert done.data["new_version"] == "v3"
    [failed] = operation("rollback", error=StoreUnavailable("no answer", key_id="k"))
    assert (failed.type, failed.data["error"]) == (FAILED, "store-unavailable")
    assert {done.data["operation"], failed.data["operation"]} == {"rollback"}
    assert done.id != failed.id


@pytest.mark.parametrize("kind", ["create", "adopt", "delete", "restore", "hold", "release"])
def test_other_operations_are_not_told(kind: str) -> None:
    """They are what the person at the keyboard asked for."""
    assert operation(kind) == operation(kind, error=ConfigError("no")) == []


def recovered(kind: str, key: str, version: str) -> dict[str, Any]:
    """A row of the log that says what an earlier run had done."""
    return {"key": key, "kind": kind, "result": "done", "new_version": version, "recovered": True}


def test_what_earlier_runs_did_unknown_to_them_is_told() -> None:
    """By type; where the run has made a newer version that one alone is told."""
    rows = [
        recovered("finish", "b", "v2"),
        recovered("rollback", "b", "v3"),
        recovered("rotate", "a", "v4"),
        recovered("rotate", "k", "v5"),
        recovered("rotate", "a", "v6"),
        recovered("create", "c", "v8"),
    ]
    found = summary(rotated=["k"], new_versions={"k": "v7"})
    events = [
        (event.type, event.subject, event.data["new_version"], event.data["operation"])
        for event in of_run(found, CONTEXT, rows)
    ]
    assert events == [
        (ROTATED, "k", "v7", "run"),
        (ROLLED_BACK, "b", "v3", "recovery"),
        (ROTATED, "a", "v6", "recovery"),
        (ROTATED, "b", "v2", "recovery"),
    ]


def test_an_operation_tells_of_few_as_well() -> None:
    """The first call after a crash may find very much."""
    rows = [recovered("rotate", f"k{number:02}", "v") for number in range(30)]
    rows.append(recovered("rollback", "k", "old"))
    events = operation("rollback", new_version="v3", recovered=rows)
    assert len(events) == MAX_EVENTS + 1
    assert events[0].data["counts"] == {"rollback": 1}
    assert events[0].data["unsent"] == {"rotated": 11}
    assert (events[1].type, events[1].data["new_version"]) == (ROLLED_BACK, "v3")
    assert operation("hold", error=ConfigError("no"), recovered=rows[:1])[0].type == ROTATED


def test_the_time_is_the_end_of_the_run() -> None:
    """Whatever the clock of the machine says when it is sent."""
    found = Summary(RUN_ID, NOW, duration=timedelta(seconds=1.5), rotated=["k"])
    [event] = of_run(found, CONTEXT)
    assert event.time == NOW + timedelta(seconds=1.5)


def test_a_key_that_was_enrolled_by_its_tags_is_told() -> None:
    """With when it is first due: until then whoever tagged it by mistake can undo that."""
    action = Action("k", Kind.ENROL, "enrolled by tag; first due at …", due=NOW + DAY)
    message = "enrolled by tag; first due at 2026-11-25T12:00:00Z"
    found = summary(enrolled=["k"], actions=[action], notes={"k": message})
    [event] = of_run(found, CONTEXT)
    assert (event.type, event.subject) == (ENROLLED, "k")
    assert event.data["message"] == message
    assert event.data["first_due"] == "2026-11-25T12:00:00Z"
    away = summary(enrolled=["k"], rotated=["k"], new_versions={"k": "v2"})
    assert told(away) == [(ENROLLED, "k"), (ROTATED, "k")]


def test_an_enrolment_that_a_later_run_found_is_told_then() -> None:
    """The run that did it sent nothing."""
    row = {"key": "k", "kind": "enrol", "result": "done", "due": "2026-11-25T12:00:00Z"}
    [event] = of_run(summary(), CONTEXT, [row])
    assert (event.type, event.data["operation"]) == (ENROLLED, "recovery")
    assert (event.data["message"], event.data["first_due"]) == ("enrolled by tag", row["due"])
    assert "new_version" not in event.data
