"""The functions on Google Cloud that Pub/Sub calls, in functions-framework."""

import json
from typing import Any

import pytest

from infra.local.gcp.sim import PROJECT, PROJECT_NUMBER
from tests.functions.gcp_world import (
    JOB,
    MANAGED,
    TRACE,
    Function,
    GcpProject,
    caller,
    message,
    plain,
    rotate_event,
)

#: Events that no second delivery would make right, and what the log says of them.
MALFORMED: dict[str, tuple[object, str]] = {
    "no message": ({}, "does not hold a Pub/Sub message"),
    "nothing": (None, "does not hold a Pub/Sub message"),
    "a list": ([], "does not hold a Pub/Sub message"),
    "a message of text": ({"message": "x"}, "does not hold a Pub/Sub message"),
    "no base64": (message({}, "%%%"), "is not base64"),
    "half base64": (message({}, "abc"), "is not base64"),
    "a number for data": ({"message": {"data": 7}}, "is not base64"),
}
BY_MODE = pytest.mark.parametrize("structured", [False, True], ids=["binary", "structured"])


def refused(function: Function, words: str) -> bool:
    """Whether the log holds an error of those words, and nothing but that."""
    entries = function.logged()
    errors = [entry for entry in entries if entry["severity"] == "ERROR"]
    return len(entries) == len(errors) == 1 and words in errors[0]["message"]


@BY_MODE
def test_a_scheduled_event_rotates_what_is_due(gcp: GcpProject, *, structured: bool) -> None:
    """In either mode of CloudEvents; the sender that the platform has verified is recorded."""
    gcp.secret("due-key", days=91)
    gcp.secret("fresh-key")
    function = gcp.run("scheduled_event")

    answer = function.deliver(message(), structured=structured, **caller())

    assert (answer.status, answer.body) == (200, "OK")
    assert (gcp.version("due-key"), gcp.version("fresh-key")) == (2, 1)
    assert {(r["trigger"], r["principal"]) for r in gcp.records()} == {("schedule", JOB)}


def test_a_push_subscription_of_its_own_does_as_well(gcp: GcpProject) -> None:
    """The framework makes an event of Pub/Sub's plain push."""
    gcp.secret("due-key", days=91)
    headers = {"Content-Type": "application/json"}

    answer = gcp.run("scheduled_event").ask(body=json.dumps(message()), headers=headers)

    assert answer.status == 200
    assert gcp.version("due-key") == 2
    assert {r["principal"] for r in gcp.records()} == {"pub/sub"}


@pytest.mark.parametrize("target", ["scheduled_event", "secret_event"])
def test_the_log_of_an_event_has_severity_and_trace(gcp: GcpProject, target: str) -> None:
    """As over HTTP."""
    gcp.secret("due-key", days=91)
    function = gcp.run(target)
    event = message() if target == "scheduled_event" else rotate_event("due-key")

    function.deliver(event, traceparent=f"00-{TRACE}-00f067aa0ba902b7-01")

    entries = function.logged()
    assert [e["counts"]["rotated"] for e in entries if e["message"] == "run"] == [1]
    assert {entry["severity"] for entry in entries} == {"INFO"}
    assert {entry["logging.googleapis.com/trace"] for entry in entries} == {
        f"projects/{PROJECT}/traces/{TRACE}"
    }


def test_a_schedule_may_ask_for_a_dry_run(gcp: GcpProject) -> None:
    """In the message's data; nothing changes."""
    gcp.secret("due-key", days=91)
    function = gcp.run("scheduled_event")

    assert function.deliver(message({}, plain('{"dry_run": true}'))).status == 200

    assert [e["dry_run"] for e in function.logged() if e["message"] == "run"] == [True]
    assert not gcp.changed()
    assert gcp.records() == []


@pytest.mark.parametrize("target", ["scheduled_event", "secret_event"])
def test_an_event_that_comes_twice_does_nothing_more(gcp: GcpProject, target: str) -> None:
    """Delivery is at least once; the second finds the key rotated."""
    gcp.secret("due-key", days=91)
    function = gcp.run(target)
    event = message() if target == "scheduled_event" else rotate_event("due-key")

    assert [function.deliver(event).status for _ in range(2)] == [200, 200]

    assert gcp.version("due-key") == 2


@pytest.mark.parametrize("target", ["scheduled_event", "secret_event"])
def test_a_failed_key_fails_the_delivery(gcp: GcpProject, target: str) -> None:
    """The platform sees it, and delivers again where retries are switched on."""
    gcp.secret("bad-key", days=91, tags=MANAGED | {"daena.spec": "none such"})
    function = gcp.run(target)
    event = message() if target == "scheduled_event" else rotate_event("bad-key")

    answer = function.deliver(event)

    assert (answer.status, answer.headers["X-Google-Status"]) == (500, "crash")
    error = function.logged()[-1]
    assert error["severity"] == "ERROR"
    assert "1 of 1 keys failed: bad-key" in error["message"]


@BY_MODE
@pytest.mark.parametrize("name", MALFORMED)
@pytest.mark.parametrize("target", ["scheduled_event", "secret_event"])
def test_a_malformed_message_is_refused_once(
    gcp: GcpProject, target: str, name: str, *, structured: bool
) -> None:
    """It is logged as an error and acknowledged: Pub/Sub would send it again for days."""
    gcp.secret("due-key", days=91)
    function = gcp.run(target)
    data, words = MALFORMED[name]

    assert function.deliver(data, structured=structured).status == 200

    assert refused(function, words)
    assert len(gcp.sim.calls) == 0


