"""What no other suite does on AWS, each under its own access key; run by test_permissions."""

from datetime import timedelta
from pathlib import Path

import pytest
from daena_kms.audit import open_log
from daena_kms.cloud_kms import AWSKMSAdapter
from daena_kms.engine import run
from daena_kms.operations import Operations

from infra.local.aws.sim import OTHERS_KEY, REGION, AwsSimulator, clients
from tests.functions.aws_world import Context, LambdaWorld


def test_changes(tmp_path: Path) -> None:
    """What the HTTP function does beside rotations, where its operator allows that."""
    with AwsSimulator() as sim:
        others = clients(sim.url, access_key=OTHERS_KEY)
        kms_key = others.kms.create_key()["KeyMetadata"]["KeyId"]
        owner = AWSKMSAdapter(REGION, kms_key, secrets_client=others.secrets, kms_client=others.kms)
        first = owner.create_key("app-key")
        owner.rotate_key("app-key")
        ours = clients(sim.url, access_key="AKIDCHANGES")
        adapter = AWSKMSAdapter(REGION, kms_key, secrets_client=ours.secrets, kms_client=ours.kms)
        operations = Operations(adapter, open_log((tmp_path / "audit").as_uri()))
        operations.hold("app-key")
        operations.release("app-key")
        operations.rollback("app-key")
        assert owner.get_key("app-key") == first


def test_a_secret_that_others_wrote_is_looked_at_closely(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where its dates leave open whether it is due, the function asks when its version was made."""
    with AwsSimulator() as sim:
        world = LambdaWorld(sim, monkeypatch)
        others = clients(sim.url, access_key=OTHERS_KEY)
        sim.shift_clock(seconds=-timedelta(days=100).total_seconds())
        tags = [{"Key": "daena.managed", "Value": "true"}]
        others.secrets.create_secret(Name="their-key", SecretString="x" * 44, Tags=tags)  # type: ignore[arg-type] # the same dictionaries
        sim.shift_clock(seconds=timedelta(days=99).total_seconds())
        others.secrets.tag_resource(SecretId="their-key", Tags=[{"Key": "team", "Value": "a"}])
        sim.shift_clock(seconds=timedelta(days=1).total_seconds())
        assert world.handler().scheduled({}, Context())["rotated"] == ["their-key"]
        assert "ListSecretVersionIds" in sim.calls.operations()
        world.leave()


def test_without_a_kms_key_kms_makes_random_bytes() -> None:
    """People may create keys under the account's default key."""
    with AwsSimulator() as sim:
        ours = clients(sim.url)
        adapter = AWSKMSAdapter(REGION, secrets_client=ours.secrets, kms_client=ours.kms)
        assert len(adapter.create_key("plain-key")) == 44


def test_in_an_emergency_reading_the_old_version_is_denied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the owner of the secrets has switched that on."""
    monkeypatch.setenv("DAENA_KMS_AWS_BLOCK_COMPROMISED", "true")
    with AwsSimulator() as sim:
        ours = clients(sim.url)
        adapter = AWSKMSAdapter(REGION, secrets_client=ours.secrets, kms_client=ours.kms)
        adapter.create_key("leaked-key")
        log = open_log((tmp_path / "audit").as_uri())
        done = run(adapter, log, keys=["leaked-key"], compromised=True, reason="it leaked")
        assert done.rotated == ["leaked-key"]
        assert "PutResourcePolicy" in sim.calls.operations()
