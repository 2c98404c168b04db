"""What was seen of KMS, of permissions and of S3; see test_sim_aws_recorded."""

import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection

import pytest

from infra.local.aws.secrets import TagCondition
from infra.local.aws.sim import ACCESS_KEY, BUCKET, OTHERS_KEY, AwsSimulator, Clients
from tests.local.conftest import refused, value

KEY = "key"

type Create = Callable[[str], str]


@pytest.fixture
def aws(sim: AwsSimulator) -> Iterator[Clients]:
    """Clients that call it in this process."""
    made = sim.clients(wire=False)
    yield made
    made.secrets.close()
    made.kms.close()


# KMS, and whose permissions count.


@pytest.fixture
def under_key(aws: Clients) -> str:
    """The KMS key of a secret."""
    key = aws.kms.create_key()["KeyMetadata"]["KeyId"]
    aws.secrets.create_secret(Name=KEY, SecretString=value(), KmsKeyId=key)
    return key


@pytest.mark.parametrize("state", ["disabled", "pending deletion"])
def test_a_key_that_is_not_usable(aws: Clients, under_key: str, state: str) -> None:
    """doc: DecryptionFailure, "is the KMS key enabled"; a key that waits for deletion is none."""
    if state == "disabled":
        aws.kms.disable_key(KeyId=under_key)
    else:
        aws.kms.schedule_key_deletion(KeyId=under_key)
    with refused("DecryptionFailure"):
        aws.secrets.get_secret_value(SecretId=KEY)
    with refused("EncryptionFailure"):
        aws.secrets.put_secret_value(SecretId=KEY, SecretString=value())
    with refused("EncryptionFailure"):
        aws.secrets.create_secret(Name="new", SecretString=value(), KmsKeyId=under_key)
    code = "DisabledException" if state == "disabled" else "KMSInvalidStateException"
    with refused(code, f"is {state}."):
        aws.kms.generate_data_key(KeyId=under_key, NumberOfBytes=32)


def test_a_caller_needs_the_key_as_well(sim: AwsSimulator, aws: Clients, under_key: str) -> None:
    """rep: aws-kms-developer-guide#36, kubernetes-external-secrets#838: its own words."""
    words = "Access to KMS is not allowed"
    sim.kms.keys[under_key].denied = frozenset({"Decrypt"})
    with refused("AccessDeniedException", words):
        aws.secrets.get_secret_value(SecretId=KEY)
    aws.secrets.put_secret_value(SecretId=KEY, SecretString=value())
    sim.kms.keys[under_key].denied = frozenset({"GenerateDataKey"})
    with refused("AccessDeniedException", words):
        aws.secrets.put_secret_value(SecretId=KEY, SecretString=value())
    with refused("AccessDeniedException", words):
        aws.secrets.create_secret(Name="new", SecretString=value(), KmsKeyId=under_key)
    with refused("AccessDeniedException", "kms:GenerateDataKey"):
        aws.kms.generate_data_key(KeyId=under_key, NumberOfBytes=32)
    assert "SecretString" in aws.secrets.get_secret_value(SecretId=KEY)


def test_how_kms_words_a_refusal(aws: Clients, under_key: str) -> None:
    """rec: localstack test_generate_random_invalid_number_of_bytes, ..._dry_run, invalid_uuid."""
    with refused("ValidationException", "NumberOfBytes is required."):
        aws.kms.generate_random()
    with refused("NotFoundException", "Invalid keyId 'fake-key-id'"):
        aws.kms.describe_key(KeyId="fake-key-id")
    words = "The request would have succeeded, but the DryRun option is set."
    with refused("DryRunOperationException", words):
        aws.kms.generate_data_key(KeyId=under_key, NumberOfBytes=32, DryRun=True)


