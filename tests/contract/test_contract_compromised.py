"""The contract of an emergency: a new version at once, the old one retired, and said so."""

from datetime import timedelta

import pytest
from daena_kms.audit.reader import history
from daena_kms.audit.verify import verify
from daena_kms.errors import ConfigError, KeyNotFound
from daena_kms.operations import Operations
from daena_kms.rules.model import Version, VersionState

from tests.worlds.base import DAY, World, value

HOUR = timedelta(hours=1)
WHY = "seen in a public log, ticket 4711"


def current(world: World, key_id: str) -> Version:
    """Return the key's current version."""
    version = world.adapter.store.describe(key_id, exact=True).current
    assert version is not None
    return version


def states(world: World, key_id: str) -> list[VersionState]:
    """Return the states of a key's versions, sorted."""
    return sorted(v.state for v in world.adapter.store.describe(key_id, exact=True).versions)


@pytest.mark.parametrize("spec", ["token", "aes-256"])
def test_the_old_version_is_retired_at_once(world: World, spec: str) -> None:
    """Whatever its grace; the new one is current, and the answer says which and what it means."""
    Operations(world.adapter, world.log).create("app-key", spec=spec)
    old = current(world, "app-key")
    summary = world.run(HOUR, keys=["app-key"], compromised=True, reason=WHY)
    assert (summary.rotated, summary.revoked, summary.failed) == (["app-key"], ["app-key"], [])
    assert summary.revoked_versions == {"app-key": [old.id]}
    assert states(world, "app-key") == [VersionState.CURRENT, VersionState.RETIRED]
    assert current(world, "app-key").id == summary.new_versions["app-key"] != old.id
    assert world.adapter.get_key("app-key")
    with pytest.raises(KeyNotFound):
        world.adapter.get_key("app-key", "previous")
    said = summary.to_dict()
    assert said["revoking"]["means"] in said["notes"]["app-key"]
    assert (said["revoking"]["undo"] in said["notes"]["app-key"]) == (spec == "aes-256")
    if summary.revoking is not None and summary.revoking.readable is None:
        with pytest.raises(KeyNotFound, match=r"retired|disabled"):
            world.adapter.get_key("app-key", old.id)
    assert world.run(2 * HOUR).actions == []
    assert verify(world.log, world.adapter.store.inventory()).ok


def test_the_log_says_who_why_when_and_which(world: World) -> None:
    """Both actions are in the log as those of an emergency, each with its times."""
    world.adapter.create_key("app-key")
    old = current(world, "app-key")
    world.run(HOUR, keys=["app-key"], compromised=True, reason=WHY, principal="night watch")
    rows = list(history(world.log, key_id="app-key"))
    assert [(row["kind"], row["result"]) for row in rows] == [
        ("rotate", "done"),
        ("retire", "done"),
    ]
    for row in rows:
        assert (row["reason"], row["principal"], row["compromised"]) == (WHY, "night watch", True)
        assert row["started"] <= row["ended"]
    assert rows[1]["version"] == old.id


def test_it_takes_names_and_a_reason(world: World) -> None:
    """Without either nothing changes, in the store or in the log."""
    world.adapter.create_key("app-key")
    before = world.state()
    for given in (
        {"keys": ["app-key"]},
        {"keys": ["app-key"], "reason": " "},
        {"keys": [], "reason": WHY},
        {"reason": WHY},
        {"keys": ["app-key"], "reason": WHY, "if_due": True},
    ):
        with pytest.raises(ConfigError, match="emergency rotation"):
            world.run(HOUR, compromised=True, **given)
    assert world.state() == before
    assert world.log.entries("log/") == []


def test_a_dry_run_says_what_it_would_come_to(world: World) -> None:
    """It plans the rotation and, after it, the retirement, and changes nothing."""
    world.adapter.create_key("app-key")
    old, before = current(world, "app-key"), world.state()
    summary = world.run(HOUR, keys=["app-key"], compromised=True, dry_run=True)
    planned = [(a.kind.value, a.version, a.compromised) for a in summary.actions]
    assert planned == [("rotate", None, True), ("retire", old.id, True)]
    assert summary.revoking == world.adapter.store.revoking
    assert world.state() == before


def test_what_may_not_be_rotated_is_refused(world: World) -> None:
    """A key on hold, one that is not managed and one that is not there: nothing of them changes."""
    world.adapter.create_key("held-key")
    world.tag("held-key", hold="true")
    world.foreign("their-key", value())
    before = world.state()
    names = ["held-key", "no-key", "their-key"]
    summary = world.run(HOUR, keys=names, compromised=True, reason=WHY)
    assert (summary.failed, summary.revoked, summary.rotated) == (names, [], [])
    assert world.state() == before


def test_versions_before_it_keep_their_grace(world: World) -> None:
    """Only what was current is compromised; the one before it reads on, and the answer says so."""
    first = world.adapter.create_key("app-key", spec="token")
    oldest = current(world, "app-key")
    world.run(HOUR, keys=["app-key"])
    summary = world.run(2 * HOUR, keys=["app-key"], compromised=True, reason=WHY)
    assert summary.revoked == ["app-key"]
    assert f"not current stay readable: {oldest.id}" in summary.notes["app-key"]
    assert world.adapter.get_key("app-key", "previous") == first
    assert world.run(7 * DAY).actions == []
    assert world.run(9 * DAY).retired == ["app-key"]


def test_the_next_emergency_and_a_rollback(world: World) -> None:
    """Rolling back leads past what is compromised, and a run does not undo it."""
    first = world.adapter.create_key("app-key")
    world.run(HOUR, keys=["app-key"])
    for hours in (2, 3):
        summary = world.run(hours * HOUR, keys=["app-key"], compromised=True, reason=WHY)
        assert summary.revoked == ["app-key"]
    operations = Operations(world.adapter, world.log, now=world.began + 4 * HOUR)
    operations.rollback("app-key")
    assert world.adapter.get_key("app-key") == first
    assert world.run(5 * HOUR).actions == []
    assert states(world, "app-key").count(VersionState.RETIRED) == 2


def test_who_needs_it_after_all_gets_at_it(world: World) -> None:
    """By the means that the answer names; it reads again, can be rolled back to, and stays so."""
    first = world.adapter.create_key("data-key")
    old = current(world, "data-key")
    world.run(HOUR, keys=["data-key"], compromised=True, reason=WHY)
    world.enable("data-key", old.id)
    assert world.adapter.get_key("data-key", old.id) == first
    for days in (1, 30):
        assert world.run(days * DAY).actions == []
    assert world.adapter.get_key("data-key", old.id) == first
    now = world.began + 31 * DAY
    Operations(world.adapter, world.log, now=now).rollback("data-key", old.id)
    assert world.adapter.get_key("data-key") == first
