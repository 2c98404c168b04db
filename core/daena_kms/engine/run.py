"""The whole run: plan, write the plan to the audit log, do it, write what became of it."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from datetime import datetime, timedelta
from itertools import batched

from daena_kms.audit.records import MAX_ACTIONS, Context
from daena_kms.engine.clock import Budget, Deadline, RunClock
from daena_kms.engine.journal import Journal
from daena_kms.engine.survey import Survey
from daena_kms.engine.worker import Worker
from daena_kms.errors import AuditUnavailable, ConfigError
from daena_kms.notify import notify, wanted
from daena_kms.objects.base import Objects
from daena_kms.rules.emergency import check_emergency
from daena_kms.rules.model import Key
from daena_kms.rules.names import check_key_id
from daena_kms.rules.plan import CHANGES, Action, Kind, Outcome
from daena_kms.rules.summary import Result, Summary, action_record
from daena_kms.settings import Settings
from daena_kms.stores.adapter import CloudKMSAdapter

log_of_runs = logging.getLogger("daena_kms")

_BATCH = 50
_BATCH_AGE = timedelta(seconds=5)
_MAX_WORKERS = 64


def run(
    adapter: CloudKMSAdapter,
    log: Objects | None,
    now: datetime | None = None,
    keys: Iterable[str] | None = None,
    dry_run: bool = False,  # noqa: FBT001, FBT002 - as above
    deadline: Deadline | None = None,
    workers: int = 16,
    trigger: str = "manual",
    reason: str | None = None,
    principal: str | None = None,
    *,
    if_due: bool = False,
    compromised: bool = False,
    looks: Mapping[str, Key] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Summary:
    """Rotate what is due, retire and destroy by policy, and return what was done.

    ``log`` is :func:`daena_kms.audit.open_log`'s; only a dry run does without. ``now`` is an aware
    datetime, by default the wall clock. ``keys`` names the keys to rotate instead of what is due,
    or with ``if_due`` those of which what is due is done. ``dry_run`` plans and changes nothing.
    ``deadline`` (a time, a timedelta or seconds from now) is when no more work is begun; what is
    left is reported. ``workers`` keys are worked on at once. ``trigger``, ``reason`` and
    ``principal`` say in the audit log what began the run, why, and who asked. ``looks`` are
    named keys that were looked at just now, which are not looked at again to plan. ``progress(done,
    of)`` is called as keys are done.

    ``compromised`` says that the values of the named keys have leaked: each gets a new version,
    and the old one is retired at once, whatever its grace. It takes a ``reason``. What such a run
    leaves undone the next one does that looks at the key: any but one that names others alone.

    A key's failure stands in the summary. When the log is closed, the endpoint in the environment
    is told what was rotated, failed or is overdue (:mod:`daena_kms.notify`).

    Raises :class:`AuditUnavailable` when the log can't be read or written (then nothing more is
    changed), :class:`~daena_kms.errors.Paused` when changes are switched off,
    :class:`ConfigError` and :class:`~daena_kms.errors.InvalidKeyId` for bad arguments, and the
    store's errors when it can't be listed.
    """
    if not 1 <= workers <= _MAX_WORKERS:
        msg = f"workers is {workers!r}"
        raise ConfigError(msg, todo=f"Pass a number from 1 to {_MAX_WORKERS}")
    settings = Settings.load()
    if not dry_run:
        settings.check_not_paused()
    ids = _checked(keys)
    named = ids is not None and not if_due
    if compromised:
        check_emergency(named=named and bool(ids), reason=reason, dry_run=dry_run)
    clock, given = RunClock(now), looks or {}
    budget = Budget(clock, deadline)
    # Without a log nobody is named.
    who = principal or (settings.operator if log is not None else "")
    context = Context(adapter.store.provider, trigger, who, reason)
    journal = Journal.begin(log, context, clock) if log is not None else None
    if dry_run or journal is None:
        if not dry_run:
            raise ConfigError("no audit log was given", todo="Pass open_log(…), or dry_run=True")
        interrupted = journal.interrupted() if journal is not None else {}
        owed = journal.owed() if journal is not None else {}
        survey = Survey(adapter, clock, budget, ids, interrupted, named, given, compromised, owed)
        return _Run(survey).plan(dry_run=True)
    interrupted, owed = journal.interrupted(), journal.owed()
    journal.recover(adapter.store, lambda: budget.over)
    survey = Survey(adapter, clock, budget, ids, interrupted, named, given, compromised, owed)
    this = _Run(survey)
    summary = this.plan(dry_run=False)
    summary.run_id = journal.run_id
    this.execute(journal, workers, progress or _no_progress)
    summary.finish(clock.elapsed)
    journal.close(summary.counts())
    if wanted(settings):
        from daena_kms.notify.events import of_run

        told = notify(of_run(summary, context, journal.recovered), settings, budget.left)
        summary.notified, summary.undelivered = told
    log_of_runs.info("run %s: %s", summary.run_id, summary.counts())
    return summary


def _checked(keys: Iterable[str] | None) -> list[str] | None:
    if keys is None:
        return None
    ids = [keys] if isinstance(keys, str) else list(keys)
    return list(dict.fromkeys(check_key_id(key_id) for key_id in ids))


class _Run:
    """One run's plan and its execution."""

    def __init__(self, survey: Survey) -> None:
        self._survey = survey
        self._adapter = survey.adapter
        self._clock = survey.clock
        self._budget = survey.budget
        self._named = survey.named
        self._done = 0
        self._summary = Summary(None, self._clock.began)
        self._batch: list[Result] = []
        self._flushed = self._clock()

    def plan(self, *, dry_run: bool) -> Summary:
        """Plan every key, and return a summary that holds the plan, the most overdue key first."""
        summary = self._summary
        summary.dry_run = dry_run
        for actions in self._survey.plans():
            summary.keys += 1
            summary.actions += [a for a in actions if dry_run or a.kind is not Kind.NOTHING]
        summary.actions.sort(key=lambda a: (a.due is None, a.due or self._clock.began))
        for action in summary.actions:
            if action.kind is Kind.HELD and not self._named:
                summary.held.append(action.key_id)
        summary.overdue = len({a.key_id for a in summary.actions if _is_due(a, summary.began)})
        if any(action.revokes for action in summary.actions):
            summary.revoking = self._adapter.store.revoking
        summary.duration = self._clock.elapsed
        return summary

    def execute(self, journal: Journal, workers: int, progress: Callable[[int, int], None]) -> None:
        """Do the plan, each part of it only after the log holds it."""
        work = self._groups()
        worker = Worker(
            store=self._adapter.store,
            defaults=self._adapter.defaults,
            clock=self._clock,
            budget=self._budget,
            random=self._adapter.store.randomness(self._survey.random_bytes),
            named=self._named,
            interrupted=self._survey.interrupted,
            looks=self._survey.looks,
        )
        running: set[Future[list[Result]]] = set()
        pool = ThreadPoolExecutor(workers, thread_name_prefix="daena-kms")
        try:
            for chunk in _chunks(work):
                if self._budget.over:
                    self._leave(chunk)
                    continue
                journal.intend([action_record(a) for actions in chunk for a in actions])
                for actions in chunk:
                    # Twice the workers, so that none is idle while the log is written.
                    while len(running) >= 2 * workers:
                        running = self._collect(running, worker, journal)
                        progress(self._done, len(work))
                    running.add(pool.submit(worker, actions))
            while running:
                running = self._collect(running, worker, journal)
                progress(self._done, len(work))
        except BaseException:
            worker.stop()
            self._drain(worker, journal)
            raise
        finally:
            pool.shutdown()
        self._report(journal)

    def _groups(self) -> list[list[Action]]:
        """Return the changes by key: what is destroyed or retired first, then what is rotated."""
        groups: dict[str, list[Action]] = {}
        for action in self._summary.actions:
            if action.kind in CHANGES:
                groups.setdefault(action.key_id, []).append(action)
        order = (Kind.DESTROY, Kind.RETIRE, Kind.ROTATE, Kind.FINISH)
        for actions in groups.values():
            # What is compromised is current until the rotation away from it.
            away = any(a.compromised and not a.revokes for a in actions)
            actions.sort(key=lambda a, away=away: (away and a.revokes, order.index(a.kind)))  # type: ignore[misc] # mypy infers no default
        return list(groups.values())

    def _leave(self, chunk: Iterable[list[Action]]) -> None:
        for actions in chunk:
            for action in actions:
                self._summary.add(Result(action, Outcome.LEFT))

    def _collect(
        self, running: set[Future[list[Result]]], worker: Worker, journal: Journal
    ) -> set[Future[list[Result]]]:
        done, rest = wait(running, timeout=_BATCH_AGE.total_seconds(), return_when=FIRST_COMPLETED)
        for future in done:
            future.result()  # raises what not even one key's failure may swallow
        self._enter_all(worker)
        self._done += len(done)
        if len(self._batch) >= _BATCH or self._clock() - self._flushed > _BATCH_AGE:
            self._flush(journal)
        return rest

    def _enter_all(self, worker: Worker) -> None:
        while worker.ended:
            self._enter(worker.ended[0])
            worker.ended.popleft()

    def _enter(self, results: list[Result]) -> None:
        unlabelled = not self._adapter.store.can.destroys_version
        for result in results:
            self._summary.add(result, unlabelled=unlabelled)
            self._batch.append(result)

    def _flush(self, journal: Journal) -> None:
        for part in batched(self._batch, MAX_ACTIONS, strict=False):
            journal.record(list(part))
        self._batch = []
        self._flushed = self._clock()

    def _drain(self, worker: Worker, journal: Journal) -> None:
        """Record what has come to its end, if the log still takes it."""
        self._enter_all(worker)
        try:
            self._flush(journal)
            journal.close(self._summary.counts())
        except AuditUnavailable:
            log_of_runs.error("run %s: the audit log can't be written", journal.run_id)

    def _report(self, journal: Journal) -> None:
        """Enter the keys that can't be handled as they are, and write what is left to write."""
        for action in self._summary.actions:
            named_and_held = action.kind is Kind.HELD and self._named
            if action.kind is Kind.FAILING or named_and_held:
                self._summary.add(Result(action, Outcome.FAILED, error=action.error))
                self._batch.append(Result(action, Outcome.FAILED, error=action.error))
        self._flush(journal)
        open_still = {*self._summary.undecided, *self._summary.failed, *self._summary.left}
        decided = {*self._summary.skipped} - open_still
        settled = {*self._summary.rotated, *self._summary.finished, *decided}
        due = {a.key_id for a in self._summary.actions if _is_due(a, self._summary.began)}
        self._summary.late = due - settled
        self._summary.overdue = len(self._summary.late)


def _chunks(groups: Iterable[list[Action]]) -> Iterator[list[list[Action]]]:
    """Part the keys' actions so that no intent holds too many; a key's own stay together."""
    chunk: list[list[Action]] = []
    for actions in groups:
        if chunk and sum(map(len, chunk)) + len(actions) > MAX_ACTIONS:
            yield chunk
            chunk = []
        chunk.append(actions)
    if chunk:
        yield chunk


def _is_due(action: Action, now: datetime) -> bool:
    return action.due is not None and action.due <= now and action.kind is not Kind.NOTHING


def _no_progress(done: int, of: int) -> None:
    """Show nothing."""
