"""Somebody who can write the local store's file, and has no master key, is noticed."""

import secrets
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from daena_kms.errors import ConfigError, DaenaKMSError
from daena_kms.rules.model import Key, VersionState
from daena_kms.rules.policy import MANAGED
from daena_kms.stores.local.rows import KEY_FIELDS, VERSION_FIELDS
from daena_kms.stores.local.store import LocalStore

from tests.unit.keys import DAY, NOW
from tests.unit.local_keys import alter, column

TAGS = {MANAGED: "true", "daena.rotate-after": "30d"}
ALTERED = r"keys\.db has a malformed row, or the file was altered"
WHOLE = "were added, removed or put back by others"


def rotate(store: LocalStore, key_id: str) -> None:
    """Make a new version of a key."""
    key = store.describe(key_id)
    store.promote(key, store.stage(key, secrets.token_urlsafe(), NOW), NOW)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The folder of a closed store of three keys; one has a retired and a previous version."""
    folder = tmp_path / "home"
    with closing(LocalStore(folder)) as store:
        for key_id in ("a", "k", "z"):
            store.create(key_id, secrets.token_urlsafe(), TAGS, NOW)
        for _ in range(2):
            rotate(store, "k")
        versions = store.describe("k").versions
        older = next(v.id for v in versions if v.state is VersionState.PREVIOUS)
        store.retire(store.describe("k"), older, NOW + DAY)
        assert VersionState.RETIRED in {v.state for v in store.describe("k").versions}
    return folder


@pytest.fixture
def store(home: Path) -> Iterator[LocalStore]:
    """The store, open and used once, so that it has checked everything already."""
    with closing(LocalStore(home)) as opened:
        assert [key.id for key in opened.scan()] == ["a", "k", "z"]
        yield opened


#: A change of each column that is authenticated, and of the proof itself.
CHANGES = [
    *(
        "UPDATE keys SET NAME = ? WHERE id = 'k'".replace("NAME", name)
        for name in (*KEY_FIELDS, "proof")
    ),
    *(
        "UPDATE versions SET NAME = ? WHERE key_id = 'k' AND state = 'previous'".replace(
            "NAME", name
        )
        for name in VERSION_FIELDS
        if name != "erased"
    ),
]


@pytest.mark.parametrize("statement", CHANGES)
@pytest.mark.parametrize("value", ["retired", 7, b"\xff\x00", None])
def test_a_changed_column_is_an_error_of_its_key_alone(
    home: Path, store: LocalStore, statement: str, value: object
) -> None:
    """Whatever stands in it now. The key is named, and the others are read and changed."""
    before = rows_of(home, "k")
    with suppress(sqlite3.IntegrityError):
        alter(home, statement, value)
    if rows_of(home, "k") == before:  # the column holds this value anyway, or can't hold it
        assert store.read("k")
        return
    with pytest.raises(ConfigError, match=ALTERED) as refused:
        store.describe("k")
    assert refused.value.key_id == "k"
    assert refused.value.todo == "Restore the file from a backup"
    for call in (
        lambda: store.read("k"),
        lambda: store.tag(Key("k", {}, ()), {"daena.hold": "true"}),
        lambda: rotate(store, "k"),
    ):
        with pytest.raises(ConfigError, match=ALTERED):
            call()
    shown = {key.id: key for key in store.scan()}
    assert shown.keys() == {"a", "k", "z"}
    assert "the file was altered" in (shown["k"].trouble or "")
    assert shown["k"].versions == ()
    assert store.read("a")
    rotate(store, "z")
    with closing(LocalStore(home)) as again:
        assert len(again.describe("z").versions) == 2


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE versions SET sealed = NULL WHERE key_id = 'k' AND state = 'current'",
        "DELETE FROM versions WHERE key_id = 'k' AND state = 'previous'",
        "DELETE FROM versions WHERE key_id = 'k'",
        "UPDATE keys SET deleted = '2026-01-01T00:00:00.000000+00:00' WHERE id = 'k'",
        "INSERT INTO versions (key_id, id, base, state, created) VALUES ('k', 1, 2, 3, 4)",
        "UPDATE versions SET state = 'previous', retired = NULL WHERE state = 'retired'",
    ],
    ids=["erase", "a version", "all versions", "hide", "add", "unretire"],
)
def test_a_key_whose_versions_changed_is_named(
    home: Path, store: LocalStore, statement: str
) -> None:
    """Also a key that somebody marked as deleted is listed, as one that fails."""
    alter(home, statement)
    with pytest.raises(ConfigError, match=ALTERED):
        store.describe("k")
    assert [key.id for key in store.scan() if key.trouble] == ["k"]


def test_a_value_of_another_place_does_not_open(home: Path, store: LocalStore) -> None:
    """Each value is bound to its key and its version."""
    alter(
        home,
        "UPDATE versions SET sealed = (SELECT sealed FROM versions WHERE key_id = 'a')"
        " WHERE key_id = 'z'",
    )
    with pytest.raises(ConfigError, match="the file was altered"):
        store.read("z")


type Copied = list[list[tuple[object, ...]]]


def rows_of(home: Path, key_id: str) -> Copied:
    """Return all rows of a key, as somebody copies them."""
    with closing(sqlite3.connect(home / "keys.db")) as connection:
        key = connection.execute("SELECT * FROM keys WHERE id = ?", (key_id,)).fetchall()
        versions = connection.execute("SELECT * FROM versions WHERE key_id = ?", (key_id,))
        return [key, versions.fetchall()]


def put_back(home: Path, key_id: str, rows: Copied) -> None:
    """Replace a key's rows by older ones of its own, which are all right in themselves."""
    alter(home, "DELETE FROM versions WHERE key_id = ?", key_id)
    alter(home, "DELETE FROM keys WHERE id = ?", key_id)
    for table, lines in zip(("keys", "versions"), rows, strict=True):
        for line in lines:
            marks = ", ".join("?" * len(line))
            insert = "INSERT INTO TABLE_ VALUES (MARKS)".replace("TABLE_", table)
            alter(home, insert.replace("MARKS", marks), *line)


