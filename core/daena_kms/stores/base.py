"""The primitives that each store implements for the engine; they hold no policy.

A store maps its SDK to these primitives and its errors to ours. It never decides whether a key is
managed, on hold or due: :mod:`daena_kms.rules.plan` does.
"""

import contextlib
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, auto
from typing import ClassVar

from daena_kms.errors import ConfigError, DaenaKMSError, KeyNotFound, StoreUnavailable
from daena_kms.rules.model import Capabilities, Key, Revoking
from daena_kms.rules.names import base_mark_of
from daena_kms.rules.specs import Randomness
from daena_kms.stores.randomness import local_random


@dataclass(frozen=True, slots=True)
class Staged:
    """A rotation that has begun: what :meth:`Store.promote` needs to complete it.

    Depending on the store it stands for a pending version, a claim, or nothing that is stored.
    """

    #: The id that the new version has or will have; empty if the store assigns it.
    version_id: str
    #: The version that was current when the rotation began, by its ``ref``.
    base: str
    at: datetime
    material: str = field(repr=False)
    #: What the store itself must remember of it, such as a claim; opaque to others.
    handle: object = field(default=None, repr=False, compare=False)


class Absence(Enum):
    """What it means that an exact look at a key does not show one version of it."""

    #: Nothing: the store shows every version for as long as the key exists, so the look lags behind
    #: or is one at another key of that name. Or the store can't tell.
    UNSEEN = auto()
    #: The store does not name it any more, and may still have it.
    RELEASED = auto()
    #: The store does not have it any more.
    ERASED = auto()


@contextlib.contextmanager
def after_change(key_id: str) -> Iterator[None]:
    """Let no refusal of what follows a change say that the change failed.

    The key may be on its way to the deleted ones by then, or a permission gone.

    Raises:
        StoreUnavailable: What follows was refused, so a later run must look what became of the key.
    """
    try:
        yield
    except StoreUnavailable:
        raise
    except DaenaKMSError as error:
        refused = error.what
    else:
        return
    msg = f"it was changed, and what follows the change was refused: {refused}"
    raise StoreUnavailable(msg, key_id=key_id, todo="The next run looks what became of it")


