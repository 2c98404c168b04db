"""An emergency on a secret that has no label left: AWS allows twenty."""

from datetime import timedelta

import pytest
from daena_kms.errors import ConfigError, StoreUnavailable
from daena_kms.rules.model import VersionState
from daena_kms.rules.names import mark
from daena_kms.rules.summary import Summary
from daena_kms.stores.aws.labels import (
    MAX_LABELS,
)

from tests.worlds.aws import AwsWorld
from tests.worlds.base import DAY
from tests.worlds.memory import MemoryObjects

KEY = "app-key"
WHY = "seen in a public log"
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
MARK = "daena-retired-20260101T000000Z-compromised-"


def labels(aws: AwsWorld) -> dict[str, str]:
    """Return the key's labels and the versions that they are on."""
    return aws.sim.secrets.secret(KEY).labels


def label(aws: AwsWorld, name: str, version: str, **more: str) -> None:
    """Put a label on a version, as somebody else would."""
    aws.secrets.update_secret_version_stage(
        SecretId=KEY, VersionStage=name, MoveToVersionId=version, **more
    )


def fill(aws: AwsWorld, versions: int = 16) -> list[str]:
    """Rotate until there are so many readable versions; return their ids, the oldest first."""
    aws.operations().create(KEY)
    ids = [aws.current(KEY)]
    for number in range(1, versions):
        assert aws.run(number * HOUR, keys=[KEY]).rotated == [KEY]
        ids.append(aws.current(KEY))
    return ids


def leak(aws: AwsWorld, after: timedelta) -> Summary:
    """Say that what is current has leaked; assert that it is retired, and nothing else is lost."""
    before = {v.id: v.state for v in aws.look(KEY).versions if v.was_current}
    old = aws.current(KEY)
    summary = aws.run(after, keys=[KEY], compromised=True, reason=WHY)
    assert summary.errors == {}
    assert summary.revoked_versions == {KEY: [old]}
    assert len(labels(aws)) <= MAX_LABELS
    now = {v.id: v.state for v in aws.look(KEY).versions if v.was_current}
    assert now[old] is VersionState.RETIRED
    assert set(now) == {*before, aws.current(KEY)}
    readable = {VersionState.PREVIOUS, VersionState.CURRENT}
    was = {v for v, state in before.items() if state in readable and v != old}
    assert was <= {v for v, state in now.items() if state in readable}
    return summary


def test_a_full_secret_takes_emergencies_and_rotations_in_turn(aws: AwsWorld) -> None:
    """Each emergency leaves one label for good; no version is lost."""
    ids = fill(aws)
    for number in range(6):
        after = (len(ids) + 2 * number) * HOUR
        leak(aws, after)
        assert aws.run(after + HOUR, keys=[KEY]).errors == {}
        assert len(labels(aws)) < MAX_LABELS


def test_a_secret_full_of_marks_says_what_to_do(aws: AwsWorld) -> None:
    """No mark gives way, so many emergencies use up the labels; a policy can let them go."""
    aws.operations().create(KEY)
    runs = (
        aws.run(number * HOUR, keys=[KEY], compromised=True, reason=WHY) for number in range(1, 30)
    )
    refused = next(summary for summary in runs if summary.errors)
    marked = [v for v in aws.look(KEY).versions if v.compromised]
    assert len(marked) >= 15
    assert isinstance(refused.errors[KEY], ConfigError)
    assert "daena.destroy-after" in str(refused.errors[KEY])
    aws.tag(KEY, grace="7d", destroy_after="1h", rotate_after="90d")
    assert aws.run(8 * DAY).released == [KEY]
    leak(aws, 8 * DAY + HOUR)


def test_a_label_of_others_on_a_full_secret_is_in_no_emergency_s_way(aws: AwsWorld) -> None:
    """Twenty are there when it begins."""
    ids = fill(aws)
    label(aws, "theirs", ids[3])
    assert len(labels(aws)) == MAX_LABELS
    leak(aws, 20 * HOUR)
    assert labels(aws)["theirs"] == ids[3]


@pytest.mark.parametrize("minutes", [1, 14, 16])
@pytest.mark.parametrize("count", [15, 16])
def test_after_a_rotation_that_did_not_end(aws: AwsWorld, count: int, minutes: int) -> None:
    """What it left may still be young: an emergency need not wait for it to be certainly dead."""
    ids = fill(aws, count)
    key = aws.look(KEY)
    if count < 16:
        aws.adapter.store.stage(key, aws.adapter.new_material(KEY, key.tags), aws.at(count * HOUR))
    for number in range(MAX_LABELS - len(labels(aws))):
        label(aws, f"theirs-{number}", ids[0])
    assert len(labels(aws)) == MAX_LABELS
    leak(aws, count * HOUR + minutes * MINUTE)


