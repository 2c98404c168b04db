"""The adapters' own methods, on the local store: values, versions, and what each error says."""

import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from daena_kms.cloud_kms import CloudKMSAdapter, LocalAdapter
from daena_kms.errors import (
    ConfigError,
    DaenaKMSError,
    InvalidKeyId,
    KeyNotFound,
    NotManaged,
    RotationConflict,
)
from daena_kms.rules.model import VersionState
from daena_kms.rules.policy import HOLD, MANAGED, SPEC

from tests.unit.local_keys import fingerprint, local, reading, retag, rotate_at

Call = Callable[[CloudKMSAdapter, str], object]
CALLS: dict[str, Call] = {
    "create": lambda adapter, key_id: adapter.create_key(key_id),
    "get": lambda adapter, key_id: adapter.get_key(key_id),
    "rotate": lambda adapter, key_id: adapter.rotate_key(key_id),
    "rollback": lambda adapter, key_id: adapter.rollback_key(key_id),
    "delete": lambda adapter, key_id: adapter.delete_key(key_id),
    "restore": lambda adapter, key_id: adapter.restore_key(key_id),
}
EXISTING = [name for name in CALLS if name != "create"]
CHANGING = ["rotate", "rollback", "delete"]


@pytest.fixture
def adapter(tmp_path: Path) -> LocalAdapter:
    """An adapter over an empty store."""
    return local(tmp_path / "home")


def state(adapter: CloudKMSAdapter, key_id: str) -> object:
    """Return everything that a change of the key would change."""
    key = adapter.store.describe(key_id)
    return key.versions, dict(key.tags), key.deleted


def test_a_key_is_created_read_rotated_and_rolled_back(adapter: LocalAdapter) -> None:
    """Each method returns the value that it made current, and the one before stays readable."""
    first = fingerprint(adapter.create_key("k"))
    assert reading(adapter, "k") == first
    second = fingerprint(adapter.rotate_key("k"))
    assert (reading(adapter, "k"), reading(adapter, "k", "previous")) == (second, first)
    back = fingerprint(adapter.rollback_key("k"))
    assert back == reading(adapter, "k") == first
    assert reading(adapter, "k", "previous") == second
    assert len({first, second}) == 2
    versions = adapter.store.describe("k").versions
    assert len({v.id for v in versions}) == 3
    assert [v.state for v in versions] == [
        VersionState.CURRENT,
        VersionState.PREVIOUS,
        VersionState.PREVIOUS,
    ]


def test_any_older_version_is_read_and_rolled_back_to_by_its_id(adapter: LocalAdapter) -> None:
    """A version's own id names it, however many came after it."""
    first = fingerprint(adapter.create_key("k"))
    current = adapter.store.describe("k").current
    assert current is not None
    adapter.rotate_key("k")
    adapter.rotate_key("k")
    assert reading(adapter, "k", current.id) == first
    assert fingerprint(adapter.rollback_key("k", current.id)) == first


def test_a_value_may_be_given(adapter: LocalAdapter) -> None:
    """A caller's own value is stored as it is, in any alphabet."""
    given = secrets.token_urlsafe(20) + "\u00e9\u6f22\n\t"
    adapter.create_key("k", given)
    assert reading(adapter, "k") == fingerprint(given)
    other = secrets.token_urlsafe(20)
    assert fingerprint(adapter.rotate_key("k", other)) == fingerprint(other)


def test_specs_and_tags_are_kept(adapter: LocalAdapter) -> None:
    """A new key carries the tags that it was given, its spec, and the mark that it is managed."""
    adapter.create_key("a", tags={"daena.grace": "30d", MANAGED: "false"})
    adapter.create_key("b", spec="token")
    adapter.create_key("c", tags={SPEC: "token"})
    tags = [dict(adapter.store.describe(key_id).tags) for key_id in "abc"]
    assert tags == [
        {MANAGED: "true", SPEC: "aes-256", "daena.grace": "30d"},
        {MANAGED: "true", SPEC: "token"},
        {MANAGED: "true", SPEC: "token"},
    ]
    lengths = [len(adapter.get_key(key_id)) for key_id in "abc"]
    assert lengths == [44, 43, 43]
    assert len(adapter.rotate_key("b")) == 43


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize(
    "key_id",
    ["", "Upper", "a/b", "\u00fcber", "a\x00", "a\n", "a" * 101, "trailing-", "9", "../master.key"],
)
def test_a_bad_id_is_refused_before_any_call(tmp_path: Path, name: str, key_id: str) -> None:
    """Every method refuses it with what is allowed, and no store is touched."""
    home = tmp_path / "never-made"
    with pytest.raises(InvalidKeyId, match=r"is not a key id\. Use 1 to 100 lower-case letters"):
        CALLS[name](local(home), key_id)
    assert not home.exists()


