"""Requests, answers and errors of the API, independent of any platform."""

import base64
import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from daena_kms.errors import DaenaKMSError

#: Characters of a caller's name.
MAX_NAME = 1_000

JSON, PROBLEM = "application/json", "application/problem+json"
#: Characters of an entity tag that need no escape, and a version id may hold.
#: https://www.rfc-editor.org/rfc/rfc9110#section-8.8.3
_ETAG_SAFE = "-._~:/+=@"
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Request:
    """A request, as a platform's handler has read it from the platform's event."""

    method: str
    path: str
    body: str | bytes | None = field(repr=False)
    #: The caller, as the platform has verified it; ``None`` if it has verified none.
    principal: str | None
    #: The query string of the address, without the question mark.
    query: str = ""
    #: Headers by their names in lower case; one of them may hold the caller's token.
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    #: The platform's id of the request, as in its own logs.
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class Response:
    """An answer: a status, a JSON document, and headers beside its media type."""

    status: int
    document: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def body(self) -> str:
        """The document as JSON."""
        return json.dumps(self.document, sort_keys=True)

    @property
    def content_type(self) -> str:
        """Its media type."""
        is_problem = {"type", "status", "detail"} <= self.document.keys()
        return PROBLEM if is_problem else JSON

    @property
    def all_headers(self) -> dict[str, str]:
        """The headers with the media type."""
        return {"content-type": self.content_type, **self.headers}

    def log_entry(self, request: Request) -> dict[str, Any]:
        """Return what the function's log records about a request: bounded, and never a value."""
        return {
            "status": self.status,
            "method": request.method[:20],
            "path": request.path[:200],
            "principal": request.principal,
            "request_id": self.headers.get("x-request-id"),
        }


class Refusal(DaenaKMSError):
    """A request that is refused; ``status`` is the status of the answer."""

    status = 400

    def __init__(
        self,
        what: str,
        *,
        key_id: str | None = None,
        todo: str | None = None,
        headers: Mapping[str, str] | None = None,
        more: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(what, key_id=key_id, todo=todo)
        self.headers = dict(headers or {})
        #: Further members of the problem document.
        self.more = dict(more or {})


class BadRequest(Refusal):
    """The query, a header or the body does not have the form that the address requires."""

    code = "bad-request"


class Unauthenticated(Refusal):
    """The platform has verified no caller."""

    code = "unauthenticated"
    status = 401


class Forbidden(Refusal):
    """The access policy does not let this caller do this to this key."""

    code = "forbidden"
    status = 403


class CrossSite(Refusal):
    """A browser sent a change for a page of another site."""

    code = "cross-site"
    status = 403


class NoSuchAddress(Refusal):
    """There is nothing at this address."""

    code = "no-such-address"
    status = 404


class WrongMethod(Refusal):
    """The address does not take this method."""

    code = "wrong-method"
    status = 405


class KeyMoved(Refusal):
    """The current version is not the one that ``If-Match`` names."""

    code = "key-moved"
    status = 412


class TooLarge(Refusal):
    """The body is over the limit."""

    code = "too-large"
    status = 413


class WrongMediaType(Refusal):
    """The media type of the body is not JSON."""

    code = "wrong-media-type"
    status = 415


class TooSoon(Refusal):
    """The version is younger than the minimum interval between rotations over HTTP."""

    code = "too-soon"
    status = 429


class OutOfTime(Refusal):
    """The time that an answer may take is over, and nothing was done."""

    code = "out-of-time"
    status = 503


#: The status of an error that is not a :class:`Refusal`, by its code; any other is 500.
STATUS = {
    "invalid-key-id": 400,
    "key-not-found": 404,
    "not-managed": 409,
    "rotation-conflict": 409,
    "key-exists": 409,
    "access-denied": 502,
    "store-unavailable": 503,
    "audit-unavailable": 503,
    "paused": 503,
}


def status_of(error: DaenaKMSError | type[DaenaKMSError]) -> int:
    """Return the status that an error, or a class of errors, is answered with."""
    kind = error if isinstance(error, type) else type(error)
    return kind.status if issubclass(kind, Refusal) else STATUS.get(kind.code, 500)


#: What to do in this API's terms, where a store's own text speaks of the command line.
_ADVICE = {
    "key-not-found": "GET /v1/keys lists the keys, and GET /v1/keys/{key_id} a key's versions",
}


def problem(error: DaenaKMSError, request_id: str | None = None) -> Response:
    """Return an error as a problem document: https://www.rfc-editor.org/rfc/rfc9457."""
    refusal = error if isinstance(error, Refusal) else None
    status = status_of(error)
    document = {
        "type": f"urn:daena-kms:{error.code}",
        "title": error.code.replace("-", " "),
        "status": status,
        "detail": error.what if error.key_id is None else f"key {error.key_id!r}: {error.what}",
        "todo": _ADVICE.get(error.code, error.todo),
        "request_id": request_id,
        **(refusal.more if refusal is not None else {}),
    }
    present = {name: value for name, value in document.items() if value is not None}
    return Response(status, present, refusal.headers if refusal is not None else {})


def etag(version: str) -> str:
    """Return the entity tag of a key whose current version has this id."""
    return f'"{quote(version, safe=_ETAG_SAFE)}"'


def request_id(given: str | None) -> str:
    """Return the platform's id of a request, or a fresh one if there is none of a safe form."""
    return given if given and _REQUEST_ID.fullmatch(given) else str(uuid.uuid4())


def dig(event: object, *path: str) -> str | None:
    """Return the string at ``path`` in an event of any shape, or ``None``."""
    for name in path:
        event = event.get(name) if isinstance(event, Mapping) else None
    return event if isinstance(event, str) else None


def name_of_token(issuer: str | None, subject: str | None) -> str | None:
    """Return the name of the caller whom a verified token names, or ``None``.

    A subject is unique only within its issuer, so the issuer belongs to the name. An issuer has no
    spaces, so no two callers share a name; a name that is too long is nobody's, because two could
    become one if it were cut.

    https://www.rfc-editor.org/rfc/rfc7519#section-4.1.2
    """
    if not subject or any(map(str.isspace, issuer or subject)):
        return None
    if not issuer and any(mark in subject for mark in ":/"):
        return None  # it would look like an ARN, or like another issuer's
    name = f"{issuer} {subject}" if issuer else subject
    return name if len(name) <= MAX_NAME else None


def decoded(body: str | None, *, is_base64: bool) -> str | bytes | None:
    """Return the body of an event; malformed base64 is passed on as it is, to be refused."""
    if body is None or not is_base64:
        return body
    try:
        return base64.b64decode(body, validate=True)
    except ValueError:
        return body
