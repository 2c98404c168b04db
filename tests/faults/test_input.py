"""Bad input: a clear error that names it and what is allowed, and nothing changed."""

from collections.abc import Callable
from typing import Any

import pytest
from daena_kms.engine import run
from daena_kms.errors import ConfigError, InvalidKeyId, KeyNotFound
from daena_kms.operations import Operations

from tests.worlds.base import DAY, FaultWorld, refused

type Call = Callable[[str], object]

KEY = "app-key"
LATER = 91 * DAY

BAD_IDS = ["", "Upper", "a/b", "käse", "a\tb", "a\x7f", "a" * 101, "a-", "-a", "1a", "a_b", "a.b"]


def test_bad_ids_reach_nothing(world: FaultWorld) -> None:
    """The operations and the engine refuse an id that is not portable, before any call."""
    world.operations().create(KEY)
    operations = world.operations()
    calls: list[Call] = [
        operations.create,
        lambda key_id: operations.adopt(key_id, spec="token"),
        operations.rollback,
        operations.delete,
        operations.restore,
        lambda key_id: world.run(keys=[KEY, key_id]),
    ]
    count = world.calls()
    for key_id in BAD_IDS:
        for call in calls:
            with refused(world, InvalidKeyId, "not a key id.*1 to 100 lower-case letters"):
                call(key_id)
    assert world.calls() == count


def test_ids_of_another_type(world: FaultWorld) -> None:
    """What is no text is refused by its type; its content is not shown."""
    world.operations().create(KEY)
    for bad in (None, 7, b"app-key", ["app-key"], object()):
        with refused(world, InvalidKeyId, f"{type(bad).__name__} is not a key id"):
            world.operations().delete(bad)  # type: ignore[arg-type] # the point
        with refused(world, InvalidKeyId, "is not a key id"):
            world.run(keys=[bad])


def test_bad_specs(world: FaultWorld) -> None:
    """An unknown spec is refused with the ones that are known, or the form of its options."""
    world.operations().create(KEY)
    world.foreign("their-key", "x" * 43)
    for spec in ("", "aes", "AES-256", "aes-256 ", "rsa-1024", "password:length=5"):
        with refused(world, ConfigError, r"daena\.spec"):
            world.operations().adopt("their-key", spec=spec)
        with refused(world, ConfigError, r"daena\.spec"):
            world.operations().create("new-key", tags={"daena.spec": spec})


TAGS = {
    "daena.rotate-after": ["90", "-1d", "1y2", "", "1.5d", "30m", "never", "٣d", "0d", "40000d"],
    "daena.grace": ["23h", "7", "-7d", "forever"],
    "daena.destroy-after": ["30", "x"],
    "daena.keep": ["1", "0", "-2", "two", "2.5", "", "999"],
    "daena.first-due": [
        "tomorrow",
        "2026-13-01T00:00:00Z",
        "2026-01-01",
        "2026-01-01T00:00:00+02:00",
    ],
    "daena.hold": ["yes", "", "True", "2026-02-30T00:00:00Z"],
    "daena.unknown": ["x"],
}


@pytest.mark.parametrize("tag", TAGS)
@pytest.mark.parametrize("world", ["aws", "azure", "gcp"], indirect=True)
def test_bad_tags(world: FaultWorld, tag: str) -> None:
    """A malformed tag is refused at creation, and fails its key alone when it is there already."""
    for text in TAGS[tag]:
        with refused(world, ConfigError, tag.replace(".", r"\.")):
            world.operations().create("new-key", tags={"daena.spec": "token", tag: text})
    world.operations().create(KEY)
    for number, text in enumerate(TAGS[tag]):
        tags = {"daena.managed": "true", "daena.spec": "token", tag: text}
        world.foreign(f"odd-key-{number}", "x" * 43, tags)
    summary = world.run(LATER)
    assert summary.rotated == [KEY]
    assert sorted(summary.failed) == [f"odd-key-{number}" for number in range(len(TAGS[tag]))]
    assert all(tag in str(error) for error in summary.errors.values())


BAD_TAGS: list[dict[Any, Any]] = [
    *({7: "x"}, {"owner": 7}, {"owner": None}, {"owner": ["x"]}),
    *({"own\ner": "x"}, {"owner": "\udcff"}),
]


def test_tags_that_are_no_text(world: FaultWorld) -> None:
    """A tag that is no printable text is refused before any call, whatever the SDK would say."""
    world.operations().create(KEY)
    operations, count = world.operations(), world.calls()
    for tags in BAD_TAGS:
        with refused(world, ConfigError, "tags are not all printable text"):
            operations.create("new-key", tags=tags)
        with refused(world, ConfigError, "tags are not all printable text"):
            world.adapter.create_key("new-key", tags=tags)
    assert world.calls() == count


BAD_VERSIONS = {
    "local": ["", "1", "current", "a" * 32],
    "aws": ["", "1", "AWSCURRENT", "a" * 31, "a" * 65, "é" * 32, "a" * 32 + "\n"],
    "azure": ["", "1", "latest", "a" * 31, "a" * 33, "A" * 32, "g" * 32, f"{'a' * 32}/x", "٣" * 32],
    "gcp": ["", "0", "-1", "1.0", "01", "latest", "current", "1/../2", "٣", "1\n", "9" * 11],
}


def test_bad_versions(world: FaultWorld) -> None:
    """A version id that the store never gives is refused before any call, with what would do."""
    world.operations().create(KEY)
    for bad in BAD_VERSIONS[world.adapter.store.provider]:
        count = world.calls()
        with refused(world, ConfigError, "is not a version id.*previous"):
            world.adapter.get_key(KEY, bad)
        assert world.calls() == count
        for roll_back in (world.adapter.rollback_key, world.operations().rollback):
            with refused(world, ConfigError, "is not a version id.*previous"):
                roll_back(KEY, bad)
    for odd in (7, b"1", ["1"]):
        with refused(world, ConfigError, f"is {type(odd).__name__}, not text"):
            world.adapter.get_key(KEY, odd)  # type: ignore[arg-type] # the point
    with refused(world, KeyNotFound, "version"):
        world.adapter.get_key(KEY, "previous")


def test_values_that_no_store_holds(world: FaultWorld) -> None:
    """A value over 25,000 bytes, or of another type, is refused; one of 25,000 is stored."""
    operations = world.operations()
    operations.create(KEY, "é" * 12_500)
    for bad, words in (
        ("x" * 25_001, "25001 bytes.*1 to 25000"),
        ("", "0 bytes"),
        ("\udcff", "surrogates"),
        (b"bytes", "bytes, not text"),
    ):
        with refused(world, ConfigError, words):
            operations.create("new-key", bad)  # type: ignore[arg-type] # the point
        with refused(world, ConfigError, words):
            world.adapter.rotate_key(KEY, bad)  # type: ignore[arg-type] # the point


def test_a_bad_number_of_workers(world: FaultWorld) -> None:
    """A number of workers out of bounds is refused with the bounds."""
    for workers in (0, -1, 65):
        with pytest.raises(ConfigError, match="from 1 to 64"):
            world.run(workers=workers)


def test_times_without_a_zone(world: FaultWorld) -> None:
    """A time without a time zone is refused, for now and for the deadline."""
    naive = world.began.replace(tzinfo=None)
    for options in ({"now": naive}, {"deadline": naive}):
        with pytest.raises(ConfigError, match="no time zone"):
            run(world.adapter, world.log, **options)  # type: ignore[arg-type] # one at a time
    with pytest.raises(ConfigError, match="no time zone"):
        Operations(world.adapter, world.log, now=naive)
