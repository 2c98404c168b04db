"""One request over HTTP, for questions that no SDK among our dependencies asks."""

import functools
import http.client
import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from email.message import Message
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from daena_kms.errors import ConfigError, StoreUnavailable
from daena_kms.sdk.transport import BUNDLES, bundle_in
from daena_kms.settings import Settings

_SECONDS = 10
_MAX_ANSWER = 1_000_000
_IAM = {"kind", "permissions"}
LOOPBACK = {"localhost", "127.0.0.1", "::1"}


@dataclass(frozen=True, slots=True)
class Answer:
    """A status, headers by their names in lower case, and the document.

    ``document`` is ``None`` if the body is no JSON object, such as a page of a proxy.
    """

    status: int
    headers: Mapping[str, str]
    document: Mapping[str, Any] | None


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: the token is only for the host that was asked."""

    def redirect_request(self, *_given: object) -> None:
        """Return no further request."""


def ask(
    url: str,
    token: str | None,
    headers: Mapping[str, str] | None = None,
    body: Mapping[str, Any] | None = None,
) -> Answer:
    """Send one request: a POST if there is a body, else a GET.

    Any status is an answer. It waits at most 10 seconds for each part of it, and reads at most
    1,000,000 bytes.

    Args:
        url: https, or http on this machine itself.
        token: the bearer token, if one is sent; it is in no error.
        headers: further headers.
        body: a JSON object.

    Raises:
        StoreUnavailable: there was no answer.
        ConfigError: the address would show the token to others on the way, or the file of
            certificates can't be used.
    """
    parts = urlsplit(url)
    if parts.scheme != "https" and not (
        parts.scheme == "http" and (parts.hostname or "") in LOOPBACK
    ):
        raise ConfigError(
            "an endpoint that is asked with a token is not https://",
            todo="Write an https:// address into the endpoint's variable",
        )
    data = None if body is None else json.dumps(body).encode()
    sent = {} if token is None else {"Authorization": f"Bearer {token}"}
    sent |= headers or {}
    if data is not None:
        sent["Content-Type"] = "application/json"
    request = urllib.request.Request(url, data, sent)  # noqa: S310 - the scheme was checked
    trusted = _trusted(bundle_in(Settings.load().environ, *BUNDLES))
    https = urllib.request.HTTPSHandler(context=trusted)
    opener = urllib.request.build_opener(_NoRedirect, https)
    try:
        with opener.open(request, timeout=_SECONDS) as answer:
            return _answer(answer.status, answer.headers, answer.read(_MAX_ANSWER))
    except urllib.error.HTTPError as error:
        with error:
            return _answer(error.code, error.headers, error.read(_MAX_ANSWER))
    except (OSError, ValueError, http.client.HTTPException) as error:
        if isinstance(getattr(error, "reason", error), ssl.SSLCertVerificationError):
            msg = f"the certificate of {parts.hostname} is not trusted"
            todo = "Check REQUESTS_CA_BUNDLE, this machine's clock, and any proxy that opens TLS"
            raise StoreUnavailable(msg, todo=todo) from None
        msg = f"{parts.hostname} did not answer ({type(error).__name__})"
        raise StoreUnavailable(msg, todo="Check the network and its proxies") from None


@functools.lru_cache(maxsize=1)
def _trusted(bundle: bytes | None) -> ssl.SSLContext:
    """Return whom to trust. To read the system's certificates takes longer than an answer."""
    trusted = ssl.create_default_context()
    if bundle is not None:
        trusted.load_verify_locations(cadata=bundle.decode("ascii", "ignore"))
    return trusted


def _answer(status: int, headers: Message, body: bytes) -> Answer:
    try:
        document = json.loads(body)
    except ValueError:
        document = None
    return Answer(
        status,
        {name.lower(): text for name, text in headers.items()},
        document if isinstance(document, dict) else None,
    )


def allowed_in(answer: Answer, asked: Collection[str]) -> set[str] | None:
    """Return which of the permissions that were asked for Google's IAM says are allowed.

    ``None`` if the answer is none of IAM's: it has at most the members ``kind`` and
    ``permissions``, and perhaps none of them where nothing is allowed.
    https://cloud.google.com/iam/docs/testing-permissions
    """
    document = answer.document
    if answer.status != HTTPStatus.OK or document is None or document.keys() - _IAM:
        return None
    named = document.get("permissions", [])
    if not isinstance(named, list) or not all(name in asked for name in named):
        return None
    return set(named)
