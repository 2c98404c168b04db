"""The OpenAPI 3.1 document of the API, made from the table of routes.

https://spec.openapis.org/oas/v3.1.0
"""

import functools
from typing import Any

import daena_kms
from daena_kms.api.inputs import Field
from daena_kms.api.messages import (
    JSON,
    PROBLEM,
    BadRequest,
    Forbidden,
    TooLarge,
    Unauthenticated,
    WrongMediaType,
    status_of,
)
from daena_kms.api.routes import OPEN, ROUTES, OpenRoute, Route
from daena_kms.api.schemas import KEY_ID, Schema
from daena_kms.api.schemas import PROBLEM as PROBLEM_SCHEMA
from daena_kms.errors import AccessDenied, ConfigError, DaenaKMSError, StoreUnavailable

type Json = dict[str, Any]

_DESCRIPTION = (
    "Rotates the keys that applications use, in the cloud where they live, and proves what it did. "
    "No answer holds a key's value. The cloud's own authentication verifies the caller, and the "
    "deployment's access policy says what the caller may do. A POST with If-Match does its work "
    "once, however often it is delivered."
)
#: What each status of an error means.
PROBLEMS = {
    "400": "The request does not have the form that the address requires.",
    "401": "The platform has verified no caller.",
    "403": "The access policy does not let the caller do this, or another site's page asks.",
    "404": "There is no such key, or no such readable version of it.",
    "409": "The key is on hold, somebody else is rotating it, or it is not managed.",
    "412": "The current version is not the one that If-Match names; the answer says which it is.",
    "413": "The body is too large.",
    "415": "The media type is not JSON, or a form could have sent the request.",
    "429": "The version is too young to be replaced; Retry-After says when.",
    "500": "The deployment's configuration or a key's policy must be corrected.",
    "502": "The store refuses the function's own identity.",
    "503": (
        "The store or the log did not answer; changes are switched off; no time was left to begin; "
        "or an emergency rotation made the new version, but did not retire the old one yet."
    ),
}
#: Errors of every address that needs a caller, and of every one that takes a body.
_ALWAYS: tuple[type[DaenaKMSError], ...] = (
    *(BadRequest, Unauthenticated, Forbidden),
    *(ConfigError, AccessDenied, StoreUnavailable),
)
_OF_BODY: tuple[type[DaenaKMSError], ...] = (TooLarge, WrongMediaType)

_PATH_KEY = {"name": "key_id", "in": "path", "required": True, "schema": KEY_ID}
_MATCH: Json = {
    "name": "If-Match",
    "in": "header",
    "description": "The key's ETag: the work is done only from that version, and so only once.",
    "schema": {"type": "string", "maxLength": 1000, "pattern": r'^"[!#-~]{1,200}"$'},
}
_ETAG: Json = {
    "ETag": {
        "description": "The key's current version, for If-Match.",
        "schema": {"type": "string"},
    }
}


@functools.cache
def document() -> Json:
    """Return the description of every address."""
    paths: dict[str, Json] = {}
    for route in ROUTES:
        item = paths.setdefault(route.path, {})
        if route.names_key:
            item["parameters"] = [_PATH_KEY, *([_MATCH] if route.takes_match else [])]
        item[route.method.lower()] = _operation(route)
    for open_route in OPEN:
        paths[open_route.path] = {"get": _open_operation(open_route)}
    problems = {status: _answer(what, PROBLEM_SCHEMA, PROBLEM) for status, what in PROBLEMS.items()}
    named: dict[str, Json] = {}
    responses = _referring(problems, named)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "daena-kms",
            "version": daena_kms.__version__,
            "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": _referring(paths, named),
        "components": {"schemas": named, "responses": responses},
    }


def _operation(route: Route) -> Json:
    if route.body is None:
        takes: Json = {"parameters": [_parameter(field) for field in route.query]}
    else:
        takes = {"requestBody": {"content": {JSON: {"schema": route.body.schema}}}}
    errors = (*_ALWAYS, *(_OF_BODY if route.body is not None else ()), *route.errors)
    statuses = sorted({str(status_of(error)) for error in errors})
    tagged = {"headers": _ETAG} if route.names_key else {}
    return {
        "operationId": route.name,
        "summary": route.summary,
        **takes,
        "responses": {
            "200": _answer("Done.", route.answer) | tagged,
            **{status: {"$ref": f"#/components/responses/{status}"} for status in statuses},
        },
    }


def _open_operation(route: OpenRoute) -> Json:
    return {
        "operationId": route.name,
        "summary": route.summary,
        "security": [],
        "responses": {s: _answer(what, route.answer) for s, what in route.statuses.items()},
    }


def _answer(what: str, schema: Schema, kind: str = JSON) -> Json:
    return {"description": what, "content": {kind: {"schema": schema}}}


def _parameter(field: Field[Any]) -> Json:
    described = {"description": field.description} if field.description else {}
    return {"name": field.name, "in": "query", "schema": field.form, **described}


def _referring(part: Any, named: dict[str, Json]) -> Any:
    """Return a part with each schema replaced by a reference; the schema goes into ``named``."""
    if isinstance(part, Schema):
        named[part.name] = _referring(part.form, named)
        return {"$ref": f"#/components/schemas/{part.name}"}
    if isinstance(part, dict):
        return {name: _referring(value, named) for name, value in part.items()}
    if isinstance(part, list):
        return [_referring(value, named) for value in part]
    return part
