"""What the contract means on Secrets Manager: labels, limits, other rotations, strict answers."""

import secrets
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from daena_kms.errors import ConfigError, KeyNotFound, NotManaged
from daena_kms.operations import Operations
from daena_kms.rules.model import VersionState
from daena_kms.rules.names import parse_version_id

from tests.worlds.aws import AwsWorld
from tests.worlds.base import DAY, value
from tests.worlds.kinds import open_world

KEY = "app-key"
FUNCTION = "arn:aws:lambda:eu-central-1:123456789012:function:theirs"
MANAGED = {"daena.managed": "true", "daena.spec": "token"}


@pytest.fixture
def aws(tmp_path: Path) -> Iterator[AwsWorld]:
    """Give an empty AWS."""
    with open_world("aws", tmp_path, wire=True) as opened:
        assert isinstance(opened, AwsWorld)
        yield opened


def labels(aws: AwsWorld) -> dict[str, str]:
    """Return the key's labels and the versions that they are on."""
    return aws.sim.secrets.secret(KEY).labels


def test_consumers_read_the_current_value_with_any_sdk(aws: AwsWorld) -> None:
    """A plain GetSecretValue gives the current value; AWSPREVIOUS gives the one before."""
    first = aws.adapter.create_key(KEY)
    second = aws.adapter.rotate_key(KEY)
    assert aws.secrets.get_secret_value(SecretId=KEY)["SecretString"] == second
    before = aws.secrets.get_secret_value(SecretId=KEY, VersionStage="AWSPREVIOUS")
    assert before["SecretString"] == first


def test_every_secret_is_under_the_customer_s_key(aws: AwsWorld) -> None:
    """A created secret is encrypted under the given KMS key, and stays so."""
    aws.adapter.create_key(KEY)
    aws.adapter.rotate_key(KEY)
    assert aws.secrets.describe_secret(SecretId=KEY)["KmsKeyId"] == aws.kms_key


def test_binary_content_is_refused(aws: AwsWorld) -> None:
    """A secret of bytes can't be read as a key nor adopted, and stays as it is."""
    aws.secrets.create_secret(Name=KEY, SecretBinary=secrets.token_bytes(32))
    before = aws.state()
    with pytest.raises(ConfigError, match="binary"):
        aws.adapter.get_key(KEY)
    with pytest.raises(ConfigError, match="binary"):
        Operations(aws.adapter, aws.log).adopt(KEY, spec="aes-256")
    assert aws.state() == before


def test_a_secret_that_another_rotation_owns_is_refused(aws: AwsWorld) -> None:
    """RotationEnabled is told with what to do; nothing changes until that rotation is off."""
    made = aws.adapter.create_key(KEY)
    aws.secrets.rotate_secret(SecretId=KEY, RotationLambdaARN=FUNCTION)
    before = aws.state()
    for change in (aws.adapter.rotate_key, aws.adapter.rollback_key, aws.adapter.delete_key):
        with pytest.raises(NotManaged, match=r"RotationEnabled.*Switch that rotation off"):
            change(KEY)
    summary = aws.run(91 * DAY)
    assert summary.failed == [KEY]
    assert "RotationEnabled" in str(summary.errors[KEY])
    assert aws.adapter.get_key(KEY) == made
    assert aws.state() == before
    aws.secrets.cancel_rotate_secret(SecretId=KEY)
    assert aws.run(91 * DAY).rotated == [KEY]


@pytest.mark.parametrize("tagged", [False, True])
def test_a_secret_of_another_rotation_is_not_adopted(aws: AwsWorld, *, tagged: bool) -> None:
    """Adopting refuses a secret whose rotation is on, or that an AWS service manages."""
    aws.foreign(KEY, value())
    if tagged:
        aws.sim.secrets.secret(KEY).owning_service = "appflow"
    else:
        aws.secrets.rotate_secret(SecretId=KEY, RotationLambdaARN=FUNCTION)
    before = aws.state()
    with pytest.raises(NotManaged, match="rotates it"):
        Operations(aws.adapter, aws.log).adopt(KEY, spec="token")
    assert aws.state() == before


