"""Every error of this package, with messages that say what to do next.

The tree::

    DaenaKMSError               every error of this package
    ├── ConfigError             a setting, tag, policy or argument is missing or malformed
    ├── InvalidKeyId            the key id is not portable
    ├── KeyNotFound             there is no such key or version
    ├── KeyExists               there is already a key with that id
    ├── NotManaged              the key is not managed, or another rotation owns it
    ├── RotationConflict        another rotation was faster, or the key is on hold
    ├── AccessDenied            a store, a KMS key or the audit log refuses the caller
    ├── StoreUnavailable        the store did not answer; worth retrying
    ├── AuditUnavailable        the audit log can't be read or written
    ├── Paused                  changes are switched off
    └── ManifestInvalid         a manifest is not as it was signed

Each error says what happened (``what``), to which key (``key_id``) and what to do next
(``todo``). It never holds a key's value, nor the text of an SDK's error, which might quote one.
"""

import functools
from collections.abc import Callable
from types import TracebackType

_PACKAGE = __name__.partition(".")[0]


class DaenaKMSError(Exception):
    """Base of every error of this package.

    Args:
        what: What happened.
        key_id: The key it happened to, if it is about one key.
        todo: The next step for the person who reads it.
    """

    #: A stable word for machines: the ``error`` field of JSON output, audit records and HTTP.
    code = "error"

    def __init__(self, what: str, *, key_id: str | None = None, todo: str | None = None) -> None:
        self.what = what
        self.key_id = key_id
        self.todo = todo
        super().__init__(what, key_id, todo)

    def __str__(self) -> str:
        text = self.what if self.key_id is None else f"key {self.key_id!r}: {self.what}"
        return text if self.todo is None else f"{text}. {self.todo}"


class ConfigError(DaenaKMSError):
    """A setting, tag, policy or argument is missing or malformed; nothing was changed.

    ``key_id`` is the key, if it is a key's tag or argument. ``todo`` says what to write instead.
    """

    code = "config-error"


class InvalidKeyId(DaenaKMSError):
    """The key id is not portable; no store was called.

    ``what`` quotes the id, and ``key_id`` is ``None``. ``todo`` says which ids are portable.
    """

    code = "invalid-key-id"


class KeyNotFound(DaenaKMSError):
    """There is no such key, or no such readable version of it.

    ``key_id`` is the key. ``todo`` says where to look: another id, another version, or ``restore``
    for a deleted key.
    """

    code = "key-not-found"


class KeyExists(DaenaKMSError):
    """There is already a key with that id, perhaps deleted and still recoverable.

    ``key_id`` is the key. Use it, restore it, or choose another id.
    """

    code = "key-exists"


class NotManaged(DaenaKMSError):
    """The key does not carry ``daena.managed``, or another rotation owns it.

    ``key_id`` is the key. Enrol it with ``adopt``, or switch the other rotation off.
    """

    code = "not-managed"


class RotationConflict(DaenaKMSError):
    """Another rotation was faster or has claimed the key, or the key is on hold.

    Nothing of this rotation became current. ``key_id`` is the key. Read it again, or release it.

    Args:
        what: What happened.
        key_id: The key.
        todo: The next step.
        undecided: The other rotation has not ended, so it is not known whether it will complete.
    """

    code = "rotation-conflict"

    def __init__(
        self,
        what: str,
        *,
        key_id: str | None = None,
        todo: str | None = None,
        undecided: bool = False,
    ) -> None:
        super().__init__(what, key_id=key_id, todo=todo)
        self.undecided = undecided


class AccessDenied(DaenaKMSError):
    """The store, its KMS key or the audit log refuses the caller.

    ``key_id`` is the key, if the call was about one. ``todo`` names the permission, where the
    refusal does. ``by_policy`` says that a policy or a role does not allow the call. Other refusals
    (of the credentials, by a firewall, for the state of a KMS key) say nothing about a permission.
    """

    code = "access-denied"
    by_policy = False


class StoreUnavailable(DaenaKMSError):
    """The store did not answer, throttles, or is at a limit for now; worth retrying.

    A change may have taken effect nevertheless. ``key_id`` is the key, if the call was about one.
    The next run looks at the key and writes what became of the change. ``silent`` is false where
    the answer says what is wrong nevertheless, such as that a container does not exist.
    """

    code = "store-unavailable"
    silent = True


class AuditUnavailable(DaenaKMSError):
    """The audit log can't be read or written; nothing more is changed (fail closed).

    Restore access to the log, then run again. ``silent`` says that nothing is known of its state:
    its place did not answer, or something else answered.
    """

    code = "audit-unavailable"
    silent = False


class Paused(DaenaKMSError):
    """All changes are switched off with ``DAENA_KMS_PAUSED``; nothing was changed.

    Unset the variable to allow changes again.
    """

    code = "paused"


class ManifestInvalid(DaenaKMSError):
    """A manifest is not as it was signed, or is not a manifest; ``what`` says which one and why.

    Compare it with a copy that was kept elsewhere.
    """

    code = "manifest-invalid"


def place_of(traceback: TracebackType | None) -> str:
    """Return where in this package an error came from, as `` at module:line``, or nothing."""
    place = ""
    while traceback is not None:
        module = str(traceback.tb_frame.f_globals.get("__name__"))
        if module.partition(".")[0] == _PACKAGE:
            place = f" at {module}:{traceback.tb_lineno}"
        traceback = traceback.tb_next
    return place


def unexpected(error: BaseException) -> DaenaKMSError:
    """Return the error that stands for one that nobody foresaw.

    It names the type and the place in this package. The other error's text, arguments and local
    variables may hold a key's value, so nothing of them is passed on.
    """
    name = type(error).__name__
    msg = f"an unexpected {name[:80]}{place_of(error.__traceback__)}"
    return DaenaKMSError(msg, todo="Report it as a bug")


def contained[**P, R](function: Callable[P, R]) -> Callable[P, R]:
    """Let a function raise only errors of this package; what nobody foresaw is :func:`unexpected`.

    A platform logs the text and the traceback of each error that a handler raises.
    """

    @functools.wraps(function)
    def inner(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except DaenaKMSError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, its text must not pass
            replaced = unexpected(error)
        # Raised out here: the context of ours would be the error that may hold a value.
        raise replaced

    return inner
