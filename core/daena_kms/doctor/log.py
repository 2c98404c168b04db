"""What the audit log shows: that it can be read and written, and when the schedule last ran."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from daena_kms.audit.reader import closings
from daena_kms.doctor.base import Needs, Place
from daena_kms.doctor.check import Check, Status, failed
from daena_kms.errors import DaenaKMSError
from daena_kms.objects.base import AlreadyExists, Objects
from daena_kms.rules.due import CLOCK_SKEW
from daena_kms.rules.durations import about

SCHEDULE = "schedule"
#: How many closing records are read to find the schedule's last runs.
_LOOK_BACK = 200
_CREATE = "create if absent"


def log_checks(
    log: Objects, place: Place, provider: str | None, now: datetime, expected: timedelta
) -> Iterator[Check]:
    """Yield whether the log can be read and written, and what it says of the schedule."""
    try:
        runs = list(islice(closings(log), _LOOK_BACK))
    except DaenaKMSError as error:
        found = failed("audit log: read", error)
        yield replace(found, todo=f"{found.todo}. It takes {place.needs.read}")
        return
    if runs:
        yield Check("audit log: read", Status.OK, f"{log.url} can be listed and read")
    else:  # a mistyped address looks the same as a log that has not begun
        empty = f"{log.url} can be listed, and holds no run that has ended"
        todo = "See if the address is right; if it is, run again after the first run of rotate"
        yield Check("audit log: read", Status.WARNING, empty, todo)
    sample = runs[0][0] if runs else None
    yield create_if_absent(log, sample, "audit log", place.needs)
    yield last_success([record for _, record in runs], provider, now, expected)


def create_if_absent(objects: Objects, sample: str | None, what: str, needs: Needs) -> Check:
    """Put an object that is there once more, with the very same bytes, and see it refused.

    Where the condition were ignored, the bytes would be the same as before.
    """
    name = f"{what}: {_CREATE}"
    if sample is None:
        return _nothing_yet(name)
    try:
        data = objects.get(sample)
        if data is None:
            return _nothing_yet(name)
        objects.put_new(sample, data)
    except AlreadyExists as exists:
        return _there_already(name, sample, exists, needs)
    except DaenaKMSError as error:
        return failed(name, error)
    found = f"{sample} was written over: of two writers both win, and records can be lost"
    todo = "Keep it in a store with create-if-absent: S3, Blob Storage or Cloud Storage itself"
    return Check(name, Status.WRONG, found, todo)


def _there_already(name: str, sample: str, exists: AlreadyExists, needs: Needs) -> Check:
    if not exists.refused or exists.refused in needs.fine:
        found = f"putting {sample} once more was refused, as it has to be"
        return Check(name, Status.OK, found)
    if exists.refused in needs.missing:
        found = f"writing is refused ({exists.refused})"
        return Check(name, Status.WRONG, found, f"Allow {needs.write} in the caller's role")
    found = f"the put was refused ({exists.refused}), for the object there or altogether"
    todo = f"Look for {needs.write} in the caller's role"
    return Check(name, Status.UNKNOWN, found, todo)


def _nothing_yet(name: str) -> Check:
    found = "there is no object yet to try it on without adding one"
    return Check(name, Status.UNKNOWN, found, "Run again after the first run of rotate")


def last_success(
    records: list[dict[str, Any]], provider: str | None, now: datetime, expected: timedelta
) -> Check:
    """Return how the schedule does, from the closing records, the newest hour's first."""
    found = [
        (datetime.fromisoformat(record["time"]), _failures(record))
        for record in records
        if record["trigger"] == SCHEDULE and provider in {None, record["provider"]}
    ]
    # What is dated ahead says nothing of now: a clock was wrong, or somebody forged it.
    runs = [(when, failures) for when, failures in found if when <= now + CLOCK_SKEW]
    check = _last_success(runs, len(records), now, expected)
    ahead = len(found) - len(runs)
    if not ahead:
        return check
    status = Status.WARNING if check.status is Status.OK else check.status
    said = f"{check.found}; not counted are {ahead} that are dated ahead of this machine's clock"
    todo = "Check the clocks of this machine and of the schedule's, and run audit verify"
    return Check(SCHEDULE, status, said, f"{check.todo}. {todo}" if check.todo else todo)


def _last_success(
    runs: list[tuple[datetime, int]], count: int, now: datetime, expected: timedelta
) -> Check:
    name = SCHEDULE
    if not runs:
        found = f"no scheduled run is among the last {count} runs in the log"
        todo = "Set up the schedule, and see that it writes to this log"
        return Check(name, Status.WARNING, found, todo)
    last, failures = max(runs)
    ago = f"{about(max(timedelta(), now - last))} ago"
    success = max((when for when, failing in runs if not failing), default=None)
    if now - last > expected:
        found = f"the last scheduled run ended {ago}; one is expected every {_hours(expected)}"
        todo = "See whether the schedule is on, what its last invocation answered, and its log"
        return Check(name, Status.WRONG, found, todo)
    if failures:
        before = "none" if success is None else f"one {about(now - success)} ago"
        found = f"the last scheduled run, {ago}, failed for {failures} keys; {before} did not"
        todo = "Run audit log: it shows each key and its error"
        return Check(name, Status.WRONG, found, todo)
    return Check(name, Status.OK, f"the last scheduled run ended {ago}, without a failure")


def _failures(record: dict[str, Any]) -> int:
    count = record["counts"].get("failed", 0)
    return count if isinstance(count, int) else 0


def _hours(value: timedelta) -> str:
    return f"{value / timedelta(hours=1):g} h"
