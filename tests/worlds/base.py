"""What every world is: a store with its audit log, its owners beside us, its clock and its faults.

A test that holds for every store takes a :class:`World` and asks nothing else. What differs from
one cloud to the next is what is abstract here, and stands in the file of that cloud:

========== ===================== ===================== ===================== ====================
member     local                 aws                   azure                 gcp
========== ===================== ===================== ===================== ====================
store      a folder              Secrets Manager, KMS  Key Vault, over TLS   Secret Manager, gRPC
log        files                 S3                    Blob Storage          Cloud Storage
clock      none of its own       the real time         at the last call      at the last call
patience   none                  none                  a claim's time        a claim's time
overwrite  stage and promote     put with the default  set a value, with the add a version, move
                                 label                 same tags             the alias
erase      as the adapter does   without a window      delete and purge      delete
enable     in the database       nothing: it is read   enable it             enable it
lag        none                  listings              listings, reads       listings, versions,
                                                                             aliases
========== ===================== ===================== ===================== ====================
"""

import os
import secrets
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import pytest
from daena_kms.audit import open_log
from daena_kms.audit.reader import records
from daena_kms.audit.records import decode
from daena_kms.audit.verify import Report, verify
from daena_kms.cloud_kms import get_cloud_kms_adapter
from daena_kms.engine import run
from daena_kms.errors import DaenaKMSError
from daena_kms.objects.base import Objects
from daena_kms.operations import Operations
from daena_kms.rules.model import Key, VersionState
from daena_kms.rules.summary import Summary
from daena_kms.stores.adapter import CloudKMSAdapter

from tests.worlds.seam import Effect

DAY = timedelta(days=1)
#: How long a claim of a rotation that died keeps others out, and a minute.
CLAIMED = timedelta(minutes=16)
_READABLE = {VersionState.CURRENT, VersionState.PREVIOUS}


