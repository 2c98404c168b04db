"""An emergency that came half way, and a hand that then makes the old version current again."""

import pytest
from daena_kms.errors import StoreUnavailable

from tests.faults.test_emergency_left import HOUR, KEY, Refusing, emergency
from tests.worlds.aws import AwsWorld
from tests.worlds.base import FaultWorld
from tests.worlds.gcp import GcpWorld

DOWN = StoreUnavailable("it does not answer", key_id=KEY, todo="Wait")


@pytest.fixture
def reinstating(request: pytest.FixtureRequest) -> AwsWorld | GcpWorld:
    """Give a world in which a hand can make an old version current."""
    world: AwsWorld | GcpWorld = request.getfixturevalue(request.param)
    return world


def half_way(world: FaultWorld, monkeypatch: pytest.MonkeyPatch) -> tuple[str, Refusing]:
    """Come as far as the new version; return the id of the old one."""
    world.operations().create(KEY, spec="token")
    refusing = Refusing(world.adapter.store, monkeypatch)
    refusing.errors.append(DOWN)
    return emergency(world), refusing


def goes_on(world: FaultWorld, old: str) -> None:
    """Assert that a run rotates away from what is marked and current, and retires it, once."""
    summary = world.run(2 * HOUR)
    assert summary.rotated + summary.finished == [KEY]
    assert summary.revoked_versions == {KEY: [old]}
    assert world.current(KEY) != old
    assert world.adapter.get_key(KEY)
    assert world.run(3 * HOUR).actions == []


@pytest.mark.parametrize("reinstating", ["aws", "gcp"], indirect=True)
def test_the_mark_still_counts(
    reinstating: AwsWorld | GcpWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The label or alias moved back before the retirement: the next run ends the emergency."""
    old, refusing = half_way(reinstating, monkeypatch)
    refusing.errors.clear()
    reinstating.reinstate(KEY, old)
    goes_on(reinstating, old)


@pytest.mark.parametrize("reinstating", ["aws", "gcp"], indirect=True)
def test_a_hold_keeps_it_current(
    reinstating: AwsWorld | GcpWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever wants it so sets a hold; the run says what that means, and the release ends it."""
    old, refusing = half_way(reinstating, monkeypatch)
    refusing.errors.clear()
    reinstating.reinstate(KEY, old)
    reinstating.operations(HOUR).hold(KEY)
    (action,) = reinstating.run(90 * HOUR, dry_run=True).actions
    assert f"its compromised version {old} is still current" in action.reason
    assert reinstating.run(2 * HOUR).held == [KEY]
    assert reinstating.current(KEY) == old
    reinstating.operations(2 * HOUR).release(KEY)
    goes_on(reinstating, old)


def test_what_is_revoked_may_be_current_again(gcp: GcpWorld) -> None:
    """Enabled and made current by hand: one mark leads to one revocation; then it has its grace."""
    gcp.operations().create(KEY, spec="token")
    old = gcp.current(KEY)
    assert gcp.run(HOUR, keys=[KEY], compromised=True, reason="it leaked").revoked == [KEY]
    gcp.enable(KEY, old)
    gcp.reinstate(KEY, old)
    assert gcp.run(2 * HOUR).actions == []
    assert gcp.current(KEY) == old
    assert gcp.run(3 * HOUR, keys=[KEY]).rotated == [KEY]
    assert gcp.run(4 * HOUR).revoked == []
    assert gcp.adapter.get_key(KEY, old)


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
    summary = aws.run(3 * HOUR)
    assert (summary.rotated, summary.revoked_versions) == ([KEY], {KEY: [old]})
    assert aws.run(4 * HOUR).actions == []
