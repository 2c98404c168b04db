"""From an empty or older database to the newest form, with the proof of every key, at once."""

import sqlite3
from pathlib import Path

from daena_kms.errors import ConfigError
from daena_kms.rules.text import shown
from daena_kms.stores.local.proof import Prover, Root, new_store
from daena_kms.stores.local.rows import PROVED, load
from daena_kms.stores.local.schema import SCHEMA, is_empty, schema_of, take_steps

#: What every master key of this store decrypts: it shows a wrong one before anything is written.
PROBE = b"daena-kms"


def upgrade(
    connection: sqlite3.Connection, prover: Prover, path: Path, *, new: bool
) -> bool | None:
    """Bring a database to the newest form, if it is not in it, in one transaction.

    Args:
        connection: The database.
        prover: Of the store's master key.
        path: The file, for messages.
        new: Whether there may be no proof yet: nothing says that this store had one.

    Returns:
        Whether it is right to go on; ``None`` if the database has lost its tables or its proofs.

    Raises:
        ConfigError: A newer version wrote it, or the master key is another's.
    """
    schema = schema_of(connection)
    if schema > SCHEMA:
        msg = f"a newer version of daena-kms wrote the local store {path}"
        raise ConfigError(msg, todo="Install that version again")
    if schema == SCHEMA and not is_empty(connection):
        return True
    connection.execute("BEGIN IMMEDIATE")
    try:
        done = _upgrade(connection, prover, path, new=new)
        connection.execute("COMMIT" if done else "ROLLBACK")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return done or None


def _upgrade(connection: sqlite3.Connection, prover: Prover, path: Path, *, new: bool) -> bool:
    schema = schema_of(connection)  # another process may have been faster
    empty = is_empty(connection)
    if schema == SCHEMA and not empty:
        return True
    if (empty or schema < PROVED) and not new:
        return False
    if empty:
        take_steps(connection)
        probe = prover.seal(PROBE, PROBE)
        connection.execute("INSERT OR REPLACE INTO meta VALUES ('probe', ?)", (probe,))
        write_root(connection, prover, Root(new_store(), 1, prover.sum(())))
        return True
    if not _opens(connection, prover):
        return True  # the caller says whose master key this is not
    root = None
    if schema >= PROVED:
        root = read_root(connection, prover, path)
    elif connection.execute("SELECT 1 FROM meta WHERE name = 'root'").fetchone():
        return False
    intact = [
        rows.key_id
        for rows in load(connection, schema=max(schema, 1))  # the first form says 0
        if root is None or prover.proves(rows)
    ]
    old = dict(connection.execute("SELECT id, proof FROM keys")) if root is not None else {}
    take_steps(connection)
    # A key whose rows were wrong before is not proved now: it stays an error.
    codes: list[bytes] = []
    for key_id in intact:
        for rows in load(connection, str(key_id), schema=SCHEMA):
            proof = prover.proof(rows)
            connection.execute("UPDATE keys SET proof = ? WHERE id = ?", (proof, key_id))
            codes.append(prover.code(key_id, proof))
            if root is not None:
                codes.append(prover.code(key_id, old[key_id]))
    began = Root(new_store(), 1, prover.sum(())) if root is None else root
    write_root(connection, prover, began.after(*codes))
    return True


def _opens(connection: sqlite3.Connection, prover: Prover) -> bool:
    row = connection.execute("SELECT value FROM meta WHERE name = 'probe'").fetchone()
    return row is not None and prover.unseal(row[0], PROBE) == PROBE


def read_root(connection: sqlite3.Connection, prover: Prover, path: Path) -> Root:
    """Return what stands for the whole database. Raises :class:`ConfigError` if it was altered."""
    row = connection.execute("SELECT value FROM meta WHERE name = 'root'").fetchone()
    root = prover.unseal_root(row[0]) if row is not None else None
    if root is None:
        msg = f"the seal of the local store {path} is missing, or was altered"
        raise ConfigError(msg, todo="Restore the file from a backup")
    return root


def write_root(connection: sqlite3.Connection, prover: Prover, root: Root) -> None:
    """Put what stands for the whole database."""
    sealed = prover.seal_root(root)
    connection.execute("INSERT OR REPLACE INTO meta VALUES ('root', ?)", (sealed,))


def altered(path: Path, key_id: object) -> ConfigError:
    """Return the error for a key whose rows somebody else wrote."""
    name = shown(key_id)
    msg = f"{path} has a malformed row, or the file was altered"
    return ConfigError(msg, key_id=name, todo="Restore the file from a backup")
