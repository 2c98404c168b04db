"""Managed keys that an infrastructure tool created, where a store shows it."""

from collections.abc import Iterable, Iterator

from daena_kms.doctor.check import Check, Status
from daena_kms.errors import AccessDenied

NAME = "infrastructure"
_NAMED = 3


def created_by(tool: str, listed: Iterable[str], risk: str, todo: str) -> Iterator[Check]:
    """Yield the finding on the managed keys that ``tool`` created.

    There is none if the store can't be listed: another check says so.

    Args:
        tool: its name, for people.
        listed: the ids of those keys; listing them may call the store.
        risk: what the tool may undo.
        todo: how to prevent that.
    """
    try:
        keys = list(listed)
    except AccessDenied:
        return
    if not keys:
        yield Check(NAME, Status.OK, f"no managed key shows that {tool} created it")
        return
    some = ", ".join(keys[:_NAMED]) + (f" and {len(keys) - _NAMED} more" if keys[_NAMED:] else "")
    yield Check(NAME, Status.WARNING, f"{tool} created {some}: {risk}", todo)
