"""One request to a service's REST interface, with the settings of an obstore store.

The log's objects are put and read by obstore, and listed by us: to the same address, through the
same proxy, trusting the same certificates, as the same caller.
"""

import base64
import contextlib
import functools
import json
import re
import select
import socket
import ssl
import threading
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from http.client import (
    HTTPConnection,
    HTTPException,
    HTTPResponse,
    HTTPSConnection,
    InvalidURL,
)
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, quote, unquote, urlencode, urlsplit

from daena_kms.errors import DaenaKMSError
from daena_kms.sdk.quiet import quiet
from daena_kms.sdk.transport import proxy_for

#: obstore's own, where a store says nothing, in seconds.
_TIMEOUT, _CONNECT_TIMEOUT = 30.0, 5.0
_OK = 200
#: A credential is fetched anew this long before it expires.
_EARLY = timedelta(minutes=1)
#: What else a login ends in: a file that can't be read or is malformed.
_BROKEN = (OSError, ValueError, TypeError, KeyError, AttributeError)
_UNITS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "days": 86_400.0}
_SPAN = re.compile(r"([0-9]+)\s*(ns|us|ms|s|m|h|days)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one question: its status, its headers by lower-case name, its body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Why(Enum):
    """Why there is no answer."""

    #: Nobody listens there, or the connection broke.
    AWAY = auto()
    #: The name of its host can't be looked up.
    NAME = auto()
    #: The certificate is not trusted.
    CERTIFICATE = auto()
    #: What answers speaks no TLS.
    NO_TLS = auto()
    #: The proxy can't be reached, or does not connect.
    PROXY = auto()
    #: There is nobody to ask as.
    LOGIN = auto()
    #: The address can't be asked.
    SETTING = auto()
    #: What answered is not what was asked for.
    NONSENSE = auto()


#: What may have passed by the next time.
PASSING = frozenset({Why.AWAY, Why.NAME, Why.PROXY})


class NoAnswer(Exception):
    """The service did not answer, or could not be asked.

    Args:
        name: What happened, in one word or a few, which nothing from outside chose.
        why: What that means.
    """

    def __init__(self, name: str, why: Why = Why.AWAY) -> None:
        super().__init__(name)
        self.why = why


#: Returns the headers that authorize a request to an address.
type Authorize = Callable[[str], Mapping[str, str]]
#: Returns the path of a file with certificate authorities, for a Python that finds no system's.
type Bundle = Callable[[], str]


class Asker:
    """Asks one address, each time with another query or document.

    Args:
        address: Without a query.
        authorize: Returns the headers for the whole address. It may raise our errors, and
            :class:`NoAnswer`.
        bundle: Where a library of this cloud keeps certificate authorities.
        options: The client options of an obstore store.
    """

    def __init__(
        self,
        address: str,
        authorize: Authorize,
        bundle: Bundle,
        options: Mapping[str, Any] | None,
    ) -> None:
        self._address = address
        self._authorize = authorize
        self._bundle = bundle
        self._options = options or {}
        self._plain = str(self._options.get("allow_http")).lower() == "true"

    @functools.cached_property
    def _way(self) -> "_Way":
        return _Way(self._address, self._options, self._bundle)

    def __call__(self, query: Mapping[str, str], /) -> Answer:
        """Send one GET. Raises :class:`NoAnswer`, and what ``authorize`` raises."""
        asked = f"?{urlencode(query, quote_via=quote, safe='')}" if query else ""
        return self._send("GET", f"{self._address}{asked}", None)

    def post(self, document: Mapping[str, Any]) -> Answer:
        """Send one POST of a JSON object. Raises as a GET does."""
        return self._send("POST", self._address, json.dumps(document).encode())

    def _send(self, method: str, url: str, body: bytes | None) -> Answer:
        if not self._address.startswith("https:") and not self._plain:
            raise NoAnswer("its address is not https", Why.SETTING)
        headers = dict(self._authorize(url))
        if body is not None:
            headers["Content-Type"] = "application/json"
        try:
            return self._way.send(method, url, headers, body)
        except (HTTPException, OSError, ValueError) as error:
            name, why = type(error).__name__, _why(error)
        raise NoAnswer(name, why)


class ProxyFailed(OSError):
    """The way ends at the proxy."""


#: The first that fits: some are kinds of others.
_WHY: tuple[tuple[tuple[type[Exception], ...], Why], ...] = (
    ((ProxyFailed,), Why.PROXY),
    ((ssl.SSLCertVerificationError,), Why.CERTIFICATE),
    ((ssl.SSLError,), Why.NO_TLS),
    ((socket.gaierror,), Why.NAME),
    ((InvalidURL, UnicodeError, ValueError), Why.SETTING),
)


def _why(error: Exception) -> Why:
    return next((why for kinds, why in _WHY if isinstance(error, kinds)), Why.AWAY)


class _Way:
    """The connections to one host, direct or through a proxy, kept open between two questions."""

    def __init__(self, address: str, options: Mapping[str, Any], bundle: Bundle) -> None:
        parts = urlsplit(address)
        self._secure = parts.scheme == "https"
        self._host = parts.hostname or ""
        if not self._host:
            raise ValueError(address)
        self._port = parts.port or (443 if self._secure else 80)
        self._read = seconds_of(options.get("timeout", _TIMEOUT))
        connect = seconds_of(options.get("connect_timeout", _CONNECT_TIMEOUT))
        self._connect = min(connect, self._read)
        given = options.get("root_certificate")
        # A bundle may have comments in any encoding between its certificates.
        self._certificates = given.decode("ascii", "ignore") if isinstance(given, bytes) else given
        self._bundle = bundle
        self._proxy = _proxy(address, self._host, options)
        self._idle: list[HTTPConnection] = []
        weakref.finalize(self, _close, self._idle)

    def send(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Answer:
        """Send one request, on a connection that is open already if there is one."""
        with contextlib.suppress(IndexError):
            while True:
                connection = self._idle.pop()
                if not _dropped(connection):
                    return self._send(connection, method, url, headers, body)
                connection.close()
        return self._send(self._open(), method, url, headers, body)

    def _send(
        self,
        connection: HTTPConnection,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None,
    ) -> Answer:
        parts = urlsplit(url)
        target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
        more: dict[str, str] = {}
        if self._proxy is not None and not self._secure:
            target, more = url, self._proxy_headers()
        try:
            connection.request(method, target, body, {**headers, **more})
            got = connection.getresponse()
            answer = got.read()
        except BaseException:
            connection.close()
            raise
        if not got.will_close:
            self._idle.append(connection)
        return Answer(got.status, {name.lower(): text for name, text in got.getheaders()}, answer)

    def _open(self) -> HTTPConnection:
        reached: Any = self._reach()
        try:
            if self._secure:
                reached = self._encrypted(reached, self._host)
            reached.settimeout(self._read)
        except BaseException:
            reached.close()
            raise
        kind = HTTPSConnection if self._secure else HTTPConnection
        connection = kind(self._host, self._port)
        connection.sock = reached
        return connection

    def _reach(self) -> Any:
        """Return a connection on which the host is: its own, or one that a proxy makes."""
        proxy = self._proxy
        if proxy is None:
            return socket.create_connection((self._host, self._port), self._connect)
        try:
            port = proxy.port or (443 if proxy.scheme == "https" else 80)
            reached: Any = socket.create_connection((proxy.hostname or "", port), self._connect)
            try:
                if proxy.scheme == "https":
                    reached = self._encrypted(reached, proxy.hostname or "")
                if self._secure:
                    self._ask_to_connect(reached)
            except BaseException:
                reached.close()
                raise
        except (ssl.SSLError, TimeoutError):
            raise
        except (HTTPException, OSError) as error:
            raise ProxyFailed from error
        return reached

    def _ask_to_connect(self, proxy: socket.socket) -> None:
        host = f"[{self._host}]" if ":" in self._host else self._host
        sent = {"Host": f"{host}:{self._port}", **self._proxy_headers()}
        lines = [
            f"CONNECT {host}:{self._port} HTTP/1.1",
            *(f"{n}: {text}" for n, text in sent.items()),
        ]
        proxy.sendall("\r\n".join([*lines, "", ""]).encode("ascii"))
        answer = HTTPResponse(proxy, method="CONNECT")
        try:
            answer.begin()
            if answer.status != _OK:
                raise ProxyFailed
        finally:
            answer.close()

    def _encrypted(self, reached: Any, host: str) -> Any:
        """Return TLS to a host on a connection, which may be TLS to a proxy already."""
        trust = _trust(self._certificates, self._bundle)
        if isinstance(reached, ssl.SSLSocket):
            # Python's own sockets know one layer; every SDK that listings need has this library.
            from urllib3.util.ssltransport import SSLTransport

            return SSLTransport(reached, trust, server_hostname=host)
        return trust.wrap_socket(reached, server_hostname=host)

    def _proxy_headers(self) -> dict[str, str]:
        proxy = self._proxy
        if proxy is None or proxy.username is None:
            return {}
        told = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}".encode()
        return {"Proxy-Authorization": f"Basic {base64.b64encode(told).decode()}"}


@functools.lru_cache(maxsize=4)
def _trust(certificates: str | None, bundle: Bundle) -> ssl.SSLContext:
    """Return the TLS settings: the system's authorities, or a library's, and those given.

    Loading them takes as long as some hundred imports, so the log and the claims share them.
    """
    paths = ssl.get_default_verify_paths()
    found = [path for path in (paths.cafile, paths.capath) if path and Path(path).exists()]
    context = ssl.create_default_context(cafile=None if found else bundle())
    # As obstore has it: what is given is trusted by itself, also one that lacks what RFC 5280 asks.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if certificates is not None:
        context.load_verify_locations(cadata=certificates)
    return context


def _dropped(connection: HTTPConnection) -> bool:
    """Whether the service has closed a connection in the meantime: then there is an end to read."""
    try:
        return bool(select.select([connection.sock], [], [], 0)[0])
    except (OSError, ValueError):
        return True


def _close(connections: list[HTTPConnection]) -> None:
    for connection in connections:
        connection.close()


def _proxy(address: str, host: str, options: Mapping[str, Any]) -> SplitResult | None:
    """Return the proxy that obstore uses: the store's, or the environment's.

    Raises:
        ConfigError: The environment's is malformed.
    """
    given = options if options.get("proxy_url") else proxy_for(address)
    excluded = {name.strip().lower() for name in str(given.get("proxy_excludes", "")).split(",")}
    if not given or host.lower() in excluded:
        return None
    return urlsplit(str(given["proxy_url"]))


def seconds_of(span: object) -> float:
    """Return a time in seconds, from a number, a ``timedelta``, or obstore's ``1m 30s``."""
    if isinstance(span, timedelta):
        return span.total_seconds()
    if isinstance(span, (int, float)):
        return float(span)
    return sum(int(number) * _UNITS[unit] for number, unit in _SPAN.findall(str(span)))


class Caller:
    """Who an obstore store acts as: its provider's credential, kept until shortly before its end.

    Args:
        store: The store.
        names: The settings that hold a credential where there is no provider.
        errors: The errors of the cloud's login, beside our own.
    """

    def __init__(
        self, store: Any, names: Mapping[str, str], errors: tuple[type[Exception], ...]
    ) -> None:
        self._provider = store.credential_provider
        self._errors: tuple[type[Exception], ...] = (*errors, *_BROKEN)
        self._lock = threading.Lock()
        self._ends: datetime | None = None
        config = store.config or {}
        self._known: Mapping[str, Any] | None = (
            None
            if self._provider is not None
            else {ours: config[name] for name, ours in names.items() if name in config}
        )

    def credential(self) -> Mapping[str, Any]:
        """Return the credential. Raises :class:`NoAnswer` or our errors where there is none."""
        with self._lock:
            over = self._ends is not None and datetime.now(UTC) > self._ends - _EARLY
            if self._known is not None and not over:
                return self._known
            try:
                with quiet():
                    known: Mapping[str, Any] = self._provider()
            except DaenaKMSError:
                raise
            except self._errors as error:
                why = type(error).__name__
            else:
                self._ends = known.get("expires_at")
                self._known = known
                return known
        # Raised out here, and so not chained: the login's error may quote an answer.
        raise NoAnswer(why, Why.LOGIN)
