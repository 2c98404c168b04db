"""One run's side of the audit log: what earlier runs left unresolved, and what this one does."""

import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from daena_kms.audit.bounds import ReadBudget
from daena_kms.audit.intents import identity
from daena_kms.audit.reader import Tail, is_unresolved, read_tail, revokes, unresolved_actions
from daena_kms.audit.records import Context, encode
from daena_kms.audit.writer import RunWriter
from daena_kms.engine.generation import check_not_anew, check_not_older, counts_of
from daena_kms.errors import DaenaKMSError, KeyNotFound
from daena_kms.objects.base import Objects
from daena_kms.rules.durations import format_time
from daena_kms.rules.model import PROMOTION_BOUND, Key, VersionState
from daena_kms.rules.plan import ROTATIONS, Kind, Outcome
from daena_kms.rules.policy import HOLD
from daena_kms.rules.policy_change import policy_was_set
from daena_kms.rules.summary import Result
from daena_kms.stores.base import Store

logger = logging.getLogger("daena_kms")

Clock = Callable[[], datetime]

#: No run takes longer than this from an intent to the action.
STILL_RUNNING = timedelta(hours=1)
#: An action is not looked for any longer if nothing in a store has shown its key or version.
_GIVEN_UP = timedelta(days=7)
#: At most this many keys are looked at, and this many results written, for what earlier runs left.
_MAX_LOOKS = 1000


