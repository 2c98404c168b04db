"""The local store's folder and files: who may write there, and what is missing or exchanged."""

import base64
import os
import posix  # os._exit is wrapped where coverage is measured, and must not be
import secrets
import shutil
import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from daena_kms.errors import AccessDenied, ConfigError, DaenaKMSError, StoreUnavailable
from daena_kms.rules.policy import MANAGED
from daena_kms.stores.local.snapshot import read_snapshot
from daena_kms.stores.local.store import LocalStore

from tests.unit.keys import NOW
from tests.unit.local_keys import column, fingerprint

TAGS = {MANAGED: "true"}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The folder of a closed store that holds one key."""
    folder = tmp_path / "home"
    with closing(LocalStore(folder)) as store:
        store.create("k", secrets.token_urlsafe(), TAGS, NOW)
    return folder


def rotate(store: LocalStore, key_id: str = "k") -> None:
    """Make a new version of a key."""
    key = store.describe(key_id)
    store.promote(key, store.stage(key, secrets.token_urlsafe(), NOW), NOW)


def refused(home: Path, words: str) -> ConfigError:
    """Open the store, which must be refused, for reads as for changes, and return the error."""
    with closing(LocalStore(home)) as store:
        with pytest.raises(ConfigError, match=words) as error:
            store.read("k")
        with pytest.raises(ConfigError, match=words):
            store.create("new", secrets.token_urlsafe(), TAGS, NOW)
    return error.value


@pytest.mark.parametrize("name", ["", "keys.db", "keys.id"])
@pytest.mark.parametrize("others", [0o020, 0o002, 0o022])
def test_what_others_may_write_is_refused(home: Path, name: str, others: int) -> None:
    """The folder, the database and the note about it; the error has the command that mends it."""
    path = home / name
    path.chmod(stat.S_IMODE(path.stat().st_mode) | others)
    error = refused(home, "others may write to")
    assert error.todo == f"Run: chmod go-w {path}"
    path.chmod(stat.S_IMODE(path.stat().st_mode) & ~0o022)
    with closing(LocalStore(home)) as store:
        assert store.read("k")


def test_a_sticky_folder_is_no_home(home: Path) -> None:
    """Others can't replace files in it, but they can add one that SQLite takes for its log."""
    home.chmod(0o1777)
    error = str(refused(home, "others may write to"))
    assert "Set DAENA_KMS_HOME to a folder of your own in it" in error
    assert "chmod" not in error


@pytest.mark.parametrize("deep", [1, 2])
@pytest.mark.parametrize("sticky", [False, True])
def test_a_folder_above_that_everybody_may_write(home: Path, deep: int, sticky: bool) -> None:
    """Everybody could exchange the whole folder, unless the sticky bit forbids it."""
    inner = home.parent / "one" / "two" / "home"
    inner.parent.mkdir(parents=True)
    home.rename(inner)
    above = inner.parents[deep - 1]
    above.chmod(0o1777 if sticky else 0o777)
    if sticky:
        with closing(LocalStore(inner)) as store:
            assert store.read("k")
        return
    error = refused(inner, "everybody may write to")
    assert error.todo == f"Run: chmod o-w {above}"


def test_links_lead_to_what_is_checked(home: Path, tmp_path: Path) -> None:
    """A linked folder, database and master key work, and their targets are what must be safe."""
    real = tmp_path / "real"
    real.mkdir(mode=0o700)
    for name in ("keys.db", "master.key"):
        (home / name).rename(real / name)
        (home / name).symlink_to(real / name)
    link = tmp_path / "link"
    link.symlink_to(home)
    with closing(LocalStore(link)) as store:
        rotate(store)
        assert len(store.describe("k").versions) == 2
    (real / "keys.db").chmod(0o666)
    assert "chmod go-w" in str(refused(link, "others may write to"))
    (real / "keys.db").chmod(0o600)
    (real / "master.key").chmod(0o644)
    assert "chmod 600" in str(refused(link, "is readable by others"))