@pytest.mark.parametrize("name", EXISTING)
def test_a_missing_key_is_named(adapter: LocalAdapter, name: str) -> None:
    """Every method says which key is not there, and what to do."""
    with pytest.raises(KeyNotFound) as refused:
        CALLS[name](adapter, "gone")
    assert str(refused.value) == "key 'gone': there is no such key. Create it, or check the name"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("get", "it is deleted"),
        ("rotate", r"it was deleted at \d{4}-\S+Z"),
        ("rollback", r"it was deleted at \d{4}-\S+Z"),
    ],
)
def test_a_deleted_key_is_not_used(adapter: LocalAdapter, name: str, said: str) -> None:
    """A deleted key is neither read nor changed, and its error says how it comes back."""
    first = fingerprint(adapter.create_key("k"))
    adapter.delete_key("k")
    before = state(adapter, "k")
    with pytest.raises(KeyNotFound, match=rf"^key 'k': {said}\. Restore it first$"):
        CALLS[name](adapter, "k")
    with pytest.raises(KeyNotFound, match=r"^key 'k': it is deleted"):
        adapter.get_key("k", "previous")
    adapter.delete_key("k")
    assert state(adapter, "k") == before
    assert adapter.list_keys() == []
    adapter.restore_key("k")
    adapter.restore_key("k")
    assert (reading(adapter, "k"), adapter.list_keys()) == (first, ["k"])


@pytest.mark.parametrize("name", CHANGING)
@pytest.mark.parametrize("managed", ["false", None])
def test_a_key_that_is_not_managed_is_not_changed(
    adapter: LocalAdapter, name: str, managed: str | None
) -> None:
    """Only what carries the tag is changed; reading it is anybody's right."""
    adapter.create_key("k")
    first = fingerprint(adapter.rotate_key("k"))
    retag(adapter, "k", {MANAGED: managed})
    before = state(adapter, "k")
    with pytest.raises(
        NotManaged, match=r"^key 'k': it does not carry daena\.managed=true\. Enrol"
    ):
        CALLS[name](adapter, "k")
    assert state(adapter, "k") == before
    assert reading(adapter, "k") == first
    assert adapter.list_keys() == []


def test_a_key_that_is_not_managed_is_not_restored(adapter: LocalAdapter) -> None:
    """Bringing a key back is a change, too: it is refused for one that is not ours."""
    adapter.create_key("k")
    adapter.delete_key("k")
    retag(adapter, "k", {MANAGED: None})
    with pytest.raises(NotManaged, match=r"^key 'k': it does not carry daena\.managed=true"):
        adapter.restore_key("k")
    assert adapter.store.describe("k").deleted is not None


@pytest.mark.parametrize("name", CHANGING)
@pytest.mark.parametrize("hold", ["true", "9999-12-31T23:59:59Z"])
def test_a_key_on_hold_is_not_changed(adapter: LocalAdapter, name: str, hold: str) -> None:
    """A hold stops every change, and the error says how to release it."""
    adapter.create_key("k")
    adapter.rotate_key("k")
    retag(adapter, "k", {HOLD: hold})
    before = state(adapter, "k")
    with pytest.raises(RotationConflict, match=r"^key 'k': on hold until .*\. Release it first"):
        CALLS[name](adapter, "k")
    assert state(adapter, "k") == before
    retag(adapter, "k", {HOLD: None})
    CALLS[name](adapter, "k")
    assert state(adapter, "k") != before


@pytest.mark.parametrize("name", CHANGING)
def test_a_key_of_a_bad_policy_is_not_changed(adapter: LocalAdapter, name: str) -> None:
    """What the engine would refuse, the methods refuse."""
    adapter.create_key("k")
    retag(adapter, "k", {"daena.keep": "1"})
    before = state(adapter, "k")
    with pytest.raises(ConfigError, match=r"^key 'k': daena\.keep is '1'"):
        CALLS[name](adapter, "k")
    assert state(adapter, "k") == before


def test_a_rotation_by_hand_keeps_the_order_of_versions(adapter: LocalAdapter) -> None:
    """On top of a version dated ahead, which a run refuses, a new one is dated no earlier."""
    adapter.create_key("k")
    ahead = datetime.now(UTC) + timedelta(days=365)
    rotate_at(adapter, "k", secrets.token_urlsafe(), ahead)
    adapter.rotate_key("k")
    current = adapter.store.describe("k").current
    assert current is not None
    assert current.created >= ahead


def test_a_hold_is_judged_by_the_time_that_it_is(adapter: LocalAdapter) -> None:
    """A version dated ahead does not make a hold that lasts until tomorrow one that is over."""
    adapter.create_key("k")
    now = datetime.now(UTC)
    rotate_at(adapter, "k", secrets.token_urlsafe(), now + timedelta(days=2))
    until = (now + timedelta(days=1)).isoformat(timespec="seconds")
    retag(adapter, "k", {HOLD: until})
    before = state(adapter, "k")
    with pytest.raises(DaenaKMSError):
        adapter.rotate_key("k")
    assert state(adapter, "k") == before


def test_a_little_skew_keeps_the_order_of_versions(adapter: LocalAdapter) -> None:
    """A version made by a clock four minutes ahead stays older than the next one."""
    adapter.create_key("k")
    ahead = datetime.now(UTC) + timedelta(minutes=4)
    rotate_at(adapter, "k", secrets.token_urlsafe(), ahead)
    adapter.rotate_key("k")
    current = adapter.store.describe("k").current
    assert current is not None
    assert current.created >= ahead
