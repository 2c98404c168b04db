"""The three mounted forms of the API, each with the same keys behind it."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from daena_kms.cloud_kms import AWSKMSAdapter

from infra.local.aws import lambda_functions
from infra.local.aws.lambda_functions import Function
from infra.local.aws.ministack import REGION, LocalAws
from infra.local.gcp.sim import GcpSimulator
from tests.functions.azure_world import azure_app
from tests.functions.gcp_world import GcpProject, caller
from tests.functions.mounts import front_end, function_app_front_end, lambda_front_end
from tests.worlds.aws import make_older

TAGS = {"daena.managed": "true", "daena.spec": "aes-256"}


@dataclass
class Mounted:
    """An address at which the API answers, and how to make a key behind it."""

    url: str
    #: What the platform lets in: the headers of a caller that it has verified.
    headers: dict[str, str]
    #: Makes a managed key of an id whose version is so many days old.
    make: Callable[[str, int], object]


@contextmanager
def on_aws(aws: LocalAws, bundle: bytes) -> Iterator[Mounted]:
    """The packed Lambda function in the local AWS, behind a function URL."""
    name = f"daena-api-{secrets.token_hex(4)}"
    kms, bucket = aws.client("kms"), f"{name}-audit"
    kms_key = kms.create_key()["KeyMetadata"]["KeyId"]
    where = {"LocationConstraint": REGION}
    aws.client("s3").create_bucket(Bucket=bucket, CreateBucketConfiguration=where)
    environment = {"AWS_KMS_KEY_ID": kms_key, "DAENA_KMS_AUDIT_URL": f"s3://{bucket}/daena"}
    function = Function(name, bundle, "handler.http", environment)
    lambda_functions.deploy(aws.client("lambda"), function)
    store = aws.client("secretsmanager")
    for secret in store.list_secrets()["SecretList"]:
        store.delete_secret(SecretId=secret["Name"], ForceDeleteWithoutRecovery=True)
    adapter = AWSKMSAdapter(REGION, kms_key, secrets_client=store, kms_client=kms)

    def make(key_id: str, days: int) -> None:
        adapter.create_key(key_id)
        if days:
            make_older(adapter, key_id, days)

    with front_end(lambda_front_end(aws, name)) as url:
        yield Mounted(url, {}, make)


@contextmanager
def on_azure() -> Iterator[Mounted]:
    """The Function App in Microsoft's worker library."""
    with azure_app() as world, front_end(function_app_front_end(world.app)) as url:
        yield Mounted(url, {}, lambda key_id, days: world.secret(key_id, days=days, tags=TAGS))


@contextmanager
def on_gcp(folder: Path) -> Iterator[Mounted]:
    """The Cloud Function in Google's framework."""
    with GcpSimulator() as sim:
        project = GcpProject(sim, folder)
        try:
            url = f"http://127.0.0.1:{project.run('http').port}"
            yield Mounted(
                url, caller(), lambda key_id, days: project.secret(key_id, days=days, tags=TAGS)
            )
        finally:
            project.close()


@contextmanager
def mounted(
    cloud: str, aws: Callable[[], tuple[LocalAws, bytes]], folder: Path
) -> Iterator[Mounted]:
    """Mount the API as that cloud does; ``aws`` gives the local AWS and the bundle if need be."""
    match cloud:
        case "aws":
            with on_aws(*aws()) as made:
                yield made
        case "azure":
            with on_azure() as made:
                yield made
        case _:
            with on_gcp(folder) as made:
                yield made
