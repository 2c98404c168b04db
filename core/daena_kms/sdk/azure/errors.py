"""Key Vault's errors in our words: its codes, and every class of azure-core and azure-identity."""

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from daena_kms.errors import (
    AccessDenied,
    ConfigError,
    DaenaKMSError,
    KeyExists,
    KeyNotFound,
    RotationConflict,
    StoreUnavailable,
)
from daena_kms.sdk.azure.refusals import NO_FILE, refused
from daena_kms.sdk.errors import Meaning, translated

if TYPE_CHECKING:
    from azure.core.exceptions import HttpResponseError, ServiceRequestError

_THROTTLED, _TIMED_OUT = 429, 408
_NOT_FOUND, _CONFLICT = 404, 409
_CALLERS_FAULT = range(400, 500)
_NEXT_RUN = "Try again, or wait for the next run"


class Disabled(KeyNotFound):
    """The version that was asked for, or the newest, is disabled."""


class Throttled(StoreUnavailable):
    """The vault is over its limit and did nothing; ``after`` is the wait that it asks for, in s."""

    def __init__(self, key_id: str | None, after: float | None) -> None:
        self.after = after
        super().__init__("Key Vault throttled the call", key_id=key_id, todo=_NEXT_RUN)


class Unanswered(StoreUnavailable):
    """A call may have taken effect: its answer was lost, or was an error of the service's own."""


class InTransit(StoreUnavailable):
    """A secret is being deleted or recovered: it is neither among the live ones nor deleted."""


class NoSoftDelete(ConfigError):
    """The vault keeps nothing that is deleted."""


#: What an answer means, by its innermost code or its status; the first that fits.
#: https://learn.microsoft.com/azure/key-vault/general/rest-error-codes
_ERRORS: Mapping[str | int, Meaning] = {
    "SecretDisabled": Meaning(
        Disabled,
        "this version is retired, or somebody disabled it",
        "Enable it in the vault, if it may be used again",
    ),
    "ObjectIsDeletedButRecoverable": Meaning(
        KeyExists,
        "it exists already, deleted but recoverable",
        "Restore it, or purge it in the vault if nobody needs it",
    ),
    "SecretManagedByKeyVault": Meaning(
        AccessDenied,
        "Key Vault refused the call: the secret belongs to the certificate of that name ({code})",
        "Change the certificate instead",
    ),
    "NotSupported": Meaning(
        NoSoftDelete,
        "Key Vault rejected the call ({status} {code})",
        "Switch soft delete on in the vault",
    ),
    _NOT_FOUND: Meaning(
        KeyNotFound, "there is no such key or version", "Check the name and the vault"
    ),
    _CONFLICT: Meaning(
        RotationConflict,
        "Key Vault is still changing, deleting or recovering it",
        "Try again in a minute",
    ),
    403: Meaning(
        AccessDenied,
        "Key Vault refused the call ({code})",
        "Allow it: the role Key Vault Secrets Officer on this vault, and its firewall",
    ),
}
#: Codes of a 403 for a role or an access policy; others are a firewall's, or a proxy's.
BY_POLICY = frozenset({"ForbiddenByRbac", "ForbiddenByPolicy", "AccessDenied", "Forbidden"})
#: Any other answer: a status that blames the caller, and one that does not.
_REJECTED = Meaning(
    ConfigError, "Key Vault rejected the call ({status} {code})", "Look at the key with show"
)
_FAILED = Meaning(Unanswered, "Key Vault failed ({status} {code})", _NEXT_RUN)
#: A vault says what was not found. A page without that comes from whatever stands in between.
_NOWHERE = Meaning(
    Unanswered,
    "the answer did not come from a Key Vault ({status} {code})",
    "Check the vault's address, and any proxy in between",
)

