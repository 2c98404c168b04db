"""Prove that a run intended an unresolved action, by the intent object itself.

A closing record may be forged. So what it says about an unresolved action counts only if an intent
in the log holds that action. A forged intent counts as well: whoever may add to the log can add a
whole run.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from daena_kms.audit.bounds import BoundedLog
from daena_kms.audit.folders import folder_at
from daena_kms.audit.records import (
    CLOSING_SEQ,
    INTENT,
    beyond,
    decode,
    digest,
    encode,
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
#: What is taken of an intent to change a policy as well.
_OF_POLICY = ("spec", "policy", "old_spec", "old_policy", "tags", "old_tags")
#: In characters, in versions, and in the members of a policy: no run writes more.
_LONGEST, _MOST_VERSIONS, _MOST_MEMBERS = 500, 1000, 20
#: In bytes, so that what is said of an action has room in a record: no run writes more.
_LARGEST = 128 * 1024
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
    names = (*_TAKEN, *_OF_POLICY) if action["kind"] == "policy" else _TAKEN
    taken = {name: action[name] for name in names if action.get(name) is not None}
    if "why" in taken:
        taken["why"] = taken["why"][:_LONGEST]
    versions = taken.get("versions", ())
    texts = [text for text in (*taken.values(), *versions) if isinstance(text, str)]
    if len(versions) > _MOST_VERSIONS or any(len(text) > _LONGEST for text in texts):
        return None
    if not all(_is_written(name, taken[name]) for name in _OF_POLICY if name in taken):
        return None
    return taken if len(encode(taken)) <= _LARGEST else None


def _is_written(name: str, member: object) -> bool:
    """Whether a run writes such a spec, policy or tags."""
    if name.endswith("spec"):
        return isinstance(member, str)
    if not isinstance(member, dict) or len(member) > _MOST_MEMBERS:
        return False
    texts = [text for text in (*member, *member.values()) if text is not None]
    return all(isinstance(text, str) and len(text) <= _LONGEST for text in texts)


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
        self._read: dict[str, _Intent] = {}
        self._names: dict[str, list[str]] = {}

    def add(self, name: str, hashed: str, record: dict[str, Any]) -> None:
        """Take an object that was read already."""
        self._read[name] = _Intent.of(name, hashed, record)

    def proved(self, action: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return an unresolved action as its intent holds it, or ``None`` without such an intent.

        Nothing is taken from the unresolved action itself but the time at which it was.

        Raises:
            Spent: Nothing more may be read.
            AuditUnavailable: The log can't be read.
        """
        ref = action.get("intent")
        if not action.get("at"):
            return None
        if isinstance(ref, str):
            intent = self._object(ref.partition("@")[0])
            return intent.holding(action) if intent.ref == ref else None
        # Older versions did not name the intent.
        found = (self._object(name).holding(action) for name in self._candidates(action))
        return next((held for held in found if held is not None), None)

    def _candidates(self, action: Mapping[str, Any]) -> Iterator[str]:
        """Yield the objects that may hold the intent of an action that does not name it."""
        of_run = action.get("of_run")
        if isinstance(of_run, str):
            if split_name(f"{of_run}000000.json") is not None:
                yield from self._objects_in(of_run)
            return
        for before in range(_SEARCHED // timedelta(hours=1) + 1):
            try:
                at = datetime.fromisoformat(action["at"]).astimezone(UTC)
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

    def _object(self, name: str) -> "_Intent":
        if name not in self._read:
            if len(self._read) >= _KEPT:
                self._read.clear()
            data = self._log.get(name)
            self._read[name] = _Intent.of(name, digest(data or b""), read_record(data, name))
        return self._read[name]


@dataclass(frozen=True, slots=True)
class _Intent:
    """An object that may be an intent, and its actions by what identifies them."""

    ref: str
    actions: Mapping[tuple[Any, ...], Mapping[str, Any]]
    time: datetime = datetime(1, 1, 1, tzinfo=UTC)
    provider: str = ""

    @classmethod
    def of(cls, name: str, hashed: str, record: Mapping[str, Any]) -> "_Intent":
        ref = f"{name}@{hashed}"
        if record.get("type") != INTENT:
            return cls(ref, {})
        actions = {(*identity(a), bool(a.get("compromised"))): a for a in record["actions"]}
        return cls(ref, actions, datetime.fromisoformat(record["time"]), record["provider"])

    def holding(self, action: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the action as this intent holds it, if it does and the times fit."""
        intended = self.actions.get((*identity(action), bool(action.get("compromised"))))
        if intended is None:
            return None
        after = datetime.fromisoformat(action["at"]) - self.time
        same_store = action.get("provider", self.provider) == self.provider
        taken = cleaned(intended)
        if taken is None or not same_store or not -CLOCK_SKEW <= after <= LONGEST_RUN:
            return None
        return passed_on(taken, self.ref, action["at"], self.provider)


def passed_on(action: Mapping[str, Any], ref: str, at: str, provider: str) -> dict[str, Any]:
    """Return an action of an intent as a closing record passes it on.

    Args:
        action: What :func:`cleaned` returned.
        ref: The intent, as ``name@hash``.
        at: When it was unresolved.
        provider: The kind of store that the run was on.
    """
    of_run = ref[: ref.rindex("/") + 1]
    return {**action, "of_run": of_run, "at": at, "provider": provider, "intent": ref}
