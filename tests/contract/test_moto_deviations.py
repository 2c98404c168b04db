"""Where moto answers otherwise than AWS: each test asserts the wrong answer.

What AWS answers is in docs/SEEN.md, with its sources. A test that fails here means that moto was
mended: then take it away, and what ``test_contract_moto`` expects to fail because of it.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.local.conftest import refused, token
from tests.worlds.base import DAY, value
from tests.worlds.moto import MotoWorld, client, open_moto

KEY = "app-key"


@pytest.fixture
def moto(tmp_path: Path) -> Iterator[MotoWorld]:
    """Give an empty AWS as moto has it."""
    with open_moto(tmp_path) as opened:
        yield opened


@pytest.fixture
def secrets(moto: MotoWorld) -> Any:
    """A client of it, and one secret."""
    moto.secrets.create_secret(Name=KEY, SecretString=value())
    return moto.secrets


def put(secrets: Any, *stages: str) -> str:
    """Put a fresh value; returns its version."""
    given = {"VersionStages": list(stages)} if stages else {}
    answer = secrets.put_secret_value(SecretId=KEY, SecretString=value(), **given)
    return str(answer["VersionId"])


def stages(secrets: Any) -> dict[str, list[str]]:
    """The labels of each version that is shown."""
    shown = secrets.describe_secret(SecretId=KEY)["VersionIdsToStages"]
    return {version: sorted(labels) for version, labels in shown.items()}


def current(secrets: Any) -> str:
    """The version under AWSCURRENT."""
    return next(v for v, labels in stages(secrets).items() if "AWSCURRENT" in labels)


def move(secrets: Any, to: str) -> None:
    """Move AWSCURRENT as a rotation does."""
    where = {"MoveToVersionId": to, "RemoveFromVersionId": current(secrets)}
    secrets.update_secret_version_stage(SecretId=KEY, VersionStage="AWSCURRENT", **where)


def test_creating_over_a_deleted_secret(secrets: Any) -> None:
    """It exists, says moto; AWS says InvalidRequestException, that it is scheduled for deletion."""
    secrets.delete_secret(SecretId=KEY)
    with refused("ResourceExistsException"):
        secrets.create_secret(Name=KEY, SecretString=value())


def test_a_recovery_window_never_ends(moto: MotoWorld, secrets: Any) -> None:
    """On AWS the secret is gone afterwards."""
    secrets.delete_secret(SecretId=KEY, RecoveryWindowInDays=7)
    moto.wait(8 * DAY)
    assert secrets.describe_secret(SecretId=KEY)["DeletedDate"] < datetime.now(UTC)


def test_the_date_of_a_deletion_is_its_end(secrets: Any) -> None:
    """On AWS DeletedDate is when DeleteSecret was called, and only DeletionDate the end."""
    ends = secrets.delete_secret(SecretId=KEY)["DeletionDate"]
    assert abs(secrets.describe_secret(SecretId=KEY)["DeletedDate"] - ends) < timedelta(seconds=1)


def test_a_deleted_secret_can_be_changed(secrets: Any) -> None:
    """AWS refuses a label, a value and a tag until the secret is restored."""
    version = current(secrets)
    secrets.delete_secret(SecretId=KEY)
    secrets.update_secret_version_stage(SecretId=KEY, VersionStage="a", MoveToVersionId=version)
    secrets.tag_resource(SecretId=KEY, Tags=[{"Key": "a", "Value": "b"}])
    assert put(secrets, "b") in stages(secrets)


def test_versions_without_labels_are_shown(secrets: Any) -> None:
    """With an empty list; AWS shows only those with labels, unless IncludeDeprecated is set."""
    first = put(secrets, "AWSPENDING")
    put(secrets, "AWSPENDING")
    assert stages(secrets)[first] == []
    listed = secrets.list_secret_version_ids(SecretId=KEY)["Versions"]
    assert [v["VersionStages"] for v in listed if v["VersionId"] == first] == [[]]


def test_a_version_is_dated_by_whoever_asks(moto: MotoWorld, secrets: Any) -> None:
    """On AWS CreatedDate is when it was put, and a version that nobody read has no other date."""
    moto.wait(8 * DAY)
    (listed,) = secrets.list_secret_version_ids(SecretId=KEY)["Versions"]
    now = datetime.now(UTC)
    assert now - listed["CreatedDate"] < timedelta(minutes=1)
    assert now - listed["LastAccessedDate"] < timedelta(minutes=1)


def test_no_secret_says_when_it_was_read(secrets: Any) -> None:
    """On AWS LastAccessedDate is the day of the last reading."""
    secrets.get_secret_value(SecretId=KEY)
    assert "LastAccessedDate" not in secrets.describe_secret(SecretId=KEY)


def test_dates_are_whole_seconds(secrets: Any) -> None:
    """On AWS they are to the millisecond."""
    assert secrets.describe_secret(SecretId=KEY)["CreatedDate"].microsecond == 0


def test_a_put_takes_every_label_off(secrets: Any) -> None:
    """Off the version that it demotes; on AWS labels of one's own stay there."""
    first = current(secrets)
    secrets.update_secret_version_stage(SecretId=KEY, VersionStage="own", MoveToVersionId=first)
    put(secrets)
    assert stages(secrets)[first] == ["AWSPREVIOUS"]


