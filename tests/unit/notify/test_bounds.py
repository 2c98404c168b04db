"""What a receiver or a name service may try, and how long and how far it gets."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable

import pytest
from daena_kms.notify.base import Event, Then, Timing, Undelivered
from daena_kms.notify.endpoint import endpoint_from
from daena_kms.notify.webhook import Webhook
from daena_kms.notify.wire import MAX_ANSWER, Network

from tests.unit.keys import NOW
from tests.unit.notify.receiver import (
    PUBLIC,
    Dialled,
    Hours,
    Receiver,
    new_secret,
    settings,
)

SECRET = new_secret()
EVENT = Event("0" * 32, "io.daena-kms.key.rotated", "urn:x", "k", NOW, {"key": "k"})
#: Seconds that are really waited for what never comes.
SHORT = 0.3


def webhook(network: Network, timing: Timing | None = None, allow: str = "") -> Webhook:
    """A sink on a network of the test's."""
    endpoint = endpoint_from(settings(SECRET, allow=allow))
    assert endpoint is not None
    return Webhook(endpoint, timing or Hours().timing(), network)


def refusal(sink: Webhook, within: float = 5.0) -> Undelivered:
    """What became of an event that was not delivered."""
    with pytest.raises(Undelivered) as refused:
        sink.send(EVENT, within)
    return refused.value


def endless(first: bytes, then: bytes) -> Callable[[ssl.SSLSocket], None]:
    """An answer that goes on until the client has had enough."""

    def send(connection: ssl.SSLSocket) -> None:
        with contextlib.suppress(OSError):
            connection.sendall(first)
            while True:
                connection.sendall(then)

    return send


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (b"HTTP/1.1 200 OK\r\n", b"X-More: 1\r\n" * 100),
        (b"HTTP/1.1 200 OK\r\nX-Long: ", b"x" * 1_000),
        (b"HTTP/1.1 ", b"2" * 1_000),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 50),
        (b"", b"\x00" * 1_000),
        (b"\r\n", b"\r\n" * 500),
    ],
)
def test_headers_without_end(first: bytes, then: bytes) -> None:
    """They are read up to a bound, and count as no answer."""
    script = endless(first, then)
    with Receiver(script) as receiver:
        refused = refusal(webhook(Dialled(receiver).network()))
    assert refused.then is Then.RETRY
    assert str(refused).startswith("no answer (")


@pytest.mark.parametrize(
    "first",
    [
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffff\r\n",
    ],
)
def test_a_body_without_end(first: bytes) -> None:
    """The event is delivered, the body left unread, the connection ended."""
    script = endless(first, b"x" * 16_384)
    with Receiver(script) as receiver:
        sink = webhook(Dialled(receiver).network())
        sink.send(EVENT, 5.0)
        sink.send(EVENT, 5.0)
    assert [got.connection for got in receiver.requests] == [1, 2]


def test_a_chunk_of_a_length_below_nothing() -> None:
    """The status has decided; the next event goes over a connection of its own."""
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nabcdefgh"
    with Receiver(chunked) as receiver:
        sink = webhook(Dialled(receiver).network())
        sink.send(EVENT, 5)
        sink.send(EVENT, 5)
        sink.close()
    assert [request.connection for request in receiver.requests] == [1, 2]


def test_no_answer_is_longer_than_the_bound() -> None:
    """Exactly so many bytes are taken, whatever the receiver goes on to send."""
    script = endless(b"HTTP/1.1 100 Continue\r\n", b"X: 1\r\n\r\nHTTP/1.1 100 Continue\r\n" * 9)
    taken = []
    with Receiver(script) as receiver:
        dialled = Dialled(receiver)

        class Counting(ssl.SSLSocket):
            def recv_into(self, *arguments: object) -> int:
                size = super().recv_into(*arguments)  # type: ignore[arg-type] # passed on
                taken.append(size)
                return size

        def trusting() -> ssl.SSLContext:
            context = receiver.trusting()
            context.sslsocket_class = Counting
            return context

        dialled.trusting = trusting
        assert refusal(webhook(dialled.network())).then is Then.RETRY
    assert sum(taken) == MAX_ANSWER


def test_a_receiver_that_says_nothing_is_not_waited_for() -> None:
    """The connection is ended when the time is over.

    Each look at the clock takes a second: what is left by the sixth is for the answer.
    """
    gone = threading.Event()

    def silent(connection: ssl.SSLSocket) -> None:
        with contextlib.suppress(OSError):
            connection.recv(1)
        gone.set()

    with Receiver(silent) as receiver:
        timing = Hours(tick=1.0).timing()
        refused = refusal(webhook(Dialled(receiver).network(), timing), 5 + SHORT)
        assert gone.wait(20)
    assert len(receiver.requests) == 1
    assert refused.then is Then.RETRY
    assert str(refused) == "no answer (TimeoutError)"


def test_a_receiver_that_drips_is_not_waited_for_with_every_drop() -> None:
    """All drops together have the time that one try has: here each look at the clock takes 1 s."""
    script = endless(b"H", b"T")
    with Receiver(script) as receiver:
        timing = Hours(tick=1.0).timing()
        refused = refusal(webhook(Dialled(receiver).network(), timing), within=30.0)
    assert str(refused) == "no answer (TimeoutError)"


def test_a_handshake_that_never_ends() -> None:
    """A server that takes the connection and is silent costs no more than the time allowed."""
    with socket.create_server(("127.0.0.1", 0)) as mute:

        def to_mute(_address: str, _port: int, seconds: float) -> socket.socket:
            return socket.create_connection(mute.getsockname(), seconds)

        network = Network(lambda _host, _port: [PUBLIC], to_mute)
        assert str(refusal(webhook(network, Timing()), SHORT)) == "no answer (TimeoutError)"


def test_a_name_service_that_never_answers() -> None:
    """It is not waited for either, though nothing can stop it."""
    release = threading.Event()

    def slow(_host: str, _port: int) -> list[str]:
        release.wait(20)
        return [PUBLIC]

    refused = refusal(webhook(Network(slow), Timing()), SHORT)
    release.set()
    assert str(refused) == "no answer (TimeoutError)"
    assert refused.then is Then.RETRY
