"""Runs and operations tell an endpoint on loopback what they did, through nothing but settings."""

import json
import logging
import ssl
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme
from daena_kms.errors import AuditUnavailable, DaenaKMSError, StoreUnavailable
from daena_kms.operations import Operations

from tests.faults.leaks import leaked, recorded
from tests.unit.engine.engines import DUE, World
from tests.unit.notify.guide import verify
from tests.unit.notify.receiver import Answer, Receiver, answer, new_secret

SECRET = new_secret()
HOUR = timedelta(hours=1)
AUTHORITY = trustme.CA()


@pytest.fixture
def world(tmp_path: Path) -> World:
    """An empty store and log."""
    return World(tmp_path)


@pytest.fixture
def receiver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """A receiver that the environment names and allows."""
    with Receiver(name="localhost", authority=AUTHORITY) as found:
        set_up(found, tmp_path, monkeypatch)
        yield found


def set_up(receiver: Receiver, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the environment point to a receiver, as an operator would."""
    AUTHORITY.cert_pem.write_to_path(folder / "ca.pem")
    for name, text in (
        ("DAENA_KMS_ENDPOINT", f"https://localhost:{receiver.port}/in"),
        ("DAENA_KMS_ENDPOINT_SECRET", SECRET),
        ("DAENA_KMS_ENDPOINT_ALLOW", "localhost"),
        ("SSL_CERT_FILE", str(folder / "ca.pem")),
    ):
        monkeypatch.setenv(name, text)


def told(receiver: Receiver) -> list[dict[str, Any]]:
    """What was received, each event verified."""
    assert all(verify(SECRET, got.headers, got.body) for got in receiver.requests)
    return [json.loads(got.body) for got in receiver.requests]


def test_a_run_is_told(world: World, receiver: Receiver) -> None:
    """What it rotated, with version, trigger and reason, once the log is closed."""
    world.create("app-key", "web-key")
    assert receiver.requests == []
    summary = world.run(trigger="schedule", reason="ticket 7")
    first, second = told(receiver)
    assert first["type"] == "io.daena-kms.key.rotated"
    assert (first["subject"], second["subject"]) == ("app-key", "web-key")
    assert first["data"] == {
        "key": "app-key",
        "provider": "local",
        "run": summary.run_id,
        "operation": "run",
        "trigger": "schedule",
        "reason": "ticket 7",
        "new_version": summary.new_versions["app-key"],
    }
    assert (summary.notified, summary.undelivered) == (2, 0)
    assert summary.counts()["notified"] == 2
    [closing] = [r for r in world.records("closing") if r["run"] == summary.run_id]
    assert "notified" not in closing["counts"]


def test_a_run_with_nothing_to_do_and_a_dry_run_are_not_told(
    world: World, receiver: Receiver
) -> None:
    """Silence means that all is well."""
    world.create("app-key")
    world.run(dry_run=True)
    quiet = world.run(after=DUE / 90)
    assert receiver.requests == []
    assert "notified" not in quiet.counts()


def test_a_failure_is_told(world: World, receiver: Receiver) -> None:
    """With the error's stable word and its text."""
    world.create("app-key")

    def refuse(_name: str, key: str) -> None:
        raise StoreUnavailable("no answer", key_id=key)

    world.store.before = refuse
    summary = world.run()
    [event] = told(receiver)
    assert event["type"] == "io.daena-kms.key.failed"
    assert event["data"]["error"] == "store-unavailable"
    assert event["data"]["message"] == "key 'app-key': no answer"
    assert summary.overdue == 1


def test_what_was_left_is_told_as_overdue(world: World, receiver: Receiver) -> None:
    """With the time since when it has been due."""
    world.create("app-key")
    summary = world.run(deadline=0)
    assert summary.left == ["app-key"]
    [event] = told(receiver)
    assert event["type"] == "io.daena-kms.key.overdue"
    assert event["data"]["due"].endswith("Z")


def test_a_rotation_that_was_finished_is_told_so(world: World, receiver: Receiver) -> None:
    """An earlier one of the key had been interrupted."""
    world.create("app-key")

    def fail(_name: str, key: str) -> None:
        raise StoreUnavailable("no answer", key_id=key)

    world.store.before = fail
    world.run()
    world.store.before = lambda _name, _key: None
    world.run(DUE + HOUR)
    failed, event = told(receiver)
    assert failed["type"] == "io.daena-kms.key.failed"
    assert (event["type"], event["data"]["finished"]) == ("io.daena-kms.key.rotated", True)


def test_a_rotation_that_nobody_knew_of_is_told_by_the_next_run(
    world: World, receiver: Receiver
) -> None:
    """Its answer was lost, so it was told as a failure; a person's operation tells it as well."""
    world.create("app-key", "web-key")
    for key, finds in (
        ("app-key", lambda: world.run(DUE + HOUR)),
        ("web-key", lambda: at(world, 2 * DUE + HOUR).hold("app-key")),
    ):
        receiver.requests.clear()
        world.store.lose_answer(key)
        world.run(DUE if key == "app-key" else 2 * DUE)
        assert ("io.daena-kms.key.failed", key) in kinds(receiver)
        receiver.requests.clear()
        finds()
        [event] = told(receiver)
        assert (event["type"], event["subject"]) == ("io.daena-kms.key.rotated", key)
        current = world.store.describe(key).current
        assert current is not None
        assert event["data"]["new_version"] == current.id
        assert event["data"]["operation"] == "recovery"


def kinds(receiver: Receiver) -> list[tuple[str, str]]:
    """Type and subject of what was received."""
    return [(event["type"], event["subject"]) for event in told(receiver)]


def at(world: World, after: timedelta) -> Operations:
    """Operations as if that time had passed."""
    return Operations(world.adapter, world.log, now=datetime.now(UTC) + after, reason="ticket 8")


def test_a_log_that_can_t_be_closed_tells_nothing(world: World, receiver: Receiver) -> None:
    """The run fails as a whole."""
    world.create("app-key")
    world.clear_log()
    world.log.fail_from = 3  # the intent and the outcome are written
    with pytest.raises(AuditUnavailable):
        world.run()
    assert receiver.requests == []


def test_a_rollback_is_told(world: World, receiver: Receiver) -> None:
    """And one that fails; what asks for no rollback at all is not."""
    world.create("app-key")
    world.adapter.rotate_key("app-key")
    operations = Operations(world.adapter, world.log, reason="ticket 8")
    version = operations.rollback("app-key")

    def refuse(_name: str, key: str) -> None:
        raise StoreUnavailable("no answer", key_id=key)

    world.store.before = refuse
    with pytest.raises(StoreUnavailable):
        operations.rollback("app-key")
    with pytest.raises(DaenaKMSError):
        operations.rollback("no-such-key")
    done, failed = told(receiver)
    assert (done["type"], done["data"]["new_version"]) == (
        "io.daena-kms.key.rolled-back",
        version,
    )
    assert (failed["type"], failed["data"]["operation"]) == (
        "io.daena-kms.key.failed",
        "rollback",
    )
    assert done["data"]["reason"] == "ticket 8"


@pytest.mark.parametrize("response", [answer(404), answer(410), answer(301), b"nonsense"])
def test_a_receiver_that_fails_fails_nothing(
    world: World,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    response: Answer,
) -> None:
    """The key is rotated, the log verifies, and a warning says what was not delivered."""
    world.create("app-key")
    with Receiver(response, name="localhost", authority=AUTHORITY) as receiver:
        set_up(receiver, tmp_path, monkeypatch)
        monkeypatch.setattr("daena_kms.notify.TOTAL", 0.4)  # less than the first wait
        summary = world.run()
    assert summary.rotated == ["app-key"]
    assert summary.ok
    assert (summary.notified, summary.undelivered) == (0, 1)
    assert world.verify().ok
    warnings = [r.message for r in caplog.records if r.levelno == logging.WARNING]
    assert warnings[0].startswith(f"localhost:{receiver.port} did not receive ")


def test_a_silent_receiver_delays_nothing_beyond_the_bound(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that has used up its time waits for the least that there is."""

    def silent(connection: ssl.SSLSocket) -> None:
        with suppress(OSError):
            connection.recv(1)

    world.create("app-key")
    with Receiver(silent, name="localhost", authority=AUTHORITY) as receiver:
        set_up(receiver, tmp_path, monkeypatch)
        monkeypatch.setattr("daena_kms.notify.LEAST", 0.3)
        # So long would one try take otherwise: far longer than a busy machine does.
        monkeypatch.setattr("daena_kms.notify.delivery.ATTEMPT", 600.0)
        monkeypatch.setattr("daena_kms.notify.TOTAL", 600.0)
        began = time.monotonic()
        summary = world.run(deadline=0)
    assert time.monotonic() - began < 120
    assert (summary.left, summary.undelivered) == (["app-key"], 1)


def test_wrong_settings_stop_no_rotation(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The log has an error, the key its new version."""
    world.create("app-key")
    monkeypatch.setenv("DAENA_KMS_ENDPOINT", "http://localhost/in")
    summary = world.run()
    assert (summary.rotated, summary.undelivered) == (["app-key"], 1)
    [error] = [r.message for r in caplog.records if r.levelno == logging.ERROR]
    assert error.startswith("no event was sent: DAENA_KMS_ENDPOINT does not begin with https://")


def test_no_value_and_no_secret_is_told_or_logged(world: World, receiver: Receiver) -> None:
    """At DEBUG, in no log, header or body; not even when the store's error quotes one."""
    with recorded() as logs:
        world.create("app-key", "web-key")
        before = world.adapter.get_key("app-key")
        world.run()
        at(world, DUE + HOUR).rollback("app-key")
        values = [before, *(world.adapter.get_key(key) for key in ("app-key", "web-key"))]

        def quote(_name: str, key: str) -> None:
            raise RuntimeError(world.adapter.get_key(key))

        world.store.before = quote
        assert len(world.run(after=2 * DUE).failed) == 2
    sent = [f"{got.line} {got.headers} {got.body!r}" for got in receiver.requests]
    assert len(sent) == 5
    secret = SECRET.removeprefix("whsec_")
    assert leaked([*values, SECRET, secret], [*logs.texts, *sent]) == []
    assert "daena_kms" in logs.names
