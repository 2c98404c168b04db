"""Compare the versions in a store with what the log says about them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from daena_kms.audit.intents import identity
from daena_kms.audit.problems import shortened
from daena_kms.rules.durations import format_time
from daena_kms.rules.model import Key, Version
from daena_kms.rules.plan import ROTATIONS, Kind, Outcome

CONFIRMED, UNCONFIRMED, OUT_OF_BAND = "confirmed", "unconfirmed", "out-of-band"

#: The kinds of actions that explain a version.
_MAKING = {*ROTATIONS, Kind.ENROL, "rollback", "create", "adopt"}
#: The kinds of actions that take over a key with the versions that it has.
_TAKING = {Kind.ENROL, "adopt"}
#: The kinds of actions that say whether the store has the key.
_LIFE = {*_MAKING, "delete", "restore"}
#: The results after which an action explains no further version, or names its version by id.
_FINAL = {Outcome.DONE, Outcome.FAILED, Outcome.SKIPPED, Outcome.LEFT}
#: So many notes on keys that the store does not show are kept.
_NOTES = 50


@dataclass(frozen=True, slots=True)
class Finding:
    """What the log says about one version in the store."""

    key_id: str
    version: str
    status: str


class Comparison:
    """What the log says about the keys in a store, run by run.

    It keeps nothing but what concerns the versions in the store, however long the log is. Results
    and intents explain a version; a closing record alone never does.
    """

    def __init__(self, keys: Iterable[Key]) -> None:
        self._keys = {key.id: key for key in keys}
        self._confirmed: set[tuple[str, str]] = set()
        self._explained: set[tuple[str, str]] = set()
        #: The last change of each key's life, by key id: its time and kind.
        self._last: dict[str, tuple[str, str]] = {}
        #: The actions of the run whose result the log does not hold so far.
        self._open: dict[tuple[Any, ...], Mapping[str, Any]] = {}

    def add(self, record: Mapping[str, Any]) -> None:
        """Take a record of a run. The records of one run come one after the other."""
        for action in record.get("actions", ()):
            if action["kind"] in _MAKING and action["key"] in self._keys:
                self._open[identity(action)] = action
        for result in record.get("results", ()):
            if result["result"] in _FINAL:
                # A result settles only the action of its own run.
                self._open.pop(identity(result), None)
            if result["result"] == Outcome.DONE:
                self._take(result, record["time"])

    def end_run(self) -> None:
        """Take what is left of a run: an intent explains a version while its result is unknown."""
        for action in self._open.values():
            key, base = self._keys[action["key"]], action.get("base")
            made = {v.id for v in key.versions if key.made_from(v, base)}
            self._explained |= {(key.id, v) for v in made | {*action.get("versions", ())}}
        self._open = {}

    def findings(self) -> list[Finding]:
        """Return what the log says about each version that is or once was current."""
        shown = ((key, v) for key in self._keys.values() for v in key.versions if v.was_current)
        return [Finding(key.id, version.id, self._status(key, version)) for key, version in shown]

    def missing_keys(self) -> list[str]:
        """Return a note on each key that the log knows as managed and the store does not show."""
        missing = [
            (key_id, kind, when)
            for key_id, (when, kind) in sorted(self._last.items())
            if kind != "delete" and key_id not in self._keys
        ]
        notes = [
            f"key {key_id}: the log knows it ({kind} at {when}), but the store shows no managed "
            "key of that name. Others deleted it, or somebody set it by hand without its tags"
            for key_id, kind, when in missing[:_NOTES]
        ]
        return shortened(notes, len(missing))

    def _take(self, result: Mapping[str, Any], time: str) -> None:
        key_id = result["key"]
        key = self._keys.get(key_id)
        if key is not None:
            versions = {result.get("new_version"), *result.get("versions", ())}
            if result["kind"] in _TAKING:
                versions |= _there_before(key, str(result.get("started") or time))
            self._confirmed |= {(key_id, v.id) for v in key.versions if v.id in versions}
        if result["kind"] in _LIFE:
            change = str(result.get("ended") or time), str(result["kind"])
            self._last[key_id] = max(self._last.get(key_id, change), change)

    def _status(self, key: Key, version: Version) -> str:
        if (key.id, version.id) in self._confirmed:
            return CONFIRMED
        return UNCONFIRMED if (key.id, version.id) in self._explained else OUT_OF_BAND


def _there_before(key: Key, time: str) -> set[str]:
    """Return the versions of others that a store keeps by their ids, and made before ``time``.

    The store's own date says so. A look at the time may have shown only what had a name.
    """
    theirs = (v for v in key.versions if v.unlabelled and v.base_mark is None)
    return {v.id for v in theirs if format_time(v.created) < time}