def test_a_label_can_be_on_two_versions(secrets: Any) -> None:
    """AWS refuses to move it without RemoveFromVersionId."""
    first, second = put(secrets, "own"), put(secrets, "other")
    secrets.update_secret_version_stage(SecretId=KEY, VersionStage="own", MoveToVersionId=second)
    assert "own" in stages(secrets)[first]
    assert "own" in stages(secrets)[second]


def test_a_label_can_be_on_one_version_twice(secrets: Any) -> None:
    """On AWS the repeated move changes nothing."""
    version = put(secrets, "own")
    secrets.update_secret_version_stage(SecretId=KEY, VersionStage="own", MoveToVersionId=version)
    assert stages(secrets)[version] == ["own", "own"]


def test_a_move_that_is_refused_moves_half(secrets: Any) -> None:
    """AWSCURRENT is on no version afterwards, although the move was refused."""
    base = current(secrets)
    where = {"MoveToVersionId": token(), "RemoveFromVersionId": base}
    with refused("InvalidParameterException"):
        secrets.update_secret_version_stage(SecretId=KEY, VersionStage="AWSCURRENT", **where)
    assert stages(secrets) == {base: []}


def test_the_current_label_can_be_removed(secrets: Any) -> None:
    """AWS only moves it."""
    base = current(secrets)
    secrets.update_secret_version_stage(
        SecretId=KEY, VersionStage="AWSCURRENT", RemoveFromVersionId=base
    )
    assert "AWSCURRENT" not in stages(secrets)[base]


def test_a_read_without_a_stage_gives_the_old_value(secrets: Any) -> None:
    """After AWSCURRENT was moved; on AWS no stage means AWSCURRENT."""
    old, new = current(secrets), put(secrets, "AWSPENDING")
    move(secrets, new)
    assert secrets.get_secret_value(SecretId=KEY)["VersionId"] == old
    assert secrets.get_secret_value(SecretId=KEY, VersionStage="AWSCURRENT")["VersionId"] == new


def test_two_versions_can_be_current(secrets: Any) -> None:
    """A put after AWSCURRENT was moved demotes the version that was current before the move."""
    moved = put(secrets, "AWSPENDING")
    move(secrets, moved)
    new = put(secrets)
    assert [v for v, labels in stages(secrets).items() if "AWSCURRENT" in labels] == [moved, new]


def test_a_used_token_overwrites_a_pending_value(secrets: Any) -> None:
    """AWS answers ResourceExistsException, and a version never changes."""
    chosen, text = token(), value()
    for material in (value(), text):
        secrets.put_secret_value(
            SecretId=KEY,
            SecretString=material,
            ClientRequestToken=chosen,
            VersionStages=["AWSPENDING"],
        )
    same = secrets.get_secret_value(SecretId=KEY, VersionId=chosen)["SecretString"] == text
    assert same


def test_labels_and_versions_have_no_limit(secrets: Any) -> None:
    """AWS has 20 labels on all versions, and takes no version past 100 of one day."""
    put(secrets, *(f"own-{n}" for n in range(20)))
    for _ in range(100):
        put(secrets, "AWSPENDING")
    assert sum(map(len, stages(secrets).values())) == 22
    assert len(stages(secrets)) == 102


def test_a_disabled_kms_key_still_reads(moto: MotoWorld) -> None:
    """AWS answers DecryptionFailure."""
    kms = client("kms")
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    moto.secrets.create_secret(Name=KEY, SecretString=value(), KmsKeyId=key)
    kms.disable_key(KeyId=key)
    assert "SecretString" in moto.secrets.get_secret_value(SecretId=KEY)


def test_a_secret_s_kms_key_need_not_exist(moto: MotoWorld) -> None:
    """AWS answers EncryptionFailure."""
    moto.secrets.create_secret(Name=KEY, SecretString=value(), KmsKeyId=token())
    assert moto.secrets.describe_secret(SecretId=KEY)["VersionIdsToStages"]


def test_a_value_has_no_limit(secrets: Any) -> None:
    """AWS takes at most 65,536 bytes."""
    try:
        secrets.put_secret_value(SecretId=KEY, SecretString="x" * 65_537)
    except ClientError as error:
        pytest.fail(str(error))


def test_the_list_of_versions_is_dated_now(moto: MotoWorld) -> None:
    """AWS dates each version by its creation, as DescribeSecret does a secret of one version."""
    moto.foreign(KEY, value(), age=100 * DAY)
    (listed,) = moto.secrets.list_secret_version_ids(SecretId=KEY)["Versions"]
    assert datetime.now(UTC) - listed["CreatedDate"] < DAY
