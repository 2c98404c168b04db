"""The addresses of the API, in one table.

The router dispatches by this table and checks the caller and the inputs by it. The OpenAPI document
is made from it. So nothing about an address is said twice. The rows are named tuples, which a cold
start makes in a fifth of the time of dataclasses.
"""

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, NamedTuple

from daena_kms.api import fields, keys, log, runs, schemas
from daena_kms.api.access import Permission
from daena_kms.api.call import Call
from daena_kms.api.health import health
from daena_kms.api.inputs import Body, Field
from daena_kms.api.messages import KeyMoved, Request, Response, TooSoon
from daena_kms.api.schemas import Schema
from daena_kms.errors import DaenaKMSError, KeyNotFound, NotManaged
from daena_kms.objects.base import Objects
from daena_kms.stores.adapter import CloudKMSAdapter

type Services = Callable[[], tuple[CloudKMSAdapter, Objects]]

#: What stands for a key id in a path.
_KEY = "{key_id}"
_MAX_KEY = 200


class Of(Enum):
    """The keys that the caller needs the permission on."""

    #: The key that the address names.
    KEY = "key"
    #: All keys: only a rule for all keys gives it.
    ALL = "all"
    #: At least one key; the handler leaves the others out of its answer.
    ANY = "any"


class Route(NamedTuple):
    """One method of one address, for callers whom the platform has verified."""

    method: str
    path: str
    handler: Callable[[Call], Response]
    #: The operation's name in the OpenAPI document.
    name: str
    summary: str
    #: The permission that the caller needs. Where it depends on the body, a function of the body.
    may: Permission | Callable[[Mapping[str, Any]], Permission]
    of: Of
    answer: Schema
    query: tuple[Field[Any], ...] = ()
    #: Only a POST takes one.
    body: Body | None = None
    #: Errors of this address beside those that every address may answer with.
    errors: tuple[type[DaenaKMSError], ...] = ()

    @property
    def names_key(self) -> bool:
        """Whether the path names a key; then the answer's entity tag is its current version."""
        return _KEY in self.path

    @property
    def takes_match(self) -> bool:
        """Whether ``If-Match`` may be sent."""
        return KeyMoved in self.errors

    @property
    def members(self) -> tuple[Field[Any], ...]:
        """The members that the body may have."""
        return () if self.body is None else self.body.fields

    def key_id(self, path: str) -> str | None:
        """Return the key id in a path, or an empty text where this route's path names no key.

        ``None`` is for a path of another form.
        """
        before, key, after = self.path.partition(_KEY)
        if not key:
            return "" if path == self.path else None
        key_id = path.removeprefix(before).removesuffix(after)
        fits = 0 < len(key_id) <= _MAX_KEY and "/" not in key_id
        return key_id if fits and path == f"{before}{key_id}{after}" else None

    def check(self, call: Call) -> None:
        """Check the caller, then every input, before the handler does anything.

        Raises:
            Forbidden: the caller lacks the permission.
            BadRequest: a value does not have the form that its field requires.
        """
        may = self.may if isinstance(self.may, Permission) else self.may(call.given)
        if self.of is Of.ANY:
            call.check_any(may)
        else:
            call.check(may, call.key_id if self.of is Of.KEY else None)
        for known in (*self.query, *self.members):
            known.value(call.given)
        if self.body is not None and self.body.check is not None:
            self.body.check(call.given)


class OpenRoute(NamedTuple):
    """One address that anybody may GET, without a verified caller."""

    path: str
    handler: Callable[[Services, Request], Response]
    name: str
    summary: str
    answer: Schema
    #: What each status of the answer means.
    statuses: Mapping[str, str]


def _describe(_services: Services, _request: Request) -> Response:
    # Loaded late: only a request for the document has to wait for it.
    from daena_kms.api.openapi import document

    return Response(200, document())


OPEN = (
    OpenRoute(
        "/v1/health",
        health,
        name="health",
        summary=(
            "Say whether the configuration can be used, and to a verified caller also whether "
            "store and log can. Needs no caller."
        ),
        answer=schemas.HEALTH,
        statuses={"200": "All can be used.", "503": "At least one can't be used."},
    ),
    OpenRoute(
        "/v1/openapi.json",
        _describe,
        name="openapi",
        summary="This document. Needs no caller.",
        answer=schemas.ANYTHING,
        statuses={"200": "OpenAPI 3.1."},
    ),
)

