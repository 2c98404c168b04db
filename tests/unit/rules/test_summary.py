"""What a run did, as every caller renders it."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from daena_kms.errors import AccessDenied, DaenaKMSError
from daena_kms.rules.model import Revoking
from daena_kms.rules.plan import Action, Kind, Outcome
from daena_kms.rules.summary import Result, Summary, action_record

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def summary() -> Summary:
    """Return the summary of a run that has just begun."""
    return Summary("run", NOW)


def an_action(key_id: str = "some-key", kind: Kind = Kind.ROTATE) -> Action:
    """Return a planned action."""
    return Action(key_id, kind, "due now", "v1", None, NOW)


@pytest.mark.parametrize(
    ("kind", "released", "name"),
    [
        (Kind.ROTATE, False, "rotated"),
        (Kind.FINISH, False, "finished"),
        (Kind.RETIRE, False, "retired"),
        (Kind.DESTROY, False, "destroyed"),
        (Kind.DESTROY, True, "released"),
        (Kind.RETIRE, True, "retired"),
        (Kind.ROTATE, True, "rotated"),
    ],
)
def test_what_was_done_is_listed_by_kind(kind: Kind, released: bool, name: str) -> None:
    """Each kind has its list; where a store erases nothing, destroyed is called released."""
    made = summary()
    made.add(Result(an_action(kind=kind), Outcome.DONE), unlabelled=released)
    assert {n: c for n, c in made.counts().items() if c} == {name: 1}
    assert getattr(made, name) == ["some-key"]


@pytest.mark.parametrize(
    ("result", "name"),
    [
        (Outcome.SKIPPED, "skipped"),
        (Outcome.LEFT, "left"),
        (Outcome.FAILED, "failed"),
        (Outcome.UNKNOWN, "failed"),
    ],
)
@pytest.mark.parametrize("kind", [Kind.ROTATE, Kind.DESTROY, Kind.FAILING, Kind.HELD])
def test_what_was_not_done_is_listed_by_result(kind: Kind, result: Outcome, name: str) -> None:
    """Whatever was planned."""
    made = summary()
    made.add(Result(an_action(kind=kind), result))
    assert {n: c for n, c in made.counts().items() if c} == {name: 1}
    assert made.ok == (name != "failed")


def test_a_key_stands_in_a_list_once() -> None:
    """However many of its versions were retired; and in as many lists as it has actions."""
    made = summary()
    for kind in (Kind.RETIRE, Kind.RETIRE, Kind.ROTATE):
        made.add(Result(an_action(kind=kind), Outcome.DONE))
    assert (made.retired, made.rotated) == (["some-key"], ["some-key"])


def test_failures_are_raised_by_name() -> None:
    """Up to twenty names; none when all is well."""
    made = summary()
    made.raise_if_failed()
    made.keys = 40
    for number in range(30):
        error = AccessDenied("refused", key_id=f"key-{number:02}")
        made.add(Result(an_action(f"key-{number:02}"), Outcome.FAILED, error=error))
    with pytest.raises(DaenaKMSError, match="30 of 40 keys failed: key-00, key-01") as caught:
        made.raise_if_failed()
    assert "key-19" in str(caught.value)
    assert "key-20" not in str(caught.value)


def test_a_summary_is_plain_data() -> None:
    """Its JSON holds the lists in order, the errors by code, the notes and the new versions."""
    made = summary()
    made.keys, made.overdue = 3, 1
    made.add(Result(an_action("b-key"), Outcome.DONE, new_version="v2"))
    made.add(Result(an_action("a-key"), Outcome.DONE, new_version="v3"))
    made.add(
        Result(an_action("c-key"), Outcome.FAILED, error=AccessDenied("refused", key_id="c-key"))
    )
    made.add(Result(an_action("d-key"), Outcome.SKIPPED, message="already rotated"))
    made.finish(timedelta(seconds=1.23456))
    found = json.loads(json.dumps(made.to_dict()))
    assert found["rotated"] == ["a-key", "b-key"]
    assert found["errors"] == {
        "c-key": {"error": "access-denied", "message": "key 'c-key': refused"}
    }
    assert found["notes"] == {"d-key": "already rotated"}
    assert found["new_versions"] == {"a-key": "v3", "b-key": "v2"}
    assert (found["seconds"], found["began"], found["ok"]) == (1.235, "2026-03-01T12:00:00Z", False)
    assert found["counts"] == {
        **dict.fromkeys(("finished", "retired", "revoked", "destroyed", "released"), 0),
        **dict.fromkeys(("left", "held"), 0),
        "rotated": 2,
        "failed": 1,
        "skipped": 1,
        "keys": 3,
        "overdue": 1,
        "lateness": 0,
    }


def test_the_oldest_key_says_how_far_it_is_behind() -> None:
    """Of the keys that are still due the most overdue one counts, from when it was due."""
    made = summary()
    made.actions = [
        replace(an_action(key_id), due=made.began - timedelta(hours=hours))
        for key_id, hours in (("a-key", 1), ("b-key", 3), ("c-key", 9))
    ]
    assert made.counts()["lateness"] == 0
    made.overdue_keys = {"a-key", "b-key"}
    assert made.counts()["lateness"] == 3 * 3600


@pytest.mark.parametrize(("notified", "undelivered"), [(2, 0), (0, 3), (2, 3)])
def test_events_are_counted_where_there_were_any(notified: int, undelivered: int) -> None:
    """A run that had nothing to tell, or nobody to tell it to, counts none."""
    made = summary()
    assert not {"notified", "undelivered"} & made.counts().keys()
    made.notified, made.undelivered = notified, undelivered
    counts = made.counts()
    assert (counts["notified"], counts["undelivered"]) == (notified, undelivered)


def test_records_leave_out_what_there_is_not() -> None:
    """An action's and a result's record hold the fields that are known."""
    assert action_record(Action("some-key", Kind.FAILING, "bad")) == {
        "key": "some-key",
        "kind": "failing",
        "why": "bad",
    }
    assert Result(an_action(), Outcome.DONE, "v2", started=NOW, ended=NOW).record() == {
        "key": "some-key",
        "kind": "rotate",
        "base": "v1",
        "why": "due now",
        "due": "2026-03-01T12:00:00Z",
        "result": "done",
        "new_version": "v2",
        "started": "2026-03-01T12:00:00Z",
        "ended": "2026-03-01T12:00:00Z",
    }
    failed = Result(an_action(), Outcome.FAILED, error=AccessDenied("refused", todo="Ask")).record()
    assert (failed["error"], failed["message"]) == ("access-denied", "refused. Ask")


def test_what_is_revoked_stands_apart_from_what_is_retired() -> None:
    """By key the versions, a note that joins what befell the key, and the store's words once."""
    made = summary()
    made.revoking = Revoking("disabled", None, "its readers", "enable it")
    rotation = replace(an_action(), compromised=True)
    made.add(Result(rotation, Outcome.SKIPPED, message="already rotated"))
    for version in ("v1", "v2"):
        retirement = replace(an_action(kind=Kind.RETIRE), version=version, compromised=True)
        made.add(Result(retirement, Outcome.DONE, message=f"version {version} is retired"))
    other = replace(an_action("b-key", Kind.RETIRE), version="v3", compromised=True)
    made.add(Result(other, Outcome.FAILED, error=AccessDenied("refused", key_id="b-key")))
    made.add(Result(replace(other, version="v4"), Outcome.SKIPPED, message="retired already"))
    found = json.loads(json.dumps(made.to_dict()))
    assert found["unrevoked"] == {"b-key": ["v3"]}
    assert (found["revoked"], found["retired"], found["skipped"]) == (
        ["some-key"],
        [],
        ["some-key", "b-key"],
    )
    assert found["revoked_versions"] == {"some-key": ["v1", "v2"]}
    note = "already rotated. version v1 is retired. version v2 is retired"
    assert found["notes"] == {"some-key": note, "b-key": "retired already"}
    assert found["revoking"] == {
        "means": "disabled",
        "readable": None,
        "breaks": "its readers",
        "undo": "enable it",
    }
    assert Result(rotation, Outcome.DONE).record()["compromised"] is True
    assert "compromised" not in Result(an_action(), Outcome.DONE).record()
