"""A local store of an older form is brought to the newest, once, and nothing is proved unseen."""

import secrets
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from daena_kms.errors import ConfigError, DaenaKMSError
from daena_kms.rules.policy import MANAGED
from daena_kms.stores.local import database, rows, schema, upgrade
from daena_kms.stores.local.store import LocalStore

from tests.unit.keys import NOW
from tests.unit.local_keys import alter, column, fingerprint, make_old

TAGS = {MANAGED: "true"}


def rotate(store: LocalStore, key_id: str) -> None:
    """Make a new version of a key."""
    key = store.describe(key_id)
    store.promote(key, store.stage(key, secrets.token_urlsafe(), NOW), NOW)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The folder of a closed store that holds two keys."""
    folder = tmp_path / "home"
    with closing(LocalStore(folder)) as store:
        for key_id in ("a", "k"):
            store.create(key_id, secrets.token_urlsafe(), TAGS, NOW)
            rotate(store, key_id)
    return folder


def test_an_old_store_is_proved_once(home: Path) -> None:
    """Its keys, versions and values are the same, and from then on a change is noticed."""
    with closing(LocalStore(home)) as store:
        before = [(key, fingerprint(store.read(key.id))) for key in store.scan()]
    make_old(home)
    with closing(LocalStore(home)) as store:
        assert [(key, fingerprint(store.read(key.id))) for key in store.scan()] == before
        rotate(store, "k")
        assert store.generation() == 3
    alter(home, "UPDATE keys SET tags = '{}' WHERE id = 'k'")
    with closing(LocalStore(home)) as store, pytest.raises(ConfigError, match="was altered"):
        store.read("k")


def test_an_old_store_with_a_malformed_row_keeps_the_others(home: Path) -> None:
    """One row of nonsense stops its key alone."""
    make_old(home)
    alter(home, "UPDATE keys SET tags = '{' WHERE id = 'a'")
    with closing(LocalStore(home)) as store:
        assert [(key.id, key.trouble is not None) for key in store.scan()] == [
            ("a", True),
            ("k", False),
        ]
        rotate(store, "k")


def test_an_old_store_is_not_proved_with_another_key(home: Path) -> None:
    """A wrong master key changes nothing."""
    make_old(home)
    with closing(sqlite3.connect(home / "keys.db")) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    before = (home / "keys.db").read_bytes()
    (home / "master.key").write_text("A" * 43 + "=")
    with closing(LocalStore(home)) as store, pytest.raises(ConfigError, match="the master key"):
        store.read("k")
    assert (home / "keys.db").read_bytes() == before


def test_an_old_copy_does_not_pass_where_a_proved_store_was(home: Path, tmp_path: Path) -> None:
    """The note in the folder says that there was one."""
    aged = tmp_path / "aged"
    shutil.copytree(home, aged)
    make_old(aged)
    shutil.copy(aged / "keys.db", home / "keys.db")
    with closing(LocalStore(home)) as store, pytest.raises(ConfigError, match=r"keys\.id says"):
        store.read("k")


def test_a_store_of_a_newer_version_is_left_alone(home: Path) -> None:
    """Nobody knows what its rows mean."""
    alter(home, f"PRAGMA user_version = {schema.SCHEMA + 1}")
    with closing(LocalStore(home)) as store, pytest.raises(ConfigError, match="newer version"):
        store.read("k")


def further_step(patch: pytest.MonkeyPatch) -> int:
    """Add a column to the form of the database, as a later version would: a step and a line."""
    steps = (*schema.STEPS, ("ALTER TABLE versions ADD COLUMN later TEXT",))
    newest = len(steps)
    patch.setattr(schema, "STEPS", steps)
    for module in (schema, database, upgrade):
        patch.setattr(module, "SCHEMA", newest)
    patch.setattr(rows, "VERSION_FIELDS", {**rows.VERSION_FIELDS, "later": newest})
    schema._newest.cache_clear()
    return newest


def test_a_further_column_is_one_step_and_one_line(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every key is proved anew with it, and what was wrong before stays wrong."""
    alter(home, "UPDATE keys SET tags = '{}' WHERE id = 'a'")
    with monkeypatch.context() as patch:
        newest = further_step(patch)
        with closing(LocalStore(home)) as store:
            assert column(home, "PRAGMA user_version") != [newest]
            assert store.read("k")
            assert column(home, "PRAGMA user_version") == [newest]
            rotate(store, "k")
            with pytest.raises(ConfigError, match="was altered"):
                store.read("a")
        alter(home, "UPDATE keys SET tags = ? WHERE id = 'a'", '{"daena.managed": "true"}')
        with closing(LocalStore(home)) as store:
            with pytest.raises(ConfigError, match="was altered"):
                store.read("a")  # proved in the older form alone
            assert store.read("k")
        alter(home, "UPDATE versions SET later = 'x' WHERE key_id = 'k'")
        with closing(LocalStore(home)) as store, pytest.raises(DaenaKMSError):
            store.read("k")
    schema._newest.cache_clear()
    with closing(LocalStore(home)) as store, pytest.raises(ConfigError, match="newer version"):
        store.read("k")


def test_an_upgrade_does_not_hide_a_key_that_was_put_back(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sum of all keys was wrong before, and is wrong after."""
    alter(home, "DELETE FROM versions WHERE key_id = 'a'")
    alter(home, "DELETE FROM keys WHERE id = 'a'")
    with monkeypatch.context() as patch:
        further_step(patch)
        with closing(LocalStore(home)) as store, pytest.raises(ConfigError, match="put back"):
            store.read("k")
    schema._newest.cache_clear()
