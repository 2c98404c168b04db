"""Keys that an infrastructure repository made, as far as a store shows it."""

from collections.abc import Iterable, Iterator

from daena_kms.doctor.check import Check, Status
from daena_kms.errors import AccessDenied

NAME = "infrastructure"
_NAMED = 3


def owned(listed: Iterable[str], maker: str, means: str, todo: str) -> Iterator[Check]:
    """Yield the check on the managed keys that ``maker`` made; ``means`` is what it may undo.

    Where the store can't be listed there is none: that is told already.
    """
    try:
        keys = list(listed)
    except AccessDenied:
        return
    if not keys:
        yield Check(NAME, Status.OK, f"no managed key shows that {maker} made it")
        return
    some = ", ".join(keys[:_NAMED]) + (f" and {len(keys) - _NAMED} more" if keys[_NAMED:] else "")
    yield Check(NAME, Status.WARNING, f"{maker} made {some}: {means}", todo)
