"""The local store: its folder and the master key."""

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from daena_kms.doctor.base import Exam, Told
from daena_kms.doctor.check import Check, Status

_NAME = "master key"
#: Others may write.
_OTHERS = stat.S_IWGRP | stat.S_IWOTH
#: They may come in; one bit lower each.
_ENTER = stat.S_IXGRP | stat.S_IXOTH


class LocalExam(Exam):
    """The questions for a folder. There is nobody to log in to, and no clock but ours."""

    def __init__(self, home: Path, master_key: str | None) -> None:
        self._home = home
        self._given = master_key is not None

    def credentials(self) -> Iterator[Check]:
        """Look that the store is there: opening one that is not, or is empty, would make it."""
        file = self._home / "keys.db"
        try:
            if file.stat().st_size:
                yield Check("credentials", Status.OK, "none are needed: the store is a folder")
                return
            found = f"{file} is empty: it holds no key, or lost what it held"
        except (FileNotFoundError, NotADirectoryError):
            found = f"there is no store in {self._home}"
        except OSError as error:
            found = f"the store in {self._home} can't be looked at: {error.strerror}"
        todo = "Check DAENA_KMS_HOME and its permissions; the first create makes the store"
        yield Check("store", Status.WRONG, found, todo)

    def clock(self) -> Told | None:
        """There is none but ours."""
        return None

    def permissions(self, keys: Sequence[str]) -> Iterator[Check]:
        """Yield whether the folder may be read and written."""
        del keys
        name = "permission on the folder"
        allowed = os.access(self._home, os.R_OK | os.W_OK | os.X_OK)
        if not allowed:
            found = f"{self._home} can't be read and written by this user"
            yield Check(name, Status.WRONG, found, f"Run: chmod u+rwx {self._home}, as its owner")
            return
        yield Check(name, Status.OK, f"{self._home} can be read and written")
        folder, file = self._home.stat().st_mode, self._home / "keys.db"
        # A file's mode counts for those who come into its folder.
        reached = file.stat().st_mode & (folder & _ENTER) << 1
        open_to = self._home if folder & _OTHERS else file if reached & _OTHERS else None
        if open_to is not None:
            found = f"others may write to {open_to}, and so replace the store"
            yield Check(f"{name}: others", Status.WRONG, found, f"Run: chmod go-w {open_to}")

    def encryption(self) -> Iterator[Check]:
        """Yield who can read the master key."""
        path = self._home / "master.key"
        if self._given:
            found = "in DAENA_KMS_MASTER_KEY: who sees this process's environment sees it"
            yield Check(_NAME, Status.OK, found)
            return
        try:
            seen = path.stat()
        except OSError:
            todo = "Put it back from a backup, or run create if there is no key yet"
            yield Check(_NAME, Status.WARNING, f"{path} is not there", todo)
            return
        if seen.st_mode & 0o077:
            text = f"{path} can be read or written by others (mode {stat.S_IMODE(seen.st_mode):o})"
            yield Check(_NAME, Status.WRONG, text, f"Run: chmod 600 {path}")
        elif seen.st_uid != os.getuid():
            text = f"{path} belongs to another user (uid {seen.st_uid})"
            yield Check(_NAME, Status.WRONG, text, f"Run: chown {os.getuid()} {path}, as root")
        else:
            yield Check(_NAME, Status.OK, f"{path} is for its owner alone")
