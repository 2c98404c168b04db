"""The audit log: whether it can be read and written, and when the schedule last ran."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from daena_kms.audit.bounds import bounded
from daena_kms.audit.folders import folder_at, hours
from daena_kms.audit.intents import read_record
from daena_kms.audit.records import CLOSING, CLOSING_SEQ, split_name
from daena_kms.doctor.base import Needs, Place
from daena_kms.doctor.check import Check, Status, failed
from daena_kms.engine.generation import OLDER_TODO, older
from daena_kms.errors import DaenaKMSError
from daena_kms.objects.base import AlreadyExists, Objects
from daena_kms.rules.due import CLOCK_SKEW
from daena_kms.rules.durations import about
from daena_kms.stores.base import Store

READ, SCHEDULE = "audit log: read", "schedule"
#: How many closing records are read to find the last scheduled runs.
_LOOK_BACK = 200
#: How many that are dated ahead are read, so that they hide none of the others.
_AHEAD = 20
_AGE = "store: age"
_CREATE = "create if absent"


def log_checks(
    log: Objects,
    place: Place,
    provider: str | None,
    now: datetime,
    expected: timedelta,
    store: Store | None = None,
) -> Iterator[Check]:
    """Yield whether the log can be read and written, and how the schedule does.

    Args:
        log: the audit log.
        place: the checks of its place.
        provider: the store whose scheduled runs count; ``None``: those of every store.
        now: this machine's time.
        expected: how long after a scheduled run the next must have ended.
        store: the store, if it can be used: whether it is as new as the log.
    """
    try:
        runs = _newest_runs(log, now)
    except DaenaKMSError as error:
        yield needing(failed(READ, error), place.needs.read)
        return
    if runs:
        yield Check(READ, Status.OK, f"{log.url} can be listed and read")
    else:  # a mistyped address looks the same as a log without a run
        empty = f"{log.url} can be listed, but holds no run that has ended"
        todo = "Check the address; if it is right, run doctor again after the first rotate"
        yield Check(READ, Status.WARNING, empty, todo)
    sample = runs[0][0] if runs else None
    yield create_if_absent(log, sample, "audit log", place.needs)
    if store is not None:
        yield from _age(store, [record["counts"] for _, record in runs])
    yield last_success([record for _, record in runs], provider, now, expected)


def _age(store: Store, counts: list[dict[str, Any]]) -> Iterator[Check]:
    """Yield whether the store is as new as the log says, where a store can be put back."""
    try:
        problem = older(store, counts)
    except DaenaKMSError as error:
        yield failed(_AGE, error)
        return
    if problem is not None:
        yield Check(_AGE, Status.WRONG, problem, OLDER_TODO)


def _newest_runs(log: Objects, now: datetime) -> list[tuple[str, dict[str, Any]]]:
    """Return the newest closing records: the last ones, and some of those that are dated ahead."""
    horizon = now.astimezone(UTC) + CLOCK_SKEW
    ahead = _closings(log, first=folder_at(horizon + timedelta(hours=1)))
    runs = _closings(log, last=folder_at(horizon))
    return [*islice(ahead, _AHEAD), *islice(runs, _LOOK_BACK)]


def _closings(
    objects: Objects, *, first: str = "", last: str = "~"
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the closing records with their names, those of the newest hour first.

    Broken records are skipped.

    Args:
        objects: The log.
        first: The folder of the first hour.
        last: The folder of the last hour.

    Raises:
        AuditUnavailable: The log can't be read.
    """
    for hour in hours(objects, first=first, last=last):
        parted = ((entry, split_name(entry.name)) for entry in objects.scan(hour))
        closed = [entry for entry, parts in parted if parts and parts[2] == CLOSING_SEQ]
        for entry in sorted(closed, key=lambda e: (e.modified, e.name), reverse=True):
            record = read_record(bounded(objects, entry), entry.name)
            if record.get("type") == CLOSING:
                yield entry.name, record


