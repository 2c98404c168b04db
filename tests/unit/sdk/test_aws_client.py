"""Every error of the SDK in our words, with none of its text; clients made once, on first use."""

import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import pytest
from botocore import exceptions
from botocore.exceptions import BotoCoreError, ClientError
from daena_kms.errors import (
    AccessDenied,
    ConfigError,
    DaenaKMSError,
    KeyExists,
    KeyNotFound,
    StoreUnavailable,
)
from daena_kms.sdk.aws.client import AWS
from daena_kms.sdk.aws.errors import FailedError, RefusedError

from infra.local.aws.sim import REGION

if TYPE_CHECKING:
    from botocore.client import BaseClient

CODES: dict[str, type[DaenaKMSError]] = {
    "ResourceNotFoundException": KeyNotFound,
    "ResourceExistsException": KeyExists,
    "LimitExceededException": StoreUnavailable,
    "DecryptionFailure": AccessDenied,
    "EncryptionFailure": AccessDenied,
    "NotFoundException": ConfigError,
    "DisabledException": ConfigError,
    "KMSInvalidStateException": ConfigError,
    "InvalidKeyUsageException": ConfigError,
    "AccessDeniedException": AccessDenied,
    "AccessDenied": AccessDenied,
    "UnrecognizedClientException": AccessDenied,
    "InvalidSignatureException": AccessDenied,
    "SignatureDoesNotMatch": AccessDenied,
    "ExpiredTokenException": AccessDenied,
    "ExpiredToken": AccessDenied,
    "InvalidClientTokenId": AccessDenied,
    "IncompleteSignature": AccessDenied,
    "NotAuthorized": AccessDenied,
    "InvalidRequestException": RefusedError,
    "InvalidParameterException": RefusedError,
    "ValidationException": RefusedError,
    "ThrottlingException": FailedError,
    "InternalServiceError": FailedError,
    "InternalFailure": FailedError,
    "ServiceUnavailable": FailedError,
    "KMSInternalException": FailedError,
    "DependencyTimeoutException": FailedError,
    "RequestTimeout": FailedError,
    "AnythingElse": FailedError,
    "": FailedError,
}


class Failing:
    """Stands for a client: any operation raises ``error``."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def __getattr__(self, name: str) -> Callable[..., object]:
        def fail(**_arguments: object) -> object:
            raise self.error

        return fail


def failing(error: Exception) -> AWS:
    """Return an AWS whose every call raises that."""
    return AWS(REGION, None, {"secretsmanager": cast("BaseClient", Failing(error))})


def service_error(code: str, text: str) -> ClientError:
    """Return a service's error."""
    return ClientError({"Error": {"Code": code, "Message": text}}, "PutSecretValue")


def check(caught: DaenaKMSError, canary: str) -> None:
    """Expect an error for a person, of ours alone: nothing of the SDK's hangs on it."""
    assert canary not in str(caught) + repr(caught)
    assert caught.__cause__ is None
    assert caught.__context__ is None
    assert caught.key_id == "some-key"
    assert caught.todo


@pytest.mark.parametrize("code", CODES)
def test_codes(code: str) -> None:
    """Each code of the services is an error of ours; the message is not passed on."""
    canary = secrets.token_urlsafe()
    with pytest.raises(DaenaKMSError) as caught:
        failing(service_error(code, canary)).call("secretsmanager", "put_secret_value", "some-key")
    assert type(caught.value) is CODES[code]
    check(caught.value, canary)


def test_an_answer_without_an_error() -> None:
    """An error whose answer is not even of the usual form is still ours."""
    with pytest.raises(StoreUnavailable, match=r"put_secret_value failed \(no code\)"):
        failing(ClientError({}, "PutSecretValue")).call("secretsmanager", "put_secret_value", "x")


def test_a_refusal_keeps_its_reason() -> None:
    """What the service took for wrong is told apart by its code."""
    with pytest.raises(RefusedError, match=r"put_secret_value.*InvalidRequestException") as caught:
        failing(service_error("InvalidRequestException", "")).call(
            "secretsmanager", "put_secret_value", "some-key"
        )
    assert caught.value.reason == "InvalidRequestException"


SDK: list[tuple[type[BotoCoreError], dict[str, Any], type[DaenaKMSError]]] = [
    (exceptions.NoRegionError, {}, ConfigError),
    (exceptions.NoCredentialsError, {}, ConfigError),
    (exceptions.PartialCredentialsError, {"provider": "env", "cred_var": "x"}, ConfigError),
    (exceptions.CredentialRetrievalError, {"provider": "x", "error_msg": "{}"}, ConfigError),
    (exceptions.ProfileNotFound, {"profile": "x"}, ConfigError),
    (exceptions.TokenRetrievalError, {"provider": "x", "error_msg": "{}"}, ConfigError),
    (exceptions.SSOTokenLoadError, {"error_msg": "{}"}, ConfigError),
    (exceptions.UnauthorizedSSOTokenError, {}, ConfigError),
    (exceptions.ParamValidationError, {"report": "{}"}, ConfigError),
    (exceptions.EndpointConnectionError, {"endpoint_url": "{}"}, StoreUnavailable),
    (exceptions.ConnectTimeoutError, {"endpoint_url": "{}"}, StoreUnavailable),
    (exceptions.ReadTimeoutError, {"endpoint_url": "{}"}, StoreUnavailable),
    (exceptions.ConnectionClosedError, {"endpoint_url": "{}"}, StoreUnavailable),
    (exceptions.SSLError, {"endpoint_url": "x", "error": "{}"}, StoreUnavailable),
    (exceptions.ProxyConnectionError, {"proxy_url": "{}"}, StoreUnavailable),
    (exceptions.HTTPClientError, {"error": "{}"}, StoreUnavailable),
    (exceptions.ResponseStreamingError, {"error": "{}"}, StoreUnavailable),
]


@pytest.mark.parametrize(("kind", "arguments", "expected"), SDK, ids=[k.__name__ for k, *_ in SDK])
def test_errors_of_the_sdk_itself(
    kind: type[BotoCoreError], arguments: dict[str, str], expected: type[DaenaKMSError]
) -> None:
    """Configuration is ours to mend, silence is worth a retry; the text is not passed on."""
    canary = secrets.token_urlsafe()
    error = kind(**{name: text.format(canary) for name, text in arguments.items()})
    with pytest.raises(DaenaKMSError) as caught:
        failing(error).call("secretsmanager", "put_secret_value", "some-key")
    assert type(caught.value) is expected
    check(caught.value, canary)


def test_what_is_no_error_of_the_sdk_is_not_hidden() -> None:
    """A defect shows as what it is."""
    with pytest.raises(ZeroDivisionError):
        failing(ZeroDivisionError()).call("secretsmanager", "put_secret_value", "some-key")


def test_an_unlisted_code_is_kept() -> None:
    """What our tables don't know is worth a retry, and can be told apart by its code."""
    with pytest.raises(FailedError, match=r"failed \(DryRunOperationException\)") as caught:
        failing(service_error("DryRunOperationException", "")).call(
            "secretsmanager", "put_secret_value", None
        )
    assert isinstance(caught.value, StoreUnavailable)
    assert caught.value.reason == "DryRunOperationException"
