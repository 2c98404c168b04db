"""Small functions on the local AWS."""

import zipfile
from io import BytesIO
from typing import Any

from infra.local.aws import lambda_functions
from infra.local.aws.lambda_functions import Function
from infra.local.aws.ministack import LocalAws

SMALL = """
import importlib.util, os, pathlib, sys, time

def handler(event, context):
    print(event.get("say", ""))
    if "mark" in event:
        pathlib.Path(event["mark"]).write_text(str(os.getpid()))
        time.sleep(600)
    if event.get("fail"):
        raise ValueError("on purpose")
    return {
        "event": event,
        "environment": dict(os.environ),
        "arn": context.invoked_function_arn,
        "request": context.aws_request_id,
        "left": context.get_remaining_time_in_millis(),
        "installed": importlib.util.find_spec("botocore") is not None,
    }
"""


def zipped(source: str, name: str = "handler.py") -> bytes:
    """A bundle of one module."""
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(name, source)
    return packed.getvalue()


def small(aws: LocalAws, name: str, **environment: str) -> str:
    """Deploy the small function under that name, and return its ARN."""
    function = Function(name, zipped(SMALL), "handler.handler", environment, timeout=20)
    return lambda_functions.deploy(aws.client("lambda"), function)


def call(aws: LocalAws, name: str, **event: object) -> Any:
    """Run a function, which must not fail, and return what it returned."""
    came_to = lambda_functions.invoke(aws.client("lambda"), name, event)
    assert came_to.error is None, came_to
    return came_to.payload
