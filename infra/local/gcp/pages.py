"""Pages of a list method: newest first, filtered, with tokens that belong to one question."""

import base64
import binascii
import json
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import NamedTuple

from google.cloud.secretmanager_v1.types import Secret, SecretVersion

from infra.local.gcp.filter import compile_filter
from infra.local.gcp.names import invalid

# "If the number is greater than 25000, it is capped at 25000"; with 0, "the server decides" (the
# types). No document says what it decides; a small page lets no caller rely on there being one.
MAX_PAGE, DEFAULT_PAGE = 25_000, 250


class Entry[M: (Secret, SecretVersion)](NamedTuple):
    """One thing that can be listed, and how to show it; None: it is gone."""

    order: int
    name: str
    show: Callable[[], M | None]


class Question(NamedTuple):
    """What is asked of a list method."""

    filter: str
    size: int
    token: str


class Page[M: (Secret, SecretVersion)](NamedTuple):
    """The answer."""

    messages: list[M]
    token: str
    total: int


def fixed[M: (Secret, SecretVersion)](entry: Entry[M]) -> Entry[M]:
    """Return an entry that stays as it is now."""
    message = entry.show()
    return entry._replace(show=lambda: message)


def page[M: (Secret, SecretVersion)](
    known: Sequence[Entry[M]], about: str, question: Question
) -> Page[M]:
    """Return one page of what is known, which is in falling order."""
    if question.size < 0:
        raise invalid("page_size must not be negative.")
    size = min(question.size or DEFAULT_PAGE, MAX_PAGE)
    about = f"{about} {question.filter}"
    start = bisect_right(known, -_position(question.token, about), key=lambda item: -item.order)
    matches = compile_filter(question.filter)
    found: list[tuple[int, M]] = []
    for entry in known[start:]:
        # Only now, because to make the messages of ten thousand secrets takes a second.
        message = entry.show()
        if message is not None and matches(message):
            found.append((entry.order, message))
        if len(found) > size:
            break
    shown = found[:size]
    token = _token(shown[-1][0], about) if len(found) > size else ""
    # "The total number of Secrets but 0 when the filter field is set" (the types).
    return Page([message for _, message in shown], token, 0 if question.filter else len(known))


def _token(position: int, about: str) -> str:
    return base64.urlsafe_b64encode(json.dumps([position, about]).encode()).decode()


def _position(token: str, about: str) -> float:
    """Read a page token; one that was given for another question is refused."""
    if not token:
        return float("inf")
    try:
        position, asked = json.loads(base64.urlsafe_b64decode(token))
    except (binascii.Error, ValueError, TypeError):
        raise invalid("The page token is not valid.") from None
    if asked != about or not isinstance(position, int):
        raise invalid("The page token belongs to another request.")
    return position
