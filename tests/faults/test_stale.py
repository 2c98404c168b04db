"""A listing minutes old: what the key itself says right before the change is what counts."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from daena_kms.rules.plan import Kind
from daena_kms.stores.base import Staged

from infra.local.gcp.state import DISABLED, ENABLED
from tests.worlds.aws import AwsWorld
from tests.worlds.azure import AzureWorld
from tests.worlds.base import DAY, World, value
from tests.worlds.gcp import GcpWorld
from tests.worlds.kinds import CLOUDS, InCloud

type Change = Callable[[Any], object]

KEY, OTHER = "app-key", "other-key"
LATER = 91 * DAY
MINUTE = timedelta(minutes=1)
FUNCTION = "arn:aws:lambda:eu-central-1:123456789012:function:theirs"


def prepare(world: World) -> None:
    """Make a token and a key whose versions are retired, too."""
    world.operations().create(KEY, spec="token")
    world.operations().create(OTHER, tags={"daena.grace": "7d"})


@pytest.fixture
def due(cloud: InCloud) -> InCloud:
    """Give two keys that are due later."""
    prepare(cloud)
    return cloud


@pytest.fixture
def stale(due: InCloud) -> InCloud:
    """Let the listing stay as it is now."""
    due.sim.freeze_listing()
    return due


def _hold(world: World) -> None:
    world.retag(KEY, {"daena.hold": "true"})


def _hold_for_a_while(world: World) -> None:
    until = (world.began + 200 * DAY).strftime("%Y-%m-%dT%H:%M:%SZ")
    world.retag(KEY, {"daena.hold": until})


def _longer(world: World) -> None:
    longer: dict[str, str | None] = {"daena.rotate-after": "200d", "daena.grace": "200d"}
    if world.adapter.store.can.destroy_means is not None:
        longer["daena.destroy-after"] = "200d"
    world.retag(KEY, longer)


def _unmanage(world: World) -> None:
    world.retag(KEY, {"daena.managed": None})


def _unmanage_by_value(world: World) -> None:
    world.retag(KEY, {"daena.managed": "false"})


def _erase(world: World) -> None:
    world.erase(KEY)


def _delete_on_aws(world: AwsWorld) -> None:
    world.secrets.delete_secret(SecretId=KEY, RecoveryWindowInDays=7)


def _hand_over_on_aws(world: AwsWorld) -> None:
    world.secrets.rotate_secret(SecretId=KEY, RotationLambdaARN=FUNCTION)


def _give_away(world: AwsWorld) -> None:
    world.sim.secrets.secret(KEY).owning_service = "appflow"


def _set_without_tags(world: AzureWorld) -> None:
    world.foreign(KEY, value())


def _delete_on_azure(world: AzureWorld) -> None:
    world.sim.secrets.delete(world.sim.secrets.secret(KEY))


def _hand_over_on_azure(world: AzureWorld) -> None:
    world.sim.secrets.put(replace(world.sim.secrets.secret(KEY), kid="https://x/keys/app-key/1"))


def _disable(world: AzureWorld) -> None:
    world.operate(KEY, enabled=False)


def _mark_as_deleted(world: GcpWorld) -> None:
    world.retag(KEY, {"daena-deleted": "2026-01-01T00:00:00Z"})


ASKED = (_hold, _hold_for_a_while, _longer)
_ANYWHERE: list[Change] = [_unmanage, _unmanage_by_value, _erase]
#: What takes the key from us, by cloud.
NOT_OURS: dict[str, list[Change]] = {
    "aws": [*_ANYWHERE, _delete_on_aws, _hand_over_on_aws, _give_away],
    "azure": [*_ANYWHERE, _set_without_tags, _delete_on_azure, _hand_over_on_azure, _disable],
    "gcp": [*_ANYWHERE, _mark_as_deleted],
}


def _each(changes: dict[str, list[Change]]) -> pytest.MarkDecorator:
    pairs = [(cloud, change) for cloud, some in changes.items() for change in some]
    ids = [f"{cloud}{getattr(change, '__name__', '')}" for cloud, change in pairs]
    return pytest.mark.parametrize(("cloud", "change"), pairs, ids=ids, indirect=["cloud"])


not_ours = _each(NOT_OURS)
#: Where promotion is a compare-and-swap; on Azure the claim keeps out those who respect it alone.
swapping = pytest.mark.parametrize("world", ["aws", "gcp"], indirect=True)
any_change = _each({kind: [*ASKED, *NOT_OURS[kind]] for kind in CLOUDS})


def test_a_listing_that_misses_a_rotation_makes_no_second_one(stale: InCloud) -> None:
    """Runs on a listing from before a rotation plan the key, look at it, and leave it alone."""
    first = stale.run(LATER)
    assert first.rotated == [KEY, OTHER]
    before = stale.state()
    # Also when claims have run out.
    for minutes in (1, 2, 5, 17, 60, 120):
        again = stale.run(LATER + minutes * MINUTE)
        assert (again.rotated, again.finished, again.failed) == ([], [], [])
        assert again.skipped == [KEY, OTHER]
        assert again.notes[KEY].startswith("already rotated")
        if not isinstance(stale, AzureWorld):
            assert again.notes[KEY].startswith(f"already rotated: {first.new_versions[KEY]}")
        assert again.overdue == 0
    assert stale.state() == before
    stale.sim.unfreeze_listing()
    assert stale.run(LATER + timedelta(hours=3)).actions == []
    assert stale.verify().ok


def test_a_rotation_by_name_is_not_repeated_from_a_stale_listing(stale: InCloud) -> None:
    """A key that somebody rotated by name a minute ago is not rotated as due."""
    made = stale.run(LATER, keys=[KEY]).new_versions[KEY]
    assert stale.run(LATER + MINUTE).rotated == [OTHER]
    assert stale.current(KEY) == made


@pytest.mark.parametrize("change", ASKED)
def test_what_its_owner_asked_a_minute_ago_is_heeded(stale: InCloud, change: Change) -> None:
    """A key put on hold or given a longer interval since the listing is skipped, and told why."""
    change(stale)
    before = stale.state().get(KEY)
    summary = stale.run(LATER)
    assert (summary.rotated, summary.skipped, summary.failed) == ([OTHER], [KEY], [])
    assert "hold" in summary.notes[KEY] or "next due" in summary.notes[KEY]
    assert stale.state().get(KEY) == before


@not_ours
def test_a_key_that_is_no_longer_ours_is_left_alone(stale: InCloud, change: Change) -> None:
    """A key un-managed, set by hand, deleted, disabled or handed over since does not change."""
    change(stale)
    before = stale.state().get(KEY)
    summary = stale.run(LATER)
    assert summary.rotated == [OTHER]
    assert KEY in {*summary.skipped, *summary.failed}
    assert stale.state().get(KEY) == before
    assert stale.verify().problems == []


@any_change
def test_what_its_owner_asked_a_minute_ago_saves_old_versions(due: InCloud, change: Change) -> None:
    """Nor is a version of it retired, which no compare-and-swap would prevent."""
    assert due.run(LATER).rotated == [KEY, OTHER]
    due.sim.freeze_listing()
    change(due)
    before = due.state().get(KEY)
    summary = due.run(99 * DAY)
    planned = [a.kind for a in summary.actions if a.key_id == KEY]
    # Before it retires on Azure, a run looks at the key already as it plans.
    assert Kind.RETIRE not in planned if isinstance(due, AzureWorld) else planned == [Kind.RETIRE]
    assert summary.retired == [OTHER]
    assert due.state().get(KEY) == before


@pytest.mark.parametrize("change", [*ASKED, *NOT_OURS["gcp"]])
def test_what_its_owner_asked_a_minute_ago_saves_retired_versions(
    gcp: GcpWorld, change: Change
) -> None:
    """Nor is one destroyed, which nobody could undo; Google Cloud alone can destroy a version."""
    tags = {"daena.grace": "1d", "daena.destroy-after": "5d", "daena.rotate-after": "30d"}
    for key_id in (KEY, OTHER):
        gcp.operations().create(key_id, spec="token", tags=tags)
    for days in (31, 62):
        assert gcp.run(days * DAY).rotated == [KEY, OTHER]
    assert gcp.run(64 * DAY).retired == [KEY, OTHER]
    gcp.sim.freeze_listing()
    change(gcp)
    before = gcp.state().get(KEY)
    summary = gcp.run(70 * DAY)
    assert Kind.DESTROY in [a.kind for a in summary.actions if a.key_id == KEY]
    assert summary.destroyed == [OTHER]
    assert gcp.state().get(KEY) == before


@swapping
def test_a_version_restored_to_use_is_not_retired(world: AwsWorld | GcpWorld) -> None:
    """A version that somebody made current again since the listing is neither retired nor let go.

    Key Vault can't make one current again: there a new version is set.
    """
    world.operations().create(KEY, spec="token")
    first, old = world.adapter.get_key(KEY), world.current(KEY)
    world.run(LATER)
    world.sim.freeze_listing()
    world.reinstate(KEY, old)
    before = world.state()[KEY]
    summary = world.run(99 * DAY)
    assert [a.kind for a in summary.actions if a.version == old][:1] == [Kind.RETIRE]
    assert (summary.retired, summary.released) == ([], [])
    assert world.adapter.get_key(KEY) == first
    assert world.state()[KEY] == before


def _meddling(world: World, monkeypatch: pytest.MonkeyPatch, meddle: Callable[[], object]) -> None:
    """Let somebody else do something between the writing of a version and its promotion."""
    stage = world.adapter.store.stage

    def staged(*arguments: Any) -> Staged:
        made = stage(*arguments)
        meddle()
        return made

    monkeypatch.setattr(world.adapter.store, "stage", staged)


@swapping
def test_a_tag_of_a_moment_ago_is_not_lost(
    world: AwsWorld | GcpWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor what is written between our look and our promotion."""
    prepare(world)
    _meddling(world, monkeypatch, lambda: world.retag(KEY, {"daena.keep": "5"}))
    assert world.run(LATER, keys=[KEY]).rotated == [KEY]
    assert world.look(KEY).tags["daena.keep"] == "5"


@swapping
def test_a_key_changed_between_the_look_and_the_promotion_loses_the_race(
    world: AwsWorld | GcpWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A version that others made current meanwhile stays current; ours is given up."""
    prepare(world)
    theirs = value(32)
    _meddling(world, monkeypatch, lambda: world.overwrite(KEY, theirs))
    summary = world.run(LATER, keys=[KEY])
    assert (summary.rotated, summary.skipped, summary.failed) == ([], [KEY], [])
    assert world.adapter.get_key(KEY) == theirs
    if isinstance(world, AwsWorld):
        labels, versions = (held := world.sim.secrets.secret(KEY)).labels, held.versions
        assert "AWSPENDING" not in labels
        assert versions[labels["AWSCURRENT"]].value.text == theirs
    else:
        secret = world.sim.secrets[KEY]
        assert secret.version_aliases["current"] == 3
        assert [secret.versions[n].state for n in (1, 2, 3)] == [ENABLED, DISABLED, ENABLED]
