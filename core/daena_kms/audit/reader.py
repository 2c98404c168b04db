"""Read the log: all of it in order, or its end, to learn what earlier runs left unresolved."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from daena_kms.audit.records import (
    CLOSING_SEQ,
    INTENT,
    OUTCOME,
    ROOT,
    decode,
    digest,
    object_name,
    split_name,
)
from daena_kms.errors import AuditUnavailable
from daena_kms.objects.base import Entry, Objects
from daena_kms.rules.plan import Kind, Outcome

_HOUR = f"{ROOT}%Y/%m/%d/%H/"
#: A run whose folder is this much older than the newest closing record has ended.
_WINDOW = timedelta(hours=1)
#: How long a run that never closed is looked at again.
_CARRIED = timedelta(hours=24)


@dataclass(slots=True)
class Tail:
    """What a new run sees of the runs before it."""

    #: The hashes of the closing records of the last hours, by name.
    saw: dict[str, str] = field(default_factory=dict)
    #: The hashes of all objects of each run that has no closing record, by run folder.
    unclosed: dict[str, list[str]] = field(default_factory=dict)
    #: The unclosed runs that no closed run has reported yet, with their records.
    unreported: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    #: Actions that closing records pass on: nobody knows yet whether they took effect.
    unresolved: list[dict[str, Any]] = field(default_factory=list)
    #: The counts in the closing records that were read; see :mod:`daena_kms.audit.generation`.
    counts: list[dict[str, Any]] = field(default_factory=list)


def read_tail(objects: Objects, now: datetime | None = None) -> Tail:
    """Return the end of the log: the hour of the newest closing record, and the hour before.

    This takes a handful of listings and a read of each closing record in these hours.

    Args:
        objects: The log.
        now: The time of the run. Hours after it (from a wrong clock, or forged) are read, but do
            not count as the end.

    Raises:
        AuditUnavailable: The log can't be read.
    """
    tail = Tail()
    newest: dict[str, Any] = {}
    until: datetime | None = None
    seen: set[str] = set()
    for hour in hours(objects):
        when = _hour(hour)
        if when is None:
            continue
        if until is not None and when < until:
            break
        closed, unclosed = _sort(objects.entries(hour))
        ahead = now is not None and when > now + _WINDOW
        if until is None and closed and not ahead:
            until = when - _WINDOW
            entry = max(closed, key=lambda e: (e.modified, e.name))
            newest = _read_closing(objects, entry.name, tail)
            tail.saw |= {
                n: h for n, h in newest.get("saw", {}).items() if n >= f"{ROOT}{until:%Y/%m/%d/%H}"
            }
        for entry in closed:
            if entry.name not in tail.saw:
                _read_closing(objects, entry.name, tail)
        for prefix, names in unclosed.items():
            seen.add(prefix)
            _read_unclosed(objects, prefix, names, newest.get("open", {}), tail)
    if until is not None:
        _carry(objects, newest.get("open", {}), seen, until, tail)
    return tail


def _carry(
    objects: Objects, known: Mapping[str, Any], seen: set[str], until: datetime, tail: Tail
) -> None:
    """Look again at older runs that had no closing record when the newest run closed."""
    for prefix in sorted(known.keys() - seen):
        if prefix < f"{ROOT}{until - _CARRIED:%Y/%m/%d/%H}":
            continue
        names = [entry.name for entry in objects.entries(prefix)]
        closing = object_name(prefix, CLOSING_SEQ)
        if closing not in names:
            _read_unclosed(objects, prefix, names, known, tail)
        elif closing not in tail.saw:
            _read_closing(objects, closing, tail)


def unresolved_actions(tail: Tail) -> list[dict[str, Any]]:
    """Return each unresolved action once: those passed on, and those without an outcome."""
    unresolved = [action for action in tail.unresolved if action.get("at")]
    for prefix, records in tail.unreported.items():
        settled = {
            identity(result)
            for record in records
            if record["type"] == OUTCOME
            for result in record["results"]
            if not is_unresolved(result)
        }
        for record in records:
            if record["type"] == INTENT:
                unresolved += [
                    {
                        **action,
                        "of_run": prefix,
                        "at": record["time"],
                        "provider": record["provider"],
                    }
                    for action in record["actions"]
                    if identity(action) not in settled
                ]
    return list({identity(action): action for action in unresolved}.values())


def records(objects: Objects, prefix: str = ROOT) -> Iterator[tuple[str, bytes]]:
    """Yield the name and bytes of every object below ``prefix``, in the order of the names."""
    for entry in objects.entries(prefix):
        data = objects.get(entry.name)
        if data is not None:
            yield entry.name, data


def history(
    objects: Objects, *, key_id: str | None = None, since: datetime | None = None
) -> Iterator[dict[str, Any]]:
    """Yield what was done, oldest first: one entry for each result, with its run's who and why.

    Args:
        objects: The log.
        key_id: Only entries of this key.
        since: Only entries from this time on; an aware datetime.

    Raises:
        AuditUnavailable: The log can't be read, or one of its objects is not a record.
    """
    start = f"{ROOT}{since.astimezone(UTC):%Y/%m/%d/%H}" if since is not None else ROOT
    rows: list[dict[str, Any]] = []
    for entry in objects.entries(ROOT):
        if entry.name < start or split_name(entry.name) is None:
            continue
        rows += [
            row
            for row in entries_of(decode(objects.get(entry.name) or b"", entry.name))
            if (key_id is None or row["key"] == key_id)
            and (since is None or datetime.fromisoformat(row["time"]) >= since)
        ]
    yield from sorted(rows, key=lambda row: row["time"])


def entries_of(record: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield a record's results, each with its time and its run's who and why."""
    who = {n: record[n] for n in ("run", "trigger", "principal", "reason", "provider")}
    for result in record.get("results", ()):
        yield {"time": result.get("ended") or record["time"], **who, **result}


