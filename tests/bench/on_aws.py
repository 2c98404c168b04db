"""The benchmarks' AWS."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from daena_kms.cloud_kms import AWSKMSAdapter
from daena_kms.rules.names import new_version_id
from daena_kms.stores.aws.labels import (
    CURRENT,
    MADE,
    PENDING,
    label,
)

from infra.local.aws.protocol import Params
from infra.local.aws.sim import (
    ACCESS_KEY,
    BUCKET,
    REGION,
    AwsSimulator,
    clients,
)
from infra.local.faults import Call
from infra.local.simulator import SimulatorProcess
from tests.bench.cloud import Cloud, Quota, Remote
from tests.bench.surroundings import surrounded
from tests.worlds.aws import AwsWorld

#: A key that has lived for a while has a current and two previous versions.
_VERSIONS, _AGE = 3, timedelta(days=10)


class Aws(Cloud):
    """Secrets Manager, KMS and S3."""

    name, provider = "AWS", "aws"
    listing, page = "ListSecrets", 100
    writes = ("PutSecretValue", "UpdateSecretVersionStage")
    #: https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html
    quota: ClassVar[Quota] = Quota(50, (1_000, 200), {})
    on_demand, per_rotation = 4, 3.1
    with_retirement: ClassVar[float | None] = 5.1

    def settings(self, world: Any) -> dict[str, str]:
        """Return them, and that nothing else is looked for."""
        return super().settings(world) | settings(world.sim.url)

    def fill(self, world: AwsWorld, count: int) -> None:
        """Write labels, tags or annotations as the store does."""
        _fill(world.sim, count)

    @contextmanager
    def remote(self) -> Iterator[Remote]:
        """Give a simulator with a KMS key."""
        with SimulatorProcess("aws") as sim, surrounded(settings(sim.url)):
            url = sim.url
            key = _kms_key(url)
            secrets = clients(url).secrets

            def adapter(given: Mapping[str, str]) -> AWSKMSAdapter:
                os.environ.update(given)
                return AWSKMSAdapter(key_id=key)

            yield Remote(url, adapter, lambda name: secrets.describe_secret(SecretId=name))

    def is_record(self, call: Call) -> bool:
        """Whether a call put an object."""
        return call.operation == "PutObject"


def settings(url: str | None = None) -> dict[str, str]:
    """Return what a function on AWS is given."""
    return {
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": ACCESS_KEY,
        # Lambda sets both; boto3 reads only the second.
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "DAENA_CLOUD_KMS_PROVIDER": "aws",
        "DAENA_KMS_AUDIT_URL": f"s3://{BUCKET}/bench",
        **({} if url is None else {"AWS_ENDPOINT_URL": url}),
    }


def _kms_key(url: str) -> str:
    return clients(url).kms.create_key()["KeyMetadata"]["KeyId"]


def _fill(sim: AwsSimulator, count: int) -> None:
    """Put keys into the simulator behind its HTTP, with labels as the store writes them."""
    operations = sim.secrets.operations
    create, put = operations["CreateSecret"].run, operations["PutSecretValue"].run
    move = operations["UpdateSecretVersionStage"].run
    now = datetime.now(UTC)
    for number in range(count):
        name = f"key-{number}"
        made = now - _VERSIONS * _AGE
        version = new_version_id(None, made)
        tags = {"daena.managed": "true", "daena.spec": "aes-256", "team": "bench", "stage": "test"}
        create(
            Params(
                {
                    "Name": name,
                    "ClientRequestToken": version,
                    "SecretString": version,
                    "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
                }
            )
        )
        stage = label(MADE, version, made)
        move(Params({"SecretId": name, "VersionStage": stage, "MoveToVersionId": version}))
        for _ in range(_VERSIONS - 1):
            base, made = version, made + _AGE
            version = new_version_id(base, made)
            put(
                Params(
                    {
                        "SecretId": name,
                        "ClientRequestToken": version,
                        "SecretString": version,
                        "VersionStages": [PENDING, label(MADE, version, made)],
                    }
                )
            )
            where = {"MoveToVersionId": version, "RemoveFromVersionId": base}
            move(Params({"SecretId": name, "VersionStage": CURRENT, **where}))
