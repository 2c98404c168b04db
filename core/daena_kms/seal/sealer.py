"""Seal what is new in the log, and sign what the log is then.

The seals' numbers are the only order there is: of two sealers one creates a number, and the other
reads it and goes on from there. Tiles and checkpoints are made from the seals alone, by whoever
finds them missing, so that a crash between any two objects is completed by the next sealer.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice

from daena_kms.audit.problems import Problem, Problems
from daena_kms.errors import AuditUnavailable, ConfigError, DaenaKMSError
from daena_kms.objects.base import AlreadyExists, Objects
from daena_kms.seal.form import MAX_LEAVES, MAX_SEAL, Leaf, NotASeal, Seal, seal_name
from daena_kms.seal.found import Finder, Sealed, complete_to
from daena_kms.seal.notes import (
    MAX_NOTE,
    Checkpoint,
    NotANote,
    NoteSigner,
    read_checkpoint,
    read_note,
    sign_note,
)
from daena_kms.seal.place import MAX_TILE, Seals, added, checkpoint_name, follows
from daena_kms.seal.tiles import Growth
from daena_kms.seal.tree import Edge


@dataclass(slots=True)
class Sealing:
    """What a sealer did."""

    #: How many seals and leaves it added itself.
    seals: int = 0
    leaves: int = 0
    #: The size of the sealed log, and its newest checkpoint's name.
    size: int = 0
    checkpoint: str | None = None
    #: What is wrong with what it sealed, or with the place for seals.
    problems: list[Problem] = field(default_factory=list)
    #: What people should know besides.
    notes: list[str] = field(default_factory=list)
    #: Whether the time was over before all was sealed.
    left: bool = False


class Sealer:
    """Seals one log in one place.

    Args:
        log: The log.
        place: The place for seals, to which nobody else may add.
        signers: Who signs; all of them do.
        origin: The log's name, which the first seal fixes.
        copy: Where each checkpoint goes as well.
    """

    def __init__(
        self,
        log: Objects,
        place: Objects,
        signers: Sequence[NoteSigner],
        origin: str,
        copy: Objects | None = None,
    ) -> None:
        self._log = log
        self._seals = Seals(place)
        self._place = place
        self._signers = signers
        self._origin = origin
        self._copy = copy
        self._problems = Problems()
        self._done = Sealing()

    def seal(
        self, now: datetime, *, everything: bool = True, over: Callable[[], bool] = bool
    ) -> Sealing:
        """Seal what is new, and return what was done.

        Args:
            now: The time, in UTC.
            everything: Whether the whole log is listed, and runs under way are sealed as well.
            over: Returns whether the time is over; it then ends between two seals.

        Raises:
            AuditUnavailable: The log or the place for seals can't be read or written, or what is
                there does not fit together. What was sealed stays so.
            ConfigError: The log was sealed under another origin, or by other keys.
        """
        last = self._seals.newest()
        if last is not None and last.origin != self._origin:
            msg = f"this log was sealed as {last.origin!r}, and is now called {self._origin!r}"
            raise ConfigError(msg, todo=f"Set DAENA_KMS_SEAL_ORIGIN to {last.origin}")
        growth, last = self._completed(last)
        before = None if last is None else last.complete_to
        since = None if everything or before is None else before
        finder = Finder(self._log, Sealed.of(self._seals, last, since), before, self._problems)
        leaves = finder.everything() if everything or before is None else finder.settled(now)
        self._add(leaves, finder, growth, last, now, over)
        return self._end()

    def _completed(self, last: Seal | None) -> tuple[Growth, Seal | None]:
        """Write what is missing up to the last seal, and return the tree."""
        missing: list[Seal] = []
        base: Seal | None = None
        for seal in self._seals.backwards(-1 if last is None else last.number):
            note = self._signed(seal)
            if note is not None:
                base = seal
                self._told(base.size)
                self._copied(checkpoint_name(base.size), note)
                break
            missing.append(seal)
        growth = self._seals.growth(base)
        for seal in reversed(missing):
            self._complete(growth, seal)
        return growth, last

    def _signed(self, seal: Seal) -> bytes | None:
        """Return a seal's checkpoint, if it has one; it then has all its tiles.

        Raises:
            AuditUnavailable: It says something else than the seal.
            ConfigError: None of our keys signed it.
        """
        name = checkpoint_name(seal.size)
        data = self._place.get_up_to(name, MAX_NOTE + 1)
        if data is None or not seal.size:
            return None
        self._check(name, data, Checkpoint(self._origin, seal.size, seal.root))
        return data

    def _check(self, name: str, data: bytes, expected: Checkpoint) -> None:
        todo = "Run audit verify, and find out who writes there"
        try:
            note = read_note(data)
            found = read_checkpoint(note)
            signed = note.check(signer.key for signer in self._signers)
        except NotANote as error:
            raise AuditUnavailable(f"{name} in {self._place.url} {error}", todo=todo) from None
        if found != expected:
            msg = f"{name} in {self._place.url} says something else than the seals"
            raise AuditUnavailable(msg, todo=todo)
        if not signed:
            msg = f"{name} in {self._place.url} was signed by none of the keys that are set"
            todo = "Keep the old key in DAENA_KMS_SEAL_KEY beside the new one until both signed"
            raise ConfigError(msg, todo=todo)

    def _add(
        self,
        leaves: Iterator[Leaf],
        finder: Finder,
        growth: Growth,
        last: Seal | None,
        now: datetime,
        over: Callable[[], bool],
    ) -> None:
        """Make seals of leaves until there are none."""
        theirs: set[str] = set()  # what others sealed meanwhile
        pending: list[Leaf] = []
        while True:
            pending += islice(leaves, MAX_LEAVES - len(pending))
            pending = [leaf for leaf in pending if leaf.name not in theirs]
            whole = len(pending) < MAX_LEAVES
            if (not pending and not finder.strange) or over():
                self._done.left = bool(pending)
                return
            done = complete_to(now) if whole else None
            seal = self._made(growth, last, pending, finder.strange if whole else [], done, now)
            winner = self._created(seal)
            self._complete(growth, winner)
            last = winner
            if winner == seal:
                self._done.seals += 1
                self._done.leaves += len(seal.leaves)
                pending = []
                if whole:
                    return
            else:
                theirs.update(leaf.name for leaf in winner.leaves)
                finder.strange = [n for n in finder.strange if n not in winner.strange]

    def _made(
        self,
        growth: Growth,
        last: Seal | None,
        leaves: Iterable[Leaf],
        strange: Iterable[str],
        done: datetime | None,
        now: datetime,
    ) -> Seal:
        """Return the seal that comes after the last one."""
        edge = Edge([list(row) for row in growth.edge.levels], growth.edge.size)
        trial = Growth(edge)
        seal = Seal(
            number=0 if last is None else last.number + 1,
            origin=self._origin,
            time=now,
            first=edge.size,
            leaves=tuple(leaves),
            size=0,
            root=b"",
            complete_to=_later(done, None if last is None else last.complete_to),
            strange=tuple(strange),
        )
        for _ in added(trial, seal):
            pass
        return Seal(
            **{name: getattr(seal, name) for name in Seal.__slots__}
            | {"size": edge.size, "root": edge.root()}
        )

    def _created(self, seal: Seal) -> Seal:
        """Return the seal of that number: ours, or that of a sealer who was faster."""
        data = seal.encode()
        there = self._place.create(seal.name, data, MAX_SEAL + 1)
        if there == data:
            return seal
        try:
            winner = Seal.decode(there, seal.number)
        except NotASeal as error:
            msg = f"{seal_name(seal.number)} in {self._place.url} {error}"
            todo = "Find out who else may write there: only the sealer may"
            raise AuditUnavailable(msg, todo=todo) from None
        if winner.origin != self._origin:
            msg = f"another sealer seals this log as {winner.origin!r}"
            raise ConfigError(msg, todo="Set DAENA_KMS_SEAL_ORIGIN to the same for both")
        return winner

    def _complete(self, growth: Growth, seal: Seal) -> None:
        """Write a seal's tiles and sign its checkpoint, where they are missing."""
        for name, content in added(growth, seal):
            self._put(name, content, MAX_TILE)
        follows(growth, seal, self._place.url)
        if not seal.size:
            return
        for name, content in growth.partial():
            self._put(name, content, MAX_TILE)
        checkpoint = Checkpoint(self._origin, seal.size, seal.root)
        name = checkpoint_name(seal.size)
        note = sign_note(checkpoint.text(), self._signers)
        there = self._place.create(name, note, MAX_NOTE + 1)
        if there != note:
            self._check(name, there, checkpoint)
        self._told(seal.size)
        self._copied(name, there)

    def _put(self, name: str, content: bytes, most: int) -> None:
        if self._place.create(name, content, most) != content:
            self._problems.add(name, "holds something else than the seals say")

    def _told(self, size: int) -> None:
        self._done.size, self._done.checkpoint = size, checkpoint_name(size)

    def _copied(self, name: str, note: bytes) -> None:
        """Copy a checkpoint; what goes wrong there delays nothing."""
        if self._copy is None:
            return
        try:
            self._copy.put_new(name, note)
        except AlreadyExists:
            pass
        except DaenaKMSError as error:
            self._done.notes.append(f"{name} was not copied: {error}")

    def _end(self) -> Sealing:
        self._done.problems = self._problems.all()
        return self._done


def _later(one: datetime | None, other: datetime | None) -> datetime | None:
    times = [time for time in (one, other) if time is not None]
    return max(times, default=None)
