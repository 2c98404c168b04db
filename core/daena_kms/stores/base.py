"""The seam: what a store must do for the engine, in primitives without policy.

A store's file maps its SDK to these primitives, and the SDK's errors to ours. It makes no
decisions: :mod:`daena_kms.rules.plan` decides whether a key is managed, held or due.
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

    #: The id that the new version has or will have; empty if the store assigns it.
    version_id: str
    #: The version that was current when the rotation began.
    base: str
    at: datetime
    material: str = field(repr=False)
    #: What only the store's own file understands (a claim, an etag).
    handle: object = field(default=None, repr=False, compare=False)


class Store(ABC):
    """Primitives over one store. They raise only errors of :mod:`daena_kms.errors`.

    ``now`` is always the time of the run, an aware datetime in UTC. Methods may be called from
    several threads at once.
    """

    provider: ClassVar[str]
    can: ClassVar[Capabilities]

    @abstractmethod
    def scan(self) -> Iterator[Key]:
        """Yield every key that carries the tag ``daena.managed``, as the store lists it.

        A listing may be out of date, so it alone is never a reason to change a key.
        """

    @abstractmethod
    def describe(self, key_id: str, *, exact: bool = False) -> Key:
        """Return the key as it is now, deleted or not.

        Args:
            key_id: The key.
            exact: Also look up what takes a further call: the current version's age where a
                listing only bounds it, and the versions before the current one.

        Raises:
            KeyNotFound: There is no such key.
        """

    def inventory(self) -> Iterator[Key]:
        """Yield every key that carries the tag, with all its versions.

        If a listing does not show them, this takes a closer look at each key.
        """
        for key in self.scan():
            if self.can.lists_versions:
                yield key
                continue
            with contextlib.suppress(KeyNotFound):  # gone since it was listed
                yield self.describe(key.id, exact=True)

    @abstractmethod
    def check_version_id(self, version: str) -> str:
        """Return ``version`` if it has the form of this store's version ids; no call is made.

        Raises:
            ConfigError: It does not.
        """

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
        """Begin a rotation from the key's current version; no reader of it sees a change.

        Raises:
            RotationConflict: Another rotation has claimed the key.
        """

    @abstractmethod
    def promote(self, key: Key, staged: Staged, now: datetime) -> str:
        """Make the staged value current if the base still is, and return its version id.

        If the answer is lost, a read shows what happened.

        Raises:
            RotationConflict: Another version is current.
        """

    @abstractmethod
    def abandon(self, key: Key, staged: Staged) -> None:
        """Take back what :meth:`stage` left, because the race is lost."""

    @abstractmethod
    def retire(self, key: Key, version: str, now: datetime) -> None:
        """Make a previous version unreadable, as far as the store can. Idempotent."""

    def revoke(self, key: Key, version: str, now: datetime) -> None:
        """Retire a compromised version by all means that the store has. Idempotent.

        Args:
            key: An exact look at the key.
            version: The id of the version, which is not the current one.
            now: The time of the run.
        """
        self.retire(key, version, now)

    @property
    def revoking(self) -> Revoking:
        """What :meth:`revoke` does with the settings of this store."""
        return self.can.revoking

    @abstractmethod
    def destroy(self, key: Key, version: str, now: datetime) -> None:
        """Erase a retired version; if the store can't, remove its labels. Idempotent."""

    @abstractmethod
    def tag(self, key: Key, tags: Mapping[str, str | None]) -> None:
        """Set the given ``daena.*`` tags; ``None`` removes one. Others stay as they are."""

    def adopt(self, key: Key, tags: Mapping[str, str | None], now: datetime) -> None:
        """Enrol a key that somebody else made: tag it, and label its versions where needed."""
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
        """Raise an error if a rotation could not reach what it needs. Nothing is changed."""
        next(iter(self.scan()), None)

    def find_version(self, key: Key, version: str) -> str:
        """Return the id that ``version`` names: ``previous``, or the id of a version.

        Raises:
            KeyNotFound: The key has no readable previous version, or that version was never
                current.
            ConfigError: The id does not have the form of this store's ids.
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
        parsed = parse_version_id(version) if known is None else None
        # At most one of the versions that were made from one base was ever current.
        lost = parsed is not None and any(
            v.base == parsed.base and v.was_current for v in key.versions
        )
        if lost or (known is not None and not known.was_current):
            msg = f"its version {version} was never current"
            raise KeyNotFound(msg, key_id=key.id, todo="Name one that was; show lists them")
        return version
