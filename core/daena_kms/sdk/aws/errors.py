"""AWS's errors in our words."""

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
        super().__init__(msg, key_id=key_id, todo="Try again, or wait for the next run")


_POLICY = "Look at it with aws secretsmanager get-resource-policy"
_KMS_KEY = "Check the KMS key's policy, and that the key is enabled"
#: What an error code means. https://docs.aws.amazon.com/secretsmanager/latest/apireference/
#: lists the codes by operation.
_ERRORS: Mapping[str, Meaning] = {
    "ResourceNotFoundException": Meaning(
        KeyNotFound,
        "there is no such key or version",
        "Create it, or check the name and the region",
    ),
    "ResourceExistsException": Meaning(KeyExists, "it exists already", "Use it, or another id"),
    "LimitExceededException": Meaning(
        StoreUnavailable,
        "it is at a limit of Secrets Manager (20 labels and 100 versions for each secret)",
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
        (
            "AccessDeniedException",
            "AccessDenied",
            "UnrecognizedClientException",
            "InvalidSignatureException",
            "SignatureDoesNotMatch",
            "ExpiredTokenException",
            "ExpiredToken",
            "InvalidClientTokenId",
            "IncompleteSignature",
            "NotAuthorized",
        ),
        Meaning(
            AccessDenied,
            "AWS refused {operation} ({code})",
            f"Allow it in the caller's policy and in the KMS key's. {_CREDENTIALS}",
        ),
    ),
}
#: The codes of :class:`RefusedError`.
_REFUSED = {"InvalidRequestException", "InvalidParameterException", "ValidationException"}

#: What an error of botocore's own means, by the name of its class; the first that fits.
_NO_REGION = Meaning(ConfigError, "no AWS region is set", "Set AWS_REGION, or pass region")
_NO_CREDENTIALS = Meaning(ConfigError, "no usable AWS credentials ({name})", _CREDENTIALS)
_CALL_REFUSED = Meaning(
    ConfigError, "the AWS SDK refused the call ({name})", "Check the arguments and the settings"
)
_NO_ANSWER = Meaning(
    StoreUnavailable,
    "AWS did not answer ({name})",
    "Check the network; the next run tries again",
)


def mapped[T](call: Callable[[], T], operation: str, key_id: str | None) -> T:
    """Make a call of one operation. Raises our errors, without the SDK's text."""
    from botocore.exceptions import BotoCoreError, ClientError

    def translate(error: Exception) -> DaenaKMSError:
        if isinstance(error, ClientError):
            return _service_error(error, operation, key_id)
        return sdk_error(error, key_id)

    return translated(call, (ClientError, BotoCoreError), translate)


def _service_error(error: "ClientError", operation: str, key_id: str | None) -> DaenaKMSError:
    code = str(error.response.get("Error", {}).get("Code", ""))
    if code in _ERRORS:
        return _ERRORS[code].about(key_id, operation=operation, code=code)
    if code in _REFUSED:
        return RefusedError(code, operation, key_id)
    return FailedError(code, operation, key_id)


def sdk_error(error: "BotoCoreError | Exception", key_id: str | None = None) -> DaenaKMSError:
    """Return our error for one that botocore raised without an answer of AWS."""
    name = type(error).__name__
    if name == "NoRegionError":
        meaning = _NO_REGION
    elif any(word in name for word in ("Credential", "Profile", "Token", "SSO")):
        meaning = _NO_CREDENTIALS
    elif name in {
        "ParamValidationError",
        "UnknownParameterError",
        "InvalidEndpointConfigurationError",
    }:
        meaning = _CALL_REFUSED
    else:
        meaning = _NO_ANSWER
    return meaning.about(key_id, name=name)
