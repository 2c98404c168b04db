"""Logs for tests: one in memory that a test can tamper with, and one that fails on demand."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from daena_kms.audit.reader import read_tail
from daena_kms.audit.records import Context, decode, encode
from daena_kms.audit.writer import RunWriter
from daena_kms.errors import AuditUnavailable
from daena_kms.objects.base import AlreadyExists, Entry, Objects

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
CONTEXT = Context("local", "schedule", "someone", "because")


class MemoryObjects(Objects):
    """Objects in a dictionary, ``held``; each carries the time that ``clock`` gave."""

    url = "memory://"

    def __init__(self, clock: Callable[[], datetime] = lambda: START) -> None:
        self.held: dict[str, bytes] = {}
        self.times: dict[str, datetime] = {}
        self.clock = clock
        self._lock = threading.Lock()

    def put_new(self, name: str, data: bytes) -> None:
        """Create if absent."""
        with self._lock:
            if name in self.held:
                raise AlreadyExists(name)
            self.held[name] = data
            self.times[name] = self.clock()

    def get(self, name: str) -> bytes | None:
        """Read."""
        return self.held.get(name)

    def entries(self, prefix: str) -> list[Entry]:
        """List."""
        names = sorted(name for name in self.held if name.startswith(prefix))
        return [Entry(name, self.times.get(name, START)) for name in names]

    def children(self, prefix: str) -> list[str]:
        """List folders."""
        rest = [name.removeprefix(prefix) for name in self.held if name.startswith(prefix)]
        return sorted({name.split("/")[0] for name in rest if "/" in name})

    def copy(self) -> "MemoryObjects":
        """Return another log with the same objects."""
        other = MemoryObjects(self.clock)
        other.held, other.times = dict(self.held), dict(self.times)
        return other

    def records(self) -> list[dict[str, Any]]:
        """Return every record, by the order of the names."""
        return [decode(self.held[name], name) for name in sorted(self.held)]


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


class Hands:
    """A clock that moves when a test moves it."""

    def __init__(self, now: datetime = START) -> None:
        self.now = now

    def __call__(self) -> datetime:
        """Return the time."""
        return self.now

    def pass_(self, **units: float) -> None:
        """Let time pass."""
        self.now += timedelta(**units)


def action(key: str = "some-key", base: str | None = "v1", kind: str = "rotate") -> dict[str, Any]:
    """Return an action as it stands in a record."""
    return {"key": key, "kind": kind, "base": base, "why": "due"}


def done(key: str = "some-key", base: str | None = "v1", new: str = "v2") -> dict[str, Any]:
    """Return the result of an action that was done."""
    return {**action(key, base), "result": "done", "new_version": new}


def write_run(
    log: Objects,
    clock: Callable[[], datetime],
    *,
    key: str = "some-key",
    closing: bool = True,
    unresolved: tuple[dict[str, Any], ...] = (),
) -> str:
    """Write a run of one action, and its closing record if asked; returns its folder."""
    tail = read_tail(log)
    writer = RunWriter(log, CONTEXT, clock)
    if tail.unreported:
        writer.recovery({prefix: tail.unclosed[prefix] for prefix in tail.unreported}, [])
    writer.intent([action(key)])
    writer.outcome([done(key)])
    if closing:
        writer.close(tail, unresolved, {"rotated": 1})
    return writer.prefix


def edited(data: bytes, **changes: object) -> bytes:
    """Return a record with other content, in the one form that records have."""
    return encode({**decode(data, "edited"), **changes})
