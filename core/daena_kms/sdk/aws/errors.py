"""AWS's errors in our words: the codes of its services, and every class of botocore's own."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from daena_kms.errors import (
    AccessDenied,
    ConfigError,
    DaenaKMSError,
    KeyExists,
    KeyNotFound,
    NotManaged,
    StoreUnavailable,
)
from daena_kms.sdk.aws.causes import (
    CLASSES,
    DAMAGED,
    IN_ANSWERS,
    IN_CALLS,
    UNKNOWN,
    is_expired,
    is_of_answer,
    is_of_credentials,
    of_transport,
)
from daena_kms.sdk.errors import Meaning, is_off, read_date, safe_word, translated, wrong_clock

if TYPE_CHECKING:
    from botocore.exceptions import BotoCoreError, ClientError

_CREDENTIALS = "Check the credentials that the AWS SDK finds: environment, profile or role"


class RefusedError(ConfigError):
    """The service refused a call in the secret's present state; ``reason`` is its code."""

    def __init__(self, reason: str, operation: str, key_id: str | None) -> None:
        self.reason = reason
        msg = f"Secrets Manager refused {operation} in the secret's present state ({reason})"
        super().__init__(msg, key_id=key_id, todo="Look at the key with show")


class FailedError(StoreUnavailable):
    """The service answered with an error that is not in our tables; ``reason`` is its code."""

    def __init__(self, reason: str, operation: str, key_id: str | None) -> None:
        self.reason = reason
        msg = f"{operation} failed ({reason or 'no code'})"
        todo = "Try again, or wait for the next run"
        if reason.isdecimal():
            msg = f"{operation} failed: status {reason}, and no error of AWS"
            todo = "Look for a proxy in between; the next run tries again"
        super().__init__(msg, key_id=key_id, todo=todo)