class Store(ABC):
    """Primitives over one store. They raise only errors of :mod:`daena_kms.errors`.

    ``now`` is always the time of the run, an aware datetime in UTC. Methods may be called from
    several threads at once. A call that may have taken effect although its answer was lost raises
    :class:`StoreUnavailable`; the next run looks at the key.

    A key lists every version that is not erased. A version that a rotation put is ``PENDING``, with
    the mark of its base, until it is promoted. Once another version made from the same base has
    been promoted, it is ``ABANDONED``.
    """

    provider: ClassVar[str]
    #: The store's name in messages.
    title: ClassVar[str]
    can: ClassVar[Capabilities]
    #: The form of its version ids, and what messages call one.
    version_form: ClassVar[re.Pattern[str]]
    version_word: ClassVar[str] = "an id"

    @abstractmethod
    def scan(self) -> Iterator[Key]:
        """Yield every key that carries the tag ``daena.managed``, as the store lists it.

        A listing may lag, so nothing is changed because of a listing alone.
        """

    @abstractmethod
    def describe(self, key_id: str, *, exact: bool = False) -> Key:
        """Return the key as it is now, deleted or not.

        Args:
            key_id: The key's id.
            exact: Also look up what takes a further call: the current version's age where a
                listing only bounds it, and the versions before it.

        Raises:
            KeyNotFound: There is no such key.
        """

    def absence(self, key: Key, version: str) -> Absence:
        """Return what it means that an exact look does not show a version.

        Nothing is settled because something was not found. A store whose looks leave out versions
        that are destroyed, as far as it destroys, says here what it knows of one.

        Args:
            key: The look.
            version: The id of a version that it does not show.
        """
        del key, version
        return Absence.UNSEEN

    def inventory(self) -> Iterator[Key]:
        """Yield every key that carries the tag, with all its versions.

        Where a listing does not show them, this takes a closer look at each key.
        """
        for key in self.scan():
            if self.can.lists_versions:
                yield key
                continue
            with contextlib.suppress(KeyNotFound):  # gone since it was listed
                yield self.describe(key.id, exact=True)

    def check_version_id(self, version: str) -> str:
        """Return ``version``, without a call, if it has the form of this store's version ids.

        Raises:
            ConfigError: It does not.
        """
        if self.version_form.fullmatch(version) is None:
            msg = f"{version[:80]!r} is not a version id of {self.title}"
            raise ConfigError(msg, todo=f"Use previous, or {self.version_word} that show lists")
        return version

    @abstractmethod
    def read(self, key_id: str, version: str | None = None) -> str:
        """Return the value of the current version, or of the version with this id."""

    @abstractmethod
    def create(self, key_id: str, material: str, tags: Mapping[str, str], now: datetime) -> str:
        """Create a key with a first version and return that version's id.

        Raises:
            KeyExists: There is already a key with that id.
        """

    @abstractmethod
    def stage(self, key: Key, material: str, now: datetime) -> Staged:
        """Begin a rotation from the key's current version; its readers see no change.

        Raises:
            RotationConflict: Another rotation has claimed the key.
        """

    @abstractmethod
    def promote(self, key: Key, staged: Staged, now: datetime) -> str:
        """Make the staged value current if the base still is, and return its version id.

        A lost answer is resolved by reading.

        Raises:
            RotationConflict: Another version is current.
        """

    @abstractmethod
    def abandon(self, key: Key, staged: Staged) -> None:
        """Remove what :meth:`stage` left, after a lost race."""

    @abstractmethod
    def retire(self, key: Key, version: str, now: datetime) -> None:
        """Make a previous version unreadable, as far as the store can. Idempotent."""

    def retire_before_rotating(self, key: Key, version: str, now: datetime) -> Key | None:
        """Retire a version as :meth:`retire` does, right before a rotation of the same key.

        A store may leave a part of it to that rotation, which saves calls. If the rotation does not
        come about, the caller calls :meth:`retire` for the rest.

        Returns:
            The key as it is then, if the store refuses a rotation from it should it have changed
            meanwhile (``can.fenced``); ``None``: look at it again.
        """
        self.retire(key, version, now)
        return None

    @abstractmethod
    def mark_compromised(self, key: Key, version: str, now: datetime) -> Key:
        """Mark a version as compromised, before the rotation away from it. Idempotent.

        A version that is marked and still readable is revoked by the next run that looks at the
        key, whatever the log says. One call, and none if the look shows the mark.

        Args:
            key: A look at the key.
            version: The id of its current version.
            now: The time of the run.

        Returns:
            The key as it is with the mark, for the rotation that follows.

        Raises:
            RotationConflict: The key was changed since the look; nothing is marked.
        """

    def revoke(self, key: Key, version: str, now: datetime) -> None:
        """Retire a compromised version, by every means that the store has. Idempotent.

        The version keeps a mark, so that a later look shows that it was compromised, and that it
        is revoked.

        Args:
            key: An exact look at the key.
            version: The id of the version, which is not the current one.
            now: The time of the run.
        """
        self.retire(key, version, now)

    @property
    def revoking(self) -> Revoking:
        """What :meth:`revoke` does, as this store is set up."""
        return self.can.revoking

    @abstractmethod
    def destroy(self, key: Key, version: str, now: datetime) -> None:
        """Erase a retired version, or stop keeping it where the store can't. Idempotent."""

    @abstractmethod
    def tag(self, key: Key, tags: Mapping[str, str | None]) -> None:
        """Set the given ``daena.*`` tags; ``None`` removes one. Other tags stay unchanged."""

    def adopt(self, key: Key, tags: Mapping[str, str | None], now: datetime) -> None:
        """Tag a key that somebody else made, and pin its versions where the store needs that."""
        del now
        self.tag(key, tags)

    def enrol(self, key: Key, tags: Mapping[str, str | None], now: datetime) -> None:
        """Enrol a key that carries our tags and that daena-kms neither created nor adopted.

        Like :meth:`adopt`, but with the permissions of a run alone. From then on the store shows
        the key as enrolled. A store that may not write tags keeps the hour of ``now`` instead of
        ``daena.first-due`` (:func:`daena_kms.rules.adoption.first_due_by_tag`).

        Args:
            key: An exact look at the key.
            tags: ``daena.first-due``.
            now: The time of the run.

        Raises:
            RotationConflict: Another run was faster.
        """
        self.adopt(key, tags, now)

    @abstractmethod
    def delete(self, key: Key, now: datetime) -> None:
        """Delete the key so that :meth:`restore` can undo it. Idempotent."""

    @abstractmethod
    def restore(self, key: Key) -> str | None:
        """Bring a deleted key back. Idempotent.

        Returns:
            What was not brought back, and why, in words for people; ``None``: all of it was.
        """

    def randomness(self, expected: int) -> Randomness:
        """Return a source of random bytes for a run that needs about ``expected`` of them."""
        del expected
        return local_random

    def generation(self) -> int | None:
        """Return how often the store was changed; ``None`` if nobody can put it back as a whole."""
        return None

    def proof_of(self, generation: int) -> int:
        """Return a code that only this store can make for a generation of its own."""
        del generation
        return 0

    def probe(self) -> None:
        """Raise if a service that a rotation needs can't be reached; changes nothing."""
        next(iter(self.scan()), None)

    def find_version(self, key: Key, version: str) -> str:
        """Return the id of the version that ``version`` names: ``previous``, or its id.

        Raises:
            ConfigError: It does not have the form of this store's ids.
            KeyNotFound: There is no previous version, or the version never was current.
        """
        if version == "previous":
            previous = key.previous
            if previous is None:
                msg = "it has no readable previous version"
                todo = "Name a version by its id; show lists the ids"
                raise KeyNotFound(msg, key_id=key.id, todo=todo)
            return previous.id
        self.check_version_id(version)
        known = key.version(version)
        base_mark = base_mark_of(version) if known is None else None
        # Of the versions that were made from one base, only one ever was current.
        lost = base_mark is not None and any(
            v.base_mark == base_mark and v.was_current for v in key.versions
        )
        if lost or (known is not None and not known.was_current):
            msg = f"its version {version} was never current"
            raise KeyNotFound(msg, key_id=key.id, todo="Name one that was; show lists them")
        return version

    def find_source(self, key: Key, version: str) -> str:
        """Return the id of the version to roll back to, which ``version`` names.

        Raises:
            ConfigError: It does not have the form of this store's ids.
            KeyNotFound: There is no such version; or the previous one is compromised, and only its
                id says that it is wanted all the same.
        """
        found = self.find_version(key, version)
        known = key.version(found)
        if version == "previous" and known is not None and known.to_revoke:
            msg = f"its previous version {found} is marked as compromised"
            todo = "Name a version by its id; show lists the ids"
            raise KeyNotFound(msg, key_id=key.id, todo=todo)
        return found
