"""Secret Manager's errors in our words."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from daena_kms.errors import (
    AccessDenied,
    ConfigError,
    DaenaKMSError,
    KeyExists,
    KeyNotFound,
    StoreUnavailable,
)
from daena_kms.sdk.errors import Meaning, translated
from daena_kms.sdk.gcp.login import CREDENTIALS, NO_CREDENTIALS

if TYPE_CHECKING:
    from google.api_core.exceptions import GoogleAPICallError


class Moved(StoreUnavailable):
    """The etag that was given is no longer the secret's, or a version is not in that state."""


class Unanswered(StoreUnavailable):
    """A call may have taken effect: its answer was lost, or was an error of the service's own."""


_MOVED = Meaning(Moved, "it was changed meanwhile", "Read it again")
_THROTTLES = Meaning(
    StoreUnavailable, "Secret Manager throttled the call", "Try again, or wait for the next run"
)
#: What an error means, by the class that google.api_core has for its status.
#: https://cloud.google.com/apis/design/errors
_ERRORS: Mapping[str, Meaning] = {
    "NotFound": Meaning(
        KeyNotFound,
        "there is no such key or version",
        "Check its name, the project and the location",
    ),
    "AlreadyExists": Meaning(KeyExists, "it exists already", "Use it, or another id"),
    "FailedPrecondition": _MOVED,
    "Aborted": _MOVED,
    "PermissionDenied": Meaning(
        AccessDenied,
        "Google Cloud refused {operation}",
        "Allow it in the caller's role on this project, and in that of its KMS key",
    ),
    "Forbidden": Meaning(
        AccessDenied,
        "Google Cloud refused {operation}",
        "Allow it in the caller's role on this project",
    ),
    "Unauthenticated": Meaning(AccessDenied, "Google Cloud does not know the caller", CREDENTIALS),
    "InvalidArgument": Meaning(
        ConfigError,
        "Secret Manager rejected the arguments of {operation}",
        "Check its annotations (16 KiB in all) and the settings",
    ),
    "OutOfRange": Meaning(
        ConfigError,
        "Secret Manager rejected the arguments of {operation}",
        "Check the settings",
    ),
    "ResourceExhausted": _THROTTLES,
    "TooManyRequests": _THROTTLES,
}
#: A failed precondition of an operation that has no etag: an organization's policy or a KMS key
#: is in the way.
_NO_ETAG = {"create_secret", "add_secret_version"}
_PROJECT_REFUSES = Meaning(
    ConfigError,
    "Google Cloud refused {operation} in the project's present state",
    "Check the organization's policies on locations and keys, and the KMS key's state",
)
#: Every other error: the answer may have been lost.
_NO_ANSWER = Meaning(
    Unanswered,
    "Secret Manager did not answer ({name})",
    "Check the network; the next run tries again",
)


def mapped[T](call: Callable[[], T], operation: str, key_id: str | None) -> T:
    """Make a call of one operation. Raises our errors, without the SDK's text."""
    from google.api_core.exceptions import GoogleAPICallError, RetryError
    from google.auth.exceptions import GoogleAuthError

    def translate(error: Exception) -> DaenaKMSError:
        if isinstance(error, RetryError) and isinstance(error.cause, GoogleAPICallError):
            return _answered(error.cause, operation, key_id)
        if isinstance(error, GoogleAPICallError):
            return _answered(error, operation, key_id)
        meaning = NO_CREDENTIALS if isinstance(error, GoogleAuthError) else _NO_ANSWER
        return meaning.about(key_id, name=type(error).__name__)

    return translated(call, (RetryError, GoogleAPICallError, GoogleAuthError), translate)


def _answered(error: "GoogleAPICallError", operation: str, key_id: str | None) -> DaenaKMSError:
    """Return our error for an answer of Secret Manager."""
    name = type(error).__name__
    if name == "FailedPrecondition" and operation in _NO_ETAG:
        meaning = _PROJECT_REFUSES
    else:
        meaning = _ERRORS.get(name, _NO_ANSWER)
    return meaning.about(key_id, operation=operation, name=name)
