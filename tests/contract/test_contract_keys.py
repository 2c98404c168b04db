"""The contract of the adapters' own methods, the same for every store."""

import base64

import pytest
from daena_kms.errors import (
    ConfigError,
    InvalidKeyId,
    KeyExists,
    KeyNotFound,
    NotManaged,
    RotationConflict,
)

from tests.worlds.base import World, value

BAD_IDS = [
    "",
    "Upper",
    "a/b",
    "../a",
    "käse",
    "a\nb",
    "a\x00",
    "a b",
    "1a",
    "-a",
    "a-",
    "a" * 101,
    "a_b",
]


def test_a_created_key_reads_back(world: World) -> None:
    """create_key returns the value that get_key reads, 32 random bytes by default."""
    made = world.adapter.create_key("app-key")
    assert world.adapter.get_key("app-key") == made
    assert len(base64.b64decode(made, validate=True)) == 32
    assert world.adapter.list_keys() == ["app-key"]


def test_rotation_keeps_the_previous_version(world: World) -> None:
    """rotate_key returns the new value; the previous one reads by name and by id."""
    first = world.adapter.create_key("app-key")
    old = world.adapter.store.describe("app-key").current
    second = world.adapter.rotate_key("app-key")
    assert second != first
    assert world.adapter.get_key("app-key") == second
    assert world.adapter.get_key("app-key", version="previous") == first
    assert old is not None
    assert world.adapter.get_key("app-key", version=old.id) == first


def test_rollback_is_a_new_version(world: World) -> None:
    """rollback_key makes the previous value current again, as a version of its own."""
    first = world.adapter.create_key("app-key")
    second = world.adapter.rotate_key("app-key")
    assert world.adapter.rollback_key("app-key") == first
    key = world.adapter.store.describe("app-key", exact=True)
    assert len(key.versions) == 3
    assert world.adapter.get_key("app-key") == first
    assert world.adapter.get_key("app-key", version="previous") == second


def test_rollback_to_an_older_version(world: World) -> None:
    """rollback_key takes any version that once was current."""
    first = world.adapter.create_key("app-key")
    oldest = world.adapter.store.describe("app-key").current
    assert oldest is not None
    for _ in range(2):
        world.adapter.rotate_key("app-key")
    assert world.adapter.rollback_key("app-key", version=oldest.id) == first


def test_deleting_is_recoverable(world: World) -> None:
    """A deleted key can't be read or listed; restore_key brings it back; both are idempotent."""
    first = world.adapter.create_key("app-key")
    second = world.adapter.rotate_key("app-key")
    world.adapter.delete_key("app-key")
    world.adapter.delete_key("app-key")
    assert world.adapter.list_keys() == []
    for version in (None, "previous"):
        with pytest.raises(KeyNotFound, match="deleted"):
            world.adapter.get_key("app-key", version)
    with pytest.raises(KeyExists, match=r"[Rr]estore"):
        world.adapter.create_key("app-key")
    with pytest.raises(KeyNotFound, match="deleted"):
        world.adapter.rotate_key("app-key")
    world.adapter.restore_key("app-key")
    world.adapter.restore_key("app-key")
    assert world.adapter.get_key("app-key") == second
    assert world.adapter.get_key("app-key", "previous") == first


def test_what_is_not_there(world: World) -> None:
    """A missing key raises KeyNotFound from every method, with its name."""
    methods = (
        world.adapter.get_key,
        world.adapter.rotate_key,
        world.adapter.rollback_key,
        world.adapter.delete_key,
        world.adapter.restore_key,
    )
    for method in methods:
        with pytest.raises(KeyNotFound, match="absent-key"):
            method("absent-key")
    world.adapter.create_key("app-key")
    with pytest.raises(KeyNotFound, match="previous"):
        world.adapter.get_key("app-key", "previous")
    with pytest.raises(KeyNotFound):
        world.adapter.get_key("app-key", world.unknown_version)


@pytest.mark.parametrize("key_id", [*BAD_IDS, None, 7, ["a"]])
def test_a_bad_key_id_is_refused_before_any_call(world: World, key_id: object) -> None:
    """An id that is not portable raises InvalidKeyId with the allowed form; nothing is called."""
    methods = (
        world.adapter.create_key,
        world.adapter.get_key,
        world.adapter.rotate_key,
        world.adapter.rollback_key,
        world.adapter.delete_key,
        world.adapter.restore_key,
    )
    before = world.calls()
    for method in methods:
        with pytest.raises(InvalidKeyId, match="lower-case letters, digits and hyphens"):
            method(key_id)  # type: ignore[arg-type] # the wrong type is the point
    assert world.calls() == before