_POLICY = "Look at it with aws secretsmanager get-resource-policy"
_KMS_KEY = "Check the KMS key's policy, and that the key is enabled"
AT_LIMIT = "it is at a limit of Secrets Manager (20 labels and 100 versions for each secret)"
#: What an error code means. https://docs.aws.amazon.com/secretsmanager/latest/apireference/
#: lists the codes by operation, and https://docs.aws.amazon.com/AmazonS3/latest/API/
#: ErrorResponses.html those of S3.
_ERRORS: Mapping[str, Meaning] = {
    "ResourceNotFoundException": Meaning(
        KeyNotFound,
        "there is no such key or version",
        "Create it, or check the name and the region",
    ),
    "ResourceExistsException": Meaning(KeyExists, "it exists already", "Use it, or another id"),
    "LimitExceededException": Meaning(
        StoreUnavailable,
        AT_LIMIT,
        "Remove labels from versions that nobody needs, or try again later",
    ),
    "DecryptionFailure": Meaning(AccessDenied, "its KMS key can't decrypt it", _KMS_KEY),
    "EncryptionFailure": Meaning(AccessDenied, "its KMS key can't encrypt it", _KMS_KEY),
    "MalformedPolicyDocumentException": Meaning(
        ConfigError, "Secrets Manager refuses its resource policy", _POLICY
    ),
    "PublicPolicyException": Meaning(
        ConfigError, "Secrets Manager considers its resource policy public", _POLICY
    ),
    "NotFoundException": Meaning(
        ConfigError,
        "the KMS key in AWS_KMS_KEY_ID does not exist",
        "Check its id and the region",
    ),
    "InvalidArnException": Meaning(
        ConfigError, "KMS rejects the KMS key's ARN", "Check AWS_KMS_KEY_ID and the region"
    ),
    "DisabledException": Meaning(ConfigError, "the KMS key is disabled", "Enable it"),
    "KMSInvalidStateException": Meaning(
        ConfigError, "the KMS key is not usable", "Check its state"
    ),
    "InvalidKeyUsageException": Meaning(
        ConfigError,
        "the KMS key is not a symmetric encryption key",
        "Set AWS_KMS_KEY_ID to a symmetric encryption key",
    ),
    # Common to all services.
    **dict.fromkeys(
        ("AccessDeniedException", "AccessDenied", "NotAuthorized"),
        Meaning(
            AccessDenied,
            "AWS refused {operation} ({code})",
            f"Allow it in the caller's policy and in the KMS key's. {_CREDENTIALS}",
            by_policy=True,
        ),
    ),
    "OptInRequired": Meaning(
        AccessDenied,
        "AWS refused {operation} ({code})",
        "Check that the account may use this service in this region",
    ),
    **dict.fromkeys(
        (
            "UnrecognizedClientException",
            "InvalidClientTokenId",
            "InvalidAccessKeyId",
            "InvalidSignatureException",
            "SignatureDoesNotMatch",
            "AuthFailure",
            "IncompleteSignature",
            "MissingAuthenticationToken",
        ),
        Meaning(AccessDenied, "AWS does not accept the credentials ({code})", _CREDENTIALS),
    ),
    **dict.fromkeys(
        ("ExpiredTokenException", "ExpiredToken"),
        Meaning(
            AccessDenied,
            "the AWS credentials have expired ({code})",
            "Log in again, for example with aws sso login, or renew the role's credentials",
        ),
    ),
}
#: What a code means where a key signs: such a key is named in full, and AWS_KMS_KEY_ID is another.
#: https://docs.aws.amazon.com/kms/latest/APIReference/API_Sign.html, API_GetPublicKey.html
_SIGNING: Mapping[str, Meaning] = {
    "NotFoundException": Meaning(
        ConfigError, "the key that signs does not exist", "Check its ARN: region, account and id"
    ),
    "InvalidArnException": Meaning(
        ConfigError, "KMS rejects the ARN of the key that signs", "Check its region and account"
    ),
    "DisabledException": Meaning(ConfigError, "the key that signs is disabled", "Enable it"),
    "KMSInvalidStateException": Meaning(
        ConfigError, "the key that signs is not usable", "Check its state"
    ),
    **dict.fromkeys(
        ("InvalidKeyUsageException", "UnsupportedOperationException"),
        Meaning(
            ConfigError,
            "the key is of a kind or usage that does not sign ({code})",
            "Use a KMS key of the spec ECC_NIST_EDWARDS25519 with the usage SIGN_VERIFY",
        ),
    ),
    "ValidationException": Meaning(
        ConfigError,
        "KMS rejected the arguments of {operation}",
        "Check the key: its spec must be ECC_NIST_EDWARDS25519",
    ),
    "AccessDeniedException": Meaning(
        AccessDenied,
        "AWS refused {operation} ({code})",
        "Allow kms:GetPublicKey and kms:Sign on the key in the caller's policy and in the key's. "
        f"{_CREDENTIALS}",
        by_policy=True,
    ),
}
_SIGNS = frozenset({"get_public_key", "sign"})
#: The limit that a creation meets is the account's, in one region.
_LAST_SECRET = ("LimitExceededException", "create_secret")
_TOO_MANY = Meaning(
    StoreUnavailable,
    "the account has as many secrets as Secrets Manager allows in a region",
    "Delete secrets that nobody needs, or use another region",
)
#: The codes of :class:`RefusedError`.
_REFUSED = {"InvalidRequestException", "InvalidParameterException", "ValidationException"}
#: What Secrets Manager says of every change of a replica. Its code has many other meanings.
_REPLICA = "Operation not permitted on a replica secret"

#: These say that the clock is wrong, and nothing else.
_CLOCK = frozenset({"RequestTimeTooSkewed", "RequestExpired", "RequestInTheFuture"})
#: These may say so. The text tells, or the time in the answer.
#: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-troubleshooting.html
_MAYBE_CLOCK = frozenset({"SignatureDoesNotMatch", "InvalidSignatureException", "AuthFailure"})
_DATED = re.compile(r"signature (?:has )?expired|not yet current|is now (?:earlier|later)")

#: A bucket in another region. S3 names the region in a header, or in the body.
_ELSEWHERE = frozenset(
    {
        "PermanentRedirect",
        "TemporaryRedirect",
        "AuthorizationHeaderMalformed",
        "IllegalLocationConstraintException",
        "301",
    }
)
_REGION = re.compile(r"[a-z0-9-]{1,40}", re.ASCII)


