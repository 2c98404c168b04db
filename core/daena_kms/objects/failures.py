"""What a failure means: one of ``obstore``, and one of the listings that we ask for ourselves.

The library has few classes. What it knows beyond them (a certificate, a service's code) stands in
the text of its error, which may quote a whole answer. Of a listing there is the answer itself.
Either way, nothing of a foreign text is shown, except a code and a region of the usual form.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from daena_kms.errors import AuditUnavailable, ConfigError, DaenaKMSError, StoreUnavailable
from daena_kms.objects.base import Use
from daena_kms.objects.listing import Refused
from daena_kms.sdk.errors import is_off, read_date, wrong_clock
from daena_kms.sdk.rest import NoAnswer, Why

_CODE = re.compile(r"<Code>([A-Za-z]{1,60})</Code>", re.ASCII)
_REGION = re.compile(r"<Region>([a-z0-9-]{1,40})</Region>", re.ASCII)
_ONE_REGION = re.compile(r"[a-z0-9-]{1,40}", re.ASCII)
_STATUS = re.compile(r"Server returned non-2xx status code: ([0-9]{3})", re.ASCII)
_TIME = re.compile(r"<ServerTime>([0-9T:.+-]{1,40}Z?)</ServerTime>", re.ASCII)
#: How the service's answer to a wrong clock is called.
#: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
_CLOCK = frozenset({"RequestTimeTooSkewed", "RequestExpired", "RequestInTheFuture"})
#: These may say so, if the time in the answer is another one.
_MAYBE_CLOCK = frozenset(
    {"SignatureDoesNotMatch", "AuthenticationFailed", "InvalidAuthenticationInfo"}
)
_ELSEWHERE = frozenset({"PermanentRedirect", "TemporaryRedirect"}) | {
    *("AuthorizationHeaderMalformed", "IllegalLocationConstraintException"),
}
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_NO_PLACE = frozenset({"NoSuchBucket", "ContainerNotFound"})
#: The codes of a 409 after which S3 says to try again.
_AGAIN = frozenset({"ConditionalRequestConflict", "OperationAborted"})
_NO_OBJECT = frozenset({"NoSuchKey", "BlobNotFound", "ResourceNotFound"})
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
_CONTENDED = Cause("others write to it at the same moment", "The next run tries again")
_BUSY = Cause("it is busy or failed by itself", "The next run tries again")
_REFUSED = Cause("the service refused the request", _ACCESS)
_NONSENSE = Cause(
    "what answers there is not the service",
    "Check its address, the endpoint's variable, and any proxy in between",
)

#: These say nothing about the place itself.
_SILENT = frozenset({_PROXY, _NAME, _NETWORK, _BUSY, _NONSENSE, _LIBRARY})
#: What a status means where the code says nothing.
_STATUSES: Mapping[int, Cause] = {
    401: _CREDENTIALS,
    403: _DENIED,
    404: _ABSENT,
    407: _PROXY,
    **dict.fromkeys((408, 429, 500, 502, 503, 504), _BUSY),
}
#: What it means that there is no answer.
UNANSWERED: Mapping[Why, Cause] = {
    Why.AWAY: _NETWORK,
    Why.NAME: _NAME,
    Why.CERTIFICATE: _CERTIFICATE,
    Why.NO_TLS: _NO_TLS,
    Why.PROXY: _PROXY,
    Why.LOGIN: _CREDENTIALS,
    Why.SETTING: _SETTINGS,
    Why.NONSENSE: _NONSENSE,
}

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
    ("ConnectFailed(", _PROXY),
    ("dns error", _NAME),
    ('"dns"', _NAME),
)
_UNANSWERED = re.compile(r"kind: (?:Connect|Request|Timeout|Interrupted|Unknown|Decode),")
#: What the library says of a success without the headers that every service sends.
_UNREAD = "Unable to extract metadata from headers"
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
    return _error(type(error).__name__, cause_of(error), what, url, use)


def contended(code: str, url: str, use: Use) -> DaenaKMSError:
    """Return our error for an object that others kept from being created, by the service's code."""
    return _error(code, _CONTENDED if code in _AGAIN else _REFUSED, "written", url, use)


def foreign(name: str, what: str, url: str, use: Use) -> DaenaKMSError:
    """Return our error for an answer that is not the service's.

    Args:
        name: What came, in a few words.
        what: What can't be done, as a participle.
        url: The address, for the message.
        use: What the objects are kept for.
    """
    return _error(name, _NONSENSE, what, url, use)


def is_absent(missing: FileNotFoundError) -> bool:
    """Return whether the service itself says that it has no such object.

    Each service names a code in such an answer. A page without one is a proxy's, and a place that
    does not exist is no answer about an object.
    """
    return code_of(missing) in _NO_OBJECT


def unlisted(error: Refused | NoAnswer, url: str, use: Use) -> DaenaKMSError:
    """Return our error for a listing that we asked for, as :func:`failure` does for the library's.

    Args:
        error: Why there is no listing.
        url: The address, for the message.
        use: What the objects are kept for.
    """
    if isinstance(error, NoAnswer):
        return _error(str(error), UNANSWERED[error.why], "listed", url, use)
    answer = error.answer
    told = _Told(error.code, answer.status, answer.body.decode(errors="replace"), answer.headers)
    cause = _of_answer(told) or _STATUSES.get(answer.status, _REFUSED)
    return _error(str(error), cause, "listed", url, use)