@pytest.mark.parametrize("name", ["", "keys.db", "master.key", "keys.id"])
def test_what_belongs_to_another_user_is_refused(
    home: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Root's files are as safe as the machine; anybody else's are not."""
    theirs = (home / name).stat()
    real_fstat, real_stat = os.fstat, Path.stat

    def other(seen: os.stat_result) -> os.stat_result:
        if seen.st_ino != theirs.st_ino:
            return seen
        return os.stat_result([*seen[:4], 4711, *seen[5:10]])

    monkeypatch.setattr(os, "fstat", lambda fd: other(real_fstat(fd)))
    monkeypatch.setattr(Path, "stat", lambda path, **more: other(real_stat(path, **more)))
    error = refused(home, r"belongs to another user \(uid 4711\)")
    assert f"chown {os.geteuid()} {home / name}" in str(error)


@pytest.mark.parametrize("kind", ["pipe", "device", "socket", "folder", "large"])
@pytest.mark.parametrize("name", ["master.key", "keys.id"])
def test_what_is_no_file_is_refused_at_once(home: Path, kind: str, name: str) -> None:
    """Nothing is waited for, and no endless device is read."""
    path = home / name
    path.unlink()
    match kind:
        case "pipe":
            os.mkfifo(path, 0o600)
        case "device":
            path.symlink_to("/dev/zero")
        case "socket":
            import socket

            with socket.socket(socket.AF_UNIX) as bound:
                here = Path.cwd()
                os.chdir(home)  # the whole path is too long for a socket
                try:
                    bound.bind(name)
                finally:
                    os.chdir(here)
            path.chmod(0o600)
        case "folder":
            path.mkdir(mode=0o700)
        case _:
            path.write_bytes(b"x" * 100_000)
            path.chmod(0o600)
    with closing(LocalStore(home)) as store, pytest.raises((ConfigError, AccessDenied)) as error:
        store.read("k")
    assert str(home) in str(error.value)
    if kind == "folder":
        assert f"{path} is not a regular file" in str(error.value)


@pytest.mark.parametrize("name", ["keys.db", "keys.db-wal"])
@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_no_copy_is_made_of_what_is_no_file(
    tmp_path: Path, make: Callable[[Path], None], name: str
) -> None:
    """A pipe would never end."""
    if name != "keys.db":
        (tmp_path / "keys.db").touch()
    make(tmp_path / name)
    with pytest.raises(OSError, match="it is no file"):
        read_snapshot(tmp_path / "keys.db")


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_a_database_that_is_no_file_is_refused_at_once(home: Path, kind: str) -> None:
    """As with any other file that can't be used."""
    (home / "keys.db").unlink()
    if kind == "pipe":
        os.mkfifo(home / "keys.db", 0o600)
    else:
        (home / "keys.db").symlink_to("/dev/zero")
    with closing(LocalStore(home)) as store, pytest.raises(StoreUnavailable, match="no file"):
        store.read("k")


@pytest.mark.parametrize("mask", [0o000, 0o002, 0o022, 0o077])
def test_what_it_makes_is_the_owner_s_whatever_the_mask(tmp_path: Path, mask: int) -> None:
    """Folder, database, its log and its index, master key and note."""
    before = os.umask(mask)
    try:
        with closing(LocalStore(tmp_path / "home")) as store:
            store.create("k", secrets.token_urlsafe(), TAGS, NOW)
            modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in (tmp_path / "home").iterdir()}
    finally:
        os.umask(before)
    assert modes == dict.fromkeys(
        ("keys.db", "keys.db-shm", "keys.db-wal", "keys.id", "master.key"), 0o600
    )
    assert stat.S_IMODE((tmp_path / "home").stat().st_mode) == 0o700


@pytest.mark.parametrize("given", [False, True], ids=["master.key", "in the environment"])
@pytest.mark.parametrize("what", ["gone", "empty", "without tables", "another store's"])
def test_a_lost_database_is_not_made_anew(tmp_path: Path, what: str, given: bool) -> None:
    """The folder says that there was a store; nothing is written until somebody decides."""
    home = tmp_path / "home"
    key = base64.b64encode(secrets.token_bytes(32)).decode() if given else None
    with closing(LocalStore(home, key)) as store:
        store.create("k", secrets.token_urlsafe(), TAGS, NOW)
    path = home / "keys.db"
    path.unlink()
    match what:
        case "empty":
            path.touch(0o600)
        case "without tables":
            with closing(sqlite3.connect(path)) as connection:
                connection.execute("PRAGMA journal_mode = WAL")
        case "another store's":
            (home / "keys.id").rename(tmp_path / "keys.id")
            LocalStore(home, key).create("other", secrets.token_urlsafe(), TAGS, NOW)
            (tmp_path / "keys.id").replace(home / "keys.id")
    before = path.read_bytes() if path.exists() else None
    with closing(LocalStore(home, key)) as store:
        for call in (
            lambda: store.read("k"),
            lambda: list(store.scan()),
            lambda: store.create("new", secrets.token_urlsafe(), TAGS, NOW),
        ):
            with pytest.raises(ConfigError, match=r"keys\.id says it was there") as error:
                call()
            assert f"remove {home / 'keys.id'}" in str(error.value)
    assert (path.read_bytes() if path.exists() else None) == before
    (home / "keys.id").unlink()
    if what != "another store's":
        with closing(LocalStore(home, key)) as store:
            assert list(store.scan()) == []


