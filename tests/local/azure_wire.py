"""What the tests of the simulated Azure share: expected errors, raw requests, blobs by obstore."""

import json
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPSConnection
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

import pytest
from azure.core.exceptions import HttpResponseError
from obstore.store import AzureStore

from infra.local.azure.auth import BLOB_AUDIENCE, OWNER, VAULT_AUDIENCE
from infra.local.azure.blob import ACCOUNT
from infra.local.azure.sim import AzureSimulator

if TYPE_CHECKING:
    from obstore.store import AzureCredential

API = "api-version=7.6"
BLOCK = {"x-ms-blob-type": "BlockBlob"}
BLOB_VERSION = {"x-ms-version": "2024-11-04"}


@contextmanager
def answers(status: int, code: str, inner: str | None = None) -> Iterator[None]:
    """Expect the vault to answer with this status, code and inner code."""
    with pytest.raises(HttpResponseError) as caught:
        yield
    error = caught.value.error
    assert (caught.value.status_code, error and error.code) == (status, code)
    # The SDK's class says it is of another type than it is.
    innermost = cast("Mapping[str, str] | None", error.innererror if error else None)
    assert (innermost["code"] if innermost else None) == inner


@dataclass(frozen=True)
class Answer:
    """An answer as it came."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body's JSON."""
        return json.loads(self.body)


def token(sim: AzureSimulator, audience: str, principal: str = OWNER) -> dict[str, str]:
    """Return the header that says who calls."""
    made = sim.credential(principal).get_token(f"{audience}/.default").token
    return {"Authorization": f"Bearer {made}"}


def to_vault(
    sim: AzureSimulator,
    method: str,
    path: str,
    body: object = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Send a request to the vault without the SDK; as the owner, unless other headers are given."""
    address = urlsplit(sim.vault_url).netloc
    context = ssl.create_default_context(cafile=sim.ca_file)
    sent = token(sim, VAULT_AUDIENCE) if headers is None else headers
    content = None if body is None else json.dumps(body)
    return _send(HTTPSConnection(address, context=context, timeout=10), method, path, content, sent)


def to_blobs(
    sim: AzureSimulator,
    method: str,
    path: str,
    body: str | None = None,
    headers: Mapping[str, str] | None = None,
    *,
    account: str = ACCOUNT,
) -> Answer:
    """Send a request to the storage account without obstore; as the owner, unless told else."""
    address = urlsplit(sim.blob_url).netloc
    sent = token(sim, BLOB_AUDIENCE) | BLOB_VERSION | dict(headers or {})
    return _send(HTTPConnection(address, timeout=10), method, f"/{account}{path}", body, sent)


def code(answer: Answer) -> str:
    """The error code of an answer, which is in a header, too, and without a body there alone."""
    found = answer.headers.get("x-ms-error-code", "")
    assert not answer.body or f"<Code>{found}</Code>".encode() in answer.body
    return found


def _send(
    connection: HTTPConnection, method: str, path: str, body: str | None, headers: Mapping[str, str]
) -> Answer:
    try:
        connection.request(method, path, body, dict(headers))
        response = connection.getresponse()
        found = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, found, response.read())
    finally:
        connection.close()


def blobs(
    sim: AzureSimulator, container: str = "audit", principal: str = OWNER, audience: str = ""
) -> AzureStore:
    """Return obstore's client of a container, without retries."""
    credential = sim.credential(principal)

    def provide() -> "AzureCredential":
        made = credential.get_token(f"{audience or BLOB_AUDIENCE}/.default")
        return {"token": made.token, "expires_at": datetime.fromtimestamp(made.expires_on, UTC)}

    return AzureStore(
        container,
        config={"account_name": ACCOUNT, "endpoint": sim.blob_url},
        client_options={"allow_http": True, "timeout": "10s"},
        retry_config={"max_retries": 0},
        credential_provider=provide,
    )
