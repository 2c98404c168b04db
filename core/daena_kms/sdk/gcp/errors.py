"""Secret Manager's errors in our words: every class of google.api_core and google.auth, by name.

A test holds that there is a row for each class, so that none ends in "check the network" that is
not about the network.
"""

import sys
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
from daena_kms.sdk.gcp.refusals import CREDENTIALS, NO_FILE, refused

if TYPE_CHECKING:
    from google.api_core.exceptions import GoogleAPICallError


class Moved(StoreUnavailable):
    """The etag that was given is no longer the secret's, or a version is not in that state."""


class Unanswered(StoreUnavailable):
    """A call may have taken effect: its answer was lost, or was an error of the service's own."""


_NEXT_RUN = "Try again, or wait for the next run"
_NOT_FOUND = Meaning(
    KeyNotFound,
    "there is no such key or version",
    "Check its name, the project and the location",
)
_EXISTS = Meaning(KeyExists, "it exists already", "Use it, or another id")
_MOVED = Meaning(Moved, "it was changed meanwhile", "Read it again")
_THROTTLES = Meaning(StoreUnavailable, "Secret Manager throttled the call", _NEXT_RUN)
_DENIED = Meaning(
    AccessDenied,
    "Google Cloud refused {operation}",
    "Allow it in the caller's role on this project, and in that of its KMS key",
    by_policy=True,
)
_UNKNOWN_CALLER = Meaning(AccessDenied, "Google Cloud does not know the caller", CREDENTIALS)
_ARGUMENTS = Meaning(
    ConfigError,
    "Secret Manager rejected the arguments of {operation}",
    "Check its annotations (16 KiB in all) and the settings",
)
_UNSUPPORTED = Meaning(
    Unanswered,
    "Secret Manager did not answer ({name}): it does not know {operation} here",
    "Check the location and the endpoint that are set",
)
_NO_GOOGLE = Meaning(
    Unanswered,
    "the answer did not come from Secret Manager ({name})",
    "Check the endpoint that is set, and any proxy in between",
)
_SDK = Meaning(
    ConfigError,
    "Google's client library refused the call ({name})",
    "Check the settings, and that its packages fit each other",
)
_FAILED = Meaning(
    Unanswered, "Secret Manager did not answer ({name}): it failed by itself", _NEXT_RUN
)
_BROKEN_OFF = Meaning(
    Unanswered, "Secret Manager did not answer ({name}): the call was broken off", _NEXT_RUN
)
#: No answer at all, or too late.
_NO_ANSWER = Meaning(
    Unanswered,
    "Secret Manager did not answer ({name})",
    "Check the network; the next run tries again",
)
_CERTIFICATE = Meaning(
    Unanswered,
    "Secret Manager did not answer ({name}): its certificate is not trusted",
    "Check GRPC_DEFAULT_SSL_ROOTS_FILE_PATH, this machine's clock, and any proxy that opens TLS",
)
_NAME = Meaning(
    Unanswered,
    "Secret Manager did not answer ({name}): its host's name can't be looked up",
    "Check the location, the endpoint that is set, and the name service",
)

