"""Events over TLS to a receiver on loopback, which verifies them as receivers do."""

import base64
from email.utils import formatdate

import pytest
from daena_kms.notify.base import Event, Then, Undelivered
from daena_kms.notify.endpoint import endpoint_from
from daena_kms.notify.webhook import Webhook, sign

from tests.unit.keys import NOW
from tests.unit.notify.guide import verify
from tests.unit.notify.receiver import (
    NO_CONTENT,
    OK,
    PUBLIC,
    Dialled,
    Hours,
    Receiver,
    answer,
    new_secret,
    settings,
)

SECRET = new_secret()


def event(number: int = 0) -> Event:
    """An event."""
    return Event(f"{number:032}", "io.daena-kms.key.rotated", "urn:x", "k", NOW, {"key": "k"})


def webhook(dialled: Dialled, secret: str = SECRET, allow: str = "") -> Webhook:
    """A sink that reaches the receiver."""
    endpoint = endpoint_from(settings(secret, allow=allow))
    assert endpoint is not None
    return Webhook(endpoint, Hours().timing(), dialled.network())


def refusal(sink: Webhook, within: float = 5.0) -> Undelivered:
    """What became of an event that was not delivered."""
    with pytest.raises(Undelivered) as refused:
        sink.send(event(), within)
    return refused.value


def test_the_reference_example() -> None:
    """The vector that the libraries of Standard Webhooks test themselves with."""
    key = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    signature = sign(
        [base64.b64decode(key)],
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1_614_265_330,
        b'{"test": 2432232314}',
    )
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_an_event_arrives_as_it_was_signed() -> None:
    """In structured mode, to the path and the query, by the host's name."""
    with Receiver() as receiver:
        sink = webhook(Dialled(receiver))
        sink.send(event(), 5.0)
        sink.close()
    [got] = receiver.requests
    assert got.line == "POST /in?token=t HTTP/1.1"
    assert got.headers["host"] == "hooks.example"
    assert got.headers["content-type"] == "application/cloudevents+json; charset=utf-8"
    assert got.headers["webhook-id"] == event().id
    assert got.body == event().encode()
    assert verify(SECRET, got.headers, got.body)


def test_what_was_changed_on_the_way_does_not_verify() -> None:
    """Neither another body, id, time nor secret."""
    with Receiver() as receiver:
        sink = webhook(Dialled(receiver))
        sink.send(event(), 5.0)
        sink.close()
    [got] = receiver.requests
    later = str(int(got.headers["webhook-timestamp"]) + 1)
    assert not verify(SECRET, got.headers, got.body + b" ")
    assert not verify(SECRET, {**got.headers, "webhook-id": "other"}, got.body)
    assert not verify(SECRET, {**got.headers, "webhook-timestamp": later}, got.body)
    assert not verify(SECRET, {**got.headers, "webhook-timestamp": "1614265330"}, got.body)
    assert not verify(new_secret(), got.headers, got.body)


def test_two_secrets_sign_both() -> None:
    """So that a receiver that knows either takes the event."""
    old, new = new_secret(), new_secret()
    with Receiver() as receiver:
        sink = webhook(Dialled(receiver), f"{new} {old}")
        sink.send(event(), 5.0)
        sink.close()
    [got] = receiver.requests
    assert len(got.headers["webhook-signature"].split(" ")) == 2
    assert verify(old, got.headers, got.body)
    assert verify(new, got.headers, got.body)


@pytest.mark.parametrize("response", [NO_CONTENT, OK, answer(202)])
def test_one_connection_serves_all_events(response: bytes) -> None:
    """And the host is looked up once."""
    with Receiver(response) as receiver:
        dialled = Dialled(receiver)
        sink = webhook(dialled)
        for number in range(5):
            sink.send(event(number), 5.0)
        sink.close()
    assert [got.connection for got in receiver.requests] == [1] * 5
    assert [got.headers["webhook-id"] for got in receiver.requests] == [
        event(number).id for number in range(5)
    ]
    assert dialled.looked_up == [("hooks.example", 443)]


