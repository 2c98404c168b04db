"""Where a fault goes in: every call of a store and of an audit log is counted, and one can fail."""

import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from daena_kms.errors import AuditUnavailable, DaenaKMSError, StoreUnavailable
from daena_kms.objects.base import Entry
from daena_kms.objects.files import FileObjects
from daena_kms.rules.model import Key
from daena_kms.stores.base import Staged
from daena_kms.stores.local.store import LocalStore

#: The calls of a log.
LOG = frozenset({"put_new", "get", "entries", "children"})


class Effect(StrEnum):
    """What happens at the chosen call."""

    #: It fails and changes nothing.
    BEFORE = "before"
    #: It takes effect, and its answer is lost.
    AFTER = "after"
    #: The process ends right before it.
    KILLED_BEFORE = "killed-before"
    #: The process ends right after it took effect.
    KILLED_AFTER = "killed-after"


class Killed(BaseException):
    """The end of the process: nothing catches it, and no call after it takes effect."""


class Seam:
    """Counts the calls that go through it, and makes one of them fail."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self._lock = threading.Lock()
        self._at = 0
        self._effect: Effect | None = None
        self._dead = False

    def arm(self, at: int, effect: Effect) -> None:
        """Let the call number ``at`` from now on, counted from 1, have this effect."""
        self.calls, self._at, self._effect, self._dead = [], at, effect, False

    def disarm(self) -> None:
        """Let every call pass; begin to count anew."""
        self.arm(0, Effect.BEFORE)

    def pass_through[T](self, name: str, call: Callable[[], T], error: type[DaenaKMSError]) -> T:
        """Make one call, or fail it as it was armed to."""
        with self._lock:
            self.calls.append(name)
            hit = len(self.calls) == self._at
            if self._dead or (hit and self._effect is Effect.KILLED_BEFORE):
                self._dead = True
                raise Killed
        if hit and self._effect is Effect.BEFORE:
            raise error("the call failed", todo="It was meant to")
        result = call()
        if hit and self._effect is Effect.AFTER:
            raise error("the answer was lost", todo="It was meant to be")
        if hit and self._effect is Effect.KILLED_AFTER:
            self._dead = True
            raise Killed
        return result


class SeamedStore(LocalStore):
    """The local store, each primitive that reads or writes going through a seam."""

    def __init__(self, home: Path, seam: Seam) -> None:
        super().__init__(home)
        self._seam = seam

    def _through[T](self, name: str, call: Callable[[], T]) -> T:
        return self._seam.pass_through(name, call, StoreUnavailable)

    def scan(self) -> Iterator[Key]:
        """List."""
        listed = super().scan
        return iter(self._through("scan", lambda: list(listed())))

    def describe(self, key_id: str, *, exact: bool = False) -> Key:
        """Look at one key."""
        look = super().describe
        return self._through("describe", lambda: look(key_id, exact=exact))

    def read(self, key_id: str, version: str | None = None) -> str:
        """Read a value."""
        read = super().read
        return self._through("read", lambda: read(key_id, version))

    def create(self, key_id: str, material: str, tags: Mapping[str, str], now: datetime) -> str:
        """Create."""
        create = super().create
        return self._through("create", lambda: create(key_id, material, tags, now))

    def promote(self, key: Key, staged: Staged, now: datetime) -> str:
        """Promote."""
        promote = super().promote
        return self._through("promote", lambda: promote(key, staged, now))

    def mark_compromised(self, key: Key, version: str, now: datetime) -> Key:
        """Mark."""
        mark = super().mark_compromised
        return self._through("mark_compromised", lambda: mark(key, version, now))

    def retire(self, key: Key, version: str, now: datetime) -> None:
        """Retire."""
        retire = super().retire
        self._through("retire", lambda: retire(key, version, now))

    def destroy(self, key: Key, version: str, now: datetime) -> None:
        """Destroy."""
        destroy = super().destroy
        self._through("destroy", lambda: destroy(key, version, now))

    def tag(self, key: Key, tags: Mapping[str, str | None]) -> None:
        """Tag."""
        tag = super().tag
        self._through("tag", lambda: tag(key, tags))

    def delete(self, key: Key, now: datetime) -> None:
        """Delete."""
        delete = super().delete
        self._through("delete", lambda: delete(key, now))

    def restore(self, key: Key) -> None:
        """Restore."""
        restore = super().restore
        self._through("restore", lambda: restore(key))


class SeamedObjects(FileObjects):
    """An audit log in files, each call going through a seam."""

    def __init__(self, root: Path, seam: Seam) -> None:
        super().__init__(root)
        self._seam = seam

    def _through[T](self, name: str, call: Callable[[], T]) -> T:
        return self._seam.pass_through(name, call, AuditUnavailable)

    def put_new(self, name: str, data: bytes) -> None:
        """Put."""
        put = super().put_new
        self._through("put_new", lambda: put(name, data))

    def get(self, name: str) -> bytes | None:
        """Get."""
        get = super().get
        return self._through("get", lambda: get(name))

    def entries(self, prefix: str) -> list[Entry]:
        """List all below."""
        entries = super().entries
        return self._through("entries", lambda: entries(prefix))

    def children(self, prefix: str) -> list[str]:
        """List folders."""
        children = super().children
        return self._through("children", lambda: children(prefix))
