"""What of Cloud Storage's JSON API is about a bucket itself: its policies, and who may do what.

cloud.google.com/storage/docs/json_api/v1/buckets/get and …/testIamPermissions
"""

import json
import re
from collections.abc import Collection, Mapping
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlsplit

from infra.local.gcp.iam import Roles, allowed
from infra.local.http_server import Request, Response
from infra.local.server import Operation, Refusal

_BUCKET = re.compile(r"/storage/v1/b/([^/]+)(/iam/testPermissions)?")
_GET = "storage.buckets.get"


class StorageJson:
    """The service; ``policies`` holds what each bucket's metadata says beside its name."""

    name: ClassVar[str] = "storage-json"

    def __init__(self, buckets: Collection[str], roles: Roles) -> None:
        self._buckets = buckets
        self._roles = roles
        locked = {"retentionPolicy": {"retentionPeriod": "31536000", "isLocked": True}}
        self.policies: dict[str, dict[str, Any]] = {bucket: dict(locked) for bucket in buckets}

    def claim(self, request: Request) -> Operation | None:
        """Return the operation if the request is for this service."""
        found = _BUCKET.fullmatch(request.path)
        if found is None or request.method != "GET":
            return None
        name = "TestBucketPermissions" if found[2] else "GetBucket"
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        caller = token if scheme == "Bearer" else ""
        return Operation(self.name, name, {"bucket": found[1]}, caller=caller)

    def perform(self, operation: Operation, request: Request) -> Response:
        """Answer."""
        bucket = str(operation.params["bucket"])
        if not operation.caller:
            return _answer(401, {})
        if bucket not in self._buckets:
            return _answer(404, {})
        if operation.name == "GetBucket":
            if not allowed(self._roles, operation.caller, [_GET]):
                return _answer(403, {})
            wanted = set(request.query.get("fields", "").split(","))
            policies = self.policies.get(bucket, {})
            return _answer(200, {n: p for n, p in policies.items() if n in wanted})
        # "Permissions are not required for using this method."
        asked = [value for name, value in parse_qsl(urlsplit(request.target).query)]
        if {"storage.buckets.list", "storage.buckets.create"} & set(asked):
            return _answer(400, {})
        found = allowed(self._roles, operation.caller, asked)
        return _answer(200, {"permissions": found} if found else {})

    def refuse(self, refusal: Refusal, operation: Operation) -> Response:
        """Return a general refusal."""
        del operation
        return _answer({Refusal.DENIED: 403, Refusal.THROTTLED: 429}.get(refusal, 500), {})


def _answer(status: int, document: Mapping[str, Any]) -> Response:
    error = str(status) if status >= 400 else ""
    body = json.dumps({"error": {"code": status}} if error else document).encode()
    return Response(status, body, {"Content-Type": "application/json; charset=UTF-8"}, error)
