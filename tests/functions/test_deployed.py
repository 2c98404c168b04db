"""The packed functions in a local AWS: schedules, races, failures, and the function's URL."""

import json
import secrets
import urllib.error
import urllib.request
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from daena_kms.cloud_kms import AWSKMSAdapter
from daena_kms.rules.model import VersionState

from infra.local.aws import lambda_functions
from infra.local.aws.lambda_functions import Function, Invocation
from infra.local.aws.ministack import ACCOUNT, REGION, LocalAws
from tests.worlds.aws import make_older
from tests.worlds.waiting import eventually

pytestmark = pytest.mark.xdist_group("local-aws")


@dataclass
class Deployed:
    """A KMS key, a bucket and both functions, and an adapter to look with."""

    aws: LocalAws
    adapter: AWSKMSAdapter
    scheduled: str
    http: str

    def create_due(self, key_id: str) -> None:
        """Create a key that is due."""
        self.adapter.create_key(key_id)
        make_older(self.adapter, key_id, 91)

    def versions(self, key_id: str) -> list[str]:
        """The ids of a key's versions."""
        return [version.id for version in self.adapter.store.describe(key_id).versions]

    def fire(self) -> Invocation:
        """Invoke the function behind the schedule, with what the schedule sends."""
        event = {"source": "aws.scheduler", "detail": {}}
        return lambda_functions.invoke(self.aws.client("lambda"), self.scheduled, event)


@pytest.fixture(scope="module")
def deployment(local_aws: LocalAws, bundle: bytes) -> Deployed:
    """Both functions, deployed once: unpacking them takes longer than running them."""
    kms, bucket = local_aws.client("kms"), "daena-audit"
    kms_key = kms.create_key()["KeyMetadata"]["KeyId"]
    where = {"LocationConstraint": REGION}
    local_aws.client("s3").create_bucket(Bucket=bucket, CreateBucketConfiguration=where)
    environment = {"AWS_KMS_KEY_ID": kms_key, "DAENA_KMS_AUDIT_URL": f"s3://{bucket}/daena"}
    for name in ("scheduled", "http"):
        function = Function(f"daena-{name}", bundle, f"handler.{name}", environment)
        lambda_functions.deploy(local_aws.client("lambda"), function)
    adapter = AWSKMSAdapter(
        REGION, kms_key, secrets_client=local_aws.client("secretsmanager"), kms_client=kms
    )
    return Deployed(local_aws, adapter, "daena-scheduled", "daena-http")


@pytest.fixture
def deployed(deployment: Deployed) -> Deployed:
    """Both functions over a store that holds no key."""
    store = deployment.aws.client("secretsmanager")
    for secret in store.list_secrets()["SecretList"]:
        store.delete_secret(SecretId=secret["Name"], ForceDeleteWithoutRecovery=True)
    return deployment


def test_the_deployed_function_rotates_what_is_due(deployed: Deployed) -> None:
    """A consumer finds a new value under AWSCURRENT, and the log's tail holds no value."""
    deployed.create_due("due")
    deployed.adapter.create_key("fresh")
    old = deployed.adapter.get_key("due")

    came_to = deployed.fire()

    assert (came_to.error, came_to.payload["rotated"]) == (None, ["due"])
    store = deployed.aws.client("secretsmanager")
    assert store.get_secret_value(SecretId="due")["SecretString"] != old
    previous = store.get_secret_value(SecretId="due", VersionStage="AWSPREVIOUS")
    assert previous["SecretString"] == old
    logs = [came_to.log]

    def complete() -> bool:
        # The tail is cut when the function answers, which may be before its last line was read.
        logs.append(deployed.fire().log)
        return '"message":"run"' in logs[-1]

    assert eventually(complete)
    values = [deployed.adapter.get_key("due", v) for v in deployed.versions("due")]
    told = "".join(logs) + json.dumps(came_to.payload)
    assert [value for value in [*values, deployed.adapter.get_key("fresh")] if value in told] == []


def test_two_schedules_at_once_make_one_version(deployed: Deployed) -> None:
    """Two invocations in two processes: each key gets exactly one new version."""
    keys = ["due-a", "due-b", "due-c"]
    for key_id in keys:
        deployed.create_due(key_id)
    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(lambda _: deployed.fire(), range(2)))

    assert [came_to.error for came_to in both] == [None, None]
    assert sorted(key for came_to in both for key in came_to.payload["rotated"]) == keys
    for key_id in keys:
        states = [version.state for version in deployed.adapter.store.describe(key_id).versions]
        # One from its creation, one that made it due, one of these rotations; losers don't count.
        assert states.count(VersionState.PREVIOUS) == 2


def test_a_failed_key_is_seen_as_a_function_error(deployed: Deployed) -> None:
    """The invocation says so and names the key, after the others were rotated."""
    deployed.create_due("good")
    deployed.create_due("broken")
    store = deployed.adapter.store
    store.tag(store.describe("broken"), {"daena.grace": "soon"})
    old = deployed.adapter.get_key("good")

    came_to = deployed.fire()

    assert came_to.error == "Unhandled"
    assert "1 of 2 keys failed: broken" in came_to.payload["errorMessage"]
    assert deployed.adapter.get_key("good") != old


def test_a_schedule_fires_the_deployed_function(deployed: Deployed) -> None:
    """EventBridge Scheduler invokes it once its time has come, and the due key is rotated."""
    deployed.create_due("due")
    count = len(deployed.versions("due"))
    past = datetime.now(UTC) - timedelta(minutes=1)
    arn = deployed.aws.client("lambda").get_function_configuration(FunctionName=deployed.scheduled)
    deployed.aws.client("scheduler").create_schedule(
        Name="rotation",
        ScheduleExpression=f"at({past:%Y-%m-%dT%H:%M:%S})",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={"Arn": arn["FunctionArn"], "RoleArn": f"arn:aws:iam::{ACCOUNT}:role/scheduler"},
    )

    # It looks for what is due every ten seconds.
    assert eventually(lambda: len(deployed.versions("due")) == count + 1, seconds=30)


def test_the_url_answers_who_signs(deployed: Deployed) -> None:
    """Unsigned it is 403; signed, health is ok. The emulator names no caller to the function."""
    client = deployed.aws.client("lambda")
    url = lambda_functions.expose(client, deployed.http, deployed.aws.url) + "/v1/health"

    status, _ = _get(url, {})
    signed = AWSRequest("GET", url)
    SigV4Auth(Credentials(ACCOUNT, secrets.token_hex()), "lambda", REGION).add_auth(signed)
    answered, document = _get(url, dict(signed.headers))

    assert status == 403
    checks = {"configuration": "ok"}
    assert (answered, document) == (200, {"ok": True, "provider": "aws", "checks": checks})


def _get(url: str, headers: Mapping[str, str]) -> tuple[int, Any]:
    request = urllib.request.Request(url, headers=dict(headers))
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, None
