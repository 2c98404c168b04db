"""``/v1/audit``: the log's entries, and whether it holds together."""

import re
from collections.abc import Iterable, Iterator

from daena_kms.api.access import Deed
from daena_kms.api.call import Call
from daena_kms.api.inputs import read_limit
from daena_kms.api.messages import BadRequest, OutOfTime, Response
from daena_kms.audit.pages import Filter, page
from daena_kms.audit.verify import check_anchor
from daena_kms.audit.verify import verify as verify_log
from daena_kms.engine.clock import Budget
from daena_kms.errors import ConfigError
from daena_kms.objects.base import Entry, Objects
from daena_kms.rules.durations import parse_time
from daena_kms.rules.names import check_key_id

_RUN = re.compile("[0-9a-f]{32}", re.ASCII)


def entries(call: Call) -> Response:
    """Answer what was done, in the log's order, a page at a time.

    A page ends with a whole object of the log, so it may hold more entries than asked for; one
    that ends early because its time is over says where to go on, like any other.
    """
    call.check_any(Deed.AUDIT)
    query = call.query
    if "key" in query:
        check_key_id(query["key"])
    if "run" in query and not _RUN.fullmatch(query["run"]):
        msg = f"run is {query['run'][:40]!r}, which is no run's id"
        raise BadRequest(msg, todo="Write the 32 hexadecimal digits of an entry's run")
    try:
        since, until = (
            parse_time(query[name], name) if name in query else None for name in ("since", "until")
        )
        wanted = Filter(query.get("key"), query.get("run"), since, until)
        found, after = page(
            call.log,
            wanted,
            after=query.get("after"),
            limit=read_limit(query),
            over=lambda: call.budget.over,
        )
    except ConfigError as error:
        raise BadRequest(error.what, todo=error.todo) from None
    allowed = [
        row for row in found if call.access.allows(call.principal, Deed.AUDIT, str(row["key"]))
    ]
    return Response(200, {"entries": allowed, **({"next": after} if after else {})})


def verify(call: Call) -> Response:
    """Check the log against itself and the store."""
    call.check(Deed.AUDIT)
    within = _Within(call.log, call.budget)
    since = call.query.get("since")
    try:
        check_anchor(since)
    except ConfigError as error:
        raise BadRequest(error.what, todo=error.todo) from None
    report = verify_log(within, within.each(call.adapter.store.inventory()), since)
    return Response(200, report.to_dict())


class _Within(Objects):
    """The log, for as long as there is time."""

    def __init__(self, log: Objects, budget: Budget) -> None:
        self.url = log.url
        self._log = log
        self._budget = budget

    def each[T](self, items: Iterable[T]) -> Iterator[T]:
        """Yield the items while there is time."""
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

    def entries(self, prefix: str) -> list[Entry]:
        """List, as the log does."""
        return self._log.entries(prefix)

    def children(self, prefix: str) -> list[str]:
        """List, as the log does."""
        return self._log.children(prefix)

    def _check(self) -> None:
        if self._budget.over:
            msg = "there is more to verify than fits into the time that an answer may take"
            todo = "Run daena-kms audit verify, which takes the time that it needs"
            raise OutOfTime(msg, todo=todo)
