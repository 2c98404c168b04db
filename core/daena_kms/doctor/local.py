"""The local store: its folder and the master key."""

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from daena_kms.doctor.base import Exam, ServerTime
from daena_kms.doctor.check import Check, Status

_NAME, _HOME = "master key", "DAENA_KMS_HOME"
#: The bits of a mode that let others write,
_OTHERS = stat.S_IWGRP | stat.S_IWOTH
#: and enter a folder: each is one bit lower.
_ENTER = stat.S_IXGRP | stat.S_IXOTH


class LocalExam(Exam):
    """The checks of a folder. There is no login and no other clock."""

    has_clock = False

    def __init__(self, home: Path, master_key: str | None, named: str | None = None) -> None:
        self._home = home
        self._named = named
        self._given = master_key is not None

    def credentials(self) -> Iterator[Check]:
        """Yield that the store exists. Opening it would create one if it is missing or empty."""
        if self._named is not None and not self._named.startswith(("/", "~")):
            found = f"{_HOME} is here {self._home}, and another folder from elsewhere"
            yield Check("settings: home", Status.WARNING, found, f"Set {_HOME} to the whole path")
        file = self._home / "keys.db"
        try:
            if file.stat().st_size:
                yield Check("credentials", Status.OK, "none are needed: the store is a folder")
                return
            found = f"{file} is empty: it holds no key, or has lost its keys"
        except (FileNotFoundError, NotADirectoryError):
            found = f"there is no store in {self._home}"
        except OSError as error:
            found = f"the store in {self._home} can't be read: {error.strerror}"
        todo = "Check DAENA_KMS_HOME and its permissions; the first create creates the store"
        marker = self._home / "keys.id"
        if marker.exists():
            found = f"{found}, although {marker.name} says that there was one"
            todo = f"Restore the file from a backup; only to begin anew, remove {marker}"
        yield Check("store", Status.WRONG, found, todo)

    def clock(self) -> ServerTime | None:
        """Return ``None``: there is no other clock."""
        return None

    def permissions(self, keys: Sequence[str]) -> Iterator[Check]:
        """Yield whether this user, and nobody else, may write to the folder."""
        del keys
        name = "permission on the folder"
        file, way = self._home / "keys.db", "as its owner, or remount it writable"
        if not os.access(self._home, os.R_OK | os.W_OK | os.X_OK):
            found = f"this user can't read and write {self._home}"
            yield Check(name, Status.WRONG, found, f"Run: chmod u+rwx {self._home}, {way}")
            return
        if not os.access(file, os.R_OK | os.W_OK):
            found = f"this user can't read and write {file}"
            yield Check(name, Status.WRONG, found, f"Run: chmod u+rw {file}, {way}")
            return
        yield Check(name, Status.OK, f"this user can read and write {self._home}")
        folder = self._home.stat().st_mode
        # A file's mode matters only to users who may enter its folder.
        reached = file.stat().st_mode & (folder & _ENTER) << 1
        open_to = self._home if folder & _OTHERS else file if reached & _OTHERS else None
        if open_to is not None:
            found = f"others may write to {open_to}, and so could replace the store"
            todo = f"Run: chmod go-w {open_to}"
            if open_to is self._home and folder & stat.S_ISVTX:  # of everybody's, such as /tmp
                todo = "Set DAENA_KMS_HOME to a folder of your own in it"
            yield Check(f"{name}: others", Status.WRONG, found, todo)

    def encryption(self) -> Iterator[Check]:
        """Yield whether only the owner can read the master key."""
        path = self._home / "master.key"
        if self._given:
            found = "in DAENA_KMS_MASTER_KEY: anybody who can read the environment can read it"
            yield Check(_NAME, Status.OK, found)
            return
        try:
            seen = path.stat()
        except FileNotFoundError:
            todo = "Restore it from a backup, or run create if there is no key yet"
            yield Check(_NAME, Status.WARNING, f"{path} does not exist", todo)
            return
        except OSError as error:
            found = f"{path} can't be looked at: {error.strerror}"
            yield Check(_NAME, Status.UNKNOWN, found, "Check the permissions on its folder")
            return
        if seen.st_mode & 0o077:
            text = f"others may read or write {path} (mode {stat.S_IMODE(seen.st_mode):o})"
            yield Check(_NAME, Status.WRONG, text, f"Run: chmod 600 {path}")
        elif seen.st_uid != os.getuid():
            text = f"{path} belongs to another user (uid {seen.st_uid})"
            yield Check(_NAME, Status.WRONG, text, f"Run: chown {os.getuid()} {path}, as root")
        else:
            yield Check(_NAME, Status.OK, f"only its owner can read {path}")
