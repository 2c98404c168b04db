"""Odd addresses and environments on the command line: a message, 2, and nothing that changed."""

import os
import secrets

import pytest
from daena_kms import cli

from infra.local.aws.sim import ACCESS_KEY, BUCKET, REGION, AwsSimulator
from tests.unit.cli.shell import Shell

WRONG = [
    ("DAENA_KMS_AUDIT_URL", "{0} ", "DAENA_KMS_AUDIT_URL begins or ends with a space"),
    ("DAENA_KMS_AUDIT_URL", "{0}\u00a0", "DAENA_KMS_AUDIT_URL begins or ends with a space"),
    ("DAENA_KMS_AUDIT_URL", "{0}\r", "DAENA_KMS_AUDIT_URL holds a carriage return"),
    ("DAENA_KMS_AUDIT_URL", '"{0}"', "DAENA_KMS_AUDIT_URL has quotes"),
    ("DAENA_KMS_AUDIT_URL", "{0}/a//b", "does not name a folder"),
    ("DAENA_KMS_AUDIT_URL", "{0}/../b", "does not name a folder"),
    ("DAENA_KMS_AUDIT_URL", "s3://my bucket/x", "is not an address of the audit log"),
    ("DAENA_KMS_AUDIT_URL", "s3://My-Bucket/x", "'My-Bucket' is not a bucket's name"),
    ("DAENA_KMS_AUDIT_URL", "s3://bucket/a%20b", "is not an address of the audit log"),
    ("DAENA_KMS_AUDIT_URL", "bucket/prefix", "is not an address of the audit log"),
    ("DAENA_KMS_HOME", "file:///home/keys", "DAENA_KMS_HOME is 'file:///home/keys'"),
    ("DAENA_KMS_GRACE", "'7d'", "DAENA_KMS_GRACE has quotes"),
    ("DAENA_CLOUD_KMS_PROVIDER", " local", "DAENA_CLOUD_KMS_PROVIDER: ' local' is not a provider"),
]


@pytest.mark.parametrize(("variable", "value", "words"), WRONG)
def test_what_is_set_wrongly_is_named(shell: Shell, variable: str, value: str, words: str) -> None:
    """Nothing is created, not even a second log beside the first."""
    right = shell.environment.get(variable, "")
    shell.environment = {**shell.environment, variable: value.format(right)}
    result = shell.run("create", "key")
    assert (result.exit_code, result.stdout) == (2, "")
    assert words in result.stderr
    assert not (shell.folder / "audit").exists()
    assert not (shell.folder / "store").exists() or not list((shell.folder / "store").iterdir())


EMPTY = (
    *("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_CA_BUNDLE", "AWS_DEFAULT_REGION"),
    *("AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_S3", "AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE"),
    *("DAENA_KMS_GRACE", "DAENA_KMS_PAUSED", "HTTPS_PROXY", "https_proxy", "REQUESTS_CA_BUNDLE"),
    *("AWS_MAX_ATTEMPTS", "AWS_RETRY_MODE", "GOOGLE_APPLICATION_CREDENTIALS", "AZURE_TENANT_ID"),
)


def test_what_is_empty_is_not_set(shell: Shell) -> None:
    """As a template writes it that has every variable: a key is made and logged all the same."""
    with AwsSimulator() as sim:
        shell.environment = {
            "DAENA_CLOUD_KMS_PROVIDER": "aws",
            "DAENA_KMS_HOME": "",
            "DAENA_KMS_AUDIT_URL": f"s3://{BUCKET}/daena",
            "AWS_REGION": REGION,
            "AWS_ENDPOINT_URL": sim.url,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": secrets.token_hex(),
            **dict.fromkeys(EMPTY, ""),
        }
        result = shell.run("create", "some-key")
        assert (result.exit_code, result.stderr) == (0, "")
        assert "some-key" in sim.secrets.secret("some-key").name
        assert all(name.startswith("daena/log/") for name in sim.s3.buckets[BUCKET])


def test_replicas_that_forbid_a_deletion(shell: Shell) -> None:
    """They are named, with the command that removes them, and the key stays."""
    with AwsSimulator() as sim:
        shell.environment = {
            "DAENA_CLOUD_KMS_PROVIDER": "aws",
            "DAENA_KMS_HOME": "",
            "DAENA_KMS_AUDIT_URL": f"s3://{BUCKET}/daena",
            "AWS_REGION": REGION,
            "AWS_ENDPOINT_URL": sim.url,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": secrets.token_hex(),
        }
        assert shell.run("create", "some-key").exit_code == 0
        sim.secrets.secret("some-key").replicas = ("us-east-1", "eu-west-1", "\x1b[2J")
        result = shell.run("delete", "some-key", "--yes")
        assert result.exit_code in {1, 2}
        said = " ".join(result.stderr.split())
        assert "it has some in eu-west-1, us-east-1. Run: aws secretsmanager" in said
        assert "--secret-id some-key --remove-replica-regions eu-west-1 us-east-1" in said
        assert "\x1b" not in result.stderr
        sim.secrets.secret("some-key").replicas = ()
        assert shell.run("delete", "some-key", "--yes").exit_code == 0


def test_the_command_drops_what_is_empty_for_the_sdks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process is its own, so that every read of an SDK's finds nothing."""
    monkeypatch.setenv("AZURE_CLIENT_ID", "")
    monkeypatch.setattr("sys.argv", ["daena-kms", "--version"])
    with pytest.raises(SystemExit):
        cli.main()
    assert "AZURE_CLIENT_ID" not in os.environ