@pytest.mark.parametrize("broken", [False, True])
def test_a_key_that_is_put_back_is_noticed(home: Path, store: LocalStore, broken: bool) -> None:
    """Its rows are right, but not of now. A key that is altered besides does not hide it."""
    old = rows_of(home, "k")
    rotate(store, "k")
    put_back(home, "k", old)
    if broken:
        (proof,) = column(home, "SELECT proof FROM keys WHERE id = 'z'")
        alter(home, "UPDATE keys SET proof = x'00' WHERE id = 'z'")
        with pytest.raises(ConfigError, match=ALTERED):
            store.describe("z")
        rotate(store, "a")  # must not make the sum right
        alter(home, "UPDATE keys SET proof = ? WHERE id = 'z'", proof)
    for call in (lambda: store.read("a"), lambda: list(store.scan()), lambda: rotate(store, "z")):
        with pytest.raises(ConfigError, match=WHOLE):
            call()


def test_a_key_that_is_removed_or_copied_is_noticed(home: Path, store: LocalStore) -> None:
    """Neither a whole key less nor one more, under another name, passes."""
    rows = rows_of(home, "z")
    put_back(home, "z", [[], []])
    with pytest.raises(ConfigError, match=WHOLE):
        store.read("a")
    put_back(home, "z", rows)
    assert store.read("a")
    alter(home, "INSERT INTO keys SELECT 'copy', tags, current, deleted, proof FROM keys LIMIT 1")
    assert [key.id for key in store.scan() if key.trouble] == ["copy"]
    with pytest.raises(ConfigError, match=ALTERED):
        store.create("copy", secrets.token_urlsafe(), TAGS, NOW)


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM meta WHERE name = 'root'",
        "UPDATE meta SET value = x'00' WHERE name = 'root'",
        "UPDATE meta SET value = (SELECT value FROM meta WHERE name = 'probe')",
        "DELETE FROM meta",
        "PRAGMA user_version = 0",
        "PRAGMA user_version = 1",
    ],
)
def test_the_seal_of_the_whole_can_not_be_removed(home: Path, statement: str) -> None:
    """Nor can the file be made to look as one that an older version wrote."""
    alter(home, statement)
    with closing(LocalStore(home)) as store:
        for call in (lambda: store.read("a"), lambda: rotate(store, "a")):
            with pytest.raises(DaenaKMSError) as refused:
                call()
            assert str(home / "keys.db") in str(refused.value)


def test_an_old_form_is_not_taken_where_a_newer_one_was(home: Path) -> None:
    """Without its proofs, a file is not upgraded again: that would prove whatever it holds."""
    (home / "keys.id").unlink()
    alter(home, "UPDATE keys SET tags = '{}'")
    alter(home, "PRAGMA user_version = 0")
    with closing(LocalStore(home)) as store, pytest.raises(DaenaKMSError):
        store.read("a")
    assert column(home, "PRAGMA user_version") == [0]


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TRIGGER t AFTER UPDATE ON keys BEGIN UPDATE keys SET tags = '{}'; END",
        "CREATE VIEW v AS SELECT * FROM keys",
        "ALTER TABLE versions ADD COLUMN more TEXT DEFAULT 'x'",
        "CREATE UNIQUE INDEX i ON keys (lower(tags) || id)",
        "CREATE TABLE more (a)",
    ],
)
def test_nothing_is_written_past_what_others_built_in(
    home: Path, store: LocalStore, statement: str
) -> None:
    """A trigger would change rows inside our transaction, and we would prove them."""
    alter(home, statement)
    with pytest.raises(ConfigError, match="somebody else changed the tables"):
        rotate(store, "k")
    assert store.read("k")


def test_a_file_that_is_put_back_under_an_open_store_is_noticed(
    home: Path, store: LocalStore, tmp_path: Path
) -> None:
    """The process remembers the newest change that it saw."""
    kept = tmp_path / "kept.db"
    alter(home, "PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copy(home / "keys.db", kept)
    rotate(store, "k")
    (home / "keys.db-wal").unlink()
    kept.chmod(0o600)
    kept.replace(home / "keys.db")
    with pytest.raises(ConfigError, match="put back to an older state"):
        store.read("k")
