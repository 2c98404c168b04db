"""What a failure of ``obstore`` means, told by its class and by fixed words in its text.

The library has few classes. What it knows beyond them (a certificate, a service's code) stands in
the text of its error, which may quote a whole answer, so nothing of that text is shown.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from daena_kms.errors import ConfigError, DaenaKMSError
from daena_kms.objects.base import Use
from daena_kms.sdk.errors import is_off, wrong_clock

_CODE = re.compile(r"<Code>([A-Za-z]{1,60})</Code>", re.ASCII)
_REGION = re.compile(r"<Region>([a-z0-9-]{1,40})</Region>", re.ASCII)
_TIME = re.compile(r"<ServerTime>([0-9T:.+-]{1,40}Z?)</ServerTime>", re.ASCII)
#: How the service's answer to a wrong clock is called.
#: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
_CLOCK = frozenset({"RequestTimeTooSkewed", "RequestExpired", "RequestInTheFuture"})
_ELSEWHERE = frozenset(
    {"PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"}
)
_NO_PLACE = frozenset({"NoSuchBucket", "ContainerNotFound"})
#: https://learn.microsoft.com/rest/api/storageservices/common-rest-api-error-codes and
#: https://cloud.google.com/storage/docs/xml-api/reference-status
_NO_CALLER = frozenset(
    {
        *("InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken"),
        *("TokenRefreshRequired", "AuthenticationFailed", "InvalidAuthenticationInfo"),
        *("NoAuthenticationInformation", "InvalidSecurity", "AuthenticationRequired"),
    }
)
_BUSY_CODES = frozenset(
    {
        *("SlowDown", "InternalError", "ServiceUnavailable", "RequestTimeout", "OperationAborted"),
        *("ServerBusy", "OperationTimedOut", "RequestRateLimitExceeded"),
    }
)


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a place can't be used: the end of the message's first sentence, and what to do."""

    why: str
    todo: str


_ACCESS = "Check its address, the permissions on it, and that it answers"
_SETTINGS = Cause(
    "a setting is wrong", "Check its address, the region, and the endpoint's variable"
)
_CREDENTIALS = Cause(
    "the credentials are not accepted", "Check the credentials that the cloud's SDK finds"
)
_DENIED = Cause("the caller is refused", _ACCESS)
_ABSENT = Cause("it does not exist", _ACCESS)
_CHANGED = Cause("the object is not in the state that was asked for", "Run audit verify")
_LIBRARY = Cause(
    "the library that reaches it failed", "Check its address, then report it with the versions"
)
_UNSUPPORTED = Cause(
    "it can't create an object only if absent",
    "Keep the log in S3, Blob Storage, Cloud Storage or a folder",
)
_CERTIFICATE = Cause(
    "the certificate of its endpoint is not trusted",
    "Check AWS_CA_BUNDLE, the profile's ca_bundle or REQUESTS_CA_BUNDLE, this machine's clock, and "
    "any proxy that opens TLS",
)
_NO_TLS = Cause(
    "its endpoint speaks no TLS", "Check the endpoint's scheme and port, and any proxy in between"
)
_PROXY = Cause("the proxy refuses the connection", "Check HTTPS_PROXY and NO_PROXY")
_NAME = Cause(
    "its host's name can't be looked up", "Check its address and the region, and the name service"
)
_NETWORK = Cause("it did not answer", "Check the network; the next run tries again")
_BUSY = Cause("it is busy or failed by itself", "The next run tries again")
_REFUSED = Cause("the service refused the request", _ACCESS)

#: A row for every class of ``obstore.exceptions``, and for those of Python's that it raises. A test
#: holds that. :func:`_told` looks first, at what the text of a general error tells.
CLASSES: Mapping[str, Cause] = {
    "PermissionDeniedError": _DENIED,
    "UnauthenticatedError": _CREDENTIALS,
    "NotFoundError": _ABSENT,
    "FileNotFoundError": _ABSENT,
    "InvalidPathError": _SETTINGS,
    "UnknownConfigurationKeyError": _SETTINGS,
    "ValueError": _SETTINGS,
    "TypeError": _SETTINGS,
    "NotSupportedError": _UNSUPPORTED,
    "NotImplementedError": _UNSUPPORTED,
    "AlreadyExistsError": _CHANGED,
    "PreconditionError": _CHANGED,
    "NotModifiedError": _CHANGED,
    "JoinError": _LIBRARY,
    "PanicException": _LIBRARY,
    "GenericError": _REFUSED,
    "BaseError": _LIBRARY,
    "OSError": _NETWORK,
}

