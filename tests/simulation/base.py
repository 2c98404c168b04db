"""What a history is played on: a store that is emptied for each, and what it shows by itself."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from daena_kms.errors import AuditUnavailable
from daena_kms.stores.adapter import CloudKMSAdapter

from tests.simulation.calls import Calls, SimulatedObjects
from tests.simulation.scheduler import START
from tests.worlds.memory import MemoryObjects

#: No history has more processes.
PROCESSES = 24
#: A tag of the key's owner, which is nobody's business.
TAG = "team"


@dataclass(frozen=True)
class SeenVersion:
    """One version as it is in the store, whatever our code makes of it."""

    value: str | None
    #: Whether somebody who has its id, or a name that leads to it, reads it.
    readable: bool
    #: Whether it stands in the store as retired.
    retired: bool = False


@dataclass(frozen=True)
class Seen:
    """One key as it is in the store."""

    current: str | None
    versions: Mapping[str, SeenVersion]
    tags: Mapping[str, str]
    deleted: bool = False

    @property
    def readable(self) -> bool:
        """Whether a reader of the current version gets a value."""
        if self.deleted or self.current is None:
            return False
        return self.versions[self.current].readable


class Cloud(ABC):
    """One store, which is emptied for each history. Clients are made once, one a process."""

    provider: ClassVar[str]
    #: What outsiders may do here, by name; each takes a key's id and a number to choose by.
    outsiders: Mapping[str, Callable[[str, int], object]]

    def __init__(self) -> None:
        self.now: Callable[[], datetime] = lambda: START
        self.calls: list[Calls | None] = [None] * PROCESSES
        self.log = MemoryObjects()

    def begin(self, now: Callable[[], datetime]) -> None:
        """Empty the store and its log; ``now`` is the time from here on."""
        self.now = now
        self.calls = [None] * PROCESSES
        self.log = MemoryObjects(now)
        self._empty()

    @abstractmethod
    def end(self) -> None:
        """Close what is open."""

    def time(self) -> datetime:
        """Return the time of the history that is played."""
        return self.now()

    def seconds(self) -> float:
        """Return the same, in seconds from the beginning."""
        return (self.now() - START).total_seconds()

    def log_of(self, number: int) -> SimulatedObjects:
        """Return a process's view of the log."""
        return SimulatedObjects(self.log, lambda: self._calls(number), AuditUnavailable)

    def _calls(self, number: int) -> Calls:
        calls = self.calls[number]
        assert calls is not None
        return calls

    @abstractmethod
    def calm(self, key_id: str) -> None:
        """Undo what outsiders left: a hold, and a disabled version."""

    @abstractmethod
    def stale(self, *, stale: bool) -> None:
        """Let listings of keys answer as they would now, or live again."""

    def _stale(self, _key_id: str, _choice: int) -> None:
        self.stale(stale=True)

    @abstractmethod
    def adapter(self, number: int) -> CloudKMSAdapter:
        """Return the adapter of a process."""

    @abstractmethod
    def see(self) -> dict[str, Seen]:
        """Return what is in the store, by key."""

    @abstractmethod
    def _empty(self) -> None:
        """Remove every key."""
