"""What Azure's simulated services share: errors, dates and the JSON of an answer."""

import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from infra.local.http_server import Request, Response

type Clock = Callable[[], datetime]
type Json = dict[str, object]

REDACTED = "(not recorded)"


@dataclass(eq=False)
class AzureError(Exception):
    """An error as a service answers it; the message must not hold a value."""

    status: int
    code: str
    message: str
    inner: str | None = None
    """The code of Key Vault's ``innererror``, which says more than ``code``."""
    headers: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__init__(f"{self.code}: {self.message}")

    @property
    def name(self) -> str:
        """The code that says most, for the call log."""
        return self.inner or self.code


def bad(message: str) -> AzureError:
    """Return Key Vault's error for what it does not take."""
    return AzureError(400, "BadParameter", message)


def utc_now() -> datetime:
    """Return the real time."""
    return datetime.now(UTC)


def epoch(moment: datetime) -> int:
    """Return a date as Key Vault sends it: whole seconds."""
    return int(moment.timestamp())


def parsed(request: Request) -> Json:
    """Return the JSON object of a request's body."""
    try:
        body = json.loads(request.body)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise bad("The request body could not be parsed as a JSON object.")
    return body


def answer(
    request: Request,
    status: int,
    body: Json | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return an answer with the headers that Key Vault gives to each.

    https://learn.microsoft.com/azure/key-vault/general/common-parameters-and-headers
    """
    sent = {
        "x-ms-keyvault-region": "westeurope",
        "x-ms-keyvault-service-version": "1.9.0.0",
        "x-ms-request-id": secrets.token_hex(16),
        **(headers or {}),
    }
    client = request.headers.get("x-ms-client-request-id")
    if client is not None:
        sent["x-ms-client-request-id"] = client
    if body is None:
        return Response(status, headers=sent)
    sent["Content-Type"] = "application/json; charset=utf-8"
    return Response(status, json.dumps(body).encode(), sent)


def error_answer(request: Request, error: AzureError) -> Response:
    """Return an error in Key Vault's form.

    https://learn.microsoft.com/rest/api/keyvault/secrets/set-secret/set-secret#keyvaulterror
    """
    body: Json = {"code": error.code, "message": error.message}
    if error.inner is not None:
        body["innererror"] = {"code": error.inner}
    made = answer(request, error.status, {"error": body}, error.headers)
    return Response(made.status, made.body, made.headers, error.name)
