"""The smallest HTTP surface, the same behind every cloud's function: health, plan, rotate one key.

No answer holds a value. An error is a problem document (RFC 9457) whose ``type`` is stable.
"""

import base64
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from daena_kms.adapter import CloudKMSAdapter
from daena_kms.engine import run
from daena_kms.errors import AccessDenied, ConfigError, DaenaKMSError
from daena_kms.objects.base import Objects
from daena_kms.runtime import Deadline
from daena_kms.summary import action_record

MAX_BODY = 10_000
_MAX_REASON = 500
_ROTATE = re.compile(r"/v1/keys/([^/]{1,200})/rotate")
_STATUS = {
    "invalid-key-id": 400,
    "key-not-found": 404,
    "not-managed": 409,
    "rotation-conflict": 409,
    "key-exists": 409,
    "access-denied": 502,
    "store-unavailable": 503,
    "audit-unavailable": 503,
}


@dataclass(frozen=True, slots=True)
class Request:
    """What a cloud's own event says, after its handler has taken it apart."""

    method: str
    path: str
    body: str | bytes | None
    #: Who asks, from what the platform has verified and from nothing else.
    principal: str | None


@dataclass(frozen=True, slots=True)
class Response:
    """A status and a JSON document."""

    status: int
    document: Mapping[str, Any]

    @property
    def body(self) -> str:
        """The document as JSON."""
        return json.dumps(self.document, sort_keys=True)

    @property
    def content_type(self) -> str:
        """Its media type."""
        return "application/problem+json" if "type" in self.document else "application/json"


def respond(  # noqa: PLR0911 - one for each route
    request: Request,
    services: Callable[[], tuple[CloudKMSAdapter, Objects]],
    deadline: Deadline | None = None,
) -> Response:
    """Answer one request. ``services`` gives the adapter and the log; no error leaves this."""
    match = _ROTATE.fullmatch(request.path)
    if request.principal is None and request.path != "/v1/health":
        msg = "the platform has verified no caller"
        todo = "Put the function behind its cloud's own authentication, and sign the request"
        return problem(401, AccessDenied(msg, todo=todo))
    try:
        if match is not None and request.method == "POST":
            return _rotate(match[1], request, services, deadline)
        if request.path == "/v1/plan" and request.method == "GET":
            adapter, log = services()
            summary = run(adapter, log, dry_run=True, principal=request.principal)
            return Response(200, {"actions": [action_record(a) for a in summary.actions]})
        if request.path == "/v1/health" and request.method == "GET":
            return _health(services)
    except DaenaKMSError as error:
        return problem(_STATUS.get(error.code, 500), error)
    if match is not None or request.path in {"/v1/plan", "/v1/health"}:
        msg = f"the method {request.method[:20]!r} is not for this address"
        return problem(405, ConfigError(msg, todo="GET a plan or health, POST a rotation"))
    msg = "there is nothing at this address"
    return problem(404, ConfigError(msg, todo="See /v1/health, /v1/plan, /v1/keys/{id}/rotate"))


def _rotate(
    key_id: str,
    request: Request,
    services: Callable[[], tuple[CloudKMSAdapter, Objects]],
    deadline: Deadline | None,
) -> Response:
    try:
        reason = _reason(request.body)
    except ConfigError as refused:
        return problem(400, refused)
    adapter, log = services()
    summary = run(
        adapter,
        log,
        keys=[key_id],
        deadline=deadline,
        trigger="http",
        reason=reason,
        principal=request.principal,
    )
    if key_id in summary.errors:
        error = summary.errors[key_id]
        return problem(_STATUS.get(error.code, 500), error)
    if key_id in summary.new_versions:
        done = {"key": key_id, "version": summary.new_versions[key_id], "run": summary.run_id}
        return Response(200, done)
    if key_id in summary.left:
        msg = "there was no time left to begin"
        return problem(503, DaenaKMSError(msg, key_id=key_id, todo="Ask again"))
    msg = summary.notes.get(key_id, "nothing was to be done")
    return problem(409, DaenaKMSError(msg, key_id=key_id, todo="Look at the plan"))


def _reason(body: str | bytes | None) -> str | None:
    if not body:
        return None
    todo = 'Send nothing, or a JSON object such as {"reason": "leaked in a build log"}'
    size = len(body.encode(errors="surrogatepass") if isinstance(body, str) else body)
    if size > MAX_BODY:
        msg = f"the body is over {MAX_BODY} bytes"
        raise ConfigError(msg, todo=todo)
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise ConfigError("the body is no JSON", todo=todo) from None
    reason = document.get("reason") if isinstance(document, dict) else ()
    if reason is not None and not (isinstance(reason, str) and len(reason) <= _MAX_REASON):
        msg = f"the body is no object whose reason is text of up to {_MAX_REASON} characters"
        raise ConfigError(msg, todo=todo)
    return reason


def _health(services: Callable[[], tuple[CloudKMSAdapter, Objects]]) -> Response:
    """Say whether the configuration, the store and the log can be used; no account, no address."""
    checks: dict[str, str] = {}
    try:
        adapter, log = services()
        checks["configuration"] = "ok"
    except DaenaKMSError as error:
        return Response(503, {"ok": False, "checks": {"configuration": error.code}})
    probes: Mapping[str, Callable[[], object]] = {
        "store": adapter.store.probe,
        "audit": lambda: log.children("log/"),
    }
    for name, probe in probes.items():
        try:
            probe()
            checks[name] = "ok"
        except DaenaKMSError as error:
            checks[name] = error.code
    healthy = all(state == "ok" for state in checks.values())
    document = {"ok": healthy, "provider": adapter.store.provider, "checks": checks}
    return Response(200 if healthy else 503, document)


def problem(status: int, error: DaenaKMSError) -> Response:
    """Return an error as a problem document."""
    document = {
        "type": f"urn:daena-kms:{error.code}",
        "title": error.code.replace("-", " "),
        "status": status,
        "detail": str(error),
    }
    return Response(status, document)


def dig(event: object, *path: str) -> str | None:
    """Return the text at ``path`` in an event of any shape, or ``None``."""
    for name in path:
        event = event.get(name) if isinstance(event, Mapping) else None
    return event if isinstance(event, str) else None


def decoded(body: str | None, *, is_base64: bool) -> str | bytes | None:
    """Return a body as its event carries it; one that is no base64 is passed on and refused."""
    if body is None or not is_base64:
        return body
    try:
        return base64.b64decode(body, validate=True)
    except ValueError:
        return body
