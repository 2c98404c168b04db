"""The fields of queries and the members of bodies, each with its check and its description."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from daena_kms.api.inputs import Body, Field
from daena_kms.api.messages import BadRequest
from daena_kms.api.schemas import (
    ANCHOR_PATTERN,
    FLAG,
    KEY_ID,
    KEY_ID_PATTERN,
    MAYBE_TIME,
    RECORD_PATTERN,
    TEXT,
    TIME,
)
from daena_kms.audit.verify import check_anchor
from daena_kms.errors import ConfigError
from daena_kms.rules.durations import parse_time
from daena_kms.rules.emergency import check_emergency
from daena_kms.rules.names import check_key_id
from daena_kms.rules.text import MAX_REASON

_MAX_VERSION = 200
_MAX_TIME = 40
#: How many entries a page of a list may have, and has by default.
MAX_PAGE, PAGE = 1_000, 100

_RUN = re.compile("[0-9a-f]{32}", re.ASCII)


def _line(value: object, name: str, most: int) -> str | None:
    """Return a member that is null or one line of text of at most ``most`` characters."""
    if value is None:
        return None
    if not isinstance(value, str) or not 1 <= len(value) <= most or not value.isprintable():
        msg = f"{name} is not one line of text of 1 to {most} characters"
        raise BadRequest(msg, todo="Leave it out, or write printable text")
    return value


def _reason(value: object, name: str) -> str | None:
    return _line(value, name, MAX_REASON)


def _version(value: object, name: str) -> str:
    return _line(value, name, _MAX_VERSION) or "previous"


def _flag(value: object, name: str) -> bool:
    if not isinstance(value, bool):
        raise BadRequest(f"{name} is neither true nor false", todo="Write true or false")
    return value


def _limit(value: str, name: str) -> int:
    number = value.isascii() and value.isdigit() and len(value) <= len(str(MAX_PAGE))
    if not number or not 1 <= int(value) <= MAX_PAGE:
        msg = f"{name} is {value[:40]!r}"
        raise BadRequest(msg, todo=f"Write a whole number from 1 to {MAX_PAGE}")
    return int(value)


def _text(value: str, _name: str) -> str:
    return value


def _key_id(value: str, _name: str) -> str:
    return check_key_id(value)


def _run_id(value: str, name: str) -> str:
    if not _RUN.fullmatch(value):
        msg = f"{name} is {value[:40]!r}, which is not the id of a run"
        raise BadRequest(msg, todo="Write the 32 hexadecimal digits of an entry's run id")
    return value


def _time(value: str, name: str) -> datetime:
    try:
        return parse_time(value, name)
    except ConfigError as error:
        raise BadRequest(error.what, todo=error.todo) from None


def _maybe_time(value: object, name: str) -> datetime | None:
    text = _line(value, name, _MAX_TIME)
    return None if text is None else _time(text, name)


def _anchor(value: str, _name: str) -> str:
    try:
        check_anchor(value)
    except ConfigError as error:
        raise BadRequest(error.what, todo=error.todo) from None
    return value


# Of queries.
LIMIT: Field[int] = Field(
    "limit",
    _limit,
    PAGE,
    {"type": "integer", "minimum": 1, "maximum": MAX_PAGE, "default": PAGE},
)
AFTER_KEY: Field[str] = Field(
    "after",
    _key_id,
    "",
    {"type": "string", "maxLength": 200, "pattern": KEY_ID_PATTERN},
    "The last key id of the previous page.",
)
#: The reader of the log checks it.
AFTER_RECORD: Field[str | None] = Field(
    "after",
    _text,
    None,
    {"type": "string", "maxLength": 200, "pattern": RECORD_PATTERN},
    "The member next of the previous page.",
)
KEY: Field[str | None] = Field("key", _key_id, None, KEY_ID)
RUN: Field[str | None] = Field(
    "run", _run_id, None, {"type": "string", "pattern": f"^{_RUN.pattern}$"}
)
SINCE: Field[datetime | None] = Field("since", _time, None, TIME)
UNTIL: Field[datetime | None] = Field("until", _time, None, TIME)
SINCE_ANCHOR: Field[str | None] = Field(
    "since", _anchor, None, {"type": "string", "maxLength": 300, "pattern": ANCHOR_PATTERN}
)

# Of bodies.
#: Any printable text is a reason; a pattern can only promise ASCII.
REASON: Field[str | None] = Field(
    "reason",
    _reason,
    None,
    {
        "type": ["string", "null"],
        "minLength": 1,
        "maxLength": MAX_REASON,
        "pattern": "^[ -~]*$",
        "description": "Why, for the audit log: one line of printable text.",
    },
)
COMPROMISED: Field[bool] = Field(
    "compromised",
    _flag,
    default=False,
    form={**FLAG, "description": "The value has leaked: retire its version at once."},
)
VERSION: Field[str] = Field(
    "version",
    _version,
    "previous",
    {
        "type": ["string", "null"],
        "minLength": 1,
        "maxLength": _MAX_VERSION,
        "pattern": "^[!-~]*$",
        "description": "A version that was current before; by default the previous one.",
    },
)
HOLD_UNTIL: Field[datetime | None] = Field("until", _maybe_time, None, MAYBE_TIME)
DRY_RUN: Field[bool] = Field("dry_run", _flag, default=False, form=FLAG)


_MAX_SPEC = 600


def _policy_text(value: object, name: str) -> str | None:
    return _line(value, name, _MAX_SPEC)


def _spec(value: object, name: str) -> str:
    text = _policy_text(value, name)
    if text is None:
        msg = f"{name} is null, but a key's spec can't be removed"
        raise BadRequest(msg, todo="Write another spec, or leave it out")
    return text


def _keep(value: object, name: str) -> int | None:
    # In JSON Schema 2.0 is a whole number.
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    raise BadRequest(f"{name} is not a whole number", todo="Write a number, or null")


def _duration(name: str, description: str) -> Field[str | None]:
    form = {"type": ["string", "null"], "pattern": r"^([0-9]{1,6}[dh]|never)$"}
    return Field(name, _policy_text, None, {**form, "description": description})


#: What a body may change of a policy; ``null`` removes a tag, so that the default holds.
POLICY_FIELDS: tuple[Field[Any], ...] = (
    Field(
        "spec",
        _spec,
        None,
        {
            "type": "string",
            "minLength": 1,
            "maxLength": _MAX_SPEC,
            "pattern": "^[!-~]*$",
            "description": "The kind of value, such as token.",
        },
    ),
    _duration("rotate_after", "How often the key is rotated; never is refused."),
    _duration("grace", "How long a previous version stays readable; at least 24h."),
    _duration("destroy_after", "How long after its retirement a version is destroyed."),
    Field("keep", _keep, None, {"type": ["integer", "null"], "minimum": 2, "maximum": 100}),
    Field("first_due", _policy_text, None, MAYBE_TIME),
)


def changes_of(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the changes of a policy in a body, by field."""
    return {f.name: f.value(given) for f in POLICY_FIELDS if f.name in given}


