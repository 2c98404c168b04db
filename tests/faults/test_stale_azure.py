"""Listings and reads of Key Vault that lag: what the key itself says, or its claim, decides."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from daena_kms.errors import KeyExists, RotationConflict, StoreUnavailable

from infra.local.azure.secrets_state import Secret
from infra.local.faults import only
from tests.worlds.azure import AzureWorld
from tests.worlds.base import CLAIMED, DAY
from tests.worlds.kinds import open_world

KEY, OTHER = "app-key", "other-key"
LATER = 91 * DAY
MINUTE = timedelta(minutes=1)
READ, SET = only("keyvault", "GetSecret"), only("keyvault", "SetSecret")


@pytest.fixture
def azure(tmp_path: Path) -> Iterator[AzureWorld]:
    """Give an Azure with two keys."""
    with open_world("azure", tmp_path) as world:
        assert isinstance(world, AzureWorld)
        for key_id in (KEY, OTHER):
            world.operations().create(key_id)
        yield world


@pytest.fixture
def stale(azure: AzureWorld) -> AzureWorld:
    """Let the listing stay as it is now."""
    azure.sim.freeze_listing()
    return azure


def _one(world: AzureWorld) -> Secret | None:
    return world.sim.secrets.live.get(KEY)


def _tags(world: AzureWorld) -> dict[str, str]:
    return dict(world.sim.secrets.secret(KEY).newest.tags)


def test_a_listing_that_misses_a_rotation_makes_no_second_one(stale: AzureWorld) -> None:
    """Runs on a listing from before a rotation look at the key, and leave it alone."""
    assert stale.run(LATER).rotated == [KEY, OTHER]
    before = stale.state()
    # Also when the claims have run out.
    for minutes in (1, 2, 5, 17, 120):
        again = stale.run(LATER + minutes * MINUTE)
        assert (again.rotated, again.finished, again.failed) == ([], [], [])
        assert again.skipped == [KEY, OTHER]
        assert again.notes[KEY].startswith("already rotated")
        assert again.overdue == 0
    assert stale.state() == before
    stale.sim.unfreeze_listing()
    assert stale.run(LATER + timedelta(hours=3)).actions == []
    assert stale.verify().ok


def test_a_rotation_by_name_is_not_repeated_from_a_stale_listing(stale: AzureWorld) -> None:
    """A key that somebody rotated by name a minute ago is not rotated as due."""
    made = stale.run(LATER, keys=[KEY]).new_versions[KEY]
    assert stale.run(LATER + MINUTE).rotated == [OTHER]
    assert stale.current(KEY) == made


def _hold(world: AzureWorld) -> None:
    world.operate(KEY, tags={**_tags(world), "daena.hold": "true"})


def _hold_for_a_while(world: AzureWorld) -> None:
    until = (world.began + 92 * DAY).strftime("%Y-%m-%dT%H:%M:%SZ")
    world.operate(KEY, tags={**_tags(world), "daena.hold": until})


def _longer(world: AzureWorld) -> None:
    world.operate(KEY, tags={**_tags(world), "daena.rotate-after": "99d"})


def _unmanage(world: AzureWorld) -> None:
    tags = _tags(world)
    del tags["daena.managed"]
    world.operate(KEY, tags=tags)


def _unmanage_by_value(world: AzureWorld) -> None:
    world.operate(KEY, tags={**_tags(world), "daena.managed": "false"})


def _without_tags(world: AzureWorld) -> None:
    world.foreign(KEY, "x" * 43)


def _delete(world: AzureWorld) -> None:
    world.sim.secrets.delete(world.sim.secrets.secret(KEY))


def _hand_over(world: AzureWorld) -> None:
    world.sim.secrets.put(replace(world.sim.secrets.secret(KEY), kid="https://x/keys/app-key/1"))


def _disable(world: AzureWorld) -> None:
    world.operate(KEY, enabled=False)


type Change = Callable[[AzureWorld], None]


@pytest.mark.parametrize("change", [_hold, _hold_for_a_while, _longer])
def test_what_its_owner_asked_a_minute_ago_is_heeded(stale: AzureWorld, change: Change) -> None:
    """A key put on hold or given a longer interval since the listing is skipped, and told why."""
    change(stale)
    before = _one(stale)
    summary = stale.run(LATER)
    assert (summary.rotated, summary.skipped, summary.failed) == ([OTHER], [KEY], [])
    assert "hold" in summary.notes[KEY] or "next due" in summary.notes[KEY]
    assert _one(stale) == before


@pytest.mark.parametrize(
    "change", [_unmanage, _unmanage_by_value, _without_tags, _delete, _hand_over, _disable]
)
def test_a_key_that_is_no_longer_ours_is_left_alone(stale: AzureWorld, change: Change) -> None:
    """A key un-managed, set by hand, deleted, disabled or handed over since does not change."""
    change(stale)
    before = _one(stale)
    summary = stale.run(LATER)
    assert summary.rotated == [OTHER]
    assert KEY in {*summary.skipped, *summary.failed}
    assert _one(stale) == before


def test_tags_of_a_minute_ago_are_not_lost(stale: AzureWorld) -> None:
    """The new version has the tags and the kind of content that the last one had, not the list."""
    first = {**_tags(stale), "team": "them", "daena.grace": "30d", "daena.spec": "token"}
    stale.operate(KEY, tags=first, content_type="text/plain")
    assert KEY in stale.run(LATER).rotated
    newest = stale.sim.secrets.secret(KEY).newest
    own = {"daena-version", "daena-open"}
    kept = {name: text for name, text in first.items() if name not in own}
    assert {n: t for n, t in newest.tags.items() if n not in own} == kept
    assert newest.content_type == "text/plain"
    stale.sim.freeze_listing()
    stale.operate(KEY, tags={n: t for n, t in newest.tags.items() if n != "team"})
    assert KEY in stale.run(2 * LATER).rotated
    assert "team" not in _tags(stale)


def test_a_hold_of_a_minute_ago_keeps_old_versions(azure: AzureWorld) -> None:
    """Nothing is retired of a key that was put on hold since the listing."""
    azure.operations().create("api-token", spec="token")
    assert azure.run(LATER, keys=["api-token"]).rotated == ["api-token"]
    azure.sim.freeze_listing()
    secret = azure.sim.secrets.secret("api-token")
    azure.operate("api-token", tags={**secret.newest.tags, "daena.hold": "true"})
    summary = azure.run(99 * DAY)
    assert "api-token" not in summary.retired
    assert [v.enabled for v in azure.sim.secrets.versions("api-token")] == [True, True]


def test_reads_that_lag_make_no_second_rotation(azure: AzureWorld) -> None:
    """While a read shows the version before, the claim on that version keeps a rotation out."""
    azure.sim.freeze_reads()
    assert azure.run(LATER).rotated == [KEY, OTHER]
    before = azure.sim.secrets.secret(KEY)
    azure.sim.freeze_listing()
    for minutes in (0, 1, 14):
        again = azure.run(LATER + minutes * MINUTE)
        named = azure.run(LATER + minutes * MINUTE, keys=[KEY])
        assert (again.rotated, again.failed, named.rotated) == ([], [], [])
    assert azure.sim.secrets.secret(KEY) == before
    azure.sim.unfreeze_reads()
    assert azure.run(LATER + CLAIMED).rotated == []


def test_one_read_that_lags_makes_no_second_rotation(azure: AzureWorld) -> None:
    """So it is for who reads in the moment after another process's rotation."""
    azure.adapter.rotate_key(KEY)
    azure.sim.faults.stale(when=READ)
    with pytest.raises(RotationConflict, match="holds it"):
        azure.again().rotate_key(KEY)
    assert len(azure.sim.secrets.versions(KEY)) == 2


