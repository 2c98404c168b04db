"""An emergency that came half way, and a hand that then makes the old version current again."""

import pytest
from daena_kms.errors import StoreUnavailable
from daena_kms.rules.model import VersionState

from tests.faults.operations_emergency import lived
from tests.faults.test_emergency_left import HOUR, KEY, Refusing, emergency
from tests.worlds.aws import AwsWorld
from tests.worlds.base import FaultWorld
from tests.worlds.gcp import GcpWorld

DOWN = StoreUnavailable("it does not answer", key_id=KEY, todo="Wait")


def half_way(world: FaultWorld, monkeypatch: pytest.MonkeyPatch) -> tuple[str, Refusing]:
    """Come as far as the new version; return the id of the old one."""
    world.operations().create(KEY, spec="token")
    refusing = Refusing(world.adapter.store, monkeypatch)
    refusing.errors.append(DOWN)
    return emergency(world), refusing


def stays_current(world: FaultWorld, old: str, value: str) -> None:
    """Assert that no run, soon or late, retires what is current, and that it reads."""
    for hours in (2, 4, 30, 60):
        world.run(hours * HOUR)
        assert world.current(KEY) == old
        assert world.adapter.get_key(KEY) == value
        assert VersionState.RETIRED not in {v.state for v in lived(world)}


def test_on_aws(aws: AwsWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """AWSCURRENT moved back: no run retires it, and later it has its grace like any other."""
    old, refusing = half_way(aws, monkeypatch)
    value = aws.adapter.get_key(KEY, old)
    refusing.errors.clear()
    aws.secrets.update_secret_version_stage(
        SecretId=KEY,
        VersionStage="AWSCURRENT",
        MoveToVersionId=old,
        RemoveFromVersionId=aws.current(KEY),
    )
    stays_current(aws, old, value)
    assert aws.run(61 * HOUR, keys=[KEY]).rotated == [KEY]
    assert aws.run(62 * HOUR).revoked == []
    assert aws.adapter.get_key(KEY, "previous") == value


def test_on_google_cloud(gcp: GcpWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """The alias moved back: the same."""
    old, refusing = half_way(gcp, monkeypatch)
    value = gcp.adapter.get_key(KEY, old)
    refusing.errors.clear()
    aliases = dict(gcp.sim.secrets[KEY].version_aliases)
    gcp.change(KEY, version_aliases={**aliases, "current": int(old)})
    stays_current(gcp, old, value)
    assert gcp.run(61 * HOUR, keys=[KEY]).rotated == [KEY]
    assert gcp.run(62 * HOUR).revoked == []
    assert gcp.adapter.get_key(KEY, old) == value


def test_between_the_look_and_the_plan(aws: AwsWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """Moved back right before the retirement that was planned: it is left alone, and that said."""
    old, refusing = half_way(aws, monkeypatch)
    refusing.errors.clear()
    describe, looks = aws.adapter.store.describe, list[bool]()

    def then_moved(key_id: str, *, exact: bool = False) -> object:
        looks.append(exact)
        if len(looks) == 3:  # the run's recovery and its plan have looked
            aws.secrets.update_secret_version_stage(
                SecretId=KEY,
                VersionStage="AWSCURRENT",
                MoveToVersionId=old,
                RemoveFromVersionId=str(aws.sim.secrets.secret(KEY).labels["AWSCURRENT"]),
            )
        return describe(key_id, exact=exact)

    with monkeypatch.context() as patch:
        patch.setattr(aws.adapter.store, "describe", then_moved)
        summary = aws.run(2 * HOUR)
    assert (summary.skipped, summary.revoked, summary.failed) == ([KEY], [], [])
    assert "it was made current again" in summary.notes[KEY]
    assert aws.current(KEY) == old
    assert aws.run(3 * HOUR).actions == []
