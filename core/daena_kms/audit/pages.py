"""The log's entries a page at a time, without reading what lies before or after the page."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from daena_kms.audit.reader import entries_of, hours
from daena_kms.audit.records import CLOSING_SEQ, ROOT, decode, object_name, split_name
from daena_kms.errors import ConfigError
from daena_kms.objects.base import Objects

#: An outcome may be written so long after its run began: no run takes longer.
_LONGEST_RUN = timedelta(hours=24)
#: Where a page ends that has seen a whole hour: no name in it comes after this one.
_LAST_IN_HOUR = object_name(f"{'f' * 32}/", CLOSING_SEQ)


@dataclass(frozen=True, slots=True)
class Filter:
    """Which entries are wanted; ``None`` wants all."""

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
) -> tuple[list[dict[str, Any]], str | None]:
    """Return the next entries that are wanted, and where to go on: ``None`` at the end.

    The order is that of the log's objects: by the hour in which a run began, then by run, then by
    record. ``after`` is what an earlier page returned. A page ends with the object that fills it,
    or when ``over`` says that there is no more time. Raises
    :class:`~daena_kms.errors.ConfigError` for an ``after`` that is none, and
    :class:`~daena_kms.errors.AuditUnavailable`.
    """
    if after is not None and split_name(after) is None:
        msg = f"{after[:80]!r} is no place in the log"
        raise ConfigError(msg, todo="Send as after what the page before gave as next")
    found: list[dict[str, Any]] = []
    last = after
    for hour in _hours(objects, wanted, after or ""):
        for name in _names(objects, hour, wanted, after or ""):
            if last is not None and (len(found) >= limit or (over() and last != after)):
                return found, last
            record = decode(objects.get(name) or b"", name)
            found += [row for row in entries_of(record) if wanted.takes(row)]
            last = name
        end = f"{hour}{_LAST_IN_HOUR}"
        if over() and split_name(end) is not None:
            # Hours in which nothing is wanted cost a listing each, too.
            return found, end
    return found, None


def _hours(objects: Objects, wanted: Filter, first: str) -> Iterator[str]:
    if wanted.since is not None:
        first = max(first, _hour(wanted.since, -_LONGEST_RUN))
    last = _hour(wanted.until, timedelta(hours=1)) if wanted.until is not None else "~"
    for hour in reversed(list(hours(objects))):
        if first[: len(hour)] <= hour < last and first < f"{hour}{_LAST_IN_HOUR}":
            yield hour


def _names(objects: Objects, hour: str, wanted: Filter, first: str) -> Iterator[str]:
    for entry in objects.entries(hour):
        parts = split_name(entry.name)
        in_run = parts is not None and wanted.run in {None, parts[1]}
        if in_run and entry.name > first:
            yield entry.name


def _hour(time: datetime, further: timedelta) -> str:
    """Return the folder of the hour so far from a time, as far as there are such times."""
    try:
        time += further
    except OverflowError:
        return f"{ROOT}{'~' if further > timedelta() else ''}"
    # By hand: %Y does not fill up the years before 1000, and names are compared as texts.
    return f"{ROOT}{time.year:04}/{time:%m/%d/%H}/"