@pytest.mark.parametrize("name", ["theirs", "free-name"])
def test_a_condition_on_a_tag_comes_before_the_secret(
    sim: AwsSimulator, aws: Clients, create: Create, name: str
) -> None:
    """rep: jenkins' aws-secrets-manager-credentials-provider#65: what is not there has no tag."""
    operations = frozenset({"DescribeSecret", "GetSecretValue"})
    condition = TagCondition(ACCESS_KEY, operations, "daena.managed", "true")
    create("theirs")
    create("ours")
    aws.secrets.tag_resource(SecretId="ours", Tags=[{"Key": "daena.managed", "Value": "true"}])
    sim.secrets.conditions.append(condition)
    for read in (aws.secrets.describe_secret, aws.secrets.get_secret_value):
        with refused("AccessDeniedException", "no identity-based policy allows"):
            read(SecretId=name)
        assert read(SecretId="ours")["Name"] == "ours"
    aws.secrets.list_secret_version_ids(SecretId="theirs")
    others = sim.clients(wire=False, access_key=OTHERS_KEY)
    assert others.secrets.describe_secret(SecretId="theirs")["Name"] == "theirs"
    others.secrets.close()
    others.kms.close()


# S3.


MD5 = {"Content-MD5": "CY9rzUYh03PK3k6DJie09g=="}


def raw_put(sim: AwsSimulator, key: str, checksum: Mapping[str, str] = MD5) -> tuple[int, str]:
    """Create an object without an SDK; returns status and text."""
    connection = HTTPConnection(sim.url.removeprefix("http://"), timeout=10)
    headers = {"If-None-Match": "*", **checksum}
    connection.request("PUT", f"/{BUCKET}/{key}", "test", headers)
    answer = connection.getresponse()
    found = answer.status, answer.read().decode()
    connection.close()
    return found


def test_an_object_that_is_there(sim: AwsSimulator) -> None:
    """rec: localstack test_put_object_if_none_match: 412 with the condition."""
    assert raw_put(sim, "one")[0] == 200
    status, text = raw_put(sim, "one")
    assert status == 412
    assert "<Code>PreconditionFailed</Code>" in text
    assert "<Condition>If-None-Match</Condition>" in text


def test_a_conflict_means_again(sim: AwsSimulator) -> None:
    """doc: API_PutObject, 409; words: rec: localstack test_multipart_if_none_match_with_delete."""
    sim.s3.conflicts = 1
    status, text = raw_put(sim, "one")
    assert (status, sim.s3.buckets[BUCKET]) == (409, {})
    assert "<Code>ConditionalRequestConflict</Code>" in text
    assert "conflicting operation against this resource." in text
    assert "<Key>one</Key>" in text
    assert raw_put(sim, "one")[0] == 200
    assert raw_put(sim, "one")[0] == 412


def test_of_two_at_once_the_later_has_to_try_again(sim: AwsSimulator) -> None:
    """doc: "if a conflicting operation occurs during the upload"; it finds no object yet."""
    both = threading.Barrier(2)
    sim.pause = lambda _: both.wait(30)
    sim.set_latency(1)
    with ThreadPoolExecutor(2) as pool:
        answers = sorted(status for status, _ in pool.map(lambda _: raw_put(sim, "one"), range(2)))
    assert answers in ([200, 409], [200, 412])
    assert len(sim.s3.buckets[BUCKET]) == 1


@pytest.mark.parametrize(
    ("name", "value_of"),
    [
        ("x-amz-checksum-sha256", "n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg="),
        ("x-amz-checksum-crc32", "2H9+DA=="),
        ("Content-MD5", "CY9rzUYh03PK3k6DJie09g=="),
    ],
)
def test_one_checksum_is_enough_for_a_locked_bucket(
    sim: AwsSimulator, name: str, value_of: str
) -> None:
    """rec: arrow-rs#3725: a checksum's header alone; without any the put is refused."""
    assert sim.s3.locks[BUCKET] is not None
    assert raw_put(sim, "one", {})[0] == 400
    assert raw_put(sim, "one", {name: value_of})[0] == 200
