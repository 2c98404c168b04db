"""What a function sees in the local AWS, and what its caller does."""

import json
import os
import secrets
import subprocess
import sys
import urllib.error
import urllib.request
import zipfile
from io import BytesIO

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import EndpointConnectionError

from infra.local.aws import lambda_functions
from infra.local.aws.lambda_functions import Function
from infra.local.aws.ministack import ACCOUNT, REGION, LocalAws
from tests.local.harness import call, small

pytestmark = pytest.mark.xdist_group("local-aws")
WHOLE = """
import sys
from aws_lambda_powertools import Logger, Metrics
from botocore.session import Session
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from obstore.store import S3Store
import daena_kms.errors

def scheduled(event, context):
    client = Session().create_client("secretsmanager")
    client.create_secret(Name=event["name"], SecretString=event["value"])
    Logger(service="test").info("created")
    files = {getattr(module, "__file__", None) for module in list(sys.modules.values())}
    return sorted(file for file in files if file and "-packages" in file)
"""


def test_a_function_runs_from_nothing_but_its_bundle(local_aws: LocalAws, bundle: bytes) -> None:
    """The bundle is complete: SDK, object store, Powertools, cryptography and this package."""
    packed = BytesIO(bundle)
    with zipfile.ZipFile(packed, "a") as archive:
        archive.writestr("whole.py", WHOLE)
    client = local_aws.client("lambda")
    lambda_functions.deploy(client, Function("whole", packed.getvalue(), "whole.scheduled"))
    value = secrets.token_urlsafe()

    came_to = lambda_functions.invoke(client, "whole", {"name": "by-function", "value": value})

    assert (came_to.payload, came_to.error) == ([], None)
    assert '"message":"created"' in came_to.log
    stored = local_aws.client("secretsmanager").get_secret_value(SecretId="by-function")
    assert stored["SecretString"] == value


def test_an_isolated_function_does_not_see_what_is_installed_here(local_aws: LocalAws) -> None:
    """A dependency that the bundle lacks is missing in the function too."""
    small(local_aws, "isolated")

    assert call(local_aws, "isolated")["installed"] is False


def test_a_function_that_is_not_isolated_sees_what_is_installed_here() -> None:
    """A bundle of the handler alone is enough where completeness is not the question."""
    with LocalAws(isolated=False) as aws:
        small(aws, "open")

        assert call(aws, "open")["installed"] is True


def test_a_function_gets_the_environment_and_context_of_lambda(local_aws: LocalAws) -> None:
    """Region, endpoint, credentials and its own variables, and a context that counts down."""
    arn = small(local_aws, "context", LOG_LEVEL="DEBUG", MINE="yes")

    seen = call(local_aws, "context", say="")

    expected = {
        "AWS_ENDPOINT_URL": local_aws.url,
        "AWS_REGION": REGION,
        "AWS_ACCESS_KEY_ID": ACCOUNT,
        "AWS_LAMBDA_FUNCTION_NAME": "context",
        "LOG_LEVEL": "DEBUG",
        "MINE": "yes",
    }
    assert seen["environment"].items() >= expected.items()
    assert {"AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"} <= seen["environment"].keys()
    assert seen["arn"] == arn
    assert seen["request"]
    assert 0 < seen["left"] <= 20_000


def test_nothing_of_the_callers_environment_reaches_a_function(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A person's credentials and settings stay out, and so do those meant for ministack."""
    canary = secrets.token_urlsafe()
    for name in ("AWS_SESSION_TOKEN", "DAENA_KMS_HOME", "HOME", "PYTHONPATH"):
        monkeypatch.setenv(name, canary)
    monkeypatch.setenv("AWS_PROFILE", "a-profile-that-does-not-exist")
    with LocalAws() as aws:
        small(aws, "closed")

        environment = call(aws, "closed")["environment"]

    assert canary not in environment.values()
    assert environment.keys().isdisjoint({"AWS_PROFILE", "LOG_LEVEL", "GATEWAY_PORT", "AUTH"})


def test_a_handler_that_raises_is_reported_and_runs_again(local_aws: LocalAws) -> None:
    """The invocation says Unhandled, the log holds the traceback, and the next one is served."""
    small(local_aws, "raises")

    came_to = lambda_functions.invoke(local_aws.client("lambda"), "raises", {"fail": True})

    assert came_to.error == "Unhandled"
    assert came_to.payload["errorMessage"] == "on purpose"
    assert "ValueError: on purpose" in came_to.log
    assert call(local_aws, "raises", say="again")["event"] == {"say": "again"}


def test_a_function_url_wants_a_signature(local_aws: LocalAws) -> None:
    """Without one it answers 403; with one the function gets method, path, query and body."""
    small(local_aws, "web")
    url = lambda_functions.expose(local_aws.client("lambda"), "web", local_aws.url) + "/plan?key=a"
    headers = {"content-type": "application/json"}
    signed = AWSRequest("POST", url, headers, b'{"a": 1}')
    SigV4Auth(Credentials(ACCOUNT, secrets.token_urlsafe()), "lambda", REGION).add_auth(signed)

    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(urllib.request.Request(url, b"{}", headers))
    refused.value.close()
    request = urllib.request.Request(url, b'{"a": 1}', dict(signed.headers))
    with urllib.request.urlopen(request) as answer:
        event = json.load(answer)["event"]

    assert refused.value.code == 403
    assert event["requestContext"]["http"]["method"] == "POST"
    assert event["requestContext"]["accountId"] == ACCOUNT
    assert (event["rawPath"], event["rawQueryString"]) == ("/plan", "key=a")
    assert (event["body"], event["isBase64Encoded"]) == ('{"a": 1}', False)


def test_no_value_is_written_to_disk_or_printed(local_aws: LocalAws) -> None:
    """Secrets stay in memory, and what functions print stays out of ministack's own output."""
    value = secrets.token_urlsafe()
    store = local_aws.client("secretsmanager")
    store.create_secret(Name="in-memory", SecretString=value)
    small(local_aws, "prints")

    store.get_secret_value(SecretId="in-memory")
    call(local_aws, "prints", say=value)

    files = [path for path in local_aws.folder.rglob("*") if path.is_file()]
    assert local_aws.folder / "output.log" in files
    assert [path for path in files if value.encode() in path.read_bytes()] == []


def test_an_sdk_led_by_the_environment_finds_the_local_aws(local_aws: LocalAws) -> None:
    """A consumer that knows nothing of this package reads what is there."""
    program = """
from botocore.session import Session
print(len(Session().create_client("kms").generate_random(NumberOfBytes=8)["Plaintext"]))
"""
    environment = {"PATH": os.defpath, **local_aws.environment}
    consumer = [sys.executable, "-c", program]

    assert (
        subprocess.run(consumer, env=environment, capture_output=True, check=True).stdout == b"8\n"
    )


def test_a_client_makes_a_call_once() -> None:
    """A function that gave no answer is not run a second time behind the caller's back."""
    sent: list[object] = []
    with LocalAws() as aws:
        client = aws.client("lambda")
    client.meta.events.register("before-send", lambda request, **_: sent.append(request.url))

    with pytest.raises(EndpointConnectionError):
        client.invoke(FunctionName="gone")

    assert len(sent) == 1
