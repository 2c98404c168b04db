"""A session of boto3 in place of clients: its region, profile, credentials and endpoints count."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import botocore.session
import pytest
from daena_kms.audit import open_log
from daena_kms.cloud_kms import AWSKMSAdapter
from daena_kms.engine import run
from daena_kms.errors import ConfigError

from infra.local.aws.sim import BUCKET, REGION, AwsSimulator, clients

THEIRS = "AKIDTHEIRS"
FILE = """
[profile work]
region = {region}
aws_access_key_id = {key}
aws_secret_access_key = unused
services = here
[services here]
secrets_manager =
  endpoint_url = {url}
kms =
  endpoint_url = {url}
s3 =
  endpoint_url = {url}
"""


@pytest.fixture
def sim() -> Iterator[AwsSimulator]:
    """A running AWS."""
    with AwsSimulator() as simulator:
        yield simulator


@pytest.fixture
def settled(
    sim: AwsSimulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> pytest.MonkeyPatch:
    """A profile that leads there, and an environment that leads elsewhere."""
    (tmp_path / "config").write_text(FILE.format(region=REGION, key=THEIRS, url=sim.url))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_REGION", "us-east-2")
    monkeypatch.setenv("AWS_PROFILE", "work-of-others")
    monkeypatch.setenv("DAENA_KMS_AUDIT_URL", f"s3://{BUCKET}/daena")
    return monkeypatch


def closed(adapter: AWSKMSAdapter) -> None:
    """Close what the adapter made."""
    for service in ("secretsmanager", "kms"):
        adapter.aws.client(service).close()


@pytest.mark.usefixtures("settled")
def test_all_of_a_session_counts(sim: AwsSimulator) -> None:
    """Region, profile, credentials and endpoints are its own, not the environment's."""
    session = boto3.Session(profile_name="work")
    adapter = AWSKMSAdapter(session=session)
    assert adapter.aws.region == REGION
    made = adapter.create_key("app-token", spec="token")
    assert adapter.get_key("app-token") == made
    for log in (open_log(session=session), open_log(session=adapter.aws.session())):
        assert run(adapter, log, keys=["app-token"]).rotated == ["app-token"]
    assert {call.service for call in sim.calls} == {"secretsmanager", "kms", "s3"}
    assert {call.access_key for call in sim.calls} == {THEIRS}
    closed(adapter)


def test_what_a_session_was_given_counts(
    sim: AwsSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Credentials and a region that stand in no file, and an address from the environment."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", sim.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDENVIRONMENT")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "unused")
    session = boto3.Session(THEIRS, "unused", region_name="eu-north-1")
    adapter = AWSKMSAdapter(session=session)
    adapter.create_key("app-key")
    assert adapter.aws.region == "eu-north-1"
    assert {call.access_key for call in sim.calls} == {THEIRS}
    closed(adapter)


@pytest.mark.parametrize(
    ("given", "in_session", "in_environment", "used"),
    [
        ("eu-west-1", "eu-north-1", "us-east-2", "eu-west-1"),
        (None, "eu-north-1", "us-east-2", "eu-north-1"),
        (None, None, "us-east-2", "us-east-2"),
    ],
)
def test_which_region_goes_first(
    given: str | None,
    in_session: str | None,
    in_environment: str,
    used: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The argument, then the session, then AWS_REGION, which boto3 does not read."""
    monkeypatch.setenv("AWS_REGION", in_environment)
    session = boto3.Session("AKID", "unused", region_name=in_session)
    adapter = AWSKMSAdapter(given, session=session)
    assert adapter.aws.region == used
    assert adapter.aws.client("kms").meta.region_name == used
    closed(adapter)


def test_a_client_goes_before_a_session(sim: AwsSimulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client that is given is used; the session serves what is left."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", sim.url)
    theirs = clients(sim.url, access_key="AKIDCLIENT")
    session = boto3.Session(THEIRS, "unused", region_name=REGION)
    adapter = AWSKMSAdapter(session=session, secrets_client=theirs.secrets)
    adapter.create_key("app-key")
    used = {call.service: call.access_key for call in sim.calls}
    assert used == {"secretsmanager": "AKIDCLIENT", "kms": THEIRS}
    both = AWSKMSAdapter(session=session, secrets_client=theirs.secrets, kms_client=theirs.kms)
    assert both.aws.credentials() == session.get_credentials()
    closed(adapter)
    theirs.kms.close()


def test_a_session_excludes_a_profile() -> None:
    """It has its own, and which of the two is meant nobody can tell."""
    with pytest.raises(ConfigError, match=r"session and profile.*profile_name="):
        AWSKMSAdapter(profile="work", session=boto3.Session())


def plain_session() -> Any:
    """Make a session of botocore."""
    return botocore.session.Session()


def a_client() -> Any:
    """Make a client."""
    return boto3.Session("AKID", "unused", region_name=REGION).client("kms")


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (plain_session, r"not Session of botocore\.session\. Pass .*botocore_session="),
        (a_client, r"not KMS of botocore\.client\. Pass a client as secrets_client or kms_client"),
        (lambda: boto3.Session, r"not the class Session itself of boto3\.session\. Pass session="),
        (lambda: "work", r"not str of builtins\. Pass session=boto3\.Session"),
        (lambda: {"aws_secret_access_key": "canary"}, "not dict of builtins"),
        (lambda: "", "not str of builtins"),
    ],
)
def test_what_is_no_session(make: Any, says: str) -> None:
    """Is refused by the argument's name and the form that is allowed, without its content."""
    with pytest.raises(ConfigError, match=rf"session must be a boto3\.Session, {says}") as caught:
        AWSKMSAdapter(session=make())
    assert "canary" not in str(caught.value)


def test_a_log_takes_no_other_session_either() -> None:
    """The same words; a session of botocore is an adapter's own."""
    wrong: Any = "work"
    with pytest.raises(ConfigError, match=r"session must be a boto3\.Session, not str"):
        open_log(f"s3://{BUCKET}/daena", session=wrong)


def test_a_profile_that_is_gone() -> None:
    """What boto3 has not looked at yet is an error of the settings, in our words."""
    beneath = plain_session()
    session = boto3.Session(botocore_session=beneath)
    beneath.set_config_variable("profile", "gone")
    with pytest.raises(ConfigError, match="profile"):
        AWSKMSAdapter(session=session)


def test_boto3_is_imported_by_nobody_but_its_user() -> None:
    """Neither an adapter nor what refuses a wrong session loads it."""
    program = """
import sys
from daena_kms.cloud_kms import AWSKMSAdapter
from daena_kms.errors import ConfigError
AWSKMSAdapter("eu-central-1").aws.session()
try:
    AWSKMSAdapter(session="work")
except ConfigError:
    assert not [name for name in sys.modules if name.split(".")[0] == "boto3"]
"""
    subprocess.run([sys.executable, "-c", program], check=True)
