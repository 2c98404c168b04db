"""Store values that a caller brings, through the audit log, or record that somebody else did.

The engine and :mod:`daena_kms.operations` generate values. A caller's value is stored exactly, or
not at all.
"""

from collections.abc import Callable, Mapping
from typing import Any

from daena_kms.audit.records import Context
from daena_kms.engine.clock import RunClock
from daena_kms.engine.journal import Journal
from daena_kms.errors import KeyExists, KeyNotFound, RotationConflict
from daena_kms.objects.base import Objects
from daena_kms.operations import Attestation, Operations
from daena_kms.rules.durations import format_time
from daena_kms.rules.model import Key
from daena_kms.rules.names import check_key_id, check_material
from daena_kms.rules.plan import Outcome
from daena_kms.rules.policy import is_managed


class Recording(Operations):
    """The audited operations, and one more: to store a value that the caller brings."""

    def store(
        self,
        key_id: str,
        key_material: str,
        *,
        new_tags: Mapping[str, str],
        attestation: Attestation,
    ) -> str:
        """Make the caller's value current and return the id of its version.

        A key that does not exist is created with ``new_tags``.

        Raises:
            RotationConflict: Another writer was faster, for a new key as well. Its value is never
                taken for the caller's.
        """
        check_key_id(key_id)
        material = check_material(key_material, key_id)
        key = self._existing_key(key_id)
        if key is None:
            return self._create_key(key_id, material, new_tags, attestation)
        self._adapter.check_rotatable(key, self._clock())
        return self._rotated("rotate", key, material, attestation)

    def _existing_key(self, key_id: str) -> Key | None:
        """Return the key, or ``None`` where it is to be created."""
        try:
            key = self._store.describe(key_id, exact=True)
        except KeyNotFound:
            return None
        # A managed key without a version that was ever current: its creation was interrupted.
        # Treat it as absent and resume; the store raises if somebody is still creating it.
        interrupted = not any(v.was_current for v in key.versions) and is_managed(key.tags)
        return None if interrupted and key.deleted is None else key

    def _create_key(
        self, key_id: str, material: str, tags: Mapping[str, str], attestation: Attestation
    ) -> str:
        try:
            return self.create(key_id, material, tags=tags, attestation=attestation)
        except KeyExists as error:
            existing = self._existing_key(key_id)
            if existing is not None and existing.deleted is not None:
                raise
            # It did not exist a moment ago.
            todo = "Read it, and record your value again if it should still become current"
            raise RotationConflict(error.what, key_id=key_id, todo=todo) from None


def note(
    log: Objects,
    context: Context,
    clock: RunClock,
    row: Mapping[str, Any],
    attestation: Callable[[str], Mapping[str, Any]],
) -> str:
    """Write to the log what was done elsewhere, and return the run's id. No store is touched.

    Nothing that we manage changes, so no intent comes first. What earlier runs left unresolved is
    left to a run that has a store.

    Args:
        log: The audit log.
        context: Who records it, and why.
        clock: The time of the run.
        row: The result's members.
        attestation: Takes the run's id, and returns further members of the result.
    """
    journal = Journal.begin(log, context, clock)
    journal.leave()
    started = format_time(clock())
    more = attestation(journal.run_id)
    ended = format_time(clock())
    journal.record_rows(
        [{**row, **more, "result": Outcome.DONE, "started": started, "ended": ended}]
    )
    journal.close({str(row["kind"]): 1})
    return journal.run_id
