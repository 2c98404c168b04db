"""One local store and its log, a clock, and everybody who may touch a key."""

import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from daena_kms.cloud_kms import LocalAdapter
from daena_kms.engine import run
from daena_kms.objects.files import FileObjects
from daena_kms.operations import Operations
from daena_kms.rules.policy import HOLD, MANAGED, Defaults
from daena_kms.rules.summary import Summary
from daena_kms.stores.local.store import LocalStore
from hypothesis.stateful import RuleBasedStateMachine

from tests.unit.engine.machine import KEYS, Points, State
from tests.unit.local_keys import retag, rotate_at
from tests.worlds.seam import SeamedObjects, SeamedStore

START = datetime(2026, 1, 1, tzinfo=UTC)


class World(RuleBasedStateMachine):
    """One local store and its log, a clock, and everybody who may touch a key."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = TemporaryDirectory(prefix="daena-machine-")
        root = Path(self._folder.name)
        self.seam = Points()
        self.now = START
        self.adapter = LocalAdapter(root / "store", defaults=Defaults())
        self.adapter.store = self.store = SeamedStore(root / "store", self.seam)
        self.log = SeamedObjects(root / "audit", self.seam)
        # Others have a connection, and a log, of their own.
        self.others = LocalAdapter(root / "store", defaults=Defaults())
        self.others.store = self.other_store = LocalStore(root / "store")
        self.their_log = FileObjects(root / "audit")
        self.state = State(self.others, self.now)
        self.values: dict[tuple[str, str], str] = {}
        self.checked: set[str] = set()
        #: What an emergency was to retire, by key and version: its grace counts no more.
        self.leaked: set[tuple[str, str]] = set()
        #: What somebody made without the log: ids of versions.
        self.unlogged: set[str] = set()
        #: Whether the last thing that happened was a run that came to its end.
        self.settled = False

    def teardown(self) -> None:
        """Close the files and remove them."""
        self.store.close()
        self.other_store.close()
        self._folder.cleanup()

    def run(
        self, keys: list[str] | None = None, *, by_others: bool = False, leaked: bool = False
    ) -> Summary:
        """Run the engine."""
        adapter, log = (self.others, self.their_log) if by_others else (self.adapter, self.log)
        return run(
            adapter,
            log,
            now=self.now,
            keys=keys,
            workers=1,
            principal="machine",
            compromised=leaked,
            reason="it leaked" if leaked else None,
        )

    @property
    def ops(self) -> Operations:
        """The audited operations."""
        return Operations(self.adapter, self.log, now=self.now, principal="machine")

    def operations(self) -> dict[str, Callable[[str], object]]:
        """Return everything that goes through the log, by name."""
        return {
            "run": lambda _: self.run(),
            "rotate": lambda key_id: self.run([key_id]),
            "leaked": lambda key_id: self.run([key_id], leaked=True),
            "create": lambda key_id: self.ops.create(
                key_id, spec=KEYS[key_id].spec, tags=KEYS[key_id].tags
            ),
            "adopt": lambda key_id: self.ops.adopt(
                key_id, spec=KEYS[key_id].spec, tags=KEYS[key_id].tags
            ),
            "rollback": self.ops.rollback,
            "delete": self.ops.delete,
            "restore": self.ops.restore,
        }

    def disturbances(self) -> dict[str, Callable[[str], object]]:
        """Return what others do meanwhile, by name."""
        return {
            "run": lambda _: self.run(by_others=True),
            "rotate": lambda key_id: self.run([key_id], by_others=True),
            "hold": lambda key_id: retag(self.others, key_id, {HOLD: "true"}),
            "unmanage": lambda key_id: retag(self.others, key_id, {MANAGED: None}),
            "write": self._write_unlogged,
            "delete": lambda key_id: self.others.store.delete(
                self.others.store.describe(key_id), self.now
            ),
        }

    def _write_unlogged(self, key_id: str) -> None:
        if self.others.store.describe(key_id).deleted is None:
            self.unlogged.add(rotate_at(self.others, key_id, secrets.token_urlsafe(), self.now))

    def possible(self, key_id: str) -> list[str]:
        """Return what can be done to a key as it is."""
        if key_id not in self.state.keys:
            return ["create"]
        if self.state.keys[key_id].deleted is not None:
            return ["restore"]
        if not self.state.managed(key_id):
            return ["adopt"]
        return ["run", "rotate", "rollback", "leaked", "delete"]
