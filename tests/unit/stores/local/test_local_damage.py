"""A local store whose file was altered, damaged or locked: what each error says."""

import base64
import secrets
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from daena_kms.errors import (
    ConfigError,
    DaenaKMSError,
    StoreUnavailable,
)
from daena_kms.rules.policy import MANAGED
from daena_kms.stores.local.store import LocalStore

from tests.unit.keys import NOW
from tests.unit.local_keys import alter, column, fingerprint

TAGS = {MANAGED: "true"}
ALTERED = "the file was altered"
READS: dict[str, Callable[[LocalStore], object]] = {
    "read": lambda store: store.read("k"),
    "describe": lambda store: store.describe("k"),
    "scan": lambda store: list(store.scan()),
    "create": lambda store: store.create("new", secrets.token_urlsafe(), TAGS, NOW),
}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The folder of a closed store that holds one key."""
    folder = tmp_path / "home"
    store = LocalStore(folder)
    store.create("k", secrets.token_urlsafe(), TAGS, NOW)
    store.close()
    return folder


@pytest.mark.parametrize("part", [bytes(40), bytes(12), b"x", b"", None, "text", 7])
def test_an_altered_value_is_a_clear_error(home: Path, part: object) -> None:
    """Whatever stands where a sealed value stood, the error says so, and never a raw one."""
    alter(home, "UPDATE versions SET sealed = ?", part)
    with closing(LocalStore(home)) as store, pytest.raises(ConfigError, match=ALTERED) as refused:
        store.read("k")
    assert str(home / "keys.db") in refused.value.what
    assert refused.value.todo == "Restore the file from a backup"


@pytest.mark.parametrize("bit", [0, 11, 12, 30, -1])
def test_one_changed_byte_is_noticed(home: Path, bit: int) -> None:
    """Nonce, text and tag are each protected."""
    (sealed,) = column(home, "SELECT sealed FROM versions")
    changed = bytearray(sealed)
    changed[bit] ^= 1
    alter(home, "UPDATE versions SET sealed = ?", bytes(changed))
    with closing(LocalStore(home)) as store, pytest.raises(ConfigError, match=ALTERED):
        store.read("k")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE keys SET tags = '{'",
        "UPDATE keys SET tags = '[]'",
        "UPDATE keys SET tags = '{\"daena.managed\": 7}'",
        "UPDATE keys SET tags = cast(x'ff41' AS TEXT)",
        "UPDATE versions SET state = 'bogus'",
        "UPDATE versions SET created = 'yesterday'",
        "UPDATE meta SET value = x''",
        "UPDATE meta SET value = 'text'",
    ],
)
@pytest.mark.parametrize("name", ["describe", "scan"])
def test_an_altered_row_is_a_clear_error(home: Path, statement: str, name: str) -> None:
    """A row that no store wrote is an error of ours that names the file."""
    alter(home, statement)
    with closing(LocalStore(home)) as store, pytest.raises(DaenaKMSError) as refused:
        READS[name](store)
    assert isinstance(refused.value, ConfigError)
    assert str(home) in str(refused.value)


@pytest.mark.parametrize("content", [b"no database " * 400, b"SQLite format 3\0" + b"\xff" * 4080])
@pytest.mark.parametrize("name", READS)
def test_a_damaged_database_is_a_clear_error(home: Path, content: bytes, name: str) -> None:
    """Every method says which file is damaged and what to do, and leaves it as it is."""
    (home / "keys.db").write_bytes(content)
    with closing(LocalStore(home)) as store, pytest.raises(ConfigError) as refused:
        READS[name](store)
    assert refused.value.what.startswith(f"the local store {home / 'keys.db'} is damaged")
    assert refused.value.todo == "Restore the file from a backup"
    kept = (home / "keys.db").read_bytes() == content
    assert kept


@pytest.mark.parametrize("name", READS)
def test_a_page_of_nonsense_never_raises_a_raw_error(home: Path, name: str) -> None:
    """With each page of the database overwritten in turn, a method works or says what is wrong."""
    whole = (home / "keys.db").read_bytes()
    refused = 0
    for start in range(0, len(whole), 4096):
        (home / "keys.db").write_bytes(whole[:start] + b"\xa5" * 4096 + whole[start + 4096 :])
        with closing(LocalStore(home)) as store:
            try:
                READS[name](store)
            except DaenaKMSError:
                refused += 1
    assert refused


@pytest.mark.parametrize("name", READS)
def test_a_file_that_can_not_be_opened_is_a_clear_error(tmp_path: Path, name: str) -> None:
    """A folder in the place of the database is an error of ours from every method."""
    (tmp_path / "keys.db").mkdir()
    master_key = base64.b64encode(secrets.token_bytes(32)).decode()
    with (
        closing(LocalStore(tmp_path, master_key)) as store,
        pytest.raises(StoreUnavailable) as refused,
    ):
        READS[name](store)
    assert refused.value.what.startswith(f"the local store {tmp_path / 'keys.db'} can't be used")
    assert refused.value.todo == "Check the folder's permissions and the free space"


def test_a_locked_database_is_worth_another_try(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While another process writes, reads go on, writes fail in time, and later they succeed."""
    monkeypatch.setattr("daena_kms.stores.local.database._BUSY_SECONDS", 0.05)
    with closing(LocalStore(home)) as store:
        first = fingerprint(store.read("k"))
        with closing(sqlite3.connect(home / "keys.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreUnavailable) as refused:
                store.tag(store.describe("k"), {"daena.hold": "true"})
            assert refused.value.what == (
                f"the local store {home / 'keys.db'} is locked by another process"
            )
            assert refused.value.todo == "Try again"
            assert fingerprint(store.read("k")) == first
            other.execute("ROLLBACK")
        store.tag(store.describe("k"), {"daena.hold": "true"})
        assert store.describe("k").tags == {**TAGS, "daena.hold": "true"}