@pytest.mark.parametrize(
    "response",
    [
        answer(200, "Connection: close"),
        b"HTTP/1.0 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + b"x" * 5_000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n",
    ],
)
def test_a_connection_that_is_not_at_its_end_is_not_used_again(response: bytes) -> None:
    """The event counts as delivered: its status said so."""
    with Receiver(response) as receiver:
        sink = webhook(Dialled(receiver))
        sink.send(event(0), 5.0)
        sink.send(event(1), 5.0)
        sink.close()
    assert [got.connection for got in receiver.requests] == [1, 2]


@pytest.mark.parametrize(
    ("status", "then"),
    [
        *((status, Then.STOP) for status in (301, 302, 303, 307, 308, 300, 304, 410, 600, 999)),
        *((status, Then.NEXT) for status in (400, 401, 403, 404, 409, 413, 422, 451)),
        *((status, Then.RETRY) for status in (408, 425, 429, 500, 502, 503, 504, 599, 103)),
    ],
)
def test_what_each_status_asks_for(status: int, then: Then) -> None:
    """By the etiquette of HTTP and of Standard Webhooks."""
    with Receiver(answer(status)) as receiver:
        sink = webhook(Dialled(receiver))
        refused = refusal(sink)
        sink.close()
    assert refused.then is then
    assert str(refused) == f"it answered {status}"
    assert refused.after is None


def test_a_redirect_is_not_followed() -> None:
    """Neither to loopback nor anywhere: the other server hears nothing."""
    with Receiver() as inner:
        moved = answer(307, f"Location: https://127.0.0.1:{inner.port}/")
        with Receiver(moved) as receiver:
            dialled = Dialled(receiver)
            sink = webhook(dialled)
            assert refusal(sink).then is Then.STOP
            sink.close()
    assert len(receiver.requests) == 1
    assert dialled.dialled == [(PUBLIC, 443)]
    assert (inner.requests, inner.connections) == ([], 0)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("0", 0.0),
        ("7", 7.0),
        ("9" * 400, 999_999_999.0),
        ("-1", None),
        ("1.5", None),
        ("soon", None),
        ("٣", None),
        ("Fri, 99 Nov 2026 15:50:18 GMT", None),
        ("Fri, 27 Nov 2026 15:50:18 +99999999999999999999", None),
        (formatdate(0, usegmt=True), 0.0),
        (formatdate(0), 0.0),
    ],
)
def test_what_the_receiver_asks_to_wait(header: str, seconds: float | None) -> None:
    """In seconds or until a time; nonsense asks for nothing."""
    with Receiver(answer(503, f"Retry-After: {header}")) as receiver:
        sink = webhook(Dialled(receiver))
        assert refusal(sink).after == seconds
        sink.close()


def test_a_time_to_come_back_at() -> None:
    """Counted from now."""
    with Receiver() as receiver:
        endpoint = endpoint_from(settings(SECRET))
        assert endpoint is not None
        timing = Hours().timing()
        at = formatdate(timing.wall() + 60, usegmt=True)
        receiver.answer_with(answer(429, f"Retry-After: {at}"))
        sink = Webhook(endpoint, timing, Dialled(receiver).network())
        after = refusal(sink).after
        sink.close()
    assert after is not None
    assert 0 < after <= 60


def test_an_unknown_authority_is_not_trusted() -> None:
    """Nothing is sent to it, and it is not tried again."""
    with Receiver() as receiver, Receiver() as other:
        dialled = Dialled(receiver)
        dialled.trusting = other.trusting
        refused = refusal(webhook(dialled))
    assert refused.then is Then.STOP
    assert "certificate" in str(refused)
    assert receiver.requests == []


def test_the_certificate_must_be_the_host_s() -> None:
    """Whoever the address belongs to."""
    with Receiver(name="other.example") as receiver:
        refused = refusal(webhook(Dialled(receiver)))
    assert refused.then is Then.STOP
    assert "hooks.example" in str(refused)
    assert receiver.requests == []
