"""One request over HTTP, for questions that no SDK among our dependencies asks."""

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
_MAX_ANSWER = 1_000_000
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


@dataclass(frozen=True, slots=True)
class Answer:
    """A status, headers by their names in lower case, and the document; empty if it is not JSON."""

    status: int
    headers: Mapping[str, str]
    document: Mapping[str, Any]


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: the token is only for the host that was asked."""

    def redirect_request(self, *_given: object) -> None:
        """Return no further request."""


def ask(
    url: str,
    token: str,
    headers: Mapping[str, str] | None = None,
    body: Mapping[str, Any] | None = None,
) -> Answer:
    """Send one request with a bearer token: a POST if there is a body, else a GET.

    Any status is an answer. It waits at most 10 seconds for each part of it, and reads at most
    1,000,000 bytes.

    Args:
        url: https, or http on this machine itself.
        token: the bearer token; it is in no error.
        headers: further headers.
        body: a JSON object.

    Raises:
        StoreUnavailable: there was no answer.
        ConfigError: the address would show the token to others on the way.
    """
    parts = urlsplit(url)
    if parts.scheme != "https" and not (
        parts.scheme == "http" and (parts.hostname or "") in _LOOPBACK
    ):
        raise ConfigError(
            f"{url[:80]!r} is not https://",
            todo="Write an https:// address into the endpoint's variable",
        )
    data = None if body is None else json.dumps(body).encode()
    sent = {"Authorization": f"Bearer {token}", **(headers or {})}
    if data is not None:
        sent["Content-Type"] = "application/json"
    request = urllib.request.Request(url, data, sent)  # noqa: S310 - the scheme was checked
    opener = urllib.request.build_opener(_NoRedirect)
    try:
        with opener.open(request, timeout=_SECONDS) as answer:
            return _answer(answer.status, answer.headers, answer.read(_MAX_ANSWER))
    except urllib.error.HTTPError as error:
        with error:
            return _answer(error.code, error.headers, error.read(_MAX_ANSWER))
    except (OSError, ValueError) as error:
        msg = f"{parts.hostname} did not answer ({type(error).__name__})"
        raise StoreUnavailable(msg, todo="Check the network and its proxies") from None


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
