"""Say what made a version: a rotation, a rollback, or what else the log knows."""

from datetime import UTC, timedelta

from daena_kms.audit.reader import entries_of
from daena_kms.audit.records import ROOT, decode, split_name
from daena_kms.errors import AuditUnavailable
from daena_kms.objects.base import Objects
from daena_kms.rules.model import Version

#: An operation begins, and gets its place in the log, at most this long before its version is made.
_BEFORE = timedelta(hours=1)
#: Objects that are read at most. Whoever adds more hides a version's origin, and stops nothing.
_MAX_READ = 200


def kind_that_made(objects: Objects, key_id: str, version: Version) -> str | None:
    """Return the kind of the action that made a version, or ``None`` if the log does not show it.

    It reads the hour in which the version was made and the hour before, the newest objects first.
    Objects that are no records are passed over.

    Args:
        objects: The log.
        key_id: The key.
        version: One of its versions.

    Raises:
        AuditUnavailable: The log can't be read.
    """
    made = version.created.astimezone(UTC)
    entries = [
        entry
        for hour in sorted({made, made - _BEFORE})
        for entry in objects.entries(f"{ROOT}{hour:%Y/%m/%d/%H}/")
        if split_name(entry.name) is not None
    ]
    entries.sort(key=lambda entry: (entry.modified, entry.name), reverse=True)
    for entry in entries[:_MAX_READ]:
        data = objects.get(entry.name) or b""
        try:
            record = decode(data, entry.name)
        except AuditUnavailable:
            continue
        for row in entries_of(record):
            if row.get("key") == key_id and row.get("new_version") == version.id:
                return str(row.get("kind"))
    return None