def mapped[T](
    call: Callable[[], T],
    operation: str,
    key_id: str | None,
    more: tuple[type[Exception], ...] = (),
    explain: Callable[[DaenaKMSError, str, str], None] | None = None,
) -> T:
    """Make a call of one operation. Raises our errors, without the SDK's text.

    Args:
        call: Makes the call.
        operation: Its name, for messages.
        key_id: The key, if it is about one.
        more: Further errors that mean what :data:`daena_kms.sdk.aws.causes.CLASSES` says.
        explain: Adds to our error for an answer of the service; takes its code and text as well.
    """
    from botocore.exceptions import BotoCoreError, ClientError
    from botocore.parsers import ResponseParserError

    def translate(error: Exception) -> DaenaKMSError:
        if isinstance(error, ClientError):
            ours = _service_error(error, operation, key_id)
            if explain is not None:
                explain(ours, *_told(error))
            return ours
        if is_of_answer(error):
            # The call may have taken effect.
            return DAMAGED.about(key_id, name=type(error).__name__)
        if isinstance(error, RuntimeError) and not is_expired(error):
            raise error
        if not (more or isinstance(error, (*IN_CALLS, *foreseen))):
            raise error
        plain = type(error).__module__ != BotoCoreError.__module__
        if (
            isinstance(error, ValueError | EOFError)
            and plain
            and not (more or is_of_credentials(error))
        ):
            # It was met in the answer, so the call may have taken effect.
            return DAMAGED.about(key_id, name=type(error).__name__)
        return sdk_error(error, key_id)

    foreseen = (BotoCoreError, ResponseParserError, RuntimeError, EOFError)
    kinds = (ClientError, *foreseen, *IN_ANSWERS, *more)
    return translated(call, kinds, translate)


def elsewhere(region: object) -> ConfigError:
    """Return the error for a bucket that is in another region than the one that was asked."""
    known = isinstance(region, str) and _REGION.fullmatch(region) is not None
    msg = f"the bucket is in another region{f' ({region})' if known else ''}"
    todo = f"Set AWS_REGION to {region}" if known else "Set AWS_REGION to the bucket's region"
    return ConfigError(msg, todo=f"{todo}, or use a bucket in the region that is set")


def clock_refused(code: str, text: str, theirs: datetime | None) -> bool:
    """Return whether a refusal means that this machine's clock is wrong.

    Args:
        code: The service's code.
        text: The service's text, of which nothing is shown.
        theirs: The time in the answer.
    """
    if code in _CLOCK:
        return True
    return code in _MAYBE_CLOCK and (bool(_DATED.search(text.lower())) or is_off(theirs))


def _told(error: "ClientError") -> tuple[str, str]:
    """Return a service's code and its text."""
    answer = error.response.get("Error", {})
    return str(answer.get("Code", "")), str(answer.get("Message", ""))


def _service_error(error: "ClientError", operation: str, key_id: str | None) -> DaenaKMSError:
    answer, metadata = error.response.get("Error", {}), error.response.get("ResponseMetadata", {})
    headers = metadata.get("HTTPHeaders", {})
    (code, text), theirs = _told(error), read_date(headers.get("date"))
    if clock_refused(code, text, theirs):
        return wrong_clock("AWS", theirs, key_id)
    if code in _REFUSED and _REPLICA in text:
        msg = "it is a replica of a secret elsewhere, and AWS allows no change of its value here"
        todo = "Rotate its primary, or make the replica a secret of its own"
        return NotManaged(msg, key_id=key_id, todo=todo)
    meaning = (_SIGNING.get(code) if operation in _SIGNS else None) or _ERRORS.get(code)
    if (code, operation) == _LAST_SECRET:
        meaning = _TOO_MANY
    if meaning is not None:
        return meaning.about(key_id, operation=operation, code=code)
    if code in _REFUSED:
        return RefusedError(code, operation, key_id)
    # Without the header, a bare status may be that of a proxy, which wants a login.
    if code in _ELSEWHERE and (not code.isdecimal() or "x-amz-bucket-region" in headers):
        return elsewhere(headers.get("x-amz-bucket-region") or answer.get("Region"))
    return FailedError(safe_word(code), operation, key_id)


def sdk_error(error: "BotoCoreError | Exception", key_id: str | None = None) -> DaenaKMSError:
    """Return our error for one that botocore raised without an answer of AWS."""
    meaning = of_transport(error)
    if meaning is None:
        names = (kind.__name__ for kind in type(error).__mro__)
        meaning = next((CLASSES[name] for name in names if name in CLASSES), UNKNOWN)
    return meaning.about(key_id, name=type(error).__name__)