#: What an answer means, by the class that google.api_core has for its status.
#: https://cloud.google.com/apis/design/errors
_ERRORS: Mapping[str, Meaning] = {
    "NotFound": _NOT_FOUND,
    "AlreadyExists": _EXISTS,
    "FailedPrecondition": _MOVED,
    "Aborted": _MOVED,
    "PermissionDenied": _DENIED,
    "Forbidden": _DENIED,
    "Unauthenticated": _UNKNOWN_CALLER,
    "InvalidArgument": _ARGUMENTS,
    "OutOfRange": _ARGUMENTS,
    "ResourceExhausted": _THROTTLES,
    "TooManyRequests": _THROTTLES,
}
_BY_MEANING: Mapping[Meaning, tuple[str, ...]] = {
    _MOVED: ("Conflict", "PreconditionFailed"),
    _UNKNOWN_CALLER: ("Unauthorized",),
    _ARGUMENTS: ("BadRequest",),
    _UNSUPPORTED: ("MethodNotImplemented", "MethodNotAllowed"),
    # Answers of HTTP that the API never gives over gRPC.
    _NO_GOOGLE: (
        *("Redirection", "MovedPermanently", "NotModified", "TemporaryRedirect"),
        *("ResumeIncomplete", "LengthRequired", "RequestRangeNotSatisfiable", "ClientError"),
        *("ResumableTransferError", "TransferStalledError", "UnseekableStreamError"),
        *("UploadCancelledError", "MissingStatusHeaderError"),
        # Of a client over REST: an answer that is no JSON, or no text.
        *("ParseError", "UnicodeDecodeError"),
    ),
    _SDK: ("DuplicateCredentialArgs", "AsyncRestUnsupportedParameterError"),
    _FAILED: (
        *("ServerError", "InternalServerError", "Unknown", "DataLoss", "BadGateway"),
        *("GoogleAPIError", "GoogleAPICallError", "RpcError"),
    ),
    _BROKEN_OFF: ("Cancelled", "FutureCancelledError"),
    _NO_ANSWER: (
        *("ServiceUnavailable", "GatewayTimeout", "DeadlineExceeded", "RetryError"),
        "FutureTimeoutError",
        "RequestException",  # of requests, which a client over REST lets through
    ),
    NO_FILE: ("OSError",),
}
#: A class of google.api_core's, of gRPC's, or of Python's, and its meaning.
CLASSES: Mapping[str, Meaning] = {
    **_ERRORS,
    **{name: meaning for meaning, names in _BY_MEANING.items() for name in names},
    "ValueError": _SDK,
    "TypeError": _SDK,
}

#: A failed precondition of an operation that has no etag: an organization's policy or a KMS key
#: is in the way.
_NO_ETAG = {"create_secret", "add_secret_version"}
_PROJECT_REFUSES = Meaning(
    ConfigError,
    "Google Cloud refused {operation} in the project's present state",
    "Check the organization's policies on locations and keys, and the KMS key's state",
)
#: gRPC's own words for a connection that was not made, in the text of its error.
_CONNECTION = (
    ("CERTIFICATE_VERIFY_FAILED", _CERTIFICATE),
    ("certificate verify failed", _CERTIFICATE),
    ("DNS resolution failed", _NAME),
)


def mapped[T](
    call: Callable[[], T],
    operation: str,
    key_id: str | None,
    more: tuple[type[Exception], ...] = (),
) -> T:
    """Make a call of one operation. Raises our errors, without the SDK's text.

    Args:
        call: Makes the call.
        operation: Its name, for messages.
        key_id: The key, if it is about one.
        more: Further errors that mean what :data:`CLASSES` says.
    """
    from google.api_core.exceptions import GoogleAPICallError, GoogleAPIError, RetryError
    from google.auth.exceptions import GoogleAuthError
    from grpc import RpcError

    def translate(error: Exception) -> DaenaKMSError:
        if isinstance(error, GoogleAuthError):
            return refused(error, key_id)
        if isinstance(error, RetryError) and isinstance(error.cause, GoogleAPICallError):
            return _answered(error.cause, operation, key_id)
        return _answered(error, operation, key_id)

    over_rest = (*_loaded("google.protobuf.json_format", "ParseError"), UnicodeDecodeError)
    over_rest += _loaded("requests", "RequestException")
    kinds = (GoogleAPIError, GoogleAuthError, RpcError, *over_rest, *more)
    return translated(call, kinds, translate)


def _loaded(module: str, name: str) -> tuple[type[Exception], ...]:
    """Return an error's class if its module is loaded: otherwise nothing can have raised it."""
    found = sys.modules.get(module)
    return () if found is None else (getattr(found, name),)


def _answered(
    error: "GoogleAPICallError | Exception", operation: str, key_id: str | None
) -> DaenaKMSError:
    """Return our error for an answer of Secret Manager, or for none."""
    name = type(error).__name__
    if name == "FailedPrecondition" and operation in _NO_ETAG:
        return _PROJECT_REFUSES.about(key_id, operation=operation, name=name)
    names = (kind.__name__ for kind in type(error).__mro__)
    meaning = next((CLASSES[known] for known in names if known in CLASSES), _FAILED)
    if meaning is _NO_ANSWER:
        text = str(error)
        meaning = next((told for words, told in _CONNECTION if words in text), meaning)
    return meaning.about(key_id, operation=operation, name=name)
