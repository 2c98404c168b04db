"""Which permissions a caller has: asked of a secret, over gRPC, and of the project, over HTTP.

cloud.google.com/secret-manager/docs/reference/rest/v1/projects.secrets/testIamPermissions
cloud.google.com/resource-manager/reference/rest/v1/projects/testIamPermissions
"""

import json
import re
from collections.abc import Iterable, Mapping
from types import SimpleNamespace
from typing import Any, ClassVar

from google.iam.v1 import iam_policy_pb2  # type: ignore[import-untyped]  # it has no stubs

from infra.local.gcp.grpc import Method
from infra.local.gcp.names import PROJECT, PROJECT_NUMBER, Parent, invalid
from infra.local.gcp.store import SecretStore
from infra.local.http_server import Request, Response
from infra.local.server import Operation, Refusal

OPERATION = "TestIamPermissions"
_PATH = re.compile(r"/v1/projects/([^/:]+):testIamPermissions")
_MOST = 100

type Roles = Mapping[str, set[str]]


class Question:
    """The request as gRPC's front takes it: the client's own types are plain protobuf here."""

    meta = SimpleNamespace(fields={"name"})

    def __init__(self, resource: str, permissions: list[str]) -> None:
        self.name = resource
        self.permissions = permissions

    @classmethod
    def deserialize(cls, data: bytes) -> "Question":
        """Read the wire's bytes."""
        given = iam_policy_pb2.TestIamPermissionsRequest.FromString(data)
        return cls(given.resource, list(given.permissions))

    @classmethod
    def to_dict(cls, question: "Question", **_options: object) -> dict[str, object]:
        """Return the request for the call log."""
        return {"resource": question.name, "permissions": question.permissions}


class Held:
    """The answer."""

    @staticmethod
    def serialize(answer: list[str]) -> bytes:
        """Write the wire's bytes."""
        told = iam_policy_pb2.TestIamPermissionsResponse(permissions=answer)
        return bytes(told.SerializeToString())


def _unused(_question: Question) -> list[str]:
    """Stand where the front expects what carries a method out: who asks is not in the request."""
    raise NotImplementedError


METHOD = Method(Question, Held, _unused, "")


def on_secret(store: SecretStore, roles: Roles, principal: str, question: Question) -> list[str]:
    """Return what is allowed of what was asked.

    "If the secret does not exist, this call returns an empty set of permissions, not a NOT_FOUND
    error."
    """
    parent, secret_id = Parent.of_secret(question.name)
    if not question.permissions or any("*" in name for name in question.permissions):
        raise invalid("Permissions with wildcards (such as * or storage.*) are not allowed.")
    if store.lookup(parent.secret(secret_id)) is None:
        return []
    return allowed(roles, principal, question.permissions)


def allowed(roles: Roles, principal: str, asked: Iterable[str]) -> list[str]:
    """Return which permissions a principal has; one without a role has all of them."""
    held = roles.get(principal)
    return [name for name in asked if held is None or name in held]


class ResourceManager:
    """The project's part of Cloud Resource Manager; ``enabled`` is whether its API is on."""

    name: ClassVar[str] = "cloudresourcemanager"

    def __init__(self, roles: Roles) -> None:
        self._roles = roles
        self.enabled = True
        self.inherited = True
        """Whether what a principal may do is granted on the project, and not on its secrets."""

    def claim(self, request: Request) -> Operation | None:
        """Return the operation if the request is for this service."""
        found = _PATH.fullmatch(request.path)
        if found is None or request.method != "POST":
            return None
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        caller = token if scheme == "Bearer" else ""
        return Operation(self.name, OPERATION, {"project": found[1]}, caller=caller)

    def perform(self, operation: Operation, request: Request) -> Response:
        """Answer which of the permissions the caller has on the project."""
        if not operation.caller:
            return _answer(401, {"error": {"code": 401, "status": "UNAUTHENTICATED"}})
        known = operation.params["project"] in (PROJECT, PROJECT_NUMBER)
        if not self.enabled or not known:
            return _answer(403, {"error": {"code": 403, "status": "PERMISSION_DENIED"}})
        asked = json.loads(request.body)["permissions"]
        if len(asked) > _MOST or any("*" in name for name in asked):
            return _answer(400, {"error": {"code": 400, "status": "INVALID_ARGUMENT"}})
        found = allowed(self._roles, operation.caller, asked) if self.inherited else []
        return _answer(200, {"permissions": found} if found else {})

    def refuse(self, refusal: Refusal, operation: Operation) -> Response:
        """Return a general refusal."""
        del operation
        status = {Refusal.DENIED: 403, Refusal.THROTTLED: 429}.get(refusal, 500)
        return _answer(status, {"error": {"code": status}})


def _answer(status: int, document: Mapping[str, Any]) -> Response:
    headers = {"Content-Type": "application/json; charset=UTF-8"}
    error = str(status) if status >= 400 else ""
    return Response(status, json.dumps(document).encode(), headers, error)
