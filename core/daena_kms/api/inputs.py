"""How a request is read: strictly, so that an unknown field is refused, not ignored.

A :class:`Field` is one field of a query or one member of a body: how its value is checked, and how
the OpenAPI document describes it. The fields themselves are in :mod:`daena_kms.api.fields`.
"""

import json
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from daena_kms.api.messages import (
    BadRequest,
    CrossSite,
    KeyMoved,
    Request,
    TooLarge,
    WrongMediaType,
    etag,
)
from daena_kms.api.schemas import Form, Schema, record
from daena_kms.rules.model import Key

#: Bytes of a body, and characters of a query.
MAX_BODY = 10_000
MAX_QUERY = 4_000

_JSON = "application/json"
#: Headers of callers that are no browser, and that a page of another site can't add.
_NO_FORM_SENDS = (
    "if-match",
    "x-functions-key",
    "x-requested-with",
    "x-serverless-authorization",
    "x-amz-date",
    "x-amz-content-sha256",
    "x-amz-security-token",
    "x-api-key",
)

#: Headers that a browser adds to what a page of another site sends.
#: https://fetch.spec.whatwg.org/#origin-header
_BROWSER_SENDS = ("origin", "cookie", "referer", "sec-fetch-site", "sec-fetch-mode")

_STRONG_TAG = re.compile(r'\s*(?:"([\x21\x23-\x7e\x80-\xff]*)"|W/"[^"]*"|(\*))\s*')


class Field[T](NamedTuple):
    """One field of a query, or one member of a body."""

    name: str
    #: Checks what was sent, given with the name for the message, and returns what it means.
    read: Callable[[Any, str], T]
    #: What it means to leave the field out.
    default: T
    form: Form | Schema
    description: str | None = None

    def value(self, given: Mapping[str, Any]) -> T:
        """Return this field's value in a query or body.

        Raises:
            BadRequest: the value does not have the form that the field requires.
            InvalidKeyId: the field takes a key id, and this is not one.
        """
        return self.read(given[self.name], self.name) if self.name in given else self.default


class Body(NamedTuple):
    """The members that a body may have, and the name of its schema."""

    name: str
    fields: tuple[Field[Any], ...]
    #: A rule over several members, and the same rule as a part of the schema.
    check: Callable[[Mapping[str, Any]], None] | None = None
    rule: Form | None = None

    @property
    def schema(self) -> Schema:
        """The body as JSON Schema; every member may be left out."""
        return Schema(
            self.name, record(**{f.name: f.form for f in self.fields}) | (self.rule or {})
        )


def check_origin(request: Request) -> None:
    """Refuse a change that a page of another site may have sent with its reader's session.

    A browser sends a form, or a script's simple request, to any site together with the cookies that
    App Service authentication and others keep. Neither can send JSON or one of the headers of
    :data:`_NO_FORM_SENDS` unless the site itself allows it beforehand, which this API never does.
    A form always has a type, and a browser says where a script's request comes from. So a request
    that has neither is a program's, such as ``curl -X POST`` without a body.

    https://fetch.spec.whatwg.org/#cors-safelisted-request-header
    https://www.w3.org/TR/fetch-metadata/#sec-fetch-site-header

    Raises:
        CrossSite: the browser says that the request comes from another site.
        WrongMediaType: a form or a script of another site could have sent the request.
    """
    headers = request.headers
    if headers.get("sec-fetch-site", "").strip().lower() == "cross-site":
        todo = "Send the request from a program, or from a page of the same site"
        raise CrossSite("a browser sent this for a page of another site", todo=todo)
    kind = media_type(request)
    if kind == _JSON or any(headers.get(name) for name in _NO_FORM_SENDS):
        return
    if not kind and not any(name in headers for name in _BROWSER_SENDS):
        return
    scheme = headers.get("authorization", "").strip().partition(" ")[0].lower()
    # A browser adds its own authorization by itself only in these schemes.
    if scheme and scheme not in {"basic", "digest", "negotiate", "ntlm"}:
        return
    raise WrongMediaType(
        "the request is not JSON, and a form in a browser could have sent it",
        todo="Send the header Content-Type: application/json, also without a body",
    )


