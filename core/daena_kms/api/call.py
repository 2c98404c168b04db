"""What a handler is given, and the checks that handlers share."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from daena_kms.api.access import Access, Permission
from daena_kms.api.fields import REASON
from daena_kms.api.inputs import Field, check_match
from daena_kms.api.messages import Forbidden, Request, TooSoon
from daena_kms.engine.clock import Budget, Deadline, RunClock
from daena_kms.objects.base import Objects
from daena_kms.operations import Operations
from daena_kms.rules.model import Key, Version
from daena_kms.rules.policy import is_managed
from daena_kms.settings import Settings
from daena_kms.stores.adapter import CloudKMSAdapter

#: What started it, as the audit log records it.
TRIGGER = "http"


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
        least = self.settings.min_interval
        if least is None or version is None or key.deleted or not is_managed(key.tags):
            return
        created, now = version.created_earliest or version.created, self.clock()
        if now - created >= least:
            return
        wait = created + least - now
        seconds = max(1, math.ceil(wait.total_seconds()))
        raise TooSoon(
            f"its version is younger than {self.settings.get('DAENA_KMS_MIN_INTERVAL')}",
            key_id=self.key_id,
            todo=f"Try again in {seconds} s, or use the command line, which has no such limit",
            headers={"retry-after": str(seconds)},
        )

    def operations(self) -> Operations:
        """Return the audited operations, which record this caller and reason."""
        return Operations(
            self.adapter,
            self.log,
            trigger=TRIGGER,
            reason=self.value(REASON),
            principal=self.principal,
            over=lambda: self.budget.over_for_reading,
        )
