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


def test_annotations_of_a_minute_ago_are_not_lost(due: GcpWorld) -> None:
    """What somebody wrote since the listing stays, and what they took away does not come back."""
    due.sim.freeze_listing()
    known = dict(due.sim.secrets[KEY].annotations)
    due.change(KEY, annotations={**known, "team": "them"}, labels={"cost": "1"})
    assert KEY in due.run(LATER).rotated
    secret = due.sim.secrets[KEY]
    assert (secret.annotations["team"], secret.labels) == ("them", {"cost": "1"})


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


def test_aliases_that_lag_do_no_harm(due: GcpWorld) -> None:
    """Who reads current gets the version before until it converges; no run rotates again."""
    first = due.adapter.get_key(KEY)
    due.sim.freeze_aliases()
    made = due.run(LATER).new_versions[KEY]
    assert due.adapter.get_key(KEY) == first
    for after in (MINUTE, timedelta(hours=5), 6 * DAY):
        assert due.run(LATER + after).actions == []
        assert due.adapter.get_key(KEY) == first
    assert due.adapter.get_key(KEY, made) != first
    due.sim.unfreeze_aliases()
    assert due.adapter.get_key(KEY) == due.adapter.get_key(KEY, made)


def test_a_list_of_versions_that_lags_does_no_harm(due: GcpWorld) -> None:
    """A version that is not listed yet is none that is gone: it is there, and can be left again."""
    first = due.adapter.get_key(KEY)
    due.sim.freeze_versions()
    made = due.run(MINUTE, keys=[KEY]).new_versions[KEY]
    assert due.current(KEY) == made
    assert due.verify().ok
    due.operations(2 * MINUTE).rollback(KEY)
    assert due.adapter.get_key(KEY) == first
    due.sim.unfreeze_versions()
    assert sorted(due.readable(KEY)) == ["1", "2", "3"]
