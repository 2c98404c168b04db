"""The Lambda functions in a simulated AWS: the handler's module as a cold start loads it."""

import importlib.util
import json
import logging
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from aws_lambda_powertools.metrics import Metrics
from daena_kms.audit import open_log

from infra.local.aws.sim import AwsSimulator
from tests.worlds.aws import AwsWorld

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


class LambdaWorld(AwsWorld):
    """A simulated AWS, the environment that a function finds there, and the function itself."""

    def __init__(self, sim: AwsSimulator, patch: pytest.MonkeyPatch) -> None:
        super().__init__(sim)
        self.lead(patch, AWS_ACCESS_KEY_ID=FUNCTION_KEY)
        self.log = open_log()
        _forget_powertools()

    def leave(self) -> None:
        """Close the clients."""
        for client in (*self.clients, self.secrets, self.kms):
            client.close()
        _forget_powertools()

    def handler(self) -> ModuleType:
        """The handler after a cold start; calls are counted from here."""
        self.sim.calls.clear()
        return load_handler()

    def changed(self) -> set[str]:
        """The secrets that were changed since the cold start."""
        return {
            str(call.params.get("SecretId", call.params.get("Name")))
            for call in self.sim.calls
            if call.operation in CHANGES
        }


def _forget_powertools() -> None:
    """Undo what Powertools keeps for a process: its stream and the metrics not yet flushed."""
    logging.root.manager.loggerDict.pop(_LOGGER, None)
    Metrics(namespace="daena-kms", service="rotation").clear_metrics()
    sys.modules.pop("handler", None)
