"""Check what runs say about the objects of other runs: each record is a witness of what it names.

A record may be forged. So where two differ, and one of them says what is there, the other is named.
"""

from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta

from daena_kms.audit.bounds import MAX_OBJECT
from daena_kms.audit.chain import UNREADABLE, RunCheck, RunFacts
from daena_kms.audit.intents import LONGEST_RUN
from daena_kms.audit.problems import Problems, shortened
from daena_kms.audit.records import CLOSING_SEQ, digest, object_name, split_name
from daena_kms.objects.base import Objects

#: Of so many runs the closing record's hash is kept. An older one is read again if it is needed.
_KEPT = 4096
#: So many objects are read again for one record, and so many claims are kept about one object.
_READ_AGAIN, _CLAIMS = 300, 20
#: What is said about so many objects that have not been read yet is kept.
_LATER = 20_000
#: So many mismatches are kept until the end.
_MISMATCHES = 1000
#: So many notes on runs without a closing record are kept.
_NOTES = 50
#: A run that was seen without closing record so long after its end had none.
_SEEN_LATE = timedelta(hours=1)

_CHANGED = "was changed: its hash is not the one that a later run saw"
_LIES = "says that another run's object has another hash than it has"


@dataclass(slots=True)
class _Closed:
    hashed: str | None
    confirmed: bool = False


@dataclass(frozen=True, slots=True)
class _Listing:
    """What one record says about the objects of a run that had no closing record."""

    by: str
    hashes: tuple[str, ...]
    #: When the writer had read them, where its records tell.
    at: datetime | None
    recovery: bool


