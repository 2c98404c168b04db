"""Check one run's objects against each other, one after the other, as they are read."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from daena_kms.audit.bounds import MAX_OBJECT
from daena_kms.audit.problems import Problems
from daena_kms.audit.records import (
    CLOSING,
    CLOSING_SEQ,
    beyond,
    decode,
    digest,
    encode,
    object_name,
    split_name,
)
from daena_kms.errors import AuditUnavailable

#: The time in a closing record that can't be read.
UNREADABLE = datetime.max.replace(tzinfo=UTC)
_SHA256 = 32
#: After a gap in the numbers, so many hashes and broken links are kept at most.
_KEPT = 10_000


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What is kept of a run after its objects were checked."""

    prefix: str
    #: The hashes of its objects from number 0 on, up to the first that is missing: 32 bytes each.
    hashes: bytes
    #: How many objects it has beside a closing record.
    count: int
    #: The time in its closing record; ``None`` if it has none.
    closed: datetime | None
    #: The latest time in its records; ``None`` if none could be read.
    latest: datetime | None = None

    def hash(self, seq: int) -> str | None:
        """Return the hash of an object, if it is there."""
        found = self.hashes[seq * _SHA256 : (seq + 1) * _SHA256]
        return f"sha256:{found.hex()}" if found else None


class RunCheck:
    """The check of one run. Its objects are added in the order of their numbers."""

    def __init__(self, prefix: str, problems: Problems) -> None:
        self.prefix = prefix
        self.closing: dict[str, Any] | None = None
        #: The hash of its closing record, whether that is well-formed or not.
        self.closing_hash: str | None = None
        #: The time in its first record, and the latest in any of them.
        self.began: datetime | None = None
        self.latest: datetime | None = None
        self._problems = problems
        self._hashes = bytearray()
        self._after_gap: dict[int, str] = {}
        self._gaps: list[tuple[int, int]] = []
        self._broken: list[int] = []
        self._next = 0
        self._count = 0
        self._closed = False

    def add(self, name: str, data: bytes | None) -> dict[str, Any] | None:
        """Check an object, and return its record if that is well-formed and in its place.

        Args:
            name: The object.
            data: Its bytes; ``None`` if it is larger than any record.
        """
        parts = split_name(name)
        seq = parts[2] if parts is not None else 0
        hashed = digest(data) if data is not None else None
        self._count_in(seq, hashed)
        if data is None:
            what = f"is larger than {MAX_OBJECT:,} bytes, and no run writes or reads such"
            self._problems.add(name, what)
            return None
        record = self._record(name, data)
        if record is None:
            return None
        when = datetime.fromisoformat(record["time"])
        self.began = self.began or when
        self.latest = max(when, self.latest or when)
        before = len(record["objects"]) - 1 if seq == CLOSING_SEQ else seq - 1
        link = self._hash(before)
        if record["prev_hash"] != link and (link is not None or before < 0):
            if before < 0:
                what = "names a record before it, but is the first of its run"
                self._problems.add(name, what)
            elif len(self._broken) < _KEPT:
                self._broken.append(seq)
        if seq == CLOSING_SEQ:
            self.closing = record
        return record

    def end(self) -> RunFacts:
        """Check the run as a whole, and return what is kept of it."""
        listed: list[str] = self.closing["objects"] if self.closing is not None else []
        if self.closing is None:
            for first, last in self._gaps:
                self._missing(first, last)
        else:
            for first, last in [*self._gaps, (self._next, len(listed) - 1)]:
                self._missing(first, min(last, len(listed) - 1))
            self._check_listed(listed)
        for seq in self._broken:
            before = len(listed) - 1 if seq == CLOSING_SEQ else seq - 1
            if before < len(listed) and listed[before] != self._hash(before):
                continue  # the changed object is named already
            what = f"was changed, or {object_name(self.prefix, before)} was"
            kind = "was changed, or the one before it was"
            self._problems.add(object_name(self.prefix, seq), what, kind)
        closed = datetime.fromisoformat(self.closing["time"]) if self.closing is not None else None
        if closed is None and self._closed:
            closed = UNREADABLE
        return RunFacts(self.prefix, bytes(self._hashes), self._count, closed, self.latest)

    def _count_in(self, seq: int, hashed: str | None) -> None:
        if seq == CLOSING_SEQ:
            self.closing_hash, self._closed = hashed, True
            return
        if seq > self._next:
            self._gaps.append((self._next, seq - 1))
        self._next = seq + 1
        self._count += 1
        if hashed is None:
            return
        if seq == len(self._hashes) // _SHA256:
            self._hashes += bytes.fromhex(hashed.removeprefix("sha256:"))
        elif len(self._after_gap) < _KEPT:
            self._after_gap[seq] = hashed

    def _record(self, name: str, data: bytes) -> dict[str, Any] | None:
        try:
            record = decode(data, name)
            exact = encode(record) == data
        except (AuditUnavailable, ValueError, RecursionError):
            self._problems.add(name, "is not a well-formed record")
            return None
        parts = split_name(name)
        if not exact:
            self._problems.add(name, "is not in the exact form of a record")
        if parts is None or (record["run"], record["seq"]) != parts[1:]:
            self._problems.add(name, "says that it is of another run or number")
        elif (record["type"] == CLOSING) != (parts[2] == CLOSING_SEQ):
            self._problems.add(name, "has a type that does not fit its number")
        else:
            too_much = beyond(record)
            if too_much is None:
                return record
            kind = "holds more than a run writes: runs pass over it"
            self._problems.add(name, f"holds {too_much}: runs pass over it", kind)
        return None

    def _check_listed(self, listed: list[str]) -> None:
        for seq, expected in enumerate(listed):
            if (self._hash(seq) or expected) != expected:
                what = "was changed: its hash is not the one in the run's closing record"
                self._problems.add(object_name(self.prefix, seq), what)
        added = [seq for seq in self._after_gap if seq >= len(listed)]
        for seq in (*range(len(listed), len(self._hashes) // _SHA256), *added):
            what = "was added: the run's closing record does not list it"
            self._problems.add(object_name(self.prefix, seq), what)

    def _missing(self, first: int, last: int) -> None:
        if last < first:
            return
        what = "is missing"
        if last > first:
            what += f", and so are the {last - first:,} after it, up to {last:06}.json"
        self._problems.add(object_name(self.prefix, first), what, "is missing")

    def _hash(self, seq: int) -> str | None:
        if seq < 0:
            return None
        found = self._hashes[seq * _SHA256 : (seq + 1) * _SHA256]
        return f"sha256:{found.hex()}" if found else self._after_gap.get(seq)
