"""Bad input: a clear error that names it and what is allowed, and nothing changed."""

from collections.abc import Callable

import pytest
from daena_kms.engine import run
from daena_kms.errors import ConfigError, InvalidKeyId
from daena_kms.operations import Operations

from tests.faults.worlds import DAY, AwsWorld, World, refused

type Call = Callable[[], object]

KEY = "app-key"
LATER = 91 * DAY

BAD_IDS = ["", "Upper", "a/b", "käse", "a\tb", "a\x7f", "a" * 101, "a-", "-a", "1a", "a_b", "a.b"]


@pytest.mark.parametrize("key_id", BAD_IDS)
def test_bad_ids_reach_nothing(world: World, key_id: str) -> None:
    """The operations and the engine refuse an id that is not portable, before any call."""
    world.operations().create(KEY)
    operations = world.operations()
    calls: list[Call] = [
        lambda: operations.create(key_id),
        lambda: operations.adopt(key_id, spec="token"),
        lambda: operations.rollback(key_id),
        lambda: operations.delete(key_id),
        lambda: operations.restore(key_id),
        lambda: world.run(keys=[KEY, key_id]),
    ]
    count = world.calls()
    for call in calls:
        with refused(world, InvalidKeyId, "not a key id.*1 to 100 lower-case letters"):
            call()
    assert world.calls() == count


@pytest.mark.parametrize("bad", [None, 7, b"app-key", ["app-key"], object()])
def test_ids_of_another_type(world: World, bad: object) -> None:
    """What is no text is refused by its type; its content is not shown."""
    world.operations().create(KEY)
    with refused(world, InvalidKeyId, f"{type(bad).__name__} is not a key id"):
        world.operations().delete(bad)  # type: ignore[arg-type] # the point
    with refused(world, InvalidKeyId, "is not a key id"):
        world.run(keys=[bad])


@pytest.mark.parametrize(
    "spec", ["", "aes", "AES-256", "aes-256 ", "rsa-1024", "password:length=5"]
)
def test_bad_specs(world: World, spec: str) -> None:
    """An unknown spec is refused with the ones that are known, or the form of its options."""
    world.operations().create(KEY)
    world.foreign("their-key", "x" * 43)
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


@pytest.mark.parametrize(("tag", "text"), [(t, x) for t, texts in TAGS.items() for x in texts])
def test_bad_tags(aws: AwsWorld, tag: str, text: str) -> None:
    """A malformed tag is refused at creation, and fails its key alone when it is there already."""
    tags = {"daena.spec": "token", tag: text}
    with refused(aws, ConfigError, tag.replace(".", r"\.")):
        aws.operations().create("new-key", tags=tags)
    aws.operations().create(KEY)
    aws.foreign("odd-key", "x" * 43, {"daena.managed": "true", **tags})
    summary = aws.run(LATER)
    assert (summary.failed, summary.rotated) == (["odd-key"], [KEY])
    assert tag in str(summary.errors["odd-key"])


def test_values_that_no_store_holds(world: World) -> None:
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


@pytest.mark.parametrize("workers", [0, -1, 65])
def test_a_bad_number_of_workers(world: World, workers: int) -> None:
    """A number of workers out of bounds is refused with the bounds."""
    with pytest.raises(ConfigError, match="from 1 to 64"):
        world.run(workers=workers)


def test_times_without_a_zone(world: World) -> None:
    """A time without a time zone is refused, for now and for the deadline."""
    naive = world.began.replace(tzinfo=None)
    for options in ({"now": naive}, {"deadline": naive}):
        with pytest.raises(ConfigError, match="no time zone"):
            run(world.adapter, world.log, **options)  # type: ignore[arg-type] # one at a time
    with pytest.raises(ConfigError, match="no time zone"):
        Operations(world.adapter, world.log, now=naive)
