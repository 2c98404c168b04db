"""The handlers of ``/v1/audit``: the entries of the log, and its verification."""

from collections.abc import Iterable, Iterator
from functools import partial

from daena_kms.api.access import Permission
from daena_kms.api.call import Call
from daena_kms.api.fields import AFTER_RECORD, KEY, LIMIT, RUN, SINCE, SINCE_ANCHOR, UNTIL
from daena_kms.api.messages import BadRequest, OutOfTime, Response
from daena_kms.audit.pages import Filter, page
from daena_kms.audit.problems import PassedOver
from daena_kms.audit.verify import verify as verify_log
from daena_kms.engine.clock import Budget
from daena_kms.engine.generation import older
from daena_kms.errors import ConfigError
from daena_kms.objects.base import Entry, Objects


def entries(call: Call) -> Response:
    """Answer one page of what was done, in the log's order.

    A page ends with a whole object of the log, so it may hold more entries than requested. A page
    that ends early because the time is over says where to continue, like any other page. A note
    names objects that are no records, and were passed over.
    """
    wanted = Filter(call.value(KEY), call.value(RUN), call.value(SINCE), call.value(UNTIL))
    passed_over = PassedOver()
    try:
        rows, after = page(
            call.log,
            wanted,
            after=call.value(AFTER_RECORD),
            limit=call.value(LIMIT),
            over=lambda: call.budget.over,
            passed_over=passed_over,
        )
    except ConfigError as error:
        raise BadRequest(error.what, todo=error.todo) from None
    allowed = [
        row for row in rows if call.access.allows(call.principal, Permission.AUDIT, str(row["key"]))
    ]
    more = {"next": after, "note": passed_over.note()}
    return Response(200, {"entries": allowed} | {n: text for n, text in more.items() if text})


def verify(call: Call) -> Response:
    """Answer whether the log agrees with itself and with the store."""
    limited = _Limited(call.log, call.budget)
    store = call.adapter.store
    inventory = limited.each(store.inventory())
    since = call.value(SINCE_ANCHOR)
    report = verify_log(limited, inventory, since, call.clock(), older=partial(older, store))
    return Response(200, report.to_dict())


class _Limited(Objects):
    """The log, readable until the time for the answer is over."""

    def __init__(self, log: Objects, budget: Budget) -> None:
        self.url = log.url
        self._log = log
        self._budget = budget

    def each[T](self, items: Iterable[T]) -> Iterator[T]:
        """Yield the items while there is time. Raises :class:`OutOfTime`."""
        for item in items:
            self._check()
            yield item

    def put_new(self, name: str, data: bytes) -> None:
        """Create an object, if there is time."""
        self._check()
        self._log.put_new(name, data)

    def get(self, name: str) -> bytes | None:
        """Read an object, if there is time."""
        self._check()
        return self._log.get(name)

    def get_up_to(self, name: str, limit: int) -> bytes | None:
        """Read the beginning of an object, if there is time."""
        self._check()
        return self._log.get_up_to(name, limit)

    def get_listed(self, entry: Entry, limit: int) -> bytes | None:
        """Read the beginning of an object, if there is time."""
        self._check()
        return self._log.get_listed(entry, limit)

    def scan(self, prefix: str, after: str = "") -> Iterator[Entry]:
        """List while there is time."""
        return self.each(self._log.scan(prefix, after))

    def entries(self, prefix: str) -> list[Entry]:
        """List, as the log does."""
        return self._log.entries(prefix)

    def children(self, prefix: str) -> list[str]:
        """List, as the log does."""
        return self._log.children(prefix)

    def strange(self, prefix: str) -> Iterator[str]:
        """List, as the log does, while there is time."""
        return self.each(self._log.strange(prefix))

    def _check(self) -> None:
        if self._budget.over:
            msg = "verifying takes longer than the time that an answer may take"
            todo = "Run daena-kms audit verify, which has no time limit"
            raise OutOfTime(msg, todo=todo)