def test_a_store_of_an_older_version_gets_its_note(home: Path) -> None:
    """As soon as it is opened in a folder that can be written."""
    (home / "keys.id").unlink()
    with closing(LocalStore(home)) as store:
        assert store.read("k")
    assert len((home / "keys.id").read_text()) == 33


@pytest.fixture
def store(home: Path) -> Iterator[LocalStore]:
    """The store, open and used."""
    with closing(LocalStore(home)) as opened:
        assert opened.read("k")
        yield opened


@pytest.mark.parametrize("name", ["keys.db", "keys.db-wal"])
def test_a_file_that_is_deleted_under_an_open_store_takes_no_rotation(
    home: Path, store: LocalStore, name: str
) -> None:
    """A rotation that nobody would find again is not acknowledged."""
    (home / name).unlink()
    if name == "keys.db":
        with pytest.raises(ConfigError, match="is missing"):
            rotate(store)
        assert not (home / "keys.db").exists()
        return
    rotate(store)  # the store has opened the files anew
    store.close()
    with closing(LocalStore(home)) as again:
        assert len(again.describe("k").versions) == 2


def test_a_database_that_is_deleted_in_the_middle_of_a_change(
    home: Path, store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commit went into a file without a name: the result is unknown."""
    key = store.describe("k")
    seal = store._db.seal

    def delete(value: str, name: str) -> bytes:
        monkeypatch.undo()
        monkeypatch.setattr(store._db, "_prove", prove)
        return seal(value, name)

    real = store._db._prove

    def prove(*given: object) -> int:
        (home / "keys.db").unlink()
        return real(*given)  # type: ignore[arg-type] # what it was given

    monkeypatch.setattr(store._db, "seal", delete)
    with pytest.raises(StoreUnavailable, match="was deleted or replaced while it was written"):
        store.promote(key, store.stage(key, secrets.token_urlsafe(), NOW), NOW)
    with pytest.raises(ConfigError, match="is missing"):
        store.read("k")


def test_a_database_that_is_replaced_by_its_own_copy_goes_on(
    home: Path, store: LocalStore, tmp_path: Path
) -> None:
    """The new file is opened, and what is acknowledged then stands in it."""
    copy = tmp_path / "copy"
    with closing(sqlite3.connect(home / "keys.db")) as connection:
        connection.execute("VACUUM INTO ?", (str(copy),))
    copy.chmod(0o600)
    copy.replace(home / "keys.db")
    (home / "keys.db-wal").unlink()
    first = fingerprint(store.read("k"))
    rotate(store)
    store.close()
    with closing(LocalStore(home)) as again:
        previous = again.describe("k").previous
        assert previous is not None
        assert fingerprint(again.read("k", previous.id)) == first


def test_a_stale_connection_deletes_no_other_store_s_log(
    home: Path, store: LocalStore, tmp_path: Path
) -> None:
    """SQLite's last connection to a file deletes the log by its name, which is another's by now."""
    moved = tmp_path / "moved"
    home.rename(moved)
    shutil.copytree(moved, home)
    with closing(LocalStore(home)) as other:
        rotate(other)
        store.close()
        assert (home / "keys.db-wal").stat().st_size
        rotate(other)
    assert len(column(home, "SELECT id FROM versions")) == 3


def test_a_destroyed_value_that_somebody_still_reads(
    home: Path, store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stays retired until its copy in the log is gone; the next try completes it."""
    monkeypatch.setattr("daena_kms.stores.local.database._ERASE_SECONDS", 0.02)
    (sealed,) = column(home, "SELECT sealed FROM versions")
    rotate(store)
    old = store.describe("k").previous
    assert old is not None
    store.retire(store.describe("k"), old.id, NOW)
    with closing(sqlite3.connect(home / "keys.db", isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM versions").fetchall()
        for _ in range(2):
            with pytest.raises(StoreUnavailable, match="still in its log"):
                store.destroy(store.describe("k"), old.id, NOW)
            assert {v.id: v.state for v in store.describe("k").versions}[old.id] == "retired"
        there = any(sealed[-16:] in p.read_bytes() for p in home.iterdir())
    assert there
    store.destroy(store.describe("k"), old.id, NOW)
    assert {v.id: v.state for v in store.describe("k").versions}[old.id] == "destroyed"
    there = any(sealed[-16:] in p.read_bytes() for p in home.iterdir())
    assert not there


def test_a_child_process_opens_the_store_for_itself(store: LocalStore) -> None:
    """Also if another thread of its parent held the store's lock at that moment."""
    with store._db._lock:
        child = os.fork()
        if child == 0:  # pragma: no cover - its coverage is not collected
            right = 1
            with suppress(DaenaKMSError):
                store.close()
                rotate(store)
                right = 0
            posix._exit(right)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert len(store.describe("k").versions) == 2
