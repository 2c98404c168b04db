"""KMS's and S3's rules, the latter as obstore, which the audit log uses, meets them."""

import base64
import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import botocore.session
import obstore
import pytest
from botocore.client import BaseClient
from botocore.config import Config
from obstore.exceptions import AlreadyExistsError, GenericError
from obstore.store import S3Store

from infra.local.aws.sim import ACCESS_KEY, BUCKET, AwsSimulator, Clients
from tests.local.conftest import START, refused


@pytest.fixture
def key_id(aws: Clients) -> str:
    """A new KMS key's id."""
    return aws.kms.create_key()["KeyMetadata"]["KeyId"]


def test_a_data_key_has_the_wanted_length(aws: Clients, key_id: str) -> None:
    """Length comes from a spec or a number of bytes, and each answer is fresh."""
    generate = aws.kms.generate_data_key
    assert len(generate(KeyId=key_id, KeySpec="AES_256")["Plaintext"]) == 32
    assert len(generate(KeyId=key_id, KeySpec="AES_128")["Plaintext"]) == 16
    one, two = (generate(KeyId=key_id, NumberOfBytes=1024) for _ in range(2))
    assert len(one["Plaintext"]) == 1024
    assert one["Plaintext"] != two["Plaintext"]
    assert one["KeyId"] == aws.kms.describe_key(KeyId=key_id)["KeyMetadata"]["Arn"]


def test_a_data_keys_length_is_given_once(aws: Clients, key_id: str) -> None:
    """Both or neither of spec and number, an unknown spec, and over 1024 bytes are refused."""
    generate = aws.kms.generate_data_key
    with refused("ValidationException"):
        generate(KeyId=key_id)
    with refused("ValidationException"):
        generate(KeyId=key_id, KeySpec="AES_256", NumberOfBytes=32)
    with refused("ValidationException"):
        generate(KeyId=key_id, NumberOfBytes=1025)
    with refused("ValidationException"):
        generate(KeyId=key_id, KeySpec="AES_512")  # type: ignore[arg-type]  # the point of it


def test_a_key_is_found_by_id_arn_and_alias(aws: Clients, key_id: str) -> None:
    """All four forms of a KeyId name the same key; an unknown one is not found."""
    arn = aws.kms.describe_key(KeyId=key_id)["KeyMetadata"]["Arn"]
    aws.kms.create_alias(AliasName="alias/mine", TargetKeyId=key_id)
    for form in (key_id, arn, "alias/mine", arn.replace(f"key/{key_id}", "alias/mine")):
        assert aws.kms.generate_data_key(KeyId=form, KeySpec="AES_256")["KeyId"] == arn
    for unknown in ("alias/other", "00000000-0000-0000-0000-000000000000", arn + "0"):
        with refused("NotFoundException"):
            aws.kms.generate_data_key(KeyId=unknown, KeySpec="AES_256")
    with refused("AlreadyExistsException"):
        aws.kms.create_alias(AliasName="alias/mine", TargetKeyId=key_id)


def test_a_disabled_key_makes_no_data_key(aws: Clients, key_id: str) -> None:
    """A disabled key can be described and enabled again, not used."""
    aws.kms.disable_key(KeyId=key_id)
    with refused("DisabledException"):
        aws.kms.generate_data_key(KeyId=key_id, KeySpec="AES_256")
    assert aws.kms.describe_key(KeyId=key_id)["KeyMetadata"]["KeyState"] == "Disabled"
    aws.kms.enable_key(KeyId=key_id)
    aws.kms.generate_data_key(KeyId=key_id, KeySpec="AES_256")


def test_randomness_comes_by_up_to_1024_bytes(aws: Clients) -> None:
    """GenerateRandom needs no key, and a number of bytes."""
    assert len(aws.kms.generate_random(NumberOfBytes=1024)["Plaintext"]) == 1024
    with refused("ValidationException"):
        aws.kms.generate_random(NumberOfBytes=1025)
    with refused("ValidationException"):
        aws.kms.generate_random()


def test_rotation_of_a_key_is_off_until_enabled(aws: Clients, key_id: str) -> None:
    """The status tells the flag, the period and the next date."""
    assert aws.kms.get_key_rotation_status(KeyId=key_id)["KeyRotationEnabled"] is False
    with refused("ValidationException"):
        aws.kms.enable_key_rotation(KeyId=key_id, RotationPeriodInDays=2561)
    aws.kms.enable_key_rotation(KeyId=key_id)
    status = aws.kms.get_key_rotation_status(KeyId=key_id)
    assert (status["KeyRotationEnabled"], status["RotationPeriodInDays"]) == (True, 365)
    assert (status["NextRotationDate"] - START).days == 365


def bucket_of(sim: AwsSimulator, name: str = BUCKET, *, checksum: bool = True) -> S3Store:
    """An obstore client of a bucket, without retries."""
    return S3Store(
        name,
        endpoint=sim.url,
        region="eu-central-1",
        access_key_id=ACCESS_KEY,
        secret_access_key=ACCESS_KEY,
        client_options={"allow_http": True},
        retry_config={"max_retries": 0},
        **({"checksum_algorithm": "SHA256"} if checksum else {}),  # type: ignore[arg-type]  # a literal
    )


@pytest.fixture
def bucket(sim: AwsSimulator) -> S3Store:
    """The bucket of the audit log."""
    return bucket_of(sim)


def s3_call(client: BaseClient, method: str, **params: object) -> object:
    """Call a method that the client makes from its service's description."""
    result: object = getattr(client, method)(**params)
    return result


