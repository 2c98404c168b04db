"""From a request to its answer: which address, who may, and how errors are told."""

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from daena_kms.api import keys, log, openapi, runs
from daena_kms.api.access import Access
from daena_kms.api.call import Call
from daena_kms.api.health import health
from daena_kms.api.inputs import read_body, read_query
from daena_kms.api.messages import (
    NoSuchAddress,
    Request,
    Response,
    Unauthenticated,
    WrongMethod,
    problem,
    request_id,
)
from daena_kms.engine.clock import Budget, Deadline, RunClock
from daena_kms.errors import DaenaKMSError
from daena_kms.objects.base import Objects
from daena_kms.rules.names import check_key_id
from daena_kms.settings import Settings
from daena_kms.stores.adapter import CloudKMSAdapter

logger = logging.getLogger("daena_kms")

Services = Callable[[], tuple[CloudKMSAdapter, Objects]]

#: In every answer: nobody keeps it, and no browser takes it for anything but JSON.
_ALWAYS = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
_OPEN = {"/v1/health", "/v1/openapi.json"}
_KEY = re.compile(r"/v1/keys/([^/]{1,200})(/[a-z]+)?")


@dataclass(frozen=True, slots=True)
class Route:
    """One method of one address: what does it, and what it takes."""

    do: Callable[[Call], Response]
    query: tuple[str, ...] = ()
    body: tuple[str, ...] = ()


ROUTES: dict[str, dict[str, Route]] = {
    "/v1/keys": {"GET": Route(keys.list_keys, query=("limit", "after"))},
    "/v1/keys/{key_id}": {"GET": Route(keys.show)},
    "/v1/keys/{key_id}/rotate": {"POST": Route(keys.rotate, body=("reason", "compromised"))},
    "/v1/keys/{key_id}/rollback": {"POST": Route(keys.rollback, body=("version", "reason"))},
    "/v1/keys/{key_id}/hold": {"POST": Route(keys.hold, body=("until", "reason"))},
    "/v1/keys/{key_id}/release": {"POST": Route(keys.release, body=("reason",))},
    "/v1/runs": {"POST": Route(runs.start, body=("dry_run", "reason"))},
    "/v1/plan": {"GET": Route(runs.plan)},
    "/v1/audit": {
        "GET": Route(log.entries, query=("key", "run", "since", "until", "limit", "after"))
    },
    "/v1/audit/verify": {"GET": Route(log.verify, query=("since",))},
}


def respond(request: Request, services: Services, deadline: Deadline | None = None) -> Response:
    """Answer one request. ``services`` gives the adapter and the log; no error leaves this.

    ``deadline`` (seconds, a timedelta or a time) is when no more work is begun.
    """
    known_as = request_id(request.request_id)
    try:
        answer = _answer(request, services, deadline)
    except DaenaKMSError as error:
        answer = problem(error, known_as)
    except Exception as error:  # noqa: BLE001 - the platform's own page may quote what it holds
        logger.error("request %s: an unexpected %s", known_as, type(error).__name__)
        unexpected = DaenaKMSError(f"an unexpected {type(error).__name__}", todo="Report it")
        answer = problem(unexpected, known_as)
    return replace(answer, headers={**_ALWAYS, **answer.headers, "x-request-id": known_as})


def _answer(request: Request, services: Services, deadline: Deadline | None) -> Response:
    if request.principal is None and request.path not in _OPEN:
        raise Unauthenticated(
            "the platform has verified no caller",
            todo="Put the function behind its cloud's own authentication, and sign the request",
            headers={"www-authenticate": "Bearer"},
        )
    if request.path in _OPEN:
        _check_method(request, ("GET",))
        return (
            health(services) if request.path == "/v1/health" else Response(200, openapi.document())
        )
    address, key_id = _address(request.path)
    methods = ROUTES.get(address)
    if methods is None:
        todo = f"See /v1/openapi.json; there are {', '.join(ROUTES)}"
        raise NoSuchAddress("there is nothing at this address", todo=todo)
    _check_method(request, tuple(methods))
    route = methods[request.method]
    settings = Settings.load()
    if key_id is not None:
        check_key_id(key_id)
    query, body = read_query(request, route.query), read_body(request, route.body)
    access = Access.load(settings)
    adapter, objects = services()
    clock = RunClock(None)
    return route.do(
        Call(
            request=request,
            key_id=key_id or "",
            query=query,
            body=body,
            adapter=adapter,
            log=objects,
            access=access,
            settings=settings,
            deadline=deadline,
            clock=clock,
            budget=Budget(clock, deadline),
        )
    )


def _address(path: str) -> tuple[str, str | None]:
    match = _KEY.fullmatch(path)
    if match is None:
        return path, None
    return f"/v1/keys/{{key_id}}{match[2] or ''}", match[1]


def _check_method(request: Request, allowed: tuple[str, ...]) -> None:
    if request.method not in allowed:
        raise WrongMethod(
            f"the method {request.method[:20]!r} is not for this address",
            todo=f"Use {', '.join(allowed)}",
            headers={"allow": ", ".join(allowed)},
        )


__all__ = ["ROUTES", "respond"]
