"""Read the log: all of it in order, or its end, to learn what earlier runs left unresolved."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from daena_kms.audit.bounds import BoundedLog, ReadBudget, Spent, bounded
from daena_kms.audit.entries import rows_in
from daena_kms.audit.folders import folder_at, hour_of, hours
from daena_kms.audit.intents import Intents, cleaned, identity, passed_on, read_record
from daena_kms.audit.problems import PassedOver
from daena_kms.audit.records import (
    CLOSING,
    CLOSING_SEQ,
    MAX_UNRESOLVED,
    OUTCOME,
    ROOT,
    digest,
    object_name,
    split_name,
)
from daena_kms.objects.base import Entry, Objects
from daena_kms.rules.due import CLOCK_SKEW
from daena_kms.rules.plan import Kind, Outcome

#: The hour of the newest closing record, and the hour before it, are always read.
_WINDOW = timedelta(hours=1)
#: Further ones are read until so many hours hold one that a later run saw: a forged one must not
#: hide an honest one that is hours older.
_LEAST_HOURS = 2
#: That ends after so many calls.
_LOOK_BACK_CALLS = 60
#: A run that has no closing record is looked at again for so long.
_CARRIED = timedelta(hours=24)
#: What listings and closing records may use of a run's calls and bytes. The rest is for the runs
#: without a closing record and, of that, a part for the intents of unresolved actions.
_ENDS = (130, 8_000_000)
_UNCLOSED = (80, 4_000_000)
#: So many unresolved actions are tried to be proved.
_PROOFS = 1000


@dataclass(slots=True)
class Tail:
    """What a new run sees of the runs before it. It read and hashed all of it itself."""

    #: The hashes of closing records, by name: those of the newest hour and the hour before it, and
    #: older ones that no other closing record names.
    saw: dict[str, str] = field(default_factory=dict)
    #: The hashes of the objects of each run that has no closing record, by run folder, from its
    #: first object on.
    unclosed: dict[str, list[str]] = field(default_factory=dict)
    #: The unclosed runs that no closed run has reported yet, with their records.
    unreported: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    #: Actions that closing records pass on: nobody knows yet whether they took effect. Each is
    #: taken from its intent.
    unresolved: list[dict[str, Any]] = field(default_factory=list)
    #: Retirements of compromised versions of which some record says that they are resolved: one
    #: closing record passed them on and a later one did not, or an unclosed run intended them.
    #: Only a look at the store says whether they were made.
    left_out: list[dict[str, Any]] = field(default_factory=list)
    #: The counts in the closing records that were read; see :mod:`daena_kms.audit.generation`.
    counts: list[dict[str, Any]] = field(default_factory=list)
    #: How much was passed over: what no run writes, or what this run had no budget for.
    passed_over: int = 0


def read_tail(
    objects: Objects, now: datetime | None = None, budget: ReadBudget | None = None
) -> Tail:
    """Return the end of the log: the closing records of the last hours, and what they leave open.

    Args:
        objects: The log.
        now: The time of the run. Hours and records after it (from a wrong clock, or forged) are
            passed over.
        budget: What may be read; by default what any run may read.

    Raises:
        AuditUnavailable: The log can't be read.
    """
    return _Reading(BoundedLog(objects, budget or ReadBudget()), now).read()


class _Reading:
    """The reading of the end of one log."""

    def __init__(self, log: BoundedLog, now: datetime | None) -> None:
        self._log = log
        self._horizon = None if now is None else now + CLOCK_SKEW
        self._last = "~" if now is None else folder_at((now + CLOCK_SKEW).astimezone(UTC))
        self._tail = Tail()
        self._intents = Intents(log)
        #: The hash of each closing record, and which of them are older than the newest by hours.
        self._hashes: dict[str, str] = {}
        self._older: set[str] = set()
        #: The closing records that are read as such, the newest first.
        self._closings: dict[str, dict[str, Any]] = {}
        #: The objects of each run without a closing record of its own, and those of the others.
        self._open: dict[str, list[Entry]] = {}
        self._ended: dict[str, list[Entry]] = {}
        #: Runs before this hour that a closing record names are looked at no more.
        self._carried_from = ""
        #: The hours whose objects were listed.
        self._listed: set[str] = set()

    def read(self) -> Tail:
        parts = [self._log.part(*_ENDS), self._log.part(*_UNCLOSED)]
        with suppress(Spent):
            self._read_ends(parts[0])
        with suppress(Spent):
            self._read_carried(parts[1])
        self._tail.saw = self._seen()
        with suppress(Spent):
            self._read_unclosed(parts[1])
        self._read_unresolved()
        self._tail.passed_over += sum(part.passed_over for part in (self._log, *parts))
        return self._tail

    def _read_ends(self, log: BoundedLog) -> None:
        """Read the closing records, the newest hour first."""
        newest: datetime | None = None
        found, named = 0, dict[str, str]()
        for hour in hours(log, last=self._last):
            when = hour_of(hour)
            if when is None:
                continue
            enough = found >= _LEAST_HOURS or log.budget.calls >= _LOOK_BACK_CALLS
            if enough and newest is not None and newest - when > _WINDOW:
                return
            closed = self._sort(log.entries(hour))
            self._listed.add(hour)
            if closed:
                newest = newest or when
                self._carried_from = folder_at(newest - _CARRIED)
            older = newest is not None and newest - when > _WINDOW
            self._older |= {entry.name for entry in closed} if older else set()
            for entry in closed:
                self._read_closing(log, entry)
                named |= self._closings.get(entry.name, {}).get("saw", {})
            found += any(named.get(e.name, "") == self._hashes.get(e.name) for e in closed)

    def _read_carried(self, log: BoundedLog) -> None:
        """Read the runs of hours that were not listed, if a closing record names them as unclosed.

        They may have gone on since, or ended.
        """
        named = {prefix for record in self._closings.values() for prefix in record["open"]}
        for prefix in sorted(named, reverse=True):
            hour = prefix[: prefix.rindex("/", 0, -1) + 1]
            if hour in self._listed or not self._carried_from <= hour <= self._last:
                continue
            for entry in self._sort(log.entries(prefix)):
                self._read_closing(log, entry)

    def _seen(self) -> dict[str, str]:
        """Return the closing records that this run's own names: with those, it covers all."""
        named = {
            name
            for record in self._closings.values()
            for name, hashed in record["saw"].items()
            if self._hashes.get(name) == hashed
        }
        older = self._older & named
        return {name: hashed for name, hashed in self._hashes.items() if name not in older}

    def _sort(self, entries: Iterable[Entry]) -> list[Entry]:
        """Return the closing records of an hour, the newest first, and keep the unclosed runs."""
        runs: dict[str, list[Entry]] = {}
        closed: list[Entry] = []
        for entry in entries:
            parts = split_name(entry.name)
            if parts is not None and parts[2] == CLOSING_SEQ:
                closed.append(entry)
            elif parts is not None:
                runs.setdefault(parts[0], []).append(entry)
        for entry in closed:
            prefix = entry.name[: entry.name.rindex("/") + 1]
            self._ended[prefix] = runs.pop(prefix, [])
        self._open |= runs
        return sorted(closed, key=lambda entry: (entry.modified, entry.name), reverse=True)

    def _read_closing(self, log: BoundedLog, entry: Entry) -> None:
        data = log.get_listed(entry)
        record = read_record(data, entry.name)
        if data is not None:
            self._hashes[entry.name] = digest(data)
        prefix = entry.name[: entry.name.rindex("/") + 1]
        mine = self._ended.pop(prefix)
        if record.get("type") != CLOSING or self._is_ahead(record["time"]):
            self._tail.passed_over += data is not None
            self._open[prefix] = mine
            return
        self._closings[entry.name] = record
        self._tail.counts.append(record["counts"])
        if len(record["objects"]) != len(mine):
            # Somebody added a closing record to a run that has none: it lists other objects.
            self._open[prefix] = mine

    def _read_unclosed(self, log: BoundedLog) -> None:
        """Read the runs without a closing record, the newest first."""
        reported: dict[str, list[list[str]]] = {}
        for record in self._closings.values():
            for prefix, hashes in record["open"].items():
                reported.setdefault(prefix, []).append(hashes)
        for prefix in sorted(self._open, reverse=True):
            if prefix in reported and prefix < self._carried_from:
                continue
            self._read_run(log, prefix, reported.get(prefix, []))

    def _read_run(self, log: BoundedLog, prefix: str, reported: list[list[str]]) -> None:
        """Read the objects of a run from its first on, up to one that is missing or too large."""
        hashes: list[str] = []
        found: list[dict[str, Any]] = []
        try:
            for seq, entry in enumerate(self._open[prefix]):
                if entry.name != object_name(prefix, seq):
                    break
                data = log.get_listed(entry)
                if data is None:
                    break
                hashes.append(digest(data))
                record = read_record(data, entry.name)
                if record and not self._is_ahead(record["time"]):
                    found.append(record)
                    self._intents.add(entry.name, hashes[-1], record)
        finally:
            if hashes:
                self._tail.unclosed[prefix] = hashes
                self._tail.left_out += _revocations(prefix, found, hashes)
                if hashes not in reported:
                    self._tail.unreported[prefix] = found

    def _read_unresolved(self) -> None:
        """Prove what the closing records pass on: revocations first, and of each record in turn."""
        live, left_out = _passed_on(self._closings, self._hashes)
        disowned: set[tuple[Any, ...]] = set()
        for actions, into in ((live, self._tail.unresolved), (left_out, self._tail.left_out)):
            proved: dict[tuple[Any, ...], dict[str, Any]] = {}
            for action in actions[:_PROOFS]:
                if identity(action) in proved or self._is_ahead(action["at"]):
                    continue
                try:
                    found = self._intents.proved(action)
                except Spent:
                    found = None
                    disowned.add(identity(action))
                if found is not None and len(proved) < MAX_UNRESOLVED:
                    proved[identity(action)] = found
                else:
                    self._tail.passed_over += 1
                    disowned |= {identity(action)} if found is not None else set()
            disowned |= {identity(action) for action in actions[_PROOFS:]}
            into.extend(proved.values())
        self._disown(disowned)

    def _disown(self, actions: set[tuple[Any, ...]]) -> None:
        """Leave actions to the next run: this one must not say that it saw who passes them on."""
        for name, record in self._closings.items() if actions else ():
            if any(identity(action) in actions for action in record["unresolved"]):
                self._tail.saw.pop(name, None)

    def _is_ahead(self, time: str) -> bool:
        return self._horizon is not None and datetime.fromisoformat(time) > self._horizon


