"""The framing of HTTP/1.1 by which every simulator is reached."""

import socket
from collections.abc import Iterator

import pytest

from infra.local.http_server import Listener, Request, Response


def _echo(request: Request) -> Response | None:
    if request.path == "/end":
        return None
    return Response(200, f"{request.method} {request.path}".encode() + request.body)


@pytest.fixture
def listener() -> Iterator[Listener]:
    """Give a listener that says what it was asked."""
    made = Listener(0, _echo)
    made.start()
    yield made
    made.stop()
    assert made.crashes == []


def exchange(listener: Listener, sent: bytes) -> bytes:
    """Send bytes, and return all that comes until the end of the connection."""
    with socket.create_connection(("127.0.0.1", listener.server_port)) as connection:
        connection.sendall(sent)
        return b"".join(iter(lambda: connection.recv(65536), b""))


END = b"GET /end HTTP/1.1\r\n\r\n"


def test_one_request_after_the_other(listener: Listener) -> None:
    """A connection stays, each body is as long as it says, and names of headers have no case."""
    put = b"PUT /%61 HTTP/1.1\r\nCONTENT-length: 3\r\n\r\nxyz"
    answers = exchange(listener, put + b"\r\n" + b"GET /b HTTP/1.1\r\nHost: x\r\n\r\n" + END)
    assert answers.count(b"HTTP/1.1 200 OK\r\n") == 2
    assert b"Content-Length: 9\r\n\r\nPUT /axyzHTTP/1.1" in answers
    assert answers.endswith(b"\r\n\r\nGET /b")


@pytest.mark.parametrize(
    "head", [b"GET /a HTTP/1.0\r\n", b"GET /a HTTP/1.1\r\nConnection: Close\r\n"]
)
def test_a_connection_that_is_to_end_ends(listener: Listener, head: bytes) -> None:
    """After its answer, as the client asked."""
    assert exchange(listener, head + b"\r\n" + END * 2).endswith(b"\r\n\r\nGET /a")


def test_an_answer_to_head_has_no_body(listener: Listener) -> None:
    """Only its length."""
    answer = exchange(listener, b"HEAD /a HTTP/1.1\r\n\r\n" + END)
    assert answer.endswith(b"Content-Length: 7\r\n\r\n")


def test_a_client_that_asks_first_is_told_to_go_on(listener: Listener) -> None:
    """Before its body is read."""
    head = b"PUT /a HTTP/1.1\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n\r\n"
    assert exchange(listener, head + b"x" + END).startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/")


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /a\r\n\r\n",
        b"GET /a HTTP/2\r\n\r\n",
        b"GET /a b HTTP/1.1\r\n\r\n",
        b"GET /a HTTP/1.1\r\nno header\r\n\r\n",
        b"PUT /a HTTP/1.1\r\nContent-Length: many\r\n\r\n",
        b"PUT /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n",
    ],
)
def test_what_is_not_modelled_is_refused(listener: Listener, sent: bytes) -> None:
    """With 400, never taken for another request; then the connection ends."""
    connection = socket.create_connection(("127.0.0.1", listener.server_port))
    with connection:
        connection.sendall(sent)
        assert connection.recv(65536).startswith(b"HTTP/1.1 400 Bad Request\r\n")