ROUTES = (
    Route(
        "GET",
        "/v1/keys",
        keys.list_keys,
        name="listKeys",
        summary="List the managed keys, by id.",
        may=Permission.READ,
        of=Of.ANY,
        query=(fields.LIMIT, fields.AFTER_KEY),
        answer=schemas.KEY_LIST,
    ),
    Route(
        "GET",
        "/v1/keys/{key_id}",
        keys.show,
        name="showKey",
        summary="Show one key and its versions.",
        may=Permission.READ,
        of=Of.KEY,
        answer=schemas.KEY,
        errors=(KeyNotFound, NotManaged),
    ),
    Route(
        "POST",
        "/v1/keys/{key_id}/rotate",
        keys.rotate,
        name="rotateKey",
        summary="Make a fresh value current, whether or not the key is due.",
        may=keys.permission_to_rotate,
        of=Of.KEY,
        body=fields.ROTATE,
        answer=schemas.ROTATED,
        errors=(KeyNotFound, NotManaged, KeyMoved, TooSoon),
    ),
    Route(
        "POST",
        "/v1/keys/{key_id}/rollback",
        keys.rollback,
        name="rollBackKey",
        summary="Make a new version with an older version's value current.",
        may=Permission.ROLLBACK,
        of=Of.KEY,
        body=fields.ROLL_BACK,
        answer=schemas.ROLLED_BACK,
        errors=(KeyNotFound, NotManaged, KeyMoved, TooSoon),
    ),
    Route(
        "POST",
        "/v1/keys/{key_id}/hold",
        keys.hold,
        name="holdKey",
        summary="Put the key on hold: no run changes it until it is released, or until a time.",
        may=Permission.HOLD,
        of=Of.KEY,
        body=fields.HOLD,
        answer=schemas.HELD,
        errors=(KeyNotFound, NotManaged, KeyMoved),
    ),
    Route(
        "POST",
        "/v1/keys/{key_id}/release",
        keys.release,
        name="releaseKey",
        summary="End a hold.",
        may=Permission.HOLD,
        of=Of.KEY,
        body=fields.RELEASE,
        answer=schemas.HELD,
        errors=(KeyNotFound, NotManaged, KeyMoved),
    ),
    Route(
        "POST",
        "/v1/runs",
        runs.start,
        name="startRun",
        summary="Do what is due.",
        may=Permission.RUN,
        of=Of.ALL,
        body=fields.START,
        answer=schemas.RUN,
    ),
    Route(
        "GET",
        "/v1/plan",
        runs.plan,
        name="showPlan",
        summary="Show what a run would do with each key, and why.",
        may=Permission.READ,
        of=Of.ANY,
        answer=schemas.PLAN,
    ),
    Route(
        "GET",
        "/v1/audit",
        log.entries,
        name="listAudit",
        summary="List what was done, in the log's order. A page may hold more than requested.",
        may=Permission.AUDIT,
        of=Of.ANY,
        query=(
            fields.KEY,
            fields.RUN,
            fields.SINCE,
            fields.UNTIL,
            fields.LIMIT,
            fields.AFTER_RECORD,
        ),
        answer=schemas.ENTRIES,
    ),
    Route(
        "GET",
        "/v1/audit/verify",
        log.verify,
        name="verifyAudit",
        summary="Check the log against itself and the store.",
        may=Permission.AUDIT,
        of=Of.ALL,
        query=(fields.SINCE_ANCHOR,),
        answer=schemas.REPORT,
    ),
)


def find_open(path: str) -> OpenRoute | None:
    """Return the route that anybody may GET at a path."""
    return next((route for route in OPEN if route.path == path), None)


def find(path: str) -> dict[str, Route]:
    """Return the routes of a path, by method; none where there is nothing at it."""
    return {route.method: route for route in ROUTES if route.key_id(path) is not None}


__all__ = ["OPEN", "ROUTES", "Of", "OpenRoute", "Route", "Services", "find", "find_open"]