def revokes(action: Mapping[str, Any]) -> bool:
    """Whether an action is the retirement of a compromised version."""
    return action["kind"] == Kind.RETIRE and action.get("compromised") is True


def is_unresolved(result: Mapping[str, Any]) -> bool:
    """Whether a later run must look: the result is unknown, or the revocation is pending."""
    pending = revokes(result) and result["result"] in {Outcome.FAILED, Outcome.LEFT}
    return pending or result["result"] == Outcome.UNKNOWN


def closings(objects: Objects) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the closing records with their names, those of the newest hour first.

    Broken records are skipped.

    Raises:
        AuditUnavailable: The log can't be read.
    """
    for hour in hours(objects):
        closed, _ = _sort(objects.entries(hour))
        for entry in sorted(closed, key=lambda e: (e.modified, e.name), reverse=True):
            record = _decode(objects.get(entry.name) or b"", entry.name)
            if record:
                yield entry.name, record


def identity(action: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return what identifies an action in its run; the action's result has the same."""
    return action["key"], action["kind"], action.get("base"), action.get("version")


def hours(objects: Objects) -> Iterator[str]:
    """Yield the log's hour folders, newest first, listing one level at a time."""

    def below(prefix: str, depth: int) -> Iterator[str]:
        for name in reversed(objects.children(prefix)):
            if name.isdigit():
                inner = f"{prefix}{name}/"
                yield from below(inner, depth - 1) if depth else (inner,)

    yield from below(ROOT, 3)


def _hour(folder: str) -> datetime | None:
    """Return the hour in a folder's name, or ``None`` for a folder that no run made."""
    try:
        when = datetime.strptime(folder, _HOUR).replace(tzinfo=UTC)
    except ValueError:
        return None
    return when if when.year > 1970 and when.strftime(_HOUR) == folder else None  # noqa: PLR2004 - before any cloud


def _sort(entries: list[Entry]) -> tuple[list[Entry], dict[str, list[str]]]:
    """Return the closing records of one hour, and the objects of each run that has none."""
    closed: list[Entry] = []
    runs: dict[str, list[str]] = {}
    for entry in entries:
        parts = split_name(entry.name)
        if parts is None:
            continue
        runs.setdefault(parts[0], []).append(entry.name)
        if parts[2] == CLOSING_SEQ:
            closed.append(entry)
    for entry in closed:
        del runs[entry.name[: entry.name.rindex("/") + 1]]
    return closed, runs


def _read_closing(objects: Objects, name: str, tail: Tail) -> dict[str, Any]:
    data = objects.get(name) or b""
    tail.saw[name] = digest(data)
    record = _decode(data, name)
    tail.unresolved += record.get("unresolved", ())
    tail.counts.append(record.get("counts", {}))
    return record


def _read_unclosed(
    objects: Objects, prefix: str, names: list[str], reported: Mapping[str, Any], tail: Tail
) -> None:
    """Read a run that has no closing record, unless a run has reported these objects already."""
    if len(reported.get(prefix, ())) == len(names):
        tail.unclosed[prefix] = reported[prefix]
        return
    datas = [objects.get(name) or b"" for name in names]
    tail.unclosed[prefix] = [digest(data) for data in datas]
    pairs = zip(datas, names, strict=True)
    tail.unreported[prefix] = [record for data, name in pairs if (record := _decode(data, name))]


def _decode(data: bytes, name: str) -> dict[str, Any]:
    """Return a record, or an empty one if it is broken: verify reports it, but no run stops."""
    try:
        return decode(data, name)
    except AuditUnavailable:
        return {}
