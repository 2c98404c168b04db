"""The entries of one object of the log: what was done, each with its run's who and why."""

from collections.abc import Iterator, Mapping
from typing import Any

from daena_kms.audit.bounds import bounded
from daena_kms.audit.intents import read_record
from daena_kms.audit.problems import PassedOver
from daena_kms.objects.base import Entry, Objects


def rows_in(
    objects: Objects, entry: Entry, passed_over: PassedOver | None
) -> Iterator[dict[str, Any]]:
    """Yield the results in an object, or note that no run wrote it so."""
    record = read_record(bounded(objects, entry), entry.name)
    if record:
        yield from entries_of(record)
    elif passed_over is not None:
        passed_over.add(entry.name)


def entries_of(record: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield a record's results, each with its time and its run's who and why."""
    who = {n: record[n] for n in ("run", "trigger", "principal", "reason", "provider")}
    for result in record.get("results", ()):
        yield {"time": result.get("ended") or record["time"], **who, **result}
