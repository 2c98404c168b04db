"""What slows a client of AWS down: throttling, and nothing that only looks like it.

Secrets Manager answers LimitExceededException where a secret has all its labels or versions.
botocore's lists have that code, for other services: see ``retries/standard.py``.
"""

import json
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.retries.bucket import TokenBucket
from daena_kms.errors import StoreUnavailable
from daena_kms.sdk.aws.client import AWS

from infra.local.aws.in_process import connect
from infra.local.aws.sim import ACCESS_KEY, REGION
from infra.local.http_server import Request, Response

ASKED = {"SecretId": "some-key", "SecretString": "x", "VersionStages": ["AWSPENDING"]}
LIMIT, THROTTLED = "LimitExceededException", "ThrottlingException"


class Service:
    """Answers each call with an error, and counts them."""

    def __init__(self) -> None:
        self.code = LIMIT
        self.status = 400
        self.calls = 0

    def __call__(self, _request: Request) -> Response:
        """Answer a request."""
        self.calls += 1
        return Response(self.status, json.dumps({"__type": self.code}).encode())


@pytest.fixture
def service() -> Service:
    """Return a service at its limit."""
    return Service()


@pytest.fixture
def slowed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collect how often a call had to wait, in vain: no test waits."""
    waits: list[str] = []
    monkeypatch.setattr(TokenBucket, "acquire", lambda *_a, **_k: waits.append("rate"))
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _seconds: waits.append("retry"))
    return waits


def our_client(monkeypatch: pytest.MonkeyPatch) -> AWS:
    """Return an AWS that makes its client itself."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDTEST")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "unused")
    return AWS(REGION, None, {})


def their_client(mode: Any) -> Callable[[pytest.MonkeyPatch], AWS]:
    """Return what makes an AWS with a client of boto3 that somebody passed."""

    def make(_patch: pytest.MonkeyPatch) -> AWS:
        client = boto3.client(
            "secretsmanager",
            region_name=REGION,
            endpoint_url="http://127.0.0.1:1",
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=ACCESS_KEY,
            config=Config(retries={"mode": mode, "total_max_attempts": 6}),
        )
        return AWS(REGION, None, {"secretsmanager": client})

    return make


MAKERS = {
    "ours": our_client,
    "adaptive": their_client("adaptive"),
    "standard": their_client("standard"),
    "legacy": their_client("legacy"),
}


@pytest.fixture(params=MAKERS)
def aws(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, service: Service) -> AWS:
    """Return an AWS with a real client in each mode, connected to the service."""
    made = MAKERS[request.param](monkeypatch)
    connect(made.client("secretsmanager"), service)
    return made


def put(aws: AWS) -> None:
    """Write a value, which the service refuses."""
    with pytest.raises(StoreUnavailable):
        aws.call("secretsmanager", "put_secret_value", "some-key", **ASKED)


def test_a_limit_is_not_repeated_and_slows_nothing(
    aws: AWS, service: Service, slowed: list[str]
) -> None:
    """Each is one call, and the calls after it wait for nothing; the error is told as it is."""
    for _ in range(3):
        put(aws)
    with pytest.raises(StoreUnavailable, match="it is at a limit of Secrets Manager"):
        aws.call("secretsmanager", "put_secret_value", "some-key", **ASKED)
    assert service.calls == 4
    assert slowed == []


def test_throttling_is_repeated(aws: AWS, service: Service, slowed: list[str]) -> None:
    """As before: the other codes of botocore's lists are what they are there."""
    service.code = THROTTLED
    put(aws)
    assert service.calls == 6
    assert slowed.count("retry") == 5


@pytest.mark.usefixtures("slowed")
def test_a_status_alone_slows_the_writes(monkeypatch: pytest.MonkeyPatch, service: Service) -> None:
    """429 without a code of AWS begins to space them, as a code does."""
    aws = our_client(monkeypatch)
    started: list[bool] = []
    monkeypatch.setattr(aws._pacer, "start", lambda: started.append(True))
    connect(aws.client("secretsmanager"), service)
    put(aws)
    assert not started
    service.code, service.status = "", 429
    put(aws)
    assert started


def test_its_owner_sees_a_client_as_botocore_has_it(
    monkeypatch: pytest.MonkeyPatch, service: Service, slowed: list[str]
) -> None:
    """Where somebody uses the client that they passed, it repeats what it always repeated."""
    aws = MAKERS["standard"](monkeypatch)
    client: Any = aws.client("secretsmanager")
    connect(client, service)
    with pytest.raises(client.exceptions.LimitExceededException):
        client.put_secret_value(**ASKED)
    assert service.calls == 6
    assert slowed.count("retry") == 5
