"""The local store's file: SQLite, with every value encrypted under a master key.

There is one connection per process and one writer at a time across processes. A commit that
returned survives a power cut.
"""

import base64
import contextlib
import os
import sqlite3
import tempfile
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from daena_kms.errors import AccessDenied, ConfigError, StoreUnavailable

_KEY_BYTES = 32
_NONCE_BYTES = 12
_BUSY_SECONDS = 30.0
_PROBE = b"daena-kms"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS keys (
    id TEXT PRIMARY KEY, tags TEXT NOT NULL, current TEXT NOT NULL, deleted TEXT
);
CREATE TABLE IF NOT EXISTS versions (
    key_id TEXT NOT NULL REFERENCES keys (id), id TEXT NOT NULL, base TEXT NOT NULL,
    state TEXT NOT NULL, created TEXT NOT NULL, superseded TEXT, retired TEXT, sealed BLOB,
    compromised TEXT, PRIMARY KEY (key_id, id)
) WITHOUT ROWID;
"""
#: The columns of the table versions that a file of an older version lacks, in their order.
_LATER_COLUMNS = ("compromised",)


class Database:
    """The file ``keys.db`` and the master key that decrypts its values.

    Args:
        home: The folder of the file.
        master_key: Base64 of 32 bytes; by default the file ``master.key`` in ``home``, which is
            made on first use with mode 0600.

    Raises:
        ConfigError: The master key is malformed, wrong or readable by others, or the database is
            damaged. The first use raises it.
    """

    def __init__(self, home: Path, master_key: str | None) -> None:
        self.path = home / "keys.db"
        self._home = home
        self._master_key = master_key
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._pid = 0
        self._cipher: AESGCM | None = None
        #: Whether the table versions has the columns that were added later. A file of an older
        #: version that can't be written lacks them, and is read without them.
        self.upgraded = False

    def seal(self, value: str, name: str) -> bytes:
        """Return ``value`` encrypted; only the same ``name`` decrypts it again."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._opened()[1].encrypt(nonce, value.encode(), name.encode())

    def unseal(self, sealed: bytes, name: str) -> str:
        """Return the value encrypted under ``name``. Raises :class:`ConfigError` if altered."""
        try:
            cipher = self._opened()[1]
            return cipher.decrypt(
                sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], name.encode()
            ).decode()
        except (InvalidTag, TypeError, ValueError):
            msg = f"a value in {self.path} can't be decrypted: the file was altered"
            raise ConfigError(msg, todo="Restore the file from a backup") from None

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Give a connection for reads."""
        with self._lock, self._errors():
            yield self._opened()[0]

    @contextlib.contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Give a connection inside one write transaction, committed at the end, durably."""
        with self._lock, self._errors():
            connection = self._opened()[0]
            if not self.upgraded:  # the disk was full, say, when the file was opened
                self.upgraded = _upgrade(connection)
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def forget(self) -> None:
        """Remove from the write-ahead log what was erased from the database."""
        with self._lock, self._errors():
            self._opened()[0].execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """Close the connection; the next use opens it again."""
        with self._lock:
            if self._connection is not None:
                _close(self._connection, self._pid)
            self._connection = None

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            # The error that Python itself raises for a column that is not text has no code and may
            # quote the column. So no error's text is passed on.
            name = getattr(error, "sqlite_errorname", "SQLITE_CORRUPT")
            if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
                msg = f"the local store {self.path} is locked by another process"
                raise StoreUnavailable(msg, todo="Try again") from None
            if isinstance(error, sqlite3.OperationalError) and name != "SQLITE_CORRUPT":
                msg = f"the local store {self.path} can't be used ({name})"
                todo = "Check the folder's permissions and the free space"
                raise StoreUnavailable(msg, todo=todo) from None
            msg = f"the local store {self.path} is damaged ({name})"
            raise ConfigError(msg, todo="Restore the file from a backup") from None
        except (ValueError, TypeError, AttributeError) as error:
            # A row that this package did not write in this form; its content is not quoted.
            msg = f"the local store {self.path} has a malformed row"
            raise ConfigError(msg, todo="Restore the file from a backup") from error

    def _opened(self) -> tuple[sqlite3.Connection, AESGCM]:
        with self._lock:
            # A connection must not cross a fork: SQLite's locks belong to the process.
            if self._connection is None or self._cipher is None or self._pid != os.getpid():
                self._connection, self._cipher = self._open()
                self._pid = os.getpid()
                # A store that is dropped without being closed closes its connection.
                weakref.finalize(self, _close, self._connection, self._pid)
            return self._connection, self._cipher

    def _open(self) -> tuple[sqlite3.Connection, AESGCM]:
        try:
            self._home.mkdir(mode=0o700, parents=True, exist_ok=True)
            cipher = AESGCM(self._load_master_key())
        except OSError as error:
            msg = f"the local store's folder {self._home} can't be used: {error.strerror}"
            raise AccessDenied(msg, todo="Set DAENA_KMS_HOME to a folder of your own") from error
        with self._errors():
            connection = sqlite3.connect(
                self.path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
        try:
            with self._errors():
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = FULL")
                connection.execute("PRAGMA foreign_keys = ON")
                # Destroyed values are overwritten, not only unlinked from their page.
                connection.execute("PRAGMA secure_delete = ON")
                connection.executescript(_SCHEMA)
                with contextlib.suppress(sqlite3.OperationalError):
                    self.upgraded = _upgrade(connection)
                self._check_master_key(connection, cipher)
        except BaseException:
            connection.close()
            raise
        return connection, cipher

    def _check_master_key(self, connection: sqlite3.Connection, cipher: AESGCM) -> None:
        row = connection.execute("SELECT value FROM meta WHERE name = 'probe'").fetchone()
        if row is None:
            nonce = os.urandom(_NONCE_BYTES)
            probe = nonce + cipher.encrypt(nonce, _PROBE, _PROBE)
            connection.execute("INSERT OR IGNORE INTO meta VALUES ('probe', ?)", (probe,))
            row = connection.execute("SELECT value FROM meta WHERE name = 'probe'").fetchone()
        try:
            cipher.decrypt(row[0][:_NONCE_BYTES], row[0][_NONCE_BYTES:], _PROBE)
        except (InvalidTag, TypeError, ValueError):
            msg = f"the master key is not that of the local store {self.path}"
            todo = "Use the key that the store was made with, in DAENA_KMS_MASTER_KEY or master.key"
            raise ConfigError(msg, todo=todo) from None

    def _load_master_key(self) -> bytes:
        if self._master_key is not None:
            return _decode(self._master_key, "DAENA_KMS_MASTER_KEY")
        path = self._home / "master.key"
        # Checked in this order, because a store's key is made before the store.
        made = self.path.exists()
        if not path.exists():
            if made:
                msg = f"{path} is missing, and {self.path} can't be decrypted without it"
                raise ConfigError(msg, todo="Put the file back, or set DAENA_KMS_MASTER_KEY")
            self._make_master_key(path)
        if path.stat().st_mode & 0o077:
            msg = f"{path} is readable by others"
            raise ConfigError(msg, todo=f"Run: chmod 600 {path}")
        return _decode(path.read_bytes(), str(path))

    def _make_master_key(self, path: Path) -> None:
        # Written whole and then linked: if several processes make it at once, one wins, and none
        # reads half a key.
        handle, name = tempfile.mkstemp(dir=self._home, prefix=".master-")
        with os.fdopen(handle, "wb") as file:
            file.write(base64.b64encode(os.urandom(_KEY_BYTES)))
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(name)
        Path(name).unlink()
        folder = os.open(self._home, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _upgrade(connection: sqlite3.Connection) -> bool:
    """Add the columns that a file of an older version lacks, in one transaction; return True."""
    if set(_LATER_COLUMNS) <= _columns(connection):
        return True
    connection.execute("BEGIN IMMEDIATE")
    try:
        have = _columns(connection)  # another process may have been faster
        for column in _LATER_COLUMNS:
            if column not in have:
                connection.execute(f"ALTER TABLE versions ADD COLUMN {column} TEXT")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return True


def _columns(connection: sqlite3.Connection) -> set[str]:
    return {row[1] for row in connection.execute("PRAGMA table_info(versions)")}


def _close(connection: sqlite3.Connection, pid: int) -> None:
    if pid == os.getpid():
        connection.close()


def _decode(text: str | bytes, name: str) -> bytes:
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except ValueError:
        key = b""
    if len(key) != _KEY_BYTES:
        msg = f"{name} is not a master key"
        raise ConfigError(msg, todo="Use base64 of 32 random bytes: openssl rand -base64 32")
    return key