def create_if_absent(objects: Objects, sample: str | None, what: str, needs: Needs) -> Check:
    """Return whether a put of an object that already exists is refused.

    The object is put once more with its own bytes, so that nothing changes even if the store
    ignores the condition.

    Args:
        objects: where the object is.
        sample: its name; ``None`` if there is no object.
        what: the beginning of the finding's name.
        needs: what its codes mean where the put is refused.
    """
    name = f"{what}: {_CREATE}"
    if sample is None:
        return _nothing_yet(name)
    try:
        data = objects.get(sample)
        if data is None:
            return _nothing_yet(name)
        if not _is_ours(data):
            found = f"what was read as {sample} is none of our objects: something else answered"
            return Check(name, Status.UNKNOWN, found, "Look for a proxy, or run audit verify")
        objects.put_new(sample, data)
    except AlreadyExists as exists:
        return _there_already(name, sample, exists, needs)
    except DaenaKMSError as error:
        return failed(name, error)
    found = f"{sample} was overwritten: of two writers both succeed, and records can be lost"
    todo = "Keep it in a store with create-if-absent: S3, Blob Storage or Cloud Storage"
    return Check(name, Status.WRONG, found, todo)


def _is_ours(data: bytes) -> bool:
    """Return whether this is a record or a claim: nothing else is put, whatever answered."""
    try:
        return isinstance(json.loads(data), dict)
    except (ValueError, RecursionError):
        return False


def _there_already(name: str, sample: str, exists: AlreadyExists, needs: Needs) -> Check:
    if not exists.refused or exists.refused in needs.overwrite_codes:
        found = f"a second put of {sample} was refused, as it should be"
        return Check(name, Status.OK, found)
    if exists.refused in needs.write_codes:
        found = f"this caller may not write ({exists.refused})"
        return Check(name, Status.WRONG, found, f"Allow {needs.write} in the caller's role")
    found = (
        f"the put was refused ({exists.refused}), either because the object exists or altogether"
    )
    todo = f"Look for {needs.write} in the caller's role"
    return Check(name, Status.UNKNOWN, found, todo)


def needing(check: Check, permissions: str) -> Check:
    """Return a finding that also says which permissions it takes."""
    return replace(check, todo=f"{check.todo}. This needs {permissions}")


def _nothing_yet(name: str) -> Check:
    found = "there is no object yet to try it on, and none is added for it"
    return Check(name, Status.UNKNOWN, found, "Run doctor again after the first rotate")


def last_success(
    records: list[dict[str, Any]], provider: str | None, now: datetime, expected: timedelta
) -> Check:
    """Return how the schedule does, from the closing records, the newest hour's first."""
    scheduled = [
        (datetime.fromisoformat(record["time"]), _failures(record))
        for record in records
        if record["trigger"] == SCHEDULE and provider in {None, record["provider"]}
    ]
    # A run that is dated ahead says nothing about now: a clock was wrong, or it is forged.
    runs = [(when, failures) for when, failures in scheduled if when <= now + CLOCK_SKEW]
    check = _last_success(runs, len(records), now, expected)
    ahead = len(scheduled) - len(runs)
    if not ahead:
        return check
    status = Status.WARNING if check.status is Status.OK else check.status
    found = f"{check.found}; {ahead} more, dated ahead of this machine's clock, do not count"
    todo = "Check the clocks of this machine and of the schedule's, and run audit verify"
    return Check(SCHEDULE, status, found, f"{check.todo}. {todo}" if check.todo else todo)


def _last_success(
    runs: list[tuple[datetime, int]], count: int, now: datetime, expected: timedelta
) -> Check:
    name = SCHEDULE
    if not runs:
        found = f"no scheduled run is among the last {count} runs in the log"
        todo = "Set up the schedule, and check that it writes to this log"
        return Check(name, Status.WARNING, found, todo)
    last, failures = max(runs)
    ago = f"{about(max(timedelta(), now - last))} ago"
    success = max((when for when, failing in runs if not failing), default=None)
    if now - last > expected:
        found = f"the last scheduled run ended {ago}; one is expected every {_hours(expected)}"
        todo = "Check that the schedule is enabled, what its last invocation returned, and its log"
        return Check(name, Status.WRONG, found, todo)
    if failures:
        found = f"the last scheduled run, {ago}, failed for {failures} keys; "
        found += (
            f"no scheduled run among the last {count} succeeded"
            if success is None
            else f"the last one without a failure ended {about(now - success)} ago"
        )
        todo = "Run audit log: it shows each key and its error"
        return Check(name, Status.WRONG, found, todo)
    return Check(name, Status.OK, f"the last scheduled run ended {ago}, without a failure")


def _failures(record: dict[str, Any]) -> int:
    count = record["counts"].get("failed", 0)
    return count if isinstance(count, int) else 0


def _hours(value: timedelta) -> str:
    return f"{value / timedelta(hours=1):g} h"
