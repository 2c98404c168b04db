"""Secrets Manager's rules for values, versions and labels."""

import secrets
from collections.abc import Callable

import pytest
from botocore.exceptions import ParamValidationError

from infra.local.aws.sim import AwsSimulator, Clients
from tests.local.conftest import START, refused, token, value

HOUR = 3600
DAY = 24 * HOUR

type Create = Callable[[str], str]
type Put = Callable[..., str]
type Stages = Callable[[str], dict[str, str]]


def test_the_client_request_token_becomes_the_version_id(aws: Clients) -> None:
    """A version is named by the caller."""
    chosen, text = token(), value()
    made = aws.secrets.create_secret(Name="key", SecretString=text, ClientRequestToken=chosen)
    assert made["VersionId"] == chosen
    read = aws.secrets.get_secret_value(SecretId=made["ARN"])
    assert (read["VersionId"], read["SecretString"]) == (chosen, text)
    assert read["VersionStages"] == ["AWSCURRENT"]
    assert read["CreatedDate"] == START


def test_bytes_come_back_as_bytes(aws: Clients) -> None:
    """SecretBinary is carried as base64 and answered as SecretBinary alone."""
    raw = secrets.token_bytes(40)
    aws.secrets.create_secret(Name="key", SecretBinary=raw)
    read = aws.secrets.get_secret_value(SecretId="key")
    assert read["SecretBinary"] == raw
    assert "SecretString" not in read


@pytest.mark.parametrize("length", [31, 65])
def test_a_token_has_32_to_64_characters(sim: AwsSimulator, aws: Clients, length: int) -> None:
    """A token of another length is refused and makes no secret."""
    # botocore itself refuses one that is too short.
    with (
        refused("InvalidParameterException", "32-64")
        if length > 64
        else pytest.raises(ParamValidationError)
    ):
        aws.secrets.create_secret(Name="key", SecretString=value(), ClientRequestToken="a" * length)
    assert "key" not in sim.secrets.store.secrets


def test_creating_again_is_idempotent_only_for_the_same_token_and_value(aws: Clients) -> None:
    """A repeated create succeeds; any other create of the name is refused."""
    chosen, text = token(), value()
    first = aws.secrets.create_secret(Name="key", SecretString=text, ClientRequestToken=chosen)
    again = aws.secrets.create_secret(Name="key", SecretString=text, ClientRequestToken=chosen)
    assert (again["ARN"], again["VersionId"]) == (first["ARN"], first["VersionId"])
    with refused("ResourceExistsException"):
        aws.secrets.create_secret(Name="key", SecretString=value(), ClientRequestToken=chosen)
    with refused("ResourceExistsException"):
        aws.secrets.create_secret(Name="key", SecretString=text, ClientRequestToken=token())
    with refused("ResourceExistsException"):
        aws.secrets.create_secret(Name="key")


@pytest.mark.parametrize("name", ["with space", "ümlaut", "semi;colon"])
def test_a_name_has_only_allowed_characters(aws: Clients, name: str) -> None:
    """Names are letters, digits and a few signs."""
    with refused("ValidationException"):
        aws.secrets.create_secret(Name=name, SecretString=value())


def test_a_value_has_at_most_65536_bytes(aws: Clients, create: Create) -> None:
    """The limit counts bytes, for text and for binary, and the limit itself is allowed."""
    create("key")
    with refused("ValidationException"):
        aws.secrets.put_secret_value(SecretId="key", SecretString="é" * 32_769)
    with refused("ValidationException"):
        aws.secrets.put_secret_value(SecretId="key", SecretBinary=bytes(65_537))
    aws.secrets.put_secret_value(SecretId="key", SecretString="é" * 32_768)
    aws.secrets.put_secret_value(SecretId="key", SecretBinary=bytes(65_536))


def test_exactly_one_kind_of_value_is_put(aws: Clients, create: Create) -> None:
    """Text and binary exclude each other, and a put without any is refused."""
    create("key")
    with refused("InvalidParameterException"):
        aws.secrets.put_secret_value(SecretId="key", SecretString=value(), SecretBinary=b"x")
    with refused("InvalidParameterException"):
        aws.secrets.put_secret_value(SecretId="key")


