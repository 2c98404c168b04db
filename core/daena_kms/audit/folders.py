"""The log's hour folders: ``log/<YYYY/MM/DD/HH>/``."""

import functools
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Protocol

from daena_kms.audit.records import ROOT

_FORM = f"{ROOT}%Y/%m/%d/%H/"
#: What the folders of each level may be called, from years to hours: no run writes others.
_LEVELS = ((4, 1971, 9999), (2, 1, 12), (2, 1, 31), (2, 0, 23))


class Folders(Protocol):
    """What lists the folders in a folder."""

    def children(self, prefix: str) -> list[str]:
        """Return the names of the folders directly below ``prefix``, in order."""


def hours(
    log: Folders, *, first: str = "", last: str = "~", newest_first: bool = True
) -> Iterator[str]:
    """Yield the log's hour folders, listing one level at a time and only where it is needed.

    Args:
        log: The log.
        first: No hour before this folder, and no level that ends before it, is listed.
        last: No hour after this folder is listed.
        newest_first: Whether the newest hour comes first.
    """

    def below(prefix: str, level: int) -> Iterator[str]:
        width, least, most = _LEVELS[level]
        for name in sorted(log.children(prefix), reverse=newest_first):
            inner = f"{prefix}{name}/"
            digits = len(name) == width and name.isascii() and name.isdigit()
            if not digits or not least <= int(name) <= most:
                continue
            if first[: len(inner)] <= inner <= last[: len(inner)]:
                yield from below(inner, level + 1) if level + 1 < len(_LEVELS) else (inner,)

    yield from below(ROOT, 0)


def hour_of(folder: str) -> datetime | None:
    """Return the hour in the name of an hour's or a run's folder; ``None`` if there is none."""
    return _hour(folder[: len("log/2026/03/01/12/")])


@functools.lru_cache(maxsize=64)
def _hour(folder: str) -> datetime | None:
    # A verification asks for the same hour with each object, and parsing takes long.
    try:
        return datetime.strptime(folder, _FORM).replace(tzinfo=UTC)
    except ValueError:
        return None


def folder_at(time: datetime) -> str:
    """Return the folder of the runs that begin in the hour of ``time``, which is in UTC."""
    # Not %Y, which does not pad years before 1000: names are compared as text.
    return f"{ROOT}{time.year:04}/{time:%m/%d/%H}/"
