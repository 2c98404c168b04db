"""The local store, in a folder of its own for each history."""

import json
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from daena_kms.cloud_kms import CloudKMSAdapter, LocalAdapter

from tests.simulation.base import Cloud, Seen, SeenVersion
from tests.worlds.seam import SeamedStore


class Local(Cloud):
    """The folder, each process with a store of its own on it."""

    provider = "local"

    def __init__(self) -> None:
        super().__init__()
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._stores: list[SeamedStore] = []
        self.outsiders = {}

    def _empty(self) -> None:
        self.end()
        self._folder = tempfile.TemporaryDirectory(prefix="simulation-")

    def end(self) -> None:
        """Remove the folder."""
        for store in self._stores:
            store.close()
        self._stores = []
        if self._folder is not None:
            self._folder.cleanup()

    def calm(self, key_id: str) -> None:
        """Do nothing: nobody else has a way to it."""

    def stale(self, *, stale: bool) -> None:
        """Do nothing: it lists what there is."""

    @property
    def _home(self) -> Path:
        assert self._folder is not None
        return Path(self._folder.name) / "store"

    def adapter(self, number: int) -> CloudKMSAdapter:
        """Open the folder once more."""
        adapter = LocalAdapter(self._home)
        store = SeamedStore(self._home, self._calls(number))  # type: ignore[arg-type] # it has the one method
        self._stores.append(store)
        adapter.store = store
        return adapter

    def see(self) -> dict[str, Seen]:
        """Read the rows."""
        path = self._home / "keys.db"
        if not path.exists():
            return {}
        with closing(sqlite3.connect(path)) as connection:
            keys = connection.execute("SELECT id, tags, current, deleted FROM keys").fetchall()
            rows = connection.execute("SELECT key_id, id, state, sealed FROM versions").fetchall()
        found = {}
        for key_id, tags, current, deleted in keys:
            versions = {
                version: SeenVersion(
                    None if sealed is None else version,
                    readable=state in {"current", "previous"},
                    retired=state == "retired",
                )
                for owner, version, state, sealed in rows
                if owner == key_id
            }
            found[key_id] = Seen(current, versions, json.loads(tags), deleted is not None)
        return found
