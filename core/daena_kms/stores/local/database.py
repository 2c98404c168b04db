"""The local store's file: SQLite, its values encrypted under a master key, its rows proved by it.

There is one connection per process and one writer at a time across processes. A commit that
returned survives a power cut, and stands in the file that is in the folder then.
"""

import contextlib
import os
import sqlite3
import threading
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from daena_kms.errors import ConfigError, StoreUnavailable
from daena_kms.stores.forks import forget_in_children
from daena_kms.stores.local.home import RESTORE, Home
from daena_kms.stores.local.proof import Prover, Root
from daena_kms.stores.local.rows import Rows, load
from daena_kms.stores.local.schema import SCHEMA, is_ours
from daena_kms.stores.local.snapshot import read_snapshot, stamp
from daena_kms.stores.local.upgrade import PROBE, altered, read_root, upgrade, write_root

_BUSY_SECONDS = 30.0
#: How long an erasure waits for readers of the old value.
_ERASE_SECONDS = 5.0
#: The beginnings of the names of SQLite's errors after which a reader may still read a copy.
_CAN_NOT_WRITE = ("SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_FULL", "SQLITE_IOERR")


@dataclass(slots=True)
class _Opened:
    """One open database."""

    connection: sqlite3.Connection
    #: Which files it is; ``None`` for a copy in memory.
    files: tuple[object, ...] | None
    #: SQLite's number for what others have changed, when all rows were last checked.
    checked: int | None = None


