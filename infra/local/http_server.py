"""An HTTP server on loopback, one thread a connection, that ends them all when it stops."""

import socket
import socketserver
import ssl
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qsl, unquote, urlsplit

#: How often a listener looks whether it was stopped.
_POLL_SECONDS = 0.02


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


@dataclass(frozen=True, slots=True)
class Response:
    """An HTTP answer; ``error`` is the service's error code, for the call log."""

    status: int
    body: bytes = field(default=b"", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)
    error: str = ""


class Listener(socketserver.ThreadingMixIn, HTTPServer):
    """Accepts connections, and keeps track of the open ones to end them when it stops."""

    daemon_threads = False
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

    def server_bind(self) -> None:
        """Bind to the port."""
        # The method of HTTPServer also looks up its name in the DNS.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "127.0.0.1", self.socket.getsockname()[1]

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


class _Handler(BaseHTTPRequestHandler):
    """Turns a connection's bytes into requests and answers into bytes."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: Listener

    def handle_expect_100(self) -> bool:
        """Let the client send its body at once; botocore waits a second for this line."""
        proceed = super().handle_expect_100()
        self.wfile.flush()
        return proceed

    def serve(self) -> None:
        """Answer one request."""
        target = urlsplit(self.path)
        request = Request(
            method=self.command,
            path=unquote(target.path),
            query=dict(parse_qsl(target.query, keep_blank_values=True)),
            headers={name.lower(): value for name, value in self.headers.items()},
            body=self.rfile.read(int(self.headers.get("Content-Length", "0"))),
            secure=self.server.tls is not None,
            target=self.path,
        )
        response = self.server.answer(request)
        if response is None:
            self.close_connection = True
            return
        self.send_response_only(response.status)
        self.send_header("Server", self.version_string())
        if "Date" not in response.headers:  # a service may have a clock of its own
            self.send_header("Date", self.date_time_string())
        for name, value in response.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(response.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(response.body)

    # http.server finds the methods by these names.
    do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = do_DELETE = serve  # noqa: N815 - as above

    def log_message(self, *_args: object) -> None:
        """Log nothing: a request line may hold a secret value."""
