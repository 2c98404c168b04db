"""The log's entries a page at a time, without reading what lies before or after the page."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from daena_kms.audit.reader import entries_of, hours
from daena_kms.audit.records import ROOT, decode, split_name
from daena_kms.errors import ConfigError
from daena_kms.objects.base import Objects

#: An outcome may be written so long after its run began: no run takes longer.
_LONGEST_RUN = timedelta(hours=24)


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
    for name in _names(objects, wanted, after):
        if last is not None and (len(found) >= limit or (over() and last != after)):
            return found, last
        record = decode(objects.get(name) or b"", name)
        found += [row for row in entries_of(record) if wanted.takes(row)]
        last = name
    return found, None


def _names(objects: Objects, wanted: Filter, after: str | None) -> Iterator[str]:
    first = after or ""
    if wanted.since is not None:
        first = max(first, _hour(wanted.since - _LONGEST_RUN))
    last = _hour(wanted.until + timedelta(hours=1)) if wanted.until is not None else "~"
    for hour in reversed(list(hours(objects))):
        if hour < last and hour >= first[: len(hour)]:
            for entry in objects.entries(hour):
                parts = split_name(entry.name)
                in_run = parts is not None and wanted.run in {None, parts[1]}
                if in_run and entry.name > first:
                    yield entry.name


def _hour(time: datetime) -> str:
    return f"{ROOT}{time.astimezone(UTC):%Y/%m/%d/%H}/"
