"""Objects in a folder of this machine, each written whole and synced."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from stat import S_ISDIR, S_ISREG

from daena_kms.objects.base import AUDIT, AlreadyExists, Entry, Objects, Use

_TEMPORARY = ".new-"


class FileObjects(Objects):
    """Objects as files. An object is written whole, synced, and only then given its name."""

    def __init__(self, root: Path, use: Use = AUDIT) -> None:
        self._root = root
        self._use = use
        self.url = root.as_uri()

    def put_new(self, name: str, data: bytes) -> None:
        """Write and sync a temporary file, link it to its name if that is free, sync the folder."""
        path = self._root / name
        with self._errors("written"):
            self._make(path.parent)
            handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=_TEMPORARY)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                # A link fails where the name exists, and never shows a half-written file.
                path.hardlink_to(temporary)
            except FileExistsError:
                raise AlreadyExists(name) from None
            finally:
                Path(temporary).unlink()
            _sync(path.parent)

    def get(self, name: str) -> bytes | None:
        """Read one file. A pipe or a device counts as empty: reading it might never end."""
        path = self._root / name
        with self._errors("read"):
            try:
                mode = path.stat().st_mode
                return path.read_bytes() if S_ISREG(mode) or S_ISDIR(mode) else b""
            except FileNotFoundError:
                return None

    def get_up_to(self, name: str, limit: int) -> bytes | None:
        """Read the beginning of one file."""
        path = self._root / name
        with self._errors("read"):
            try:
                if not S_ISREG(path.stat().st_mode):
                    return self.get(name)
                with path.open("rb") as file:
                    return file.read(limit)
            except FileNotFoundError:
                return None

    def entries(self, prefix: str) -> list[Entry]:
        """Walk the folder that ``prefix`` names (it ends with a slash)."""
        return sorted(self.scan(prefix), key=lambda entry: entry.name)

    def scan(self, prefix: str, after: str = "") -> Iterator[Entry]:
        """Walk the folder that ``prefix`` names, without the folders that end before ``after``."""
        with self._errors("listed"):
            for folder, folders, files in os.walk(
                self._root / prefix, onerror=_raise_unless_missing
            ):
                at = Path(folder).relative_to(self._root)
                inner = f"{at.as_posix()}/" if at.parts else ""
                folders[:] = sorted(
                    f for f in folders if f"{inner}{f}/" >= after[: len(f"{inner}{f}/")]
                )
                for file in sorted(files):
                    if not file.startswith(_TEMPORARY) and f"{inner}{file}" > after:
                        stat = Path(folder, file).lstat()
                        when = datetime.fromtimestamp(stat.st_mtime, UTC)
                        yield Entry(f"{inner}{file}", when, stat.st_size)

    def children(self, prefix: str) -> list[str]:
        """List the folders in the folder that ``prefix`` names."""
        with self._errors("listed"):
            try:
                return sorted(p.name for p in (self._root / prefix).iterdir() if p.is_dir())
            except FileNotFoundError:
                return []

    def _make(self, folder: Path) -> None:
        """Create a folder and those above it, and sync each parent, so that the new ones last."""
        missing = []
        while not folder.exists():
            missing.append(folder)
            folder = folder.parent
        for path in reversed(missing):
            path.mkdir(mode=0o755, exist_ok=True)
            _sync(path.parent)

    @contextlib.contextmanager
    def _errors(self, what: str) -> Iterator[None]:
        try:
            yield
        except AlreadyExists:
            raise
        except OSError as error:
            msg = f"{self._use.label} {self.url} can't be {what}: {error.strerror}"
            raise self._use.error(msg, todo="Check the folder's permissions and space") from error


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _raise_unless_missing(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error
