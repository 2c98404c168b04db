"""Which addresses are connected to: those that were checked, and no others."""

import socket
import ssl
from itertools import count

import pytest
from daena_kms.notify.base import Event, Then, Timing, Undelivered
from daena_kms.notify.endpoint import endpoint_from
from daena_kms.notify.webhook import Webhook
from daena_kms.notify.wire import Network, dial, look_up

from tests.unit.keys import NOW
from tests.unit.notify.receiver import (
    HOST,
    NO_CONTENT,
    OK,
    PUBLIC,
    Dialled,
    Hours,
    Receiver,
    new_secret,
    settings,
)

SECRET = new_secret()
EVENT = Event("0" * 32, "io.daena-kms.key.rotated", "urn:x", "k", NOW, {"key": "k"})
#: Long enough for a handshake on a busy machine, short enough to be waited for.
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


def test_a_name_that_is_not_found_is_looked_up_again() -> None:
    """Only an answer is kept."""

    def fail(_host: str, _port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_AGAIN, "try again")

    with Receiver() as receiver:
        dialled = Dialled(receiver)
        answers = [fail, dialled.look_up]

        def next_one(host: str, port: int) -> list[str]:
            return answers.pop(0)(host, port)

        network = Network(next_one, dialled.dial, dialled.trusting)
        sink = webhook(network)
        assert str(refusal(sink)) == "no answer (gaierror)"
        sink.send(EVENT, 5.0)
        sink.close()
    assert len(receiver.requests) == 1


def test_a_host_without_addresses() -> None:
    """Is no receiver."""
    assert str(refusal(webhook(Network(lambda _host, _port: [])))) == "no answer (ConnectionError)"


def test_a_name_that_changes_between_check_and_connection_gains_nothing() -> None:
    """The second answer is never asked for: not for a retry, not for a new connection."""
    closing = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    with Receiver(closing) as receiver:
        dialled = Dialled(receiver, [PUBLIC], ["127.0.0.1"])
        sink = webhook(dialled.network())
        for _ in range(3):
            sink.send(EVENT, 5.0)
    assert dialled.looked_up == [(HOST, 443)]
    assert dialled.dialled == [(PUBLIC, 443)] * 3
    assert receiver.connections == 3


def test_each_name_that_changes_is_checked_anew_by_the_next_run() -> None:
    """What was public yesterday is refused today."""
    with Receiver() as receiver:
        dialled = Dialled(receiver, [PUBLIC], ["127.0.0.1"])
        first = webhook(dialled.network())
        first.send(EVENT, 5.0)
        first.close()
        refused = refusal(webhook(dialled.network()))
    assert refused.then is Then.STOP
    assert "hooks.example is 127.0.0.1, which is private" in str(refused)
    assert dialled.dialled == [(PUBLIC, 443)]


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.0.0.1", "169.254.169.254", "168.63.129.16", "0.1.2.3", "100.64.0.1"),
        *("::1", "::", "fe80::1%2", "fd00:ec2::254", "::ffff:127.0.0.1", "::7f00:1"),
        *("64:ff9b::7f00:1", "2002:7f00:1::", "2001:0:1:1:0:0:80ff:fffe", "ff02::1", "nonsense"),
    ],
)
@pytest.mark.parametrize("beside", [True, False])
def test_one_bad_address_refuses_the_host(address: str, *, beside: bool) -> None:
    """Before any connection, wherever it stands among the others."""
    found = [PUBLIC, address, "2606:4700::1"] if beside else [address]

    def never(_address: str, _port: int, _seconds: float) -> socket.socket:
        raise AssertionError(_address)

    refused = refusal(webhook(Network(lambda _host, _port: found, never)))
    assert refused.then is Then.STOP


def test_metadata_is_refused_even_for_a_host_that_is_allowed() -> None:
    """A name that may be private may not turn into the metadata's."""

    def never(_address: str, _port: int, _seconds: float) -> socket.socket:
        raise AssertionError(_address)

    for address in ("169.254.169.254", "fd00:ec2::254", "::ffff:169.254.169.254"):
        network = Network(lambda _host, _port, found=address: [found], never)  # type: ignore[misc] # a default binds it
        assert "metadata" in str(refusal(webhook(network, allow=HOST)))


def test_the_next_address_is_tried() -> None:
    """One that does not answer is passed over, with a share of the time."""
    shares = []
    with Receiver() as receiver:
        dialled = Dialled(receiver, ["2606:4700::1", PUBLIC])

        def picky(address: str, port: int, seconds: float) -> socket.socket:
            shares.append(seconds)
            if ":" in address:
                raise ConnectionRefusedError
            return dialled.dial(address, port, seconds)

        sink = webhook(Network(dialled.look_up, picky, dialled.trusting))
        sink.send(EVENT, 4.0)
        sink.close()
    assert shares == [2.0, 4.0]
    assert len(receiver.requests) == 1


def test_no_address_answers() -> None:
    """The last failure is what is told."""

    def refuse(_address: str, _port: int, _seconds: float) -> socket.socket:
        raise ConnectionRefusedError

    network = Network(lambda _host, _port: [PUBLIC, "2606:4700::1"], refuse)
    assert str(refusal(webhook(network))) == "no answer (ConnectionRefusedError)"


def test_a_connection_that_breaks_between_events_is_made_anew() -> None:
    """At the next try."""

    def answer_and_leave(connection: ssl.SSLSocket) -> None:
        connection.sendall(OK)
        connection.shutdown(socket.SHUT_RDWR)

    with Receiver(answer_and_leave, NO_CONTENT) as receiver:
        sink = webhook(Dialled(receiver).network())
        sink.send(EVENT, 5.0)
        assert refusal(sink).then is Then.RETRY
        sink.send(EVENT, 5.0)
        sink.close()
    assert [got.connection for got in receiver.requests] == [1, 2]


def test_an_environment_full_of_proxies_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection goes to the address that was checked."""
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with Receiver() as receiver:
        dialled = Dialled(receiver)
        sink = webhook(dialled.network())
        sink.send(EVENT, 5.0)
        sink.close()
    assert dialled.dialled == [(PUBLIC, 443)]


def test_the_machine_s_own_network() -> None:
    """Names are looked up, and an address is connected to, or refused, without a look-up."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert "127.0.0.1" in look_up("localhost", port)
        with dial("127.0.0.1", port, 5.0) as connection:
            assert connection.getpeername() == ("127.0.0.1", port)
    with pytest.raises(OSError, match="refused"):
        dial("127.0.0.1", port, 5.0)
    with pytest.raises(ValueError, match="localhost"):
        dial("localhost", port, 5.0)


def test_a_zone_is_part_of_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that the guard sees it; each address counts once."""
    numbers = count()
    found = [
        (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("fe80::1", 443, 0, 2)),
        (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("2606:4700::1", 443, 0, 0)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", (PUBLIC, 443)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", (PUBLIC, 443)),
    ]

    def answers(*_asked: object, **_more: object) -> list[object]:
        next(numbers)
        return list(found)

    monkeypatch.setattr(socket, "getaddrinfo", answers)
    assert look_up(HOST, 443) == ["fe80::1%2", "2606:4700::1", PUBLIC]
    assert next(numbers) == 1
