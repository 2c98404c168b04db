"""On Azure: what becomes of a run that lacks an action on the vault, or on the place of claims."""

import pytest
from daena_kms.errors import AccessDenied, DaenaKMSError, StoreUnavailable

from infra.local.azure.auth import GET_SECRET, SET_SECRET
from tests.faults.permissions import KEY, LISTED, allow_what_is_listed
from tests.worlds.azure import AzureWorld
from tests.worlds.base import CLAIMED, DAY, refused

LATER = 91 * DAY
LOG_ACTIONS = sorted(LISTED["azure"].log)


@pytest.mark.parametrize("action", [GET_SECRET, SET_SECRET])
def test_a_run_without_it_fails_each_key(azure: AzureWorld, action: str) -> None:
    """A scheduled run reports each key with what to allow; with it the next run goes on at once."""
    azure.operations().create(KEY)
    allow_what_is_listed(azure, but=action)
    before = azure.state()
    summary = azure.run(LATER)
    assert summary.failed == [KEY]
    assert isinstance(summary.errors[KEY], AccessDenied)
    assert azure.state() == before
    allow_what_is_listed(azure)
    assert azure.run(LATER).rotated == [KEY]


def _rotate_after_a_crash(world: AzureWorld) -> None:
    store = world.adapter.store
    store.stage(store.describe(KEY), "never set", world.at(LATER))
    summary = world.run(LATER + CLAIMED)
    for error in summary.errors.values():
        raise error


@pytest.mark.parametrize("action", LOG_ACTIONS)
def test_one_action_less_on_the_claims(azure: AzureWorld, action: str) -> None:
    """Without one of them no claim is taken, or none taken over, and nothing is set."""
    azure.operations().create(KEY)
    allow_what_is_listed(azure, but=action, on="claims")
    error: type[DaenaKMSError] = StoreUnavailable
    with refused(azure, error, "the place for claims .*the permissions on it"):
        _rotate_after_a_crash(azure)
    allow_what_is_listed(azure)
    assert azure.run(LATER + 3 * CLAIMED).failed == []
    assert len(azure.readable(KEY)) == 2
