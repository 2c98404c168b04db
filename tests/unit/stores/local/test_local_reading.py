"""The local store reads where nothing can be written: a read-only mount, a full disk."""

import base64
import os
import posix  # os._exit is wrapped where coverage is measured, and must not be
import resource
import secrets
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from daena_kms.errors import DaenaKMSError, StoreUnavailable
from daena_kms.rules.policy import MANAGED
from daena_kms.stores.local import snapshot
from daena_kms.stores.local.store import LocalStore
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.keys import NOW
from tests.unit.local_keys import alter, fingerprint

TAGS = {MANAGED: "true"}


def rotate(store: LocalStore, key_id: str = "k") -> None:
    """Make a new version of a key."""
    key = store.describe(key_id)
    store.promote(key, store.stage(key, secrets.token_urlsafe(), NOW), NOW)


def crashed(home: Path, source: Path) -> None:
    """Copy a store that is open, as a crash leaves it: its last changes are in the log alone."""
    home.mkdir(mode=0o700)
    for name in ("keys.db", "keys.db-wal", "keys.id", "master.key"):
        shutil.copy(source / name, home / name)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A store that a crash left: its second version stands in the log alone."""
    source = tmp_path / "source"
    with closing(LocalStore(source)) as store:
        store.create("k", secrets.token_urlsafe(), TAGS, NOW)
        alter(source, "PRAGMA wal_checkpoint(TRUNCATE)")
        rotate(store)
        crashed(tmp_path / "home", source)
    return tmp_path / "home"


def values(store: LocalStore) -> list[str]:
    """Return the fingerprints of all values that may be read."""
    return [fingerprint(store.read("k", v.id)) for v in store.describe("k").versions]


def expected(home: Path, tmp_path: Path) -> list[str]:
    """Return the fingerprints as SQLite itself reads the store."""
    shutil.copytree(home, tmp_path / "expected")
    with closing(LocalStore(tmp_path / "expected")) as store:
        return values(store)


@contextmanager
def failing(name: str) -> Iterator[None]:
    """Let every database file fail to open in this way."""
    connect = sqlite3.connect

    def refuse(path: object, **more: object) -> sqlite3.Connection:
        if path == ":memory:":
            return connect(":memory:", **more)  # type: ignore[call-overload,no-any-return] # as given
        error = sqlite3.OperationalError("no")
        error.sqlite_errorname = name
        raise error

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sqlite3, "connect", refuse)
        yield


@contextmanager
def full_disk() -> Iterator[None]:
    """Let no file of this process become larger than it is."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))


@pytest.mark.parametrize(
    "name",
    [
        "SQLITE_CANTOPEN",
        "SQLITE_CANTOPEN_ISDIR",
        "SQLITE_READONLY",
        "SQLITE_READONLY_CANTINIT",
        "SQLITE_READONLY_DIRECTORY",
        "SQLITE_FULL",
        "SQLITE_IOERR_WRITE",
        "SQLITE_IOERR_SHMSIZE",
    ],
)
def test_it_reads_where_sqlite_can_not_open_it(home: Path, tmp_path: Path, name: str) -> None:
    """All that was committed, also what the log alone holds; a change is refused as before."""
    right = expected(home, tmp_path)
    before = {p.name: p.read_bytes() for p in home.iterdir()}
    with closing(LocalStore(home)) as store, failing(name):
        assert values(store) == right
        assert [key.id for key in store.scan()] == ["k"]
        with pytest.raises(StoreUnavailable, match=f"can't be used \\({name}\\)") as refused:
            rotate(store)
        assert "free space" in str(refused.value)
    assert {p.name: p.read_bytes() for p in home.iterdir()} == before


def test_it_reads_on_a_full_disk(home: Path, tmp_path: Path) -> None:
    """Not even SQLite's index beside the file can be made."""
    right = expected(home, tmp_path)
    with closing(LocalStore(home)) as store:
        with full_disk():
            seen = values(store)
            try:
                rotate(store)
            except DaenaKMSError as error:
                refused: DaenaKMSError | None = error
            else:
                refused = None
        assert seen == right
        assert isinstance(refused, StoreUnavailable)
        rotate(store)  # there is room again
        assert len(store.describe("k").versions) == 3


def test_an_open_store_reads_on_when_the_disk_fills(home: Path) -> None:
    """A rotation that did not fit has changed nothing."""
    with closing(LocalStore(home)) as store:
        right = values(store)
        with full_disk():
            try:
                rotate(store)
            except DaenaKMSError as error:
                refused: DaenaKMSError | None = error
            else:
                refused = None
            seen = values(store)
        assert isinstance(refused, StoreUnavailable)
        assert seen == right
        assert store.describe("k").current is not None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody who can't write")
