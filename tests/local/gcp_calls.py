"""A simulated Google Cloud whose clock a test moves, and short words for calls to it.

Import ``gcp`` into a test module, and name it in ``__all__``.
"""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from google.api_core.exceptions import GoogleAPICallError
from google.cloud.secretmanager_v1 import SecretManagerServiceClient
from google.cloud.secretmanager_v1.types import Secret, SecretPayload, SecretVersion

from infra.local.gcp.sim import PROJECT, PROJECT_NUMBER, GcpSimulator

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
AUTOMATIC: dict[str, object] = {"automatic": {}}
HERE = f"projects/{PROJECT}"


@dataclass
class Gcp:
    """The simulator, a client, and the seconds on the clock of the rate quotas."""

    sim: GcpSimulator
    client: SecretManagerServiceClient
    stopwatch: list[float] = field(default_factory=lambda: [0.0])

    def create(self, secret_id: str, **fields: object) -> Secret:
        """Create a global secret; replicated automatically unless told otherwise."""
        return create(self.client, HERE, secret_id, **{"replication": AUTOMATIC, **fields})

    def add(self, secret_id: str, data: bytes | None = None) -> SecretVersion:
        """Add a version, with a fresh value unless one is given."""
        payload = SecretPayload(data=value() if data is None else data)
        return self.client.add_secret_version(parent=name(secret_id), payload=payload)

    def get(self, secret_id: str) -> Secret:
        """Return a secret's metadata."""
        return self.client.get_secret(name=name(secret_id))

    def update(self, secret_id: str, etag: str = "", **fields: object) -> Secret:
        """Update the fields that are given, and name them in the mask."""
        return self.client.update_secret(
            request={
                "secret": {"name": name(secret_id), "etag": etag, **fields},
                "update_mask": {"paths": list(fields)},
            }
        )

    def access(self, secret_id: str, version: object) -> bytes:
        """Return a version's value."""
        # The client's own policy would wait seconds before it tried again.
        answer = self.client.access_secret_version(name=name(secret_id, version), retry=None)
        data: bytes = answer.payload.data
        return data


def create(
    client: SecretManagerServiceClient, parent: str, secret_id: str, **fields: object
) -> Secret:
    """Create a secret of exactly these fields."""
    request = {"parent": parent, "secret_id": secret_id, "secret": fields}
    return client.create_secret(request=request)


@pytest.fixture
def gcp() -> Iterator[Gcp]:
    """A simulated Google Cloud whose time starts at START and stands still."""
    stopwatch = [0.0]
    with GcpSimulator(clock=lambda: START, monotonic=lambda: stopwatch[0]) as sim:
        yield Gcp(sim, sim.client(), stopwatch)


def name(secret_id: str, version: object = None) -> str:
    """Return a secret's or version's name, with the project's id."""
    whole = f"{HERE}/secrets/{secret_id}"
    return whole if version is None else f"{whole}/versions/{version}"


def numbered(secret_id: str, version: object = None) -> str:
    """Return a name as answers have it, with the project's number."""
    return name(secret_id, version).replace(PROJECT, PROJECT_NUMBER)


def value() -> bytes:
    """A fresh secret value."""
    return secrets.token_urlsafe().encode()


@contextmanager
def refused(kind: type[GoogleAPICallError], words: str = "") -> Iterator[None]:
    """Expect the service to answer with this error, and these words in its message."""
    with pytest.raises(kind) as caught:
        yield
    assert type(caught.value) is kind
    assert words in str(caught.value)
