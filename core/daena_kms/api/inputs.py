"""What a request brings, read strictly: what an address does not know is refused, not ignored."""

import json
import re
from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import parse_qsl

from daena_kms.api.messages import (
    BadRequest,
    KeyMoved,
    Request,
    TooLarge,
    WrongMediaType,
    etag,
)
from daena_kms.rules.model import Key

MAX_BODY = 10_000
MAX_QUERY = 4_000
MAX_REASON = 500
#: The pages of lists: how many entries at most, and by default.
MAX_PAGE, PAGE = 1_000, 100

_STRONG_TAG = re.compile(r'\s*(?:"([\x21\x23-\x7e\x80-\xff]*)"|W/"[^"]*"|(\*))\s*')


def read_query(request: Request, known: Collection[str]) -> dict[str, str]:
    """Return the query's fields. Raises :class:`BadRequest` for others than those known."""
    if len(request.query) > MAX_QUERY:
        raise BadRequest(f"the query is over {MAX_QUERY} characters", todo=_known_fields(known))
    pairs = parse_qsl(request.query, keep_blank_values=True, errors="replace")
    found = dict(pairs)
    unknown = [name for name in found if name not in known]
    if unknown:
        raise BadRequest(f"the query has a field {unknown[0][:40]!r}", todo=_known_fields(known))
    if len(found) < len(pairs):
        raise BadRequest("a field of the query is there twice", todo="Write each field once")
    return found


def _known_fields(known: Collection[str]) -> str:
    return f"Use {', '.join(known)}" if known else "Send no query"


def read_limit(query: Mapping[str, str]) -> int:
    """Return how many entries a page may have."""
    text = query.get("limit", str(PAGE))
    few = text.isascii() and text.isdigit() and len(text) <= len(str(MAX_PAGE))
    if not few or not 1 <= int(text) <= MAX_PAGE:
        msg = f"limit is {text[:40]!r}"
        raise BadRequest(msg, todo=f"Write a whole number from 1 to {MAX_PAGE}")
    return int(text)


def read_body(request: Request, known: Collection[str]) -> dict[str, Any]:
    """Return the body's members: those known, and none given twice.

    Raises :class:`TooLarge`, :class:`WrongMediaType` and :class:`BadRequest`.
    """
    body = request.body
    if not body:
        return {}
    members = ", ".join(known)
    todo = f"Send nothing, or a JSON object with {members}" if known else "Send no body"
    size = len(body.encode(errors="surrogatepass") if isinstance(body, str) else body)
    if size > MAX_BODY:
        raise TooLarge(f"the body is over {MAX_BODY} bytes", todo=todo)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in {"", "application/json"}:
        msg = f"the body is of type {kind[:60]!r}"
        raise WrongMediaType(msg, todo="Send the header Content-Type: application/json")
    try:
        found = json.loads(body, object_pairs_hook=_once, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise BadRequest("the body is no JSON", todo=todo) from None
    if not isinstance(found, dict):
        raise BadRequest("the body is no JSON object", todo=todo)
    unknown = [name for name in found if name not in known]
    if unknown:
        raise BadRequest(f"the body has a member {unknown[0][:40]!r}", todo=todo)
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError
    return found


def _no_constant(name: str) -> None:
    raise ValueError(name)


def read_text(body: Mapping[str, Any], name: str, most: int) -> str | None:
    """Return a member that is one line of text of so many characters at most, or ``None``."""
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not 1 <= len(value) <= most or not value.isprintable():
        msg = f"{name} is no line of text of 1 to {most} characters"
        raise BadRequest(msg, todo="Leave it out, or write printable text")
    return value


def read_reason(body: Mapping[str, Any]) -> str | None:
    """Return why, for the audit log."""
    return read_text(body, "reason", MAX_REASON)


def read_flag(body: Mapping[str, Any], name: str) -> bool:
    """Return a member that is true or false, by default false."""
    value = body.get(name, False)
    if not isinstance(value, bool):
        raise BadRequest(f"{name} is neither true nor false", todo="Write true or false")
    return value


def check_match(request: Request, key: Key) -> bool:
    """Whether ``If-Match`` was sent; if so, it names the key's current version.

    Raises :class:`KeyMoved` when it names another, and :class:`BadRequest` for what is no list of
    entity tags: https://www.rfc-editor.org/rfc/rfc9110#section-13.1.1.
    """
    given = request.headers.get("if-match")
    if given is None:
        return False
    tags = [_STRONG_TAG.fullmatch(part) for part in given.split(",")]
    if not all(tags):
        todo = 'Send the ETag as it came: If-Match: "…"'
        raise BadRequest("If-Match is no list of entity tags", todo=todo)
    if key.current is None:
        raise moved(key)
    if not any(
        t and (t[2] or (t[1] is not None and f'"{t[1]}"' == etag(key.current.id))) for t in tags
    ):
        raise moved(key)
    return True


def moved(key: Key, done: str | None = None) -> KeyMoved:
    """Return the error that another version is current than was asked for; ``done`` is what was."""
    current = key.current
    what = "another version is current than If-Match names"
    return KeyMoved(
        what if done is None else f"{what}; {done}",
        key_id=key.id,
        todo="If this answers a repeated request, the first one made it: GET the key and look",
        more={"current": current.id if current is not None else None},
        headers={} if current is None else {"etag": etag(current.id)},
    )
