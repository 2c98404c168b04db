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
from daena_kms.engine.settling import MAX_LOOKS, Looks, hides_versions, settled
from daena_kms.errors import KeyNotFound
from daena_kms.objects.base import Objects
from daena_kms.rules.durations import about, format_time
from daena_kms.rules.model import PROMOTION_BOUND, Key, VersionState
from daena_kms.rules.plan import ROTATIONS, Kind, Outcome
from daena_kms.rules.summary import Result
from daena_kms.stores.base import Absence, Store

logger = logging.getLogger("daena_kms")

Clock = Callable[[], datetime]

#: No run takes longer than this from an intent to the action.
STILL_RUNNING = timedelta(hours=1)
#: An action is given up if for so long nothing in a store has shown what became of it.
_GIVEN_UP = timedelta(days=7)


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
        #: The ids of keys whose look did not show what became of an action.
        self._unseen: set[str] = set()
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
        looks = Looks(store, over)
        results: list[dict[str, Any]] = []
        unresolved = unresolved_actions(self._tail)
        unresolved = sorted(unresolved, key=lambda action: not revokes(action))
        looks.take(a["key"] for a in (*unresolved, *self._tail.left_out) if self._concerns(a))
        for action in unresolved:
            outcome, again = None, True
            if len(results) < MAX_LOOKS:
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
        self, action: Mapping[str, Any], looks: Looks
    ) -> tuple[Mapping[str, Any] | None, bool]:
        """Return what became of an action, if that was seen, and whether a later run must look.

        What nothing has shown for a week is given up. That is a result of its own, and warned of.
        """
        given_up = self._age(action) >= _GIVEN_UP
        outcome: Mapping[str, Any] | None = None
        if self._concerns(action):
            key = looks.at(action["key"])
            if isinstance(key, Key):
                outcome = settled(action, key, lambda: self._absence(action, key, looks))
                if outcome is not None:
                    pending = revokes(action) and not _is_current(action, key)
                    again = pending or self._age(action) < STILL_RUNNING
                    return outcome, outcome["result"] is Outcome.NOT_DONE and again
                self._unseen.add(action["key"])
            elif isinstance(key, KeyNotFound):
                self._unseen.add(action["key"])
            else:
                # No look was taken, or it got no answer: that says nothing of a revocation.
                given_up = given_up and key is not None and not revokes(action)
        if not given_up:
            return None, True
        logger.warning(
            "run %s: the %s of %s was left unresolved %s, and nothing has shown since what became "
            "of it. No run looks any more",
            *(self.run_id, action["kind"], action["key"], f"{about(self._age(action))} ago"),
        )
        return {"result": Outcome.GONE}, False

    def _absence(self, action: Mapping[str, Any], key: Key, looks: Looks) -> Absence:
        """Return what it means that a look does not show an action's version."""
        # A version that was made a moment ago may be missing from any listing, and nobody has
        # recorded how a store lists the versions of a deleted key.
        if self._age(action) < STILL_RUNNING or key.deleted is not None:
            return Absence.UNSEEN
        return looks.absence(key, str(action.get("version")))

    def _stands(self, action: Mapping[str, Any], looks: Looks) -> bool:
        """Whether a revocation that a closing record left out must be made all the same.

        The store alone decides. A version that was current an hour after the revocation was asked
        for was not rotated away from by that run: the revocation was given up, and what happened
        to the version later had another reason.
        """
        unseen = self._age(action) < _GIVEN_UP
        key = looks.at(action["key"])
        if not isinstance(key, Key):
            return unseen or not isinstance(key, KeyNotFound)
        version = key.version(str(action.get("version")))
        if version is None:
            erased = self._absence(action, key, looks) is Absence.ERASED
            return hides_versions(key) or (unseen and not erased)
        if version.over:
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
        revoked = {(row["key"], row.get("version")) for row in rows if revokes(row)}
        created = {row["key"] for row in rows if _creates(row) and row["result"] == Outcome.DONE}
        before, self._unresolved, not_created = self._unresolved, [], []
        for action in before:
            if _creates(action) and action["key"] in created and self._concerns(action):
                # A store creates no key that exists, so the earlier run had not created it.
                not_created.append(action)
            elif not revokes(action) or (action["key"], action.get("version")) not in revoked:
                self._unresolved.append(action)
        for row in rows:
            intent = self._intents.pop(identity(row), None)
            if is_unresolved(row):
                ref = {"intent": intent} if intent is not None else {}
                self._unresolved.append({**row, **unknown, **ref})
        self._writer.outcome(rows)
        if not_created:
            ended = {"recovered": True, "ended": format_time(self._clock())}
            not_done = {**ended, "result": Outcome.NOT_DONE}
            self._writer.recovery({}, [{**action, **not_done} for action in not_created])

    def close(self, counts: Mapping[str, int]) -> None:
        """Write the closing record."""
        # What another store's log may prove here, what the store does not show, and what is large,
        # may be forged: it goes last.
        self._unresolved.sort(
            key=lambda one: (
                *(not self._concerns(one), one["key"] in self._unseen, not revokes(one)),
                len(encode(one)),
            )
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


def _at(action: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(str(action["at"]))


def _creates(action: Mapping[str, Any]) -> bool:
    return bool(action["kind"] == "create")


def _is_current(action: Mapping[str, Any], key: Key) -> bool:
    """Whether the version that an action is about is the key's current one."""
    return key.current is not None and key.current.id == action.get("version")
