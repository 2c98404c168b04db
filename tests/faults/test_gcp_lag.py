"""On Google Cloud listings and aliases lag: only what is read by its number is immediate.

https://cloud.google.com/secret-manager/docs/reference/consistency
"""

from datetime import timedelta

import pytest

from tests.worlds.base import DAY
from tests.worlds.gcp import GcpWorld

KEY, OTHER = "app-key", "other-key"
LATER = 91 * DAY
MINUTE = timedelta(minutes=1)


@pytest.fixture
def due(gcp: GcpWorld) -> GcpWorld:
    """Give a token and a key, which are due later."""
    gcp.operations().create(KEY, spec="token")
    gcp.operations().create(OTHER)
    return gcp


def test_a_stale_listing_makes_no_second_rotation(due: GcpWorld) -> None:
    """Its etag is no longer the secret's: the key is looked at anew, and is not due."""
    due.sim.freeze_listing()
    assert sorted(due.run(LATER).rotated) == [KEY, OTHER]
    before = due.state()
    for minutes in (1, 5, 60):
        summary = due.run(LATER + minutes * MINUTE)
        assert (summary.rotated, summary.finished, summary.failed) == ([], [], [])
        assert sorted(summary.skipped) == [KEY, OTHER]
    assert due.state() == before
    due.sim.unfreeze_listing()
    assert due.run(LATER + 2 * 60 * MINUTE).actions == []
    assert due.verify().ok


def test_stale_aliases_lead_to_what_is_readable_still(due: GcpWorld) -> None:
    """A reader whose alias lags by hours gets the old value; nobody is refused, nothing repeats."""
    first = due.adapter.get_key(KEY)
    due.sim.freeze_aliases()
    assert sorted(due.run(LATER).rotated) == [KEY, OTHER]
    for hours in (0, 3, 23):
        assert due.run(LATER + timedelta(hours=hours, minutes=5)).actions == []
        assert due.adapter.get_key(KEY) == first
    due.sim.unfreeze_aliases()
    assert due.adapter.get_key(KEY) != first
    assert due.adapter.get_key(KEY, "previous") == first


def test_a_rotation_does_not_go_by_aliases(due: GcpWorld) -> None:
    """Rotated twice behind aliases that lag, each version is made from the one before."""
    due.sim.freeze_aliases()
    due.run(LATER, keys=[KEY])
    due.run(LATER + MINUTE, keys=[KEY])
    assert due.sim.secrets[KEY].version_aliases == {"current": 3, "previous": 2}
    assert set(due.readable(KEY)) == {"1", "2", "3"}


@pytest.mark.parametrize("exact", [False, True])
def test_a_stale_list_of_versions_hides_none_that_is_recorded(
    due: GcpWorld, *, exact: bool
) -> None:
    """Versions never leave Secret Manager's list: what it does not show yet is not gone."""
    due.sim.freeze_versions()
    due.run(LATER, keys=[KEY])
    key = due.adapter.store.describe(KEY, exact=exact)
    assert key.current is not None
    assert key.current.id == "2"
    assert key.previous is not None
    assert key.previous.id == "1"
    assert due.verify().ok


def test_what_goes_by_a_stale_list_of_versions_does_no_harm(due: GcpWorld) -> None:
    """Right after a rotation one can roll back, and a run retires, destroys and fails nothing."""
    first = due.adapter.get_key(KEY)
    due.sim.freeze_versions()
    due.run(LATER, keys=[KEY])
    due.operations(LATER + MINUTE).rollback(KEY)
    assert due.adapter.get_key(KEY) == first
    assert due.sim.secrets[KEY].version_aliases == {"current": 3, "previous": 2}
    summary = due.run(LATER + 2 * MINUTE)
    assert (summary.failed, summary.retired, summary.destroyed) == ([], [], [])
    assert {v.state.name for v in due.sim.secrets[KEY].versions.values()} == {"ENABLED"}
    assert due.verify().ok


def test_a_retirement_that_the_list_does_not_show_yet(due: GcpWorld) -> None:
    """What was retired and looks enabled still is retired once more at most, and nothing else."""
    due.run(LATER)
    due.sim.freeze_versions()
    assert due.run(LATER + 8 * DAY).retired == [KEY]
    for hours in (1, 2):
        summary = due.run(LATER + 8 * DAY + timedelta(hours=hours))
        assert (summary.failed, summary.rotated, summary.destroyed) == ([], [], [])
    states = [v.state.name for v in due.sim.secrets[KEY].versions.values()]
    assert states == ["DISABLED", "ENABLED"]
