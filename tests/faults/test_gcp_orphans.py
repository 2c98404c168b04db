"""What a process that died left behind on Google Cloud: shown as what it is."""

import contextlib
from datetime import timedelta

import pytest
from daena_kms.audit.verify import CONFIRMED, verify
from daena_kms.errors import DaenaKMSError, RotationConflict
from daena_kms.rules.model import VersionState

from infra.local.faults import only
from tests.worlds.base import DAY
from tests.worlds.gcp import GcpWorld
from tests.worlds.seam import Effect

KEY = "app-key"
HOUR = timedelta(hours=1)


@pytest.fixture
def orphaned(gcp: GcpWorld) -> GcpWorld:
    """Give a token of which a rotation added version 2 and died; a later one made version 3."""
    gcp.operations().create(
        KEY, spec="token", tags={"daena.grace": "1d", "daena.destroy-after": "1d"}
    )
    gcp.arm_at(Effect.KILLED_AFTER, only("secretmanager", "AddSecretVersion"))
    assert gcp.died(91 * DAY, KEY)
    assert gcp.run(91 * DAY + HOUR).failed == []
    assert gcp.current(KEY) == "3"
    return gcp


def states(world: GcpWorld) -> dict[str, VersionState]:
    """Return the state of each version."""
    return {version.id: version.state for version in world.look(KEY).versions}


def test_an_orphan_that_was_cleaned_up_never_was_current(orphaned: GcpWorld) -> None:
    """Destroyed in its time, it is no version that nobody can explain."""
    for days in range(92, 130):
        assert orphaned.run(days * DAY).failed == []
    assert orphaned.sim.secrets[KEY].versions[2].state.name == "DESTROYED"
    assert states(orphaned)["2"] is VersionState.DESTROYED
    report = verify(orphaned.held(), orphaned.adapter.store.inventory())
    assert report.problems == []
    assert {f.version: f.status for f in report.findings} == {"1": CONFIRMED, "3": CONFIRMED}


def test_nor_one_that_a_person_destroyed(orphaned: GcpWorld) -> None:
    """Whoever cleans up by hand is told nothing of it either."""
    name = f"{orphaned.name(KEY)}/versions/2"
    orphaned.client.destroy_secret_version(request={"name": name})
    assert states(orphaned)["2"] is VersionState.DESTROYED
    report = verify(orphaned.held(), orphaned.adapter.store.inventory())
    assert {f.version for f in report.findings} == {"1", "3"}


def test_a_deletion_that_ended_halfway_is_not_done(gcp: GcpWorld) -> None:
    """The log says so while a version still reads; deleting it again ends it."""
    gcp.operations().create(KEY)
    gcp.arm_at(Effect.KILLED_AFTER, only("secretmanager", "UpdateSecret"))
    with contextlib.suppress(DaenaKMSError):
        gcp.operations(HOUR).delete(KEY)
    gcp.mend()
    assert gcp.run(3 * HOUR).failed == []
    assert gcp.readable(KEY)
    assert [r["result"] for r in gcp.held().results() if r["kind"] == "delete"] == ["not-done"]
    gcp.operations(4 * HOUR).delete(KEY)
    assert not gcp.readable(KEY)
    assert [r["result"] for r in gcp.held().results()][-1] == "done"


def test_what_a_run_revoked_meanwhile_is_not_enabled_again(
    gcp: GcpWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A deletion that was undone takes back its own disabling, and not that of anybody else."""
    gcp.operations().create(KEY, spec="token")
    gcp.run(91 * DAY, keys=[KEY])
    deleting, others = gcp.adapter.store, gcp.again().store
    secrets = deleting._deletion._secrets  # type: ignore[attr-defined] # of this store
    disable = secrets.disable
    done: list[str] = []

    def then_restored(key_id: str, version: str, etag: str = "") -> object:
        shown = disable(key_id, version, etag)
        done.append(version)
        if len(done) == 2:
            others.restore(others.describe(KEY, exact=True))
            others.revoke(others.describe(KEY, exact=True), "1", gcp.at(92 * DAY))
            name = f"{gcp.name(KEY)}/versions/2"
            gcp.client.disable_secret_version(request={"name": name})
        return shown

    monkeypatch.setattr(secrets, "disable", then_restored)
    with pytest.raises(RotationConflict, match="restored while it was being deleted"):
        deleting.delete(deleting.describe(KEY, exact=True), gcp.at(92 * DAY))
    shown = gcp.sim.secrets[KEY].versions
    assert [shown[n].state.name for n in (1, 2)] == ["DISABLED", "DISABLED"]
