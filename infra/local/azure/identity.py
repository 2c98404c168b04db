"""The endpoint at which an app on Azure asks for the tokens of its managed identity.

https://learn.microsoft.com/azure/app-service/overview-managed-identity#rest-endpoint-reference
"""

import hmac
import json
import secrets
import time
from typing import ClassVar

from infra.local.azure.auth import BLOB_AUDIENCE, OWNER, VAULT_AUDIENCE, Tokens
from infra.local.http_server import Request, Response
from infra.local.server import Operation, Refusal

PATH = "/msi/token"
_VERSION = "2019-08-01"
_LIFE = 3600
_AUDIENCES = {VAULT_AUDIENCE, BLOB_AUDIENCE}


class Identity:
    """The service. ``identities`` says who an app is by its client id; ``None`` is the system's."""

    name: ClassVar[str] = "identity"

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens
        self.header = secrets.token_hex(16)
        self.identities: dict[str | None, str] = {None: OWNER}

    def claim(self, request: Request) -> Operation | None:
        """Return the operation if the request is for a token."""
        if request.path != PATH or request.secure:
            return None
        params: dict[str, object] = {
            name: request.query[name] for name in ("resource", "client_id") if name in request.query
        }
        return Operation(self.name, "GetToken", params)

    def perform(self, operation: Operation, request: Request) -> Response:
        """Give a token of the identity that was asked for."""
        del operation
        if not hmac.compare_digest(request.headers.get("x-identity-header", ""), self.header):
            return _error(401, "the header of the identity is missing or wrong")
        principal = self.identities.get(request.query.get("client_id"))
        audience = request.query.get("resource", "")
        known = audience in _AUDIENCES and request.query.get("api-version") == _VERSION
        if principal is None or not known:
            return _error(400, "no such identity, resource or version")
        ends = int(time.time()) + _LIFE
        answer = {
            "access_token": self._tokens.make(principal, audience, ends),
            "expires_on": str(ends),
            "resource": audience,
            "token_type": "Bearer",
        }
        return Response(200, json.dumps(answer).encode(), {"Content-Type": "application/json"})

    def refuse(self, refusal: Refusal, operation: Operation) -> Response:
        """Return a general refusal."""
        del operation
        status = {Refusal.DENIED: 403, Refusal.THROTTLED: 429}.get(refusal, 500)
        return _error(status, refusal.name.lower())


def _error(status: int, what: str) -> Response:
    body = json.dumps({"statusCode": status, "message": what}).encode()
    return Response(status, body, {"Content-Type": "application/json"}, error=str(status))