class Journal:
    """The writer of one run, and what it saw of the runs before.

    :meth:`begin` only reads. The first of :meth:`recover`, :meth:`intend` and :meth:`close`
    writes first.

    Raises:
        AuditUnavailable: The log can't be read or written. Every method may raise it.
    """

    def __init__(self, tail: Tail, writer: RunWriter, clock: Clock) -> None:
        self._tail = tail
        self._writer = writer
        self._clock = clock
        self._unresolved: list[dict[str, Any]] = []
        self._recovered = False
        self._store: Store | None = None
        #: The intents of this run's actions that have no result yet.
        self._intents: dict[tuple[Any, ...], str] = {}
        #: Results that earlier runs could not write: their versions did become current, or their
        #: keys were enrolled.
        self.recovered: list[dict[str, Any]] = []

    @classmethod
    def begin(
        cls, log: Objects, context: Context, clock: Clock, over: Callable[[], bool] = bool
    ) -> "Journal":
        """Read the end of the log and return a journal for a new run.

        Args:
            log: The log.
            context: Who began the run, and why.
            clock: The time of the run.
            over: Returns whether the time for reading is over.
        """
        tail = read_tail(log, clock(), ReadBudget(over))
        if tail.passed_over:
            logger.warning(
                "%d things in the audit log were passed over: no run writes such, or there are "
                "more than a run reads. Run audit verify, which reads all of it",
                tail.passed_over,
            )
        return cls(tail, RunWriter(log, context, clock), clock)

    @property
    def run_id(self) -> str:
        """The id of this run."""
        return self._writer.run_id

    def interrupted(self) -> dict[str, str | None]:
        """Return, by key, the bases of rotations that were interrupted."""
        return {
            action["key"]: action.get("base")
            for action in unresolved_actions(self._tail)
            if action["kind"] in ROTATIONS and self._concerns(action)
        }

    def pending_revocations(self) -> dict[str, set[str]]:
        """Return, by key, the compromised versions that must still be retired.

        After :meth:`recover` these are the ones that the store shows as not retired.
        """
        actions = self._unresolved if self._recovered else unresolved_actions(self._tail)
        pending: dict[str, set[str]] = {}
        for action in actions:
            if revokes(action) and self._concerns(action):
                pending.setdefault(action["key"], set()).add(str(action.get("version")))
        return pending

    def recover(self, store: Store, over: Callable[[], bool] = bool) -> None:
        """Find out what became of the actions that earlier runs left unresolved, and write it.

        Each of their keys is looked at once, because a listing may be older than the crash.

        Args:
            store: The store that the run is on.
            over: Returns whether the time is over. Actions that are unresolved by then are left
                to the next run.
        """
        check_not_older(store, self._tail.counts)
        self._store = store
        looks = _Looks(store, over)
        results: list[dict[str, Any]] = []
        unresolved = unresolved_actions(self._tail)
        for action in sorted(unresolved, key=lambda action: not revokes(action)):
            outcome, again = None, True
            if len(results) < _MAX_LOOKS:
                outcome, again = self._look(action, looks)
            if outcome is not None:
                result = {**action, "recovered": True, "ended": format_time(self._clock())}
                results.append({**result, **outcome})
                made = "new_version" in outcome or action["kind"] == Kind.ENROL
                if outcome["result"] is Outcome.DONE and made:
                    self.recovered.append(results[-1])
            if again:
                self._unresolved.append(action)
        known = set(map(identity, unresolved))
        for action in self._tail.left_out:
            if identity(action) in known or not self._concerns(action):
                continue
            known.add(identity(action))
            if self._stands(action, looks):
                self._unresolved.append(action)
        self._recovered = True
        if results or self._tail.unreported:
            runs = {prefix: self._tail.unclosed[prefix] for prefix in self._tail.unreported}
            self._writer.recovery(runs, results)

    def _look(
        self, action: Mapping[str, Any], looks: "_Looks"
    ) -> tuple[dict[str, Any] | None, bool]:
        """Return what became of an action, if that is known, and whether a later run must look."""
        old = self._age(action) >= _GIVEN_UP
        gone = {"result": Outcome.GONE}
        if not self._concerns(action):
            return (gone, False) if old else (None, True)
        key = looks.at(action["key"])
        if isinstance(key, DaenaKMSError):
            if not isinstance(key, KeyNotFound):
                return (gone, False) if old and not revokes(action) else (None, True)
            return (gone if old else {"result": Outcome.NOT_DONE}), False
        if key is None:
            return None, True
        outcome = _what_became(action, key)
        if old and outcome["result"] is Outcome.DONE and _shows_nothing(action, key):
            return gone, False
        pending = revokes(action) and not _is_current(action, key)
        again = pending or self._age(action) < STILL_RUNNING
        return outcome, outcome["result"] is Outcome.NOT_DONE and again

    def _stands(self, action: Mapping[str, Any], looks: "_Looks") -> bool:
        """Whether a revocation that a closing record left out must be made all the same.

        The store alone decides. A version that was current an hour after the revocation was asked
        for was not rotated away from by that run: the revocation was given up, and what happened
        to the version later had another reason.
        """
        key = looks.at(action["key"])
        if key is None or isinstance(key, DaenaKMSError):
            return not isinstance(key, KeyNotFound)
        version = key.version(str(action.get("version")))
        if version is None or version.over:
            return False
        if version.state is VersionState.CURRENT:
            return self._age(action) < STILL_RUNNING
        until = STILL_RUNNING + PROMOTION_BOUND
        return version.superseded is None or version.superseded - _at(action) <= until

    def leave(self) -> None:
        """Pass on what is unresolved without looking at the keys: this run has no store."""
        self._unresolved += unresolved_actions(self._tail)

    def _concerns(self, action: Mapping[str, Any]) -> bool:
        """Whether an action was on this kind of store: no other store shows its result."""
        provider = self._writer.provider
        return bool(action.get("provider", provider) == provider)

    def _age(self, action: Mapping[str, Any]) -> timedelta:
        return self._clock() - _at(action)

    def intend(self, actions: list[dict[str, Any]]) -> None:
        """Write what will be done. The record is durable when this returns.

        Raises:
            ConfigError: It is the first key of a store whose log knows one with keys.
        """
        if self._store is not None and any(action["kind"] == "create" for action in actions):
            check_not_anew(self._store, self._tail.counts)
        refs = self._writer.intent(actions)
        self._intents |= zip(map(identity, actions), refs, strict=True)

    def record(self, results: list[Result]) -> None:
        """Write what became of some actions."""
        self.record_rows([result.record() for result in results])

    def record_rows(self, rows: list[dict[str, Any]]) -> None:
        """Write what became of some actions, as they stand in the log."""
        unknown = {"at": format_time(self._clock()), "provider": self._writer.provider}
        settled = {(row["key"], row.get("version")) for row in rows if revokes(row)}
        self._unresolved = [
            action
            for action in self._unresolved
            if not revokes(action) or (action["key"], action.get("version")) not in settled
        ]
        for row in rows:
            intent = self._intents.pop(identity(row), None)
            if is_unresolved(row):
                ref = {"intent": intent} if intent is not None else {}
                self._unresolved.append({**row, **unknown, **ref})
        self._writer.outcome(rows)

    def close(self, counts: Mapping[str, int]) -> None:
        """Write the closing record."""
        # What another store's log may prove here, and what is large, may be forged: it goes last.
        self._unresolved.sort(
            key=lambda one: (not self._concerns(one), not revokes(one), len(encode(one)))
        )
        counts = {**counts, **counts_of(self._store)}
        left = self._writer.close(self._tail, self._unresolved, counts)
        if left:
            logger.warning(
                "run %s: %d actions are unresolved and not passed on: a closing record has no "
                "room for more. Run audit verify, which names the versions that no record confirms",
                self.run_id,
                left,
            )