class World(ABC):
    """One store with its log. Time is given in each call, counted from ``began``.

    A store that dates what it holds is at the time of the last call: the adapter's own methods,
    which go by the real time, come before the first call with a later one, or after ``at()``.
    """

    #: As the settings have it.
    provider: ClassVar[str]
    #: Of the form that the store's version ids have, and of no version.
    unknown_version: ClassVar[str]
    #: After this time a run takes up what one that died has begun; before it, it may be refused.
    patience: ClassVar[timedelta] = timedelta()
    #: How long a deleted key can be restored; None: there is no end.
    restorable_for: ClassVar[timedelta | None] = None
    #: How a deletion says that.
    delete_says: ClassVar[str]

    #: As a person makes it: with clients of their own, which repeat no call.
    adapter: CloudKMSAdapter
    #: The log in the same cloud, by a client that repeats no call.
    log: Objects

    def __init__(self) -> None:
        self.began = datetime.now(UTC)

    def at(self, after: timedelta = timedelta()) -> datetime:
        """Return this time, and let the store be at it."""
        return self.began + after

    @abstractmethod
    def wait(self, time: timedelta) -> None:
        """Let this time pass in the store, which may have no time of its own."""

    def run(self, after: timedelta = timedelta(), **options: Any) -> Summary:
        """Run the engine at this time."""
        return run(self.adapter, self.log, now=self.at(after), **options)

    def operations(self, after: timedelta = timedelta(), **options: Any) -> Operations:
        """Return the audited operations at this time."""
        return Operations(self.adapter, self.log, now=self.at(after), **options)

    @abstractmethod
    def again(self) -> CloudKMSAdapter:
        """Return another adapter on the same store, as another process would have."""

    # The way in for a process that is told nothing else.

    @property
    @abstractmethod
    def environment(self) -> dict[str, str]:
        """What the platform and the deployment set for what is to find the store and its log."""

    def lead(self, patch: pytest.MonkeyPatch, **further: str) -> None:
        """Lead this process here by its environment."""
        for name, text in {**self.environment, **further}.items():
            # What is so already is somebody else's to undo.
            if os.environ.get(name) != text:
                patch.setenv(name, text)

    def enter(self, patch: pytest.MonkeyPatch, **further: str) -> None:
        """Lead this process here, and make adapter and log as a function does: from that alone."""
        self.lead(patch, **further)
        self.adapter = get_cloud_kms_adapter(self.provider)
        aws, login = getattr(self.adapter, "aws", None), getattr(self.adapter, "login", None)
        self.log = open_log(session=aws.session() if aws else None, login=login)

    # What there is.

    def held(self) -> Objects:
        """Return the log for reading, in a way that no fault concerns."""
        return self.log

    def records(self) -> list[dict[str, Any]]:
        """Return every record of the log."""
        return [decode(data, name) for name, data in records(self.held())]

    def verify(self) -> Report:
        """Verify the log against the store."""
        return verify(self.held(), list(self.adapter.store.inventory()))

    def look(self, key_id: str) -> Key:
        """Return the key with all its versions."""
        return self.adapter.store.describe(key_id, exact=True)

    def current(self, key_id: str) -> str:
        """Return the id of the current version."""
        version = self.look(key_id).current
        assert version is not None
        return version.id

    def readable(self, key_id: str) -> dict[str, str]:
        """Return the values of the versions that must be readable now, by id."""
        ids = [v.id for v in self.look(key_id).versions if v.state in _READABLE]
        return {version_id: self.adapter.store.read(key_id, version_id) for version_id in ids}

    @abstractmethod
    def state(self) -> Mapping[str, object]:
        """Return all that the store holds by key, in the store's own form, for comparison."""

    @abstractmethod
    def calls(self) -> int:
        """Return how many calls were made since the last :meth:`FaultWorld.arm`."""

    @abstractmethod
    def store_calls(self) -> list[str]:
        """Return which of them were made to the store itself, not to its log."""

    # What others do there, by the store's own means.

    @abstractmethod
    def foreign(
        self,
        key_id: str,
        material: str,
        tags: Mapping[str, str] | None = None,
        *,
        age: timedelta = timedelta(),
    ) -> None:
        """Make a key as somebody else would, so long ago."""

    @abstractmethod
    def overwrite(self, key_id: str, material: str) -> None:
        """Make a new current version as somebody else would."""

    @abstractmethod
    def retag(self, key_id: str, tags: Mapping[str, str | None]) -> None:
        """Change tags past us; None takes one off."""

    @abstractmethod
    def erase(self, key_id: str) -> None:
        """Delete a key as somebody else would, as finally as the store lets one."""

    @abstractmethod
    def enable(self, key_id: str, version: str) -> None:
        """Do what the store says that a person does who needs a retired version after all.

        Where it reads by its id that is nothing.
        """

    def tag(self, key_id: str, **tags: str | None) -> None:
        """Change ``daena.*`` tags as an operator would, by the adapter."""
        named = {f"daena.{name.replace('_', '-')}": text for name, text in tags.items()}
        self.adapter.store.tag(self.adapter.store.describe(key_id), named)


class FaultWorld(World):
    """A world in which a call can fail, and that can be put back."""

    @abstractmethod
    def values(self) -> list[str]:
        """Return every value in the store, of whatever version, without a call."""

    @abstractmethod
    def shown(self) -> Iterator[str]:
        """Yield what the store shows to whoever may not read values, and what a claim holds."""

    @abstractmethod
    def promotions(self) -> int:
        """Return how many versions became current; only a difference of two has meaning."""

    @abstractmethod
    def writes(self) -> list[int]:
        """Return the numbers of the calls that may have changed something."""

    @abstractmethod
    def mend(self) -> None:
        """End every fault."""

    @abstractmethod
    def arm(self, at: int, effect: Effect) -> None:
        """Let call number ``at`` from now on have this effect; 0: count the calls alone."""

    @abstractmethod
    def save(self) -> None:
        """Remember the state of the store and the log."""

    @abstractmethod
    def load(self) -> None:
        """Put it back."""


def value(length: int = 24) -> str:
    """Return a value that nobody has seen before."""
    return secrets.token_urlsafe(length)


def merged(tags: Mapping[str, str], changes: Mapping[str, str | None]) -> dict[str, str]:
    """Return tags after some changes; None takes one off."""
    return {name: text for name, text in {**tags, **changes}.items() if text is not None}


@contextmanager
def refused(world: World, kind: type[DaenaKMSError], words: str) -> Iterator[None]:
    """Expect an error of exactly this use, and that the store stays as it is."""
    before = world.state()
    with pytest.raises(kind, match=words) as caught:
        yield
    assert caught.value.todo, "it must say what to do"
    assert world.state() == before
