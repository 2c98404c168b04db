"""A receiver of webhooks on loopback, over TLS, that answers what a test tells it to."""

import base64
import secrets
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import trustme
from daena_kms.notify.base import Timing
from daena_kms.notify.wire import Network
from daena_kms.settings import Settings

HOST = "hooks.example"
#: Public, and nobody's that a test could reach.
PUBLIC = "93.184.215.14"
NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

type Answer = bytes | Callable[[ssl.SSLSocket], None]


def answer(status: int, *headers: str) -> bytes:
    """An answer without a body."""
    lines = [f"HTTP/1.1 {status} Whatever", *headers, "Content-Length: 0", "", ""]
    return "\r\n".join(lines).encode()


def new_secret() -> str:
    """A secret in the form of Standard Webhooks."""
    return f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"


@dataclass(frozen=True, slots=True)
class Received:
    """One request, and the number of the connection that it came on."""

    line: str
    headers: dict[str, str]
    body: bytes
    connection: int


class Receiver:
    """Takes one connection at a time while it is a context; the last answer is given for ever."""

    def __init__(
        self, *answers: Answer, name: str = HOST, authority: trustme.CA | None = None
    ) -> None:
        self.authority = authority or trustme.CA()
        self.requests: list[Received] = []
        self.connections = 0
        self._answers = list(answers or [NO_CONTENT])
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.authority.issue_cert(name).configure_cert(self._context)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    def trusting(self) -> ssl.SSLContext:
        """A client's context that trusts this receiver's authority and no other."""
        context = ssl.create_default_context()
        self.authority.configure_trust(context)
        return context

    def answer_with(self, what: Answer) -> None:
        """Give this answer from now on."""
        self._answers[:] = [what]

    def _serve(self) -> None:
        while True:
            try:
                plain, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            # A client that gives up, or does not trust us, is what many tests are about.
            with plain, suppress(OSError):
                plain.settimeout(30)
                with self._context.wrap_socket(plain, server_side=True) as connection:
                    self._talk(connection)

    def _talk(self, connection: ssl.SSLSocket) -> None:
        with connection.makefile("rb") as reader:
            while line := reader.readline().decode().strip():
                headers = {}
                while header := reader.readline().decode().strip():
                    name, _, text = header.partition(": ")
                    headers[name.lower()] = text
                body = reader.read(int(headers["content-length"]))
                self.requests.append(Received(line, headers, body, self.connections))
                what = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
                if callable(what):
                    what(connection)
                else:
                    connection.sendall(what)


class Dialled:
    """A network on which every address is the receiver's, and that notes what was asked of it."""

    def __init__(self, receiver: Receiver, *answers: list[str]) -> None:
        self.looked_up: list[tuple[str, int]] = []
        self.dialled: list[tuple[str, int]] = []
        self.trusting = receiver.trusting
        self._receiver = receiver
        self._answers = list(answers or [[PUBLIC]])

    def look_up(self, host: str, port: int) -> list[str]:
        """Answer what the test says, and the last of it for ever."""
        self.looked_up.append((host, port))
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]

    def dial(self, address: str, port: int, seconds: float) -> socket.socket:
        """Connect to the receiver, whatever the address."""
        self.dialled.append((address, port))
        return socket.create_connection(("127.0.0.1", self._receiver.port), seconds)

    def network(self) -> Network:
        """The network as the wire takes it."""
        return Network(self.look_up, self.dial, self.trusting)


class Hours:
    """Time that passes when somebody sleeps, or at each look at the clock if a test says so."""

    def __init__(self, *, tick: float = 0.0) -> None:
        self.now = 1_000.0
        self.slept: list[float] = []
        self.tick = tick

    def monotonic(self) -> float:
        """Look at the clock."""
        self.now += self.tick
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.slept.append(seconds)
        self.now += seconds

    def timing(self, *, chance: float = 1.0) -> Timing:
        """Timing by this clock, with the wall's own for the receiver."""
        return Timing(monotonic=self.monotonic, sleep=self.sleep, chance=lambda: chance)


def settings(secret: str, url: str = f"https://{HOST}/in?token=t", allow: str = "") -> Settings:
    """An environment with an endpoint."""
    return Settings.load(
        {
            "DAENA_KMS_ENDPOINT": url,
            "DAENA_KMS_ENDPOINT_SECRET": secret,
            "DAENA_KMS_ENDPOINT_ALLOW": allow,
        }
    )
