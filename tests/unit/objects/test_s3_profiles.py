"""Whose credentials the log in S3 is written with."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from daena_kms.audit import open_log
from daena_kms.cloud_kms import AWSKMSAdapter
from daena_kms.errors import DaenaKMSError

from infra.local.aws.sim import BUCKET, REGION, AwsSimulator

NAME = "log/2026/03/01/12/run/000000.json"


@pytest.fixture
def sim() -> Iterator[AwsSimulator]:
    """AWS with an empty bucket."""
    with AwsSimulator() as simulator:
        yield simulator


@pytest.fixture(autouse=True)
def _settings(sim: AwsSimulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", sim.url)
    monkeypatch.setenv("AWS_REGION", REGION)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDENVIRONMENT")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "unused")


PROFILES = """
[profile auditor]
region = eu-west-3

[profile empty]
"""
CREDENTIALS = """
[auditor]
aws_access_key_id = AKIDAUDITOR
aws_secret_access_key = unused
"""


@pytest.fixture
def profiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person's own files, with a profile of their own."""
    (tmp_path / "config").write_text(PROFILES)
    (tmp_path / "credentials").write_text(CREDENTIALS)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))


@pytest.mark.usefixtures("profiles")
def test_a_profile_is_used(sim: AwsSimulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Named, in AWS_PROFILE, or in a session: the log is written with that profile's keys."""
    open_log(f"s3://{BUCKET}").put_new(NAME + "0", b"")
    open_log(f"s3://{BUCKET}", profile="auditor").put_new(NAME + "1", b"")
    session = AWSKMSAdapter(profile="auditor").aws.session()
    open_log(f"s3://{BUCKET}", session=session).put_new(NAME + "2", b"")
    monkeypatch.setenv("AWS_PROFILE", "auditor")
    open_log(f"s3://{BUCKET}").put_new(NAME + "3", b"")
    assert [call.access_key for call in sim.calls] == ["AKIDENVIRONMENT", *["AKIDAUDITOR"] * 3]


@pytest.mark.usefixtures("profiles")
@pytest.mark.parametrize("profile", ["empty", "no-such-profile"])
def test_a_profile_without_credentials_is_reported(
    sim: AwsSimulator, monkeypatch: pytest.MonkeyPatch, profile: str
) -> None:
    """A profile that is not there or has no keys is an error, not somebody else's keys."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(DaenaKMSError):
        open_log(f"s3://{BUCKET}", profile=profile).put_new(NAME, b"")
    assert len(sim.calls) == 0
