"""Hold a log against its seals, and the seals against each other: what ``audit verify`` does."""

import contextlib
import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from daena_kms.audit.folders import hour_of
from daena_kms.audit.problems import Problems
from daena_kms.audit.records import CLOSING_SEQ, decode, split_name
from daena_kms.errors import AuditUnavailable
from daena_kms.objects.base import Entry, Objects
from daena_kms.rules.durations import format_time
from daena_kms.seal.form import MAX_SEAL, ROOT, Leaf, NotASeal, Seal, seal_name
from daena_kms.seal.ledger import Ledger
from daena_kms.seal.notes import (
    MAX_NOTE,
    Checkpoint,
    NotANote,
    VerifierKey,
    read_checkpoint,
    read_note,
)
from daena_kms.seal.place import MAX_TILE, added, checkpoint_name
from daena_kms.seal.tiles import ROOT as TILES
from daena_kms.seal.tiles import Growth
from daena_kms.seal.tree import Edge

if TYPE_CHECKING:
    from datetime import datetime

#: Where an exported folder has its newest checkpoint.
SINGLE = "checkpoint"
_CHECKPOINTS = "checkpoint/"
_UNTRUSTED = "was signed by none of the keys that you trust"
#: What an object has, and no seal yet: the number of one after all others.
_NOT_YET = 1 << 62
_RECOVERS = b'"type":"recovery"'
_ADDED = "was added: its run had ended, and was sealed as that"


