"""Sends one request over TLS to an address that was checked, within bounds on time and bytes.

It uses no proxy and follows no redirect: with both, another host would decide where an event goes.
"""

import http.client
import io
import queue
import socket
import ssl
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from ipaddress import ip_address
from typing import Any

from daena_kms.notify.endpoint import Endpoint
from daena_kms.notify.guard import check_address

#: How many bytes of an answer are read at most, and how many of its body.
MAX_ANSWER = 65_536
MAX_BODY = 4_096
#: How many seconds a body is waited for. It is only read to use the connection again.
_BODY_SECONDS = 1.0

#: Returns the seconds that are left; raises TimeoutError when none are.
type Left = Callable[[], float]


def look_up(host: str, port: int) -> list[str]:
    """Return a host's addresses. An address of one network interface carries its zone."""
    answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    addresses = []
    for _, _, _, _, where in answers:
        match where:
            case (address, _, _, zone) if zone:
                addresses.append(f"{address}%{zone}")
            case (address, *_):
                addresses.append(str(address))
    return list(dict.fromkeys(addresses))


def dial(address: str, port: int, seconds: float) -> socket.socket:
    """Connect to an address within so many seconds. It takes no name, so nothing is looked up."""
    family = {4: socket.AF_INET, 6: socket.AF_INET6}[ip_address(address).version]
    connection = socket.socket(family, socket.SOCK_STREAM)
    try:
        connection.settimeout(seconds)
        connection.connect((address, port))
    except BaseException:
        connection.close()
        raise
    return connection


@dataclass(frozen=True, slots=True)
class Network:
    """What the wire needs from the machine; a test brings its own."""

    look_up: Callable[[str, int], Sequence[str]] = look_up
    dial: Callable[[str, int, float], socket.socket] = dial
    tls: Callable[[], ssl.SSLContext] = ssl.create_default_context


@dataclass(slots=True)
class Wire:
    """Sends requests to one endpoint: looks its host up once, and keeps its connection."""

    endpoint: Endpoint
    network: Network
    _addresses: list[str] = field(default_factory=list)
    _tls: ssl.SSLContext | None = None
    _open: "_Connection | None" = None

    def post(self, body: bytes, headers: Mapping[str, str], left: Left) -> tuple[int, str | None]:
        """Send a request and return the answer's status and its ``Retry-After``.

        Args:
            body: the content of the request.
            headers: those that are sent beside ``Host`` and ``Content-Length``.
            left: how much time there is for all of it.

        Raises:
            ConfigError: no event may go to the host's address.
            OSError: nothing came back in time, or more than an answer may have.
            http.client.HTTPException: what came back is not an answer.
        """
        try:
            if self._open is None:
                self._open = self._connection(left)
            answer = self._open.post(body, headers, left)
        except BaseException:
            self.close()
            raise
        if not self._open.is_at_its_end(answer):
            self.close()
        return answer.status, answer.headers.get("Retry-After")

    def close(self) -> None:
        """End the connection."""
        if self._open is not None:
            self._open.close()
            self._open = None

    def _connection(self, left: Left) -> "_Connection":
        host, port = self.endpoint.host, self.endpoint.port
        if not self._addresses:
            resolved = _within(partial(self.network.look_up, host, port), left())
            # One refused address refuses them all: they belong to one host.
            self._addresses = [check_address(host, a, self.endpoint.allowed) for a in resolved]
        if self._tls is None:
            self._tls = self.network.tls()
        return _Connection(self.endpoint, self._addresses, self._tls, self.network.dial)


class _Connection(http.client.HTTPSConnection):
    """One connection, to one of the addresses that were checked and to nothing else.

    It is replaced rather than reopened, so that nothing of a failed request is left in it. Its
    ``left`` says how much time there is for the request that is under way.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        addresses: Sequence[str],
        tls: ssl.SSLContext,
        dial: Callable[[str, int, float], socket.socket],
    ) -> None:
        super().__init__(endpoint.host, endpoint.port, context=tls)
        self._endpoint = endpoint
        self._addresses = addresses
        self._tls = tls
        self._dial = dial
        self.left: Left = lambda: 0.0

    def post(self, body: bytes, headers: Mapping[str, str], left: Left) -> http.client.HTTPResponse:
        """Send a request and return the answer, whose body is not read yet."""
        self.left = left
        self.putrequest("POST", self._endpoint.target, skip_host=True, skip_accept_encoding=True)
        self.putheader("Host", self._endpoint.authority)
        for name, value in headers.items():
            self.putheader(name, value)
        self.putheader("Content-Length", len(body))
        self.endheaders(body)
        return self.getresponse()

    def connect(self) -> None:
        """Connect to the first address that answers; no name is looked up, no proxy asked."""
        failure: OSError = ConnectionError("the host has no address")
        for number, address in enumerate(self._addresses):
            try:
                share = self.left() / (len(self._addresses) - number)
                plain = self._dial(address, self.port, share)
            except OSError as error:
                failure = error
                continue
            try:
                plain.settimeout(self.left())
                tls = self._tls.wrap_socket(plain, server_hostname=self.host)
            except BaseException:
                plain.close()
                raise
            self.sock = _Socket(tls, self)
            return
        raise failure

    def is_at_its_end(self, answer: http.client.HTTPResponse) -> bool:
        """Read a short body to its end, and return whether the connection can be used again."""
        if answer.will_close:
            return False
        left = self.left
        self.left = lambda: min(left(), _BODY_SECONDS)
        try:
            answer.read(MAX_BODY)
        except (OSError, http.client.HTTPException, ValueError):
            return False  # a malformed body also counts as closed; a negative chunk size raises
        return answer.isclosed()


class _Socket:
    """A TLS socket whose calls never outlast the time that is left.

    The socket's own timeout would start again with every byte that the receiver sends.
    """

    def __init__(self, tls: ssl.SSLSocket, connection: _Connection) -> None:
        self._tls = tls
        self._connection = connection
        self._unsent = b""

    def sendall(self, data: bytes) -> None:
        """Keep what is to be sent: head and body come apart, and leave together."""
        self._unsent += data

    def makefile(self, _mode: str) -> io.BufferedReader:
        """Send the request, and return a reader for its answer."""
        data, self._unsent = self._unsent, b""
        self._tls.settimeout(self._connection.left())
        self._tls.sendall(data)
        return io.BufferedReader(_Answer(self))

    def receive(self, into: memoryview) -> int:
        self._tls.settimeout(self._connection.left())
        return self._tls.recv_into(into)

    def close(self) -> None:
        self._tls.close()


class _Answer(io.RawIOBase):
    """The answer to one request, up to a number of bytes."""

    def __init__(self, source: _Socket) -> None:
        self._source = source
        self._room = MAX_ANSWER

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self._room <= 0:
            raise OSError("the answer is too long")
        count = self._source.receive(memoryview(buffer)[: self._room])
        self._room -= count
        return count


def _within[T](call: Callable[[], T], seconds: float) -> T:
    """Return the result of a call that takes no timeout, or stop waiting after so many seconds."""
    answer: queue.SimpleQueue[T | Exception] = queue.SimpleQueue()

    def run() -> None:
        try:
            answer.put(call())
        except Exception as error:  # noqa: BLE001 - raised again by the thread that waits
            answer.put(error)

    threading.Thread(target=run, name="daena-kms-look-up", daemon=True).start()
    try:
        result = answer.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError("the name service did not answer in time") from None
    if isinstance(result, Exception):
        raise result
    return result
