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
#: A closing record passes on at most this many unresolved actions, and names at most this many runs
#: that have no closing record.
MAX_UNRESOLVED = 200
MAX_OPEN = 250
#: In characters.
MAX_PROVIDER = 20

#: The types of records.
INTENT, OUTCOME, RECOVERY, CLOSING = "intent", "outcome", "recovery", "closing"

type _Type = type | tuple[type, ...]

_COMMON: dict[str, _Type] = {
    "v": int,
    "type": str,
    "run": str,
    "seq": int,
    "time": str,
    "provider": str,
    "trigger": str,
    "principal": str,
    "reason": (str, type(None)),
    "prev_hash": (str, type(None)),
}
_NAMED = ("key", "kind")
_TIMES = ("at", "due", "started", "ended")
_OPTIONAL = (
    *_TIMES,
    "of_run",
    "provider",
    "base",
    "version",
    "new_version",
    "result",
    "error",
    "message",
    "why",
)
_SHAPES: dict[str, dict[str, _Type]] = {
    INTENT: {"actions": list},
    OUTCOME: {"results": list},
    RECOVERY: {"runs": dict, "results": list},
    CLOSING: {"objects": list, "saw": dict, "open": dict, "unresolved": list, "counts": dict},
}
_RUN = re.compile(r"log/\d{4}/\d\d/\d\d/\d\d/[0-9a-f]{32}/", re.ASCII)
_MANIFEST = re.compile(r"manifests/\d{12}\.json@sha256:[0-9a-f]{64}", re.ASCII)
_INTENT = re.compile(
    r"log/\d{4}/\d\d/\d\d/\d\d/[0-9a-f]{32}/\d{6}\.json@sha256:[0-9a-f]{64}", re.ASCII
)
_NAME = re.compile(r"log/(\d{4}/\d\d/\d\d/\d\d)/([0-9a-f]{32})/(\d{6})\.json", re.ASCII)


@dataclass(frozen=True, slots=True)
class Context:
    """Who began a run and why. It stands in every record of the run."""

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
    """Return an object's run folder, run id and number, or ``None`` if no record has that name."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    return name[: match.start(3)], match[2], int(match[3])


def encode(record: Mapping[str, Any]) -> bytes:
    """Return the only form that a record has: sorted keys, no spaces, ASCII, one line."""
    text = json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return text.encode("ascii") + b"\n"


def decode(data: bytes, name: str) -> dict[str, Any]:
    """Return the record in an object.

    Whoever may add to the log may add nonsense, so a record counts only in its exact form.

    Raises:
        AuditUnavailable: The object is not a record.
    """
    record: dict[str, Any] | None
    try:
        record = json.loads(data)
        if not isinstance(record, dict) or not _well_formed(record):
            record = None
    except (ValueError, RecursionError):
        record = None
    if record is None:
        msg = f"the audit object {name} is not a record that this version of daena-kms reads"
        raise AuditUnavailable(msg, todo="Run audit verify")
    return record


def _well_formed(record: Mapping[str, Any]) -> bool:
    kind = record.get("type")
    if record.get("v") != FORMAT or not isinstance(kind, str) or kind not in _SHAPES:
        return False
    shape = _COMMON | _SHAPES[kind]
    if record.keys() != shape.keys():
        return False
    if not all(isinstance(record[name], wanted) for name, wanted in shape.items()):
        return False
    entries = [e for name in ("actions", "results", "unresolved") for e in record.get(name, ())]
    lists = [record.get("objects", []), list(record.get("saw", {}).values())]
    lists += [*record.get("open", {}).values(), *record.get("runs", {}).values()]
    return (
        _is_time(record["time"])
        and all(_RUN.fullmatch(p) for n in ("open", "runs") for p in record.get(n, ()))
        and all(_NAME.fullmatch(n) for n in record.get("saw", ()))
        and all(_is_entry(entry) for entry in entries)
        and all(isinstance(entry.get("result"), str) for entry in record.get("results", ()))
        and all(isinstance(hashes, list) for hashes in lists)
        and all(isinstance(hashed, str) for hashes in lists for hashed in hashes)
    )


def _is_entry(entry: object) -> bool:
    """Whether this is an action or a result: each member that is there has the right type."""
    if not isinstance(entry, dict) or not all(isinstance(entry.get(n), str) for n in _NAMED):
        return False
    if not isinstance(entry.get("compromised", True), bool):
        return False
    versions = entry.get("versions", [])
    if not isinstance(versions, list) or not all(isinstance(v, str) for v in versions):
        return False
    for name, form in (("manifest", _MANIFEST), ("intent", _INTENT)):
        ref = entry.get(name)
        if ref is not None and not (isinstance(ref, str) and form.fullmatch(ref)):
            return False  # a reader of the log opens the object that is named here
    optional = all(isinstance(entry.get(name), (str, type(None))) for name in _OPTIONAL)
    return optional and all(_is_time(entry[name]) for name in _TIMES if entry.get(name) is not None)


def beyond(record: Mapping[str, Any]) -> str | None:
    """Return what of a record is more than a run writes, for people; ``None`` for nothing."""
    limits = (
        ("actions", MAX_ACTIONS, "actions"),
        ("unresolved", MAX_UNRESOLVED, "unresolved actions"),
        ("open", MAX_OPEN, "runs without a closing record"),
    )
    for name, most, what in limits:
        count = len(record.get(name, ()))
        if count > most:
            return f"{count:,} {what}, and no run writes more than {most}"
    if len(record["provider"]) > MAX_PROVIDER:
        return f"a provider of {len(record['provider']):,} characters"
    if record["type"] == OUTCOME and len(record["results"]) > MAX_ACTIONS:
        return f"{len(record['results']):,} results, and no run writes more than {MAX_ACTIONS}"
    return None


def _is_time(text: str) -> bool:
    return datetime.fromisoformat(text).tzinfo is not None


def digest(data: bytes) -> str:
    """Return the hash of an object's bytes, as ``sha256:<hex>``."""
    return "sha256:" + hashlib.sha256(data).hexdigest()
