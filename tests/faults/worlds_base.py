"""What every world is: a store and its log in which a call can fail, and that can be put back."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from daena_kms.audit.verify import Report, verify
from daena_kms.engine import run
from daena_kms.errors import DaenaKMSError
from daena_kms.objects.base import Objects
from daena_kms.operations import Operations
from daena_kms.rules.model import Key, VersionState
from daena_kms.rules.summary import Summary
from daena_kms.stores.adapter import CloudKMSAdapter

from tests.faults.seam import Effect

DAY = timedelta(days=1)
#: More calls than any operation makes.
FOR_EVER = 1_000_000
#: How long a claim of a rotation that died keeps others out, and a minute.
CLAIMED = timedelta(minutes=16)
_READABLE = {VersionState.CURRENT, VersionState.PREVIOUS}


class World(ABC):
    """One store with its log. Time is given in each call, counted from ``began``.

    A store that dates what it holds is at the time of the last call: the adapter's own methods,
    which go by the real time, come before the first call with a later one, or after ``at()``.
    """

    adapter: CloudKMSAdapter
    log: Objects
    #: After this time a run takes up what one that died has begun; before it, it may be refused.
    patience = timedelta()

    def __init__(self) -> None:
        self.began = datetime.now(UTC)

    def at(self, after: timedelta = timedelta()) -> datetime:
        """Return this time, and let the store be at it."""
        return self.began + after

    def run(self, after: timedelta = timedelta(), **options: Any) -> Summary:
        """Run the engine at this time."""
        return run(self.adapter, self.log, now=self.at(after), **options)

    def operations(self, after: timedelta = timedelta()) -> Operations:
        """Return the audited operations at this time."""
        return Operations(self.adapter, self.log, now=self.at(after))

    def held(self) -> Objects:
        """Return the log for reading, in a way that no fault concerns."""
        return self.log

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
    def foreign(self, key_id: str, material: str, tags: Mapping[str, str] | None = None) -> None:
        """Make a key as somebody else would."""

    @abstractmethod
    def promotions(self) -> int:
        """Return how many versions became current; only a difference of two has meaning."""

    @abstractmethod
    def state(self) -> object:
        """Return all that the store holds, in the store's own form, for comparison."""

    @abstractmethod
    def calls(self) -> int:
        """Return how many calls were made since the last :meth:`arm`."""

    @abstractmethod
    def writes(self) -> list[int]:
        """Return the numbers of those that may have changed something."""

    @abstractmethod
    def mend(self) -> None:
        """End every fault."""

    @abstractmethod
    def arm(self, at: int, effect: Effect) -> None:
        """Let call number ``at`` from now on have this effect."""

    @abstractmethod
    def save(self) -> None:
        """Remember the state of the store and the log."""

    @abstractmethod
    def load(self) -> None:
        """Put it back."""


@contextmanager
def refused(world: World, kind: type[DaenaKMSError], words: str) -> Iterator[None]:
    """Expect an error of exactly this use, and that the store stays as it is."""
    before = world.state()
    with pytest.raises(kind, match=words) as caught:
        yield
    assert caught.value.todo, "it must say what to do"
    assert world.state() == before
