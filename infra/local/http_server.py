"""An HTTP server on loopback, one thread a connection, that ends them all when it stops."""

import http.client
import socket
import socketserver
import ssl
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Self
from urllib.parse import parse_qsl, unquote, urlsplit

#: How often a listener looks whether it was stopped.
_POLL_SECONDS = 0.02
#: The bytes of the longest line of a request.
_LONGEST = 65537
_VERSIONS = frozenset({"HTTP/1.0", "HTTP/1.1"})


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request: path decoded, header names in lower case."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    secure: bool = False
    """Whether it came over TLS."""
    target: str = ""
    """The address as it was sent. ``query`` keeps only the last value of a repeated name."""
    waits: bool = True
    """Whether its client can be left without an answer. One in this process can't."""

    @classmethod
    def sent(
        cls,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes,
        *,
        secure: bool = False,
    ) -> Self:
        """Return a request as it was sent: ``target`` is the address without the host."""
        parts = urlsplit(target)
        return cls(
            method=method,
            path=unquote(parts.path),
            query=dict(parse_qsl(parts.query, keep_blank_values=True)),
            headers={name.lower(): value for name, value in headers.items()},
            body=body,
            secure=secure,
            target=target,
        )


@dataclass(frozen=True, slots=True)
class Response:
    """An HTTP answer; ``error`` is the service's error code, for the call log."""

    status: int
    body: bytes = field(default=b"", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)
    error: str = ""

    def sent_headers(self) -> dict[str, str]:
        """Return the headers, with those that a server adds, as a client in this process gets."""
        added = {"Date": formatdate(usegmt=True), "Content-Length": str(len(self.body))}
        # A service may have a clock of its own.
        return {**added, **self.headers, "Content-Length": added["Content-Length"]}


class Listener(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """Accepts connections, and keeps track of the open ones to end them when it stops."""

    daemon_threads = False
    allow_reuse_address = True
    # The default of 5 makes some of twenty simultaneous clients wait a second for a SYN retry.
    request_queue_size = 256

    def __init__(
        self,
        port: int,
        answer: Callable[[Request], Response | None],
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.answer = answer
        self.tls = tls
        self.crashes: list[Exception] = []
        self._open: set[socket.socket] = set()
        self._open_lock = threading.Lock()
        self._thread = threading.Thread(
            target=self.serve_forever, kwargs={"poll_interval": _POLL_SECONDS}
        )
        super().__init__(("127.0.0.1", port), _Handler)

    def start(self) -> None:
        """Serve in a thread."""
        self._thread.start()

    def stop(self) -> None:
        """End every connection and thread. ``crashes`` then holds what went wrong in them."""
        if self._thread.is_alive():
            self.shutdown()
            self._thread.join()
        self.end_connections()
        self.server_close()

    @property
    def server_port(self) -> int:
        """The port that it listens on."""
        return int(self.socket.getsockname()[1])

    def process_request(
        self, request: socket.socket | tuple[bytes, socket.socket], client_address: object
    ) -> None:
        """Serve a connection in a thread of its own."""
        if isinstance(request, socket.socket):
            if self.tls is not None:
                # The handshake waits for the client, so the connection's own thread does it.
                request = self.tls.wrap_socket(
                    request, server_side=True, do_handshake_on_connect=False
                )
            with self._open_lock:
                self._open.add(request)
        super().process_request(request, client_address)

    def finish_request(
        self, request: socket.socket | tuple[bytes, socket.socket], client_address: object
    ) -> None:
        """Serve a connection, after its handshake."""
        if isinstance(request, ssl.SSLSocket):
            request.do_handshake()
        super().finish_request(request, client_address)

    def shutdown_request(self, request: socket.socket | tuple[bytes, socket.socket]) -> None:
        """End a connection."""
        if isinstance(request, socket.socket):
            with self._open_lock:
                self._open.discard(request)
        super().shutdown_request(request)

    def end_connections(self) -> None:
        """End every connection, including those that wait for a request."""
        with self._open_lock:
            for connection in self._open:
                with suppress(OSError):
                    # A TLS socket's own method would drop the session while its thread reads.
                    socket.socket.shutdown(connection, socket.SHUT_RDWR)

    def handle_error(self, _request: object, _client_address: object) -> None:
        """Keep what went wrong in a connection's thread, to be raised when the server stops."""
        error = sys.exception()
        # Many tests have a client that gives up, or does not trust us. Anything else is a defect
        # of the simulator.
        if isinstance(error, Exception) and not isinstance(error, ConnectionError | ssl.SSLError):
            self.crashes.append(error)


class _Handler(socketserver.StreamRequestHandler):
    """Turns a connection's bytes into requests and answers into bytes, with HTTP/1.1's framing.

    The one of ``http.server`` reads headers as those of an e-mail, which took longer than all else
    that a simulator does for a call. Nothing is logged: a request line may hold a secret value.
    """

    disable_nagle_algorithm = True
    server: Listener

    def handle(self) -> None:
        """Answer one request after the other."""
        while self._serve():
            pass

    def _serve(self) -> bool:
        """Answer one request, and say whether the connection goes on."""
        first = self.rfile.readline(_LONGEST)
        if first in {b"", b"\r\n"}:
            return bool(first)
        try:
            method, target, version, headers = self._head(first)
            length = int(headers.get("content-length", "0"))
        except ValueError:
            self.wfile.write(_written(Response(400, b"not a request that is modelled here")))
            return False
        if headers.get("expect", "").lower() == "100-continue":
            # At once: botocore waits a second for this line.
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body, secure = self.rfile.read(length), self.server.tls is not None
        if len(body) < length:
            return False
        response = self.server.answer(Request.sent(method, target, headers, body, secure=secure))
        if response is None:
            return False
        self.wfile.write(_written(response, bodiless=method == "HEAD"))
        return version != "HTTP/1.0" and headers.get("connection", "").lower() != "close"

    def _head(self, first: bytes) -> tuple[str, str, str, dict[str, str]]:
        """Return method, target, version and headers. Raises :class:`ValueError` for others."""
        method, target, version = first.decode("latin-1").split()
        headers: dict[str, str] = {}
        while (line := self.rfile.readline(_LONGEST)) not in {b"\r\n", b"\n", b""}:
            name, colon, value = line.decode("latin-1").partition(":")
            if not colon or not line.endswith(b"\n"):
                raise ValueError(name)
            headers[name.lower()] = value.strip()
        if version not in _VERSIONS or "transfer-encoding" in headers:
            raise ValueError(version)
        return method, target, version, headers


def _written(response: Response, *, bodiless: bool = False) -> bytes:
    """Return an answer as it goes over the wire."""
    phrase = http.client.responses.get(response.status, "")
    lines = [f"HTTP/1.1 {response.status} {phrase}"]
    lines += [f"{name}: {value}" for name, value in response.sent_headers().items()]
    head = "\r\n".join([*lines, "", ""]).encode("latin-1")
    return head if bodiless else head + response.body