def test_a_used_token_with_another_value_is_refused(
    aws: Clients, create: Create, stages: Stages
) -> None:
    """A version never changes: neither its value nor, by a repeated put, its labels."""
    current = create("key")
    chosen, text = token(), value()
    aws.secrets.put_secret_value(
        SecretId="key", SecretString=text, ClientRequestToken=chosen, VersionStages=["AWSPENDING"]
    )
    with refused("ResourceExistsException"):
        aws.secrets.put_secret_value(
            SecretId="key", SecretString=value(), ClientRequestToken=chosen
        )
    again = aws.secrets.put_secret_value(
        SecretId="key", SecretString=text, ClientRequestToken=chosen, VersionStages=["AWSCURRENT"]
    )
    assert (again["VersionId"], again["VersionStages"]) == (chosen, ["AWSPENDING"])
    assert stages("key") == {"AWSCURRENT": current, "AWSPENDING": chosen}


def test_the_default_stage_of_a_put_is_current(
    aws: Clients, create: Create, stages: Stages
) -> None:
    """A put without stages promotes at once and leaves AWSPREVIOUS on the version before."""
    first = create("key")
    second = aws.secrets.put_secret_value(SecretId="key", SecretString=value())["VersionId"]
    assert stages("key") == {"AWSCURRENT": second, "AWSPREVIOUS": first}
    third = aws.secrets.put_secret_value(SecretId="key", SecretString=value())["VersionId"]
    assert stages("key") == {"AWSCURRENT": third, "AWSPREVIOUS": second}


def test_the_first_version_gets_current_whatever_its_labels(
    aws: Clients, put: Put, stages: Stages
) -> None:
    """A secret without versions gets a current one with its first put."""
    aws.secrets.create_secret(Name="key")
    with refused("ResourceNotFoundException", "AWSCURRENT"):
        aws.secrets.get_secret_value(SecretId="key")
    first = put("key", "AWSPENDING")
    assert stages("key") == {"AWSPENDING": first, "AWSCURRENT": first}


def test_a_label_moves_with_a_put(create: Create, put: Put, stages: Stages) -> None:
    """A label sits on one version only."""
    current = create("key")
    put("key", "AWSPENDING", "mine")
    second = put("key", "AWSPENDING")
    assert stages("key")["AWSPENDING"] == second
    assert stages("key")["AWSCURRENT"] == current
    assert stages("key")["mine"] != second


def test_moving_current_is_a_compare_and_swap(
    aws: Clients, create: Create, put: Put, stages: Stages
) -> None:
    """Only who names the version that is current moves AWSCURRENT; AWSPREVIOUS follows."""
    base = create("key")
    one, two = put("key", "AWSPENDING"), put("key", "AWSPENDING")
    move = aws.secrets.update_secret_version_stage
    with refused("InvalidParameterException", base):
        move(SecretId="key", VersionStage="AWSCURRENT", MoveToVersionId=one)
    move(SecretId="key", VersionStage="AWSCURRENT", MoveToVersionId=one, RemoveFromVersionId=base)
    with refused("InvalidParameterException"):
        move(
            SecretId="key", VersionStage="AWSCURRENT", MoveToVersionId=two, RemoveFromVersionId=base
        )
    assert stages("key") == {"AWSCURRENT": one, "AWSPREVIOUS": base, "AWSPENDING": two}


def test_a_move_repeated_after_it_took_effect_fails(
    aws: Clients, create: Create, put: Put, stages: Stages
) -> None:
    """A retry of a move whose answer was lost is an error, though the label is where it should."""
    base = create("key")
    new = put("key", "AWSPENDING")
    move = {"SecretId": "key", "VersionStage": "AWSCURRENT", "MoveToVersionId": new}
    aws.secrets.update_secret_version_stage(**move, RemoveFromVersionId=base)
    with refused("InvalidParameterException"):
        aws.secrets.update_secret_version_stage(**move, RemoveFromVersionId=base)
    aws.secrets.update_secret_version_stage(**move)
    assert stages("key") == {"AWSCURRENT": new, "AWSPREVIOUS": base, "AWSPENDING": new}


def test_moving_current_back_swaps_the_two_labels(
    aws: Clients, create: Create, put: Put, stages: Stages
) -> None:
    """A rollback by label puts AWSPREVIOUS on the version rolled back from."""
    first = create("key")
    second = put("key", "AWSCURRENT")
    aws.secrets.update_secret_version_stage(
        SecretId="key",
        VersionStage="AWSCURRENT",
        MoveToVersionId=first,
        RemoveFromVersionId=second,
    )
    assert stages("key") == {"AWSCURRENT": first, "AWSPREVIOUS": second}


