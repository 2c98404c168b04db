"""Compare the versions in a store with what the log says about them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from daena_kms.audit.reader import identity
from daena_kms.rules.model import Key, Version
from daena_kms.rules.plan import ROTATIONS, Kind, Outcome

CONFIRMED, UNCONFIRMED, OUT_OF_BAND = "confirmed", "unconfirmed", "out-of-band"

#: The kinds of actions that explain a version.
_MAKING = {*ROTATIONS, Kind.ENROL, "rollback", "create", "adopt"}
#: The kinds of actions that say whether the store has the key.
_LIFE = {*_MAKING, "delete", "restore"}
#: The results after which an action explains no further version, or names its version by id.
_FINAL = {Outcome.DONE, Outcome.FAILED, Outcome.SKIPPED, Outcome.LEFT}


@dataclass(frozen=True, slots=True)
class Finding:
    """What the log says about one version in the store."""

    key_id: str
    version: str
    status: str


def missing_keys(records: Iterable[dict[str, Any]], shown: set[str]) -> list[str]:
    """Return a note on each key that the log knows as managed and the store no longer shows."""
    last: dict[str, tuple[str, str]] = {}
    for record in records:
        for result in record.get("results", ()):
            if result["result"] == Outcome.DONE and result["kind"] in _LIFE:
                change = str(result.get("ended") or record["time"]), str(result["kind"])
                last[result["key"]] = max(last.get(result["key"], change), change)
    return [
        f"key {key_id}: the log knows it ({kind} at {when}), but the store shows no managed key of "
        "that name. Others deleted it, or somebody set it by hand without its tags"
        for key_id, (when, kind) in sorted(last.items())
        if kind != "delete" and key_id not in shown
    ]


def compare(records: Iterable[dict[str, Any]], keys: Iterable[Key]) -> list[Finding]:
    """Return what the log's records say about each version that is or once was current."""
    confirmed: set[tuple[str, str]] = set()
    intended: set[tuple[str, str]] = set()
    bases: dict[str, set[str | None]] = {}
    every = list(records)
    # By run: a result settles only the action of its own run.
    settled: dict[str, set[tuple[Any, ...]]] = {}
    for record in every:
        for result in record.get("results", ()):
            if result["result"] in _FINAL:
                settled.setdefault(record["run"], set()).add(identity(result))
            if result["result"] == Outcome.DONE:
                versions = (result.get("new_version"), *result.get("versions", ()))
                confirmed |= {(result["key"], version) for version in versions if version}
    for record in every:
        for action in record.get("actions", ()):
            # An intent explains a version only while its result is not known.
            known = identity(action) in settled.get(record["run"], ())
            if action["kind"] in _MAKING and not known:
                bases.setdefault(action["key"], set()).add(action.get("base"))
                intended |= {(action["key"], v) for v in action.get("versions", ())}

    def status(key: Key, version: Version) -> str:
        if (key.id, version.id) in confirmed:
            return CONFIRMED
        explained = (key.id, version.id) in intended or any(
            key.made_from(version, base) for base in bases.get(key.id, ())
        )
        return UNCONFIRMED if explained else OUT_OF_BAND

    shown = ((key, v) for key in keys for v in key.versions if v.was_current)
    return [Finding(key.id, version.id, status(key, version)) for key, version in shown]
