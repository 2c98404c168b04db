"""Say what made a version: a rotation, a rollback, or what else the log knows."""

from datetime import UTC, timedelta

from daena_kms.audit.bounds import BoundedLog, ReadBudget, Spent
from daena_kms.audit.entries import entries_of
from daena_kms.audit.records import ROOT, decode, split_name
from daena_kms.errors import AuditUnavailable
from daena_kms.objects.base import Objects
from daena_kms.rules.model import Version
from daena_kms.rules.plan import Outcome

#: An operation begins, and gets its place in the log, at most this long before its version is made.
_BEFORE = timedelta(hours=1)


def kind_that_made(objects: Objects, key_id: str, version: Version) -> str | None:
    """Return the kind of the action that made a version, or ``None`` if the log does not show it.

    It reads the hour in which the version was made and the hour before, the newest objects first,
    within the budget that a run has for reading. Objects that are no records are passed over, and
    only a result that is done counts. So whoever may add to the log can hide a version's origin, by
    adding a lot, or forge it, by adding a result that names the version; that stops nothing else.

    Args:
        objects: The log.
        key_id: The key.
        version: One of its versions.

    Raises:
        AuditUnavailable: The log can't be read.
    """
    log = BoundedLog(objects, ReadBudget())
    made = version.created.astimezone(UTC)
    try:
        entries = [
            entry
            for hour in sorted({made, made - _BEFORE})
            for entry in log.entries(f"{ROOT}{hour:%Y/%m/%d/%H}/")
            if split_name(entry.name) is not None
        ]
        entries.sort(key=lambda entry: (entry.modified, entry.name), reverse=True)
        for entry in entries:
            kind = _kind_in(log.get_listed(entry), entry.name, key_id, version.id)
            if kind is not None:
                return kind
    except Spent:
        pass
    return None


def _kind_in(data: bytes | None, name: str, key_id: str, version_id: str) -> str | None:
    try:
        record = decode(data or b"", name)
    except AuditUnavailable:
        return None
    for row in entries_of(record):
        made = row["result"] == Outcome.DONE and row.get("new_version") == version_id
        if made and row["key"] == key_id:
            return str(row["kind"])
    return None
