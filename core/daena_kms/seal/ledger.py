"""What the seals say, kept on disk while a log is held against them: memory stays flat."""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from types import TracebackType
from typing import Self

from daena_kms.seal.form import Leaf

_TABLES = """
create table leaf (name text primary key, sha256 text, size integer, seal integer, seen integer)
    without rowid;
create table run (prefix text primary key, seal integer, closed integer) without rowid;
create table recovered (prefix text primary key, seal integer, hashes text) without rowid;
create table made (name text primary key, hash blob, needed integer, seen integer) without rowid;
create table root (size integer primary key, root blob, signed integer);
"""
#: In KiB; what is more goes to a temporary file.
_CACHE = 16_384


class Ledger:
    """Leaves, runs, and what is made from the seals; in a temporary file without a name."""

    def __init__(self) -> None:
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.executescript(f"pragma cache_size = -{_CACHE}; {_TABLES} begin;")

    def __enter__(self) -> Self:
        """Return it; the file is gone at the end."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Remove it."""
        self._database.close()

    def _do(self, statement: str, *values: object) -> int:
        with closing(self._database.execute(statement, values)) as cursor:
            return cursor.rowcount

    def _ask(self, statement: str, *values: object) -> tuple[object, ...] | None:
        with closing(self._database.execute(statement, values)) as cursor:
            row: tuple[object, ...] | None = cursor.fetchone()
            return row

    def _names(self, statement: str, *values: object) -> Iterator[str]:
        with closing(self._database.execute(statement, values)) as cursor:
            yield from (str(row[0]) for row in cursor)

    def seal(self, leaf: Leaf, number: int) -> bool:
        """Note a leaf of a seal, and return whether it is the first of that name."""
        values = (leaf.name, leaf.sha256, leaf.size, number)
        return self._do("insert or ignore into leaf values (?, ?, ?, ?, 0)", *values) == 1

    def leaf(self, name: str) -> tuple[Leaf, int] | None:
        """Return the leaf of that name and its seal, and note that the object is there."""
        row = self._ask("select sha256, size, seal from leaf where name = ?", name)
        if row is None:
            return None
        self._do("update leaf set seen = 1 where name = ?", name)
        return Leaf(name, str(row[0]), int(str(row[1]))), int(str(row[2]))

    def unseen(self) -> Iterator[str]:
        """Yield the names of leaves whose objects were not there."""
        return self._names("select name from leaf where seen = 0 order by name")

    def run(self, prefix: str, number: int) -> int | None:
        """Note that a seal holds objects of a run, and return the first seal that did before."""
        row = self._ask("select seal from run where prefix = ?", prefix)
        if row is None:
            self._do("insert into run values (?, ?, null)", prefix, number)
            return None
        return int(str(row[0]))

    def close(self, prefix: str, number: int) -> None:
        """Note that a run's closing record is in that seal."""
        self._do("update run set closed = ? where prefix = ?", number, prefix)

    def closed(self, prefix: str) -> int | None:
        """Return the seal that holds a run's closing record."""
        row = self._ask("select closed from run where prefix = ?", prefix)
        return None if row is None or row[0] is None else int(str(row[0]))

    def recover(self, prefix: str, number: int, hashes: Iterable[str]) -> None:
        """Note that a record in that seal says how a run ended, with the hashes of its objects."""
        values = (prefix, number, " ".join(hashes))
        self._do("insert or ignore into recovered values (?, ?, ?)", *values)

    def late(self) -> Iterator[str]:
        """Yield the names of leaves that were sealed after their runs had been recovered."""
        return self._names(
            "select leaf.name from recovered join leaf on leaf.name > recovered.prefix "
            "and leaf.name < recovered.prefix || '~' where leaf.seal > recovered.seal "
            "and instr(recovered.hashes, leaf.sha256) = 0 order by 1"
        )

    def knows(self, prefix: str) -> bool:
        """Whether a seal holds objects of a run."""
        return self._ask("select 1 from run where prefix = ?", prefix) is not None

    def make(self, name: str, hashed: bytes, *, needed: bool) -> None:
        """Note what follows from the seals; ``needed`` if its absence is a fault."""
        statement = "insert into made values (?, ?, ?, 0) on conflict do update set needed = "
        self._do(statement + "max(needed, excluded.needed)", name, hashed, needed)

    def made(self, name: str) -> bytes | None:
        """Return the hash of what follows from the seals, and note that it is there."""
        row = self._ask("select hash from made where name = ?", name)
        if row is None or not isinstance(row[0], bytes):
            return None
        self._do("update made set seen = 1 where name = ?", name)
        return row[0]

    def unmade(self) -> Iterator[str]:
        """Yield the names of what follows from the seals, is needed, and is not there."""
        return self._names("select name from made where seen = 0 and needed order by name")

    def grow(self, size: int, root: bytes) -> None:
        """Note the root at a size that a seal ends at."""
        self._do("insert or ignore into root values (?, ?, 0)", size, root)

    def root(self, size: int) -> bytes | None:
        """Return the root at a size that a seal ends at."""
        row = self._ask("select root from root where size = ?", size)
        return row[0] if row is not None and isinstance(row[0], bytes) else None

    def sign(self, size: int) -> None:
        """Note that there is a checkpoint of that size."""
        self._do("update root set signed = 1 where size = ?", size)

    def signed(self) -> bool:
        """Whether there is a checkpoint at all."""
        return self._ask("select 1 from root where signed = 1 limit 1") is not None

    def unsigned(self) -> list[int]:
        """Return the sizes that have no checkpoint."""
        with closing(
            self._database.execute("select size from root where signed = 0 and size > 0 order by 1")
        ) as cursor:
            return [int(row[0]) for row in cursor]
