"""The forms of what the API takes and answers, as JSON Schema.

A :class:`Schema` has a name; wherever it stands inside another form, the OpenAPI document refers to
it by that name, and lists it once. Which one an address takes or answers is in
:mod:`daena_kms.api.routes`.
"""

from typing import Any, NamedTuple

#: A JSON Schema whose parts may be :class:`Schema` objects.
type Form = dict[str, Any]


class Schema(NamedTuple):
    """A form with a name."""

    name: str
    form: Form


def record(*required: str, **members: Any) -> Form:
    """Return the form of an object with these members and no others."""
    return {
        "type": "object",
        "properties": members,
        "required": list(required),
        "additionalProperties": False,
    }


def _complete(**members: Any) -> Form:
    """Return the form of an object that has all of these members."""
    return record(*members, **members)


def _map(values: Any) -> Form:
    return {"type": "object", "additionalProperties": values}


def _list(items: Any) -> Form:
    return {"type": "array", "items": items}


#: The pattern of a key id; and of an object of the log, and of a closing record with its hash.
KEY_ID_PATTERN = "^[a-z]([a-z0-9-]{0,98}[a-z0-9])?$"
RECORD_PATTERN = r"^log/[0-9]{4}(/[0-9]{2}){3}/[0-9a-f]{32}/[0-9]{6}\.json$"
ANCHOR_PATTERN = r"^log/[0-9]{4}(/[0-9]{2}){3}/[0-9a-f]{32}/999999\.json@sha256:[0-9a-f]{64}$"

TEXT: Form = {"type": "string"}
FLAG: Form = {"type": "boolean"}
KEY_ID = Schema("KeyId", {"type": "string", "pattern": KEY_ID_PATTERN})
TIME = Schema(
    "Time",
    {
        "type": "string",
        "format": "date-time",
        "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|\+00:00)$",
    },
)
MAYBE_TIME: Form = {"anyOf": [TIME, {"type": "null"}]}
_MAYBE_TEXT: Form = {"type": ["string", "null"]}
_COUNT: Form = {"type": "integer", "minimum": 0}
_TEXTS = _list(TEXT)

PROBLEM = Schema(
    "Problem",
    record(
        *("type", "title", "status", "detail", "request_id"),
        type={"type": "string", "pattern": "^urn:daena-kms:[a-z-]+$"},
        title=TEXT,
        status={"type": "integer"},
        detail=TEXT,
        todo={"type": "string", "description": "What to do next."},
        request_id=TEXT,
        current={**_MAYBE_TEXT, "description": "The version that is current now."},
    ),
)

_LISTED = {
    "key": TEXT,
    "tags": _map(TEXT),
    "deleted": MAYBE_TIME,
    "created": MAYBE_TIME,
    "due": MAYBE_TIME,
}
_VERSION = _complete(
    id=TEXT,
    state={"enum": ["current", "previous", "pending", "abandoned", "retired", "destroyed"]},
    compromised=FLAG,
    unlabelled=FLAG,
    **dict.fromkeys(("created", "superseded", "retired", "to_be_destroyed", "expires"), MAYBE_TIME),
)
KEY_LIST = Schema("KeyList", record("keys", keys=_list(_complete(**_LISTED)), next=TEXT))
KEY = Schema("Key", _complete(**_LISTED, current=_MAYBE_TEXT, versions=_list(_VERSION)))

_REVOKING = _complete(means=TEXT, readable=_MAYBE_TEXT, breaks=TEXT, undo=TEXT) | {
    "description": "What retiring at once means on this store, and who can still read the version."
}
ROTATED = Schema(
    "Rotated",
    record(
        *("key", "version", "run"),
        key=KEY_ID,
        version=TEXT,
        run=TEXT,
        revoked={**_TEXTS, "description": "Compromised versions that were retired at once."},
        revoking=_REVOKING,
        note=TEXT,
    ),
)
ROLLED_BACK = Schema("RolledBack", _complete(key=KEY_ID, version=TEXT, value_of=TEXT))
HELD = Schema("Held", _complete(key=KEY_ID, hold=TEXT))

_POLICY = record(
    *("spec", "rotate_after", "grace", "destroy_after", "keep"),
    **dict.fromkeys(("spec", "rotate_after", "grace", "destroy_after", "keep", "first_due"), TEXT),
)
POLICY_CHANGED = Schema(
    "PolicyChanged",
    _complete(
        key=KEY_ID,
        changed={**_TEXTS, "description": "The fields whose tags were set or removed."},
        old={
            "anyOf": [_POLICY, {"type": "null"}],
            "description": "The policy before; null if it was refused and the key was failing.",
        },
        new=_POLICY,
    ),
)

_OUTCOMES = (
    *("rotated", "finished", "retired", "revoked", "destroyed", "released"),
    *("failed", "left", "skipped", "held"),
)
RUN = Schema(
    "Run",
    record(
        *("run", "began", "dry_run", "seconds", "ok", "counts", *_OUTCOMES, "errors"),
        run=_MAYBE_TEXT,
        began=TIME,
        dry_run=FLAG,
        seconds={"type": "number"},
        ok=FLAG,
        counts=_map(_COUNT),
        **dict.fromkeys(_OUTCOMES, _TEXTS),
        enrolled={**_TEXTS, "description": "Carried only our tags until now, and not rotated."},
        errors=_map(_complete(error=TEXT, message=TEXT)),
        notes=_map(TEXT),
        new_versions=_map(TEXT),
        revoked_versions=_map(_TEXTS),
        unrevoked=_map(_TEXTS),
        revoking={"anyOf": [_REVOKING, {"type": "null"}]},
    ),
)
_ACTION = record(
    *("key", "kind", "why"),
    key=TEXT,
    kind=TEXT,
    why=TEXT,
    base=TEXT,
    version=TEXT,
    versions={**_TEXTS, "description": "Only to enrol a key: the versions that it has by then."},
    due=TIME,
    compromised=FLAG,
)
PLAN = Schema("Plan", _complete(actions=_list(_ACTION)))

_ENTRY = record(
    *("time", "run", "trigger", "principal", "reason", "provider", "key", "kind", "result"),
    time=TIME,
    run=TEXT,
    trigger=TEXT,
    principal=TEXT,
    reason=_MAYBE_TEXT,
    provider=TEXT,
    key=TEXT,
    kind=TEXT,
    result=TEXT,
) | {"additionalProperties": True}
ENTRIES = Schema("Entries", record("entries", entries=_list(_ENTRY), next=TEXT, note=TEXT))
REPORT = Schema(
    "Report",
    _complete(
        ok=FLAG,
        objects=_COUNT,
        runs=_COUNT,
        newest=_MAYBE_TEXT,
        problems=_list(_complete(object=TEXT, what=TEXT)),
        notes=_TEXTS,
        versions=_list(_complete(key=TEXT, version=TEXT, status=TEXT)),
    ),
)
HEALTH = Schema("Health", record("ok", "checks", ok=FLAG, provider=TEXT, checks=_map(TEXT)))
ANYTHING = Schema("Anything", {"type": "object"})
