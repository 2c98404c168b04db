"""What a handler is given, and the checks that handlers share."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from daena_kms.api.access import Access, Permission
from daena_kms.api.fields import REASON
from daena_kms.api.inputs import Field, check_match
from daena_kms.api.messages import Forbidden, Request, TooSoon
from daena_kms.audit.origin import kind_that_made
from daena_kms.engine.clock import Budget, Deadline, RunClock
from daena_kms.objects.base import Objects
from daena_kms.operations import Operations
from daena_kms.rules.model import Key, Version
from daena_kms.rules.policy import is_managed
from daena_kms.settings import Settings
from daena_kms.stores.adapter import CloudKMSAdapter

#: What started it, as the audit log records it.
TRIGGER = "http"
_ROLLBACK = "rollback"


@dataclass(frozen=True, slots=True)
class Call:
    """One request, with everything that a handler needs to do it."""

    request: Request
    #: The key that the address names; empty where it names none.
    key_id: str
    #: The fields of the query and the members of the body, as they were sent.
    given: Mapping[str, Any]
    adapter: CloudKMSAdapter
    log: Objects
    access: Access
    settings: Settings
    deadline: Deadline | None
    clock: RunClock
    budget: Budget

    @property
    def principal(self) -> str:
        """The verified caller; the router refuses a request without one."""
        return self.request.principal or ""

    def value[T](self, field: Field[T]) -> T:
        """Return what was sent in a field; :meth:`Route.check` has checked all of them."""
        return field.value(self.given)

    def check(self, permission: Permission, key_id: str | None = None) -> None:
        """Raise :class:`Forbidden` unless the caller has a permission on a key, or on all keys."""
        if not self.access.allows(self.principal, permission, key_id):
            keys = "this key" if key_id else "all keys"
            what = (
                f"the access policy does not give you the permission {permission.value!r} on {keys}"
            )
            raise Forbidden(what, key_id=key_id, todo="Ask for a rule in DAENA_KMS_ACCESS")

    def check_any(self, permission: Permission) -> None:
        """Raise :class:`Forbidden` unless the caller has a permission on at least one key."""
        if not self.access.allows_any(self.principal, permission):
            self.check(permission)

    def look(self, *, exact: bool = False) -> Key:
        """Return the key as it is now, after comparing it with ``If-Match``.

        A key that is deleted or not managed is not compared: the engine and the operations refuse
        it, as they do for a hold and a bad policy.

        Args:
            exact: whether to ask for what a quick look at the store leaves open.

        Raises:
            KeyMoved: ``If-Match`` names another version than the current one.
            BadRequest: ``If-Match`` is malformed.
        """
        key = self.adapter.store.describe(self.key_id, exact=exact)
        if key.deleted is None and is_managed(key.tags):
            check_match(self.request, key)
        return key

    def check_interval(self, key: Key, version: Version | None) -> None:
        """Raise :class:`TooSoon` if a version is younger than ``DAENA_KMS_MIN_INTERVAL``.

        Nothing is said about the age of a key that is not ours to change. If the store only bounds
        the time at which a version was made, the earliest counts. The latest is the time of the
        key's last change, so any change at all would start the interval again.
        """
        wait = self._wait(key, version)
        if wait is None:
            return
        seconds = max(1, math.ceil(wait.total_seconds()))
        raise TooSoon(
            f"its version is younger than {self.settings.get('DAENA_KMS_MIN_INTERVAL')}",
            key_id=self.key_id,
            todo=f"Try again in {seconds} s, or use the command line, which has no such limit",
            headers={"retry-after": str(seconds)},
        )

    def check_undo(self, key: Key) -> None:
        """Raise :class:`TooSoon` if a rollback would not undo a rotation, but repeat a rollback.

        A rotation that broke something can be undone at once, however young its version is. A
        rollback counts as a rotation does: after it, the interval must be over. The log says what
        made the current version. It is read only if that version is younger than the interval.

        Raises:
            TooSoon: the previous version is too young, or a rollback made the current one.
            AuditUnavailable: the log can't be read.
        """
        self.check_interval(key, key.previous)
        current = key.current
        if current is None or self._wait(key, current) is None:
            return
        if kind_that_made(self.log, key.id, current) == _ROLLBACK:
            self.check_interval(key, current)

    def _wait(self, key: Key, version: Version | None) -> timedelta | None:
        """Return how long a version is still too young to be replaced, or ``None``."""
        least = self.settings.min_interval
        if least is None or version is None or key.deleted or not is_managed(key.tags):
            return None
        wait = (version.created_earliest or version.created) + least - self.clock()
        return wait if wait > timedelta() else None

    def operations(self) -> Operations:
        """Return the audited operations, which record this caller and reason."""
        return Operations(
            self.adapter,
            self.log,
            trigger=TRIGGER,
            reason=self.value(REASON),
            principal=self.principal,
            over=lambda: self.budget.over,
        )