class _Looks:
    """Looks at keys for what earlier runs left: one each, a bounded number, while there is time."""

    def __init__(self, store: Store, over: Callable[[], bool]) -> None:
        self._store = store
        self._over = over
        self._seen: dict[str, Key | DaenaKMSError] = {}

    def at(self, key_id: str) -> Key | DaenaKMSError | None:
        """Return the key or the error of the look; ``None``: no look was taken."""
        if key_id not in self._seen:
            if len(self._seen) >= _MAX_LOOKS or self._over():
                return None
            try:
                self._seen[key_id] = self._store.describe(key_id, exact=True)
            except DaenaKMSError as error:
                self._seen[key_id] = error
        return self._seen[key_id]


def _at(action: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(str(action["at"]))


def _shows_nothing(action: Mapping[str, Any], key: Key) -> bool:
    """Whether an action is about a version that the store does not show at all."""
    version = action.get("version")
    return isinstance(version, str) and key.version(version) is None


def _what_became(action: Mapping[str, Any], key: Key) -> dict[str, Any]:
    """Return the result of an earlier run's action, as the key shows it now."""
    kind, version_id = action["kind"], action.get("version")
    version = key.version(version_id) if isinstance(version_id, str) else None
    if kind in {"delete", "restore"}:
        done = (key.deleted is not None) == (kind == "delete")
    elif kind == "adopt":
        done = key.tags.get("daena.managed") == "true" and key.enrolled
    elif kind == Kind.ENROL:
        done = key.enrolled
    elif kind in {"hold", "release"}:
        done = (key.tags.get(HOLD, "false") != "false") == (kind == "hold")
    elif kind == "policy":
        done = policy_was_set(action, key)
    elif revokes(action):
        # Not every store shows a deleted key's versions, and they come back with the key.
        done = key.deleted is None and (version is None or version.over)
    elif kind == Kind.RETIRE:
        over = {VersionState.RETIRED, VersionState.DESTROYED}
        retired = version is not None and version.retired is not None
        done = version is None or version.unlabelled or version.state in over or retired
    elif kind == Kind.DESTROY:
        done = version is None or version.unlabelled or version.state is VersionState.DESTROYED
    else:
        new_version = _version_made_from(action.get("base"), key)
        if new_version is not None:
            return {"result": Outcome.DONE, "new_version": new_version}
        done = False
    return {"result": Outcome.DONE if done else Outcome.NOT_DONE}


def _is_current(action: Mapping[str, Any], key: Key) -> bool:
    """Whether the version that an action is about is the key's current one."""
    return key.current is not None and key.current.id == action.get("version")


def _version_made_from(base: object, key: Key) -> str | None:
    """Return the version that was made from ``base`` and became current; there is at most one."""
    ref = base if isinstance(base, str) else None
    promoted = (v.id for v in key.versions if v.was_current and key.made_from(v, ref))
    return next(promoted, None)
