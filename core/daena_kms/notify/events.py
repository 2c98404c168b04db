"""What a run or an operation did, as events. Pure: no I/O, no clock."""

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
FAILED = "io.daena-kms.key.failed"
OVERDUE = "io.daena-kms.key.overdue"
#: One for all keys that have no event of their own, because there are too many.
RUN = "io.daena-kms.run.summary"
TYPES = (ROTATED, REVOKED, ROLLED_BACK, FAILED, OVERDUE, RUN)

#: A run tells of at most so many keys one by one.
MAX_EVENTS = 20

#: The operations on single keys that are told, and as what; and what a log's rows are told as.
_OPERATIONS = {"rollback": ROLLED_BACK, "rotate": ROTATED, "record": ROTATED}
_RECOVERED = {**_OPERATIONS, "finish": ROTATED}
_LONGEST = 500

#: Type, key and details of an event.
type _Told = tuple[str, str, dict[str, Any]]


def of_run(
    summary: Summary, context: Context, recovered: Iterable[Mapping[str, Any]] = ()
) -> Iterator[Event]:
    """Yield what is to be told of a run that has ended: failures first, then the rest.

    A key has one event; only one that was rotated and of which something else failed, or a
    compromised version retired, has two, so that nobody misses the new version. ``recovered`` is
    what the run found that earlier ones had done (see
    :attr:`daena_kms.engine.journal.Journal.recovered`), of which nobody has told.
    """
    told = list(_of_keys(summary))
    known = {key_id for kind, key_id, _ in told if kind == ROTATED}
    told += [found for found in _of_recovered(recovered) if found[1] not in known]
    common = _common(summary.run_id or "", context, "run")
    yield from _bounded(told, common, summary.began + summary.duration, summary.counts())


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
    """Yield what is to be told of an operation on one key: of most of them nothing.

    ``recovered`` is as in :func:`of_run`.
    """
    told: list[_Told] = []
    if kind in _OPERATIONS and error is None:
        told.append((_OPERATIONS[kind], key_id, {"new_version": new_version}))
    elif kind in _OPERATIONS:
        told.append((FAILED, key_id, _failure(error)))
    known = {(type_, key) for type_, key, _ in told}
    told += [found for found in _of_recovered(recovered) if found[:2] not in known]
    counts = {kind if error is None else "failed": 1}
    yield from _bounded(told, _common(run_id, context, kind), at, counts)


def _bounded(
    told: list[_Told], common: Mapping[str, Any], at: datetime, counts: Mapping[str, int]
) -> Iterator[Event]:
    if len(told) > MAX_EVENTS:
        silent = [kind.rpartition(".")[2] for kind, _, _ in told[MAX_EVENTS:]]
        unsent = {kind: silent.count(kind) for kind in sorted(set(silent))}
        yield _event(RUN, common["run"], {**common, "counts": counts, "unsent": unsent}, at)
    for kind, key_id, more in told[:MAX_EVENTS]:
        yield _event(kind, key_id, {"key": key_id, **common, **more}, at)


def _of_recovered(rows: Iterable[Mapping[str, Any]]) -> Iterator[_Told]:
    """Yield what earlier runs did without knowing: a key's last one, by type."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for row in rows:
        if row["kind"] in _RECOVERED:
            more = {"new_version": row.get("new_version"), "operation": "recovery"}
            found[_RECOVERED[row["kind"]], row["key"]] = more
    for kind, key_id in sorted(found):
        yield kind, key_id, found[kind, key_id]


def _of_keys(summary: Summary) -> Iterator[_Told]:
    """Yield type, key and details of each event, the most pressing first."""
    for key_id in summary.failed:
        yield FAILED, key_id, _failure(summary.errors.get(key_id))
    for key_id in summary.revoked:
        yield REVOKED, key_id, {"versions": summary.revoked_versions.get(key_id)}
    due = {a.key_id: a.due for a in summary.actions if a.due is not None}
    for key_id in sorted(summary.overdue_keys - {*summary.failed}):
        since = due.get(key_id)
        yield OVERDUE, key_id, {} if since is None else {"due": format_time(since)}
    finished = {*summary.finished}
    for key_id in sorted({*summary.rotated, *finished}):
        more = {"new_version": summary.new_versions.get(key_id)}
        yield ROTATED, key_id, {**more, "finished": True} if key_id in finished else more


def _failure(error: DaenaKMSError | None) -> dict[str, Any]:
    if error is None:
        return {}
    return {"error": error.code, "message": _cut(str(error))}


def _common(run_id: str, context: Context, operation: str) -> dict[str, Any]:
    found = {
        "provider": context.provider,
        "run": run_id,
        "operation": operation,
        "trigger": _cut(context.trigger),
    }
    return found if context.reason is None else {**found, "reason": _cut(context.reason)}


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


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
