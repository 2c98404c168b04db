"""The functions on Google Cloud over HTTP, in functions-framework: Cloud Scheduler, on demand."""

import json

import pytest

from tests.functions.gcp_world import (
    JOB,
    MANAGED,
    TRACE,
    GcpProject,
    caller,
    checked_token,
    function,
)

TRACED = {
    "x-cloud-trace-context": {"X-Cloud-Trace-Context": f"{TRACE}/2450465917091935019;o=1"},
    "traceparent": {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"},
}
PROBLEM = "application/problem+json"


def test_scheduler_s_job_rotates_what_is_due(gcp: GcpProject) -> None:
    """A due key gets one new version, a fresh one none; the answer and the log say so."""
    gcp.secret("due-key", days=91)
    gcp.secret("fresh-key", days=1)
    scheduled = gcp.run("scheduled")

    answer = scheduled.ask(headers=caller())

    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")
    assert answer.document["rotated"] == ["due-key"]
    assert (gcp.version("due-key"), gcp.version("fresh-key")) == (2, 1)
    assert {(r["trigger"], r["principal"]) for r in gcp.records()} == {("schedule", JOB)}


@pytest.mark.parametrize("name", TRACED)
def test_the_log_is_json_with_severity_and_trace(gcp: GcpProject, name: str) -> None:
    """Each line is an object; the run's counts are fields that Cloud Logging can be asked for."""
    gcp.secret("due-key", days=91)
    scheduled = gcp.run("scheduled")

    scheduled.ask(headers=caller() | TRACED[name])

    entries = scheduled.logged()
    run = next(entry for entry in entries if entry["message"] == "run")
    assert (run["counts"]["rotated"], run["counts"]["keys"]) == (1, 1)
    assert {entry["severity"] for entry in entries} == {"INFO"}
    traces = {entry["logging.googleapis.com/trace"] for entry in entries}
    assert traces == {f"projects/simulated-project/traces/{TRACE}"}


def test_without_a_trace_none_is_made_up(gcp: GcpProject) -> None:
    """A header that is no trace counts as none, and one of an earlier request has no effect."""
    scheduled = gcp.run("scheduled")
    scheduled.ask(headers=caller() | TRACED["traceparent"])
    scheduled.logged()

    scheduled.ask(headers=caller() | {"X-Cloud-Trace-Context": f'{TRACE}", "severity": "x'})

    entries = scheduled.logged()
    assert len(entries) > 0
    assert [e for e in entries if "logging.googleapis.com/trace" in e] == []


@pytest.mark.parametrize("body", ['{"dry_run": true}', b'  {"dry_run":true}\n'], ids=str)
def test_a_dry_run_changes_nothing(gcp: GcpProject, body: str | bytes) -> None:
    """It is answered and logged, and neither a key nor the log is written."""
    gcp.secret("due-key", days=91)

    answer = gcp.run("scheduled").ask(body=body, headers=caller())

    assert answer.document["dry_run"] is True
    assert answer.document["counts"]["overdue"] == 1
    assert not gcp.changed()
    assert gcp.records() == []


def test_a_job_that_runs_twice_does_nothing_more(gcp: GcpProject) -> None:
    """Delivered again, or started by hand a moment before: each run does what is due by then."""
    gcp.secret("due-key", days=91)
    scheduled = gcp.run("scheduled")

    answers = [scheduled.ask(headers=caller()) for _ in range(2)]
    gcp.secret("later-key", days=91)
    last = scheduled.ask(headers=caller())

    assert [answer.document["rotated"] for answer in answers] == [["due-key"], []]
    assert last.document["rotated"] == ["later-key"]
    assert (gcp.version("due-key"), gcp.version("later-key")) == (2, 2)


def test_a_failed_key_fails_the_job_after_the_others_were_done(gcp: GcpProject) -> None:
    """Cloud Scheduler sees a failure, and the log names the key, with severity and trace."""
    gcp.secret("good-key", days=91)
    gcp.secret("bad-key", days=91, tags=MANAGED | {"daena.spec": "none such"})
    scheduled = gcp.run("scheduled")

    answer = scheduled.ask(headers=caller() | TRACED["traceparent"])

    assert (answer.status, answer.headers["X-Google-Status"]) == (500, "crash")
    assert (gcp.version("good-key"), gcp.version("bad-key")) == (2, 1)
    error = scheduled.logged()[-1]
    assert error["severity"] == "ERROR"
    assert "1 of 2 keys failed: bad-key" in error["message"]
    assert error["logging.googleapis.com/trace"].endswith(TRACE)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer"},
        {"Authorization": checked_token().rpartition(".")[0] + ".c2lnbmF0dXJl"},
        {"Authorization": "Basic am9iOmpvYg=="},
        {"X-CloudScheduler": "true", "From": JOB, "X-Goog-Authenticated-User-Email": JOB},
        caller() | {"X-Serverless-Authorization": "Bearer of.something.else"},
    ],
    ids=["nothing", "no token", "signed", "basic", "claims of its own", "another token"],
)
@pytest.mark.parametrize("target", ["scheduled", "http"])
def test_without_a_verified_caller_nothing_is_done(
    gcp: GcpProject, target: str, headers: dict[str, str]
) -> None:
    """Only the token that the platform has checked says who asks."""
    gcp.secret("due-key", days=91)
    function = gcp.run(target)

    answer = function.ask(path="/v1/keys/due-key/rotate", headers=headers)

    assert (answer.status, answer.headers["Content-Type"]) == (401, PROBLEM)
    assert answer.document["type"] == "urn:daena-kms:unauthenticated"
    assert len(gcp.sim.calls) == 0
    assert [entry["status"] for entry in function.logged()] == [401]


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD", "OPTIONS"])
def test_scheduler_posts(gcp: GcpProject, method: str) -> None:
    """Another method is refused before any call."""
    answer = gcp.run("scheduled").ask(method, headers=caller())

    assert (answer.status, answer.headers["Content-Type"]) == (405, PROBLEM)
    assert len(gcp.sim.calls) == 0


