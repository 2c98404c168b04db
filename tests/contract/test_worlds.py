"""The worlds themselves: what a test relies on is so in each of them."""

from datetime import timedelta

import pytest

from tests.worlds.base import DAY, FaultWorld, value

KEY = "app-key"


def test_every_value_is_shown(world: FaultWorld) -> None:
    """Of ours and of others', of every version."""
    theirs, ours = value(), [world.adapter.create_key(KEY), world.adapter.rotate_key(KEY)]
    world.foreign("their-key", theirs)
    assert sorted(world.values()) == sorted([theirs, *ours])
    assert set(world.state()) == {KEY, "their-key"}


def test_what_others_do_is_seen(world: FaultWorld) -> None:
    """A key of some age, another value, another tag, and a key that is gone."""
    first, second = value(), value()
    world.foreign(KEY, first, {"daena.managed": "true", "daena.keep": "3"}, age=50 * DAY)
    made = world.look(KEY).current
    assert made is not None
    assert abs(world.began - 50 * DAY - made.created) < timedelta(minutes=1)
    world.overwrite(KEY, second)
    assert world.adapter.get_key(KEY) == second
    world.retag(KEY, {"daena.rotate-after": "30d", "daena.keep": None})
    tags = world.look(KEY).tags
    assert (tags["daena.rotate-after"], "daena.keep" in tags) == ("30d", False)
    world.erase(KEY)
    assert world.adapter.list_keys() == []


def test_the_environment_leads_there(world: FaultWorld) -> None:
    """An adapter and a log that are made from it alone are of the same store."""
    made = world.adapter.create_key(KEY)
    with pytest.MonkeyPatch.context() as patch:
        world.enter(patch)
        assert world.adapter.get_key(KEY) == world.again().get_key(KEY) == made
        assert world.run(91 * DAY).rotated == [KEY]
        assert len(world.log.children("log/")) == 1


def test_what_was_saved_comes_back(world: FaultWorld) -> None:
    """The store and its log, however often."""
    world.operations().create(KEY)
    world.save()
    before, records = world.state(), world.records()
    for _ in range(2):
        assert world.run(91 * DAY).rotated == [KEY]
        assert world.state() != before
        world.load()
        assert (world.state(), world.records()) == (before, records)
