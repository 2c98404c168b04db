"""Settings that are missing, stores and logs that refuse or hang: told clearly, nothing changed."""

import os
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from daena_kms.audit import open_log
from daena_kms.cloud_kms import AWSKMSAdapter, LocalAdapter, get_cloud_kms_adapter
from daena_kms.errors import (
    ConfigError,
    KeyNotFound,
)

from infra.local.aws.sim import REGION
from tests.worlds.base import DAY, FaultWorld

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
    world: FaultWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Times are UTC wherever the machine is; a folder that is gone from under us is not missed."""
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    world.operations().create(KEY)
    made = world.look(KEY).versions[0].created
    assert abs(made - world.began) < MINUTE
    assert world.run(LATER - DAY - 6 * MINUTE).rotated == []
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
