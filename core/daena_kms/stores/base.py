"""The seam: what a store must do for the engine, in primitives that hold no policy.

A store's file maps its SDK to these primitives and its errors to ours. It never decides: whether
a key is managed, held or due is the business of :mod:`daena_kms.rules.plan`.
"""

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar

from daena_kms.errors import KeyNotFound
from daena_kms.rules.model import Capabilities, Key, Revoking
from daena_kms.rules.names import parse_version_id
from daena_kms.rules.specs import Randomness
from daena_kms.stores.randomness import local_random


@dataclass(frozen=True, slots=True)
class Staged:
    """A rotation that has begun: what :meth:`Store.promote` needs to complete it.

    Depending on the store it is a pending version, a claim, or nothing but this object.
    """

    #: The id that the new version has or will have; empty where only the store assigns it.
    version_id: str
    #: The version that was current when the rotation began.
    base: str
    at: datetime
    material: str = field(repr=False)
    #: What the store's own file needs to remember (a claim, an etag).
    handle: object = field(default=None, repr=False, compare=False)


class Store(ABC):
    """Primitives over one store. All of them raise the errors of :mod:`daena_kms.errors`.

    ``now`` is always the time of the run, an aware datetime in UTC. Methods may be called from
    several threads at once.
    """

    provider: ClassVar[str]
    can: ClassVar[Capabilities]

    @abstractmethod
    def scan(self) -> Iterator[Key]:
        """Yield every key that carries the tag ``daena.managed``, as the store lists it.

        A listing may lag; nothing is changed on its word alone.
        """

    @abstractmethod
    def describe(self, key_id: str, *, exact: bool = False) -> Key:
        """Return the key as it is now, deleted or not.

        With ``exact`` all is looked up that takes a further call: the current version's age
        where a listing only bounds it, the versions before it.
        Raises :class:`KeyNotFound`.
        """

    def inventory(self) -> Iterator[Key]:
        """Yield every key that carries the tag, with all its versions.

        Where a listing does not show them, that takes a closer look at each key.
        """
        for key in self.scan():
            if self.can.lists_versions:
                yield key
                continue
            with contextlib.suppress(KeyNotFound):  # gone since it was listed
                yield self.describe(key.id, exact=True)

    @abstractmethod
    def check_version_id(self, version: str) -> str:
        """Return ``version`` if it has the form of this store's version ids, with no call.

        Raises :class:`~daena_kms.errors.ConfigError`.
        """

    @abstractmethod
    def read(self, key_id: str, version: str | None = None) -> str:
        """Return the value of the current version, or of the one with this id."""

    @abstractmethod
    def create(self, key_id: str, material: str, tags: Mapping[str, str], now: datetime) -> str:
        """Create a key with a first version and return that version's id.

        Raises :class:`~daena_kms.errors.KeyExists`.
        """

    @abstractmethod
    def stage(self, key: Key, material: str, now: datetime) -> Staged:
        """Begin a rotation from the key's current version; no reader of it sees a change.

        Raises :class:`~daena_kms.errors.RotationConflict` when another rotation holds the key.
        """

    @abstractmethod
    def promote(self, key: Key, staged: Staged, now: datetime) -> str:
        """Make the staged value current if the base still is, and return its version id.

        An answer that was lost is resolved by reading. Raises
        :class:`~daena_kms.errors.RotationConflict` when another version is current.
        """

    @abstractmethod
    def abandon(self, key: Key, staged: Staged) -> None:
        """Take back what :meth:`stage` left, after a lost race."""

    @abstractmethod
    def retire(self, key: Key, version: str, now: datetime) -> None:
        """Make a previous version unreadable, as far as the store can. Idempotent."""

    def revoke(self, key: Key, version: str, now: datetime) -> None:
        """Retire a version that is compromised, by all means that the store has. Idempotent.

        ``key`` is an exact look at the key, in which the version is not the current one.
        """
        self.retire(key, version, now)

    @property
    def revoking(self) -> Revoking:
        """What :meth:`revoke` comes to, as this store is set up."""
        return self.can.revoking

    @abstractmethod
    def destroy(self, key: Key, version: str, now: datetime) -> None:
        """Erase a retired version, or let it go where the store can't erase one. Idempotent."""

    @abstractmethod
    def tag(self, key: Key, tags: Mapping[str, str | None]) -> None:
        """Set the given ``daena.*`` tags; ``None`` removes one. Others stay as they are."""

    def adopt(self, key: Key, tags: Mapping[str, str | None], now: datetime) -> None:
        """Enrol a key that somebody else made: tag it, and pin its versions where needed."""
        del now
        self.tag(key, tags)

    @abstractmethod
    def delete(self, key: Key, now: datetime) -> None:
        """Delete the key so that :meth:`restore` can undo it. Idempotent."""

    @abstractmethod
    def restore(self, key: Key) -> None:
        """Bring a deleted key back. Idempotent."""

    def randomness(self, expected: int) -> Randomness:
        """Return a source of random bytes for a run that needs about ``expected`` of them."""
        del expected
        return local_random

    def probe(self) -> None:
        """Raise if what a rotation needs can't be reached; changes nothing."""
        next(iter(self.scan()), None)

    def find_version(self, key: Key, version: str) -> str:
        """Return the id that ``version`` names: ``previous``, or an id that once was current.

        Raises :class:`KeyNotFound` when there is none, and
        :class:`~daena_kms.errors.ConfigError` for an id that this store never gives.
        """
        if version == "previous":
            previous = key.previous
            if previous is None:
                msg = "no previous version of it is readable"
                todo = "Name a version by its id: show lists them"
                raise KeyNotFound(msg, key_id=key.id, todo=todo)
            return previous.id
        self.check_version_id(version)
        known = key.version(version)
        parsed = parse_version_id(version) if known is None else None
        # Of one base only one version ever was current.
        lost = parsed is not None and any(
            v.base == parsed.base and v.was_current for v in key.versions
        )
        if lost or (known is not None and not known.was_current):
            msg = f"its version {version} never was current"
            raise KeyNotFound(msg, key_id=key.id, todo="Name one that was: show lists them")
        return version
