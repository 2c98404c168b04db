"""One page of a listing of objects by prefix and delimiter, as the object stores have it alike."""

import base64
from collections.abc import Iterable
from typing import NamedTuple


class Page(NamedTuple):
    """Object names and folders in order; ``more`` says whether others follow."""

    items: list[str]
    folders: set[str]
    more: bool


def page(names: Iterable[str], prefix: str, delimiter: str, after: str, size: int) -> Page:
    """Return the page behind a name or folder, in order of the names' UTF-8."""
    items: list[str] = []
    folders: set[str] = set()
    for name in sorted(names, key=str.encode):
        if not name.startswith(prefix):
            continue
        rest = name.removeprefix(prefix)
        head, found, _ = rest.partition(delimiter) if delimiter else (rest, "", "")
        item = prefix + head + found
        # What is below a folder that was shown is behind it, not after it.
        if item <= after or item in folders:
            continue
        if found:
            folders.add(item)
        items.append(item)
    return Page(items[:size], folders, len(items) > size)


def sealed(name: str) -> str:
    """Return the continuation token for what comes after a name: opaque, and in plain letters."""
    return base64.urlsafe_b64encode(name.encode(errors="surrogateescape")).decode()


def opened(token: str) -> str:
    """Return the name in a continuation token."""
    return base64.urlsafe_b64decode(token).decode(errors="surrogateescape")
