"""The API's own description, OpenAPI 3.1: https://spec.openapis.org/oas/v3.1.0."""

import functools
from typing import Any

import daena_kms
from daena_kms.api import schemas
from daena_kms.api.inputs import MAX_PAGE, PAGE

type Json = dict[str, Any]

_DESCRIPTION = (
    "Rotates the keys that applications use, in the cloud where they live, and proves what it did. "
    "No answer holds a key's value. Who calls is decided by the cloud's own authentication; what "
    "they may do, by the deployment's access policy. A POST with If-Match does its work once, "
    "however often it is delivered."
)
#: What may go wrong at every address that needs a caller.
_ALWAYS = ("400", "401", "403", "500", "502", "503")
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
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "daena-kms",
            "version": daena_kms.__version__,
            "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": _paths(),
        "components": {
            "schemas": schemas.SCHEMAS,
            "responses": {
                status: _answer(what, "Problem", "application/problem+json")
                for status, what in schemas.PROBLEMS.items()
            },
        },
    }


def _paths() -> Json:
    return {
        "/v1/keys": {
            "get": _get(
                "listKeys",
                "List the managed keys, by id.",
                "KeyList",
                *_page("The last key id of the page before."),
            )
        },
        "/v1/keys/{key_id}": {
            "parameters": [_key()],
            "get": _get("showKey", "Show one key and its versions.", "Key", also=("404", "409")),
        },
        "/v1/keys/{key_id}/rotate": _change(
            "rotateKey", "Make a fresh value current, due or not.", "Rotated", "RotateBody", "429"
        ),
        "/v1/keys/{key_id}/rollback": _change(
            "rollBackKey",
            "Make a new version with an older one's value current.",
            "RolledBack",
            "RollbackBody",
            "429",
        ),
        "/v1/keys/{key_id}/hold": _change(
            "holdKey", "Let no run change the key until it is released.", "Held", "HoldBody"
        ),
        "/v1/keys/{key_id}/release": _change("releaseKey", "End a hold.", "Held", "ReasonBody"),
        "/v1/runs": {"post": _post("startRun", "Do what is due.", "Run", "RunBody")},
        "/v1/plan": {
            "get": _get("showPlan", "Show what a run would do with each key, and why.", "Plan")
        },
        "/v1/audit": {
            "get": _get(
                "listAudit",
                "List what was done, in the log's order; a page may hold more than asked for.",
                "Entries",
                _query("key", {"$ref": "#/components/schemas/KeyId"}),
                _query("run", {"type": "string", "pattern": "^[0-9a-f]{32}$"}),
                _query("since", {"$ref": "#/components/schemas/Time"}),
                _query("until", {"$ref": "#/components/schemas/Time"}),
                *_page("What the page before gave as next.", schemas.RECORD),
            )
        },
        "/v1/audit/verify": {
            "get": _get(
                "verifyAudit",
                "Check the log against itself and the store.",
                "Report",
                _query("since", {"type": "string", "maxLength": 300, "pattern": schemas.ANCHOR}),
            )
        },
        "/v1/health": {
            "get": {
                "operationId": "health",
                "summary": "Say whether configuration, store and log can be used. Needs no caller.",
                "security": [],
                "responses": {
                    "200": _answer("All can be used.", "Health"),
                    "503": _answer("One can't.", "Health"),
                },
            }
        },
        "/v1/openapi.json": {
            "get": {
                "operationId": "openapi",
                "summary": "This document. Needs no caller.",
                "security": [],
                "responses": {"200": _answer("OpenAPI 3.1.", "Anything")},
            }
        },
    }


def _get(
    name: str, summary: str, schema: str, *parameters: Json, also: tuple[str, ...] = ()
) -> Json:
    tagged = {"headers": _ETAG} if schema == "Key" else {}
    return {
        "operationId": name,
        "summary": summary,
        "parameters": list(parameters),
        "responses": {"200": _answer("Done.", schema) | tagged, **_problems(*also)},
    }


def _post(name: str, summary: str, schema: str, body: str, *also: str) -> Json:
    reference = {"$ref": f"#/components/schemas/{body}"}
    return {
        "operationId": name,
        "summary": summary,
        "requestBody": {"content": {"application/json": {"schema": reference}}},
        "responses": {"200": _answer("Done.", schema), **_problems("413", "415", *also)},
    }


def _change(name: str, summary: str, schema: str, body: str, *also: str) -> Json:
    post = _post(name, summary, schema, body, "404", "409", "412", *also)
    post["responses"]["200"]["headers"] = _ETAG
    return {"parameters": [_key(), _MATCH], "post": post}


def _problems(*also: str) -> Json:
    return {
        status: {"$ref": f"#/components/responses/{status}"} for status in sorted({*_ALWAYS, *also})
    }


def _answer(what: str, schema: str, kind: str = "application/json") -> Json:
    reference = {"$ref": f"#/components/schemas/{schema}"}
    return {"description": what, "content": {kind: {"schema": reference}}}


def _key() -> Json:
    reference = {"$ref": "#/components/schemas/KeyId"}
    return {"name": "key_id", "in": "path", "required": True, "schema": reference}


def _query(name: str, schema: Json, description: str | None = None) -> Json:
    told = {"description": description} if description else {}
    return {"name": name, "in": "query", "schema": schema, **told}


def _page(after: str, pattern: str = schemas.KEY_ID) -> tuple[Json, Json]:
    number = {"type": "integer", "minimum": 1, "maximum": MAX_PAGE, "default": PAGE}
    text = {"type": "string", "maxLength": 200, "pattern": pattern}
    return _query("limit", number), _query("after", text, after)
