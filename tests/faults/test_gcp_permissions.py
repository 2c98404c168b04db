"""On Google Cloud: a rotation that lacks a permission half-way, and updates by etag alone."""

import pytest
from daena_kms.errors import AccessDenied

from tests.faults.permissions import KEY, allow_what_is_listed
from tests.worlds.base import CLAIMED, DAY
from tests.worlds.gcp import GcpWorld

LATER = 91 * DAY


def _use_every_etag(world: GcpWorld) -> list[bool]:
    updates = [call for call in world.sim.calls if call.operation == "UpdateSecret"]
    found = []
    for call in updates:
        secret = call.params["secret"]
        assert isinstance(secret, dict)
        found.append(bool(secret.get("etag")))
    return found


def test_every_update_is_a_compare_and_swap(gcp: GcpWorld) -> None:
    """No update of a secret goes out without the etag that it was made on."""
    gcp.operations().create(KEY)
    gcp.sim.calls.clear()
    gcp.run(LATER)
    gcp.operations(LATER + DAY).rollback(KEY)
    gcp.operations(LATER + DAY).delete(KEY)
    gcp.operations(LATER + DAY).restore(KEY)
    etags = _use_every_etag(gcp)
    assert len(etags) >= 6
    assert all(etags)


def _rotate_after_a_crash(world: GcpWorld) -> None:
    store = world.adapter.store
    store.stage(store.describe(KEY), "never promoted", world.at(LATER))
    summary = world.run(LATER + CLAIMED, keys=[KEY])
    for error in summary.errors.values():
        raise error


def test_without_adding_versions_a_claim_is_given_back(gcp: GcpWorld) -> None:
    """A refused addition takes its claim off again, so that the next run goes on at once."""
    gcp.operations().create(KEY, spec="token")
    allow_what_is_listed(gcp, but="secretmanager.versions.add")
    before = dict(gcp.sim.secrets[KEY].annotations)
    with pytest.raises(AccessDenied, match="Google Cloud refused add_secret_version"):
        gcp.adapter.rotate_key(KEY)
    assert dict(gcp.sim.secrets[KEY].annotations) == before
    assert gcp.adapter.get_key(KEY)
    allow_what_is_listed(gcp)
    assert gcp.run(LATER).rotated == [KEY]


def test_without_looking_at_versions_no_takeover(gcp: GcpWorld) -> None:
    """Who may not look at what a crash left does not go on; the current version stays."""
    gcp.operations().create(KEY, spec="token")
    value = gcp.adapter.get_key(KEY)
    allow_what_is_listed(gcp, but="secretmanager.versions.get")
    with pytest.raises(AccessDenied, match="Google Cloud refused get_secret_version"):
        _rotate_after_a_crash(gcp)
    assert gcp.adapter.get_key(KEY) == value
    assert gcp.sim.secrets[KEY].version_aliases == {"current": 1}
    allow_what_is_listed(gcp)
    assert gcp.run(LATER + 3 * CLAIMED).failed == []
    assert gcp.sim.secrets[KEY].version_aliases["previous"] == 1
