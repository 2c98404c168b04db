"""The whole run: plan, write the plan to the audit log, do it, write the results."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from datetime import datetime, timedelta
from itertools import batched

from daena_kms.audit.records import MAX_ACTIONS, Context
from daena_kms.engine.clock import Budget, Deadline, RunClock
from daena_kms.engine.journal import Journal
from daena_kms.engine.request import Request, checked_ids
from daena_kms.engine.survey import Survey
from daena_kms.engine.worker import Worker
from daena_kms.errors import AuditUnavailable, ConfigError, contained
from daena_kms.notify import notify, wanted
from daena_kms.objects.base import Objects
from daena_kms.rules.model import Key
from daena_kms.rules.plan import CHANGES, Action, Kind, Outcome
from daena_kms.rules.summary import Result, Summary, action_record
from daena_kms.settings import Settings
from daena_kms.stores.adapter import CloudKMSAdapter

logger = logging.getLogger("daena_kms")

_BATCH = 50
_BATCH_AGE = timedelta(seconds=5)


@contained
def run(
    adapter: CloudKMSAdapter,
    log: Objects | None,
    now: datetime | None = None,
    keys: Iterable[str] | None = None,
    dry_run: bool = False,  # noqa: FBT001, FBT002 - the public signature
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

    A key's failure stands in the summary. After the closing record, events about keys that were
    rotated, failed or are overdue go to the endpoint in the environment (:mod:`daena_kms.notify`).

    Args:
        adapter: The store and the policy of keys whose tags say nothing.
        log: What :func:`daena_kms.audit.open_log` returns; only a dry run needs none.
        now: An aware datetime; by default the wall clock.
        keys: Ids of the keys to rotate, due or not. By default the run looks at all managed keys
            and does what is due.
        dry_run: Plan, and change nothing.
        deadline: When the run stops beginning work: a time, a timedelta, or seconds from now. The
            summary names what is left.
        workers: How many keys are worked on at once, 1 to 64.
        trigger: What began the run, for the audit log.
        reason: Why, for the audit log.
        principal: Who asked, for the audit log; by default ``DAENA_OPERATOR``.
        if_due: Do only what is due for the ``keys``.
        compromised: The values of the ``keys`` have leaked: each key gets a new version, and the
            old one is retired at once, whatever its grace. A ``reason`` is required. If a
            revocation stays pending, the next run that looks at the key completes it; only a run
            that names other keys does not look at it.
        looks: Looks at some of the ``keys`` that were taken just now, so that planning need not
            look again.
        progress: Called as ``progress(done, of)`` when keys are done.

    Raises:
        AuditUnavailable: The log can't be read or written. Nothing more is changed then.
        Paused: Changes are switched off.
        ConfigError: An argument is wrong, or there is no log.
        InvalidKeyId: One of the ``keys`` is not a key id.
        AccessDenied: The store refuses to list its keys.
        StoreUnavailable: The store did not answer when its keys were listed.
    """
    settings = Settings.load()
    if not dry_run:
        settings.check_not_paused()
    clock = RunClock(now)
    # Without a log there is no record to name a person in.
    who = principal or (settings.operator if log is not None else "")
    request = Request(
        adapter=adapter,
        key_ids=checked_ids(keys),
        if_due=if_due,
        compromised=compromised,
        dry_run=dry_run,
        context=Context(adapter.store.provider, trigger, who, reason),
        workers=workers,
        looks=looks or {},
        progress=progress or _no_progress,
        clock=clock,
        budget=Budget(clock, deadline),
    )
    request.check()
    if log is None and not dry_run:
        raise ConfigError("no audit log was given", todo="Pass open_log(…), or dry_run=True")
    journal = Journal.begin(log, request.context, clock) if log is not None else None
    survey = Survey(
        request=request,
        interrupted=journal.interrupted() if journal is not None else {},
        pending_revocations=journal.pending_revocations() if journal is not None else {},
    )
    if dry_run or journal is None:
        return _Run(request, survey).plan()
    journal.recover(adapter.store, lambda: request.budget.over)
    this = _Run(request, survey)
    summary = this.plan()
    this.execute(journal)
    summary.finish(clock.elapsed)
    journal.close(summary.counts())
    if wanted(settings):
        _notify(summary, request, journal, settings)
    logger.info("run %s: %s", summary.run_id, summary.counts())
    return summary


def _notify(summary: Summary, request: Request, journal: Journal, settings: Settings) -> None:
    """Send the endpoint events of what the run did, and count them in the summary."""
    from daena_kms.notify.events import of_run

    events = of_run(summary, request.context, journal.recovered)
    summary.notified, summary.undelivered = notify(events, settings, request.budget.left)


def _no_progress(done: int, of: int) -> None:
    """Show nothing."""


