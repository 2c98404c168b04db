"""An engine for tests: a local store that a test can hook into, and a log in memory."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from daena_kms.audit.records import Context, decode
from daena_kms.audit.verify import Report, verify
from daena_kms.engine import run
from daena_kms.engine.clock import Budget, Deadline, RunClock
from daena_kms.engine.request import Request
from daena_kms.errors import StoreUnavailable
from daena_kms.operations import Operations
from daena_kms.rules.model import Key
from daena_kms.rules.summary import Summary
from daena_kms.stores.adapter import CloudKMSAdapter
from daena_kms.stores.base import Staged
from daena_kms.stores.local.store import LocalStore

from tests.worlds.memory import MemoryObjects, Wrapped

DAY = timedelta(days=1)
DUE = timedelta(days=91)


def a_request(
    adapter: CloudKMSAdapter,
    now: datetime | None = None,
    *,
    deadline: Deadline | None = None,
    **changes: Any,
) -> Request:
    """Return what a run over all keys was asked, but for ``changes``."""
    clock = RunClock(now)
    asked: dict[str, Any] = {
        "key_ids": None,
        "if_due": False,
        "compromised": False,
        "dry_run": False,
        "context": Context(adapter.store.provider, "manual", "someone", None),
        "workers": 1,
        "looks": {},
        "progress": lambda _done, _of: None,
        **changes,
    }
    return Request(adapter=adapter, clock=clock, budget=Budget(clock, deadline), **asked)


class HookedStore(LocalStore):
    """The local store; ``before`` and ``after`` are called with each change's name and key."""

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        # No test here is about power cuts, and a thousand syncs take their time.
        with self._db.reading() as connection:
            connection.execute("PRAGMA synchronous = OFF")
        self.changes: list[tuple[str, str]] = []
        self.before: Callable[[str, str], None] = lambda _name, _key: None
        self.after: Callable[[str, str], None] = lambda _name, _key: None

    def promote(self, key: Key, staged: Staged, now: datetime) -> str:
        """Promote."""
        return self._do("rotate", key, lambda: super(HookedStore, self).promote(key, staged, now))

    def enrol(self, key: Key, tags: Mapping[str, str | None], now: datetime) -> None:
        """Enrol."""
        self._do("enrol", key, lambda: super(HookedStore, self).enrol(key, tags, now))

    def retire(self, key: Key, version: str, now: datetime) -> None:
        """Retire."""
        self._do("retire", key, lambda: super(HookedStore, self).retire(key, version, now))

    def destroy(self, key: Key, version: str, now: datetime) -> None:
        """Destroy."""
        self._do("destroy", key, lambda: super(HookedStore, self).destroy(key, version, now))

    def _do[T](self, name: str, key: Key, change: Callable[[], T]) -> T:
        self.before(name, key.id)
        result = change()
        self.changes.append((name, key.id))
        self.after(name, key.id)
        return result

    def lose_answer(self, key_id: str) -> None:
        """Let the next change of this key take effect and its answer be lost."""

        def lose(_name: str, changed: str) -> None:
            if changed == key_id:
                self.after = lambda _name, _key: None
                raise StoreUnavailable("no answer", key_id=key_id)

        self.after = lose


class World:
    """A store, a log, and the time since both were made."""

    def __init__(self, home: Path) -> None:
        self.store = HookedStore(home)
        self.adapter = CloudKMSAdapter(self.store)
        self.objects = MemoryObjects(lambda: datetime.now(UTC))
        self.log = Wrapped(self.objects)

    def create(self, *key_ids: str, **tags: str) -> None:
        """Create keys through the log, with the given daena.* tags."""
        named = {f"daena.{name.replace('_', '-')}": text for name, text in tags.items()}
        for key_id in key_ids:
            Operations(self.adapter, self.log).create(key_id, tags=named)

    def fill(self, count: int, **tags: str) -> list[str]:
        """Create many keys past the log, which is quicker."""
        ids = [f"key-{number:03}" for number in range(count)]
        named = {f"daena.{name.replace('_', '-')}": text for name, text in tags.items()}
        for key_id in ids:
            self.adapter.create_key(key_id, tags=named)
        return ids

    def run(self, after: timedelta = DUE, **options: Any) -> Summary:
        """Run the engine as if that time had passed."""
        return run(self.adapter, self.log, now=datetime.now(UTC) + after, **options)

    def tag_theirs(self, key_id: str, value: str, **tags: str) -> None:
        """Make a key as somebody else would, and let somebody tag it."""
        self.store.create(key_id, value, {}, datetime.now(UTC) - DUE)
        named = {f"daena.{name.replace('_', '-')}": text for name, text in tags.items()}
        self.store.tag(self.store.describe(key_id), named)

    def records(self, kind: str | None = None) -> list[dict[str, Any]]:
        """Return the records in the order in which they were written."""
        found = [decode(data, name) for name, data in list(self.objects.stored.items())]
        return [record for record in found if kind in {None, record["type"]}]

    def clear_log(self) -> None:
        """Forget what the setting up has written."""
        self.objects.stored.clear()
        self.log.puts = 0

    def count(self, key_id: str) -> int:
        """Return how many versions a key has."""
        return len(self.store.describe(key_id).versions)

    def verify(self) -> Report:
        """Hold the log against the store."""
        return verify(self.objects, self.store.scan())