@pytest.mark.parametrize(
    "body",
    [
        "{",
        "[]",
        '"dry_run"',
        "null",
        '{"dry_run": 1}',
        '{"dry_run": null}',
        b"\xff\xfe",
        "[" * 9_000,
    ],
    ids=range(8),
)
def test_a_malformed_body_is_refused(gcp: GcpProject, body: str | bytes) -> None:
    """The answer says what to send, before any call."""
    answer = gcp.run("scheduled").ask(body=body, headers=caller())

    assert (answer.status, answer.document["type"]) == (400, "urn:daena-kms:bad-request")
    assert '{"dry_run": true}' in answer.document["todo"]
    assert len(gcp.sim.calls) == 0


def test_health_is_for_everybody(gcp: GcpProject) -> None:
    """Anybody learns that the settings can be used; a caller also what store and log say."""
    http = gcp.run("http")
    answer = http.ask("GET", "/v1/health")
    assert (answer.status, answer.document["ok"]) == (200, True)
    assert answer.document["checks"] == {"configuration": "ok"}
    assert len(gcp.sim.calls) == 0

    answer = http.ask("GET", "/v1/health", headers=caller())
    assert (answer.status, answer.document["ok"]) == (200, True)
    assert answer.document["checks"] == dict.fromkeys(["configuration", "store", "audit"], "ok")


def test_a_key_is_rotated_on_demand(gcp: GcpProject) -> None:
    """Due or not, with the reason and who asked in the audit log."""
    gcp.secret("some-key", days=1)
    asked = json.dumps({"reason": "leaked in a build log"})
    http, path = gcp.run("http"), "/v1/keys/some-key/rotate"

    answer = http.ask("POST", path, asked, caller(email="jane@example.com"))

    assert (answer.status, answer.document["version"]) == (200, "2")
    assert gcp.version("some-key") == 2
    assert {(r["trigger"], r["reason"], r["principal"]) for r in gcp.records()} == {
        ("http", "leaked in a build log", "jane@example.com")
    }


def test_a_rotation_on_demand_takes_four_calls(gcp: GcpProject) -> None:
    """Once the secret holds our records: read it, claim it, add a version, move the aliases."""
    gcp.secret("some-key", days=1)
    http, path = gcp.run("http"), "/v1/keys/some-key/rotate"
    http.ask("POST", path, headers=caller())
    gcp.sim.calls.clear()

    assert http.ask("POST", path, headers=caller()).status == 200
    assert gcp.sim.calls.operations() == [
        *("GetSecret", "UpdateSecret", "AddSecretVersion", "UpdateSecret")
    ]


def test_the_plan_is_shown(gcp: GcpProject) -> None:
    """To a verified caller, and nothing changes."""
    gcp.secret("due-key", days=91)

    answer = gcp.run("http").ask("GET", "/v1/plan", headers=caller())

    assert [(a["key"], a["kind"]) for a in answer.document["actions"]] == [("due-key", "rotate")]
    assert not gcp.changed()


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/keys/some-key/rotate", 405),
        ("POST", "/v1/plan", 405),
        ("POST", "/v1/keys/no-such-key/rotate", 404),
        ("POST", "/v1/keys/Not_A_Key/rotate", 400),
        ("GET", "/", 404),
        ("GET", "/v1/keys/some-key", 404),
        ("GET", "/v1/keys?limit=x", 400),
    ],
)
def test_what_can_not_be_done_is_a_problem(
    gcp: GcpProject, method: str, path: str, status: int
) -> None:
    """With a status, and a document that says why."""
    answer = gcp.run("http").ask(method, path, headers=caller())

    assert (answer.status, answer.headers["Content-Type"]) == (status, PROBLEM)
    assert answer.document["status"] == status
    assert not gcp.changed()


def test_the_framework_may_add_what_execution_it_was(gcp: GcpProject) -> None:
    """With the platform's ``LOG_EXECUTION_ID`` each entry is written once, its fields kept."""
    env = gcp.env | {"LOG_EXECUTION_ID": "true"}
    with function("scheduled", "http", env, gcp.folder) as scheduled:
        answer = scheduled.ask(headers=caller() | {"Function-Execution-Id": "some-execution"})
        entries = scheduled.logged()

    assert answer.status == 200
    assert [entry["message"] for entry in entries if "event" in entry] == ["run", "http"]
    labels = [entry["logging.googleapis.com/labels"] for entry in entries]
    assert labels == [{"execution_id": "some-execution"}] * 3
    assert {entry["severity"] for entry in entries} == {"INFO"}
