"""Key Vault's errors in our words."""

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
from daena_kms.sdk.azure.login import refused
from daena_kms.sdk.quiet import quiet

if TYPE_CHECKING:
    from azure.core.exceptions import HttpResponseError, ServiceRequestError

_THROTTLED, _DENIED, _TIMED_OUT = 429, 403, 408


class Disabled(KeyNotFound):
    """The version that was asked for, or the newest, is disabled."""


class Throttled(StoreUnavailable):
    """The vault is over its limit and did nothing; ``after`` is when it may be asked again."""

    def __init__(self, key_id: str | None, after: float | None) -> None:
        self.after = after
        super().__init__("Key Vault throttles", key_id=key_id, todo="Try again; the next run does")


class Unanswered(StoreUnavailable):
    """A call may have taken effect: its answer was lost, or was an error of the service's own."""


#: What an answer means, by its innermost code or its status; the first that fits.
_ERRORS: Mapping[str | int, tuple[type[DaenaKMSError], str, str]] = {
    "SecretDisabled": (
        Disabled,
        "this version of it is retired, or disabled by somebody",
        "Enable it in the vault, if it may be used again",
    ),
    "ObjectIsDeletedButRecoverable": (
        KeyExists,
        "a deleted key of that name is in the vault still",
        "restore brings it back; or purge it in the vault, if nobody needs it",
    ),
    404: (KeyNotFound, "there is no such key or version", "Check the name and the vault"),
    409: (
        RotationConflict,
        "the vault is changing, deleting or recovering it just now",
        "Try again in a minute",
    ),
}


def mapped[T](call: Callable[[], T], key_id: str | None) -> T:
    """Make a call. Raises our errors, without the SDK's text."""
    from azure.core.exceptions import (
        AzureError,
        ClientAuthenticationError,
        HttpResponseError,
        ServiceRequestError,
    )

    try:
        with quiet():
            return call()
    except ClientAuthenticationError as error:
        login = refused(error)
        ours: DaenaKMSError = type(login)(login.what, key_id=key_id, todo=login.todo)
    except HttpResponseError as error:
        ours = _answered(error, key_id)
    except ServiceRequestError as error:
        msg = f"the Key Vault can't be reached ({type(error).__name__})"
        todo = "Check its address and the network; the next run tries again"
        ours = (StoreUnavailable if _never_sent(error) else Unanswered)(
            msg, key_id=key_id, todo=todo
        )
    except (AzureError, OSError) as error:
        msg = f"the Key Vault did not answer ({type(error).__name__})"
        todo = "Check the network; the next run tries again"
        ours = Unanswered(msg, key_id=key_id, todo=todo)
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        # What is no JSON, or no secret, or sends us to another service for a token.
        msg = f"what answered is no Key Vault ({type(error).__name__})"
        ours = Unanswered(msg, key_id=key_id, todo="Check its address, and proxies before it")
    # Not chained: the SDK's error holds the answer and the request.
    raise ours


def _never_sent(error: "ServiceRequestError") -> bool:
    """Whether a request certainly did not go out.

    The SDK says so of every failed connection, also of one that was broken off later.
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
    """Return our error for an answer.

    https://learn.microsoft.com/azure/key-vault/general/rest-error-codes
    """
    status, code = error.status_code or 0, _code(error)
    if status == _THROTTLED:
        return Throttled(key_id, _retry_after(error))
    for found, (kind, what, todo) in _ERRORS.items():
        if found in {status, code}:
            return kind(what, key_id=key_id, todo=todo)
    if status == _DENIED:
        msg = f"Key Vault refused the call ({code})"
        todo = "Allow it: the role Key Vault Secrets Officer on this vault, and its firewall"
        return AccessDenied(msg, key_id=key_id, todo=todo)
    if 400 <= status < 500 and status != _TIMED_OUT:  # noqa: PLR2004 - the caller's side
        msg = f"Key Vault does not take the call ({status} {code})"
        return ConfigError(msg, key_id=key_id, todo="Look at the key with show")
    msg = f"Key Vault failed ({status} {code})"
    return Unanswered(msg, key_id=key_id, todo="Try again; the next run does")


def _code(error: "HttpResponseError") -> str:
    """Return the innermost code of an answer: a word of Microsoft's, never its text."""
    found = error.error
    inner = found.innererror if found is not None else None
    code = inner.get("code") if isinstance(inner, Mapping) else None
    outer = found.code if found is not None else None
    words = [word for word in (code, outer, "no code") if isinstance(word, str) and word]
    return re.sub(r"[^A-Za-z0-9 ]", "", words[0])[:60]


def _retry_after(error: "HttpResponseError") -> float | None:
    headers: Mapping[str, str] = getattr(error.response, "headers", {})
    text = headers.get("Retry-After", "")
    return float(text) if text.isascii() and text.isdigit() and len(text) < len("100000") else None
