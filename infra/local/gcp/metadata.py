"""The metadata server, from which what runs on Google Cloud learns who it is.

https://cloud.google.com/compute/docs/metadata/predefined-metadata-keys
"""

import json
from typing import ClassVar

from infra.local.gcp.client import ROTATOR
from infra.local.gcp.names import PROJECT, PROJECT_NUMBER
from infra.local.http_server import Request, Response
from infra.local.server import Operation, Refusal

ROOT = "/computeMetadata/v1/"
_FLAVOR = {"Metadata-Flavor": "Google"}
_SCOPES = ["https://www.googleapis.com/auth/cloud-platform"]
_LIFE = 3599


class Metadata:
    """The service; ``principal`` is the service account, and its tokens are its name."""

    name: ClassVar[str] = "metadata"

    def __init__(self) -> None:
        self.principal = ROTATOR

    def claim(self, request: Request) -> Operation | None:
        """Return the operation if the request is for metadata, or a first knock."""
        asks = request.headers.get("metadata-flavor") == "Google"
        if request.method != "GET" or not (asks and request.path.startswith((ROOT, "/"))):
            return None
        return Operation(self.name, "GetMetadata", {"path": request.path})

    def perform(self, operation: Operation, request: Request) -> Response:
        """Return what is at a path."""
        del operation
        account = "instance/service-accounts/default/"
        found: dict[str, object] = {
            "": "",
            "project/project-id": PROJECT,
            "project/numeric-project-id": PROJECT_NUMBER,
            "universe/universe-domain": "googleapis.com",
            account: {"aliases": ["default"], "email": self.principal, "scopes": _SCOPES},
            f"{account}token": {
                "access_token": self.principal,
                "expires_in": _LIFE,
                "token_type": "Bearer",
            },
        }
        path = request.path.removeprefix(ROOT) if request.path.startswith(ROOT) else ""
        if path not in found:
            return Response(404, b"", _FLAVOR, error="404")
        value = found[path]
        if isinstance(value, str):
            return Response(200, value.encode(), {**_FLAVOR, "Content-Type": "application/text"})
        body = json.dumps(value).encode()
        return Response(200, body, {**_FLAVOR, "Content-Type": "application/json"})

    def refuse(self, refusal: Refusal, operation: Operation) -> Response:
        """Return a general refusal."""
        del operation
        status = {Refusal.DENIED: 403, Refusal.THROTTLED: 429}.get(refusal, 500)
        return Response(status, b"", _FLAVOR, error=str(status))
