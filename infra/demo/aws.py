"""The demo on AWS: the packaged Lambda function on a local AWS, and a plain consumer."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from daena_kms.audit.verify import verify
from daena_kms.cli.page import Page
from daena_kms.cloud_kms import AWSKMSAdapter
from daena_kms.errors import ConfigError
from daena_kms.objects.base import Objects
from daena_kms.objects.s3 import s3_objects
from daena_kms.rules.policy import Defaults

from infra.local.aws.lambda_functions import Function, deploy, invoke
from infra.local.aws.ministack import REGION, LocalAws
from infra.packages.lambda_bundle import build
from infra.packages.packing import pack

_HANDLER = Path(__file__).parents[2] / "functions_aws" / "handler.py"
_BUCKET = "daena-audit"
_KEYS = {"orders-encryption-key": 92, "session-signing-key": 120, "fresh-key": 0}
_FUNCTION = "daena-kms-scheduled"


def show(page: Page, folder: Path) -> None:
    """Show the Lambda function rotating keys in a local AWS."""
    with LocalAws() as aws:
        page.head("AWS: a local AWS on loopback, a KMS key, a bucket, three secrets.")
        secrets = aws.client("secretsmanager")
        kms = aws.client("kms")
        kms_key = kms.create_key()["KeyMetadata"]["KeyId"]
        aws.client("s3").create_bucket(
            Bucket=_BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION}
        )
        adapter = AWSKMSAdapter(
            REGION, kms_key, secrets_client=secrets, kms_client=kms, defaults=Defaults()
        )
        for key_id, age in _KEYS.items():
            adapter.create_key(key_id)
            if age:
                _make_older(adapter, key_id, timedelta(days=age))
        before = {key_id: adapter.get_key(key_id) for key_id in _KEYS}

        page.head("The function, packed as it is deployed: this package and its dependencies.")
        build(folder / "bundle", _HANDLER)
        code = pack(folder / "bundle")
        environment = {
            "AWS_KMS_KEY_ID": kms_key,
            "DAENA_KMS_AUDIT_URL": f"s3://{_BUCKET}/audit",
        }
        client = aws.client("lambda")
        deploy(client, Function(_FUNCTION, code, "handler.scheduled", environment))
        page.say(f"deployed {_FUNCTION}: {len(code) // 1_000_000} MB packed")

        page.head("The schedule fires.")
        first = _fire(client)
        page.say(f"rotated {', '.join(first['rotated'])}; {first['counts']['keys']} keys looked at")
        page.check(
            "the two that were due are rotated, the fresh one is left alone",
            holds=first["rotated"] == ["orders-encryption-key", "session-signing-key"],
        )
        page.check(
            "the event delivered twice does nothing more", holds=not _fire(client)["rotated"]
        )

        page.head("A consumer reads with the SDK alone, as it always did.")
        new = secrets.get_secret_value(SecretId="orders-encryption-key")
        old = secrets.get_secret_value(SecretId="orders-encryption-key", VersionStage="AWSPREVIOUS")
        was = before["orders-encryption-key"]
        page.check("the new value simply is there", holds=new["SecretString"] != was)
        page.check("the old one can still be read as AWSPREVIOUS", holds=old["SecretString"] == was)

        report = verify(_log(aws.environment))
        page.say(f"{report.objects} objects of {report.runs} runs in s3://{_BUCKET}/audit")
        page.check("the audit log in the bucket verifies", holds=report.ok)


def _log(environment: Mapping[str, str]) -> Objects:
    """Return the audit log in the local AWS, whatever the person's own settings are."""
    from botocore.credentials import Credentials

    found = Credentials(environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"])
    url = f"s3://{_BUCKET}/audit"
    return s3_objects(
        url, _BUCKET, "audit", region=REGION, credentials=lambda: found, environ=environment
    )


def _make_older(adapter: AWSKMSAdapter, key_id: str, age: timedelta) -> None:
    """Give a key a current version of that age. The version's id holds its date."""
    then = datetime.now(UTC) - age
    key = adapter.store.describe(key_id)
    staged = adapter.store.stage(key, adapter.new_material(key_id, key.tags), then)
    adapter.store.promote(key, staged, then)


def _fire(client: Any) -> Mapping[str, Any]:
    result = invoke(client, _FUNCTION, {"source": "aws.scheduler", "detail": {}})
    if result.error is not None:
        raise ConfigError(f"the function failed: {result.payload}", todo=result.log[-2000:])
    found: Mapping[str, Any] = result.payload
    return found
