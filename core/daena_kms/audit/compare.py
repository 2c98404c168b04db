"""Hold the versions in a store against what the log says of them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from daena_kms.audit.reader import identity
from daena_kms.rules.model import NEVER_CURRENT, Key, Version
from daena_kms.rules.plan import Outcome

CONFIRMED, UNCONFIRMED, OUT_OF_BAND = "confirmed", "unconfirmed", "out-of-band"

_MAKING = {"rotate", "finish", "rollback", "create", "adopt"}
_FINAL = {Outcome.DONE, Outcome.FAILED, Outcome.SKIPPED, Outcome.LEFT}


@dataclass(frozen=True, slots=True)
class Finding:
    """What the log says of one version that the store holds."""

    key_id: str
    version: str
    status: str


def gone(records: Iterable[dict[str, Any]], there: set[str]) -> list[str]:
    """Return a note on each key that the log knows as ours and the store shows no longer."""
    last: dict[str, tuple[str, str]] = {}
    for record in records:
        for result in record.get("results", ()):
            if result["result"] == Outcome.DONE and result["kind"] in {
                *_MAKING,
                "delete",
                "restore",
            }:
                found = str(result.get("ended") or record["time"]), str(result["kind"])
                last[result["key"]] = max(last.get(result["key"], found), found)
    return [
        f"key {key_id}: the log knows it since {when} ({kind}), and the store shows no managed key "
        "of that name: deleted by others, or set by hand without its tags"
        for key_id, (when, kind) in sorted(last.items())
        if kind != "delete" and key_id not in there
    ]


def compare(records: Iterable[dict[str, Any]], keys: Iterable[Key]) -> list[Finding]:
    """Return what the log's records say of each version that once was current."""
    made: set[tuple[str, str]] = set()
    intended: set[tuple[str, str]] = set()
    bases: dict[str, set[str | None]] = {}
    every = list(records)
    # By run: a result settles the action of its own run alone.
    settled: dict[str, set[tuple[Any, ...]]] = {}
    for record in every:
        for result in record.get("results", ()):
            if result["result"] in _FINAL:
                settled.setdefault(record["run"], set()).add(identity(result))
            if result["result"] == Outcome.DONE:
                found = (result.get("new_version"), *result.get("versions", ()))
                made |= {(result["key"], version) for version in found if version}
    for record in every:
        for action in record.get("actions", ()):
            # Only what makes a version explains one, and only while its outcome is not known.
            known = identity(action) in settled.get(record["run"], ())
            if action["kind"] in _MAKING and not known:
                bases.setdefault(action["key"], set()).add(action.get("base"))
                intended |= {(action["key"], v) for v in action.get("versions", ())}

    def status(key: Key, version: Version) -> str:
        if (key.id, version.id) in made:
            return CONFIRMED
        known = (key.id, version.id) in intended or any(
            key.made_from(version, base) for base in bases.get(key.id, ())
        )
        return UNCONFIRMED if known else OUT_OF_BAND

    lived = ((key, v) for key in keys for v in key.versions if v.state not in NEVER_CURRENT)
    return [Finding(key.id, version.id, status(key, version)) for key, version in lived]