def test_a_label_is_removed_from_its_holder_only(
    aws: Clients, create: Create, put: Put, stages: Stages
) -> None:
    """Removal names the holder; AWSCURRENT can only move; a call that names nothing is refused."""
    current = create("key")
    pending = put("key", "AWSPENDING")
    move = aws.secrets.update_secret_version_stage
    with refused("InvalidParameterException"):
        move(SecretId="key", VersionStage="AWSPENDING", RemoveFromVersionId=current)
    with refused("InvalidParameterException", "completely removed"):
        move(SecretId="key", VersionStage="AWSCURRENT", RemoveFromVersionId=current)
    with refused("InvalidParameterException"):
        move(SecretId="key", VersionStage="AWSPENDING")
    with refused("ResourceNotFoundException"):
        move(
            SecretId="key",
            VersionStage="AWSPENDING",
            MoveToVersionId=token(),
            RemoveFromVersionId=pending,
        )
    move(SecretId="key", VersionStage="AWSPENDING", RemoveFromVersionId=pending)
    assert stages("key") == {"AWSCURRENT": current}


def test_a_secret_has_at_most_20_labels(
    aws: Clients, create: Create, put: Put, stages: Stages
) -> None:
    """A put or move past 20 labels fails whole, also when the 21st would be AWSPREVIOUS."""
    current = create("key")
    pending = put("key", *(f"mine-{n}" for n in range(19)))
    before = stages("key")
    assert len(before) == 20
    with refused("LimitExceededException"):
        put("key", "one-more")
    move = aws.secrets.update_secret_version_stage
    with refused("LimitExceededException"):
        move(SecretId="key", VersionStage="one-more", MoveToVersionId=current)
    with refused("LimitExceededException"):
        move(
            SecretId="key",
            VersionStage="AWSCURRENT",
            MoveToVersionId=pending,
            RemoveFromVersionId=current,
        )
    assert stages("key") == before
    put("key", "mine-3")


def test_over_100_versions_the_oldest_unlabelled_ones_of_yesterday_go(
    sim: AwsSimulator, create: Create, put: Put
) -> None:
    """A version with a label stays for ever, one without for 24 hours at least."""
    first = create("key")
    put("key", "kept")
    for _ in range(98):
        put("key", "AWSPENDING")
    with refused("LimitExceededException"):
        put("key", "AWSPENDING")
    sim.shift_clock(seconds=DAY - 1)
    with refused("LimitExceededException"):
        put("key", "AWSPENDING")
    before = list(sim.secrets.secret("key").versions)
    assert len(before) == 100
    sim.shift_clock(seconds=1)
    new = put("key", "AWSPENDING")
    after = list(sim.secrets.secret("key").versions)
    assert after == [*before[:2], *before[3:], new]
    assert sim.secrets.secret("key").labels["AWSCURRENT"] == first


def test_both_selectors_must_mean_the_same_version(aws: Clients, create: Create, put: Put) -> None:
    """VersionId and VersionStage together are checked against each other."""
    current = create("key")
    pending = put("key", "AWSPENDING")
    read = aws.secrets.get_secret_value
    assert read(SecretId="key")["VersionId"] == current
    assert read(SecretId="key", VersionStage="AWSPENDING")["VersionId"] == pending
    assert read(SecretId="key", VersionId=pending)["VersionId"] == pending
    both = read(SecretId="key", VersionId=pending, VersionStage="AWSPENDING")
    assert both["VersionId"] == pending
    with refused("InvalidRequestException"):
        read(SecretId="key", VersionId=pending, VersionStage="AWSCURRENT")
    with refused("ResourceNotFoundException"):
        read(SecretId="key", VersionId=token())
    with refused("ResourceNotFoundException"):
        read(SecretId="key", VersionStage="AWSPREVIOUS")
    with refused("ResourceNotFoundException"):
        read(SecretId="other")


def test_the_customers_key_must_be_usable(aws: Clients) -> None:
    """Writing needs the secret's KMS key to exist and be enabled, and so does reading."""
    key = aws.kms.create_key()["KeyMetadata"]["KeyId"]
    with refused("EncryptionFailure"):
        aws.secrets.create_secret(Name="key", SecretString=value(), KmsKeyId=token())
    aws.secrets.create_secret(Name="key", SecretString=value(), KmsKeyId=key)
    assert aws.secrets.describe_secret(SecretId="key")["KmsKeyId"] == key
    aws.kms.disable_key(KeyId=key)
    with refused("EncryptionFailure"):
        aws.secrets.put_secret_value(SecretId="key", SecretString=value())
    with refused("DecryptionFailure"):
        aws.secrets.get_secret_value(SecretId="key")
    aws.kms.enable_key(KeyId=key)
    aws.secrets.get_secret_value(SecretId="key")
