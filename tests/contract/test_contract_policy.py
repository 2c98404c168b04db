"""The contract of policies on every store: what tags can't ask for, and changes through the log."""

import pytest
from daena_kms.engine.policies import show_policy
from daena_kms.errors import ConfigError, NotManaged

from tests.worlds.base import DAY, World, refused, value

KEY = "api-token"
WEAK = "password:length=12:classes=digit"


def test_a_policy_is_set_shown_and_removed(world: World) -> None:
    """Some tags at once, through the log; the versions and the hold stay as they are."""
    world.adapter.create_key(KEY, spec="token", tags={"daena.grace": "2d"})
    world.operations().hold(KEY)
    before = world.current(KEY)
    changes = {"rotate_after": "30d", "keep": 3, "grace": None}
    done = world.operations().set_policy(KEY, changes)
    tags = dict(world.look(KEY).tags)
    assert tags == {
        "daena.managed": "true",
        "daena.spec": "token",
        "daena.hold": "true",
        "daena.rotate-after": "30d",
        "daena.keep": "3",
    }
    assert done.to_dict()["changed"] == ["grace", "keep", "rotate_after"]
    shown = show_policy(world.adapter, KEY)["fields"]
    assert (shown["rotate_after"]["value"], shown["grace"]["source"]) == ("30d", "default")
    assert world.current(KEY) == before
    (intent,) = (r for r in world.records() if r["type"] == "intent" and "tags" in r["actions"][0])
    assert intent["actions"][0]["old_tags"]["daena.grace"] == "2d"
    world.operations().release(KEY)
    assert world.run(31 * DAY).rotated == [KEY]
    assert world.run(32 * DAY).rotated == []
    assert not [note for note in world.verify().notes if "policy set" in note]


def test_a_policy_that_the_store_can_t_do_is_refused(world: World) -> None:
    """Before anything is written, to the log either."""
    world.adapter.create_key(KEY, spec="token")
    can = world.adapter.store.can
    changes = {"keep": can.max_keep + 1}
    with refused(world, ConfigError, "daena.keep is"):
        world.operations().set_policy(KEY, changes)
    if can.destroy_means is None:
        with refused(world, ConfigError, "can't destroy a single version"):
            world.operations().set_policy(KEY, {"destroy_after": "30d"})
    if can.max_versions is not None:
        with refused(world, ConfigError, "versions readable, but this store can keep"):
            world.operations().set_policy(KEY, {"rotate_after": "1h", "grace": "30d"})
    if can.counts_retired:
        with refused(world, ConfigError, "keep 121 versions, but this store can keep 100"):
            policy = {"rotate_after": "1d", "grace": "30d", "destroy_after": "90d"}
            world.operations().set_policy(KEY, policy)
    assert world.records() == []


def test_no_policy_keeps_a_leaked_value_in_use(world: World) -> None:
    """One that the store has no room for in the long run stops rotations, and no emergency."""
    world.adapter.create_key(KEY, spec="token")
    if world.adapter.store.can.max_versions is None:
        return
    world.tag(KEY, rotate_after="1h", grace="30d")
    leaked = world.current(KEY)
    ordinary = world.run(DAY)
    assert ordinary.failed == [KEY]
    assert "but this store can keep" in str(ordinary.errors[KEY])
    summary = world.run(DAY, keys=[KEY], compromised=True, reason="seen in a log")
    assert (summary.rotated, summary.revoked_versions) == ([KEY], {KEY: [leaked]})
    assert world.current(KEY) != leaked


def test_no_tag_makes_a_value_that_is_easy_to_guess(world: World) -> None:
    """The key is failing, and gets its next value as soon as its spec is mended."""
    world.adapter.create_key(KEY, spec="token")
    with pytest.raises(ConfigError, match="DAENA_KMS_MIN_BITS"):
        world.adapter.create_key("other-token", spec=WEAK)
    world.tag(KEY, spec=WEAK)
    before = world.state()
    summary = world.run(91 * DAY)
    assert summary.failed == [KEY]
    assert "39.9 bits of entropy, but DAENA_KMS_MIN_BITS asks for 112" in str(summary.errors[KEY])
    assert world.state() == before
    world.operations(91 * DAY).set_policy(KEY, {"spec": "token"})
    assert world.run(91 * DAY).rotated == [KEY]


def test_a_key_of_others_gets_no_policy(world: World) -> None:
    """It is not managed, so nothing of it changes."""
    world.foreign("their-key", value())
    with refused(world, NotManaged, "does not carry daena.managed=true"):
        world.operations().set_policy("their-key", {"grace": "48h"})


def test_tags_alone_destroy_nothing_within_a_week(world: World) -> None:
    """However short destroy-after is; after that it counts."""
    if world.adapter.store.can.destroy_means is None:
        return  # nothing is destroyed there at all
    world.adapter.create_key(KEY, spec="token")
    world.tag(KEY, rotate_after="2d", grace="24h", destroy_after="1h")
    for hours in range(49, 49 + 7 * 24, 25):
        summary = world.run(hours * DAY / 24)
        assert (summary.failed, summary.destroyed, summary.released) == ([], [], [])
    later = [world.run((9 + day) * DAY) for day in range(4)]
    assert any(summary.destroyed or summary.released for summary in later)
