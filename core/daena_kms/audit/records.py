"""The form of the log's records: deterministic JSON, hashes, and the names of the objects.

An object is named ``log/<YYYY/MM/DD/HH>/<run id>/<seq>.json``. A run has one writer, which numbers
its records from 0 and puts the hash of each into the next. Its closing record is always number
999999, so that a listing alone tells which runs are closed.

No record ever holds a key's value or a hash of one.
"""

import hashlib
import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from daena_kms.errors import AuditUnavailable

ROOT = "log/"
FORMAT = 1
CLOSING_SEQ = 999_999
#: At most this many actions stand in one object.
MAX_ACTIONS = 200

#: The types of records.
INTENT, OUTCOME, RECOVERY, CLOSING = "intent", "outcome", "recovery", "closing"

#: What became of an action.
DONE, SKIPPED, FAILED, LEFT = "done", "skipped", "failed", "left"
#: The store did not answer: the change may or may not have taken effect. A later run looks.
UNKNOWN = "unknown"
#: A later run looked, and the change had not taken effect.
NOT_DONE = "not-done"

type _Type = type | tuple[type, ...]

_WHO: Mapping[str, _Type] = {
    "provider": str,
    "trigger": str,
    "principal": str,
    "reason": (str, type(None)),
}
_SHAPES: Mapping[str, Mapping[str, type]] = {
    INTENT: {"actions": list},
    OUTCOME: {"results": list},
    RECOVERY: {"runs": dict, "results": list},
    CLOSING: {"objects": list, "saw": dict, "open": dict, "unresolved": list, "counts": dict},
}
_NAME = re.compile(r"log/(\d{4}/\d\d/\d\d/\d\d)/([0-9a-f]{32})/(\d{6})\.json", re.ASCII)


@dataclass(frozen=True, slots=True)
class Context:
    """Who began a run and why: in every record of it."""

    provider: str
    trigger: str
    principal: str
    reason: str | None


def new_run_id() -> str:
    """Return 128 random bits in hexadecimal."""
    return secrets.token_hex(16)


def run_prefix(run_id: str, began: datetime) -> str:
    """Return the folder of a run that began at ``began``."""
    return f"{ROOT}{began.astimezone(UTC).strftime('%Y/%m/%d/%H')}/{run_id}/"


def object_name(prefix: str, seq: int) -> str:
    """Return the name of a run's record number ``seq``."""
    return f"{prefix}{seq:06}.json"


def split_name(name: str) -> tuple[str, str, int] | None:
    """Return an object's run folder, run id and number, or ``None`` for what is no record."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    return name[: match.start(3)], match[2], int(match[3])


def encode(record: Mapping[str, Any]) -> bytes:
    """Return a record's one and only form: sorted keys, no spaces, ASCII, one line."""
    text = json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return text.encode("ascii") + b"\n"


def decode(data: bytes, name: str) -> dict[str, Any]:
    """Return the record in an object. Raises :class:`AuditUnavailable` when it is none.

    Whoever may add to the log may add nonsense: a record is believed only in its exact form.
    """
    record: dict[str, Any] | None
    try:
        record = json.loads(data)
        if not isinstance(record, dict) or not _well_formed(record):
            record = None
    except (ValueError, RecursionError):
        record = None
    if record is None:
        msg = f"the audit object {name} is not a record of this version"
        raise AuditUnavailable(msg, todo="Run audit verify")
    return record


def _well_formed(record: Mapping[str, Any]) -> bool:
    common: Mapping[str, _Type] = {
        "v": int,
        "type": str,
        "run": str,
        "seq": int,
        "time": str,
        **_WHO,
    }
    shape: Mapping[str, _Type] = {
        **common,
        **_SHAPES.get(str(record.get("type")), {"type": type(None)}),
    }
    if record.get("v") != FORMAT or not all(isinstance(record.get(n), t) for n, t in shape.items()):
        return False
    datetime.fromisoformat(record["time"])
    entries = [e for n in ("actions", "results", "unresolved") for e in record.get(n, ())]
    return all(
        isinstance(e, dict) and all(isinstance(e.get(n), str) for n in ("key", "kind"))
        for e in entries
    ) and all(isinstance(e.get("result"), str) for e in record.get("results", ()))


def digest(data: bytes) -> str:
    """Return the hash of an object's bytes, as ``sha256:<hex>``."""
    return "sha256:" + hashlib.sha256(data).hexdigest()
