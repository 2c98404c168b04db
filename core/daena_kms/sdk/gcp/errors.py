"""Secret Manager's errors in our words."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from daena_kms.errors import (
    AccessDenied,
    ConfigError,
    DaenaKMSError,
    KeyExists,
    KeyNotFound,
    StoreUnavailable,
)
from daena_kms.sdk.gcp.login import CREDENTIALS
from daena_kms.sdk.quiet import quiet

if TYPE_CHECKING:
    from google.api_core.exceptions import GoogleAPICallError


class Moved(StoreUnavailable):
    """The etag that was given is no longer the secret's, or a version is not in that state."""


class Unanswered(StoreUnavailable):
    """A call may have taken effect: its answer was lost, or was an error of the service's own."""


def mapped[T](call: Callable[[], T], operation: str, key_id: str | None) -> T:
    """Make a call. Raises our errors, without the SDK's text."""
    from google.api_core.exceptions import (
        GoogleAPICallError,
        RetryError,
    )
    from google.auth.exceptions import GoogleAuthError

    try:
        with quiet():
            return call()
    except RetryError as error:
        cause = error.cause
        ours: DaenaKMSError = (
            _answered(cause, operation, key_id)
            if isinstance(cause, GoogleAPICallError)
            else _unanswered("RetryError", key_id)
        )
    except GoogleAPICallError as error:
        ours = _answered(error, operation, key_id)
    except GoogleAuthError as error:
        msg = f"no usable Google credentials ({type(error).__name__})"
        ours = ConfigError(msg, key_id=key_id, todo=CREDENTIALS)
    # Not chained: the SDK's error holds the answer, and a validation error quotes the request.
    raise ours


def _answered(error: "GoogleAPICallError", operation: str, key_id: str | None) -> DaenaKMSError:
    """Return our error for an answer.

    https://cloud.google.com/apis/design/errors
    """
    name = type(error).__name__
    if name == "FailedPrecondition" and operation in {"create_secret", "add_secret_version"}:
        # Neither has an etag to fail: an organization's policy or a KMS key is in the way.
        msg = f"Google Cloud refuses {operation} as the project stands"
        todo = "Check the organization's policies on locations and keys, and the KMS key's state"
        return ConfigError(msg, key_id=key_id, todo=todo)
    if name in _ERRORS:
        kind, what, todo = _ERRORS[name]
        return kind(what.format(operation=operation), key_id=key_id, todo=todo)
    return _unanswered(name, key_id)


def _unanswered(name: str, key_id: str | None) -> Unanswered:
    msg = f"Secret Manager did not answer ({name})"
    return Unanswered(msg, key_id=key_id, todo="Check the network; the next run tries again")


#: What an error means, by the class that google.api_core gives its status; all others are
#: answers that may have been lost.
_ERRORS: dict[str, tuple[type[DaenaKMSError], str, str]] = {
    "NotFound": (
        KeyNotFound,
        "there is no such key or version",
        "Check its name, the project and the location",
    ),
    "AlreadyExists": (KeyExists, "it exists already", "Use it, or another id"),
    "FailedPrecondition": (Moved, "it was changed meanwhile", "Read it again"),
    "Aborted": (Moved, "it was changed meanwhile", "Read it again"),
    "PermissionDenied": (
        AccessDenied,
        "Google Cloud refused {operation}",
        "Allow it in the caller's role on this project, and in that of its KMS key",
    ),
    "Forbidden": (
        AccessDenied,
        "Google Cloud refused {operation}",
        "Allow it in the caller's role on this project",
    ),
    "Unauthenticated": (AccessDenied, "Google Cloud does not know the caller", CREDENTIALS),
    "InvalidArgument": (
        ConfigError,
        "Secret Manager does not take {operation} with these arguments",
        "Check its annotations (16 KiB in all) and the settings",
    ),
    "OutOfRange": (
        ConfigError,
        "Secret Manager does not take {operation} with these arguments",
        "Check the settings",
    ),
    "ResourceExhausted": (
        StoreUnavailable,
        "Secret Manager throttles",
        "Try again; the next run does",
    ),
    "TooManyRequests": (
        StoreUnavailable,
        "Secret Manager throttles",
        "Try again; the next run does",
    ),
}
