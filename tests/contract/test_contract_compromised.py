"""The contract of an emergency: a new version at once, the old one retired, and said so."""

from datetime import timedelta

import pytest
from daena_kms.audit.reader import history
from daena_kms.audit.verify import verify
from daena_kms.errors import ConfigError, KeyNotFound
from daena_kms.operations import Operations
from daena_kms.rules.model import Version, VersionState

from tests.contract.harness import DAY, Harness, value

HOUR = timedelta(hours=1)
WHY = "seen in a public log, ticket 4711"


def current(harness: Harness, key_id: str) -> Version:
    """Return the key's current version."""
    version = harness.adapter.store.describe(key_id, exact=True).current
    assert version is not None
    return version


def states(harness: Harness, key_id: str) -> list[VersionState]:
    """Return the states of a key's versions, sorted."""
    return sorted(v.state for v in harness.adapter.store.describe(key_id, exact=True).versions)


@pytest.mark.parametrize("spec", ["token", "aes-256"])
def test_the_old_version_is_retired_at_once(harness: Harness, spec: str) -> None:
    """Whatever its grace; the new one is current, and the answer says which and what it means."""
    Operations(harness.adapter, harness.log).create("app-key", spec=spec)
    old = current(harness, "app-key")
    summary = harness.run(HOUR, keys=["app-key"], compromised=True, reason=WHY)
    assert (summary.rotated, summary.revoked, summary.failed) == (["app-key"], ["app-key"], [])
    assert summary.revoked_versions == {"app-key": [old.id]}
    assert states(harness, "app-key") == [VersionState.CURRENT, VersionState.RETIRED]
    assert current(harness, "app-key").id == summary.new_versions["app-key"] != old.id
    assert harness.adapter.get_key("app-key")
    with pytest.raises(KeyNotFound):
        harness.adapter.get_key("app-key", "previous")
    said = summary.to_dict()
    assert said["revoking"]["means"] in said["notes"]["app-key"]
    assert (said["revoking"]["undo"] in said["notes"]["app-key"]) == (spec == "aes-256")
    if summary.revoking is not None and summary.revoking.readable is None:
        with pytest.raises(KeyNotFound, match=r"retired|disabled"):
            harness.adapter.get_key("app-key", old.id)
    assert harness.run(2 * HOUR).actions == []
    assert verify(harness.log, harness.adapter.store.inventory()).ok


def test_the_log_says_who_why_when_and_which(harness: Harness) -> None:
    """Both actions are in the log as those of an emergency, each with its times."""
    harness.adapter.create_key("app-key")
    old = current(harness, "app-key")
    harness.run(HOUR, keys=["app-key"], compromised=True, reason=WHY, principal="night watch")
    rows = list(history(harness.log, key_id="app-key"))
    assert [(row["kind"], row["result"]) for row in rows] == [
        ("rotate", "done"),
        ("retire", "done"),
    ]
    for row in rows:
        assert (row["reason"], row["principal"], row["compromised"]) == (WHY, "night watch", True)
        assert row["started"] <= row["ended"]
    assert rows[1]["version"] == old.id


def test_it_takes_names_and_a_reason(harness: Harness) -> None:
    """Without either nothing changes, in the store or in the log."""
    harness.adapter.create_key("app-key")
    before = harness.state()
    for given in (
        {"keys": ["app-key"]},
        {"keys": ["app-key"], "reason": " "},
        {"keys": [], "reason": WHY},
        {"reason": WHY},
        {"keys": ["app-key"], "reason": WHY, "if_due": True},
    ):
        with pytest.raises(ConfigError, match="emergency rotation"):
            harness.run(HOUR, compromised=True, **given)
    assert harness.state() == before
    assert harness.log.entries("log/") == []


def test_a_dry_run_says_what_it_would_come_to(harness: Harness) -> None:
    """It plans the rotation and, after it, the retirement, and changes nothing."""
    harness.adapter.create_key("app-key")
    old, before = current(harness, "app-key"), harness.state()
    summary = harness.run(HOUR, keys=["app-key"], compromised=True, dry_run=True)
    planned = [(a.kind.value, a.version, a.compromised) for a in summary.actions]
    assert planned == [("rotate", None, True), ("retire", old.id, True)]
    assert summary.revoking == harness.adapter.store.revoking
    assert harness.state() == before


def test_what_may_not_be_rotated_is_refused(harness: Harness) -> None:
    """A key on hold, one that is not managed and one that is not there: nothing of them changes."""
    harness.adapter.create_key("held-key")
    harness.tag("held-key", hold="true")
    harness.foreign("their-key", value())
    before = harness.state()
    names = ["held-key", "no-key", "their-key"]
    summary = harness.run(HOUR, keys=names, compromised=True, reason=WHY)
    assert (summary.failed, summary.revoked, summary.rotated) == (names, [], [])
    assert harness.state() == before


def test_versions_before_it_keep_their_grace(harness: Harness) -> None:
    """Only what was current is compromised; the one before it reads on, and the answer says so."""
    first = harness.adapter.create_key("app-key", spec="token")
    oldest = current(harness, "app-key")
    harness.run(HOUR, keys=["app-key"])
    summary = harness.run(2 * HOUR, keys=["app-key"], compromised=True, reason=WHY)
    assert summary.revoked == ["app-key"]
    assert f"not current stay readable: {oldest.id}" in summary.notes["app-key"]
    assert harness.adapter.get_key("app-key", "previous") == first
    assert harness.run(7 * DAY).actions == []
    assert harness.run(9 * DAY).retired == ["app-key"]


def test_the_next_emergency_and_a_rollback(harness: Harness) -> None:
    """Rolling back leads past what is compromised, and a run does not undo it."""
    first = harness.adapter.create_key("app-key")
    harness.run(HOUR, keys=["app-key"])
    for hours in (2, 3):
        summary = harness.run(hours * HOUR, keys=["app-key"], compromised=True, reason=WHY)
        assert summary.revoked == ["app-key"]
    operations = Operations(harness.adapter, harness.log, now=harness.began + 4 * HOUR)
    operations.rollback("app-key")
    assert harness.adapter.get_key("app-key") == first
    assert harness.run(5 * HOUR).actions == []
    assert states(harness, "app-key").count(VersionState.RETIRED) == 2


def test_who_needs_it_after_all_gets_at_it(harness: Harness) -> None:
    """By the means that the answer names; it reads again, can be rolled back to, and stays so."""
    first = harness.adapter.create_key("data-key")
    old = current(harness, "data-key")
    harness.run(HOUR, keys=["data-key"], compromised=True, reason=WHY)
    harness.undo("data-key", old.id)
    assert harness.adapter.get_key("data-key", old.id) == first
    for days in (1, 30):
        assert harness.run(days * DAY).actions == []
    assert harness.adapter.get_key("data-key", old.id) == first
    now = harness.began + 31 * DAY
    Operations(harness.adapter, harness.log, now=now).rollback("data-key", old.id)
    assert harness.adapter.get_key("data-key") == first