class Database:
    """The file ``keys.db`` and the master key that decrypts its values.

    Args:
        home: The folder of the file.
        master_key: Base64 of 32 bytes; by default the file ``master.key`` in ``home``, which is
            made on first use with mode 0600.

    Raises:
        ConfigError: The master key is malformed, wrong or readable by others; the folder or a file
            in it belongs to others or is writable by them; the database is damaged, altered, lost
            or older than it was. The first use raises it.
    """

    def __init__(self, home: Path, master_key: str | None) -> None:
        self._home = Home(home)
        self.path = self._home.database
        self._master_key = master_key
        self._seen = 0
        self._known: Prover | None = None
        self._store = ""
        self.after_fork()
        forget_in_children(self)

    def after_fork(self) -> None:
        """Forget the connection: SQLite's locks belong to the process that opened it."""
        self._lock = threading.RLock()
        self._open: _Opened | None = None
        self._copy: tuple[object, _Opened] | None = None

    def seal(self, value: str, name: str) -> bytes:
        """Return ``value`` encrypted; only the same ``name`` decrypts it again."""
        with self._lock, self._errors():
            return self._prover.seal(value.encode(), name.encode())

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Give the connection, outside of any transaction. What is read so is not checked."""
        with self._lock, self._errors():
            yield self._opened().connection

    def read[T](self, query: Callable[[sqlite3.Connection], T]) -> T:
        """Return what ``query`` finds, as it was at one moment.

        Where the file can't be opened for SQLite's own notes, on a read-only mount or a full
        disk, a copy in memory is read.
        """
        with self._lock, self._errors():
            try:
                return self._within(self._opened(), query)
            except sqlite3.OperationalError as error:
                if not _name(error).startswith(_CAN_NOT_WRITE):
                    raise
                copied = self._copied()
                if copied is None:
                    raise
                return self._within(copied, query)

    def unseal(self, key_id: str, version_id: str, sealed: object) -> str:
        """Return a value. Raises :class:`ConfigError` if it was altered."""
        with self._lock, self._errors():
            data = self._prover.unseal(sealed, f"{key_id}/{version_id}".encode())
        value = None
        with contextlib.suppress(UnicodeDecodeError):
            value = data.decode() if data is not None else None
        if value is not None:
            return value
        msg = f"the value of its version {version_id} in {self.path} can't be decrypted"
        raise ConfigError(f"{msg}: the file was altered", key_id=key_id, todo=RESTORE)

    def rows(self, key_id: str | None = None) -> list[tuple[Rows, bool]]:
        """Return the rows of all keys, or of one, each with whether they are as they were written.

        Nothing of rows that are not may be used, not even whether the key is deleted.
        """
        return self.read(lambda connection: self.rows_in(connection, key_id))

    def rows_in(
        self, connection: sqlite3.Connection, key_id: str | None = None
    ) -> list[tuple[Rows, bool]]:
        """Return the same inside a read that has begun, together with what else it reads."""
        found = load(connection, key_id, schema=SCHEMA)
        return [(rows, self._prover.proves(rows)) for rows in found]

    @contextlib.contextmanager
    def changing(self, key_id: str) -> Iterator[sqlite3.Connection]:
        """Give a connection to change one key, in one transaction that is durable at the end.

        The rows of the key are proved before and after.
        """
        with self._lock, self._errors():
            opened = self._opened()
            connection = opened.connection
            connection.execute("BEGIN IMMEDIATE")
            try:
                self._check(opened)
                before = self._before(connection, key_id)
                yield connection
                generation = self._prove(connection, key_id, before)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
            self._seen = max(self._seen, generation)
            if self._home.files() != opened.files:
                self._leave()
                msg = f"{self.path} was deleted or replaced while it was written"
                todo = "Look at the key; the change is lost unless the old file is put back"
                raise StoreUnavailable(msg, key_id=key_id, todo=todo)

    def forget(self) -> None:
        """Remove from the write-ahead log what was erased from the database.

        Raises:
            StoreUnavailable: Another process still reads the old state, so it is still there.
        """
        with self.reading() as connection:
            connection.execute(f"PRAGMA busy_timeout = {int(_ERASE_SECONDS * 1000)}")
            try:
                (busy, _, _) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            finally:
                connection.execute(f"PRAGMA busy_timeout = {int(_BUSY_SECONDS * 1000)}")
            if busy:
                msg = f"another process reads {self.path}, so what was erased is still in its log"
                raise StoreUnavailable(msg, todo="The next run tries again")

    def generation(self) -> int:
        """Return how often the database was changed; 0, and none is made, if there is none."""
        if not self.path.exists() and not self._home.marker.exists():
            return 0
        return self.read(self._root).generation

    def told(self, generation: int) -> int:
        """Return what proves in the audit log that this store had this generation."""
        with self._lock, self._errors():
            return self._prover.told(self._store, generation)

    def close(self) -> None:
        """Close the connection; the next use opens it again."""
        with self._lock:
            self._leave()
            self._drop_copy()

    def altered(self, key_id: object) -> ConfigError:
        """Return the error for a key whose rows somebody else wrote."""
        return altered(self.path, key_id)

    @property
    def _prover(self) -> Prover:
        if self._known is None:
            self._opened()
        return self._known or self._prepare()

    def _root(self, connection: sqlite3.Connection) -> Root:
        return read_root(connection, self._prover, self.path)

    def _before(self, connection: sqlite3.Connection, key_id: str) -> Rows | None:
        """Return the rows that a change begins with. They, and the tables, must be ours."""
        if not is_ours(connection):
            msg = f"somebody else changed the tables of {self.path}"
            raise ConfigError(msg, todo=RESTORE)
        rows = next(load(connection, key_id, schema=SCHEMA), None)
        if rows is not None and not self._prover.proves(rows):
            raise self.altered(key_id)
        return rows

    def _prove(self, connection: sqlite3.Connection, key_id: str, before: Rows | None) -> int:
        """Prove what was written of a key, seal the sum of all, and return the generation."""
        prover, root = self._prover, self._root(connection)
        after = next(load(connection, key_id, schema=SCHEMA), None)
        if after is None or (before is not None and after.text() == before.text()):
            return root.generation
        proof = prover.proof(after)
        connection.execute("UPDATE keys SET proof = ? WHERE id = ?", (proof, key_id))
        codes = [prover.code(key_id, proof)]
        if before is not None:
            codes.append(prover.code(key_id, before.proof))
        write_root(connection, prover, root.after(*codes))
        return root.generation + 1

    def _within[T](self, opened: _Opened, query: Callable[[sqlite3.Connection], T]) -> T:
        opened.connection.execute("BEGIN")
        try:
            self._check(opened)
            return query(opened.connection)
        finally:
            if opened.connection.in_transaction:
                opened.connection.execute("ROLLBACK")

    def _check(self, opened: _Opened) -> None:
        """Check, if others have written, that the database is whole and no older than it was."""
        connection, prover = opened.connection, self._prover
        (version,) = connection.execute("PRAGMA data_version").fetchone()
        if opened.checked == version:
            return
        root = self._root(connection)
        if root.generation < self._seen:
            msg = f"{self.path} was put back to an older state while it was in use"
            raise ConfigError(msg, todo="Put the newest file back")
        proofs = connection.execute("SELECT id, proof FROM keys").fetchall()
        # A key whose own rows are wrong is an error of that key alone, and leaves the sum open.
        if prover.sum(proofs) != root.sum and all(
            prover.proves(rows) for rows in load(connection, schema=SCHEMA)
        ):
            msg = f"keys in {self.path} were added, removed or put back by others"
            raise ConfigError(msg, todo=RESTORE)
        self._seen = root.generation
        opened.checked = version

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            # The error that Python itself raises for a column that is not text has no code and may
            # quote the column. So no error's text is passed on.
            name = _name(error)
            if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
                msg = f"the local store {self.path} is locked by another process"
                raise StoreUnavailable(msg, todo="Try again") from None
            if isinstance(error, sqlite3.OperationalError) and name != "SQLITE_CORRUPT":
                msg = f"the local store {self.path} can't be used ({name})"
                todo = "Check the folder's permissions and the free space"
                raise StoreUnavailable(msg, todo=todo) from None
            msg = f"the local store {self.path} is damaged ({name})"
            raise ConfigError(msg, todo=RESTORE) from None
        except (ValueError, TypeError, AttributeError):
            # A row that this package did not write in this form; its content is not quoted.
            msg = f"the local store {self.path} has a malformed row"
            raise ConfigError(msg, todo=RESTORE) from None

    def _opened(self) -> _Opened:
        if self._open is not None and self._open.files != self._home.files():
            self._leave()  # deleted or replaced: what is there now is opened, and checked
        if self._open is None:
            self._open = self._connect()
            self._drop_copy()
            # A store that is dropped without being closed closes its connection.
            weakref.finalize(self, _close, self._open, os.getpid(), self._home)
        return self._open

    def _leave(self) -> None:
        if self._open is not None:
            _close(self._open, os.getpid(), self._home)
        self._open = None

    def _connect(self) -> _Opened:
        prover = self._prepare()
        connection = sqlite3.connect(
            self.path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        try:
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
            # Destroyed values are overwritten, not only unlinked from their page.
            connection.execute("PRAGMA secure_delete = ON")
            if connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):
                connection.execute("PRAGMA journal_mode = WAL")
            store = self._begin(connection, prover)
            opened = _Opened(connection, self._home.files())
            self._home.mark(store)
        except BaseException:
            connection.close()
            raise
        return opened

    def _copied(self) -> _Opened | None:
        """Return a copy in memory, or ``None`` if there is nothing to copy."""
        real = self.path.resolve()
        seen = stamp(real)
        if self._copy is not None and self._copy[0] == seen:
            return self._copy[1]
        self._drop_copy()
        prover = self._prepare()
        try:
            image = read_snapshot(real)
        except OSError:
            return None
        connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        weakref.finalize(self, connection.close)
        connection.deserialize(image)
        self._begin(connection, prover)
        self._copy = seen, _Opened(connection, None)
        return self._copy[1]

    def _drop_copy(self) -> None:
        if self._copy is not None:
            self._copy[1].connection.close()
        self._copy = None

    def _prepare(self) -> Prover:
        self._known = Prover(self._home.prepare(self._master_key))
        return self._known

    def _begin(self, connection: sqlite3.Connection, prover: Prover) -> str:
        """Bring the database to its newest form, check that it is ours, and return its id."""
        connection.text_factory = _text
        marked = self._home.marked()
        if upgrade(connection, prover, self.path, new=marked is None) is None:
            raise self._home.lost("is empty")
        row = connection.execute("SELECT value FROM meta WHERE name = 'probe'").fetchone()
        if row is None or prover.unseal(row[0], PROBE) is None:
            msg = f"the master key is not that of the local store {self.path}"
            todo = "Use the key that the store was made with, in DAENA_KMS_MASTER_KEY or master.key"
            raise ConfigError(msg, todo=todo)
        store = read_root(connection, prover, self.path).store
        if marked is not None and store != marked:
            raise self._home.lost("is another store")
        self._store = store
        return store


def _close(opened: _Opened, pid: int, home: Home) -> None:
    if pid != os.getpid():
        return
    if opened.files != home.files():
        # The last connection to a database deletes the log of that name, which is another's now.
        with contextlib.suppress(sqlite3.ProgrammingError):  # closed already
            opened.connection.setconfig(sqlite3.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE)
    opened.connection.close()


def _text(data: bytes) -> str:
    # What is not UTF-8 must not stop the rows beside it; it fails the proof of its own.
    return data.decode("utf-8", "surrogateescape")


def _name(error: sqlite3.DatabaseError) -> str:
    return getattr(error, "sqlite_errorname", "SQLITE_CORRUPT")
