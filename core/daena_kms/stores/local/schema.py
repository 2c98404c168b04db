"""The form of the local store's database, and the steps from older forms to it.

``PRAGMA user_version`` says how many steps a database has taken. A further step is one more entry
in :data:`STEPS`; if it adds a column that must not be changed by others, the column also gets a
line in :mod:`daena_kms.stores.local.rows`. After the last step every key is proved anew.
"""

import functools
import sqlite3
from contextlib import closing

#: In order; each is applied once, in the transaction that applies all that are missing.
STEPS: tuple[tuple[str, ...], ...] = (
    # The first form; a database of that time says that it has taken no step.
    (
        "CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value BLOB NOT NULL)",
        """
        CREATE TABLE IF NOT EXISTS keys (
            id TEXT PRIMARY KEY, tags TEXT NOT NULL, current TEXT NOT NULL, deleted TEXT
        )
        """,
        """
        CREATE TABLE IF NOT EXISTS versions (
            key_id TEXT NOT NULL REFERENCES keys (id), id TEXT NOT NULL, base TEXT NOT NULL,
            state TEXT NOT NULL, created TEXT NOT NULL, superseded TEXT, retired TEXT, sealed BLOB,
            PRIMARY KEY (key_id, id)
        ) WITHOUT ROWID
        """,
    ),
    # Proofs: see daena_kms.stores.local.proof.
    ("ALTER TABLE keys ADD COLUMN proof BLOB",),
    # The mark of a version that an emergency rotation revokes.
    ("ALTER TABLE versions ADD COLUMN compromised TEXT",),
)
SCHEMA = len(STEPS)


def schema_of(connection: sqlite3.Connection) -> int:
    """Return how many steps a database has taken."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def is_empty(connection: sqlite3.Connection) -> bool:
    """Whether there is no table of ours in it."""
    found = connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'keys'")
    return not found.fetchone()[0]


def is_ours(connection: sqlite3.Connection) -> bool:
    """Whether the database has our tables alone, as we made them.

    A trigger, a default or a computed column that somebody else added would write rows of its own
    inside our transactions, and we would prove them.
    """
    return _tables(connection) == _newest()


def _tables(connection: sqlite3.Connection) -> list[tuple[str, ...]]:
    found = connection.execute("SELECT type, name, sql FROM sqlite_master ORDER BY type, name")
    return [(kind, name, " ".join(str(sql).split())) for kind, name, sql in found]


@functools.cache
def _newest() -> list[tuple[str, ...]]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        take_steps(connection)
        return _tables(connection)


def take_steps(connection: sqlite3.Connection) -> None:
    """Bring a database to the newest form, inside the caller's transaction."""
    for step in STEPS[schema_of(connection) :]:
        for statement in step:
            connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {SCHEMA}")
