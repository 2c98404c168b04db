"""The function behind the schedule: what it does with each event, and how it fails."""

import json
from typing import Any

import pytest
from daena_kms.cloud_kms import AWSKMSAdapter
from daena_kms.errors import ConfigError, DaenaKMSError

from tests.functions.aws_world import ARN, Context, LambdaWorld, metrics_in
from tests.worlds.aws import make_older

#: What EventBridge Scheduler sends by default, and a rule.
SCHEDULER = {"source": "aws.scheduler", "detail-type": "Scheduled Event", "detail": {}}


def test_what_is_due_is_rotated_and_the_rest_is_left(
    world: LambdaWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    """Due keys get a new version each, a fresh one none, and the summary says so."""
    world.create("due-a", "due-b", days=91)
    world.create("fresh")
    before = {key_id: world.adapter.get_key(key_id) for key_id in ("due-a", "due-b", "fresh")}
    handler = world.handler()

    summary = handler.scheduled(SCHEDULER, Context())

    assert summary["rotated"] == ["due-a", "due-b"]
    assert world.changed() == {"due-a", "due-b"}
    assert json.loads(json.dumps(summary)) == summary
    for key_id in ("due-a", "due-b"):
        assert world.adapter.get_key(key_id) != before[key_id]
        assert world.adapter.get_key(key_id, "previous") == before[key_id]
    found = metrics_in(capsys.readouterr().out)
    assert found["rotated"] == 2
    assert found["keys"] == 3
    assert found["failed"] == found["overdue"] == found["left"] == 0
    assert found["duration"] > 0


def test_the_functions_own_arn_is_who_did_it(world: LambdaWorld) -> None:
    """Every record names the schedule as the trigger and the function as the principal."""
    world.create("due", days=91)

    world.handler().scheduled({}, Context())

    assert {(r["trigger"], r["principal"]) for r in world.records()} == {("schedule", ARN)}


def test_nothing_due_changes_nothing(
    world: LambdaWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    """The store is listed once and not written to; the run is in the log all the same."""
    world.create("fresh", days=89)

    summary = world.handler().scheduled(SCHEDULER, Context())

    assert (summary["ok"], summary["counts"]["rotated"], summary["counts"]["keys"]) == (True, 0, 1)
    assert world.changed() == set()
    assert world.sim.calls.counts()["ListSecrets"] == 1
    assert [r["type"] for r in world.records()] == ["closing"]
    assert metrics_in(capsys.readouterr().out)["keys"] == 1


def test_an_event_delivered_again_does_nothing_more(world: LambdaWorld) -> None:
    """The second delivery finds the key rotated, in this process and in another."""
    world.create("due", days=91)
    handler = world.handler()
    first = handler.scheduled(SCHEDULER, Context())
    new = world.adapter.get_key("due")

    again = handler.scheduled(SCHEDULER, Context())
    elsewhere = world.handler().scheduled(SCHEDULER, Context())

    assert first["rotated"] == ["due"]
    assert again["rotated"] == elsewhere["rotated"] == []
    assert world.adapter.get_key("due") == new


def test_one_denied_key_fails_the_invocation_after_the_others_were_done(
    world: LambdaWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    """The error names the key, the others are rotated, and the metrics are out by then."""
    own = world.clients.kms.create_key()["KeyMetadata"]["KeyId"]
    world.create("good-a", "good-b", days=91)
    denied = AWSKMSAdapter(
        key_id=own, secrets_client=world.clients.secrets, kms_client=world.clients.kms
    )
    denied.create_key("denied")
    make_older(denied, "denied", 95)
    world.sim.kms.keys[own].enabled = False

    with pytest.raises(DaenaKMSError, match=r"1 of 3 keys failed: denied") as caught:
        world.handler().scheduled(SCHEDULER, Context())

    assert "next run tries again" in str(caught.value)
    found = metrics_in(capsys.readouterr().out)
    assert (found["rotated"], found["failed"], found["overdue"]) == (2, 1, 1)
    assert 5 * 86_400 <= found["lateness"] < 5 * 86_400 + 3_600
    assert found["duration"] > 0
    results = {
        row["key"]: row for r in world.records() if r["type"] == "outcome" for row in r["results"]
    }
    assert {key: row["result"] for key, row in results.items()} == {
        "good-a": "done",
        "good-b": "done",
        "denied": "failed",
    }
    assert results["denied"]["error"] == "access-denied"
    world.sim.kms.keys[own].enabled = True
    assert world.handler().scheduled(SCHEDULER, Context())["counts"]["failed"] == 0
    assert len(world.adapter.store.describe("denied").versions) == 3


def test_a_dry_run_plans_and_changes_nothing(
    world: LambdaWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    """No write reaches the store or the log, the answer says how many keys are due.

    Nothing is measured: it would pass for a run that came to its end.
    """
    world.create("due", days=91)

    summary = world.handler().scheduled({"dry_run": True}, Context())

    assert (summary["dry_run"], summary["run"], summary["counts"]["overdue"]) == (True, None, 1)
    assert world.changed() == set()
    assert list(world.records()) == []
    assert "CloudWatchMetrics" not in capsys.readouterr().out


@pytest.mark.parametrize("milliseconds", [0, 1, 2])
def test_with_no_time_left_all_is_left(
    world: LambdaWorld, milliseconds: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is begun, nothing changes, and what is left is reported and closed in the log."""
    world.create("due-a", "due-b", days=91)

    summary = world.handler().scheduled(SCHEDULER, Context(milliseconds))

    assert (summary["left"], summary["rotated"]) == (["due-a", "due-b"], [])
    assert world.changed() == set()
    assert metrics_in(capsys.readouterr().out)["left"] == 2
    assert [r["counts"]["left"] for r in world.records() if r["type"] == "closing"] == [2]
    assert world.handler().scheduled(SCHEDULER, Context())["rotated"] == ["due-a", "due-b"]


def nested(depth: int) -> dict[str, Any]:
    """An object in an object in an object."""
    event: dict[str, Any] = {}
    for _ in range(depth):
        event = {"detail": event}
    return event


STRANGERS: dict[str, object] = {
    "null": None,
    "list": [],
    "list of events": [{"dry_run": True}],
    "huge text": "x" * 1_000_000,
    "number": 7,
    "no number": float("nan"),
    "truth": True,
    "dry run as text": {"dry_run": "yes"},
    "dry run as number": {"dry_run": 1},
    "dry run as null": {"dry_run": None},
    "dry run as object": {"dry_run": {"dry_run": True}},
    "dry run as huge text": {"dry_run": "x" * 1_000_000},
    "deep dry run": {"dry_run": nested(10_000)},
    "deep list": [nested(10_000)],
}


@pytest.mark.parametrize("name", STRANGERS)
def test_an_event_that_is_none_of_ours_is_refused(world: LambdaWorld, name: str) -> None:
    """The error says what to send, at a readable length, and no call is made."""
    world.create("due", days=91)
    handler = world.handler()

    with pytest.raises(ConfigError, match="Send what EventBridge sends, or") as e:
        handler.scheduled(STRANGERS[name], Context())

    assert len(str(e.value)) < 200
    assert len(world.sim.calls) == 0


@pytest.mark.parametrize(
    "event",
    [
        pytest.param({"detail": "x" * 1_000_000}, id="huge"),
        pytest.param(nested(10_000), id="deep"),
        pytest.param({"": 0, "keys": ["fresh"], "workers": "many", "now": "1999"}, id="strange"),
    ],
)
def test_what_else_an_event_holds_has_no_say(
    world: LambdaWorld, event: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """A huge, deep or strange event is a trigger like any other, and is not logged."""
    world.create("due", days=91)
    world.create("fresh")

    assert world.handler().scheduled(event, Context())["rotated"] == ["due"]
    assert len(capsys.readouterr().out) < 5_000


def test_no_value_is_printed_logged_or_answered(
    world: LambdaWorld, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Summary, metrics, logs at DEBUG and the audit log hold none of the keys' values."""
    caplog.set_level("DEBUG")
    world.create("due-a", "due-b", days=91)

    summary = world.handler().scheduled(SCHEDULER, Context())

    printed = capsys.readouterr()
    told = json.dumps(summary) + printed.out + printed.err + caplog.text
    told += json.dumps(list(world.records()))
    values = world.values()
    assert len(values) == 6
    assert [value for value in values if value in told] == []
