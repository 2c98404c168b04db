"""What one check found, and what every check is made with."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from daena_kms.errors import AccessDenied, DaenaKMSError, KeyNotFound, StoreUnavailable


class Status(StrEnum):
    """How a check ended. Only ``wrong`` makes the command fail."""

    OK = "ok"
    #: Works, and is not as it should be; or is as it is where less would do.
    WARNING = "warning"
    WRONG = "wrong"
    #: Could not be looked at without changing something, or by these credentials.
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Check:
    """One finding: what was looked at, how it ended, what was found, and how to mend it."""

    name: str
    status: Status
    found: str
    todo: str = ""

    def record(self) -> dict[str, str]:
        """Return the finding as plain data."""
        found = {"check": self.name, "status": self.status.value, "found": self.found}
        return found | ({"todo": self.todo} if self.todo else {})


def failed(name: str, error: DaenaKMSError, status: Status = Status.WRONG) -> Check:
    """Return the check that an error of ours is: its text says already what to do."""
    found = error.what if error.key_id is None else f"key {error.key_id!r}: {error.what}"
    return Check(name, status, found, error.todo or "")


def guarded(name: str, checks: Callable[[], Iterable[Check]]) -> Iterator[Check]:
    """Yield the checks; an error of ours ends them as one that is wrong, or unknown: no answer."""
    try:
        yield from checks()
    except DaenaKMSError as error:
        away = isinstance(error, StoreUnavailable)
        yield failed(name, error, Status.UNKNOWN if away else Status.WRONG)


@dataclass(frozen=True, slots=True)
class Permission:
    """One permission, what it is for, and a call that tells whether it is there."""

    name: str
    #: What fails without it.
    use: str
    #: Whether every run needs it; otherwise only the people who use the command that it is for.
    always: bool
    #: Makes a call that changes nothing. ``None``: no such call exists.
    call: Callable[[], object] | None = None
    #: Whether the call names a key that is there, so that a refusal is certain.
    certain: bool = True


def probe(permission: Permission, *, trusted: bool = True) -> Check:
    """Make the call, and say what its answer proves.

    That a key or version is not there is said only to who may ask for it. ``trusted``: a refusal
    of a call that names a key that is not there is one for all keys.
    """
    name = f"permission {permission.name}"
    if permission.call is None:
        found = f"can't be tried without making something; {permission.use}"
        return Check(name, Status.UNKNOWN, found, f"Look for {permission.name} in the role")
    try:
        permission.call()
    except KeyNotFound:
        pass
    except AccessDenied:
        return refused(permission, certain=permission.certain or trusted)
    except DaenaKMSError as error:
        return failed(name, error, Status.UNKNOWN)
    return Check(name, Status.OK, "allowed")


def refused(permission: Permission, *, certain: bool = True) -> Check:
    """Return the check for a permission that is missing, or seems so."""
    name = f"permission {permission.name}"
    if not certain:
        found = (
            "refused for a name that no key has, which is right where a policy names each key, "
            f"or their tags; {permission.use}"
        )
        return Check(name, Status.UNKNOWN, found, f"Look for {permission.name} in the policy")
    if not permission.always:
        found = f"not allowed; {permission.use}"
        todo = f"Allow {permission.name} to who does that; a role that only rotates needs it not"
        return Check(name, Status.WARNING, found, todo)
    found = f"not allowed; {permission.use}"
    return Check(name, Status.WRONG, found, f"Allow {permission.name} in the caller's role")
