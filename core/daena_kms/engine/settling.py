"""What became of an action that an earlier run left unresolved, by what a look at its key shows.

An action is settled by what was seen, and never because something was not found: a name on its way
between deleted and live answers "not found" on both sides, a new key may not be found yet, and a
listing may lag. So a look can also leave the question open.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from daena_kms.audit.reader import revokes
from daena_kms.engine.looks import in_order
from daena_kms.errors import DaenaKMSError
from daena_kms.rules.model import Key, VersionState
from daena_kms.rules.plan import ROTATIONS, Kind, Outcome
from daena_kms.rules.policy import HOLD, MANAGED
from daena_kms.rules.policy_change import policy_was_set
from daena_kms.stores.base import Absence, Store

#: At most this many looks are taken for what earlier runs left.
MAX_LOOKS = 1000
#: So many at once: as many as a run's workers are by default.
_WORKERS = 16

#: Returns what it means that an exact look does not show a version.
type Absent = Callable[[], Absence]

#: The kinds of actions on one version, and those that make one.
_ON_VERSION = frozenset({Kind.RETIRE, Kind.DESTROY})
_MAKING = frozenset({*ROTATIONS, "rollback", "create"})
_RESULTS: Mapping[bool, Mapping[str, Any]] = {
    True: {"result": Outcome.DONE},
    False: {"result": Outcome.NOT_DONE},
}
_GONE = frozenset({Absence.RELEASED, Absence.ERASED})


class Looks:
    """Looks at keys for what earlier runs left: one each, a bounded number, while there is time.

    Args:
        store: The store.
        over: Returns whether the time is over.
    """

    def __init__(self, store: Store, over: Callable[[], bool]) -> None:
        self._store = store
        self._over = over
        self._seen: dict[str, Key | DaenaKMSError] = {}
        self._absent: dict[tuple[str, str], Absence] = {}

    def take(self, key_ids: Iterable[str]) -> None:
        """Look at all of these side by side, so that many of them delay nothing."""
        wanted = list(dict.fromkeys(k for k in key_ids if k not in self._seen))[:MAX_LOOKS]
        for key_id, seen in zip(wanted, in_order(self._look, wanted, _WORKERS), strict=True):
            if seen is not None:
                self._seen[key_id] = seen

    def at(self, key_id: str) -> Key | DaenaKMSError | None:
        """Return the key or the error of the look; ``None``: no look was taken."""
        if key_id not in self._seen and self._may_look():
            self.take([key_id])
        return self._seen.get(key_id)

    def _look(self, key_id: str) -> Key | DaenaKMSError | None:
        if self._over():
            return None
        try:
            return self._store.describe(key_id, exact=True)
        except DaenaKMSError as error:
            return error

    def absence(self, key: Key, version: str) -> Absence:
        """Return what it means that a look does not show a version."""
        asked = key.id, version
        if asked not in self._absent:
            if not self._may_look():
                return Absence.UNSEEN
            try:
                self._absent[asked] = self._store.absence(key, version)
            except DaenaKMSError:
                self._absent[asked] = Absence.UNSEEN
        return self._absent[asked]

    def _may_look(self) -> bool:
        return len(self._seen) + len(self._absent) < MAX_LOOKS and not self._over()


def settled(action: Mapping[str, Any], key: Key, absent: Absent) -> Mapping[str, Any] | None:
    """Return the result of an earlier run's action, or ``None`` if the look leaves it open.

    Args:
        action: The action, as its intent has it.
        key: An exact look at its key.
        absent: What it means that the look does not show the action's version. It may take a call.
    """
    kind = action["kind"]
    if kind in _ON_VERSION:
        done = _on_version(action, key, absent)
        return None if done is None else _RESULTS[done]
    if kind in _MAKING:
        return _made(action, key)
    return _RESULTS[_on_key(action, key)]


def _on_key(action: Mapping[str, Any], key: Key) -> bool:
    """Whether an action on a key as a whole was done: the look shows its tags and whether it is."""
    kind = str(action["kind"])
    if kind == "delete":
        return key.deleted is not None and not key.half_deleted
    if kind == "restore":
        return key.deleted is None
    if kind == "adopt":
        return key.tags.get(MANAGED) == "true" and key.enrolled
    if kind == Kind.ENROL:
        return key.enrolled
    if kind in {"hold", "release"}:
        return (key.tags.get(HOLD, "false") != "false") is (kind == "hold")
    return kind == "policy" and policy_was_set(action, key)


def _on_version(action: Mapping[str, Any], key: Key, absent: Absent) -> bool | None:
    """Whether a version was retired or destroyed; ``None``: the look does not show that."""
    if revokes(action) and key.deleted is not None:
        # Not every store shows a deleted key's versions, and they come back with the key.
        return False
    version_id = action.get("version")
    version = key.version(version_id) if isinstance(version_id, str) else None
    if version is not None:
        if revokes(action):
            return version.over
        if action["kind"] == Kind.DESTROY:
            return version.unlabelled or version.state is VersionState.DESTROYED
        over = {VersionState.RETIRED, VersionState.DESTROYED}
        # One without labels lost them after it was retired, or to younger versions.
        return version.unlabelled or version.state in over or version.retired is not None
    if not isinstance(version_id, str) or hides_versions(key):
        return None
    # A compromised version that has no name any more may still be read by its id.
    return True if absent() in ({Absence.ERASED} if revokes(action) else _GONE) else None


def _made(action: Mapping[str, Any], key: Key) -> Mapping[str, Any] | None:
    """Return what became of an action that makes a version from the one that was current."""
    base = action.get("base")
    ref = base if isinstance(base, str) else None
    # There is at most one that was made from it and became current.
    promoted = (v.id for v in key.versions if v.was_current and key.made_from(v, ref))
    new_version = next(promoted, None)
    if new_version is not None:
        return {"result": Outcome.DONE, "new_version": new_version}
    return None if hides_versions(key) else _RESULTS[False]


def hides_versions(key: Key) -> bool:
    """Whether a look can't show the versions that a key has, because it is deleted."""
    return key.deleted is not None and not key.versions