@pytest.mark.parametrize("clean", [True, False])
def test_it_reads_what_it_may_not_write(clean: bool) -> None:
    """A user who may only read root's store reads it, closed or left by a crash."""
    key = base64.b64encode(secrets.token_bytes(32)).decode()
    folder = Path(tempfile.mkdtemp(prefix="daena-"))
    try:
        folder.chmod(0o755)
        source = folder / "source"
        with closing(LocalStore(source, key)) as store:
            store.create("k", secrets.token_urlsafe(), TAGS, NOW)
            rotate(store)
            right = values(store)
            if not clean:
                shutil.copytree(source, folder / "home")
        if clean:
            shutil.copytree(source, folder / "home")
        home = folder / "home"
        (home / "keys.db-shm").unlink(missing_ok=True)
        for path in (home, *home.iterdir()):
            path.chmod(0o755 if path == home else 0o644)
        child = os.fork()
        if child == 0:  # pragma: no cover - its coverage is not collected
            os.setuid(65_534)
            with closing(LocalStore(home, key)) as store:
                same = values(store) == right and len(list(store.scan())) == 1
                try:
                    rotate(store)
                except DaenaKMSError:
                    posix._exit(0 if same else 1)
            posix._exit(2)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 0
    finally:
        shutil.rmtree(folder)


def test_a_copy_is_made_again_when_the_files_change(home: Path) -> None:
    """And only then: a thousand reads copy them once."""
    with closing(LocalStore(home)) as reader, closing(LocalStore(home)) as writer:
        with failing("SQLITE_READONLY"):
            assert len(reader.describe("k").versions) == 2
            first = reader._db._copy
            assert len(reader.describe("k").versions) == 2
            assert reader._db._copy is first
        rotate(writer)
        with failing("SQLITE_READONLY"):
            assert len(reader.describe("k").versions) == 3


def test_an_altered_file_is_noticed_in_a_copy_as_well(home: Path) -> None:
    """A key whose rows are wrong is refused wherever they are read."""
    alter(home, "UPDATE keys SET tags = '{}'")
    with (
        closing(LocalStore(home)) as store,
        failing("SQLITE_READONLY"),
        pytest.raises(DaenaKMSError, match="the file was altered"),
    ):
        store.read("k")


def test_files_that_do_not_rest_are_said(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then no copy is made of two moments: the error is that of the file."""
    times = iter(range(100))
    monkeypatch.setattr(snapshot, "stamp", lambda _: next(times))
    with (
        closing(LocalStore(home)) as store,
        failing("SQLITE_READONLY"),
        pytest.raises(StoreUnavailable, match="SQLITE_READONLY"),
    ):
        store.read("k")


def dump(image: bytes) -> list[str]:
    """Return what a database holds."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.deserialize(image)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return list(connection.iterdump())


@pytest.mark.parametrize("page", [512, 65_536])
def test_a_snapshot_is_what_sqlite_reads(tmp_path: Path, page: int) -> None:
    """After growth, deletion, a checkpoint in between, a new round of the log, and no commit."""
    path = tmp_path / "keys.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA page_size = {page}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE t (a, b)")
        for step in range(6):
            lines = [(n, secrets.token_bytes(300)) for n in range(12)]
            connection.executemany("INSERT INTO t VALUES (?, ?)", lines)
            if step == 2:
                connection.execute("PRAGMA wal_checkpoint(RESTART)")
            if step == 4:
                connection.execute("DELETE FROM t WHERE a % 3 = 0")
                connection.execute("PRAGMA incremental_vacuum")
            assert dump(snapshot.read_snapshot(path)) == list(connection.iterdump())
        connection.execute("BEGIN")
        connection.execute("DELETE FROM t")
        assert len(dump(snapshot.read_snapshot(path))) > 50
        connection.execute("ROLLBACK")
    assert dump(snapshot.read_snapshot(path))  # closed: there is no log


@given(st.data())
def test_a_log_that_was_cut_or_changed_is_read_as_far_as_it_is_whole(data: st.DataObject) -> None:
    """A torn last transaction is as if it had not begun, and nothing raises."""
    log = _log()
    cut = data.draw(st.integers(0, len(log)))
    flip = data.draw(st.integers(0, len(log) - 1))
    changed = bytearray(log[:cut])
    if flip < cut:
        changed[flip] ^= 0xFF
    rows = dump(snapshot._legacy(snapshot._overlaid(_base(), bytes(changed))))
    inserted = sum(line.startswith("INSERT") for line in rows)
    assert 1 <= inserted <= 4


def _files() -> tuple[bytes, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "keys.db"
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("PRAGMA page_size = 512")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("CREATE TABLE t (a)")
            connection.execute("INSERT INTO t VALUES ('first')")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            for n in range(3):
                connection.execute("INSERT INTO t VALUES (?)", (str(n) * 200,))
            return path.read_bytes(), path.with_name("keys.db-wal").read_bytes()


_FILES = _files()


def _base() -> bytes:
    return _FILES[0]


def _log() -> bytes:
    return _FILES[1]