@pytest.mark.parametrize(
    "version", ["", "latest", "x" * 31, "y" * 65, "daena-\n" + "0" * 40, "ä" * 40]
)
def test_a_bad_version_is_refused_before_any_call(world: World, version: str) -> None:
    """A version that has not the form of the store's ids raises ConfigError, with no call."""
    before = world.calls()
    with pytest.raises(ConfigError, match="version id"):
        world.adapter.get_key("app-key", version)
    assert world.calls() == before


def test_values_of_one_s_own(world: World) -> None:
    """A caller's value is stored as it is: unicode, one byte, 25,000 bytes; more is refused."""
    for number, material in enumerate(("ключ 🔑\n", "x", "é" * 12_500)):
        assert world.adapter.create_key(f"own-{number}", material) == material
        assert world.adapter.get_key(f"own-{number}") == material
    before = world.calls()
    for bad in ("", "x" * 25_001, "é" * 12_501, "\ud800"):
        with pytest.raises(ConfigError, match="own-bad"):
            world.adapter.create_key("own-bad", bad)
    with pytest.raises(ConfigError, match="not text"):
        world.adapter.create_key("own-bad", b"bytes")  # type: ignore[arg-type] # as above
    with pytest.raises(ConfigError, match="does not fit the spec"):
        world.adapter.create_key("own-bad", "short", spec="aes-256")
    assert world.calls() == before
    assert "own-bad" not in world.adapter.list_keys()


def test_a_key_exists_once(world: World) -> None:
    """Creating a key that exists raises KeyExists and leaves it as it was."""
    first = world.adapter.create_key("app-key")
    with pytest.raises(KeyExists, match="app-key"):
        world.adapter.create_key("app-key")
    assert world.adapter.get_key("app-key") == first


@pytest.mark.parametrize("spec", ["aes-512", "", "AES-256", "token:x=1", "password:length=4"])
def test_a_bad_spec_is_refused_before_any_call(world: World, spec: str) -> None:
    """An unknown spec raises ConfigError that lists the known ones or the option's form."""
    before = world.calls()
    with pytest.raises(ConfigError, match=r"daena\.spec"):
        world.adapter.create_key("app-key", spec=spec)
    assert world.calls() == before


@pytest.mark.parametrize("text", ["90", "-1d", "1y2", "", "1.5d", "0h", "99999d", "9" * 30 + "d"])
def test_a_bad_duration_is_refused_before_any_call(world: World, text: str) -> None:
    """A malformed interval raises ConfigError that names the tag."""
    before = world.calls()
    with pytest.raises(ConfigError, match=r"daena\.rotate-after"):
        world.adapter.create_key("app-key", tags={"daena.rotate-after": text})
    assert world.calls() == before


def test_other_people_s_keys_are_read_and_never_changed(world: World) -> None:
    """A key without our tag can be read, is not listed, and no method changes it."""
    theirs = value()
    world.foreign("their-key", theirs)
    assert world.adapter.get_key("their-key") == theirs
    assert world.adapter.list_keys() == []
    before = world.state()
    for method in (
        world.adapter.rotate_key,
        world.adapter.rollback_key,
        world.adapter.delete_key,
    ):
        with pytest.raises(NotManaged, match="their-key"):
            method("their-key")
    assert world.state() == before


def test_a_held_key_is_left_alone(world: World) -> None:
    """A key on hold raises RotationConflict from every change, and goes on when released."""
    first = world.adapter.create_key("app-key", tags={"daena.hold": "true"})
    for method in (
        world.adapter.rotate_key,
        world.adapter.rollback_key,
        world.adapter.delete_key,
    ):
        with pytest.raises(RotationConflict, match="hold"):
            method("app-key")
    world.tag("app-key", hold=None)
    assert world.adapter.rotate_key("app-key") != first


def test_tags_are_merged(world: World) -> None:
    """Setting a tag leaves the others, and rotating leaves all of them."""
    world.adapter.create_key("app-key", spec="token", tags={"daena.keep": "3"})
    world.tag("app-key", rotate_after="30d")
    world.adapter.rotate_key("app-key")
    tags = world.adapter.store.describe("app-key").tags
    wanted = {
        "daena.managed": "true",
        "daena.spec": "token",
        "daena.keep": "3",
        "daena.rotate-after": "30d",
    }
    assert {name: text for name, text in tags.items() if name in wanted} == wanted


def test_a_list_of_many_pages(world: World) -> None:
    """More keys than fit a page are all listed, and nobody else's."""
    for number in range(205):
        world.foreign(f"key-{number}", value(), {"daena.managed": "true"})
    world.foreign("their-key", value(), {"owner": "them"})
    assert len(world.adapter.list_keys()) == 205
