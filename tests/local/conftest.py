"""A running simulator with a clock that a test moves, and clients of it."""

import secrets
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from azure.keyvault.secrets import SecretClient
from botocore.exceptions import ClientError

from infra.local.aws.sim import AwsSimulator, Clients, clients
from infra.local.azure.sim import AzureSimulator

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Stopwatch:
    """A monotonic clock that moves only when a test moves it."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        """The seconds so far."""
        return self.seconds


@pytest.fixture
def stopwatch() -> Stopwatch:
    """The clock of the rate quotas."""
    return Stopwatch()


@pytest.fixture
def sim(stopwatch: Stopwatch) -> Iterator[AwsSimulator]:
    """A simulator whose time starts at START and stands still."""
    with AwsSimulator(clock=lambda: START, monotonic=stopwatch) as simulator:
        yield simulator


@pytest.fixture
def aws(sim: AwsSimulator) -> Iterator[Clients]:
    """Clients that do not retry."""
    made = clients(sim.url)
    yield made
    made.secrets.close()
    made.kms.close()


def value() -> str:
    """A fresh secret value."""
    return secrets.token_urlsafe()


def token() -> str:
    """A fresh version id."""
    return str(uuid.uuid4())


@contextmanager
def refused(code: str, words: str = "") -> Iterator[None]:
    """Expect the service to answer with this error code, and these words in its message."""
    with pytest.raises(ClientError) as caught:
        yield
    assert caught.value.response["Error"]["Code"] == code
    assert words in caught.value.response["Error"]["Message"]


@pytest.fixture
def create(aws: Clients) -> Callable[[str], str]:
    """Create a secret with a fresh value; returns its first version's id."""

    def make(name: str) -> str:
        return aws.secrets.create_secret(Name=name, SecretString=value())["VersionId"]

    return make


@pytest.fixture
def put(aws: Clients) -> Callable[..., str]:
    """Put a fresh value under some labels; returns the version's id."""

    def make(name: str, *labels: str) -> str:
        answer = aws.secrets.put_secret_value(
            SecretId=name, SecretString=value(), VersionStages=list(labels)
        )
        return answer["VersionId"]

    return make


@pytest.fixture
def stages(aws: Clients) -> Callable[[str], dict[str, str]]:
    """Tell which version each label of a secret is on."""

    def labels(name: str) -> dict[str, str]:
        versions = aws.secrets.describe_secret(SecretId=name)["VersionIdsToStages"]
        return {label: version for version, on in versions.items() for label in on}

    return labels


@pytest.fixture
def azure(stopwatch: Stopwatch) -> Iterator[AzureSimulator]:
    """A simulated Azure whose time starts at START and stands still."""
    with AzureSimulator(clock=lambda: START, monotonic=stopwatch) as simulator:
        yield simulator


@pytest.fixture
def vault(azure: AzureSimulator) -> SecretClient:
    """A client of the simulated vault, to whom everything is allowed and that does not retry."""
    return azure.secrets_client()
