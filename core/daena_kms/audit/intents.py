"""Prove that a run intended an unresolved action, by the intent object itself.

A closing record may be forged. So what it says about an unresolved action counts only if an intent
in the log holds that action. A forged intent counts as well: whoever may add to the log can add a
whole run.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from daena_kms.audit.bounds import BoundedLog
from daena_kms.audit.folders import folder_at
from daena_kms.audit.records import (
    CLOSING_SEQ,
    INTENT,
    beyond,
    decode,
    digest,
    split_name,
)
from daena_kms.errors import AuditUnavailable, InvalidKeyId
from daena_kms.rules.due import CLOCK_SKEW
from daena_kms.rules.names import check_key_id

#: No run takes longer, counted from the beginning of its hour.
LONGEST_RUN = timedelta(hours=25)
#: Where a record of an older version does not name its run, the run began at most this much before.
_SEARCHED = timedelta(hours=2)
#: What is taken from an action in an intent; the rest may be anything.
_TAKEN = ("key", "kind", "base", "version", "why", "due", "compromised", "versions")
#: In characters, and in versions: no run writes more.
_LONGEST, _MOST_VERSIONS = 500, 1000
#: How many intents are kept in memory.
_KEPT = 250


def identity(action: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return what identifies an action in its run; the action's result has the same."""
    return action["key"], action["kind"], action.get("base"), action.get("version")


def cleaned(action: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what a run may copy from an action in an intent; ``None`` if no run intends such."""
    try:
        check_key_id(action["key"])
    except InvalidKeyId:
        return None
    taken = {name: action[name] for name in _TAKEN if action.get(name) is not None}
    if "why" in taken:
        taken["why"] = taken["why"][:_LONGEST]
    versions = taken.get("versions", ())
    texts = [text for text in (*taken.values(), *versions) if isinstance(text, str)]
    if len(versions) > _MOST_VERSIONS or any(len(text) > _LONGEST for text in texts):
        return None
    return taken


def read_record(data: bytes | None, name: str) -> dict[str, Any]:
    """Return the record in an object, or an empty one if no run wrote it so.

    ``verify`` reports such an object, but no run stops at it.

    Args:
        data: The object's bytes; ``None`` if it can't be read.
        name: The object's name, which says of which run and number it is.
    """
    parts = split_name(name)
    if data is None or parts is None:
        return {}
    try:
        record = decode(data, name)
    except AuditUnavailable:
        return {}
    in_place = record["run"] == parts[1] and record["seq"] == parts[2]
    return record if in_place and beyond(record) is None else {}


class Intents:
    """The intents of earlier runs, each read at most once."""

    def __init__(self, log: BoundedLog) -> None:
        self._log = log
        self._read: dict[str, tuple[str, dict[str, Any]]] = {}
        self._names: dict[str, list[str]] = {}

    def add(self, name: str, hashed: str, record: dict[str, Any]) -> None:
        """Take an object that was read already."""
        self._read[name] = hashed, record

    def proved(self, action: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return an unresolved action as its intent holds it, or ``None`` without such an intent.

        Nothing is taken from the unresolved action itself but the time at which it was.

        Raises:
            Spent: Nothing more may be read.
            AuditUnavailable: The log can't be read.
        """
        ref = action.get("intent")
        if isinstance(ref, str):
            name, _, expected = ref.partition("@")
            hashed, record = self._object(name)
            return _matched(action, name, hashed, record) if hashed == expected else None
        # Older versions did not name the intent.
        for name in self._candidates(action):
            hashed, record = self._object(name)
            found = _matched(action, name, hashed, record)
            if found is not None:
                return found
        return None

    def _candidates(self, action: Mapping[str, Any]) -> Iterator[str]:
        """Yield the objects that may hold the intent of an action that does not name it."""
        of_run = action.get("of_run")
        if isinstance(of_run, str):
            if split_name(f"{of_run}000000.json") is not None:
                yield from self._objects_in(of_run)
            return
        at = datetime.fromisoformat(action["at"])
        for before in range(_SEARCHED // timedelta(hours=1) + 1):
            try:
                folder = folder_at(at - timedelta(hours=before))
            except OverflowError:
                return
            yield from self._objects_in(folder)

    def _objects_in(self, folder: str) -> list[str]:
        if folder not in self._names:
            if len(self._names) >= _KEPT:
                self._names.clear()
            names = (entry.name for entry in self._log.entries(folder))
            parted = ((name, split_name(name)) for name in names)
            self._names[folder] = [n for n, p in parted if p is not None and p[2] != CLOSING_SEQ]
        return self._names[folder]

    def _object(self, name: str) -> tuple[str, dict[str, Any]]:
        if name not in self._read:
            if len(self._read) >= _KEPT:
                self._read.clear()
            data = self._log.get(name)
            record = read_record(data, name)
            self._read[name] = digest(data or b""), record if record.get("actions") else {}
        return self._read[name]


def _matched(
    action: Mapping[str, Any], name: str, hashed: str, record: Mapping[str, Any]
) -> dict[str, Any] | None:
    """Return the action as the intent in ``record`` holds it, if it does and the times fit."""
    if record.get("type") != INTENT or "at" not in action:
        return None
    intended, at = datetime.fromisoformat(record["time"]), datetime.fromisoformat(action["at"])
    if not -CLOCK_SKEW <= at - intended <= LONGEST_RUN:
        return None
    if action.get("provider", record["provider"]) != record["provider"]:
        return None
    revokes = bool(action.get("compromised"))
    for intent in record["actions"]:
        same = identity(intent) == identity(action)
        taken = cleaned(intent) if same and bool(intent.get("compromised")) == revokes else None
        if taken is not None:
            return {
                **taken,
                "of_run": name[: name.rindex("/") + 1],
                "at": action["at"],
                "provider": record["provider"],
                "intent": f"{name}@{hashed}",
            }
    return None