def media_type(request: Request) -> str:
    """Return the media type of the body, in lower case and without parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def read_query(request: Request, fields: Collection[Field[Any]]) -> dict[str, str]:
    """Return the query as it was sent. Raises :class:`BadRequest` for a field that is not known."""
    names = [field.name for field in fields]
    todo = f"Use {', '.join(names)}" if names else "Send no query"
    if len(request.query) > MAX_QUERY:
        raise BadRequest(f"the query is over {MAX_QUERY} characters", todo=todo)
    pairs = parse_qsl(request.query, keep_blank_values=True, errors="replace")
    given = dict(pairs)
    unknown = [name for name in given if name not in names]
    if unknown:
        raise BadRequest(f"the query has a field {unknown[0][:40]!r}", todo=todo)
    if len(given) < len(pairs):
        raise BadRequest("a field occurs twice in the query", todo="Write each field once")
    return given


def read_body(request: Request, fields: Collection[Field[Any]]) -> dict[str, Any]:
    """Return the members of the body as they were sent; no body is the same as an empty object.

    Raises:
        TooLarge: the body is over :data:`MAX_BODY` bytes.
        WrongMediaType: its ``Content-Type`` is not JSON.
        BadRequest: it is not a JSON object, or a member is unknown or occurs twice.
    """
    body = request.body
    if not body:
        return {}
    names = [field.name for field in fields]
    todo = f"Send nothing, or a JSON object with {', '.join(names)}" if names else "Send no body"
    size = len(body.encode(errors="surrogatepass") if isinstance(body, str) else body)
    if size > MAX_BODY:
        raise TooLarge(f"the body is over {MAX_BODY} bytes", todo=todo)
    kind = media_type(request)
    if kind not in {"", _JSON}:
        msg = f"the body is of type {kind[:60]!r}"
        raise WrongMediaType(msg, todo="Send the header Content-Type: application/json")
    try:
        given = json.loads(body, object_pairs_hook=_once, parse_constant=_no_constant)
    except _TwiceError:
        raise BadRequest("a member occurs twice in the body", todo=f"{todo}, each once") from None
    except (ValueError, RecursionError):
        raise BadRequest("the body is not JSON", todo=todo) from None
    if not isinstance(given, dict):
        raise BadRequest("the body is not a JSON object", todo=todo)
    unknown = [name for name in given if name not in names]
    if unknown:
        raise BadRequest(f"the body has a member {unknown[0][:40]!r}", todo=todo)
    return given


class _TwiceError(ValueError):
    """A member occurs twice in one object."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise _TwiceError
    return members


def _no_constant(name: str) -> None:
    raise ValueError(name)


def check_match(request: Request, key: Key) -> bool:
    """Return whether ``If-Match`` was sent. If it was, it names the key's current version.

    https://www.rfc-editor.org/rfc/rfc9110#section-13.1.1

    Raises:
        KeyMoved: it names another version.
        BadRequest: it is not a list of entity tags.
    """
    sent = request.headers.get("if-match")
    if sent is None:
        return False
    tags = [_STRONG_TAG.fullmatch(part) for part in sent.split(",")]
    if not all(tags):
        todo = 'Send the ETag as you received it: If-Match: "…"'
        raise BadRequest("If-Match is not a list of entity tags", todo=todo)
    if key.current is None:
        raise moved(key)
    if not any(
        t and (t[2] or (t[1] is not None and f'"{t[1]}"' == etag(key.current.id))) for t in tags
    ):
        raise moved(key)
    return True


def moved(key: Key, done: str | None = None) -> KeyMoved:
    """Return the error that the current version is not the one that ``If-Match`` names.

    Args:
        key: the key as it is now.
        done: what was done all the same, if anything was.
    """
    current = key.current
    what = "the current version is not the one that If-Match names"
    return KeyMoved(
        what if done is None else f"{what}; {done}",
        key_id=key.id,
        todo="If you sent the request twice, the first one may have made it: GET the key to see",
        more={"current": current.id if current is not None else None},
        headers={} if current is None else {"etag": etag(current.id)},
    )