def _passed_on(
    closings: Mapping[str, Mapping[str, Any]], hashes: Mapping[str, str]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the actions that closing records pass on, and the revocations that were left out.

    A run that saw a closing record, and does not pass an action on, says that the action was
    resolved. It may be forged, so that does not end a revocation.

    Args:
        closings: The closing records by name, the newest first.
        hashes: The hash of each.
    """
    seen = {
        name
        for record in closings.values()
        for name, hashed in record["saw"].items()
        if hashes.get(name) == hashed
    }
    live: list[tuple[bool, int, dict[str, Any]]] = []
    left_out: list[tuple[bool, int, dict[str, Any]]] = []
    for name, record in closings.items():
        for number, action in enumerate(record["unresolved"]):
            if action.get("at") and (name not in seen or revokes(action)):
                row = (not revokes(action), number, action)
                (left_out if name in seen else live).append(row)
    # In turn, so that one record does not take the place of all others.
    for rows in (live, left_out):
        rows.sort(key=lambda row: row[:2])
    return [action for _, _, action in live], [action for _, _, action in left_out]


def _revocations(
    prefix: str, found: Iterable[Mapping[str, Any]], hashes: list[str]
) -> list[dict[str, Any]]:
    """Return the retirements of compromised versions that a run intended and did not skip."""
    intended: dict[tuple[Any, ...], dict[str, Any]] = {}
    for record in found:
        for action in filter(revokes, record.get("actions", ())):
            intended |= _intended(prefix, record, action, hashes)
        for result in filter(revokes, record.get("results", ())):
            if result["result"] == Outcome.SKIPPED:
                intended.pop(identity(result), None)
    return list(intended.values())


def _intended(
    prefix: str, record: Mapping[str, Any], action: Mapping[str, Any], hashes: list[str]
) -> dict[tuple[Any, ...], dict[str, Any]]:
    """Return an action of an intent as it is passed on, by its identity, if a run intends such."""
    taken = cleaned(action)
    if taken is None:
        return {}
    ref = f"{object_name(prefix, record['seq'])}@{hashes[record['seq']]}"
    return {identity(action): passed_on(taken, ref, record["time"], record["provider"])}


def unresolved_actions(tail: Tail) -> list[dict[str, Any]]:
    """Return each unresolved action once: those passed on, and those without an outcome."""
    unresolved = {identity(action): action for action in tail.unresolved}
    for prefix, found in tail.unreported.items():
        settled = {
            identity(result)
            for record in found
            if record["type"] == OUTCOME
            for result in record["results"]
            if not is_unresolved(result)
        }
        for record in found:
            for action in record.get("actions", ()):
                if identity(action) not in settled:
                    unresolved |= _intended(prefix, record, action, tail.unclosed[prefix])
    return list(unresolved.values())


def records(objects: Objects, prefix: str = ROOT) -> Iterator[tuple[str, bytes]]:
    """Yield the name and bytes of every object below ``prefix``, in the order of the names.

    Objects that are larger than any record are left out.
    """
    for entry in objects.scan(prefix):
        data = bounded(objects, entry)
        if data is not None:
            yield entry.name, data


def history(
    objects: Objects,
    *,
    key_id: str | None = None,
    since: datetime | None = None,
    passed_over: PassedOver | None = None,
) -> Iterator[dict[str, Any]]:
    """Yield what was done, oldest first: one entry for each result, with its run's who and why.

    Args:
        objects: The log.
        key_id: Only entries of this key.
        since: Only entries from this time on; an aware datetime. Hours before it are not listed.
        passed_over: Takes the objects that are no records: whoever may add to the log may add them.

    Raises:
        AuditUnavailable: The log can't be read.
    """
    start = folder_at(since.astimezone(UTC)) if since is not None else ""
    rows: list[dict[str, Any]] = []
    for entry in objects.scan(ROOT, start):
        if split_name(entry.name) is None:
            continue
        rows += [
            row
            for row in rows_in(objects, entry, passed_over)
            if (key_id is None or row["key"] == key_id)
            and (since is None or datetime.fromisoformat(row["time"]) >= since)
        ]
    yield from sorted(rows, key=lambda row: row["time"])


def revokes(action: Mapping[str, Any]) -> bool:
    """Whether an action is the retirement of a compromised version."""
    return action["kind"] == Kind.RETIRE and action.get("compromised") is True


def is_unresolved(result: Mapping[str, Any]) -> bool:
    """Whether a later run must look: the result is unknown, or the revocation is pending."""
    pending = revokes(result) and result["result"] in {Outcome.FAILED, Outcome.LEFT}
    return pending or result["result"] == Outcome.UNKNOWN
