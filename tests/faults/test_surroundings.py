"""Settings that are missing, stores and logs that refuse or hang: told clearly, nothing changed."""

import os
import socket
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from daena_kms.audit import open_log
from daena_kms.cloud_kms import AWSKMSAdapter, LocalAdapter, get_cloud_kms_adapter
from daena_kms.engine import run
from daena_kms.errors import (
    AccessDenied,
    AuditUnavailable,
    ConfigError,
    KeyNotFound,
    StoreUnavailable,
)
from daena_kms.objects.cloud import CloudObjects
from obstore.store import S3Store

from infra.local.aws.sim import ACCESS_KEY, BUCKET, REGION, clients
from infra.local.faults import only
from tests.faults.worlds import DAY, AwsWorld, World, refused

KEY = "app-key"
LATER = 91 * DAY
MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize("provider", ["", "AWS", "amazon", "x" * 500, "gcp\n"])
def test_an_unknown_provider(provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A provider that there is not is refused with those that there are."""
    with pytest.raises(ConfigError, match=r"is not a provider.*aws, azure, gcp, local") as caught:
        get_cloud_kms_adapter(provider)
    assert len(str(caught.value)) < 200
    monkeypatch.setenv("DAENA_CLOUD_KMS_PROVIDER", provider or "none")
    with pytest.raises(ConfigError, match="is not a provider"):
        get_cloud_kms_adapter()


def test_a_surrounding_that_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """No provider, no folder, no region, no credentials, no log: each is named by what to set."""
    with pytest.raises(ConfigError, match=r"none is set.*DAENA_CLOUD_KMS_PROVIDER"):
        get_cloud_kms_adapter()
    with pytest.raises(ConfigError, match="DAENA_KMS_HOME"):
        LocalAdapter()
    with pytest.raises(ConfigError, match=r"no AWS region is set.*AWS_REGION"):
        AWSKMSAdapter().list_keys()
    with pytest.raises(ConfigError, match="no usable AWS credentials"):
        AWSKMSAdapter(REGION).get_key(KEY)
    with pytest.raises(ConfigError, match="no usable AWS credentials"):
        AWSKMSAdapter(REGION, profile="nobody").get_key(KEY)
    with pytest.raises(ConfigError, match="DAENA_KMS_AUDIT_URL"):
        open_log()
    monkeypatch.setenv("AWS_KMS_KEY_ID", "x")
    monkeypatch.setenv("DAENA_KMS_HOME", os.devnull)
    with pytest.raises(ConfigError, match="points to aws and local"):
        get_cloud_kms_adapter()


@pytest.mark.parametrize(
    "url",
    [
        *("", "log", "ftp://x/y", "http://x", "file://host/x", "file:///", "s3://", "s3:///x"),
        *("az://c", "s3://b/p?x=1", "s3://user:word@b/p", "s3://b#f", "file:relative", "s3://["),
        "x" * 1000,
    ],
)
def test_an_audit_url_of_no_known_kind(url: str) -> None:
    """A log's address that can't be used is refused at once, with the forms that can be."""
    with pytest.raises(ConfigError, match=r"s3://|file:///") as caught:
        open_log(url, region=REGION)
    assert len(str(caught.value)) < 250
    assert "word" not in str(caught.value)


def test_access_denied_to_each_call(aws: AwsWorld) -> None:
    """Whatever is refused is named, with the key and where to allow it; the state is as before."""
    aws.operations().create(KEY)
    aws.adapter.rotate_key(KEY)
    adapter = aws.adapter
    for operation, call in (
        ("ListSecrets", adapter.list_keys),
        ("GetSecretValue", lambda: adapter.get_key(KEY)),
        ("DescribeSecret", lambda: adapter.rotate_key(KEY)),
        ("GenerateDataKey", lambda: adapter.rotate_key(KEY)),
        ("PutSecretValue", lambda: adapter.rotate_key(KEY)),
        ("DeleteSecret", lambda: adapter.delete_key(KEY)),
        ("CreateSecret", lambda: adapter.create_key("new-key")),
    ):
        aws.sim.faults.deny(operation)
        with refused(aws, AccessDenied, "AWS refused.*[Aa]llow it"):
            call()
        aws.sim.faults.allow(operation)
    aws.sim.faults.deny("UpdateSecretVersionStage")
    value = adapter.get_key(KEY)
    with pytest.raises(AccessDenied, match="AWS refused"):
        adapter.rotate_key(KEY)
    assert adapter.get_key(KEY) == value
    aws.sim.faults.allow("UpdateSecretVersionStage")
    assert adapter.rotate_key(KEY) != value


def test_a_kms_key_that_can_t_be_used(aws: AwsWorld) -> None:
    """A KMS key that is not there, or is disabled, is named; values under it stay as they are."""
    aws.operations().create(KEY)
    gone = AWSKMSAdapter(REGION, "alias/gone", secrets_client=aws.secrets, kms_client=aws.kms)
    with refused(aws, ConfigError, "KMS key in AWS_KMS_KEY_ID does not exist"):
        gone.rotate_key(KEY)
    aws.kms.disable_key(KeyId=aws.kms_key)
    with refused(aws, ConfigError, "KMS key is disabled"):
        aws.adapter.rotate_key(KEY)
    with refused(aws, AccessDenied, "KMS key can't decrypt"):
        aws.adapter.get_key(KEY)
    with refused(aws, AccessDenied, "KMS key can't encrypt"):
        aws.adapter.create_key("new-key", "a value of one's own")
    aws.kms.enable_key(KeyId=aws.kms_key)
    assert aws.run(LATER).rotated == [KEY]


def test_a_store_that_hangs(aws: AwsWorld) -> None:
    """A call without an answer ends with the client's time-out, as worth trying again."""
    aws.operations().create(KEY)
    hasty = clients(aws.sim.url, read_timeout=0.2)
    adapter = AWSKMSAdapter(REGION, aws.kms_key, secrets_client=hasty.secrets, kms_client=hasty.kms)
    for _ in range(2):
        aws.sim.faults.hang()
        with refused(aws, StoreUnavailable, "AWS did not answer"):
            adapter.rotate_key(KEY)
    aws.sim.faults.hang(when=only("secretsmanager", "ListSecrets"))
    with refused(aws, StoreUnavailable, "AWS did not answer"):
        run(adapter, aws.log, now=aws.began + LATER)
    aws.sim.faults.clear()
    assert run(adapter, aws.log, now=aws.began + LATER).rotated == [KEY]


def test_a_log_that_hangs_fails_closed(aws: AwsWorld) -> None:
    """A log that does not answer within its time stops the run before any change."""
    aws.operations().create(KEY)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        config = {"endpoint": address, "access_key_id": "x", "secret_access_key": "x"}
        store = S3Store(
            BUCKET,
            config={**config, "region": REGION},  # type: ignore[arg-type] # as obstore reads it
            client_options={"allow_http": True, "timeout": "200ms"},
            retry_config={"max_retries": 0},
        )
        log = CloudObjects(store, "s3://silent")
        with refused(aws, AuditUnavailable, "s3://silent can't be listed"):
            run(aws.adapter, log, now=aws.began + LATER)


@pytest.mark.parametrize("bucket", ["no-such-bucket", BUCKET])
def test_a_log_that_refuses_fails_closed(
    aws: AwsWorld, monkeypatch: pytest.MonkeyPatch, bucket: str
) -> None:
    """A bucket that is not there, or that refuses, stops the run before any change."""
    aws.operations().create(KEY)
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws.sim.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", ACCESS_KEY)
    aws.sim.faults.deny("PutObject")
    with refused(aws, AuditUnavailable, "s3://"):
        run(aws.adapter, open_log(f"s3://{bucket}/x", region=REGION), now=aws.began + LATER)


@pytest.mark.parametrize("text", ["", "AAAA", "not base64!", "A" * 44])
def test_a_wrong_master_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """A master key that is none, or another one, opens nothing and says what is wanted."""
    adapter = LocalAdapter(tmp_path)
    value = adapter.create_key(KEY)
    (tmp_path / "master.key").write_text(text)
    with pytest.raises(ConfigError, match="master"):
        LocalAdapter(tmp_path).get_key(KEY)
    assert adapter.get_key(KEY) == value
    if text:
        monkeypatch.setenv("DAENA_KMS_MASTER_KEY", text)
        with pytest.raises(ConfigError, match="master key"):
            LocalAdapter(tmp_path).get_key(KEY)


def test_a_damaged_local_store(tmp_path: Path) -> None:
    """A database that is no database, and a value that was altered, are told from a missing key."""
    adapter = LocalAdapter(tmp_path)
    adapter.create_key(KEY)
    with pytest.raises(KeyNotFound):
        adapter.get_key("no-key")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "keys.db").write_bytes(os.urandom(8192))
    (tmp_path / "other" / "master.key").write_bytes((tmp_path / "master.key").read_bytes())
    (tmp_path / "other" / "master.key").chmod(0o600)
    with pytest.raises(ConfigError, match=r"damaged.*backup"):
        LocalAdapter(tmp_path / "other").list_keys()


