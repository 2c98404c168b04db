"""Addresses of the log: what is taken, and what is refused before any call."""

import re
import sys
from pathlib import Path

import pytest
from daena_kms.audit import open_log
from daena_kms.errors import ConfigError
from daena_kms.objects.files import FileObjects


def test_a_folder(tmp_path: Path) -> None:
    """file:// and a full path is a folder, which is not made before the first put."""
    folder = tmp_path / "with space"
    log = open_log(folder.as_uri())
    assert isinstance(log, FileObjects)
    assert log.url == folder.as_uri()
    assert not folder.exists()
    log.put_new("log/x", b"data")
    assert (folder / "log" / "x").read_bytes() == b"data"
    assert open_log(f"file://localhost{tmp_path}").url == tmp_path.as_uri()


def test_the_environment_says_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an address DAENA_KMS_AUDIT_URL counts, and without that there is an error."""
    monkeypatch.setenv("DAENA_KMS_AUDIT_URL", tmp_path.as_uri())
    assert open_log().url == tmp_path.as_uri()
    monkeypatch.setenv("DAENA_KMS_AUDIT_URL", "")
    with pytest.raises(ConfigError, match=r"nothing changes without one.*DAENA_KMS_AUDIT_URL"):
        open_log()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "audit",
        "/var/log/daena",
        "file://",
        "file:///",
        "file:relative",
        "file://elsewhere/var/log",
        "http://bucket/prefix",
        "ftp://bucket",
        "s3://",
        "s3:///prefix",
        "s3:bucket",
        "S4://bucket",
        "s3://[bucket",
    ],
)
def test_no_address_of_a_log(url: str) -> None:
    """What names no folder and no bucket is refused, with the forms that are taken."""
    with pytest.raises(ConfigError, match="file:///"):
        open_log(url)


@pytest.mark.parametrize(
    "url",
    [
        "s3://user:{0}@bucket/prefix",
        "s3://{0}@bucket",
        "s3://bucket/prefix?key={0}",
        "s3://bucket#{0}",
        "file:///var/log?{0}",
    ],
)
def test_an_address_holds_no_credentials(url: str) -> None:
    """Credentials, a query or a fragment are refused, and not repeated."""
    with pytest.raises(ConfigError, match="query, a fragment or credentials") as caught:
        open_log(url.format("aw5Zq"))
    assert "aw5Zq" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "what"),
    [
        ("az://Account/container", "'Account' is not a storage account"),
        ("az://ab/container", "'ab' is not a storage account"),
        ("az://account:443/container", "'account:443' is not a storage account"),
        ("az://account/Container", "'Container' is not a container's name"),
        ("az://account/a--b/prefix", "'a--b' is not a container's name"),
        ("az://account/ab", "'ab' is not a container's name"),
        ("az://account", "is not an address of the audit log"),
        ("az://account/", "is not an address of the audit log"),
    ],
)
def test_names_that_azure_does_not_take(url: str, what: str) -> None:
    """A storage account or container that can't be one is named before any call."""
    with pytest.raises(ConfigError, match=re.escape(what)):
        open_log(url)


@pytest.mark.parametrize(
    "url",
    [
        "az://account/container",
        "az://account.blob.core.chinacloudapi.cn/container/a/b",
        "gs://bucket",
        "gs://bucket.example.com/a/b",
    ],
)
def test_a_container(url: str) -> None:
    """az:// with an account, or its whole host in another cloud, and gs:// with a bucket."""
    assert open_log(url).url == url


def test_a_long_address_is_cut() -> None:
    """A message stays short."""
    with pytest.raises(ConfigError) as caught:
        open_log("x" * 10_000)
    assert len(str(caught.value)) < 250


def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without obstore, S3 is refused with what to install."""
    monkeypatch.setitem(sys.modules, "obstore.store", None)
    with pytest.raises(ConfigError, match=r"pip install 'daena-kms\[aws\]'"):
        open_log("s3://bucket/prefix")
