"""What an endpoint is given, and the checks that endpoints share."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from daena_kms.api.access import Access, Deed
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

#: In the audit log: what began it.
TRIGGER = "http"


@dataclass(frozen=True, slots=True)
class Call:
    """One request whose form is right, with all that it takes to do it."""

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
        """Who asks; the router lets nobody through without."""
        return self.request.principal or ""

    def value[T](self, field: Field[T]) -> T:
        """Return what was sent in a field; :meth:`Route.check` has checked all of them."""
        return field.value(self.given)

    def check(self, deed: Deed, key_id: str | None = None) -> None:
        """Raise :class:`Forbidden` unless the caller may do this (``None``: to all keys)."""
        if not self.access.allows(self.principal, deed, key_id):
            what = f"the access policy does not let you {deed.value}"
            todo = "Ask whoever keeps DAENA_KMS_ACCESS for a rule"
            raise Forbidden(
                f"{what} {'this key' if key_id else 'all keys'}", key_id=key_id, todo=todo
            )

    def check_any(self, deed: Deed) -> None:
        """Raise :class:`Forbidden` unless the caller may do this to some key."""
        if not self.access.touches(self.principal, deed):
            self.check(deed)

    def look(self, *, exact: bool = False) -> Key:
        """Return the key as it is now, if it is managed, not deleted, and as ``If-Match`` says.

        What cares for holds and policies are the engine and the operations.
        """
        key = self.adapter.store.describe(self.key_id, exact=exact)
        if key.deleted is None and is_managed(key.tags):
            check_match(self.request, key)
        return key

    def check_interval(self, key: Key, version: Version | None) -> None:
        """Raise :class:`TooSoon` when a version is younger than ``DAENA_KMS_MIN_INTERVAL``.

        The age of a key that is not ours to change is nobody's business. Where the store gives
        bounds, the earliest counts: the latest is that of the key's last change, and any change
        at all would shut the door.
        """
        least = self.settings.min_interval
        if least is None or version is None or key.deleted or not is_managed(key.tags):
            return
        made, now = version.created_earliest or version.created, self.clock()
        if now - made >= least:
            return
        wait = made + least - now
        seconds = max(1, math.ceil(wait.total_seconds()))
        raise TooSoon(
            f"its version is younger than {self.settings.get('DAENA_KMS_MIN_INTERVAL')}",
            key_id=self.key_id,
            todo=f"Ask again in {seconds} s; the command line has no such limit",
            headers={"retry-after": str(seconds)},
        )

    def operations(self) -> Operations:
        """Return the audited operations, in the caller's name."""
        return Operations(
            self.adapter,
            self.log,
            trigger=TRIGGER,
            reason=self.value(REASON),
            principal=self.principal,
            over=lambda: self.budget.over,
        )
