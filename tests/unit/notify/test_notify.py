"""The one entry: what it does with events, settings and time, and that nothing ever leaves it."""

import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from typing import NoReturn

import pytest
from daena_kms.notify import LEAST, TOTAL, notify
from daena_kms.notify.base import Event, Timing
from daena_kms.notify.wire import Network
from daena_kms.settings import Settings

from tests.faults.leaks import leaked, recorded
from tests.unit.keys import NOW
from tests.unit.notify.guide import verify
from tests.unit.notify.receiver import (
    HOST,
    PUBLIC,
    Dialled,
    Hours,
    Receiver,
    answer,
    new_secret,
    settings,
)

SECRET = new_secret()


def events(count: int = 3) -> Iterator[Event]:
    """Some events."""
    for number in range(count):
        kind = "io.daena-kms.key.rotated"
        yield Event(f"{number:032}", kind, "urn:x", f"k{number}", NOW, {"key": f"k{number}"})


def unmade() -> Iterator[Event]:
    """Events that nobody may ask for."""
    yield from map(unlooked, ["nobody"], [0])  # a generator: nothing runs before it is asked


def test_without_an_endpoint_no_event_is_made() -> None:
    """Neither made nor counted."""
    assert notify(unmade(), Settings.load({})) == (0, 0)
    assert notify(unmade(), Settings.load({"DAENA_KMS_ENDPOINT": ""})) == (0, 0)


def test_events_are_delivered_and_counted() -> None:
    """Over one connection that is ended afterwards."""
    with Receiver() as receiver:
        network = Dialled(receiver).network()
        assert notify(events(), settings(SECRET), network=network) == (3, 0)
    assert [json.loads(got.body)["subject"] for got in receiver.requests] == ["k0", "k1", "k2"]
    assert all(verify(SECRET, got.headers, got.body) for got in receiver.requests)
    assert receiver.connections == 1


def test_a_try_again_has_the_same_id_and_a_signature_of_its_own() -> None:
    """So that the receiver can drop what it has seen, and still believe it."""
    with Receiver(answer(503), answer(429, "Retry-After: 2"), answer(200)) as receiver:
        hours = Hours()
        network = Dialled(receiver).network()
        sent = notify(events(1), settings(SECRET), timing=hours.timing(), network=network)
    assert sent == (1, 0)
    assert hours.slept == [0.5, 2.0]
    assert len({got.headers["webhook-id"] for got in receiver.requests}) == 1
    assert len({got.body for got in receiver.requests}) == 1
    assert all(verify(SECRET, got.headers, got.body) for got in receiver.requests)


def test_no_events_no_connection() -> None:
    """Not even a look at the name service."""
    assert notify([], settings(SECRET), network=Network(unlooked)) == (0, 0)


def unlooked(host: str, _port: int) -> NoReturn:
    """Nobody may ask."""
    raise AssertionError(host)


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        (settings(SECRET, "http://hooks.example/"), "does not begin with https://"),
        (settings("nonsense"), "secret 1 of DAENA_KMS_ENDPOINT_SECRET"),
        (settings(SECRET, "https://169.254.169.254/"), "is an address"),
    ],
)
def test_wrong_settings_are_an_error_in_the_log(
    asked: Settings, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    """And nothing else: the run has done what it did."""
    assert notify(events(), asked) == (0, 3)
    [record] = caplog.records
    assert record.levelno == logging.ERROR
    assert record.message.startswith("no event was sent: ")
    assert why in record.message


def test_what_nobody_has_thought_of_is_an_error_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """By its type alone: nobody knows what its text quotes."""

    def broken(_host: str, _port: int) -> list[str]:
        raise ZeroDivisionError(SECRET)

    assert notify(events(), settings(SECRET), network=Network(broken)) == (0, 3)
    assert [r.message for r in caplog.records] == [
        "no event was sent: an unexpected ZeroDivisionError"
    ]


def test_events_that_can_t_be_made_are_an_error_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """They are no reason for a run to fail."""

    def broken() -> Iterator[Event]:
        yield from events(1)
        raise KeyError(SECRET)

    assert notify(broken(), settings(SECRET)) == (0, 1)
    assert "an unexpected KeyError" in caplog.text


@pytest.mark.parametrize(
    ("left", "within", "tries"),
    [
        (None, TOTAL, 4),
        (timedelta(minutes=5), TOTAL, 4),
        (timedelta(seconds=6), 6.0, 2),
        (timedelta(seconds=1), LEAST, 1),
        (timedelta(seconds=-90), LEAST, 1),
    ],
)
def test_all_of_it_ends_in_time(left: timedelta | None, within: float, tries: int) -> None:
    """With the run's own time, if that is less; the receiver asks for three seconds each time."""
    hours = Hours()
    with Receiver(answer(503, "Retry-After: 3")) as receiver:
        network = Dialled(receiver).network()
        sent = notify(events(), settings(SECRET), left, timing=hours.timing(), network=network)
    assert sent == (0, 3)
    assert len(receiver.requests) == tries
    assert hours.now - 1_000 < within


def test_nothing_of_it_is_a_secret() -> None:
    """At DEBUG no log holds secret, path or query, whatever goes wrong."""
    other = new_secret()
    with recorded() as logs, Receiver(answer(503), answer(404), answer(301)) as receiver:
        asked = settings(f"{SECRET} {other}", f"https://{HOST}/services/T0PATH/B0?token=T0KEN")
        for found in ([PUBLIC], ["10.0.0.1"], []):
            network = Dialled(receiver, found).network()
            notify(events(), asked, timing=Hours().timing(), network=network)
        notify(events(), settings(SECRET[:-4], f"https://u:{other}@h/T0PATH?T0KEN"))
    text = "\n".join(logs.texts)
    assert HOST in text
    assert "daena_kms" in logs.names
    assert not any(word in text for word in ("T0PATH", "T0KEN"))
    keys = [secret.removeprefix("whsec_") for secret in (SECRET, other)]
    assert leaked([SECRET, other, *keys], [text]) == []


def test_nothing_heavy_is_imported_before_it_is_needed() -> None:
    """Neither by the package nor by the engine, nor by a call without an endpoint."""
    program = """
import sys
import daena_kms.engine, daena_kms.operations
from daena_kms.notify import check_endpoint, notify
from daena_kms.settings import Settings
notify([], Settings.load({}))
check_endpoint(Settings.load({}))
print([m for m in ("http.client", "ssl", "email", "daena_kms.notify.wire") if m in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_the_clock_is_the_machine_s_by_default() -> None:
    """What a test replaces is there."""
    timing = Timing()
    assert timing.monotonic() <= timing.monotonic()
    assert 0 <= timing.chance() <= 1
    assert timing.wall() > NOW.timestamp() - 10 * 365 * 86_400