def test_a_secret_without_a_value_is_reported(aws: AwsWorld) -> None:
    """A managed secret that never got a value fails with what to do, and stops no other."""
    tags = [{"Key": "daena.managed", "Value": "true"}]
    aws.secrets.create_secret(Name="empty-key", Tags=tags)  # type: ignore[arg-type] # the same dictionaries
    aws.adapter.create_key(KEY)
    summary = aws.run(91 * DAY)
    assert (summary.failed, summary.rotated) == (["empty-key"], [KEY])
    assert "no current version" in str(summary.errors["empty-key"])


def test_a_policy_that_needs_more_versions_than_fit_is_refused(aws: AwsWorld) -> None:
    """Grace over interval may not exceed the labels that a secret can have."""
    tags = {"daena.grace": "30d", "daena.rotate-after": "1d"}
    with pytest.raises(
        ConfigError, match=r"keeps 31 versions readable, but this store can keep 1\d"
    ):
        aws.adapter.create_key(KEY, spec="token", tags=tags)


def test_what_a_crash_left_pending_is_replaced_and_never_promoted(aws: AwsWorld) -> None:
    """AWSPENDING moves off a dead version to the new one, which alone becomes current."""
    aws.adapter.create_key(KEY)
    key = aws.adapter.store.describe(KEY)
    dead = aws.adapter.store.stage(key, value(), aws.began)
    assert aws.run().rotated == []
    assert labels(aws)["AWSPENDING"] == dead.version_id
    summary = aws.run(91 * DAY)
    assert summary.finished == [KEY]
    assert labels(aws)["AWSCURRENT"] == summary.new_versions[KEY] != dead.version_id
    assert labels(aws)["AWSPENDING"] != dead.version_id
    with pytest.raises(KeyNotFound, match=r"was never current|no such key or version"):
        aws.adapter.rollback_key(KEY, dead.version_id)


def test_somebody_else_s_pending_version_is_not_promoted(aws: AwsWorld) -> None:
    """A version that another tool left under AWSPENDING never becomes current by our doing."""
    aws.adapter.create_key(KEY)
    theirs = value()
    put = aws.secrets.put_secret_value(
        SecretId=KEY, SecretString=theirs, VersionStages=["AWSPENDING"]
    )
    assert aws.adapter.rotate_key(KEY) != theirs
    assert aws.run(91 * DAY).failed == []
    assert labels(aws)["AWSCURRENT"] != put["VersionId"]
    assert aws.adapter.get_key(KEY) != theirs


def test_values_put_past_us_keep_their_place(aws: AwsWorld) -> None:
    """Two values put past us with the default label, then a rotation: the last two read on."""
    aws.adapter.create_key(KEY)
    aws.adapter.rotate_key(KEY)
    ours = labels(aws)["AWSCURRENT"]
    theirs = [value(), value()]
    for material in theirs:
        aws.overwrite(KEY, material)
    ids = [labels(aws)["AWSPREVIOUS"], labels(aws)["AWSCURRENT"]]
    aws.adapter.rotate_key(KEY)
    aws.adapter.rotate_key(KEY)
    assert ours in labels(aws).values(), "AWS may drop what has no label"
    for version_id, material in zip(ids, theirs, strict=True):
        assert aws.adapter.get_key(KEY, version_id) == material
        assert version_id in labels(aws).values(), "AWS may drop what has no label"


def test_the_default_label_is_never_ours_to_use(aws: AwsWorld) -> None:
    """Each version's id is ours, says its base, and its token was used once."""
    aws.adapter.create_key(KEY)
    for _ in range(3):
        aws.adapter.rotate_key(KEY)
    puts = [c.params for c in aws.sim.calls if c.operation == "PutSecretValue"]
    tokens = [str(params["ClientRequestToken"]) for params in puts]
    assert len(set(tokens)) == 3
    assert all(parse_version_id(token) and 32 <= len(token) <= 64 for token in tokens)
    reused = aws.secrets.put_secret_value
    with pytest.raises(ClientError, match="ResourceExistsException"):
        reused(SecretId=KEY, SecretString=value(), ClientRequestToken=tokens[0])


def test_a_listing_by_prefix_is_read_exactly(aws: AwsWorld) -> None:
    """A tag whose name only begins like ours makes no key ours."""
    aws.foreign("their-key", value(), {"daena.managed-by": "true"})
    aws.adapter.create_key(KEY)
    assert aws.adapter.list_keys() == [KEY]


