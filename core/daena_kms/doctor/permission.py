"""Permissions, and how they are tried by calls that can't take effect."""

from collections.abc import Callable
from dataclasses import dataclass

from daena_kms.doctor.check import Check, Status, failed, is_missing
from daena_kms.errors import DaenaKMSError, KeyNotFound


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
    #: What the call names, for people.
    on: str = ""
    #: Whether the call names a key that is there, so that a refusal proves that it is missing.
    #: A name that no key has is refused as well where a policy names each key or asks for its tags.
    certain: bool = True
    #: In which case a refusal that is not certain is right.
    right: str = "a policy names each key or asks for its tags"
    #: Whether the service says "there is none" only to a caller who may make the call.
    telling: bool = True
    #: Whether the call can succeed. If not, an answer that says so did not come from the service.
    answered: bool = False
    #: How to find out what the call can't tell.
    find: str = ""


def is_free(look: Callable[[], object]) -> bool:
    """Return whether there is certainly no key of a name, by a call that reads it."""
    try:
        look()
    except KeyNotFound:
        return True
    except DaenaKMSError:
        pass
    return False


def probe(permission: Permission) -> Check:
    """Make the call, and return what its answer proves."""
    if permission.call is None:
        return _unknown(permission, "can't be tried without a change")
    name, on = f"permission {permission.name}", permission.on and f" for {permission.on}"
    try:
        permission.call()
    except KeyNotFound:
        if not permission.telling:
            return _unknown(permission, "there is nothing to try it on: the answer proves nothing")
    except DaenaKMSError as error:
        if is_missing(error):
            return refused(permission)
        return failed(name, error, Status.UNKNOWN)
    else:
        if not permission.answered:
            return _unknown(permission, "the answer says that it was done, which it can't be")
    return Check(name, Status.OK, f"allowed{on}")


def refused(permission: Permission) -> Check:
    """Return the finding for a permission that is missing, or seems to be."""
    name, on = f"permission {permission.name}", permission.on and f" for {permission.on}"
    if not permission.certain:
        return _unknown(permission, f"refused{on}, which is right if {permission.right}")
    found = f"not allowed{on}; {permission.use}"
    if permission.always:
        return Check(name, Status.WRONG, found, f"Allow {permission.name} in the caller's role")
    todo = (
        f"Allow {permission.name} only to people who run that command; "
        "a role that only rotates does not need it"
    )
    return Check(name, Status.WARNING, found, todo)


def _unknown(permission: Permission, found: str) -> Check:
    name = f"permission {permission.name}"
    todo = permission.find or f"Look for {permission.name} in the role"
    return Check(name, Status.UNKNOWN, f"{found}; {permission.use}", todo)
