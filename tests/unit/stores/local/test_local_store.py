"""The local store: what is sealed, what is compared, and what is erased."""

import secrets
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from daena_kms.errors import (
    ConfigError,
    DaenaKMSError,
    KeyNotFound,
    RotationConflict,
)
from daena_kms.rules.model import VersionState
from daena_kms.rules.policy import MANAGED
from daena_kms.stores.local.store import LocalStore

from tests.unit.keys import DAY, HOUR, NOW, tagged, version
from tests.unit.local_keys import alter, column, fingerprint, local, rotate_at

TAGS = {MANAGED: "true"}
ALTERED = "the file was altered"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The folder of a closed store that holds one key."""
    folder = tmp_path / "home"
    store = LocalStore(folder)
    store.create("k", secrets.token_urlsafe(), TAGS, NOW)
    store.close()
    return folder


def files(home: Path) -> bytes:
    """Return the bytes of every file of the store but its master key."""
    return b"".join(p.read_bytes() for p in sorted(home.iterdir()) if p.name != "master.key")


def test_no_value_stands_in_the_files(tmp_path: Path) -> None:
    """Neither the database nor its log holds a value, and two of the same are sealed unlike."""
    value = secrets.token_urlsafe(40)
    with closing(LocalStore(tmp_path)) as store:
        for key_id in ("a", "b"):
            store.create(key_id, value, TAGS, NOW)
        written = files(tmp_path)
        nonces = {sealed[:12] for sealed in column(tmp_path, "SELECT sealed FROM versions")}
    assert len(nonces) == 2
    found = value.encode() in written or value.encode() in files(tmp_path)
    assert not found


def test_a_value_is_sealed_under_its_name(home: Path) -> None:
    """A sealed value moved to another key, or to another version, does not open."""
    with closing(LocalStore(home)) as store:
        store.create("other", secrets.token_urlsafe(), TAGS, NOW)
        alter(
            home,
            "UPDATE versions SET sealed = (SELECT sealed FROM versions WHERE key_id = 'other')"
            " WHERE key_id = 'k'",
        )
        with pytest.raises(ConfigError, match=ALTERED):
            store.read("k")
        assert store.read("other")


def test_an_error_inside_a_change_changes_nothing(home: Path) -> None:
    """A change is whole or not at all: one that is broken off leaves no trace, and no lock."""
    with closing(LocalStore(home)) as store:
        key = store.describe("k")
        alter(
            home, "CREATE TRIGGER broken BEFORE UPDATE ON keys BEGIN SELECT RAISE(ABORT, 'x'); END"
        )
        staged = store.stage(key, secrets.token_urlsafe(), NOW)
        with pytest.raises(DaenaKMSError):
            store.promote(key, staged, NOW)
        assert store.describe("k") == key
        alter(home, "DROP TRIGGER broken")
        assert store.promote(key, staged, NOW) == staged.version_id


@pytest.mark.parametrize(
    ("meanwhile", "error", "what"),
    [
        ("rotated", RotationConflict, "somebody else rotated it meanwhile"),
        ("tagged", RotationConflict, "somebody else changed its tags meanwhile"),
        ("deleted", KeyNotFound, "there is no such key"),
    ],
)
def test_a_look_that_is_out_of_date_promotes_nothing(
    home: Path, meanwhile: str, error: type[DaenaKMSError], what: str
) -> None:
    """Another rotation, another tag or a deletion since the look: nothing becomes current."""
    adapter = local(home)
    store = adapter.store
    key = store.describe("k")
    staged = store.stage(key, secrets.token_urlsafe(), NOW + HOUR)
    if meanwhile == "rotated":
        rotate_at(adapter, "k", secrets.token_urlsafe(), NOW + HOUR)
    elif meanwhile == "tagged":
        store.tag(key, {"daena.hold": "true"})
    else:
        store.delete(key, NOW + HOUR)
    before = store.describe("k")
    with pytest.raises(error) as refused:
        store.promote(key, staged, NOW + HOUR)
    assert refused.value.what == what
    assert store.describe("k") == before


def test_a_listing_holds_what_carries_the_tag(home: Path) -> None:
    """Keys that say nothing of us, and deleted ones, are not listed; those that say no, are."""
    with closing(LocalStore(home)) as store:
        for key_id, tags in {
            "foreign": {"x": "y"},
            "off": {MANAGED: "false"},
            "gone": TAGS,
        }.items():
            store.create(key_id, secrets.token_urlsafe(), tags, NOW)
        store.delete(store.describe("gone"), NOW)
        assert [key.id for key in store.scan()] == ["k", "off"]


@pytest.mark.parametrize("state", [VersionState.PENDING, VersionState.ABANDONED])
def test_what_never_was_current_is_not_found(home: Path, state: VersionState) -> None:
    """A version that a rotation left behind can be neither read nor rolled back to by its id."""
    left = version(HOUR, state)
    with closing(LocalStore(home)) as store, pytest.raises(KeyNotFound) as refused:
        store.find_version(tagged({}, version(DAY), left), left.id)
    assert refused.value.what == f"its version {left.id} was never current"


def test_retiring_and_destroying_touch_nothing_else(home: Path) -> None:
    """Each moves a version from the one state that it may leave, and again changes nothing."""
    adapter = local(home)
    newer = rotate_at(adapter, "k", secrets.token_urlsafe(), NOW + HOUR)
    store = adapter.store
    old = store.describe("k").previous
    assert old is not None

    def states() -> dict[str, VersionState]:
        return {v.id: v.state for v in store.describe("k").versions}

    store.destroy(store.describe("k"), old.id, NOW + DAY)
    store.retire(store.describe("k"), newer, NOW + DAY)
    store.destroy(store.describe("k"), newer, NOW + DAY)
    assert states() == {newer: VersionState.CURRENT, old.id: VersionState.PREVIOUS}
    store.retire(store.describe("k"), old.id, NOW + DAY)
    once = store.describe("k")
    store.retire(once, old.id, NOW + 2 * DAY)
    assert store.describe("k") == once
    store.destroy(once, old.id, NOW + 3 * DAY)
    gone = store.describe("k")
    store.retire(gone, old.id, NOW + 4 * DAY)
    store.destroy(gone, old.id, NOW + 4 * DAY)
    assert store.describe("k") == gone
    assert states() == {newer: VersionState.CURRENT, old.id: VersionState.DESTROYED}
    (last,) = [v for v in gone.versions if v.id == old.id]
    assert (last.superseded, last.retired) == (NOW + HOUR, NOW + DAY)


@pytest.mark.parametrize("size", [20, 20_000])
def test_a_destroyed_value_is_erased_from_the_files(tmp_path: Path, size: int) -> None:
    """After its destruction not even the sealed value is left in any file, the log included."""
    with closing(LocalStore(tmp_path)) as store:
        store.create("k", secrets.token_hex(size // 2), TAGS, NOW)
        (sealed,) = column(tmp_path, "SELECT sealed FROM versions")
        key = store.describe("k")
        store.promote(key, store.stage(key, secrets.token_urlsafe(), NOW), NOW)
        key = store.describe("k")
        assert key.previous is not None
        store.retire(key, key.previous.id, NOW)
        there = [sealed[-30:] in files(tmp_path)]
        store.destroy(key, key.previous.id, NOW)
        there.append(sealed[-30:] in files(tmp_path))
    there.append(sealed[-30:] in files(tmp_path))
    assert there == [True, False, False]


def test_tags_of_a_missing_key_are_not_set(home: Path) -> None:
    """What was deleted for good meanwhile is not made anew by a tag."""
    with closing(LocalStore(home)) as store:
        key = replace(store.describe("k"), id="gone")
        with pytest.raises(KeyNotFound, match="there is no such key"):
            store.tag(key, {"daena.hold": "true"})
        with pytest.raises(KeyNotFound, match="there is no such key"):
            store.promote(key, store.stage(key, secrets.token_urlsafe(), NOW), NOW)


def test_a_closed_store_opens_again(home: Path) -> None:
    """Closing twice is harmless, and the next use opens the file."""
    store = LocalStore(home)
    first = fingerprint(store.read("k"))
    store.close()
    store.close()
    assert fingerprint(store.read("k")) == first
    store.close()


def test_a_mark_is_removed_by_the_store_alone(home: Path) -> None:
    """An emergency that is called off leaves a key that can be read; a revocation stays."""
    with closing(LocalStore(home)) as store:
        key = store.describe("k")
        first = key.versions[0].id
        store.mark_compromised(key, first, NOW)
        assert store.describe("k").versions[0].to_revoke
        store.unmark("k", first)
        assert not store.describe("k").versions[0].compromised
        key = store.describe("k")
        store.promote(key, store.stage(key, secrets.token_urlsafe(), NOW), NOW)
        store.revoke(store.describe("k"), first, NOW)
        store.unmark("k", first)
        known = store.describe("k").version(first)
        assert known is not None
        assert (known.compromised, known.revoked) == (True, True)


def test_a_rollback_to_a_leaked_version_needs_its_id(home: Path) -> None:
    """Who says only `previous` may not know that it is to be revoked."""
    base = version(2 * DAY, VersionState.PREVIOUS, superseded=DAY)
    leaked = replace(base, compromised=True)
    with closing(LocalStore(home)) as store:
        key = tagged({}, version(DAY), leaked)
        with pytest.raises(KeyNotFound, match="is marked as compromised"):
            store.find_source(key, "previous")
        assert store.find_source(key, leaked.id) == leaked.id
        assert store.find_version(key, "previous") == leaked.id
        assert store.find_source(tagged({}, version(DAY), base), "previous") == base.id
        done = replace(leaked, revoked=True)
        assert store.find_source(tagged({}, version(DAY), done), "previous") == done.id
