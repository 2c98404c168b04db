"""Permissions, and how they are tried by calls that can't take effect."""

from collections.abc import Callable
from dataclasses import dataclass

from daena_kms.doctor.check import Check, Status, failed
from daena_kms.errors import AccessDenied, DaenaKMSError, KeyNotFound


@dataclass(frozen=True, slots=True)
class Permission:
    """One permission, what it is for, and a call that shows whether the caller has it."""

    name: str
    #: What fails without it.
    use: str
    #: Whether every run needs it. If not, only people who use a certain command do.
    always: bool
    #: Makes a call that changes nothing. ``None`` if there is no such call.
    call: Callable[[], object] | None = None
    #: Whether the call names a key that exists, so that a refusal proves that it is missing.
    certain: bool = True


@dataclass(frozen=True, slots=True)
class Look:
    """What a look at a made-up name of a secret shows."""

    #: There is certainly no secret of that name, so that deleting it can be tried.
    free: bool
    #: A refusal of a call on that name is a refusal for every key. It is not where policies name
    #: each secret or ask for its tags: then a name that no key has is always refused.
    trusted: bool


def look(call: Callable[[], object]) -> Look:
    """Make a call that reads a made-up name, and return what its answer shows."""
    try:
        call()
    except KeyNotFound:
        return Look(free=True, trusted=True)
    except DaenaKMSError:
        pass
    return Look(free=False, trusted=False)


def probe(permission: Permission, *, trusted: bool = True) -> Check:
    """Make the call, and return what its answer proves.

    A service says that a key or version does not exist only to a caller who may ask for it.

    Args:
        permission: what is tried.
        trusted: see :attr:`Look.trusted`.
    """
    name = f"permission {permission.name}"
    if permission.call is None:
        found = f"can't be tried without creating something; {permission.use}"
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
    """Return the finding for a permission that is missing, or seems to be."""
    name = f"permission {permission.name}"
    if not certain:
        found = (
            "refused for a name that no key has, which is right if a policy names each key or "
            f"asks for its tags; {permission.use}"
        )
        return Check(name, Status.UNKNOWN, found, f"Look for {permission.name} in the policy")
    found = f"not allowed; {permission.use}"
    if permission.always:
        return Check(name, Status.WRONG, found, f"Allow {permission.name} in the caller's role")
    todo = (
        f"Allow {permission.name} only to people who run that command; "
        "a role that only rotates does not need it"
    )
    return Check(name, Status.WARNING, found, todo)
