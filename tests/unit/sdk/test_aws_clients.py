"""Clients made once, on first use, as whoever was named; nothing secret in their logs."""

import logging
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest
from daena_kms.errors import AccessDenied, ConfigError
from daena_kms.sdk.aws.client import AWS

from infra.local.aws.sim import REGION, AwsSimulator, clients

if TYPE_CHECKING:
    from botocore.client import BaseClient


@pytest.fixture
def sim() -> Iterator[AwsSimulator]:
    """A running AWS."""
    with AwsSimulator() as simulator:
        yield simulator


@pytest.fixture
def environment(sim: AwsSimulator, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Credentials and the simulator's address."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", sim.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDENVIRONMENT")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "unused")
    return monkeypatch


@pytest.mark.usefixtures("environment")
def test_clients_are_made_once(sim: AwsSimulator) -> None:
    """On first use, one for each service, from the region and the environment."""
    aws = AWS(REGION, None, {})
    assert aws.region == REGION
    assert aws.client("kms") is aws.client("kms")
    assert aws.client("kms") is not aws.client("secretsmanager")
    assert len(aws.call("kms", "generate_random", None, NumberOfBytes=8)["Plaintext"]) == 8
    assert [call.access_key for call in sim.calls] == ["AKIDENVIRONMENT"]


def test_a_client_of_ones_own_is_used(sim: AwsSimulator) -> None:
    """Nothing is made where a client was passed, and its region counts."""
    theirs = clients(sim.url, "eu-north-1")
    aws = AWS(None, None, {"kms": cast("BaseClient", theirs.kms)})
    assert aws.client("kms") is theirs.kms
    assert aws.region == "eu-north-1"


@pytest.mark.usefixtures("environment")
def test_no_region() -> None:
    """Without a region nothing is called."""
    with pytest.raises(ConfigError, match=r"no AWS region is set\. Set AWS_REGION"):
        AWS(None, None, {}).client("secretsmanager")


def test_no_credentials(environment: pytest.MonkeyPatch) -> None:
    """Without credentials nothing is sent."""
    environment.delenv("AWS_ACCESS_KEY_ID")
    environment.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(
        ConfigError, match=r"no usable AWS credentials.*environment, profile or role"
    ):
        AWS(REGION, None, {}).call("secretsmanager", "describe_secret", "some-key", SecretId="x")


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize(
    "use",
    [
        lambda aws: aws.session(),
        lambda aws: aws.client("kms"),
        lambda aws: aws.region,
    ],
    ids=["session", "client", "region"],
)
def test_no_such_profile(use: Callable[[AWS], object]) -> None:
    """A profile that is not there is a ConfigError, wherever it is noticed."""
    with pytest.raises(ConfigError, match="no usable AWS credentials"):
        use(AWS(None, "no-such-profile", {}))


def test_a_profile(environment: pytest.MonkeyPatch, sim: AwsSimulator, tmp_path: Path) -> None:
    """Its region and its keys are used, not those of the environment."""
    (tmp_path / "config").write_text("[profile other]\nregion = eu-west-3\n")
    (tmp_path / "credentials").write_text(
        "[other]\naws_access_key_id = AKIDPROFILE\naws_secret_access_key = unused\n"
    )
    environment.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    environment.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    aws = AWS(None, "other", {})
    aws.call("kms", "generate_random", None, NumberOfBytes=8)
    assert aws.region == "eu-west-3"
    assert [call.access_key for call in sim.calls] == ["AKIDPROFILE"]


@pytest.mark.usefixtures("environment")
def test_pages_are_mapped_too(sim: AwsSimulator) -> None:
    """A listing goes on over its pages, and an error on any of them is ours."""
    secrets_client = clients(sim.url).secrets
    for number in range(5):
        secrets_client.create_secret(Name=f"secret-{number}", SecretString=secrets.token_urlsafe())
    aws = AWS(REGION, None, {})
    pages = list(aws.pages("secretsmanager", "list_secrets", MaxResults=2))
    assert [len(page["SecretList"]) for page in pages] == [2, 2, 1]
    sim.faults.deny("ListSecrets")
    with pytest.raises(AccessDenied, match="AWS refused list_secrets"):
        list(aws.pages("secretsmanager", "list_secrets"))


@pytest.mark.usefixtures("environment")
def test_the_sdk_does_not_log_what_it_carries(caplog: pytest.LogCaptureFixture) -> None:
    """At DEBUG the SDK writes whole bodies; in a call of ours it writes none."""
    caplog.set_level(logging.DEBUG)
    canary = secrets.token_urlsafe()
    aws = AWS(REGION, None, {})
    name, token = "some-key", "0" * 32
    aws.call(
        *("secretsmanager", "create_secret", name),
        Name=name,
        SecretString=canary,
        ClientRequestToken=token,
    )
    answer = aws.call("secretsmanager", "get_secret_value", name, SecretId=name)
    assert answer["SecretString"] == canary
    assert canary not in caplog.text
