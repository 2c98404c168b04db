"""The local store's durable rotations beside bare SQLite commits, and several processes at once."""

import secrets
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from statistics import median

from daena_kms.cloud_kms import LocalAdapter
from daena_kms.rules.names import mark
from daena_kms.rules.policy import Defaults

from tests.bench.figures import Figure, Must
from tests.bench.surroundings import children, environment

_RATIO = 0.5
_ROUNDS = 7
_COMMITS, _QUICK_COMMITS = 100, 40
_PROCESSES, _EACH = 4, 50
#: What a rotation writes, in one table: the ids, states and times of the new version, and its
#: sealed value of 44 characters with nonce and tag.
_ROW_BYTES = 300


def rate(*, quick: bool) -> Iterator[Figure]:
    """Yield the rate of rotations over that of commits of one row; the rounds alternate."""
    commits = _QUICK_COMMITS if quick else _COMMITS
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(_bare(Path(folder) / "bare.db")) as connection,
    ):
        adapter = LocalAdapter(Path(folder) / "home", defaults=Defaults())
        # Each key is rotated once a round: how long its history gets is not what is measured.
        keys = [f"key-{number}" for number in range(commits)]
        for key in keys:
            adapter.create_key(key)
        row = secrets.token_bytes(_ROW_BYTES)

        def commit(_key: str) -> None:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("INSERT INTO bare (value) VALUES (?)", (row,))
            connection.execute("COMMIT")

        ratios, bare = [], []
        for _ in range(_ROUNDS):
            bare.append(_per_second(commit, keys))
            ratios.append(_per_second(adapter.rotate_key, keys) / bare[-1])
        context = f"{median(bare):,.0f} bare commits a second, both with synchronous = FULL"
        name = "local store, durable rotations over bare SQLite commits"
        yield Figure(name, median(ratios), Must.BE_AT_LEAST, _RATIO, "x", context)


def together() -> Iterator[Figure]:
    """Yield how many rotations are lost when processes rotate the same two keys at once."""
    with tempfile.TemporaryDirectory() as folder:
        adapter = LocalAdapter(folder, defaults=Defaults())
        for key in ("one", "two"):
            adapter.create_key(key)
        env = environment(DAENA_KMS_HOME=folder)
        results = children("local_child", [(str(_EACH),)] * _PROCESSES, env=env)
        kept = [_chain(adapter, key) for key in ("one", "two")]
        reported = sum(int(result["rotated"]) for result in results)
        conflicts = sum(int(result["conflicts"]) for result in results)
        name = f"local store, {_PROCESSES} processes at once: rotations lost"
        context = f"{reported} reported, {sum(kept)} in the chains, {conflicts} conflicts told"
        yield Figure(name, reported - sum(kept), Must.BE, 0, context=context)
        name = f"local store, {_PROCESSES} processes at once: rotations done"
        yield Figure(name, reported, Must.BE, 2 * _PROCESSES * _EACH)


def _bare(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE bare (id INTEGER PRIMARY KEY, value BLOB NOT NULL)")
    return connection


def _per_second(act: Callable[[str], object], keys: Sequence[str]) -> float:
    began = time.perf_counter()
    for key in keys:
        act(key)
    return len(keys) / (time.perf_counter() - began)


def _chain(adapter: LocalAdapter, key_id: str) -> int:
    """Return how many versions the current one can be followed back through, each readable."""
    key = adapter.store.describe(key_id)
    by_mark = {mark(version.id): version for version in key.versions}
    length, version = 0, key.current
    while version is not None and version.base_mark is not None and version.base_mark in by_mark:
        adapter.store.read(key_id, version.id)
        length, version = length + 1, by_mark[version.base_mark]
    return length
