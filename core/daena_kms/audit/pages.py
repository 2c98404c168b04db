"""Read the log's entries a page at a time, and nothing before or after the page."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from daena_kms.audit.entries import rows_in
from daena_kms.audit.folders import folder_at, hours
from daena_kms.audit.problems import PassedOver
from daena_kms.audit.records import CLOSING_SEQ, ROOT, object_name, split_name
from daena_kms.errors import ConfigError
from daena_kms.objects.base import Entry, Objects

#: No run takes longer, so its last outcome is written at most this long after it began.
_LONGEST_RUN = timedelta(hours=24)
#: Where a page ends if it has read a whole hour: no name in the hour comes after this one.
_LAST_IN_HOUR = object_name(f"{'f' * 32}/", CLOSING_SEQ)


@dataclass(frozen=True, slots=True)
class Filter:
    """Which entries are wanted; a member that is ``None`` excludes none."""

    key_id: str | None = None
    run: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def takes(self, row: dict[str, Any]) -> bool:
        """Whether an entry is wanted."""
        time = datetime.fromisoformat(row["time"])
        return (
            (self.key_id is None or row["key"] == self.key_id)
            and (self.run is None or row["run"] == self.run)
            and (self.since is None or time >= self.since)
            and (self.until is None or time < self.until)
        )


def page(
    objects: Objects,
    wanted: Filter,
    *,
    after: str | None = None,
    limit: int = 100,
    over: Callable[[], bool] = bool,
    passed_over: PassedOver | None = None,
) -> tuple[list[dict[str, Any]], str | None]:
    """Return the next entries that are wanted, and where the next page begins.

    The order is that of the log's objects: by the hour in which a run began, then by run, then by
    record.

    Args:
        objects: The log.
        wanted: Which entries to return.
        after: Where the page begins, as an earlier page returned it; ``None``: at the beginning.
        limit: The page ends with the object that brings it to this many entries.
        over: Returns whether the time is over; the page then ends early.
        passed_over: Takes the objects that are no records.

    Returns:
        The entries, and the ``after`` of the next page; ``None`` at the end of the log.

    Raises:
        ConfigError: ``after`` is not what a page returned.
        AuditUnavailable: The log can't be read.
    """
    if after is not None and split_name(after) is None:
        msg = f"{after[:80]!r} is not a place in the log"
        raise ConfigError(msg, todo="Send the next of the previous page as after")
    rows: list[dict[str, Any]] = []
    last = after
    for hour in _hours(objects, wanted, after or ""):
        for entry in _entries(objects, hour, wanted, after or ""):
            if last is not None and (len(rows) >= limit or (over() and last != after)):
                return rows, last
            rows += [row for row in rows_in(objects, entry, passed_over) if wanted.takes(row)]
            last = entry.name
        end = f"{hour}{_LAST_IN_HOUR}"
        if over() and split_name(end) is not None:
            # Each hour costs a listing, even if nothing in it is wanted.
            return rows, end
    return rows, None


def _hours(objects: Objects, wanted: Filter, first: str) -> Iterator[str]:
    """Yield the hours of a page, the oldest first; no hour before them is listed."""
    if wanted.since is not None:
        first = max(first, _hour(wanted.since, -_LONGEST_RUN))
    last = _hour(wanted.until, timedelta(hours=1)) if wanted.until is not None else "~"
    for hour in hours(objects, first=first, last=last, newest_first=False):
        if hour < last and first < f"{hour}{_LAST_IN_HOUR}":
            yield hour


def _entries(objects: Objects, hour: str, wanted: Filter, first: str) -> Iterator[Entry]:
    for entry in objects.scan(hour, first):
        parts = split_name(entry.name)
        if parts is not None and wanted.run in {None, parts[1]}:
            yield entry


def _hour(time: datetime, further: timedelta) -> str:
    """Return the folder of the hour at ``time`` plus ``further``, if there is such a time."""
    try:
        return folder_at(time + further)
    except OverflowError:
        return f"{ROOT}{'~' if further > timedelta() else ''}"
