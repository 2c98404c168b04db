"""The folder of the local store: who may write there, and whether a store was made in it."""

import contextlib
import os
import stat
import threading
from pathlib import Path

from daena_kms.errors import AccessDenied, ConfigError, StoreUnavailable
from daena_kms.objects.private import check_folder, check_not_writable, read_private
from daena_kms.stores.local.master import load_master_key

RESTORE = "Restore the file from a backup"


class Home:
    """The folder, its database ``keys.db``, and ``keys.id``, which says which store was made there.

    Without that file, a database that somebody deleted or emptied would be made anew in silence.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.database = folder / "keys.db"
        self.marker = folder / "keys.id"

    def prepare(self, master_key: str | None) -> bytes:
        """Check the folder and its files, make what a new store needs, and return the master key.

        Args:
            master_key: Base64 of it, where the environment holds it.

        Raises:
            ConfigError: Others own or may write to one of them, the master key can't be used, or
                the database is missing.
            AccessDenied: The folder can't be used.
            StoreUnavailable: The database is no file.
        """
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            check_folder(self.folder, "Set DAENA_KMS_HOME to a folder of your own")
            self._check_there()
            key = load_master_key(self.folder, self.database, master_key)
            if not self.database.exists():
                # Made here, because SQLite would make it with the process's mask.
                with contextlib.suppress(FileExistsError):
                    os.close(os.open(self.database, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
            seen = self.database.stat()
        except OSError as error:
            msg = f"the local store's folder {self.folder} can't be used: {error.strerror}"
            raise AccessDenied(msg, todo="Set DAENA_KMS_HOME to a folder of your own") from error
        if not stat.S_ISREG(seen.st_mode):
            msg = f"the local store {self.database} can't be used (it is no file)"
            todo = "Check the folder's permissions and the free space"
            raise StoreUnavailable(msg, todo=todo)
        check_not_writable(self.database, seen)
        return key

    def _check_there(self) -> None:
        """Refuse to go on with nothing where a store was made."""
        if self.marker.exists():
            if not self.database.exists():
                raise self.lost("is missing")
            if not self.database.stat().st_size and self.database.is_file():
                raise self.lost("is empty")

    def marked(self) -> str | None:
        """Return the id of the store that was made in this folder, if one was."""
        try:
            return read_private(self.marker, secret=False).decode("ascii", "replace").strip()
        except FileNotFoundError:
            return None
        except OSError as error:
            msg = f"{self.marker} can't be read: {error.strerror}"
            raise AccessDenied(msg, todo="Check its permissions") from error

    def mark(self, store: str) -> None:
        """Note the store's id, if the folder can be written."""
        if self.marker.exists():
            return
        passing = self.folder / f".keys.id-{os.getpid()}-{threading.get_ident()}"
        with contextlib.suppress(OSError):
            handle = os.open(passing, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(f"{store}\n".encode())
                file.flush()
                os.fsync(file.fileno())
            passing.replace(self.marker)

    def lost(self, what: str) -> ConfigError:
        """Return the error for a database that is not the one which was made here."""
        msg = f"the local store {self.database} {what}, and {self.marker.name} says it was there"
        todo = f"{RESTORE}; only to begin anew, without its keys, remove {self.marker}"
        return ConfigError(msg, todo=todo)

    def files(self) -> tuple[tuple[int, int] | None, ...]:
        """Return which files the database and its log are, whatever is in them."""
        real = Path(os.path.realpath(self.database))
        return tuple(_inode(file) for file in (real, real.with_name(f"{real.name}-wal")))


def _inode(path: Path) -> tuple[int, int] | None:
    try:
        seen = path.stat()
    except OSError:
        return None
    return seen.st_dev, seen.st_ino
