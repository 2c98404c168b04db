"""Packs a Lambda function from what is installed here, and runs it in a local AWS.

The bundle has the shape of the deployed one (handler at the root, the package and its
dependencies beside it), but downloads nothing: files are those of the installed distributions.
"""

import base64
import importlib.metadata
import io
import json
import re
import shutil
import time
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Protocol
from urllib.parse import urlsplit

from daena_kms.demo.local_aws import ACCOUNT
from daena_kms.errors import ConfigError, StoreUnavailable

#: What the AWS functions import, as distributions; what those need in turn is found.
DISTRIBUTIONS = ("aws-lambda-powertools", "botocore", "cryptography", "obstore")
#: The SDK's service models that go in; all of them would be nine tenths of the bundle.
SERVICES = ("kms", "secretsmanager", "sts")

_PACKAGE = Path(__file__).parent.parent
_LEFT_OUT = frozenset({"__pycache__", "tests"})
_NOT_FOR_FUNCTIONS = frozenset({"cli", "demo"})
_MODELS = PurePosixPath("botocore/data")
_READY_SECONDS = 30.0


class LambdaClient(Protocol):
    """The calls of an SDK's Lambda client that are used here."""

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
    """What one synchronous invocation came to."""

    #: What the handler returned, or the error as an object when it raised.
    payload: Any
    #: None, or ``Unhandled`` when the handler raised, ended or ran out of time.
    error: str | None
    #: The last 4 KiB that it logged.
    log: str


def closure(distributions: Iterable[str]) -> list[importlib.metadata.Distribution]:
    """The named distributions and all they require, without extras, in order of name.

    Raises:
        ConfigError: one of them is not installed.
    """
    found: dict[str, importlib.metadata.Distribution] = {}
    waiting = [(name, True) for name in distributions]
    while waiting:
        name, needed = waiting.pop()
        key = re.sub(r"[-_.]+", "-", name).lower()
        if key in found:
            continue
        try:
            found[key] = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            # A requirement with a marker may be for another platform or version.
            if not needed:
                continue
            raise ConfigError(
                f"the function needs the package {name}, which is not installed",
                todo="Install the extra for AWS: pip install 'daena-kms[aws]'",
            ) from None
        for requirement in found[key].requires or []:
            specifier, _, marker = requirement.partition(";")
            match = re.match(r"[A-Za-z0-9._-]+", specifier.strip())
            if match and "extra" not in marker:
                waiting.append((match.group(), not marker))
    return [found[key] for key in sorted(found)]


def build(
    target: Path,
    handler: Path,
    *,
    distributions: Iterable[str] = DISTRIBUTIONS,
    services: Iterable[str] = SERVICES,
) -> None:
    """Fill the folder with the handler, this package (no command line, no demo) and what they need.

    Raises:
        ConfigError: a distribution is not installed.
    """
    target.mkdir(parents=True, exist_ok=True)
    shutil.copy(handler, target / handler.name)
    shutil.copytree(_PACKAGE, target / _PACKAGE.name, ignore=_ignored)
    models = frozenset(services)
    for distribution in closure(distributions):
        for file in distribution.files or []:
            if not _belongs(file, models):
                continue
            destination = target / file
            destination.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(str(distribution.locate_file(file)), destination)


def _ignored(folder: str, names: list[str]) -> set[str]:
    """Return what of this package stays out, for shutil.copytree."""
    out = _LEFT_OUT | _NOT_FOR_FUNCTIONS if Path(folder) == _PACKAGE else _LEFT_OUT
    return {name for name in names if name in out}


def _belongs(file: PurePosixPath, services: frozenset[str]) -> bool:
    """Whether an installed file goes into the bundle."""
    if ".." in file.parts or _LEFT_OUT & {*file.parts}:
        return False
    if file.is_relative_to(_MODELS):
        folders = file.relative_to(_MODELS).parts[:-1]
        return not folders or folders[0] in services
    return True


def pack(folder: Path) -> bytes:
    """The folder as a zip, the same bytes for the same files."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                entry = zipfile.ZipInfo(path.relative_to(folder).as_posix())
                entry.external_attr = 0o644 << 16
                # The quickest level: it is unpacked again a moment later.
                archive.writestr(entry, path.read_bytes(), zipfile.ZIP_DEFLATED, compresslevel=1)
    return packed.getvalue()


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
    # The SDK's own waiter looks once a second, a local function is ready in half of that.
    while client.get_function_configuration(FunctionName=name)["State"] != "Active":
        if time.monotonic() > deadline:
            raise StoreUnavailable(
                f"the function {name} was not active after {_READY_SECONDS:.0f} s"
            )
        time.sleep(0.05)
    return str(created["FunctionArn"])


def invoke(client: LambdaClient, name: str, event: object) -> Invocation:
    """Run the function with that event and wait for what it comes to."""
    answer = client.invoke(FunctionName=name, Payload=json.dumps(event), LogType="Tail")
    return Invocation(
        payload=json.loads(answer["Payload"].read()),
        error=answer.get("FunctionError"),
        log=base64.b64decode(answer.get("LogResult", "")).decode(errors="replace"),
    )


def expose(client: LambdaClient, name: str, endpoint: str, *, auth_type: str = "AWS_IAM") -> str:
    """Give the function a URL and return the one that works on this machine."""
    created = client.create_function_url_config(FunctionName=name, AuthType=auth_type)
    # The URL that AWS would give ends in on.aws; locally the same id is a path.
    url_id = (urlsplit(created["FunctionUrl"]).hostname or "").partition(".")[0]
    return f"{endpoint}/_aws/lambda-url/{url_id}"
