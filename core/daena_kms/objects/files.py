"""Objects in a folder of this machine, each written whole and synced."""

import contextlib
import errno
import os
import re
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import NamedTuple

from daena_kms.objects.base import AUDIT, AlreadyExists, Entry, Objects, Use, ascii_name, is_plain

_TEMPORARY = ".new-"
#: Who else may read a folder may read what is written into it; nobody else may write to it.
_READERS = 0o044
_LISTERS = 0o055
#: In bytes.
_CHUNK = 1 << 20
#: What a system says of a call that this kind of file system does not have.
_NOT_THERE = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}
#: Links to folders that one listing follows: they may multiply what is listed.
_MOST_LINKS = 1_000
#: How many folders deep an object of ours lies at most: log, year, month, day, hour and run.
_MOST_FOLDERS = 6
#: What a system says of a folder that somebody else closed, or named beyond what a path may have.
_CLOSED = {errno.EACCES, errno.EPERM, errno.ENAMETOOLONG, errno.ENOTDIR, errno.ELOOP}
_UNKNOWN = datetime(1970, 1, 1, tzinfo=UTC)


#: The names of the folders of a year, a month, a day or an hour, and of those and a run.
_NUMBER = re.compile(r"[0-9]+", re.ASCII)
_MADE = re.compile(r"[0-9]+|[0-9a-f]{32}", re.ASCII)

type _Id = tuple[int, int]


class _Found(NamedTuple):
    """A file, or a folder that is not entered, with its name below the root."""

    name: str
    #: ``None`` for a folder, whose name ends with a slash.
    file: os.DirEntry[str] | None