#: No answer at all.
_NOT_REACHED = Meaning(
    StoreUnavailable,
    "the Key Vault can't be reached ({name})",
    "Check its address and the network; the next run tries again",
)
_BROKEN_OFF = Meaning(Unanswered, _NOT_REACHED.what, _NOT_REACHED.todo)
_NO_ANSWER = Meaning(
    Unanswered,
    "the Key Vault did not answer ({name})",
    "Check the network; the next run tries again",
)
#: A certificate is looked at before a request goes out; a later answer may not be TLS either.
_CERTIFICATE = Meaning(
    StoreUnavailable,
    "the Key Vault can't be reached ({name}): its certificate is not trusted",
    "Check REQUESTS_CA_BUNDLE, this machine's clock, and any proxy that opens TLS",
)
_NO_TLS = Meaning(
    Unanswered,
    "there is no TLS connection to the Key Vault ({name})",
    "Check the vault's address and port, and any proxy in between",
)
_PROXY = Meaning(
    StoreUnavailable,
    "the proxy to the Key Vault can't be reached, or refuses ({name})",
    "Check HTTPS_PROXY and NO_PROXY; the next run tries again",
)
_DAMAGED = Meaning(
    Unanswered,
    "the answer of the Key Vault was cut off ({name})",
    "Look for a proxy in between; the next run tries again",
)
_MISREAD = Meaning(
    Unanswered,
    "the Azure SDK could not read the answer of the Key Vault ({name})",
    "Check that the packages of the Azure SDK fit each other",
)
#: Before a request goes out.
_REFUSED_CALL = Meaning(
    ConfigError,
    "the Azure SDK refused the call ({name})",
    "Check the arguments, and that the packages of the Azure SDK fit each other",
)
#: The answer is not JSON, or not a secret, or names another service for the token.
_NO_VAULT = Meaning(
    Unanswered,
    "the answer did not come from a Key Vault ({name})",
    "Check the vault's address, and any proxy in between",
)


#: A row for each class that is no answer of the vault; a test holds that. The answers (those with a
#: status) are told apart by :data:`_ERRORS`, a failed login by
#: :mod:`daena_kms.sdk.azure.refusals`, and a failed connection by its cause first.
CLASSES: Mapping[str, Meaning] = {
    "ServiceRequestError": _BROKEN_OFF,
    "ServiceRequestTimeoutError": _NOT_REACHED,
    "ServiceResponseError": _NO_ANSWER,
    "ServiceResponseTimeoutError": _NO_ANSWER,
    "IncompleteReadError": _DAMAGED,
    "StreamConsumedError": _MISREAD,
    "StreamClosedError": _MISREAD,
    "ResponseNotReadError": _MISREAD,
    "SerializationError": _REFUSED_CALL,
    "DeserializationError": _NO_VAULT,
    "DecodeError": _NO_VAULT,
    "TooManyRedirectsError": _NO_VAULT,
    "AzureError": _NO_ANSWER,
    # Python's own, which the SDK lets through: a token file, an answer that is no secret.
    "FileNotFoundError": NO_FILE,
    "PermissionError": NO_FILE,
    "IsADirectoryError": NO_FILE,
    "NotADirectoryError": NO_FILE,
    "OSError": _NO_ANSWER,
    "ValueError": _NO_VAULT,
    "TypeError": _NO_VAULT,
    "AttributeError": _NO_VAULT,
    "KeyError": _NO_VAULT,
}
#: Classes with a status, which :func:`_answered` tells apart by it.
ANSWERS = frozenset(
    {
        *("HttpResponseError", "ResourceExistsError", "ResourceNotFoundError", "ODataV4Error"),
        *("ResourceModifiedError", "ResourceNotModifiedError"),
    }
)
#: Classes of failed logins: :func:`daena_kms.sdk.azure.refusals.refused`.
LOGINS = frozenset(
    {"ClientAuthenticationError", "CredentialUnavailableError", "AuthenticationRequiredError"}
)


def mapped[T](call: Callable[[], T], key_id: str | None) -> T:
    """Make a call. Raises our errors, without the SDK's text."""
    from azure.core.exceptions import AzureError

    errors = (AzureError, OSError, ValueError, TypeError, AttributeError, KeyError)
    return translated(call, errors, lambda error: _translate(error, key_id))