def test_an_emergency_that_failed_on_a_full_secret_goes_on(
    aws: AwsWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the mark as the only label of the version, and the log lost."""
    ids = fill(aws)

    def down(*_: object) -> None:
        raise StoreUnavailable("down", key_id=KEY, todo="Wait")

    for name in ("stage", "promote", "revoke"):
        with monkeypatch.context() as patch:
            patch.setattr(aws.adapter.store, name, down)
            aws.run(20 * HOUR, keys=[KEY], compromised=True, reason=WHY)
        found = aws.look(KEY).version(ids[-1])
        assert found is not None
        assert found.to_revoke
    aws.log = MemoryObjects()
    assert aws.run(21 * HOUR).revoked_versions == {KEY: [ids[-1]]}
    assert aws.run(22 * HOUR).actions == []
    assert [v.state for v in aws.look(KEY).versions].count(VersionState.PREVIOUS) == 15


def test_many_emergencies_on_one_key_leave_one_label_each(aws: AwsWorld) -> None:
    """Each mark is the label that its retirement would need anyway."""
    aws.operations().create(KEY)
    for number in range(1, 12):
        leak(aws, number * DAY)
    assert len(labels(aws)) == 11 + 2 + 1  # and AWSCURRENT, AWSPENDING, and the pin


def test_a_mark_that_waited_long_gets_the_time_of_the_retirement(
    aws: AwsWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Destroy-after counts from then, and no label more is left."""
    aws.operations().create(KEY)
    old = aws.current(KEY)

    def down(*_: object) -> None:
        raise StoreUnavailable("down", key_id=KEY, todo="Wait")

    with monkeypatch.context() as patch:
        patch.setattr(aws.adapter.store, "revoke", down)
        aws.run(HOUR, keys=[KEY], compromised=True, reason=WHY)
    assert aws.look(KEY).version(old).retired is None  # type: ignore[union-attr] # it is there
    assert aws.run(30 * DAY).revoked == [KEY]
    found = aws.look(KEY).version(old)
    assert found is not None
    assert found.retired is not None
    assert abs(found.retired - aws.at(30 * DAY)) <= 2 * MINUTE
    assert len(aws.sim.secrets.secret(KEY).stages()[old]) == 1


@pytest.mark.parametrize(
    ("name", "reported"),
    [
        (MARK + "0123456789", True),
        (MARK, True),
        ("daena-retired-compromised-now", True),
        ("daena-retired-compromised", False),
        ("daena-retired--compromised-{mark}", True),
        ("daena-retired-99991399T000000Z-compromised-{mark}", True),
        (MARK + "{mark}x", True),
    ],
)
def test_a_label_that_is_not_of_a_mark_s_form_is_none(
    aws: AwsWorld, name: str, *, reported: bool
) -> None:
    """It leads to no rotation and no retirement, and the key is reported if it looks like one."""
    aws.operations().create(KEY)
    old = aws.current(KEY)
    label(aws, name.format(mark=mark(old)), old)
    summary = aws.run(HOUR)
    assert (summary.rotated, summary.revoked) == ([], [])
    assert summary.failed == [KEY] * reported
    if reported:
        assert "looks like the mark of a compromised version" in str(summary.errors[KEY])
    assert not aws.look(KEY).versions[0].compromised


def test_a_mark_that_somebody_else_put_on(aws: AwsWorld) -> None:
    """On the current version: one rotation and one retirement, and then no more of it."""
    aws.operations().create(KEY)
    old = aws.current(KEY)
    label(aws, MARK + mark(old), old)
    summary = aws.run(HOUR)
    assert (summary.rotated, summary.revoked_versions) == ([KEY], {KEY: [old]})
    assert aws.run(2 * HOUR).actions == []
    # On the version that another run is about to promote: that one is not retired.
    key = aws.look(KEY)
    staged = aws.adapter.store.stage(key, aws.adapter.new_material(KEY, key.tags), aws.at(3 * HOUR))
    label(aws, MARK + mark(staged.version_id), staged.version_id)
    assert aws.run(3 * HOUR + MINUTE).actions == []
    assert aws.adapter.store.promote(key, staged, aws.at(3 * HOUR + MINUTE)) == staged.version_id
    assert aws.run(3 * HOUR + 2 * MINUTE).revoked_versions == {KEY: [staged.version_id]}
    assert aws.adapter.get_key(KEY)
    assert aws.run(4 * HOUR).actions == []
