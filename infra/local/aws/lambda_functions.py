"""Creates Lambda functions on the local AWS, invokes them and gives them URLs."""

import base64
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import urlsplit

from daena_kms.errors import StoreUnavailable

from infra.local.aws.ministack import ACCOUNT

_READY_SECONDS = 30.0


class LambdaClient(Protocol):
    """The methods of an SDK's Lambda client that are used here."""

    def create_function(self, **request: object) -> dict[str, Any]:
        """Create a function."""
        ...

    def get_function_configuration(self, **request: object) -> dict[str, Any]:
        """Read a function's state."""
        ...

    def invoke(self, **request: object) -> dict[str, Any]:
        """Run a function."""
        ...

    def create_function_url_config(self, **request: object) -> dict[str, Any]:
        """Give a function a URL."""
        ...


@dataclass(frozen=True)
class Function:
    """A function to create."""

    name: str
    code: bytes
    #: Module and function in it, such as ``handler.scheduled``.
    handler: str
    environment: Mapping[str, str] = field(default_factory=dict)
    #: The ARN of its role, which need not exist where IAM is not enforced.
    role: str = f"arn:aws:iam::{ACCOUNT}:role/daena-kms"
    timeout: int = 60


@dataclass(frozen=True)
class Invocation:
    """The result of one synchronous invocation."""

    #: What the handler returned, or the error as an object when it raised.
    payload: Any
    #: None, or ``Unhandled`` when the handler raised, exited or ran out of time.
    error: str | None
    #: The last 4 KiB that it logged.
    log: str


def deploy(client: LambdaClient, function: Function) -> str:
    """Create the function, wait until it is active, and return its ARN.

    Raises:
        StoreUnavailable: it did not become active.
    """
    name = function.name
    created = client.create_function(
        FunctionName=name,
        Runtime="python3.13",
        Role=function.role,
        Handler=function.handler,
        Code={"ZipFile": function.code},
        Timeout=function.timeout,
        MemorySize=512,
        Environment={"Variables": dict(function.environment)},
    )
    deadline = time.monotonic() + _READY_SECONDS
    # The SDK's own waiter looks once a second. A local function is ready sooner.
    while client.get_function_configuration(FunctionName=name)["State"] != "Active":
        if time.monotonic() > deadline:
            raise StoreUnavailable(
                f"the function {name} was not active after {_READY_SECONDS:.0f} s"
            )
        time.sleep(0.05)
    return str(created["FunctionArn"])


def invoke(client: LambdaClient, name: str, event: object) -> Invocation:
    """Invoke the function with that event and wait for its result."""
    answer = client.invoke(FunctionName=name, Payload=json.dumps(event), LogType="Tail")
    return Invocation(
        payload=json.loads(answer["Payload"].read()),
        error=answer.get("FunctionError"),
        log=base64.b64decode(answer.get("LogResult", "")).decode(errors="replace"),
    )


def expose(client: LambdaClient, name: str, endpoint: str, *, auth_type: str = "AWS_IAM") -> str:
    """Give the function a URL and return the one that works on this machine."""
    created = client.create_function_url_config(FunctionName=name, AuthType=auth_type)
    # The host of the URL holds an id, which is part of the path on the local AWS.
    url_id = (urlsplit(created["FunctionUrl"]).hostname or "").partition(".")[0]
    return f"{endpoint}/_aws/lambda-url/{url_id}"
