"""Makes events of what a run or an operation did. Pure: no I/O, no clock."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from daena_kms.audit.records import Context
from daena_kms.errors import DaenaKMSError
from daena_kms.notify.base import Event
from daena_kms.rules.durations import format_time
from daena_kms.rules.summary import Summary

ROTATED = "io.daena-kms.key.rotated"
ROLLED_BACK = "io.daena-kms.key.rolled-back"
#: A compromised version was retired at once.
REVOKED = "io.daena-kms.key.revoked"
#: A run found a key that carried only our tags, and enrolled it.
ENROLLED = "io.daena-kms.key.enrolled"
FAILED = "io.daena-kms.key.failed"
OVERDUE = "io.daena-kms.key.overdue"
#: One event for all keys that have none of their own, because there are too many.
RUN = "io.daena-kms.run.summary"
TYPES = (ROTATED, REVOKED, ROLLED_BACK, ENROLLED, FAILED, OVERDUE, RUN)

#: A run sends at most so many events for single keys.
MAX_EVENTS = 20

#: The type of event for an operation on one key, and for an action that an earlier run had done.
_OPERATIONS = {"rollback": ROLLED_BACK, "rotate": ROTATED, "record": ROTATED}
_RECOVERED = {**_OPERATIONS, "finish": ROTATED, "enrol": ENROLLED}
#: How a key came to be managed, for people.
_BY_TAG = "enrolled by tag"
_MAX_TEXT = 500

#: Type, key id and details of an event.
type _Draft = tuple[str, str, dict[str, Any]]


def of_run(
    summary: Summary, context: Context, recovered: Iterable[Mapping[str, Any]] = ()
) -> Iterator[Event]:
    """Yield the events of a run that has ended: failures first, then the rest.

    Most keys have one event. A key that was rotated has a second one if something else failed for
    it, or if a compromised version was retired, so that nobody misses the new version.

    Args:
        summary: what the run did.
        context: the run's trigger, reason and store.
        recovered: what the run found out about actions of earlier runs, for which no event was sent
            (``Journal.recovered`` in :mod:`daena_kms.engine.journal`).
    """
    drafts = list(_of_keys(summary))
    known = {key_id for kind, key_id, _ in drafts if kind == ROTATED}
    drafts += [draft for draft in _of_recovered(recovered) if draft[1] not in known]
    common = _common(summary.run_id or "", context, "run")
    yield from _bounded(drafts, common, summary.began + summary.duration, summary.counts())


def of_operation(
    kind: str,
    key_id: str,
    run_id: str,
    context: Context,
    at: datetime,
    *,
    new_version: str | None = None,
    error: DaenaKMSError | None = None,
    recovered: Iterable[Mapping[str, Any]] = (),
) -> Iterator[Event]:
    """Yield the events of an operation on one key; most operations have none.

    Args:
        kind: the operation, as the audit log names it.
        key_id: the key.
        run_id: the operation's run in the audit log.
        context: the operation's trigger, reason and store.
        at: when it ended.
        new_version: the id of the version that it made, if it made one.
        error: why it failed, if it did.
        recovered: as in :func:`of_run`.
    """
    drafts: list[_Draft] = []
    if kind in _OPERATIONS and error is None:
        drafts.append((_OPERATIONS[kind], key_id, {"new_version": new_version}))
    elif kind in _OPERATIONS:
        drafts.append((FAILED, key_id, _failure(error)))
    known = {(type_, key) for type_, key, _ in drafts}
    drafts += [draft for draft in _of_recovered(recovered) if draft[:2] not in known]
    counts = {kind if error is None else "failed": 1}
    yield from _bounded(drafts, _common(run_id, context, kind), at, counts)


def _bounded(
    drafts: list[_Draft], common: Mapping[str, Any], at: datetime, counts: Mapping[str, int]
) -> Iterator[Event]:
    if len(drafts) > MAX_EVENTS:
        left_out = [kind.rpartition(".")[2] for kind, _, _ in drafts[MAX_EVENTS:]]
        unsent = {kind: left_out.count(kind) for kind in sorted(set(left_out))}
        yield _event(RUN, common["run"], {**common, "counts": counts, "unsent": unsent}, at)
    for kind, key_id, more in drafts[:MAX_EVENTS]:
        yield _event(kind, key_id, {"key": key_id, **common, **more}, at)


def _of_recovered(rows: Iterable[Mapping[str, Any]]) -> Iterator[_Draft]:
    """Yield what earlier runs did without recording it: for each key and type, the last action."""
    last: dict[tuple[str, str], dict[str, Any]] = {}
    for row in rows:
        if row["kind"] in _RECOVERED:
            more = {"new_version": row.get("new_version"), "operation": "recovery"}
            if row["kind"] == "enrol":
                more |= {"message": _BY_TAG, "first_due": row.get("due")}
            last[_RECOVERED[row["kind"]], row["key"]] = more
    for kind, key_id in sorted(last):
        yield kind, key_id, last[kind, key_id]


def _of_keys(summary: Summary) -> Iterator[_Draft]:
    """Yield the drafts of a run, the most urgent first."""
    for key_id in summary.failed:
        yield FAILED, key_id, _failure(summary.errors.get(key_id))
    for key_id in summary.revoked:
        yield REVOKED, key_id, {"versions": summary.revoked_versions.get(key_id)}
    due = {a.key_id: a.due for a in summary.actions if a.due is not None}
    for key_id in sorted(summary.overdue_keys - {*summary.failed}):
        since = due.get(key_id)
        yield OVERDUE, key_id, {} if since is None else {"due": format_time(since)}
    for key_id in summary.enrolled:
        # Whoever tagged it by mistake has until then to take the tag off again.
        first = due.get(key_id)
        yield (
            ENROLLED,
            key_id,
            {
                "message": _cut(summary.notes.get(key_id, _BY_TAG)),
                "first_due": format_time(first) if first is not None else None,
            },
        )
    finished = {*summary.finished}
    for key_id in sorted({*summary.rotated, *finished}):
        more = {"new_version": summary.new_versions.get(key_id)}
        yield ROTATED, key_id, {**more, "finished": True} if key_id in finished else more


def _failure(error: DaenaKMSError | None) -> dict[str, Any]:
    if error is None:
        return {}
    return {"error": error.code, "message": _cut(str(error))}


def _common(run_id: str, context: Context, operation: str) -> dict[str, Any]:
    common = {
        "provider": context.provider,
        "run": run_id,
        "operation": operation,
        "trigger": _cut(context.trigger),
    }
    return common if context.reason is None else {**common, "reason": _cut(context.reason)}


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_TEXT else f"{text[:_MAX_TEXT]}…"


def _event(kind: str, subject: str, data: Mapping[str, Any], at: datetime) -> Event:
    named = "\n".join((data["run"], subject, kind))
    return Event(
        id=hashlib.sha256(named.encode()).hexdigest()[:32],
        type=kind,
        source=f"urn:daena-kms:{data['provider']}",
        subject=subject,
        time=at,
        data={name: value for name, value in data.items() if value is not None},
    )
