"""What of the log is to be sealed: its new objects, run by run, checked on the way."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import chain, groupby

from daena_kms.audit.bounds import MAX_OBJECT
from daena_kms.audit.chain import RunCheck
from daena_kms.audit.folders import folder_at, hour_of, hours
from daena_kms.audit.problems import Problems
from daena_kms.audit.records import CLOSING_SEQ, ROOT, object_name, split_name
from daena_kms.objects.base import Entry, Objects, ascii_name
from daena_kms.seal.form import MAX_STRANGE, Leaf, Seal
from daena_kms.seal.place import Seals

#: An hour is listed as a whole only this long after it began.
SETTLED = timedelta(hours=2)
#: A sealer's clock and a run's differ by less.
_SKEW = timedelta(hours=1)
_ID = 16


def complete_to(now: datetime) -> datetime:
    """Return the hour before which a listing made now has everything."""
    return (now - SETTLED).replace(minute=0, second=0, microsecond=0)


@dataclass(slots=True)
class Sealed:
    """Which objects are sealed, as far as that was read."""

    names: set[bytes] = field(default_factory=set)
    strange: set[str] = field(default_factory=set)

    def add(self, seal: Seal) -> None:
        """Note what a seal holds."""
        self.names.update(_id(leaf.name) for leaf in seal.leaves)
        self.strange.update(seal.strange)

    def __contains__(self, name: str) -> bool:
        """Whether an object is sealed."""
        return _id(name) in self.names

    @classmethod
    def of(cls, seals: Seals, newest: Seal | None, since: datetime | None) -> "Sealed":
        """Read the seals from the newest back to those made before a time; ``None``: all."""
        found = cls()
        for seal in seals.backwards(-1 if newest is None else newest.number):
            if since is not None and seal.time < since - _SKEW:
                break
            found.add(seal)
        return found


def _id(name: str) -> bytes:
    return hashlib.blake2b(name.encode(), digest_size=_ID).digest()


class Finder:
    """Finds what is new in the log.

    Args:
        log: The log.
        sealed: What is sealed.
        before: The hour before which everything was listed; ``None`` for none.
        problems: Takes what is wrong with what is found.
    """

    def __init__(
        self, log: Objects, sealed: Sealed, before: datetime | None, problems: Problems
    ) -> None:
        self._log = log
        self._sealed = sealed
        self._before = before
        self._problems = problems
        self.strange: list[str] = []

    def everything(self) -> Iterator[Leaf]:
        """Yield the leaf of every object that is not sealed; then :attr:`strange` is known."""
        yield from self._leaves(self._log.scan(ROOT), lambda _: True)
        for name in self._log.strange(ROOT):
            self._note_strange(name)

    def settled(self, now: datetime) -> Iterator[Leaf]:
        """Yield the leaf of every object that is not sealed, of runs that ended.

        Only hours are listed before which not everything was; of a run that has no closing record
        only what is older than two hours is taken.
        """
        first = "" if self._before is None else folder_at(self._before)
        old = folder_at(complete_to(now))
        folders = sorted(hours(self._log, first=first))
        entries = chain.from_iterable(self._log.scan(folder) for folder in folders)
        yield from self._leaves(entries, lambda prefix: prefix < old)

    def _leaves(self, entries: Iterator[Entry], takes: Callable[[str], bool]) -> Iterator[Leaf]:
        for prefix, group in groupby(entries, lambda entry: _run_of(entry.name)):
            if prefix is None:
                for entry in group:
                    self._note_strange(entry.name)
                continue
            run = list(group)
            closed = run[-1].name == object_name(prefix, CLOSING_SEQ)
            if closed or takes(prefix):
                yield from self._run(prefix, run)

    def _run(self, prefix: str, entries: list[Entry]) -> Iterator[Leaf]:
        """Yield the new leaves of a run, and check it as a whole."""
        new = [entry for entry in entries if entry.name not in self._sealed]
        if not new:
            return
        hour = hour_of(prefix)
        late = self._before is not None and (hour is None or hour < self._before)
        if late and len(new) == len(entries):
            what = "is dated back: the log was sealed as complete to a later hour"
            self._problems.add(prefix, what)
        closing = object_name(prefix, CLOSING_SEQ)
        if closing in self._sealed:
            for entry in new:
                what = "was added: its run was closed, and sealed as that"
                self._problems.add(entry.name, what)
        check = RunCheck(prefix, self._problems)
        for entry in entries:
            data = self._data(entry)
            check.add(entry.name, data)
            if entry.name not in self._sealed:
                leaf = _leaf(entry, data) if data is not None else self._streamed(entry)
                if leaf is not None:
                    yield leaf
        check.end()

    def _data(self, entry: Entry) -> bytes | None:
        """Return an object's bytes; ``None`` if it is gone or larger than any record."""
        if entry.size is not None and entry.size > MAX_OBJECT:
            return None
        data = self._log.get_listed(entry, MAX_OBJECT + 1)
        return None if data is None or len(data) > MAX_OBJECT else data

    def _streamed(self, entry: Entry) -> Leaf | None:
        """Return the leaf of an object that is larger than any record."""
        hashed, size = hashlib.sha256(), 0
        chunks = self._log.chunks(entry.name)
        if chunks is None:
            self._problems.add(entry.name, "was listed, and is gone")
            return None
        for chunk in chunks:
            hashed.update(chunk)
            size += len(chunk)
        return Leaf(entry.name, hashed.hexdigest(), size)

    def _note_strange(self, name: str) -> None:
        shown = ascii_name(name)
        if shown not in self._sealed.strange and len(self.strange) < MAX_STRANGE:
            self._sealed.strange.add(shown)
            self.strange.append(shown)
            self._problems.add(shown, "is not named like an object of the log")


def _leaf(entry: Entry, data: bytes) -> Leaf:
    return Leaf(entry.name, hashlib.sha256(data).hexdigest(), len(data))


def _run_of(name: str) -> str | None:
    parts = split_name(name)
    return None if parts is None else parts[0]
