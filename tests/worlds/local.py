"""The world of the local store: a folder with a seam in front of it."""

import shutil
import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

from daena_kms.cloud_kms import CloudKMSAdapter, LocalAdapter

from tests.worlds.base import FaultWorld
from tests.worlds.seam import LOG, Effect, Seam, SeamedObjects, SeamedStore

_READING = {"scan", "describe", "read", "get", "entries", "children"}


class LocalWorld(FaultWorld):
    """The local store and a log in files, with a seam in front of both."""

    provider = "local"
    unknown_version = "daena-20260101T000000Z-0123456789-0123456789abcdef"
    delete_says = "kept until it is restored"

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._live, self._saved = folder / "live", folder / "saved"
        self.home = self._live / "store"
        self.seam = Seam()
        self._open()

    def _open(self) -> None:
        self.store = SeamedStore(self.home, self.seam)
        self.adapter = LocalAdapter(self.home)
        self.adapter.store = self.store
        self.log = SeamedObjects(self._live / "audit", self.seam)

    def wait(self, time: timedelta) -> None:
        """Do nothing: a folder knows no time."""

    def again(self) -> CloudKMSAdapter:
        """Open the folder once more."""
        return LocalAdapter(self.home)

    @property
    def environment(self) -> dict[str, str]:
        """Where the folder and the log are."""
        log = (self._live / "audit").as_uri()
        return {"DAENA_KMS_HOME": str(self.home), "DAENA_KMS_AUDIT_URL": log}

    def state(self) -> dict[str, list[tuple[object, ...]]]:
        """Return every row of every table."""
        found: dict[str, list[tuple[object, ...]]] = defaultdict(list)
        for table in ("keys", "versions"):
            for row in self._rows(f"SELECT * FROM {table} ORDER BY 1, 2"):  # noqa: S608 - two names
                found[str(row[0])].append(row)
        return dict(found)

    def values(self) -> list[str]:
        """Open every value that is there."""
        rows = self._rows("SELECT key_id, id FROM versions WHERE sealed IS NOT NULL")
        store = self.again().store
        return [store.read(str(key_id), str(version)) for key_id, version in rows]

    def shown(self) -> Iterator[str]:
        """Yield nothing: who may read the folder may read the values."""
        return iter(())

    def promotions(self) -> int:
        """Count the versions: each was promoted as it was written."""
        return len(self._rows("SELECT id FROM versions"))

    def _rows(self, statement: str) -> list[tuple[Any, ...]]:
        if not (self.home / "keys.db").exists():
            return []
        with closing(sqlite3.connect(self.home / "keys.db")) as connection:
            return connection.execute(statement).fetchall()

    def calls(self) -> int:
        """Return how many calls went through the seam."""
        return len(self.seam.calls)

    def store_calls(self) -> list[str]:
        """Return those of the store."""
        return [name for name in self.seam.calls if name not in LOG]

    def writes(self) -> list[int]:
        """Return the numbers of the calls that are no reading ones."""
        return [n for n, name in enumerate(self.seam.calls, 1) if name not in _READING]

    def mend(self) -> None:
        """Let every call pass."""
        self.seam.disarm()

    def arm(self, at: int, effect: Effect) -> None:
        """Arm the seam."""
        self.seam.arm(at, effect)

    def foreign(
        self,
        key_id: str,
        material: str,
        tags: Mapping[str, str] | None = None,
        *,
        age: timedelta = timedelta(),
    ) -> None:
        """Write a key that carries other tags."""
        self.store.create(key_id, material, tags or {}, self.began - age)

    def overwrite(self, key_id: str, material: str) -> None:
        """Rotate with the primitives alone."""
        store, now = self.again().store, self.began
        key = store.describe(key_id)
        store.promote(key, store.stage(key, material, now), now)

    def retag(self, key_id: str, tags: Mapping[str, str | None]) -> None:
        """Change them through another process."""
        store = self.again().store
        store.tag(store.describe(key_id), tags)

    def erase(self, key_id: str) -> None:
        """Delete it by the adapter: nobody else has a way."""
        self.again().delete_key(key_id)

    def enable(self, key_id: str, version: str) -> None:
        """Make it a previous version again, as the store's own words say."""
        self.store.readmit(key_id, version)

    def save(self) -> None:
        """Copy the folder."""
        self.store.close()
        shutil.copytree(self._live, self._saved)

    def load(self) -> None:
        """Copy it back."""
        self.store.close()
        shutil.rmtree(self._live)
        shutil.copytree(self._saved, self._live)
        self.seam.disarm()
        self._open()