class SealCheck:
    """The check of one log by its seals.

    Args:
        place: The place for seals.
        keys: Who is trusted to sign; none: signatures are not checked.
        ledger: Keeps what the seals say.
        since: A checkpoint that was kept elsewhere.
    """

    def __init__(
        self,
        place: Objects,
        keys: Sequence[VerifierKey],
        ledger: Ledger,
        since: Checkpoint | None = None,
    ) -> None:
        self._place = place
        self._keys = keys
        self._ledger = ledger
        self._since = since
        self._since_root: bytes | None = None
        #: Checkpoints that no trusted key signed, and who did; and who signed beside a trusted one.
        self._untrusted: list[tuple[str, set[tuple[str, bytes]]]] = []
        self._beside: set[tuple[str, bytes]] = set()
        self.size = 0
        self.origin: str | None = None
        self.notes: list[str] = []
        #: The hour before which all was listed by the newest seal.
        self._complete: datetime | None = None
        self._unsealed = 0
        self._later = 0
        self._before = 0

    def read(self, problems: Problems) -> None:
        """Check the seals, and what is made from them.

        Raises:
            AuditUnavailable: The place can't be read.
        """
        self._read_seals(problems)
        self._read_tiles(problems)
        self._read_checkpoints(problems)
        self._read_since(problems)

    def _read_seals(self, problems: Problems) -> None:
        growth, expected = Growth(Edge()), 0
        for entry in self._place.scan(ROOT):
            if entry.name != seal_name(expected):
                if entry.name > seal_name(expected) and entry.name == _canonical(entry.name):
                    problems.add(seal_name(expected), "is missing, and there are seals after it")
                    return
                problems.add(entry.name, "is not named like a seal")
                continue
            data = self._place.get_up_to(entry.name, MAX_SEAL + 1)
            try:
                seal = Seal.decode(data or b"", expected)
            except NotASeal as error:
                problems.add(entry.name, str(error))
                return
            self._add(seal, growth, problems)
            if (seal.size, seal.root) != (growth.edge.size, growth.edge.root()):
                problems.add(seal.name, "was changed, or one before it was: its root is another")
                return
            expected += 1
        self.size = growth.edge.size
        for name, content in growth.partial():
            self._ledger.make(name, _digest(content), needed=True)

    def _add(self, seal: Seal, growth: Growth, problems: Problems) -> None:
        """Note what a seal says, and what follows from it."""
        if self.origin is None:
            self.origin = seal.origin
        if seal.origin != self.origin:
            problems.add(seal.name, f"is of another log: {seal.origin}")
        if self._complete is not None and (seal.complete_to or self._complete) < self._complete:
            problems.add(seal.name, "is complete to an earlier hour than one before it")
        for leaf in seal.leaves:
            self._add_leaf(leaf, seal.number, problems)
        for name, content in self._grown(growth, seal):
            self._ledger.make(name, _digest(content), needed=True)
        for name, content in growth.partial():
            self._ledger.make(name, _digest(content), needed=False)
        self._ledger.grow(seal.size, growth.edge.root())
        self._complete = seal.complete_to or self._complete

    def _grown(self, growth: Growth, seal: Seal) -> list[tuple[str, bytes]]:
        """Add a seal to the tree; on the way, remember the root at the size that was kept."""
        if self._since is None or not seal.first < self._since.size <= seal.size:
            return list(added(growth, seal))
        head = self._since.size - seal.first
        found = list(added(growth, _part(seal, 0, head)))
        self._since_root = growth.edge.root()
        return found + list(added(growth, _part(seal, head, len(seal.leaves))))

    def _add_leaf(self, leaf: Leaf, number: int, problems: Problems) -> None:
        if not self._ledger.seal(leaf, number):
            problems.add(leaf.name, f"is sealed twice, the second time in {seal_name(number)}")
            return
        parts = split_name(leaf.name)
        prefix, seq = (leaf.name, 0) if parts is None else (parts[0], parts[2])
        closed = self._ledger.closed(prefix)
        first = self._ledger.run(prefix, number)
        if closed is not None and closed < number:
            problems.add(leaf.name, _ADDED)
        elif first is None:
            self._check_hour(prefix, problems)
        elif first < number:
            self._later += seq != CLOSING_SEQ
        if seq == CLOSING_SEQ:
            self._ledger.close(prefix, number)

    def _check_hour(self, prefix: str, problems: Problems) -> None:
        """Check that a run that appears now is not dated before what was listed as a whole."""
        hour = hour_of(prefix)
        if self._complete is not None and (hour is None or hour < self._complete):
            what = f"is dated back: the log was sealed as complete to {format_time(self._complete)}"
            problems.add(prefix, what, "is dated back: the log was sealed as complete to later")

    def _read_tiles(self, problems: Problems) -> None:
        for entry in self._place.scan(TILES):
            expected = self._ledger.made(entry.name)
            data = self._place.get_up_to(entry.name, MAX_TILE)
            if expected is None:
                problems.add(entry.name, "does not follow from the seals")
            elif data is not None and _digest(data) != expected:
                problems.add(entry.name, "was changed: it does not follow from the seals")

    def _read_checkpoints(self, problems: Problems) -> None:
        single = bool(self._place.get_up_to(SINGLE, 1))  # an exported folder has the newest one
        names = [] if single else [entry.name for entry in self._place.scan(_CHECKPOINTS)]
        newest = self.size
        for name in [SINGLE] if single else names:
            data = self._place.get_up_to(name, MAX_NOTE + 1)
            if data is not None:
                size = self._check_note(name, data, newest, problems)
                if size is not None and not single and name != checkpoint_name(size):
                    problems.add(name, "is named after another size")
        self._read_earlier_keys(problems)
        unsigned = self._ledger.unsigned()
        if unsigned and not self._ledger.signed():
            problems.add(ROOT, "is signed by no checkpoint: anybody can have made these seals")
        elif newest in unsigned:
            self.notes.append(f"the newest seal, of size {newest}, is not signed yet")
        else:  # what is made before a checkpoint is there
            for name in self._ledger.unmade():
                problems.add(name, "is missing")
        for size in () if single else unsigned:
            if size < newest:
                problems.add(checkpoint_name(size), "is missing")

    def _check_note(self, name: str, data: bytes, newest: int, problems: Problems) -> int | None:
        """Check one checkpoint, and return its size."""
        try:
            note = read_note(data)
            found = read_checkpoint(note)
            signed = note.check(self._keys)
        except NotANote as error:
            problems.add(name, str(error))
            return None
        if found.origin != self.origin:
            problems.add(name, f"is of another log: {found.origin[:80]}")
            return found.size
        root = self._ledger.root(found.size)
        if root is None:
            problems.add(name, "is of a size that no seal ends at: seals are missing, or it forks")
        elif root != found.root:
            problems.add(name, "has another root than the seals: the log was changed, or forked")
        else:
            self._ledger.sign(found.size)
        by = {(signer, key_id) for signer, key_id, _ in note.signatures}
        if signed:
            self._beside |= by
        elif self._keys and found.size == newest:
            problems.add(name, _UNTRUSTED)
        elif self._keys:
            self._untrusted.append((name, by))
        return found.size

    def _read_earlier_keys(self, problems: Problems) -> None:
        """Tell what an earlier key signed, which signed beside a trusted one for a while."""
        earlier = 0
        for name, by in self._untrusted:
            if by & self._beside:
                earlier += 1
            else:
                problems.add(name, _UNTRUSTED)
        if earlier:
            note = (
                f"{earlier:,} checkpoints were signed by earlier keys, and not checked: give those"
            )
            self.notes.append(f"{note} with --key as well")

    def _read_since(self, problems: Problems) -> None:
        since = self._since
        if since is None:
            return
        if since.origin != self.origin:
            problems.add(
                ROOT, f"is of another log than the checkpoint kept elsewhere: {self.origin}"
            )
        elif since.size > self.size:
            what = f"was rolled back: a checkpoint kept elsewhere has {since.size} leaves"
            problems.add(ROOT, f"{what}, and the seals have {self.size}", what)
        elif since.size and since.root != self._since_root:
            problems.add(
                ROOT, "was changed or forked: a checkpoint kept elsewhere has another root"
            )

    def see(self, log: Objects, entry: Entry, data: bytes | None, problems: Problems) -> None:
        """Hold one object of the log against its leaf.

        Args:
            log: The log.
            entry: The object, which is named like a record.
            data: Its bytes; ``None`` if it is larger than any record.
            problems: Takes what is wrong.
        """
        sealed = self._ledger.leaf(entry.name)
        self._note_recovery(entry.name, data, None if sealed is None else sealed[1])
        if sealed is not None:
            hashed, size = _hashed(log, entry, data)
            if (hashed, size) != (sealed[0].sha256, sealed[0].size):
                what = f"was changed since it was sealed in {seal_name(sealed[1])}"
                problems.add(entry.name, what, "was changed since it was sealed")
            return
        parts = split_name(entry.name)
        prefix = entry.name if parts is None else parts[0]
        closed = self._ledger.closed(prefix)
        if closed is not None:
            problems.add(entry.name, _ADDED)
        elif not self._ledger.knows(prefix):
            self._check_hour(prefix, problems)
        self._unsealed += 1
        self._ledger.seal(Leaf(entry.name, *_hashed(log, entry, data)), _NOT_YET)
        self._ledger.leaf(entry.name)

    def _note_recovery(self, name: str, data: bytes | None, number: int | None) -> None:
        """Note which runs had ended when a recovery was sealed, and with which objects."""
        if data is None or number is None or _RECOVERS not in data:
            return
        with contextlib.suppress(AuditUnavailable):
            for prefix, hashes in decode(data, name).get("runs", {}).items():
                self._ledger.recover(prefix, number, hashes)

    def end(self, problems: Problems) -> list[str]:
        """Name what was sealed and is not there, and return what people should know."""
        for name in self._ledger.late():
            problems.add(name, _ADDED)
        for name in self._ledger.unseen():
            problems.add(name, "is missing: it was sealed")
        notes = list(self.notes)
        if self._unsealed:
            notes.append(f"{self._unsealed:,} objects of the log are not sealed yet")
        if self._later:
            notes.append(
                f"{self._later:,} objects were sealed later than the beginning of their runs"
            )
        if not self._keys and self.size:
            notes.append("the seals' signatures were not checked: no key is known, give --key")
        return notes


def _part(seal: Seal, first: int, last: int) -> Seal:
    return Seal(
        **{name: getattr(seal, name) for name in Seal.__slots__}
        | {"leaves": seal.leaves[first:last]}
    )


def _canonical(name: str) -> str:
    digits = name.removeprefix(ROOT).removesuffix(".json")
    return seal_name(int(digits)) if digits.isascii() and digits.isdigit() else ""


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def _hashed(log: Objects, entry: Entry, data: bytes | None) -> tuple[str, int]:
    """Return an object's hash and size, however large it is."""
    if data is not None:
        return hashlib.sha256(data).hexdigest(), len(data)
    hashed, size = hashlib.sha256(), 0
    for chunk in log.chunks(entry.name) or ():
        hashed.update(chunk)
        size += len(chunk)
    return hashed.hexdigest(), size
