"""A simulated AWS with keys of any age, and the handler's module as a cold start loads it."""

import importlib.util
import json
import logging
import secrets
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any, Self

import pytest
from aws_lambda_powertools.metrics import Metrics
from daena_kms.audit import open_log
from daena_kms.audit.reader import records
from daena_kms.cloud_kms import AWSKMSAdapter
from daena_kms.objects.base import Objects

from infra.local.aws.sim import BUCKET, OTHERS_KEY, REGION, AwsSimulator, Clients, clients

HANDLER = Path(__file__).parents[2] / "functions_aws" / "handler.py"
ARN = "arn:aws:lambda:eu-central-1:123456789012:function:daena-kms"
CALLER = "arn:aws:iam::123456789012:user/operator"
#: With which the handler signs; the test itself has another.
FUNCTION_KEY = "AKIDFUNCTION"
#: The calls that change a secret.
CHANGES = {"PutSecretValue", "UpdateSecretVersionStage", "TagResource", "DeleteSecret"}
_LOGGER = "daena-kms"


@dataclass
class Context:
    """What Lambda hands to a handler, as far as ours looks."""

    milliseconds: int = 300_000
    invoked_function_arn: str = ARN

    def get_remaining_time_in_millis(self) -> int:
        """How long the function may run yet."""
        return self.milliseconds


def load_handler() -> ModuleType:
    """Import functions_aws/handler.py anew, as a cold start does."""
    spec = importlib.util.spec_from_file_location("handler", HANDLER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def make_older(adapter: AWSKMSAdapter, key_id: str, days: int) -> None:
    """Give a key a current version of that age: its id says when it was made."""
    then = datetime.now(UTC) - timedelta(days=days)
    key = adapter.store.describe(key_id)
    staged = adapter.store.stage(key, adapter.new_material(key_id, key.tags), then)
    adapter.store.promote(key, staged, then)


def metrics_in(output: str) -> dict[str, float]:
    """The metrics in a function's output, which CloudWatch reads in its embedded format."""
    documents = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    found: dict[str, float] = {}
    for document in documents:
        for directive in document.get("_aws", {}).get("CloudWatchMetrics", ()):
            assert directive["Namespace"] == "daena-kms"
            assert ["service"] in directive["Dimensions"]
            found |= {m["Name"]: sum(document[m["Name"]]) for m in directive["Metrics"]}
    return found


def http_event(method: str, path: str, **further: object) -> dict[str, Any]:
    """The event of a function URL of type AWS_IAM, in payload format 2.0."""
    context = {"http": {"method": method, "path": path}, "authorizer": {"iam": {"userArn": CALLER}}}
    headers = {"content-type": "application/json"}
    event = {"version": "2.0", "rawPath": path, "requestContext": context, "headers": headers}
    return event | further


def ask(handler: ModuleType, asked: object, left: int = 300_000) -> tuple[int, dict[str, Any]]:
    """The status and document that the function answers with."""
    answer = handler.http(asked, Context(left))
    assert set(answer) == {"statusCode", "headers", "body"}
    document = json.loads(answer["body"])
    problem = {"type", "detail"} <= document.keys()
    kind = "application/problem+json" if problem else "application/json"
    assert answer["headers"]["content-type"] == kind
    assert answer["headers"]["cache-control"] == "no-store"
    if problem:
        assert document["request_id"] == answer["headers"]["x-request-id"]
        assert document["status"] == answer["statusCode"]
    return answer["statusCode"], document


@dataclass
class World:
    """The simulator, its clients, and the environment that a function finds."""

    sim: AwsSimulator
    clients: Clients
    adapter: AWSKMSAdapter
    kms_key: str

    @classmethod
    def enter(cls, sim: AwsSimulator, monkeypatch: pytest.MonkeyPatch) -> Self:
        """Lead the environment of this process to the simulator."""
        made = clients(sim.url)
        owner = clients(sim.url, access_key=OTHERS_KEY)
        kms_key = owner.kms.create_key()["KeyMetadata"]["KeyId"]
        for client in owner:
            client.close()
        environment = {
            "AWS_ENDPOINT_URL": sim.url,
            "AWS_REGION": REGION,
            "AWS_ACCESS_KEY_ID": FUNCTION_KEY,
            "AWS_SECRET_ACCESS_KEY": secrets.token_hex(),
            "AWS_KMS_KEY_ID": kms_key,
            "DAENA_KMS_AUDIT_URL": f"s3://{BUCKET}/daena",
        }
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        _forget_powertools()
        adapter = AWSKMSAdapter(secrets_client=made.secrets, kms_client=made.kms)
        return cls(sim, made, adapter, kms_key)

    def leave(self) -> None:
        """Close the clients."""
        self.clients.secrets.close()
        self.clients.kms.close()
        _forget_powertools()

    def handler(self) -> ModuleType:
        """The handler after a cold start; calls are counted from here."""
        self.sim.calls.clear()
        return load_handler()

    def create(self, *key_ids: str, days: int = 0, tags: Mapping[str, str] | None = None) -> None:
        """Create keys whose current version is that old."""
        for key_id in key_ids:
            self.adapter.create_key(key_id, tags=tags)
            if days:
                make_older(self.adapter, key_id, days)

    def values(self) -> list[str]:
        """Every value that any version of any key in the store has."""
        return [
            self.adapter.get_key(key.id, version.id)
            for key in self.adapter.store.scan()
            for version in key.versions
        ]

    def changed(self) -> set[str]:
        """The secrets that were changed since the cold start."""
        return {
            str(call.params.get("SecretId", call.params.get("Name")))
            for call in self.sim.calls
            if call.operation in CHANGES
        }

    @property
    def log(self) -> Objects:
        """The audit log."""
        return open_log()

    def records(self) -> Iterable[dict[str, Any]]:
        """Every record of the audit log."""
        for _, data in records(self.log):
            yield json.loads(data)


def _forget_powertools() -> None:
    """Undo what Powertools keeps for a process: its stream and the metrics not yet flushed."""
    logging.root.manager.loggerDict.pop(_LOGGER, None)
    Metrics(namespace="daena-kms", service="rotation").clear_metrics()
    sys.modules.pop("handler", None)
