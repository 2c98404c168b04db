"""How the tests ask, and what every answer must be like."""

import json
from collections.abc import Mapping
from typing import Any

from daena_kms.api.messages import Request, Response
from daena_kms.api.router import respond
from daena_kms.engine.clock import Deadline
from daena_kms.objects.base import Objects
from daena_kms.stores.adapter import CloudKMSAdapter

from tests.unit.engine.engines import World

ARN = "arn:aws:iam::123456789012:user/jane"
#: Members that every problem has; ``todo`` and ``current`` are there where they say something.
_PROBLEM = {"type", "title", "status", "detail", "request_id"}


def ask(
    world: World,
    method: str,
    address: str,
    body: object = None,
    *,
    principal: str | None = ARN,
    deadline: Deadline | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Send a request; a body that is neither text nor bytes is sent as JSON."""

    def services() -> tuple[CloudKMSAdapter, Objects]:
        return world.adapter, world.log

    path, _, query = address.partition("?")
    raw = body if body is None or isinstance(body, (str, bytes)) else json.dumps(body)
    given = {"content-type": "application/json", **(headers or {})}
    asked = Request(method, path, raw, principal, query, given, "request-1")
    response = respond(asked, services, deadline)
    assert response.headers["x-request-id"] == "request-1"
    assert response.headers["cache-control"] == "no-store"
    assert json.loads(response.body) == response.document
    return response


def check_problem(response: Response, status: int, code: str) -> Mapping[str, Any]:
    """Expect a problem document of RFC 9457 that names no account, and return it."""
    document = response.document
    assert (response.status, document.get("type")) == (status, f"urn:daena-kms:{code}"), document
    assert response.content_type == "application/problem+json"
    assert document.keys() >= _PROBLEM
    assert document.keys() <= _PROBLEM | {"todo", "current"}
    assert document["status"] == status
    assert document["request_id"] == response.headers["x-request-id"]
    assert "123456789012" not in response.body
    assert len(response.body) < 1000
    return document
