"""One run's side of the audit log: what earlier runs left unresolved, and what this one does."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from daena_kms.audit.reader import Tail, is_unresolved, read_tail, revokes, unresolved_actions
from daena_kms.audit.records import Context
from daena_kms.audit.writer import RunWriter
from daena_kms.engine.generation import check_not_anew, check_not_older, counts_of
from daena_kms.errors import DaenaKMSError, KeyNotFound
from daena_kms.objects.base import Objects
from daena_kms.rules.durations import format_time
from daena_kms.rules.model import Key, VersionState
from daena_kms.rules.plan import ROTATIONS, Kind, Outcome
from daena_kms.rules.policy import HOLD
from daena_kms.rules.summary import Result
from daena_kms.stores.base import Store

Clock = Callable[[], datetime]

#: No run takes longer than this from an intent to the action.
STILL_RUNNING = timedelta(hours=1)


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
        self._store: Store | None = None
        #: Results that earlier runs could not write: their versions did become current.
        self.recovered: list[dict[str, Any]] = []

    @classmethod
    def begin(cls, log: Objects, context: Context, clock: Clock) -> "Journal":
        """Read the end of the log and return a journal for a new run."""
        return cls(read_tail(log, clock()), RunWriter(log, context, clock), clock)

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
        """Return, by key, the compromised versions that must still be retired."""
        pending: dict[str, set[str]] = {}
        for action in unresolved_actions(self._tail):
            if revokes(action) and self._concerns(action):
                pending.setdefault(action["key"], set()).add(str(action.get("version")))
        return pending

    def recover(self, store: Store, over: Callable[[], bool] = bool) -> None:
        """Find out what became of the actions that earlier runs left unresolved, and write it.

        Each of their keys is looked at, because a listing may be older than the crash.

        Args:
            store: The store that the run is on.
            over: Returns whether the time is over. Actions that are unresolved by then are left
                to the next run.

        Raises:
            ConfigError: The store is older than the log.
        """
        check_not_older(store, self._tail.counts)
        self._store = store
        results = []
        for action in unresolved_actions(self._tail):
            if over() or not self._concerns(action):
                self._unresolved.append(action)
                continue
            kept = {n: v for n, v in action.items() if n not in {"result", "error", "message"}}
            result = {**kept, "recovered": True, "ended": format_time(self._clock())}
            try:
                key = store.describe(action["key"], exact=True)
            except KeyNotFound:
                results.append({**result, "result": Outcome.NOT_DONE})
                continue
            except DaenaKMSError:
                self._unresolved.append(action)
                continue
            outcome = _what_became(action, key)
            results.append({**result, **outcome})
            if outcome["result"] is Outcome.DONE and "new_version" in outcome:
                self.recovered.append(results[-1])
            pending = revokes(action) and not _is_current(action, key)
            if outcome["result"] is Outcome.NOT_DONE and (pending or self._may_still_run(action)):
                self._unresolved.append(action)
        if results or self._tail.unreported:
            runs = {prefix: self._tail.unclosed[prefix] for prefix in self._tail.unreported}
            self._writer.recovery(runs, results)

    def leave(self) -> None:
        """Pass on what is unresolved without looking at the keys: this run has no store."""
        self._unresolved += unresolved_actions(self._tail)

    def _concerns(self, action: Mapping[str, Any]) -> bool:
        """Whether an action was on this kind of store: no other store shows its result."""
        provider = self._writer.provider
        return bool(action.get("provider", provider) == provider)

    def _may_still_run(self, action: Mapping[str, Any]) -> bool:
        """Whether the run that intended this may still do it; then a later run must look again."""
        at = datetime.fromisoformat(str(action["at"]))
        return self._clock() - at < STILL_RUNNING

    def intend(self, actions: list[dict[str, Any]]) -> None:
        """Write what will be done. The record is durable when this returns.

        Raises:
            ConfigError: It is the first key of a store whose log knows one with keys.
        """
        if self._store is not None and any(action["kind"] == "create" for action in actions):
            check_not_anew(self._store, self._tail.counts)
        self._writer.intent(actions)

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
        self._unresolved += [{**row, **unknown} for row in rows if is_unresolved(row)]
        self._writer.outcome(rows)

    def close(self, counts: Mapping[str, int]) -> None:
        """Write the closing record."""
        self._writer.close(self._tail, self._unresolved, {**counts, **counts_of(self._store)})


def _what_became(action: Mapping[str, Any], key: Key) -> dict[str, Any]:
    """Return the result of an earlier run's action, as the key shows it now."""
    kind, version_id = action["kind"], action.get("version")
    version = key.version(version_id) if isinstance(version_id, str) else None
    if kind == "delete":
        done = key.deleted is not None
    elif kind == "restore":
        done = key.deleted is None
    elif kind == "adopt":
        done = key.tags.get("daena.managed") == "true"
    elif kind in {"hold", "release"}:
        done = (key.tags.get(HOLD, "false") != "false") == (kind == "hold")
    elif revokes(action):
        # Not every store shows a deleted key's versions, and they come back with the key.
        done = key.deleted is None and (version is None or version.over)
    elif kind == Kind.RETIRE:
        over = {VersionState.RETIRED, VersionState.DESTROYED}
        done = version is None or version.state in over or version.retired is not None
    elif kind == Kind.DESTROY:
        done = version is None or version.state is VersionState.DESTROYED
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
