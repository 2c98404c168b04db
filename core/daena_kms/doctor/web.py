"""One question over HTTP, where no SDK that we ship asks it."""

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from typing import Any
from urllib.parse import urlsplit

from daena_kms.errors import ConfigError, StoreUnavailable

_SECONDS = 10
_MOST = 1_000_000
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


@dataclass(frozen=True, slots=True)
class Answer:
    """A status, headers by their names in lower case, and a document if it is JSON."""

    status: int
    headers: Mapping[str, str]
    document: Mapping[str, Any]


class _Stay(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: a token is for the one who was asked."""

    def redirect_request(self, *_given: object) -> None:
        """Return no further request."""


def ask(
    url: str,
    token: str,
    headers: Mapping[str, str] | None = None,
    body: Mapping[str, Any] | None = None,
) -> Answer:
    """Ask once, with a bearer token; any status is an answer.

    Raises :class:`StoreUnavailable` when there is none, and :class:`ConfigError` for an address
    that would show the token to others on the way.
    """
    parts = urlsplit(url)
    if parts.scheme != "https" and not (
        parts.scheme == "http" and (parts.hostname or "") in _LOOPBACK
    ):
        raise ConfigError(f"{url[:80]!r} is not https://", todo="Check the endpoint's variable")
    data = None if body is None else json.dumps(body).encode()
    given = {"Authorization": f"Bearer {token}", **(headers or {})}
    if data is not None:
        given["Content-Type"] = "application/json"
    request = urllib.request.Request(url, data, given)  # noqa: S310 - the scheme was looked at
    opener = urllib.request.build_opener(_Stay)
    try:
        with opener.open(request, timeout=_SECONDS) as answer:
            return _answer(answer.status, answer.headers, answer.read(_MOST))
    except urllib.error.HTTPError as error:
        with error:
            return _answer(error.code, error.headers, error.read(_MOST))
    except (OSError, ValueError) as error:
        msg = f"{parts.hostname} did not answer ({type(error).__name__})"
        raise StoreUnavailable(msg, todo="Check the network, and proxies") from None


def _answer(status: int, headers: Message, body: bytes) -> Answer:
    try:
        document = json.loads(body)
    except ValueError:
        document = None
    return Answer(
        status,
        {name.lower(): text for name, text in headers.items()},
        document if isinstance(document, dict) else {},
    )