#: Words that the library's text has for what happened before there was an answer, and those that
#: have to stand before them, so that no answer can pretend.
_BEFORE: tuple[tuple[str, Cause], ...] = (
    ("InvalidCertificate(", _CERTIFICATE),
    ("InvalidContentType", _NO_TLS),
    ("InvalidMessage(", _NO_TLS),
    ("AlertReceived(", _NO_TLS),
    ("TunnelUnsuccessful", _PROXY),
    ("TunnelUnexpectedEof", _PROXY),
    ("ProxyAuthRequired", _PROXY),
    ("dns error", _NAME),
    ('"dns"', _NAME),
)
_UNANSWERED = re.compile(r"kind: (?:Connect|Request|Timeout|Interrupted|Unknown|Decode),")
_SET_WRONG = ("Generic Config error", "builder error", "URL scheme is not allowed")


def is_panic(error: BaseException) -> bool:
    """Return whether a library written in Rust failed on a defect of its own.

    That is a BaseException, which nothing that catches errors would catch.
    """
    return type(error).__name__ == "PanicException"


def of_library(error: BaseException) -> bool:
    """Return whether ``obstore`` raised it: its own classes, Python's that it uses, or a panic."""
    from obstore import exceptions

    mine = (exceptions.BaseError, OSError, ValueError, TypeError, NotImplementedError)
    return isinstance(error, mine) or is_panic(error)


def failure(error: BaseException, what: str, url: str, use: Use) -> DaenaKMSError:
    """Return our error for one of the library's.

    Args:
        error: The library's error.
        what: What can't be done, as a participle.
        url: The address, for the message.
        use: What the objects are kept for.
    """
    cause = cause_of(error)
    msg = f"{use.label} {url} can't be {what} ({type(error).__name__}): {cause.why}"
    return use.error(msg, todo=cause.todo)


def made[T](make: Callable[[], T], url: str, use: Use) -> T:
    """Make a client of the library, which makes no call yet.

    Raises:
        ConfigError: It rejects the settings.
    """
    try:
        return make()
    except BaseException as error:
        if not of_library(error):
            raise
        name = type(error).__name__
    msg = f"{use.label} {url} can't be reached with these settings ({name})"
    todo = "Check its address, and the variables for its endpoint, proxy and certificates"
    raise ConfigError(msg, todo=todo)


def code_of(error: BaseException) -> str:
    """Return the service's code for a refusal, which stands in the text of the library's error."""
    found = _CODE.search(str(error))
    return found[1] if found is not None else "refused"


def cause_of(error: BaseException) -> Cause:
    """Return why a call failed."""
    told = None if is_panic(error) else _told(str(error))
    if told is not None:
        return told
    names = (kind.__name__ for kind in type(error).__mro__)
    return next((CLASSES[name] for name in names if name in CLASSES), _LIBRARY)


def _told(text: str) -> Cause | None:
    """Return what an error's text tells beyond its class, or ``None``."""
    found = _CODE.search(text)
    code = "" if found is None else found[1]
    rules = (
        (code in _CLOCK or _is_skewed(code, text), _wrong_clock(text)),
        (code in _ELSEWHERE or "redirect without LOCATION" in text, _elsewhere(text)),
        (code in _NO_PLACE, _ABSENT),
        (code in _NO_CALLER, _CREDENTIALS),
        (code in _BUSY_CODES, _BUSY),
        # What follows stands only in a general error, and before there was an answer.
        (bool(code) or "Generic " not in text, None),
        (any(words in text for words in _SET_WRONG), _SETTINGS),
        (_UNANSWERED.search(text) is not None, _unanswered(text)),
    )
    return next((cause for holds, cause in rules if holds), None)


def _unanswered(text: str) -> Cause:
    return next((cause for words, cause in _BEFORE if words in text), _NETWORK)


def _elsewhere(text: str) -> Cause:
    found = _REGION.search(text)
    if found is None:
        return Cause("it is in another region", "Set AWS_REGION to the bucket's region")
    return Cause(f"it is in another region ({found[1]})", f"Set AWS_REGION to {found[1]}")


def _wrong_clock(text: str) -> Cause:
    """Return that the clock is wrong, and by how much, if the answer tells."""
    measured = wrong_clock("it", _time_in(text))
    return Cause(measured.what.partition("because ")[2], measured.todo or "")


def _is_skewed(code: str, text: str) -> bool:
    """Return whether a refused signature is refused for its time, which the answer tells."""
    signed = code in {"SignatureDoesNotMatch", "AccessDenied", "AuthenticationFailed"}
    return signed and is_off(_time_in(text))


def _time_in(text: str) -> datetime | None:
    found = _TIME.search(text)
    try:
        theirs: Any = datetime.fromisoformat(found[1]) if found is not None else None
    except ValueError:
        return None
    return theirs if theirs is not None and theirs.tzinfo is not None else None
