"""A copy of the database in memory, for reads where SQLite can't write even its own index.

Reading a database in WAL mode takes a file beside it, which SQLite makes. It can't on a read-only
mount or a full disk. Opened as immutable, the database would lack what only the log beside it
holds. So both files are read, and the log's committed pages are laid over the database's.

https://www.sqlite.org/fileformat2.html#the_write_ahead_log
"""

import struct
from collections.abc import Iterator
from pathlib import Path

_HEADER = struct.Struct(">8I")
_FRAME = struct.Struct(">6I")
#: The log's first word; its last bit says in which order the words of its checksums are read.
_MAGIC = 0x377F0682
#: Where the header says which versions of the format write and read the file; 1: without a log.
_VERSIONS = range(18, 20)
#: How often both files are read again because somebody was just writing.
_TRIES = 5


def read_snapshot(database: Path) -> bytes:
    """Return the database as it is after the last commit.

    Raises:
        OSError: A file can't be read, or the files don't rest.
    """
    log = database.with_name(database.name + "-wal")
    for _ in range(_TRIES):
        before = stamp(database)
        if not database.is_file() or (log.exists() and not log.is_file()):
            raise OSError(None, "it is no file")  # a pipe, for one, would never end
        data, frames = database.read_bytes(), log.read_bytes() if log.exists() else b""
        if stamp(database) == before:
            return _legacy(_overlaid(data, frames))
    raise OSError(None, "another process keeps writing to it")


def stamp(database: Path) -> tuple[tuple[int, ...] | None, ...]:
    """Return what changes whenever the database or its log does."""
    return tuple(map(_stamp, (database, database.with_name(database.name + "-wal"))))


def _stamp(path: Path) -> tuple[int, ...] | None:
    try:
        seen = path.stat()
    except FileNotFoundError:
        return None
    return seen.st_dev, seen.st_ino, seen.st_size, seen.st_mtime_ns


def _overlaid(data: bytes, log: bytes) -> bytes:
    """Lay the pages of the log's complete transactions over the database."""
    image = bytearray(data)
    pending: list[tuple[int, bytes]] = []
    for number, size, page in _frames(log):
        pending.append((number, page))
        if size:  # the last page of a transaction says how many the database has then
            for at, content in pending:
                start = (at - 1) * len(content)
                if len(image) < start + len(content):
                    image.extend(bytes(start + len(content) - len(image)))
                image[start : start + len(content)] = content
            del image[size * len(page) :]
            pending = []
    return bytes(image)


def _frames(log: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield page number, size after a commit, and page, as long as the checksums are right."""
    if len(log) < _HEADER.size:
        return
    magic, _, page_size, _, salt, other_salt, *sums = _HEADER.unpack_from(log)
    if magic & ~1 != _MAGIC:
        return
    order = ">" if magic & 1 else "<"
    state = _checksum(log[:24], order, (0, 0))
    if state != tuple(sums) or not page_size:
        return
    for start in range(
        _HEADER.size, len(log) - _FRAME.size - page_size + 1, _FRAME.size + page_size
    ):
        number, size, *salts, first, second = _FRAME.unpack_from(log, start)
        page = log[start + _FRAME.size : start + _FRAME.size + page_size]
        state = _checksum(page, order, _checksum(log[start : start + 8], order, state))
        if salts != [salt, other_salt] or state != (first, second) or not number:
            return
        yield number, size, page


def _checksum(data: bytes, order: str, state: tuple[int, int]) -> tuple[int, int]:
    first, second = state
    words = struct.unpack(f"{order}{len(data) // 4}I", data)
    for even, odd in zip(words[::2], words[1::2], strict=True):
        first = (first + even + second) & 0xFFFFFFFF
        second = (second + odd + first) & 0xFFFFFFFF
    return first, second


def _legacy(image: bytes) -> bytes:
    """Mark the image as one without a log: in memory there is none."""
    if not image:
        return image
    return image[: _VERSIONS.start] + bytes([1, 1]) + image[_VERSIONS.stop :]