def unentered(login: DaenaKMSError, what: str, url: str, use: Use) -> DaenaKMSError:
    """Return our error for a place that can't be used because a login failed.

    Args:
        login: Why there are no credentials.
        what: What can't be done, as a participle.
        url: The address, for the message.
        use: What the objects are kept for.
    """
    error = use.error(f"{use.label} {url} can't be {what}: {login.what}", todo=login.todo)
    return _judged(error, silent=isinstance(login, StoreUnavailable))


def _error(name: str, cause: Cause, what: str, url: str, use: Use) -> DaenaKMSError:
    error = use.error(f"{use.label} {url} can't be {what} ({name}): {cause.why}", todo=cause.todo)
    return _judged(error, silent=cause in _SILENT)


def _judged(error: DaenaKMSError, *, silent: bool) -> DaenaKMSError:
    """Note in an error whether it says anything about the place's state."""
    if isinstance(error, AuditUnavailable | StoreUnavailable):
        error.silent = silent
    return error


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


def is_unread(error: BaseException) -> bool:
    """Return whether a success came that is not the service's: nobody knows what it did."""
    return _UNREAD in str(error) and not status_of(error)


def status_of(error: BaseException) -> int:
    """Return the status of a refusal, which stands in the text of the library's error, or 0."""
    found = _STATUS.search(str(error))
    return int(found[1]) if found is not None else 0


def cause_of(error: BaseException) -> Cause:
    """Return why a call failed."""
    told = None if is_panic(error) else _told(str(error))
    if told is not None:
        return told
    names = (kind.__name__ for kind in type(error).__mro__)
    return next((CLASSES[name] for name in names if name in CLASSES), _LIBRARY)


def _told(text: str) -> Cause | None:
    """Return what an error's text tells beyond its class, or ``None``."""
    code, status = _CODE.search(text), _STATUS.search(text)
    told = _Told(
        "" if code is None else code[1],
        0 if status is None else int(status[1]),
        text,
        bare="redirect without LOCATION" in text,
    )
    rules = (
        (cause := _of_answer(told), cause),
        (told.status in _STATUSES, _STATUSES.get(told.status)),
        # What follows stands only in a general error, and before there was an answer.
        (told.code or told.status or "Generic " not in text, None),
        (any(words in text for words in _SET_WRONG), _SETTINGS),
        (_UNREAD in text, _NONSENSE),
        (_UNANSWERED.search(text), _unanswered(text)),
    )
    return next((cause for holds, cause in rules if holds), None)


def _unanswered(text: str) -> Cause:
    return next((cause for words, cause in _BEFORE if words in text), _NETWORK)


@dataclass(frozen=True, slots=True)
class _Told:
    """What is known of a refusal. A text is looked at for fixed words, and nothing of it shown."""

    #: The service's code; empty if it says none.
    code: str
    #: Zero, if it is not known.
    status: int
    #: Its body, or a text that quotes it.
    text: str
    #: By lower-case name; the library drops them.
    headers: Mapping[str, str] = field(default_factory=dict)
    #: Whether it leads elsewhere without saying where.
    bare: bool = False


def _of_answer(told: _Told) -> Cause | None:
    """Return what a refusal means by its code, its region and its time, or ``None``."""
    rules = (
        (_is_clock(told), _wrong_clock(told)),
        (_is_elsewhere(told), _elsewhere(told)),
        (told.code in _NO_PLACE, _ABSENT),
        (told.code in _NO_CALLER, _CREDENTIALS),
        (told.code in _BUSY_CODES, _BUSY),
    )
    return next((cause for holds, cause in rules if holds), None)


def _is_elsewhere(told: _Told) -> bool:
    # S3 says no location: https://docs.aws.amazon.com/AmazonS3/latest/userguide/Redirects.html
    away = told.status in _REDIRECTS and "location" not in told.headers and bool(told.headers)
    return told.code in _ELSEWHERE or told.bare or away


def _elsewhere(told: _Told) -> Cause:
    found = _REGION.search(told.text)
    region = told.headers.get("x-amz-bucket-region") or (found[1] if found is not None else "")
    if _ONE_REGION.fullmatch(region) is None:
        return Cause("it is in another region", "Set AWS_REGION to the bucket's region")
    return Cause(f"it is in another region ({region})", f"Set AWS_REGION to {region}")


def _is_clock(told: _Told) -> bool:
    """Return whether a refusal is about the time, by its code or by the time in it."""
    if told.code in _CLOCK:
        return True
    # S3 writes its time into a body only where the time is what it refuses.
    if told.code in _MAYBE_CLOCK:
        return is_off(_time_of(told))
    return told.code == "AccessDenied" and is_off(_time_in(told.text))


def _wrong_clock(told: _Told) -> Cause:
    """Return that the clock is wrong, and by how much, if the answer tells."""
    measured = wrong_clock("it", _time_of(told))
    return Cause(measured.what.partition("because ")[2], measured.todo or "")


def _time_of(told: _Told) -> datetime | None:
    return _time_in(told.text) or read_date(told.headers.get("date"))


def _time_in(text: str) -> datetime | None:
    found = _TIME.search(text)
    try:
        theirs: Any = datetime.fromisoformat(found[1]) if found is not None else None
    except ValueError:
        return None
    return theirs if theirs is not None and theirs.tzinfo is not None else None
