"""Listings, lists of versions and aliases that lag on Google Cloud: the etag decides, or a look.

https://cloud.google.com/secret-manager/docs/reference/consistency
"""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from daena_kms.rules.plan import Kind
from daena_kms.stores.gcp.claim import Lease, Leased

from infra.local.gcp.state import DISABLED, ENABLED
from tests.worlds.base import DAY
from tests.worlds.gcp import GcpWorld
from tests.worlds.kinds import open_world

KEY, OTHER = "app-key", "other-key"
LATER = 91 * DAY
MINUTE = timedelta(minutes=1)


@pytest.fixture
def gcp(tmp_path: Path) -> Iterator[GcpWorld]:
    """Give a Google Cloud with two keys."""
    with open_world("gcp", tmp_path) as world:
        assert isinstance(world, GcpWorld)
        for key_id in (KEY, OTHER):
            world.operations().create(key_id, spec="token")
        yield world


@pytest.fixture
def stale(gcp: GcpWorld) -> GcpWorld:
    """Let the listing stay as it is now."""
    gcp.sim.freeze_listing()
    return gcp


def _one(world: GcpWorld) -> object:
    state = world.state()
    assert isinstance(state, dict)
    return next((secret for name, secret in state.items() if name.endswith(f"/{KEY}")), None)


def test_a_listing_that_misses_a_rotation_makes_no_second_one(stale: GcpWorld) -> None:
    """Runs on a listing from before a rotation look at the key, and leave it alone."""
    first = stale.run(LATER)
    assert first.rotated == [KEY, OTHER]
    before = stale.state()
    for minutes in (1, 2, 5, 17, 120):
        again = stale.run(LATER + minutes * MINUTE)
        assert (again.rotated, again.finished, again.failed) == ([], [], [])
        assert again.skipped == [KEY, OTHER]
        assert again.notes[KEY].startswith(f"already rotated: {first.new_versions[KEY]}")
        assert again.overdue == 0
    assert stale.state() == before
    stale.sim.unfreeze_listing()
    assert stale.run(LATER + timedelta(hours=3)).actions == []
    assert stale.verify().ok


def test_a_rotation_by_name_is_not_repeated_from_a_stale_listing(stale: GcpWorld) -> None:
    """A key that somebody rotated by name a minute ago is not rotated as due."""
    made = stale.run(LATER, keys=[KEY]).new_versions[KEY]
    assert stale.run(LATER + MINUTE).rotated == [OTHER]
    assert stale.current(KEY) == made


def _annotate(world: GcpWorld, **changes: str | None) -> None:
    known = dict(world.sim.secrets[KEY].annotations)
    known |= {f"daena.{n.replace('_', '-')}": text or "" for n, text in changes.items()}
    gone = {f"daena.{n.replace('_', '-')}" for n, text in changes.items() if text is None}
    world.change(KEY, annotations={n: t for n, t in known.items() if n not in gone})


def _hold(world: GcpWorld) -> None:
    _annotate(world, hold="true")


def _hold_for_a_while(world: GcpWorld) -> None:
    _annotate(world, hold=(world.began + 200 * DAY).strftime("%Y-%m-%dT%H:%M:%SZ"))


def _longer(world: GcpWorld) -> None:
    _annotate(world, rotate_after="200d", grace="200d", destroy_after="200d")


def _unmanage(world: GcpWorld) -> None:
    _annotate(world, managed=None)


def _unmanage_by_value(world: GcpWorld) -> None:
    _annotate(world, managed="false")


def _purge(world: GcpWorld) -> None:
    world.client.delete_secret(request={"name": world.name(KEY)})


def _mark_as_deleted(world: GcpWorld) -> None:
    known = dict(world.sim.secrets[KEY].annotations)
    world.change(KEY, annotations={**known, "daena-deleted": "2026-01-01T00:00:00Z"})


type Change = Callable[[GcpWorld], None]
CHANGES = [
    *(_hold, _hold_for_a_while, _longer, _unmanage, _unmanage_by_value),
    *(_purge, _mark_as_deleted),
]


@pytest.mark.parametrize("change", CHANGES)
def test_what_its_owner_asked_a_minute_ago_is_heeded(stale: GcpWorld, change: Change) -> None:
    """A key that is on hold, not due, not managed or gone since the listing is not rotated."""
    change(stale)
    before = _one(stale)
    summary = stale.run(LATER)
    assert summary.rotated == [OTHER]
    assert KEY in {*summary.skipped, *summary.failed}
    assert _one(stale) == before


@pytest.mark.parametrize("change", CHANGES)
def test_what_its_owner_asked_a_minute_ago_saves_old_versions(
    gcp: GcpWorld, change: Change
) -> None:
    """Nor is a version of it retired, which no etag of a stale listing would prevent."""
    assert gcp.run(LATER).rotated == [KEY, OTHER]
    gcp.sim.freeze_listing()
    change(gcp)
    before = _one(gcp)
    summary = gcp.run(99 * DAY)
    assert [a.kind for a in summary.actions if a.key_id == KEY] == [Kind.RETIRE]
    assert summary.retired == [OTHER]
    assert _one(gcp) == before