def _translate(error: Exception, key_id: str | None) -> DaenaKMSError:
    from azure.core.exceptions import ClientAuthenticationError, HttpResponseError

    if isinstance(error, ClientAuthenticationError):
        login = refused(error)
        login.key_id = key_id
        return login
    name = type(error).__name__
    if isinstance(error, HttpResponseError) and (
        error.status_code in _CALLERS_FAULT or name in ANSWERS or name not in CLASSES
    ):
        return _answered(error, key_id)
    return meaning_of(error).about(key_id, name=name)


def meaning_of(error: BaseException) -> Meaning:
    """Return what an error means that is no answer of a service."""
    from azure.core.exceptions import ServiceRequestError

    cause = _connection(error)
    if cause is not None:
        return cause
    if isinstance(error, ServiceRequestError) and _never_sent(error):
        return _NOT_REACHED
    names = (kind.__name__ for kind in type(error).__mro__)
    return next((CLASSES[name] for name in names if name in CLASSES), _NO_ANSWER)


def _connection(error: BaseException) -> Meaning | None:
    """Return what kept a connection from being made, if it was TLS or the proxy."""
    from requests.exceptions import InvalidProxyURL, ProxyError, SSLError

    cause: object = getattr(error, "inner_exception", None)
    if isinstance(cause, ProxyError | InvalidProxyURL):
        return _PROXY
    if isinstance(cause, SSLError):
        # Nothing was sent if it failed while the certificate was looked at.
        text = str(cause)
        if "CERTIFICATE_VERIFY_FAILED" in text:
            return _CERTIFICATE
        return _NO_TLS if "WRONG_VERSION_NUMBER" in text else None
    return None


def _never_sent(error: "ServiceRequestError") -> bool:
    """Return whether a request certainly did not go out.

    The SDK raises the same error for every failed connection, even one broken off later.
    """
    from requests.exceptions import ConnectTimeout
    from urllib3.exceptions import (
        ConnectTimeoutError,
        MaxRetryError,
        NewConnectionError,
    )

    cause: object = error.inner_exception
    if isinstance(cause, ConnectTimeout):
        return True
    inner = cause.args[0] if isinstance(cause, Exception) and cause.args else None
    reason = inner.reason if isinstance(inner, MaxRetryError) else inner
    return isinstance(reason, (NewConnectionError, ConnectTimeoutError))


def _answered(error: "HttpResponseError", key_id: str | None) -> DaenaKMSError:
    """Return our error for an answer of the vault."""
    status, code = error.status_code or 0, code_of(error)
    if status == _THROTTLED:
        return Throttled(key_id, _retry_after(error))
    if status == _NOT_FOUND and not code.endswith("NotFound"):
        return _NOWHERE.about(key_id, status=status, code=code)
    fits = (meaning for known, meaning in _ERRORS.items() if known in {status, code})
    rejected = status in _CALLERS_FAULT and status != _TIMED_OUT
    meaning = next(fits, _REJECTED if rejected else _FAILED)
    ours = meaning.about(key_id, status=status, code=code)
    if isinstance(ours, RotationConflict):
        ours.undecided = True  # what keeps the vault busy may fail
    if isinstance(ours, AccessDenied):
        ours.by_policy = code in BY_POLICY
    return ours


def code_of(error: "HttpResponseError") -> str:
    """Return the innermost code of an answer: a word of Microsoft's, never its text."""
    outer = error.error
    inner = outer.innererror if outer is not None else None
    codes = (
        inner.get("code") if isinstance(inner, Mapping) else None,
        outer.code if outer is not None else None,
        "no code",
    )
    words = [code for code in codes if isinstance(code, str) and code]
    return re.sub(r"[^A-Za-z0-9 ]", "", words[0])[:60]


def _retry_after(error: "HttpResponseError") -> float | None:
    headers: Mapping[str, str] = getattr(error.response, "headers", {})
    text = headers.get("Retry-After", "")
    return float(text) if text.isascii() and text.isdigit() and len(text) < len("100000") else None
