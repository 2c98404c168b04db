"""The forms of what the API takes and answers, as JSON Schema."""

from collections.abc import Iterable
from typing import Any

from daena_kms.api.inputs import MAX_REASON

#: A closing record of the log and its hash, as an earlier verification gave it.
ANCHOR = r"^log/[0-9]{4}(/[0-9]{2}){3}/[0-9a-f]{32}/999999\.json@sha256:[0-9a-f]{64}$"
#: An object of the log.
RECORD = r"^log/[0-9]{4}(/[0-9]{2}){3}/[0-9a-f]{32}/[0-9]{6}\.json$"

KEY_ID = "^[a-z]([a-z0-9-]{0,98}[a-z0-9])?$"

PROBLEMS = {
    "400": "The request is not of the form that the address takes.",
    "401": "The platform has verified no caller.",
    "403": "The access policy does not let the caller do this.",
    "404": "There is no such key, or no such readable version of it.",
    "409": "The key is on hold, not managed, or being rotated by somebody else.",
    "412": "Another version is current than If-Match names; the answer says which.",
    "413": "The body is too large.",
    "415": "The body is not JSON by its type.",
    "429": "The key's version is too young to be replaced on demand.",
    "500": "The deployment's configuration, or a key's policy, must be mended.",
    "502": "The store refuses the function's own identity.",
    "503": "No answer from store or log, changes are off, no time, or half an emergency done.",
}

_TEXT: dict[str, Any] = {"type": "string"}
_FLAG: dict[str, Any] = {"type": "boolean"}
_COUNT: dict[str, Any] = {"type": "integer", "minimum": 0}
_TEXTS: dict[str, Any] = {"type": "array", "items": _TEXT}
_KEY_ID = {"$ref": "#/components/schemas/KeyId"}
_TIME = {"$ref": "#/components/schemas/Time"}
_MAYBE_TIME = {"anyOf": [_TIME, {"type": "null"}]}
_MAYBE_TEXT = {"type": ["string", "null"]}
_REASON = {
    "type": ["string", "null"],
    "minLength": 1,
    "maxLength": MAX_REASON,
    "pattern": "^[ -~]*$",
    "description": "Why, for the audit log: one line of printable text.",
}


def _object(*required: str, more: bool = False, **members: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": members,
        "required": list(required),
        "additionalProperties": more,
    }


def _all(**members: Any) -> dict[str, Any]:
    return _object(*members, **members)


def _map(values: Any) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": values}


def _same(names: Iterable[str], schema: dict[str, Any]) -> dict[str, Any]:
    return dict.fromkeys(names, schema)


_LISTED = {
    "key": _TEXT,
    "tags": _map(_TEXT),
    "deleted": _MAYBE_TIME,
    "created": _MAYBE_TIME,
    "due": _MAYBE_TIME,
}
_VERSION = _all(
    id=_TEXT,
    state={"enum": ["current", "previous", "pending", "abandoned", "retired", "destroyed"]},
    **dict.fromkeys(("created", "superseded", "retired", "expires"), _MAYBE_TIME),
)
_REVOKING = _all(means=_TEXT, readable=_MAYBE_TEXT, breaks=_TEXT, undo=_TEXT) | {
    "description": "What retiring at once comes to on this store, and who can read it still."
}
_LISTS = (
    "rotated",
    "finished",
    "retired",
    "revoked",
    "destroyed",
    "released",
    "failed",
    "left",
    "skipped",
    "held",
)

SCHEMAS: dict[str, Any] = {
    "Anything": {"type": "object"},
    "KeyId": {"type": "string", "pattern": KEY_ID},
    "Time": {
        "type": "string",
        "format": "date-time",
        "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|\+00:00)$",
    },
    "Problem": _object(
        *("type", "title", "status", "detail", "request_id"),
        type={"type": "string", "pattern": "^urn:daena-kms:[a-z-]+$"},
        title=_TEXT,
        status={"type": "integer"},
        detail=_TEXT,
        todo={"type": "string", "description": "What to do next."},
        request_id=_TEXT,
        current={**_MAYBE_TEXT, "description": "The version that is current by now."},
    ),
    "KeyList": _object("keys", keys={"type": "array", "items": _all(**_LISTED)}, next=_TEXT),
    "Key": _all(**_LISTED, current=_MAYBE_TEXT, versions={"type": "array", "items": _VERSION}),
    "Rotated": _object(
        *("key", "version", "run"),
        key=_KEY_ID,
        version=_TEXT,
        run=_TEXT,
        revoked={**_TEXTS, "description": "Compromised versions that were retired at once."},
        revoking=_REVOKING,
        note=_TEXT,
    ),
    "RolledBack": _all(key=_KEY_ID, version=_TEXT, value_of=_TEXT),
    "Held": _all(key=_KEY_ID, hold=_TEXT),
    "ReasonBody": _object(reason=_REASON),
    "RotateBody": _object(
        reason=_REASON,
        compromised={**_FLAG, "description": "The value has leaked: retire its version at once."},
    )
    | {
        "anyOf": [
            {"properties": {"compromised": {"const": False}}},
            {"required": ["reason"], "properties": {"reason": {**_TEXT, "pattern": "[!-~]"}}},
        ]
    },
    "RollbackBody": _object(
        reason=_REASON,
        version={
            "type": ["string", "null"],
            "minLength": 1,
            "maxLength": 200,
            "pattern": "^[!-~]*$",
            "description": "A version that once was current; by default the previous one.",
        },
    ),
    "HoldBody": _object(reason=_REASON, until={"anyOf": [_TIME, {"type": "null"}]}),
    "RunBody": _object(reason=_REASON, dry_run=_FLAG),
    "Run": _object(
        *("run", "began", "dry_run", "seconds", "ok", "counts", *_LISTS, "errors"),
        run=_MAYBE_TEXT,
        began=_TIME,
        dry_run=_FLAG,
        seconds={"type": "number"},
        ok=_FLAG,
        counts=_map(_COUNT),
        **_same(_LISTS, _TEXTS),
        errors=_map(_all(error=_TEXT, message=_TEXT)),
        notes=_map(_TEXT),
        new_versions=_map(_TEXT),
        revoked_versions=_map(_TEXTS),
        unrevoked=_map(_TEXTS),
        revoking={"anyOf": [_REVOKING, {"type": "null"}]},
    ),
    "Plan": _all(
        actions={
            "type": "array",
            "items": _object(
                *("key", "kind", "why"),
                key=_TEXT,
                kind=_TEXT,
                why=_TEXT,
                base=_TEXT,
                version=_TEXT,
                due=_TIME,
                compromised=_FLAG,
            ),
        }
    ),
    "Entries": _object(
        "entries",
        entries={
            "type": "array",
            "items": _object(
                *("time", "run", "trigger", "principal", "reason", "provider"),
                *("key", "kind", "result"),
                more=True,
                time=_TIME,
                run=_TEXT,
                trigger=_TEXT,
                principal=_TEXT,
                reason=_MAYBE_TEXT,
                provider=_TEXT,
                key=_TEXT,
                kind=_TEXT,
                result=_TEXT,
            ),
        },
        next=_TEXT,
    ),
    "Report": _all(
        ok=_FLAG,
        objects=_COUNT,
        runs=_COUNT,
        newest=_MAYBE_TEXT,
        problems={"type": "array", "items": _all(object=_TEXT, what=_TEXT)},
        notes=_TEXTS,
        versions={"type": "array", "items": _all(key=_TEXT, version=_TEXT, status=_TEXT)},
    ),
    "Health": _object(*("ok", "checks"), ok=_FLAG, provider=_TEXT, checks=_map(_TEXT)),
}
