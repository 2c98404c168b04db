"""One run's side of the audit log: what earlier runs left open, and what this one does."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from daena_kms.audit.reader import Tail, is_open, pending_actions, read_tail, revokes
from daena_kms.audit.records import Context
from daena_kms.audit.writer import RunWriter
from daena_kms.errors import DaenaKMSError, KeyNotFound
from daena_kms.objects.base import Objects
from daena_kms.rules.durations import format_time
from daena_kms.rules.model import NEVER_CURRENT, Key, VersionState
from daena_kms.rules.plan import Outcome
from daena_kms.rules.policy import HOLD
from daena_kms.rules.summary import Result
from daena_kms.stores.base import Store

Clock = Callable[[], datetime]

#: No run takes longer than this to come to an action that it has written down.
STILL_RUNNING = timedelta(hours=1)


class Journal:
    """The writer of one run and what it saw of the runs before.

    :meth:`begin` reads; nothing is written before the first of :meth:`recover`, :meth:`intend`
    and :meth:`close`. Every method raises :class:`~daena_kms.errors.AuditUnavailable`.
    """

    def __init__(self, tail: Tail, writer: RunWriter, clock: Clock) -> None:
        self._tail = tail
        self._writer = writer
        self._clock = clock
        self._unresolved: list[dict[str, Any]] = []
        #: What :meth:`recover` found to have become current by runs that did not know it.
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
        """Return the keys that an earlier run began to rotate, with no outcome, and their bases."""
        return {
            action["key"]: action.get("base")
            for action in pending_actions(self._tail)
            if action["kind"] in {"rotate", "finish"} and self._concerns(action)
        }

    def owed(self) -> dict[str, set[str]]:
        """Return, by key, the compromised versions that earlier runs did not come to retire."""
        found: dict[str, set[str]] = {}
        for action in pending_actions(self._tail):
            if revokes(action) and self._concerns(action):
                found.setdefault(action["key"], set()).add(str(action.get("version")))
        return found

    def recover(self, store: Store, over: Callable[[], bool] = bool) -> None:
        """Find out what became of earlier runs' unfinished actions, and write it.

        Each key is looked at anew: a listing may be older than the crash. When the time is
        ``over``, the rest is left to the next run.
        """
        results = []
        for action in pending_actions(self._tail):
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
            found = _what_became(action, key)
            results.append({**result, **found})
            if found["result"] == Outcome.DONE and "new_version" in found:
                self.recovered.append(results[-1])
            owed = revokes(action) and not _is_current(action, key)
            if found["result"] == Outcome.NOT_DONE and (owed or self._may_run_still(action)):
                self._unresolved.append(action)
        if results or self._tail.news:
            runs = {prefix: self._tail.open_hashes[prefix] for prefix in self._tail.news}
            self._writer.recovery(runs, results)

    def leave(self) -> None:
        """Leave to a later run what earlier ones left open: this one has no store to look at."""
        self._unresolved += pending_actions(self._tail)

    def _concerns(self, action: Mapping[str, Any]) -> bool:
        """Whether an action was one on this kind of store: no other can say what became of it."""
        provider = self._writer.provider
        return bool(action.get("provider", provider) == provider)

    def _may_run_still(self, action: Mapping[str, Any]) -> bool:
        """Whether the run that intended this may be at it yet, so that a later run must look."""
        at = datetime.fromisoformat(str(action["at"]))
        return self._clock() - at < STILL_RUNNING

    def intend(self, actions: list[dict[str, Any]]) -> None:
        """Write what will be done; it is durable when this returns."""
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
        self._unresolved += [{**row, **unknown} for row in rows if is_open(row)]
        self._writer.outcome(rows)

    def close(self, counts: Mapping[str, int]) -> None:
        """Write the closing record."""
        self._writer.close(self._tail, self._unresolved, counts)


def _what_became(action: Mapping[str, Any], key: Key) -> dict[str, Any]:
    """Return whether an action of an earlier run took effect, as the key shows now."""
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
        # A deleted key's versions can't be seen everywhere, and come back with it.
        done = key.deleted is None and (version is None or version.over)
    elif kind == "retire":
        over = {VersionState.RETIRED, VersionState.DESTROYED}
        done = version is None or version.state in over or version.retired is not None
    elif kind == "destroy":
        done = version is None or version.state is VersionState.DESTROYED
    else:
        made = _made_from(action.get("base"), key)
        return (
            {"result": Outcome.DONE, "new_version": made} if made else {"result": Outcome.NOT_DONE}
        )
    return {"result": Outcome.DONE if done else Outcome.NOT_DONE}


def _is_current(action: Mapping[str, Any], key: Key) -> bool:
    """Whether the version that an action is about is the key's current one."""
    return key.current is not None and key.current.id == action.get("version")


def _made_from(base: object, key: Key) -> str | None:
    """Return the version that was made from ``base`` and became current: at most one ever does."""
    ref = base if isinstance(base, str) else None
    ours = (v for v in key.versions if key.made_from(v, ref) and v.state not in NEVER_CURRENT)
    return next((v.id for v in ours), None)
