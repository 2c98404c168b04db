"""Objects in memory: a log that a test can tamper with, and one that fails on demand."""

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from daena_kms.audit.records import decode
from daena_kms.errors import AuditUnavailable
from daena_kms.objects.base import AlreadyExists, Entry, Objects

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


def ticking() -> Callable[[], datetime]:
    """Return a clock that is a second later each time that somebody looks."""
    seconds = count()
    return lambda: START + timedelta(seconds=next(seconds))


class MemoryObjects(Objects):
    """Objects in a dictionary, ``stored``; each carries the time that ``clock`` gave."""

    url = "memory://"

    def __init__(self, clock: Callable[[], datetime] | None = None) -> None:
        self.stored: dict[str, bytes] = {}
        self.times: dict[str, datetime] = {}
        #: What a listing says of objects that are larger than a test can make them, in bytes.
        self.sizes: dict[str, int] = {}
        self.clock = clock or ticking()
        self._lock = threading.Lock()

    def put_new(self, name: str, data: bytes) -> None:
        """Create if absent."""
        with self._lock:
            if name in self.stored:
                raise AlreadyExists(name)
            self.stored[name] = data
            self.times[name] = self.clock()

    def get(self, name: str) -> bytes | None:
        """Read; what is too large for this test can't be read."""
        assert name not in self.sizes, f"{name} was read, and it fills the memory"
        return self.stored.get(name)

    def entries(self, prefix: str) -> list[Entry]:
        """List."""
        return list(self.scan(prefix))

    def scan(self, prefix: str, after: str = "") -> Iterator[Entry]:
        """List, one after the other."""
        # A copy: another thread may put while this one lists.
        for name in sorted(n for n in list(self.stored) if n.startswith(prefix) and n > after):
            if name in self.stored:
                size = self.sizes.get(name, len(self.stored[name]))
                yield Entry(name, self.times.get(name, START), size)

    def children(self, prefix: str) -> list[str]:
        """List folders."""
        rest = [name.removeprefix(prefix) for name in list(self.stored) if name.startswith(prefix)]
        return sorted({name.split("/")[0] for name in rest if "/" in name})

    def copy(self) -> "MemoryObjects":
        """Return another log with the same objects."""
        other = MemoryObjects(self.clock)
        other.stored, other.times = dict(self.stored), dict(self.times)
        other.sizes = dict(self.sizes)
        return other

    def records(self, kind: str | None = None) -> list[dict[str, Any]]:
        """Return the records in the order in which they were put, all or those of one type."""
        decoded = [decode(data, name) for name, data in list(self.stored.items())]
        return [record for record in decoded if kind in {None, record["type"]}]

    def results(self) -> list[dict[str, Any]]:
        """Return what every record says that became of an action, oldest first."""
        return [row for record in self.records() for row in record.get("results", ())]


class Wrapped(Objects):
    """Passes on to another log, and fails or calls ``before`` where a test asks for it."""

    def __init__(self, inner: Objects) -> None:
        self.inner = inner
        self.url = inner.url
        self.puts = 0
        #: The number of the put, from 1, from which on every put fails.
        self.fail_from: int | None = None
        self.before: Callable[[str, bytes], None] = lambda _name, _data: None
        self.after: Callable[[str, bytes], None] = lambda _name, _data: None

    def put_new(self, name: str, data: bytes) -> None:
        """Create, or fail."""
        self.puts += 1
        self.before(name, data)
        if self.fail_from is not None and self.puts >= self.fail_from:
            raise AuditUnavailable("the log is full", todo="Make room")
        self.inner.put_new(name, data)
        self.after(name, data)

    def get(self, name: str) -> bytes | None:
        """Read."""
        return self.inner.get(name)

    def entries(self, prefix: str) -> list[Entry]:
        """List."""
        return self.inner.entries(prefix)

    def children(self, prefix: str) -> list[str]:
        """List folders."""
        return self.inner.children(prefix)


class Counted(Wrapped):
    """Passes on to another log, and counts what is read until something is written."""

    def __init__(self, inner: Objects) -> None:
        super().__init__(inner)
        self.calls = 0
        self.size = 0
        self._counting = True

    def begin(self) -> None:
        """Count anew."""
        self.calls, self.size, self._counting = 0, 0, True

    def put_new(self, name: str, data: bytes) -> None:
        """Create; from then on nothing is counted."""
        self._counting = False
        super().put_new(name, data)

    def get(self, name: str) -> bytes | None:
        """Read."""
        data = super().get(name)
        self._count(len(data or b""))
        return data

    def scan(self, prefix: str, after: str = "") -> Iterator[Entry]:
        """List by pages of a thousand."""
        self._count(0)
        for number, entry in enumerate(self.inner.scan(prefix, after)):
            if number and number % 1000 == 0:
                self._count(0)
            yield entry

    def entries(self, prefix: str) -> list[Entry]:
        """List by pages of a thousand."""
        return list(self.scan(prefix))

    def children(self, prefix: str) -> list[str]:
        """List folders by pages of a thousand."""
        found = super().children(prefix)
        for _ in range(1 + len(found) // 1000):
            self._count(0)
        return found

    def _count(self, size: int) -> None:
        if self._counting:
            self.calls += 1
            self.size += size
