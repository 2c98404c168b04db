"""``functions_gcp/main.py`` in this process: its environment, its limits, its failures."""

import functools
import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import functions_framework
import pytest
from flask.testing import FlaskClient

from infra.local.gcp.sim import PROJECT_NUMBER, GcpSimulator
from tests.functions.gcp_world import (
    SOURCE,
    GcpProject,
    caller,
    message,
    plain,
    rotate_event,
)

type Started = Callable[[str], FlaskClient]
EVENT = {
    "ce-specversion": "1.0",
    "ce-id": "1",
    "ce-source": "//pubsub.googleapis.com/projects/p/topics/t",
    "ce-type": "google.cloud.pubsub.topic.v1.messagePublished",
}


@pytest.fixture
def started(gcp: GcpProject, monkeypatch: pytest.MonkeyPatch) -> Iterator[Started]:
    """Start a function as the framework does, with an environment that leads to the project."""
    for name, value in gcp.env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(logging.root, "handlers", [])
    monkeypatch.setenv("FUNCTION_TARGET", "")
    monkeypatch.setenv("FUNCTION_SIGNATURE_TYPE", "")
    level = logging.root.level

    def start(target: str) -> FlaskClient:
        app = functions_framework.create_app(target, SOURCE)  # type: ignore[no-untyped-call] # as it is declared
        client: FlaskClient = app.test_client()
        return client

    yield start
    logging.root.setLevel(level)
    sys.modules.pop("main", None)


def entries(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """What was logged."""
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_what_is_due_is_rotated(
    gcp: GcpProject, started: Started, capsys: pytest.CaptureFixture[str]
) -> None:
    """By each of the four functions, and logged."""
    scheduled, event = started("scheduled"), {"headers": EVENT}
    gcp.secret("key-a", days=91)
    assert scheduled.post("/", headers=caller()).get_json()["rotated"] == ["key-a"]
    gcp.secret("key-b", days=91)
    assert started("scheduled_event").post("/", json=message(), **event).status_code == 200
    gcp.secret("key-c", days=91)
    assert started("secret_event").post("/", json=rotate_event("key-c"), **event).status_code == 200
    assert started("http").post("/v1/keys/key-a/rotate", headers=caller()).status_code == 200

    assert [gcp.version(f"key-{letter}") for letter in "abc"] == [3, 2, 2]
    assert {entry["severity"] for entry in entries(capsys)} == {"INFO"}


def test_what_is_refused_or_passed_over_changes_nothing(
    gcp: GcpProject, started: Started, capsys: pytest.CaptureFixture[str]
) -> None:
    """Over HTTP with a status, for an event with a line in the log."""
    secret_event = started("secret_event")
    secret_event.post("/", json=rotate_event("Not_A_Key"), headers=EVENT)
    secret_event.post("/", json={}, headers=EVENT)

    assert started("scheduled").post("/").status_code == 401
    assert started("http").get("/v1/plan").status_code == 401
    assert len(gcp.sim.calls) == 0
    severities = [entry["severity"] for entry in entries(capsys)]
    assert severities == ["INFO", "ERROR", "INFO", "INFO"]


@pytest.mark.parametrize("seconds", ["1", "300"])
def test_work_begins_only_while_there_is_time(
    gcp: GcpProject, started: Started, monkeypatch: pytest.MonkeyPatch, seconds: str
) -> None:
    """The platform's own limit counts; a key that can't be done by then is left and reported."""
    gcp.secret("key-a", days=91)
    monkeypatch.setenv("CLOUD_RUN_TIMEOUT_SECONDS", seconds)
    gcp.sim.set_latency(0.8 if seconds == "1" else 0)

    found = started("scheduled").post("/", headers=caller()).get_json()

    gcp.sim.set_latency(0)
    assert found["left" if seconds == "1" else "rotated"] == ["key-a"]
    assert gcp.version("key-a") == (1 if seconds == "1" else 2)


@pytest.mark.parametrize("target", ["scheduled_event", "secret_event"])
def test_a_store_that_is_away_fails_the_delivery(
    gcp: GcpProject, started: Started, target: str
) -> None:
    """That may become right: the event is not acknowledged."""
    gcp.secret("due-key", days=91)
    operation = "GetSecret" if target == "secret_event" else "ListSecrets"
    gcp.sim.faults.deny(operation)
    data = rotate_event("due-key") if target == "secret_event" else message({}, plain("{}"))

    assert started(target).post("/", json=data, headers=EVENT).status_code == 500
    gcp.sim.faults.allow(operation)
    assert started(target).post("/", json=data, headers=EVENT).status_code == 200
    assert gcp.version("due-key") == 2


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("DAENA_KMS_AUDIT_URL", None, "Set DAENA_KMS_AUDIT_URL"),
        ("DAENA_KMS_AUDIT_URL", "ftp://bucket", "is not an address of the audit log"),
        ("DAENA_KMS_ROTATE_AFTER", "90", "DAENA_KMS_ROTATE_AFTER is '90'"),
        ("GCP_SECRET_MANAGER_ENDPOINT", "192.0.2.1:443", "to 127.0.0.1:PORT"),
        ("GCP_SECRET_MANAGER_ENDPOINT", "127.0.0.1:443.example.com:1", "to 127.0.0.1:PORT"),
        ("GCP_LOCATION", "../..", "is not a location"),
        ("GCP_INVOKER_IAM_CHECK", "yes", "GCP_INVOKER_IAM_CHECK is 'yes'"),
        ("CLOUD_RUN_TIMEOUT_SECONDS", "soon", "CLOUD_RUN_TIMEOUT_SECONDS is 'soon'"),
    ],
)
def test_a_broken_environment_is_named(
    gcp: GcpProject,
    started: Started,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    variable: str,
    value: str | None,
    words: str,
) -> None:
    """The job fails, and the log says which setting to mend."""
    gcp.secret("due-key", days=91)
    if value is None:
        monkeypatch.delenv(variable)
    else:
        monkeypatch.setenv(variable, value)

    assert started("scheduled").post("/", headers=caller()).status_code == 500

    logged = entries(capsys)
    assert logged[-1]["severity"] == "ERROR"
    assert words in logged[-1]["message"]
    assert not gcp.changed()


