"""A listing minutes old: what the key itself says right before the change is what counts."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from daena_kms.rules.plan import Kind

from tests.worlds.aws import AwsWorld
from tests.worlds.base import DAY

KEY, OTHER = "app-key", "other-key"
LATER = 91 * DAY
FUNCTION = "arn:aws:lambda:eu-central-1:123456789012:function:theirs"


@pytest.fixture
def stale(aws: AwsWorld) -> AwsWorld:
    """Give two keys that are due, in a listing that stays as it is now."""
    for key_id in (KEY, OTHER):
        aws.operations().create(key_id)
    aws.sim.freeze_listing()
    return aws


def test_a_listing_that_misses_a_rotation_makes_no_second_one(stale: AwsWorld) -> None:
    """Runs on a listing from before a rotation plan the key, look at it, and leave it alone."""
    first = stale.run(LATER)
    assert first.rotated == [KEY, OTHER]
    before = stale.state()
    for minutes in (1, 2, 5):
        again = stale.run(LATER + timedelta(minutes=minutes))
        assert (again.rotated, again.finished, again.failed) == ([], [], [])
        assert again.skipped == [KEY, OTHER]
        assert again.notes[KEY].startswith(f"already rotated: {first.new_versions[KEY]}")
        assert again.overdue == 0
    assert stale.state() == before
    stale.sim.unfreeze_listing()
    assert stale.run(LATER + timedelta(hours=2)).actions == []
    assert stale.verify().ok


def test_a_rotation_by_name_is_not_repeated_from_a_stale_listing(stale: AwsWorld) -> None:
    """A key that somebody rotated by name a minute ago is not rotated as due."""
    made = stale.run(LATER, keys=[KEY]).new_versions[KEY]
    assert stale.run(LATER + timedelta(minutes=1)).rotated == [OTHER]
    assert stale.current(KEY) == made


def _hold(world: AwsWorld) -> None:
    world.secrets.tag_resource(SecretId=KEY, Tags=[{"Key": "daena.hold", "Value": "true"}])


def _hold_for_a_while(world: AwsWorld) -> None:
    until = (world.began + 92 * DAY).strftime("%Y-%m-%dT%H:%M:%SZ")
    world.secrets.tag_resource(SecretId=KEY, Tags=[{"Key": "daena.hold", "Value": until}])


def _longer(world: AwsWorld) -> None:
    world.secrets.tag_resource(SecretId=KEY, Tags=[{"Key": "daena.rotate-after", "Value": "99d"}])


def _unmanage(world: AwsWorld) -> None:
    world.secrets.untag_resource(SecretId=KEY, TagKeys=["daena.managed"])


def _unmanage_by_value(world: AwsWorld) -> None:
    world.secrets.tag_resource(SecretId=KEY, Tags=[{"Key": "daena.managed", "Value": "false"}])


def _delete(world: AwsWorld) -> None:
    world.secrets.delete_secret(SecretId=KEY, RecoveryWindowInDays=7)


def _hand_over(world: AwsWorld) -> None:
    world.secrets.rotate_secret(SecretId=KEY, RotationLambdaARN=FUNCTION)


def _purge(world: AwsWorld) -> None:
    world.secrets.delete_secret(SecretId=KEY, ForceDeleteWithoutRecovery=True)


def _give_away(world: AwsWorld) -> None:
    world.sim.secrets.secret(KEY).owning_service = "appflow"


type Change = Callable[[AwsWorld], None]


@pytest.mark.parametrize("change", [_hold, _hold_for_a_while, _longer])
def test_what_its_owner_asked_a_minute_ago_is_heeded(stale: AwsWorld, change: Change) -> None:
    """A key put on hold or given a longer interval since the listing is skipped, and told why."""
    change(stale)
    before = _one(stale)
    summary = stale.run(LATER)
    assert (summary.rotated, summary.skipped, summary.failed) == ([OTHER], [KEY], [])
    assert "hold" in summary.notes[KEY] or "next due" in summary.notes[KEY]
    assert _one(stale) == before


@pytest.mark.parametrize(
    "change", [_unmanage, _unmanage_by_value, _delete, _hand_over, _purge, _give_away]
)
def test_a_key_that_is_no_longer_ours_is_left_alone(stale: AwsWorld, change: Change) -> None:
    """A key un-managed, deleted or handed to another rotation since the listing does not change."""
    change(stale)
    before = _one(stale)
    summary = stale.run(LATER)
    assert summary.rotated == [OTHER]
    assert KEY in {*summary.skipped, *summary.failed}
    assert _one(stale) == before
    assert stale.verify().problems == []


def test_a_version_restored_to_use_is_not_retired(aws: AwsWorld) -> None:
    """A version that a rollback made current since the listing is neither retired nor let go."""
    aws.operations().create(KEY, spec="token")
    first = aws.adapter.get_key(KEY)
    old = aws.current(KEY)
    aws.run(91 * DAY)
    aws.sim.freeze_listing()
    aws.secrets.update_secret_version_stage(
        SecretId=KEY,
        VersionStage="AWSCURRENT",
        MoveToVersionId=old,
        RemoveFromVersionId=aws.current(KEY),
    )
    before = _one(aws)
    summary = aws.run(99 * DAY)
    assert [a.kind for a in summary.actions if a.version == old] == [Kind.RETIRE]
    assert (summary.retired, summary.released) == ([], [])
    assert aws.adapter.get_key(KEY) == first
    assert _one(aws) == before


def test_a_key_changed_between_the_look_and_the_put_loses_the_race(aws: AwsWorld) -> None:
    """A new current version put by others between our look and our promotion stays current."""
    aws.operations().create(KEY)
    theirs = aws.kms.generate_random(NumberOfBytes=24)["Plaintext"].hex()
    answer: list[str] = []

    def meddle(**_: object) -> None:
        if not answer:
            answer.append("done")
            put = aws.secrets.put_secret_value(SecretId=KEY, SecretString=theirs)
            answer.append(put["VersionId"])

    aws.clients.secrets.meta.events.register(
        "before-call.secretsmanager.UpdateSecretVersionStage", meddle
    )
    summary = aws.run(LATER)
    assert (summary.rotated, summary.skipped, summary.failed) == ([], [KEY], [])
    assert aws.adapter.get_key(KEY) == theirs
    labels = aws.sim.secrets.secret(KEY).labels
    assert "AWSPENDING" not in labels
    assert labels["AWSCURRENT"] == answer[1]


def _one(world: AwsWorld) -> object:
    state = world.state()
    assert isinstance(state, dict)
    return state.get(KEY)