@pytest.fixture(params=["Pacific/Kiritimati", "America/St_Johns"])
def _elsewhere(request: pytest.FixtureRequest) -> Iterator[None]:
    """Let the machine's time be that of another place."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", request.param)
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("_elsewhere")
def test_neither_zone_nor_folder_matter(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Times are UTC wherever the machine is; a folder that is gone from under us is not missed."""
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    world.operations().create(KEY)
    made = world.look(KEY).versions[0].created
    assert abs(made - world.began) < MINUTE
    assert world.run(LATER - DAY - MINUTE).rotated == []
    assert world.run(LATER).rotated == [KEY]
    assert world.verify().ok


@pytest.mark.parametrize("mask", [0, 0o777])
def test_the_mask_of_new_files_does_not_matter(tmp_path: Path, mask: int) -> None:
    """Whatever the umask is, nobody else reads the local store's master key or writes a file."""
    before = os.umask(mask)
    try:
        LocalAdapter(tmp_path / "home").create_key(KEY)
    finally:
        os.umask(before)
    assert (tmp_path / "home" / "master.key").stat().st_mode & 0o077 == 0
    assert not [p for p in (tmp_path / "home").iterdir() if p.stat().st_mode & 0o022]
    assert LocalAdapter(tmp_path / "home").get_key(KEY)