def test_other_tags_stay(aws: AwsWorld) -> None:
    """Tags of the owner's own survive enrolment, a tag change and a rotation."""
    theirs = {f"team:{number}": value() for number in range(40)}
    aws.foreign(KEY, value(32), theirs)
    Operations(aws.adapter, aws.log).adopt(KEY, spec="token")
    aws.tag(KEY, hold="true")
    aws.tag(KEY, hold=None)
    aws.adapter.rotate_key(KEY)
    tags = aws.sim.secrets.secret(KEY).tags
    assert tags.items() >= theirs.items()
    assert "daena.hold" not in tags


def test_a_deleted_secret_is_kept_for_thirty_days(aws: AwsWorld) -> None:
    """A secret restores within its window, and is gone after it."""
    made = aws.adapter.create_key(KEY)
    aws.adapter.delete_key(KEY)
    aws.sim.shift_clock(seconds=29 * 86_400)
    aws.adapter.restore_key(KEY)
    assert aws.adapter.get_key(KEY) == made
    aws.adapter.delete_key(KEY)
    aws.sim.shift_clock(seconds=31 * 86_400)
    with pytest.raises(KeyNotFound):
        aws.adapter.restore_key(KEY)


def test_retired_is_not_said_to_be_revoked(aws: AwsWorld) -> None:
    """A retired version loses AWSPREVIOUS and our pins, keeps one label, and still reads by id."""
    aws.foreign(KEY, value(), MANAGED)
    old = labels(aws)["AWSCURRENT"]
    assert aws.run().enrolled == [KEY]
    assert aws.run(91 * DAY).rotated == [KEY]
    assert aws.run(99 * DAY).retired == [KEY]
    kept = [label for label, version_id in labels(aws).items() if version_id == old]
    assert [label.rsplit("-", 2)[0] for label in kept] == ["daena-retired"]
    assert "AWSPREVIOUS" not in labels(aws)
    with pytest.raises(KeyNotFound, match="previous"):
        aws.adapter.get_key(KEY, "previous")
    assert aws.adapter.get_key(KEY, old)
    assert aws.adapter.store.can.retired_readable
    state = aws.adapter.store.describe(KEY, exact=True).version(old)
    assert state is not None
    assert state.state is VersionState.RETIRED
    assert aws.run(99 * DAY + timedelta(hours=1)).actions == []


def test_an_enrolment_takes_no_right_to_tag(aws: AwsWorld) -> None:
    """One label pins the version and says when; no tag brings the first time nearer."""
    aws.foreign(KEY, value(), age=400 * DAY)
    aws.overwrite(KEY, value())
    aws.retag(KEY, MANAGED)
    aws.sim.calls.clear()
    assert aws.run().enrolled == [KEY]
    store = [call.operation for call in aws.sim.calls if call.service == "secretsmanager"]
    assert sorted(store) == [
        *("DescribeSecret", "ListSecrets"),
        *("UpdateSecretVersionStage", "UpdateSecretVersionStage"),
    ]
    ours = sorted(label for label in labels(aws) if label.startswith("daena-"))
    assert [label.startswith("daena-keep-") for label in ours] == [True, True]
    assert ["-enrolled-" in label for label in ours].count(True) == 1
    tags = {"daena.rotate-after": "2h", "daena.first-due": "2020-01-01T00:00:00Z"}
    aws.retag(KEY, {**tags, "daena.grace": "1d"})
    assert aws.run(DAY - timedelta(minutes=1)).rotated == []
    assert aws.run(DAY + timedelta(hours=4)).rotated == [KEY]


def test_tags_that_were_taken_off_and_put_back_enrol_nothing_again(aws: AwsWorld) -> None:
    """An apply that removes the tags, and one that sets them, leave the labels."""
    aws.adapter.create_key(KEY)
    aws.retag(KEY, {"daena.managed": None, "daena.spec": None})
    assert aws.run(91 * DAY).actions == []
    aws.retag(KEY, MANAGED)
    summary = aws.run(91 * DAY)
    assert (summary.enrolled, summary.rotated) == ([], [KEY])