@pytest.mark.parametrize(
    "text", ["run", "[]", '{"dry_run": "yes"}', "\x00", "x" * 10_001], ids=range(5)
)
def test_a_schedule_that_says_something_else_is_refused(gcp: GcpProject, text: str) -> None:
    """Rather than taken for what it may not mean."""
    gcp.secret("due-key", days=91)
    function = gcp.run("scheduled_event")

    assert function.deliver(message({}, plain(text))).status == 200

    assert refused(function, '{"dry_run": true}')
    assert len(gcp.sim.calls) == 0


@pytest.mark.parametrize(
    ("method", "body", "content", "status"),
    [
        ("GET", "", "application/json", 405),
        ("PUT", "{}", "application/json", 405),
        ("POST", "{", "application/json", 400),
        ("POST", "{}", "application/json", 400),
        ("POST", "{", "application/cloudevents+json", 400),
        ("POST", "", "", 415),
    ],
)
def test_what_is_no_event_is_refused_by_the_framework(
    gcp: GcpProject, method: str, body: str, content: str, status: int
) -> None:
    """A broken envelope comes from nobody whom the platform stands for."""
    headers = {"Content-Type": content} if content else {}

    answer = gcp.run("secret_event").ask(method, "/", body, headers)

    assert answer.status == status
    assert len(gcp.sim.calls) == 0


@BY_MODE
def test_a_secret_s_event_rotates_that_key_if_it_is_due(
    gcp: GcpProject, *, structured: bool
) -> None:
    """The event is a hint: a key that is not due stays, and so do all others."""
    gcp.secret("due-key", days=91)
    gcp.secret("fresh-key", days=1)
    gcp.secret("other-key", days=91)
    function = gcp.run("secret_event")

    for key_id in ("due-key", "fresh-key"):
        assert function.deliver(rotate_event(key_id), structured=structured).status == 200

    versions = {key_id: gcp.version(key_id) for key_id in ("due-key", "fresh-key", "other-key")}
    assert versions == {"due-key": 2, "fresh-key": 1, "other-key": 1}
    assert {(r["trigger"], r["principal"]) for r in gcp.records()} == {("event", "pub/sub")}


def test_the_project_may_be_named_by_its_id(gcp: GcpProject) -> None:
    """Google's own example has no number."""
    gcp.secret("due-key", days=91)
    event = rotate_event("due-key", secretId=f"projects/{PROJECT}/secrets/due-key")

    assert gcp.run("secret_event").deliver(event).status == 200
    assert gcp.version("due-key") == 2


@pytest.mark.parametrize(
    "tags", [{}, {"daena.managed": "false"}, MANAGED | {"daena.hold": "true"}], ids=str
)
def test_a_secret_that_is_not_ours_to_rotate_is_left_alone(
    gcp: GcpProject, tags: dict[str, str]
) -> None:
    """Without our tag or on hold: no failure, since nothing was to be done."""
    gcp.secret("due-key", days=91, tags=tags)

    assert gcp.run("secret_event").deliver(rotate_event("due-key")).status == 200
    assert not gcp.changed()
    assert gcp.version("due-key") == 1


@pytest.mark.parametrize(
    "event",
    [
        message({"eventType": "TOPIC_CONFIGURED"}),
        rotate_event("due-key", eventType="SECRET_VERSION_ADD"),
        rotate_event("due-key", eventType="SECRET_UPDATE"),
        rotate_event("due-key", eventType="secret_rotate"),
        rotate_event("Not_A_Key"),
        rotate_event("key-"),
    ],
    ids=["topic", "version", "update", "case", "no key", "hyphen"],
)
def test_other_events_are_passed_over(gcp: GcpProject, event: dict[str, Any]) -> None:
    """With a line in the log, and no call."""
    gcp.secret("due-key", days=91)
    function = gcp.run("secret_event")

    assert function.deliver(event).status == 200

    entries = function.logged()
    assert [entry["severity"] for entry in entries] == ["INFO"]
    assert "ignored an event" in entries[0]["message"]
    assert len(gcp.sim.calls) == 0


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (message({}), "not an event of Secret Manager"),
        (message(), "not an event of Secret Manager"),
        (rotate_event("due-key", secretId=""), "does not name a secret"),
        (rotate_event("due-key", secretId="due-key"), "does not name a secret"),
        (
            rotate_event("due-key", secretId=f"projects/{PROJECT}/secrets/due-key/versions/1"),
            "does not name a secret",
        ),
        (rotate_event("due-key", secretId="projects/999/secrets/due-key"), "not in this project"),
        (rotate_event("due-key", secretId="projects/other/secrets/due-key"), "not in this project"),
        (rotate_event("no-such-key"), "not in this project"),
        (
            rotate_event(
                "due-key",
                secretId=f"projects/{PROJECT_NUMBER}/locations/europe-west1/secrets/due-key",
            ),
            "not in this project",
        ),
    ],
    ids=range(9),
)
def test_a_secret_that_is_elsewhere_is_refused(
    gcp: GcpProject, event: dict[str, Any], words: str
) -> None:
    """Of another project or location, or none at all: logged, acknowledged, nothing changed."""
    gcp.secret("due-key", days=91)
    function = gcp.run("secret_event")

    assert function.deliver(event).status == 200

    assert refused(function, words)
    assert not gcp.changed()
    assert gcp.records() == []