class _Run:
    """One run's plan and its execution."""

    def __init__(self, request: Request, survey: Survey) -> None:
        self._request = request
        self._survey = survey
        self._store = request.adapter.store
        self._done = 0
        self._summary = Summary(None, request.clock.began, dry_run=request.dry_run)
        self._batch: list[Result] = []
        self._flushed = request.clock()

    def plan(self) -> Summary:
        """Plan every key, and return a summary that holds the plan, the most overdue key first."""
        summary = self._summary
        for actions in self._survey.plans():
            summary.keys += 1
            summary.actions += [a for a in actions if summary.dry_run or a.kind is not Kind.NOTHING]
        summary.actions.sort(key=lambda a: (a.due is None, a.due or summary.began))
        for action in summary.actions:
            if action.kind is Kind.HELD and not self._request.named:
                summary.held.append(action.key_id)
        summary.overdue = len(_due_keys(summary))
        if any(action.revokes for action in summary.actions):
            summary.revoking = self._store.revoking
        summary.duration = self._request.clock.elapsed
        return summary

    def execute(self, journal: Journal) -> None:
        """Do the plan, each part of it only after the log has its intent."""
        self._summary.run_id = journal.run_id
        workers, progress = self._request.workers, self._request.progress
        work = self._groups()
        worker = Worker(
            request=self._request,
            interrupted=self._survey.interrupted,
            looks=self._survey.looks,
            random=self._store.randomness(self._survey.random_bytes),
        )
        running: set[Future[list[Result]]] = set()
        pool = ThreadPoolExecutor(workers, thread_name_prefix="daena-kms")
        try:
            for chunk in _chunks(work):
                if self._request.budget.over:
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
        """Return the changes by key, in order: destroy, retire, rotate.

        The keys that have a compromised version come first, in case the time is not enough for all.
        """
        groups: dict[str, list[Action]] = {}
        for action in self._summary.actions:
            if action.kind in CHANGES:
                groups.setdefault(action.key_id, []).append(action)
        order = (Kind.DESTROY, Kind.RETIRE, Kind.ROTATE, Kind.FINISH)
        for actions in groups.values():
            # A compromised version is current until it is rotated away from, so it is retired last.
            away = any(a.compromised and not a.revokes for a in actions)
            actions.sort(key=lambda a, away=away: (away and a.revokes, order.index(a.kind)))  # type: ignore[misc] # mypy infers no default
        return sorted(groups.values(), key=lambda actions: not any(a.compromised for a in actions))

    def _leave(self, chunk: Iterable[list[Action]]) -> None:
        for actions in chunk:
            for action in actions:
                self._summary.add(Result(action, Outcome.LEFT))

    def _collect(
        self, running: set[Future[list[Result]]], worker: Worker, journal: Journal
    ) -> set[Future[list[Result]]]:
        done, rest = wait(running, timeout=_BATCH_AGE.total_seconds(), return_when=FIRST_COMPLETED)
        for future in done:
            future.result()  # raises what is not one key's failure: Ctrl-C, the process's end
        self._enter_all(worker)
        self._done += len(done)
        if len(self._batch) >= _BATCH or self._request.clock() - self._flushed > _BATCH_AGE:
            self._flush(journal)
        return rest

    def _enter_all(self, worker: Worker) -> None:
        while worker.ended:
            self._enter(worker.ended[0])
            worker.ended.popleft()

    def _enter(self, results: list[Result]) -> None:
        unlabelled = not self._store.can.destroys_version
        for result in results:
            self._summary.add(result, unlabelled=unlabelled)
            self._batch.append(result)

    def _flush(self, journal: Journal) -> None:
        for part in batched(self._batch, MAX_ACTIONS, strict=False):
            journal.record(list(part))
        self._batch = []
        self._flushed = self._request.clock()

    def _drain(self, worker: Worker, journal: Journal) -> None:
        """Record the work that has ended, if the log can still be written."""
        self._enter_all(worker)
        try:
            self._flush(journal)
            journal.close(self._summary.counts())
        except AuditUnavailable:
            logger.error(
                "run %s: the audit log can't be written; the next run finds out what this one did",
                journal.run_id,
            )

    def _report(self, journal: Journal) -> None:
        """Enter the keys that can't be handled as they are, and write the remaining results."""
        for action in self._summary.actions:
            named_and_held = action.kind is Kind.HELD and self._request.named
            if action.kind is Kind.FAILING or named_and_held:
                self._summary.add(Result(action, Outcome.FAILED, error=action.error))
                self._batch.append(Result(action, Outcome.FAILED, error=action.error))
        self._flush(journal)
        self._summary.note_overdue(_due_keys(self._summary))


def _chunks(groups: Iterable[list[Action]]) -> Iterator[list[list[Action]]]:
    """Split the actions so that no intent holds too many; those of one key stay together."""
    chunk: list[list[Action]] = []
    for actions in groups:
        if chunk and sum(map(len, chunk)) + len(actions) > MAX_ACTIONS:
            yield chunk
            chunk = []
        chunk.append(actions)
    if chunk:
        yield chunk


def _due_keys(summary: Summary) -> set[str]:
    """Return the ids of the keys that the plan shows as due when the run began."""
    return {
        action.key_id
        for action in summary.actions
        if action.due is not None
        and action.due <= summary.began
        and action.kind is not Kind.NOTHING
    }
