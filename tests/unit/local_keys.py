"""A local adapter in a folder of its own, and values that a failing test does not print."""

import hashlib
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

from daena_kms.cloud_kms import CloudKMSAdapter, LocalAdapter
from daena_kms.rules.policy import Defaults


def local(home: Path) -> LocalAdapter:
    """Return an adapter over the store in ``home``, with the built-in policy."""
    return LocalAdapter(home, defaults=Defaults())


def fingerprint(value: str) -> str:
    """Return what may stand in an assertion instead of a value."""
    return hashlib.sha256(value.encode()).hexdigest()[:12]


def reading(adapter: CloudKMSAdapter, key_id: str, version: str | None = None) -> str:
    """Read a value and return its fingerprint."""
    return fingerprint(adapter.get_key(key_id, version))


def retag(adapter: CloudKMSAdapter, key_id: str, tags: Mapping[str, str | None]) -> None:
    """Set and remove a key's tags, as its owner would."""
    adapter.store.tag(adapter.store.describe(key_id), tags)


def rotate_at(adapter: CloudKMSAdapter, key_id: str, material: str, now: datetime) -> str:
    """Rotate a key by the store's own primitives, at any time, and return the new version's id."""
    key = adapter.store.describe(key_id)
    return adapter.store.promote(key, adapter.store.stage(key, material, now), now)


def alter(home: Path, statement: str, *values: object) -> None:
    """Change a store's database behind its back."""
    with closing(sqlite3.connect(home / "keys.db", isolation_level=None)) as connection:
        connection.execute(statement, values)


def make_old(home: Path) -> None:
    """Make a closed store one of the first form, as the oldest version wrote it."""
    first = {
        "keys": {"id", "tags", "current", "deleted"},
        "versions": {
            *("key_id", "id", "base", "state", "created", "superseded", "retired", "sealed"),
        },
    }
    with closing(sqlite3.connect(home / "keys.db", isolation_level=None)) as connection:
        connection.execute("DELETE FROM meta WHERE name = 'root'")
        for table, columns in first.items():
            for row in connection.execute(f"PRAGMA table_info({table})").fetchall():
                if row[1] not in columns:
                    connection.execute(f"ALTER TABLE {table} DROP COLUMN {row[1]}")
        connection.execute("PRAGMA user_version = 0")
    (home / "keys.id").unlink()


def column(home: Path, query: str) -> list[Any]:
    """Return the first column of what a query finds in a store's database."""
    with closing(sqlite3.connect(home / "keys.db")) as connection:
        return [row[0] for row in connection.execute(query)]
