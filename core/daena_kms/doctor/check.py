"""One finding of the doctor: what was checked, how it ended, and what to do."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from daena_kms.errors import DaenaKMSError, StoreUnavailable


class Status(StrEnum):
    """How a check ended. Only ``wrong`` makes the command fail."""

    OK = "ok"
    #: It works, but could be better; or only some commands lack a permission.
    WARNING = "warning"
    WRONG = "wrong"
    #: It can't be checked without creating something or with these credentials, or nobody answered.
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Check:
    """One finding.

    ``name`` says what was checked, and is stable; ``found`` says what was found, and ``todo`` what
    to do about it, if there is anything to do.
    """

    name: str
    status: Status
    found: str
    todo: str = ""

    def record(self) -> dict[str, str]:
        """Return the finding as plain data."""
        finding = {"check": self.name, "status": self.status.value, "found": self.found}
        return finding | ({"todo": self.todo} if self.todo else {})


def failed(name: str, error: DaenaKMSError, status: Status = Status.WRONG) -> Check:
    """Return an error as a finding: its text already says what to do."""
    found = error.what if error.key_id is None else f"key {error.key_id!r}: {error.what}"
    return Check(name, status, found, error.todo or "")


def unseen(name: str, permission: str) -> Check:
    """Return the finding that these credentials may not look, and which permission lets them."""
    found = "these credentials may not look at it"
    return Check(name, Status.UNKNOWN, found, f"To check it from here, allow {permission}")


def guarded(name: str, checks: Callable[[], Iterable[Check]]) -> Iterator[Check]:
    """Yield the checks. An error ends them with one more finding, called ``name``.

    That is ``unknown`` if the store did not answer, and ``wrong`` after any other error.
    """
    try:
        yield from checks()
    except DaenaKMSError as error:
        silent = isinstance(error, StoreUnavailable)
        yield failed(name, error, Status.UNKNOWN if silent else Status.WRONG)
