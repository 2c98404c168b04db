"""What can go wrong, in words that tell a person what to do next.

Every error that leaves this package is a :class:`DaenaKMSError`. Its text says what happened, to
which key, and what to do; it never holds a key's value, nor the text of an SDK's error that might
quote one.
"""


class DaenaKMSError(Exception):
    """Base of every error of this package.

    ``what`` is the finding, ``key_id`` the key it is about (if it is about one), and ``todo`` the
    next step for the person who reads it.
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


class InvalidKeyId(DaenaKMSError):
    """The key id is not portable; nothing was called."""

    code = "invalid-key-id"


class KeyNotFound(DaenaKMSError):
    """There is no such key, or no such readable version of it."""

    code = "key-not-found"


class KeyExists(DaenaKMSError):
    """A key of that id is there already, perhaps deleted and still recoverable."""

    code = "key-exists"


class AccessDenied(DaenaKMSError):
    """The store, its KMS key or the audit log refuses the caller."""

    code = "access-denied"


class NotManaged(DaenaKMSError):
    """The key does not carry ``daena.managed``, or another rotation owns it."""

    code = "not-managed"


class RotationConflict(DaenaKMSError):
    """Another rotation was faster, holds the key, or the key is on hold; nothing was promoted.

    ``undecided`` says that the other one holds the key still: nobody knows if it will complete.
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


class StoreUnavailable(DaenaKMSError):
    """The store did not answer, throttles, or is at a limit for now; worth retrying."""

    code = "store-unavailable"


class AuditUnavailable(DaenaKMSError):
    """The audit log can't be read or written; nothing more is changed (fail closed)."""

    code = "audit-unavailable"


class Paused(DaenaKMSError):
    """Whoever deployed this has switched all changes off with ``DAENA_KMS_PAUSED``."""

    code = "paused"


class ConfigError(DaenaKMSError):
    """A setting, tag, policy or argument is missing or malformed; nothing was changed."""

    code = "config-error"


class ManifestInvalid(DaenaKMSError):
    """A manifest is not as it was signed, or is no manifest; the text says which one and why."""

    code = "manifest-invalid"
