"""The endpoint in the environment: where events go, and how they are signed. Looks up no name."""

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address

from daena_kms.errors import ConfigError
from daena_kms.notify.guard import METADATA_NAMES, check_address
from daena_kms.settings import Settings

URL, SECRET, ALLOW = (
    "DAENA_KMS_ENDPOINT",
    "DAENA_KMS_ENDPOINT_SECRET",
    "DAENA_KMS_ENDPOINT_ALLOW",
)

_HTTPS = 443
_MAX_PORT = 65_535
_MAX_URL = 2_000
_MAX_NAME = 253
_MAX_SECRETS = 5
#: As Standard Webhooks specifies it.
_SECRET_BYTES = range(24, 65)
_PREFIX = "whsec_"

_FORM = re.compile(
    r"https://(?P<host>\[[0-9a-f:.]{2,45}\]|[a-z0-9.-]{1,253})(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<target>[/?][A-Za-z0-9._~!$&'()*+,;=:@/?%\[\]-]*)?",
    re.ASCII | re.IGNORECASE,
)
_LABEL = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)", re.ASCII)
#: Some libraries read such a name as an IPv4 address: its last part is a number in some notation.
_NUMERIC = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)", re.ASCII)
_OTHERS = re.compile(r"[^!-~]|\\")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A receiver of events. Its path and query are in no text, because they may hold a token."""

    host: str
    port: int
    target: str = field(repr=False)
    secrets: tuple[bytes, ...] = field(repr=False)
    allowed: frozenset[str] = frozenset()

    @property
    def authority(self) -> str:
        """The host and the port, as a ``Host`` header has them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _HTTPS else f"{host}:{self.port}"


def endpoint_from(settings: Settings) -> Endpoint | None:
    """Return the endpoint, or ``None`` if none is set. Raises :class:`ConfigError`."""
    url = settings.get(URL)
    if url is None:
        return None
    allowed = frozenset(_allowed(settings.get(ALLOW) or ""))
    host, port, target = _parts(url)
    _check_host(host, allowed)
    return Endpoint(host, port, target, tuple(_secrets(settings.get(SECRET))), allowed)


def _parts(url: str) -> tuple[str, int, str]:
    match = _FORM.fullmatch(url)
    port = int(match["port"] or _HTTPS) if match is not None else 0
    if match is None or len(url) > _MAX_URL or not 0 < port <= _MAX_PORT:
        msg = f"{URL} {_what_is_wrong(url)}"
        raise ConfigError(msg, todo="Write https://host/path")
    target = match["target"] or "/"
    host = match["host"].lower().strip("[]")
    return host, port, target if target.startswith("/") else f"/{target}"


def _what_is_wrong(url: str) -> str:
    """Return what is wrong, without quoting the URL: any part of it may be secret."""
    scheme, _, rest = url.partition("://")
    if _OTHERS.search(url):
        return "holds a space, a backslash, or a character that is not printable ASCII"
    if scheme.lower() != "https":
        return "does not begin with https://"
    if "@" in re.split(r"[/?#]", rest)[0]:
        return "holds a user name or a password"
    if "#" in rest:
        return "holds a fragment (#)"
    return f"does not have the form https://host:port/path?query, or has over {_MAX_URL} characters"


def _check_host(host: str, allowed: frozenset[str]) -> None:
    literal = _literal(host)
    if literal is None and not _is_name(host):
        msg = f"the host in {URL} is neither a name nor an address in its usual form"
        raise ConfigError(msg, todo="Write the host's name, in ASCII and without a final dot")
    if (literal is not None or host in METADATA_NAMES) and host not in allowed:
        what = "an address" if literal else "a name of a cloud's metadata service"
        msg = f"the host in {URL} is {what}"
        raise ConfigError(msg, todo=f"Write a receiver's name, or allow this host in {ALLOW}")
    if literal is not None:
        check_address(host, host, allowed)


def _literal(host: str) -> IPv4Address | IPv6Address | None:
    """Return the address that a host is, if it is written in its usual form."""
    try:
        address = ip_address(host)
    except ValueError:
        return None
    return address if str(address) == host else None


def _is_name(host: str) -> bool:
    parts = host.split(".")
    fits = len(host) <= _MAX_NAME and all(_LABEL.fullmatch(part) for part in parts)
    return fits and _NUMERIC.fullmatch(host) is None


def _allowed(text: str) -> Iterator[str]:
    for number, entry in enumerate(text.lower().split(","), 1):
        name = entry.strip().strip("[]")
        if not name:
            continue
        if _literal(name) is None and not _is_name(name):
            msg = f"entry {number} of {ALLOW} is neither a host's name nor an address"
            raise ConfigError(
                msg, todo="Write names or addresses, separated by commas, without wildcards"
            )
        yield name


def _secrets(text: str | None) -> Iterator[bytes]:
    words = (text or "").split()
    if not 1 <= len(words) <= _MAX_SECRETS:
        msg = f"{SECRET} holds {len(words)} secrets, but every event must be signed"
        todo = (
            f"Set one secret, or up to {_MAX_SECRETS}, separated by spaces, while you replace one"
        )
        raise ConfigError(msg, todo=todo)
    for number, word in enumerate(words, 1):
        secret = _decoded(word.removeprefix(_PREFIX)) if word.startswith(_PREFIX) else b""
        if len(secret) not in _SECRET_BYTES:
            msg = f"secret {number} of {SECRET} does not have the form of Standard Webhooks"
            todo = f"Write {_PREFIX} and 24 to 64 random bytes in base64"
            raise ConfigError(msg, todo=todo)
        yield secret


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return b""