@pytest.mark.parametrize("value", [None, "", "false"])
def test_nobody_is_verified_unless_iam_decides(
    gcp: GcpProject, started: Started, monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    """A function open to everybody is sent whatever a caller makes up."""
    gcp.secret("due-key", days=91)
    monkeypatch.setenv("GCP_INVOKER_IAM_CHECK", value or "")

    assert started("scheduled").post("/", headers=caller()).status_code == 401
    assert started("http").post("/v1/keys/due-key/rotate", headers=caller()).status_code == 401
    assert not gcp.changed()


def test_regional_secrets_have_their_own_events(
    started: Started, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With a location set, a global secret of the same name is another one."""
    with GcpSimulator(location="europe-west1") as sim:
        regional = GcpProject(sim, tmp_path)
        regional.secret("due-key", days=91, location="europe-west1")
        monkeypatch.setenv("GCP_SECRET_MANAGER_ENDPOINT", sim.target)
        monkeypatch.setenv("GCP_LOCATION", "europe-west1")
        secret_event = started("secret_event")
        here = f"projects/{PROJECT_NUMBER}/locations/europe-west1/secrets/due-key"

        secret_event.post("/", json=rotate_event("due-key"), headers=EVENT)
        before = regional.changed()
        secret_event.post("/", json=rotate_event("due-key", secretId=here), headers=EVENT)

        assert (before, regional.changed()) == (False, True)


def test_services_are_made_once_for_a_process(gcp: GcpProject, started: Started) -> None:
    """The second request uses the clients of the first."""
    scheduled = started("scheduled")
    module = sys.modules["main"]
    for _ in range(2):
        scheduled.post("/", headers=caller())

    services = module.services
    assert isinstance(services, functools._lru_cache_wrapper)
    assert services.cache_info().misses == 1
    assert gcp.sim.calls.operations() == ["ListSecrets"] * 2


def test_importing_the_functions_builds_nothing() -> None:
    """No environment is needed, and no SDK is loaded before the first event."""
    program = f"""
import importlib.util, sys
spec = importlib.util.spec_from_file_location("main", {str(SOURCE)!r})
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
assert module.services.cache_info().currsize == 0
late = ("grpc", "google.auth", "google.cloud.secretmanager_v1", "obstore", "cryptography")
print([name for name in late if name in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
    )

    assert (done.stdout, done.stderr) == ("[]\n", "")