@pytest.fixture
def s3(sim: AwsSimulator) -> Iterator[BaseClient]:
    """A botocore client, which sends what obstore has no words for."""
    client = botocore.session.Session().create_client(
        "s3",
        region_name="eu-central-1",
        endpoint_url=sim.url,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=ACCESS_KEY,
        config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
    )
    yield client
    client.close()


def test_only_one_writer_creates_an_object(bucket: S3Store) -> None:
    """Of twenty creations at once one succeeds, and its body is what stays."""

    def create(n: int) -> int | None:
        try:
            obstore.put(bucket, "log/1.json", str(n).encode(), mode="create")
        except AlreadyExistsError:
            return None
        return n

    with ThreadPoolExecutor(20) as pool:
        winners = [n for n in pool.map(create, range(20)) if n is not None]
    assert len(winners) == 1
    assert bytes(obstore.get(bucket, "log/1.json").bytes()) == str(winners[0]).encode()


def test_an_object_needs_a_checksum(sim: AwsSimulator) -> None:
    """A put without one is refused, as under a default retention, and leaves nothing."""
    plain = bucket_of(sim, checksum=False)
    with pytest.raises(GenericError, match="Content-MD5 OR x-amz-checksum"):
        obstore.put(plain, "log/1.json", b"{}", mode="create")
    assert sim.s3.buckets[BUCKET] == {}
    assert [call.outcome for call in sim.calls] == ["InvalidRequest"]


@pytest.mark.parametrize(
    ("param", "algorithm"),
    [("ChecksumSHA256", "sha256"), ("ChecksumSHA1", "sha1"), ("ContentMD5", "md5")],
)
def test_a_checksum_must_be_right(s3: BaseClient, param: str, algorithm: str) -> None:
    """What arrives must be what was sent."""
    wrong, right = (
        base64.b64encode(hashlib.new(algorithm, body).digest()).decode() for body in (b"b", b"a")
    )
    with refused("BadDigest"):
        s3_call(s3, "put_object", Bucket=BUCKET, Key="log/1", Body=b"a", **{param: wrong})
    s3_call(s3, "put_object", Bucket=BUCKET, Key="log/1", Body=b"a", **{param: right})


def test_other_conditions_are_refused(s3: BaseClient) -> None:
    """Put-if-absent is the one condition on a put that is modelled."""
    s3_call(s3, "put_object", Bucket=BUCKET, Key="log/1", Body=b"a", IfNoneMatch="*")
    with refused("PreconditionFailed"):
        s3_call(s3, "put_object", Bucket=BUCKET, Key="log/1", Body=b"a", IfNoneMatch="*")
    for condition in ({"IfNoneMatch": "etag"}, {"IfMatch": "etag"}):
        with refused("NotImplemented"):
            s3_call(s3, "put_object", Bucket=BUCKET, Key="log/1", Body=b"a", **condition)


def test_an_object_has_its_date_size_and_tag(bucket: S3Store) -> None:
    """The head of an object tells what its listing tells."""
    put = obstore.put(bucket, "log/1.json", b"abc", mode="create")
    head = obstore.head(bucket, "log/1.json")
    assert (head["size"], head["e_tag"], head["last_modified"]) == (3, put["e_tag"], START)
    assert obstore.list(bucket).collect() == [head]
    with pytest.raises(FileNotFoundError):
        obstore.get(bucket, "log/2.json")
    with pytest.raises(FileNotFoundError):
        obstore.head(bucket, "log/2.json")


def test_nobody_deletes(sim: AwsSimulator, bucket: S3Store, s3: BaseClient) -> None:
    """DELETE answers 403 and the object stays."""
    obstore.put(bucket, "log/1.json", b"{}", mode="create")
    with refused("AccessDenied"):
        s3_call(s3, "delete_object", Bucket=BUCKET, Key="log/1.json")
    assert "log/1.json" in sim.s3.buckets[BUCKET]


def test_a_listing_is_sorted_and_has_folders(bucket: S3Store, s3: BaseClient) -> None:
    """Prefix, delimiter, offset and pages give each key or folder once, in order."""
    names = ["log/a/1", "log/a/2", "log/b/1", "log/c", "other/1", "log & <more>/ü 1"]
    for name in names:
        obstore.put(bucket, name, b"", mode="create")
    listed = [item["path"] for batch in obstore.list(bucket, "log") for item in batch]
    assert listed == ["log/a/1", "log/a/2", "log/b/1", "log/c"]
    offset = [item["path"] for batch in obstore.list(bucket, offset="log/a/2") for item in batch]
    assert offset == ["log/b/1", "log/c", "other/1"]
    level = obstore.list_with_delimiter(bucket, "log")
    assert level["common_prefixes"] == ["log/a", "log/b"]
    assert [item["path"] for item in level["objects"]] == ["log/c"]
    paginate = s3.get_paginator("list_objects_v2").paginate
    by_one = {"PageSize": 1}
    pages = paginate(Bucket=BUCKET, Delimiter="/", PaginationConfig=by_one)
    folders = [folder["Prefix"] for page in pages for folder in page.get("CommonPrefixes", ())]
    assert folders == ["log & <more>/", "log/", "other/"]
    pages = paginate(Bucket=BUCKET, PaginationConfig=by_one)
    assert [item["Key"] for page in pages for item in page["Contents"]] == sorted(names)


def test_another_bucket_does_not_exist(sim: AwsSimulator) -> None:
    """Only the buckets that the simulator was given exist."""
    with pytest.raises(FileNotFoundError):
        obstore.get(bucket_of(sim, "elsewhere"), "log/1.json")
