"""From a request to its answer: find the route, check, call its handler, and map errors."""

import logging
from dataclasses import replace

from daena_kms.api.access import Access
from daena_kms.api.call import Call
from daena_kms.api.inputs import check_origin, read_body, read_query
from daena_kms.api.messages import (
    NoSuchAddress,
    Request,
    Response,
    Unauthenticated,
    WrongMethod,
    problem,
    request_id,
)
from daena_kms.api.routes import ROUTES, Services, find, find_open
from daena_kms.engine.clock import Budget, Deadline, RunClock
from daena_kms.errors import DaenaKMSError, unexpected
from daena_kms.rules.names import check_key_id
from daena_kms.settings import Settings

logger = logging.getLogger("daena_kms")

#: In every answer: no cache keeps it, and no browser takes it for anything but JSON.
_ALWAYS = {"cache-control": "no-store", "x-content-type-options": "nosniff"}


def respond(request: Request, services: Services, deadline: Deadline | None = None) -> Response:
    """Answer one request. Never raises: every error becomes a problem document.

    Args:
        request: the request.
        services: returns the adapter and the audit log; called only if they are needed.
        deadline: seconds, a timedelta or a time, after which no more work begins.
    """
    known_as = request_id(request.request_id)
    try:
        answer = _answer(request, services, deadline)
    except DaenaKMSError as error:
        answer = problem(error, known_as)
    except Exception as error:  # noqa: BLE001 - the platform's own error page may quote the error's text
        logger.error("request %s: %s", known_as, unexpected(error).what)
        # The place in our code is for the log, and not for the caller.
        told = DaenaKMSError(f"an unexpected {type(error).__name__}", todo="Report it as a bug")
        answer = problem(told, known_as)
    return replace(answer, headers={**_ALWAYS, **answer.headers, "x-request-id": known_as})


def _answer(request: Request, services: Services, deadline: Deadline | None) -> Response:
    open_route = find_open(request.path)
    if open_route is not None:
        _check_method(request, ("GET",))
        return open_route.handler(services, request)
    if not request.principal:  # an empty name is nobody's
        raise Unauthenticated(
            "the platform has verified no caller",
            todo="Require the cloud's own authentication for the function, and sign the request",
            headers={"www-authenticate": "Bearer"},
        )
    methods = find(request.path)
    if not methods:
        paths = dict.fromkeys(route.path for route in ROUTES)
        todo = f"See /v1/openapi.json; the addresses are {', '.join(paths)}"
        raise NoSuchAddress("there is nothing at this address", todo=todo)
    _check_method(request, tuple(methods))
    route = methods[request.method]
    settings = Settings.load()
    key_id = route.key_id(request.path) or ""
    if route.names_key:
        check_key_id(key_id)
    given = {**read_query(request, route.query), **read_body(request, route.members)}
    access = Access.load(settings)
    adapter, objects = services()
    if route.method != "GET":
        check_origin(request)
    clock = RunClock(None)
    call = Call(
        request=request,
        key_id=key_id,
        given=given,
        adapter=adapter,
        log=objects,
        access=access,
        settings=settings,
        deadline=deadline,
        clock=clock,
        budget=Budget(clock, deadline),
    )
    route.check(call)
    return route.handler(call)


def _check_method(request: Request, allowed: tuple[str, ...]) -> None:
    if request.method not in allowed:
        raise WrongMethod(
            f"this address does not take the method {request.method[:20]!r}",
            todo=f"Use {', '.join(allowed)}",
            headers={"allow": ", ".join(allowed)},
        )


__all__ = ["respond"]