@pytest.mark.parametrize("change", CHANGES)
def test_what_its_owner_asked_a_minute_ago_saves_retired_versions(
    gcp: GcpWorld, change: Change
) -> None:
    """Nor is one destroyed, which nobody could undo."""
    tags = {"daena.grace": "1d", "daena.destroy-after": "5d", "daena.rotate-after": "30d"}
    for key_id in (KEY, OTHER):
        key = gcp.look(key_id)
        gcp.adapter.store.tag(key, tags)
    for days in (31, 62):
        assert gcp.run(days * DAY).rotated == [KEY, OTHER]
    assert gcp.run(64 * DAY).retired == [KEY, OTHER]
    gcp.sim.freeze_listing()
    change(gcp)
    before = _one(gcp)
    summary = gcp.run(70 * DAY)
    assert Kind.DESTROY in [a.kind for a in summary.actions if a.key_id == KEY]
    assert summary.destroyed == [OTHER]
    assert _one(gcp) == before


def test_a_version_restored_to_use_is_not_retired(gcp: GcpWorld) -> None:
    """A version that somebody made current again since the listing stays as it is."""
    first = gcp.adapter.get_key(KEY)
    gcp.run(LATER)
    gcp.sim.freeze_listing()
    gcp.change(KEY, version_aliases={"current": 1, "previous": 2})
    before = _one(gcp)
    summary = gcp.run(99 * DAY)
    assert [a.kind for a in summary.actions if a.version == "1"][:1] == [Kind.RETIRE]
    assert KEY not in summary.retired
    assert gcp.adapter.get_key(KEY) == first
    assert _one(gcp) == before


def test_annotations_of_a_minute_ago_are_not_lost(stale: GcpWorld) -> None:
    """What somebody wrote since the listing stays, and what they took away does not come back."""
    known = dict(stale.sim.secrets[KEY].annotations)
    stale.change(KEY, annotations={**known, "team": "them"}, labels={"cost": "1"})
    assert KEY in stale.run(LATER).rotated
    secret = stale.sim.secrets[KEY]
    assert (secret.annotations["team"], secret.labels) == ("them", {"cost": "1"})


def _meddling(monkeypatch: pytest.MonkeyPatch, meddle: Callable[[], None]) -> None:
    """Let somebody else do something between the addition of a version and its promotion."""
    add = Lease.add

    def added(self: Lease, leased: Leased, key_id: str, material: str) -> str:
        made = add(self, leased, key_id, material)
        meddle()
        return made

    monkeypatch.setattr(Lease, "add", added)


def test_annotations_of_a_moment_ago_are_not_lost(
    gcp: GcpWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor what is written between our claim and our promotion."""
    _meddling(monkeypatch, lambda: _annotate(gcp, keep="5"))
    assert gcp.run(LATER, keys=[KEY]).rotated == [KEY]
    assert gcp.sim.secrets[KEY].annotations["daena.keep"] == "5"


def test_a_key_changed_between_the_look_and_the_promotion_loses_the_race(
    gcp: GcpWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A version that others made current meanwhile stays current; ours is disabled."""
    _meddling(monkeypatch, lambda: gcp.overwrite(KEY, "x" * 43))
    summary = gcp.run(LATER, keys=[KEY])
    assert (summary.rotated, summary.failed) == ([], [])
    secret = gcp.sim.secrets[KEY]
    assert secret.version_aliases["current"] == 3
    assert [secret.versions[n].state for n in (1, 2, 3)] == [ENABLED, DISABLED, ENABLED]


def test_aliases_that_lag_do_no_harm(gcp: GcpWorld) -> None:
    """Who reads current gets the version before until it converges; no run rotates again."""
    first = gcp.adapter.get_key(KEY)
    gcp.sim.freeze_aliases()
    made = gcp.run(LATER).new_versions[KEY]
    assert gcp.adapter.get_key(KEY) == first
    for after in (MINUTE, timedelta(hours=5), 6 * DAY):
        assert gcp.run(LATER + after).actions == []
        assert gcp.adapter.get_key(KEY) == first
    assert gcp.adapter.get_key(KEY, made) != first
    gcp.sim.unfreeze_aliases()
    assert gcp.adapter.get_key(KEY) == gcp.adapter.get_key(KEY, made)


def test_a_list_of_versions_that_lags_does_no_harm(gcp: GcpWorld) -> None:
    """A version that is not listed yet is none that is gone: it is there, and can be left again."""
    first = gcp.adapter.get_key(KEY)
    gcp.sim.freeze_versions()
    made = gcp.run(MINUTE, keys=[KEY]).new_versions[KEY]
    assert gcp.current(KEY) == made
    assert gcp.verify().ok
    gcp.operations(2 * MINUTE).rollback(KEY)
    assert gcp.adapter.get_key(KEY) == first
    gcp.sim.unfreeze_versions()
    assert sorted(gcp.readable(KEY)) == ["1", "2", "3"]