def test_a_lost_answer_and_reads_that_lag(azure: AzureWorld) -> None:
    """What can't be told yet is unknown, and told by the next run; nothing is set again."""
    azure.sim.faults.fail_after(1, when=SET)
    azure.sim.freeze_reads()
    summary = azure.run(DAY, keys=[KEY])
    assert isinstance(summary.errors[KEY], StoreUnavailable)
    made = azure.sim.secrets.secret(KEY)
    assert len(made.versions) == 2
    for minutes in (1, 14):
        assert azure.run(DAY + minutes * MINUTE, keys=[KEY]).rotated == []
    azure.sim.unfreeze_reads()
    assert azure.run(DAY + CLAIMED).rotated == []
    assert azure.sim.secrets.secret(KEY) == made
    assert azure.verify().ok


def test_a_creation_and_reads_that_lag(azure: AzureWorld) -> None:
    """A key is not created a second time over one that a read does not show yet."""
    azure.sim.faults.fail_after(1, when=SET)
    azure.sim.freeze_reads()
    with pytest.raises(StoreUnavailable):
        azure.operations().create("new-key")
    made = azure.sim.secrets.secret("new-key")
    with pytest.raises(KeyExists):
        azure.operations(14 * MINUTE).create("new-key")
    azure.sim.unfreeze_reads()
    with pytest.raises(KeyExists):
        azure.operations(CLAIMED).create("new-key")
    assert azure.sim.secrets.secret("new-key") == made


def test_a_creation_right_after_another(azure: AzureWorld) -> None:
    """Nor one that was created a moment ago."""
    azure.adapter.create_key("new-key")
    made = azure.sim.secrets.secret("new-key")
    azure.sim.faults.stale(when=READ)
    with pytest.raises(KeyExists):
        azure.again().create_key("new-key")
    assert azure.sim.secrets.secret("new-key") == made
