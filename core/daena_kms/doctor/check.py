"""One finding of the doctor: what was checked, how it ended, and what to do."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from daena_kms.errors import (
    AccessDenied,
    AuditUnavailable,
    ConfigError,
    DaenaKMSError,
    StoreUnavailable,
    contained,
)


class Status(StrEnum):
    """How a check ended. Only ``wrong`` makes the command fail.

    ``ok`` and ``wrong`` need evidence: an answer that a service gives in that state alone, by its
    documents or by what was seen of it.
    """

    OK = "ok"
    #: It works, but could be better; or only some commands lack a permission.
    WARNING = "warning"
    WRONG = "wrong"
    #: It can't be told without a change or with these credentials, or nobody answered.
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


def failed(name: str, error: DaenaKMSError, status: Status | None = None) -> Check:
    """Return an error as a finding: its text already says what to do.

    Args:
        name: what was checked.
        error: how that ended.
        status: how bad it is. By default ``wrong`` for what an error proves (a setting that is
            malformed, a refusal) and ``unknown`` for any other, such as a lost answer.
    """
    found = error.what if error.key_id is None else f"key {error.key_id!r}: {error.what}"
    if status is None:
        status = Status.WRONG if _proves(error) else Status.UNKNOWN
    return Check(name, status, found, error.todo or "")


def _proves(error: DaenaKMSError) -> bool:
    if isinstance(error, AuditUnavailable | StoreUnavailable):
        return not error.silent
    return isinstance(error, ConfigError | AccessDenied)


def is_missing(error: DaenaKMSError) -> bool:
    """Return whether an error says that the caller lacks a permission."""
    return isinstance(error, AccessDenied) and error.by_policy


def unseen(name: str, permission: str) -> Check:
    """Return the finding that these credentials may not look, and which permission lets them."""
    found = "these credentials may not look at it"
    return Check(name, Status.UNKNOWN, found, f"To check it from here, allow {permission}")


def member(answer: object, name: str, service: str) -> Any:
    """Return a member that an answer of a service must have.

    Raises:
        StoreUnavailable: it has none, so something else has answered, such as a proxy.
    """
    found = answer.get(name) if isinstance(answer, Mapping) else None
    if found is None:
        msg = f"the answer did not come from {service}: it has no {name}"
        raise StoreUnavailable(msg, todo="Check the endpoint that is set, and any proxy in between")
    return found


def guarded(
    name: str, checks: Callable[[], Iterable[Check]], status: Status | None = None
) -> Iterator[Check]:
    """Yield the checks. An error ends them with one more finding, called ``name``.

    An error that nobody foresaw does so, too, and proves nothing.

    Args:
        name: the name of that finding.
        checks: yields the checks.
        status: the status of that finding, where :func:`failed` is not to decide: an error may
            prove something, but not what the check is about.
    """
    try:
        rest = contained(lambda: iter(checks()))()
        following = contained(lambda: next(rest, None))
        while (check := following()) is not None:
            yield check
    except DaenaKMSError as error:
        yield failed(name, error, status)