class Witnesses:
    """What records say about other runs. Runs are added in the order of their folders' names."""

    def __init__(self, objects: Objects, problems: Problems) -> None:
        self._objects = objects
        self._problems = problems
        #: All runs up to this one have been read.
        self._at = ""
        self._closed: OrderedDict[str, _Closed] = OrderedDict()
        self._runs: OrderedDict[str, RunFacts] = OrderedDict()
        self._unclosed: dict[str, RunFacts] = {}
        self._reported: set[str] = set()
        self._grown: dict[str, int] = {}
        self._went_on: set[str] = set()
        self._checked: OrderedDict[tuple[str, int, int, bool], None] = OrderedDict()
        #: What was said about runs that come later.
        self._saw_later: dict[str, dict[str, str]] = {}
        self._listed_later: dict[str, list[_Listing]] = {}
        self._mismatched: dict[str, str] = {}
        self._confirmed: dict[str, int] = {}

    def add(self, run: RunCheck, facts: RunFacts) -> None:
        """Take a run whose objects were checked, and check what was said about it before."""
        self._at = run.prefix
        name = object_name(run.prefix, CLOSING_SEQ)
        if facts.closed is not None:
            self._keep(self._closed, name, _Closed(run.closing_hash))
            self._keep(self._runs, run.prefix, facts)
        else:
            self._unclosed[run.prefix] = facts
        for hashed, by in self._saw_later.pop(name, {}).items():
            self._judge(name, hashed, by)
        for listing in self._listed_later.pop(run.prefix, ()):
            self._check(facts, listing)

    def saw(self, by: str, seen: dict[str, str]) -> None:
        """Check which closing records a record names, with their hashes."""
        again = 0
        for name, hashed in sorted(seen.items()):
            if name[: name.rindex("/") + 1] > self._at:
                if len(self._saw_later) >= _LATER and name not in self._saw_later:
                    self._problems.add(by, "names more closing records than there are")
                    return
                claims = self._saw_later.setdefault(name, {})
                if len(claims) < _CLAIMS:
                    claims.setdefault(hashed, by)
                continue
            again += name not in self._closed
            if again > _READ_AGAIN:
                self._problems.add(by, "names more older closing records than a run reads")
                return
            self._judge(name, hashed, by)

    def kept_elsewhere(self, name: str, hashed: str) -> None:
        """Check a closing record whose hash was kept elsewhere. All runs have been read."""
        actual = self._hash_of(name)
        if actual is None:
            self._problems.add(name, "is missing: a later run saw this closing record")
        elif actual != hashed:
            self._problems.add(name, _CHANGED)

    def listed(
        self, by: str, runs: dict[str, list[str]], at: datetime | None, *, recovery: bool = False
    ) -> None:
        """Check which objects of runs without a closing record a record names."""
        again = 0
        for prefix, hashes in runs.items():
            listing = _Listing(by, tuple(hashes), at, recovery)
            if prefix > self._at:
                if len(self._listed_later) >= _LATER and prefix not in self._listed_later:
                    self._problems.add(by, "names more runs than there are")
                    return
                claims = self._listed_later.setdefault(prefix, [])
                if len(claims) < _CLAIMS:
                    claims.append(listing)
                continue
            key = (prefix, hash(listing.hashes), len(hashes), recovery)
            if key in self._checked:
                continue
            facts = self._unclosed.get(prefix) or self._runs.get(prefix)
            if facts is None:
                again += max(1, len(hashes))
                if again > _READ_AGAIN:
                    self._problems.add(by, "names more runs without a closing record than it read")
                    return
                facts = self._read_again(prefix, len(hashes))
            if self._check(facts, listing):
                self._keep(self._checked, key, None)

    def end(self) -> None:
        """Name what is missing, and who is wrong where records differ."""
        for name, claims in sorted(self._saw_later.items()):
            for hashed, by in claims.items():
                self._judge(name, hashed, by)
        for prefix, listings in sorted(self._listed_later.items()):
            for listing in listings:
                self._check(RunFacts(prefix, b"", 0, None), listing)
        for name, by in self._mismatched.items():
            prefix, seq = name[: name.rindex("/") + 1], (split_name(name) or ("", "", 0))[2]
            closed = self._closed.get(name)
            confirmed = closed.confirmed if closed else self._confirmed.get(prefix, 0) > seq
            if confirmed:
                self._problems.add(by, f"{_LIES}: {name}, which others saw as it is", _LIES)
            else:
                self._problems.add(name, _CHANGED)
        for prefix, count in self._grown.items():
            for seq in range(count, self._unclosed[prefix].count):
                what = "was added after a later run had recovered this run"
                self._problems.add(object_name(prefix, seq), what)

    def notes(self) -> list[str]:
        """Return a note on each run that has no closing record."""
        notes = []
        for prefix in self._unclosed:
            known = (
                "a later run recovered it" if prefix in self._reported else "the next run will look"
            )
            if prefix in self._went_on:
                known += ", while it still wrote"
            what = "has no closing record: the run was interrupted, or is still running"
            notes.append(f"{prefix} {what}; {known}")
            if len(notes) == _NOTES:
                break
        return shortened(notes, len(self._unclosed))

    def _judge(self, name: str, hashed: str, by: str) -> None:
        actual = self._hash_of(name)
        if actual is None:
            self._problems.add(name, "is missing: a later run saw this closing record")
        elif actual == hashed:
            if name in self._closed:
                self._closed[name].confirmed = True
        elif len(self._mismatched) < _MISMATCHES:
            self._mismatched.setdefault(name, by)

    def _hash_of(self, name: str) -> str | None:
        if name not in self._closed:
            data = self._objects.get_up_to(name, MAX_OBJECT + 1)
            if data is None:
                return None
            self._keep(self._closed, name, _Closed(digest(data)))
        return self._closed[name].hashed or "larger than any record"

    def _check(self, facts: RunFacts, listing: _Listing) -> bool:
        """Check what a record says about one run, and return whether all of it is there."""
        if facts.closed is None:
            self._reported.add(facts.prefix)
        right = True
        for seq, hashed in enumerate(listing.hashes):
            name, actual = object_name(facts.prefix, seq), facts.hash(seq)
            if actual == hashed:
                if right:
                    known = self._confirmed.get(facts.prefix, 0)
                    self._confirmed[facts.prefix] = max(known, seq + 1)
                continue
            right = False
            if actual is None:
                self._problems.add(name, "is missing: a later run saw it")
            elif facts.closed is not None:
                self._problems.add(listing.by, f"{_LIES}: {name}", _LIES)
            elif len(self._mismatched) < _MISMATCHES:
                self._mismatched.setdefault(name, listing.by)
        if right:
            self._check_growth(facts, listing)
        return right

    def _check_growth(self, facts: RunFacts, listing: _Listing) -> None:
        """Check that nothing was added to a run after another had found it interrupted."""
        count = len(listing.hashes)
        if facts.closed is None:
            if listing.recovery and facts.count > count:
                # It may have been under way while the other looked, and have ended after that.
                if listing.at and facts.latest and not _is_odd(facts.latest, listing):
                    self._went_on.add(facts.prefix)
                    return
                self._grown[facts.prefix] = min(count, self._grown.get(facts.prefix, count))
            return
        if facts.closed != UNREADABLE and _is_odd(facts.closed, listing):
            name = object_name(facts.prefix, CLOSING_SEQ)
            self._problems.add(name, "was added after a later run had found this run interrupted")

    def _read_again(self, prefix: str, count: int) -> RunFacts:
        """Read a run's objects again: so many, and its closing record."""
        run = RunCheck(prefix, Problems())
        for seq in (*range(count), CLOSING_SEQ):
            name = object_name(prefix, seq)
            data = self._objects.get_up_to(name, MAX_OBJECT + 1)
            if data is not None and len(data) <= MAX_OBJECT:
                run.add(name, data)
        facts = run.end()
        self._keep(self._runs, prefix, facts)
        return facts

    @staticmethod
    def _keep[K, V](kept: "OrderedDict[K, V]", key: K, value: V) -> None:
        kept[key] = value
        if len(kept) > _KEPT:
            kept.popitem(last=False)


def _is_odd(written: datetime, listing: _Listing) -> bool:
    """Whether a record of that time can't have been absent when another run looked, or is too late.

    No run goes on for longer than a run can, once another has found it interrupted.
    """
    if listing.at is None:
        return False
    late = listing.recovery and written - listing.at > LONGEST_RUN
    return late or listing.at - written > _SEEN_LATE
