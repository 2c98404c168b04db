"""What the adapters' own methods refuse to create or to read, and the words of each refusal."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from daena_kms.cloud_kms import LocalAdapter
from daena_kms.errors import ConfigError, KeyExists, KeyNotFound
from daena_kms.rules.names import new_version_id
from daena_kms.rules.policy import FIRST_DUE, MANAGED

from tests.unit.local_keys import fingerprint, local, reading, retag


@pytest.fixture
def adapter(tmp_path: Path) -> LocalAdapter:
    """An adapter over an empty store."""
    return local(tmp_path / "home")


def test_a_key_is_created_once(adapter: LocalAdapter) -> None:
    """A second creation changes nothing, and says what became of the first key."""
    first = fingerprint(adapter.create_key("k"))
    with pytest.raises(KeyExists) as refused:
        adapter.create_key("k")
    assert str(refused.value) == "key 'k': it exists already. Use it, or another id"
    assert reading(adapter, "k") == first
    adapter.delete_key("k")
    with pytest.raises(KeyExists) as refused:
        adapter.create_key("k")
    assert str(refused.value) == "key 'k': it exists already, deleted but recoverable. Restore it"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"spec": "aes-512"}, r"^daena\.spec is 'aes-512', which is not a key spec\. Use one of"),
        ({"spec": ""}, r"^daena\.spec is '', which is not a key spec\. Use one of"),
        ({"tags": {"daena.grace": "1h"}}, r"^daena\.grace is 1h\. It must be at least 1d"),
        (
            {"tags": {"daena.colour": "x"}},
            r"^'daena\.colour' is not a tag of daena-kms\. Use daena\.",
        ),
        ({"tags": {FIRST_DUE: "soon"}}, r"^daena\.first-due is 'soon', which is not a time in UTC"),
        ({"key_material": ""}, r"^key 'k': the value has 0 bytes\. Store 1 to 25000 bytes"),
        ({"key_material": "x" * 25_001}, r"^key 'k': the value has 25001 bytes\. Store 1 to"),
        (
            {"key_material": "\ud800"},
            r"^key 'k': the value has lone surrogates, so it is not UTF-8",
        ),
        ({"key_material": b"x"}, r"^key 'k': the value is bytes, not text\. Pass a str"),
        (
            {"key_material": "x" * 44, "spec": "token:x=y"},
            r"^daena\.spec is 'token:x=y', which is not a key spec",
        ),
        (
            {"key_material": "no-base64", "spec": "aes-256"},
            (
                r"^key 'k': the given value does not fit the spec 'aes-256'\. "
                r"Give a value of that form"
            ),
        ),
    ],
)
def test_what_can_not_be_created_is_refused(
    adapter: LocalAdapter, arguments: dict[str, object], message: str
) -> None:
    """A bad spec, policy or value is refused with what is allowed, and there is no key."""
    with pytest.raises(ConfigError, match=message):
        adapter.create_key("k", **arguments)  # type: ignore[arg-type] # wrong on purpose
    with pytest.raises(KeyNotFound):
        adapter.store.describe("k")


@pytest.mark.parametrize("name", ["get_key", "rollback_key"])
def test_a_version_must_be_one_that_was_current(adapter: LocalAdapter, name: str) -> None:
    """Another form, an id that is not there, and no previous one are told apart."""
    adapter.create_key("k")
    method = getattr(adapter, name)
    with pytest.raises(KeyNotFound, match=r"^key 'k': it has no readable previous version\. Name"):
        method("k", "previous")
    with pytest.raises(
        ConfigError, match=r"^'latest' is not a version id of the local store\. Use"
    ):
        method("k", "latest")
    unknown = new_version_id(None, datetime.now(UTC))
    with pytest.raises(KeyNotFound, match=rf"^key 'k': (it has no|its) version {unknown}"):
        method("k", unknown)


def test_a_retired_or_destroyed_version_is_not_read(adapter: LocalAdapter) -> None:
    """The error says what became of the version."""
    adapter.create_key("k")
    adapter.rotate_key("k")
    store, now = adapter.store, datetime.now(UTC)
    old = store.describe("k").previous
    assert old is not None
    for change, word in ((store.retire, "retired"), (store.destroy, "destroyed")):
        change(store.describe("k"), old.id, now)
        for method in (adapter.get_key, adapter.rollback_key):
            with pytest.raises(KeyNotFound) as refused:
                method("k", old.id)
            what = f"its version {old.id} is {word} and can't be read"
            todo = "Read a version that is current or previous"
            assert (refused.value.what, refused.value.todo) == (what, todo)


def test_keys_are_listed_in_order(adapter: LocalAdapter) -> None:
    """Managed keys alone, sorted; one whose tag is misspelt is not among them."""
    for key_id in ("b", "c", "a", "d"):
        adapter.create_key(key_id)
    retag(adapter, "c", {MANAGED: "yes"})
    adapter.delete_key("d")
    assert adapter.list_keys() == ["a", "b"]