class FileObjects(Objects):
    """Objects as files. An object is written whole, synced, and only then given its name.

    Args:
        root: The folder.
        use: What the objects are kept for.
        private: Whether nobody else may read what is written, however the folder is.
    """

    def __init__(self, root: Path, use: Use = AUDIT, *, private: bool = False) -> None:
        self._root = root
        self.use = use
        self._private = private
        #: Whether a folder was synced: on some file systems that is not possible.
        self._synced = False
        self.url = root.as_uri()

    def put_new(self, name: str, data: bytes) -> None:
        """Write and sync a temporary file, link it to its name if that is free, sync the folder."""
        path = self._root / name
        with self._errors("written"):
            self._make(path.parent)
            if not self._synced:
                self._sync(path.parent)  # before the object is there, in case it can't be
            handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=_TEMPORARY)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(data)
                    file.flush()
                    if not self._private:
                        readers = path.parent.stat().st_mode & _READERS
                        with contextlib.suppress(OSError):  # a file system without modes
                            os.fchmod(file.fileno(), 0o600 | readers)
                    os.fsync(file.fileno())
                self._link(path, temporary)
            except FileExistsError:
                raise AlreadyExists(name) from None
            finally:
                Path(temporary).unlink()
            self._sync(path.parent)

    def get(self, name: str) -> bytes | None:
        """Read one file. Whatever else has its name counts as empty: it might never end."""
        return self._read(name, -1)

    def get_up_to(self, name: str, limit: int) -> bytes | None:
        """Read the beginning of one file."""
        return self._read(name, limit)

    def chunks(self, name: str) -> Iterator[bytes] | None:
        """Read one file piece by piece."""
        first = self._read(name, 0)
        return None if first is None else self._chunks(name)

    def _chunks(self, name: str) -> Iterator[bytes]:
        path = self._root / name
        with self._errors("read"):
            if S_ISREG(path.stat().st_mode):
                with path.open("rb") as file:
                    while data := file.read(_CHUNK):
                        yield data

    def _read(self, name: str, limit: int) -> bytes | None:
        if not is_plain(name):
            return None
        path = self._root / name
        with self._errors("read"):
            try:
                if not S_ISREG(path.stat().st_mode):
                    return b""
                with path.open("rb") as file:
                    return file.read(limit)
            except FileNotFoundError:
                return b"" if path.is_symlink() else None
            except OSError as error:
                # Whoever may add a file may close it: it is then one that is no record.
                if error.errno in _CLOSED and self._is_open(name):
                    return b""
                raise

    def _is_open(self, name: str) -> bool:
        """Whether the folder of all objects can be used, in which ``name`` is."""
        top = self._root / name.partition("/")[0]
        return S_ISDIR(top.stat().st_mode) and os.access(top, os.R_OK | os.X_OK)

    def entries(self, prefix: str) -> list[Entry]:
        """Walk the folder that ``prefix`` names (it ends with a slash)."""
        return sorted(self.scan(prefix), key=lambda entry: entry.name)

    def scan(self, prefix: str, after: str = "") -> Iterator[Entry]:
        """Walk the folder that ``prefix`` names, without the folders that end before ``after``."""
        for found in self._walk(prefix, after):
            if found.file is not None and found.name > after and is_plain(found.name):
                with contextlib.suppress(OSError):  # gone, or in a folder that is closed
                    stat = found.file.stat(follow_symlinks=False)
                    yield Entry(found.name, _time(stat.st_mtime), stat.st_size)

    def strange(self, prefix: str) -> Iterator[str]:
        """Walk it, and yield what ``scan`` leaves out."""
        if prefix.startswith("/"):
            return  # no file here has such a name
        for found in self._walk(prefix):
            if found.file is None or not is_plain(found.name) or _is_hidden(found.file):
                yield found.name

    def children(self, prefix: str) -> list[str]:
        """List the folders in the folder that ``prefix`` names."""
        with self._errors("listed"):
            try:
                _, found = self._listed(prefix)
            except FileNotFoundError:
                return []
            except OSError as error:
                if not _is_passed_over(prefix, error):
                    raise
                return []
        return [entry.name for entry in found if _is_folder(entry) and is_plain(entry.name)]

    def _walk(self, prefix: str, after: str = "") -> Iterator[_Found]:
        """Yield every file below a folder, and each folder that is not entered.

        A linked folder is entered only where a run would write through it, that is where its name
        is a number: a year, a month, a day or an hour. What lies behind such a link may be anything
        of this machine's, so there only folders are entered that a run could have made. A folder
        that is above itself is not entered again, nor is one in which no object of ours can lie:
        one that is deeper, or closed to us.
        """
        links = 0

        def below(folder: str, above: frozenset[_Id], *, linked: bool) -> Iterator[_Found]:
            nonlocal links
            try:
                here, found = self._listed(folder)
            except FileNotFoundError:
                return
            except OSError as error:
                if not linked and not _is_passed_over(folder, error):
                    raise
                here, found = None, []
            if here is None or here in above:
                yield _Found(folder, None)
                return
            for entry in found:
                name = f"{folder}{entry.name}"
                if not _is_folder(entry):
                    yield _Found(name, entry)
                elif f"{name}/" >= after[: len(name) + 1]:
                    link = entry.is_symlink()
                    links += link
                    known = name.count("/") < _MOST_FOLDERS and links <= _MOST_LINKS
                    if known and _may_enter(entry.name, link=link, linked=linked):
                        yield from below(f"{name}/", above | {here}, linked=linked or link)
                    else:
                        yield _Found(f"{name}/", None)

        with self._errors("listed"):
            yield from below(prefix, frozenset(), linked=False)

    def _listed(self, folder: str) -> tuple[_Id, list[os.DirEntry[str]]]:
        path = self._root / folder
        stat = path.stat()
        with os.scandir(path) as entries:
            found = [entry for entry in entries if not _is_temporary(entry)]
        return (stat.st_dev, stat.st_ino), sorted(found, key=lambda entry: entry.name)

    def _make(self, folder: Path) -> None:
        """Create a folder and those above it, and sync each parent, so that the new ones last.

        The root is the owner's own until the owner opens it. Whoever may list the root may list
        what is made in it.
        """
        missing = []
        while not folder.exists():
            missing.append(folder)
            folder = folder.parent
        for path in reversed(missing):
            inner = path != self._root and path.is_relative_to(self._root)
            path.mkdir(mode=0o700 if path == self._root else 0o755, exist_ok=True)
            if inner:
                listers = path.parent.stat().st_mode & _LISTERS
                with contextlib.suppress(OSError):  # another process's, or no modes here
                    path.chmod(0o700 | listers)
            self._sync(path.parent)

    def _link(self, path: Path, temporary: str) -> None:
        # A link fails where the name exists, and never shows a half-written file.
        try:
            path.hardlink_to(temporary)
        except OSError as error:
            # EPERM is what Linux says of a file system without links.
            if error.errno in {*_NOT_THERE, errno.EPERM, errno.EMLINK}:
                raise self._unfit(path.parent, "has no hard links", error) from None
            raise

    def _sync(self, folder: Path) -> None:
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
            self._synced = True
        except OSError as error:
            if error.errno in _NOT_THERE:
                raise self._unfit(folder, "can't sync a folder", error) from None
            raise
        finally:
            os.close(handle)

    def _unfit(self, folder: Path, why: str, error: OSError) -> Exception:
        msg = (
            f"{self.use.label} {self.url} can't be written: the file system of "
            f"{ascii_name(str(folder))} {why} ({error.strerror})"
        )
        todo = "Use a folder on a file system that has both hard links and fsync of folders"
        return self.use.error(msg, todo=todo)

    @contextlib.contextmanager
    def _errors(self, what: str) -> Iterator[None]:
        try:
            yield
        except AlreadyExists:
            raise
        except OSError as error:
            msg = f"{self.use.label} {self.url} can't be {what}: {error.strerror}"
            where = self._where(error.filename)
            if where:
                msg += f" ({where})"
            raise self.use.error(msg, todo="Check the folder's permissions and space") from error

    def _where(self, path: object) -> str:
        """Return where below the root something failed, if it is not the root itself."""
        if not isinstance(path, str | Path):
            return ""
        root, inner = self._root.as_posix(), os.fspath(path)
        inside = inner.startswith(f"{root}/")
        return ascii_name(inner.removeprefix(f"{root}/")) if inside else ""


def _may_enter(name: str, *, link: bool, linked: bool) -> bool:
    """Whether a folder is entered: one that is a link, lies behind one, or neither."""
    if link:
        return _NUMBER.fullmatch(name) is not None
    return not linked or _MADE.fullmatch(name) is not None


def _is_passed_over(folder: str, error: OSError) -> bool:
    """Whether a folder that can't be listed ends nothing: whoever may add to a log may add such.

    Objects of ours lie only in folders that we could list, since each was synced. The folder of all
    objects is always needed.
    """
    return error.errno in _CLOSED and "/" in folder.removesuffix("/")


def _is_temporary(entry: os.DirEntry[str]) -> bool:
    return entry.name.startswith(_TEMPORARY) and entry.is_file(follow_symlinks=False)


def _is_hidden(entry: os.DirEntry[str]) -> bool:
    """Whether a file can't be looked at: its folder may be listed, and not entered."""
    try:
        entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False


def _time(seconds: float) -> datetime:
    """Return a file's time; one that no calendar has counts as old."""
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return _UNKNOWN
