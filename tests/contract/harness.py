"""What the contract suite needs of a store: one small class for each.

A harness gives an adapter on an empty store and the means to do what others do there: make a
secret of their own, put a new value past us, change a tag, and look at everything that is stored.
"""

import secrets
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from daena_kms.audit import open_log
from daena_kms.cloud_kms import CloudKMSAdapter, LocalAdapter
from daena_kms.engine import run
from daena_kms.objects.base import Objects
from daena_kms.rules.summary import Summary
from daena_kms.stores.local.store import LocalStore

DAY = timedelta(days=1)


def value(length: int = 24) -> str:
    """Return a value that nobody has seen before."""
    return secrets.token_urlsafe(length)


class Harness(ABC):
    """One store, empty at first, and an audit log in a folder."""

    adapter: CloudKMSAdapter
    log: Objects
    #: Of the form that the store's version ids have.
    unknown_version = "daena-20260101T000000Z-0123456789-0123456789abcdef"

    def __init__(self, folder: Path) -> None:
        self.log = open_log((folder / "audit").as_uri())
        self.began = datetime.now(UTC)

    def run(self, after: timedelta = timedelta(), **options: Any) -> Summary:
        """Run the engine as if this time had passed since the test began."""
        return run(self.adapter, self.log, now=datetime.now(UTC) + after, **options)

    @abstractmethod
    def again(self) -> CloudKMSAdapter:
        """Return another adapter on the same store, as another process would have."""

    @abstractmethod
    def foreign(self, key_id: str, material: str, tags: Mapping[str, str] | None = None) -> None:
        """Make a key as somebody else would, with the store's own means."""

    @abstractmethod
    def overwrite(self, key_id: str, material: str) -> None:
        """Make a new current version as somebody else would."""

    @abstractmethod
    def erase(self, key_id: str) -> None:
        """Delete a key as somebody else would, as finally as the store lets one."""

    def undo(self, key_id: str, version: str) -> None:  # noqa: B027 - as a rule there is something
        """Do what the store says that a person does who needs a compromised version after all.

        Where it reads by its id that is nothing.
        """

    @abstractmethod
    def state(self) -> object:
        """Return all that is stored, values included, for comparison."""

    @abstractmethod
    def calls(self) -> int:
        """Return how many calls the store has had."""

    def tag(self, key_id: str, **tags: str | None) -> None:
        """Change ``daena.*`` tags as an operator would; underscores stand for hyphens."""
        named = {f"daena.{name.replace('_', '-')}": text for name, text in tags.items()}
        self.adapter.store.tag(self.adapter.store.describe(key_id), named)


class LocalHarness(Harness):
    """The local store in a folder."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._home = folder / "store"
        self._store = LocalStore(self._home)
        self.adapter = CloudKMSAdapter(self._store)

    def close(self) -> None:
        """Close the store's file."""
        self._store.close()

    def again(self) -> CloudKMSAdapter:
        """Open the folder once more."""
        return LocalAdapter(self._home)

    def foreign(self, key_id: str, material: str, tags: Mapping[str, str] | None = None) -> None:
        """Write a key without our tags."""
        self.adapter.store.create(key_id, material, tags or {}, datetime.now(UTC))

    def overwrite(self, key_id: str, material: str) -> None:
        """Rotate with the primitives alone."""
        store, now = self.adapter.store, datetime.now(UTC)
        key = store.describe(key_id)
        store.promote(key, store.stage(key, material, now), now)

    def erase(self, key_id: str) -> None:
        """Delete it by the adapter: nobody else has a way."""
        self.adapter.delete_key(key_id)

    def undo(self, key_id: str, version: str) -> None:
        """Change the row in the database."""
        with closing(sqlite3.connect(self._home / "keys.db")) as connection, connection:
            connection.execute(
                "UPDATE versions SET state = 'previous', retired = NULL"
                " WHERE key_id = ? AND id = ?",
                (key_id, version),
            )

    def state(self) -> object:
        """Return keys and the values that can be read."""
        found = {}
        for key in self.adapter.store.scan():
            readable = {v.id for v in key.versions if v.state in {"current", "previous"}}
            values = {v: self.adapter.store.read(key.id, v) for v in sorted(readable)}
            found[key.id] = (key, values)
        return found

    def calls(self) -> int:
        """Return nothing that counts: there is no wire."""
        return 0