def _check_change(given: Mapping[str, Any]) -> None:
    """Raise :class:`BadRequest` for a body that changes nothing."""
    if not changes_of(given):
        names = ", ".join(field.name for field in POLICY_FIELDS)
        raise BadRequest("the body changes nothing", todo=f"Give one of {names}")


def _check_emergency(given: Mapping[str, Any]) -> None:
    """Raise :class:`BadRequest` for an emergency rotation without a reason."""
    if not COMPROMISED.value(given):
        return
    try:
        check_emergency(named=True, reason=REASON.value(given), dry_run=False)
    except ConfigError as error:
        raise BadRequest(error.what, todo=error.todo) from None


ROTATE = Body(
    "RotateBody",
    (REASON, COMPROMISED),
    check=_check_emergency,
    rule={
        "anyOf": [
            {"properties": {"compromised": {"const": False}}},
            {"required": ["reason"], "properties": {"reason": {**TEXT, "pattern": "[!-~]"}}},
        ]
    },
)
ROLL_BACK = Body("RollbackBody", (VERSION, REASON))
HOLD = Body("HoldBody", (HOLD_UNTIL, REASON))
RELEASE = Body("ReasonBody", (REASON,))
POLICY = Body(
    "PolicyBody",
    (*POLICY_FIELDS, REASON),
    check=_check_change,
    rule={"anyOf": [{"required": [field.name]} for field in POLICY_FIELDS]},
)
START = Body("RunBody", (DRY_RUN, REASON))
