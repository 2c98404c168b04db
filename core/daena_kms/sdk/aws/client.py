"""Calls to AWS: clients on first use, the SDK's own retries, and its errors in our words."""

import threading
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from daena_kms.errors import (
    AccessDenied,
    ConfigError,
    DaenaKMSError,
    KeyExists,
    KeyNotFound,
    StoreUnavailable,
)
from daena_kms.sdk.pace import Pacer
from daena_kms.sdk.quiet import quiet, watch

if TYPE_CHECKING:
    from botocore.client import BaseClient
    from botocore.exceptions import BotoCoreError, ClientError
    from botocore.session import Session


class RefusedError(ConfigError):
    """The service took the call for wrong in the secret's present state; ``reason`` is its code."""

    def __init__(self, reason: str, operation: str, key_id: str | None) -> None:
        self.reason = reason
        msg = f"Secrets Manager does not take {operation} in its present state ({reason})"
        super().__init__(msg, key_id=key_id, todo="Look at the key with show")


class FailedError(StoreUnavailable):
    """The service answered with an error that is not in our tables; ``reason`` is its code."""

    def __init__(self, reason: str, operation: str, key_id: str | None) -> None:
        self.reason = reason
        msg = f"{operation} failed ({reason or 'no code'})"
        super().__init__(msg, key_id=key_id, todo="Try again; the next run does")


_CONNECT_SECONDS, _READ_SECONDS, _ATTEMPTS = 5, 15, 6
#: These share a quota of 50 a second; a little less leaves room for others.
#: https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html
_WRITES, _WRITES_PER_SECOND = ("PutSecretValue", "UpdateSecretVersionStage"), 48
_THROTTLED = {"ThrottlingException", "Throttling", "TooManyRequestsException"}
_CREDENTIALS = "Check the credentials that the AWS SDK finds: environment, profile or role"

#: What an error code means. https://docs.aws.amazon.com/secretsmanager/latest/apireference/
#: lists the codes by operation; the last group is common to all services.
_ERRORS: Mapping[str, tuple[type[DaenaKMSError], str, str]] = {
    "ResourceNotFoundException": (
        KeyNotFound,
        "there is no such key or version",
        "Create it, or check the name and the region",
    ),
    "ResourceExistsException": (KeyExists, "it exists already", "Use it, or another id"),
    "LimitExceededException": (
        StoreUnavailable,
        "Secrets Manager is at a limit for it (20 labels, 100 versions a secret)",
        "Let versions go that nobody needs, or try again later",
    ),
    "DecryptionFailure": (AccessDenied, "its KMS key can't decrypt", "Check the key's policy"),
    "EncryptionFailure": (AccessDenied, "its KMS key can't encrypt", "Is the key enabled?"),
    "MalformedPolicyDocumentException": (
        ConfigError,
        "Secrets Manager refuses its resource policy",
        "Look at what stands in it: get-resource-policy",
    ),
    "PublicPolicyException": (
        ConfigError,
        "Secrets Manager takes its resource policy for a public one",
        "Look at what stands in it: get-resource-policy",
    ),
    "NotFoundException": (
        ConfigError,
        "the KMS key in AWS_KMS_KEY_ID does not exist",
        "Check its id and the region",
    ),
    "DisabledException": (ConfigError, "the KMS key is disabled", "Enable it"),
    "KMSInvalidStateException": (ConfigError, "the KMS key is not usable", "Check its state"),
    "InvalidKeyUsageException": (
        ConfigError,
        "the KMS key is not a symmetric encryption key",
        "Give one of that kind in AWS_KMS_KEY_ID",
    ),
}
_DENIED = {
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
}
_REFUSED = {"InvalidRequestException", "InvalidParameterException", "ValidationException"}


class AWS:
    """Clients for one account and region, made on first use, and one way to call them."""

    def __init__(
        self,
        region: str | None,
        profile: str | None,
        clients: Mapping[str, "BaseClient | None"],
    ) -> None:
        self._region = region
        self._profile = profile
        self._clients = {name: client for name, client in clients.items() if client is not None}
        self._session: Session | None = None
        self._lock = threading.Lock()
        self._pacer = Pacer(_WRITES_PER_SECOND)
        if self._clients:
            watch("botocore", "boto3", "urllib3")

    def call(self, service: str, operation: str, key_id: str | None, **arguments: object) -> Any:
        """Call one operation and return its answer. Raises our errors, without the SDK's text."""
        client = self.client(service)
        return _mapped(lambda: getattr(client, operation)(**arguments), operation, key_id)

    def pages(self, service: str, operation: str, **arguments: object) -> Iterator[Any]:
        """Yield the pages of one listing; the SDK has paginators for some listings only."""
        token: dict[str, object] = {}
        while True:
            page = self.call(service, operation, None, **arguments, **token)
            yield page
            if not page.get("NextToken"):
                return
            token = {"NextToken": page["NextToken"]}

    def client(self, service: str) -> "BaseClient":
        """Return the client for ``service``. Raises :class:`ConfigError` when none can be made."""
        client = self._clients.get(service)
        if client is None:
            with self._lock:
                client = self._clients.get(service) or self._make(service)
                self._clients[service] = client
        return client

    @property
    def region(self) -> str | None:
        """The region in use, as given, or as the client or the SDK's own settings say."""
        for client in self._clients.values():
            return str(client.meta.region_name)
        return self._region or self.session().get_config_variable("region")

    def session(self) -> "Session":
        """Return the SDK's session: its profile, its credentials, its settings."""
        if self._session is None:
            self._session = _new_session(self._profile)
        return self._session

    def _make(self, service: str) -> "BaseClient":
        session = self.session()
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError

        config = Config(
            connect_timeout=_CONNECT_SECONDS,
            read_timeout=_READ_SECONDS,
            max_pool_connections=64,
            retries={"mode": "adaptive", "total_max_attempts": _ATTEMPTS},
            user_agent_extra="daena-kms",
        )
        try:
            with quiet():
                client = session.create_client(service, region_name=self._region, config=config)
        except BotoCoreError as error:
            raise _sdk_error(error, None) from None
        watch("botocore", "boto3", "urllib3")
        self._pace(client)
        return client

    def _pace(self, client: "BaseClient") -> None:
        """Space the rotation's writes once one was throttled; retries go through it too."""
        events = client.meta.events

        def notice(response: tuple[object, dict[str, Any]] | None, **_: object) -> None:
            if response is not None and response[1].get("Error", {}).get("Code") in _THROTTLED:
                self._pacer.start()

        def wait(**_: object) -> None:
            self._pacer.wait()

        for operation in _WRITES:
            events.register(f"needs-retry.secretsmanager.{operation}", notice)
            events.register(f"before-send.secretsmanager.{operation}", wait)


def _new_session(profile: str | None) -> "Session":
    try:
        # botocore, not boto3: the same clients, and less to import in a cold start.
        from botocore.exceptions import BotoCoreError
        from botocore.loaders import Loader
        from botocore.session import Session
    except ModuleNotFoundError:
        msg = "the AWS SDK is not installed"
        raise ConfigError(msg, todo="Run: pip install 'daena-kms[aws]'") from None

    class AnyName(list[str]):
        def __contains__(self, name: object) -> bool:
            return True

    class Direct(Loader):
        """Loads a service's model without listing the folders of all others first.

        The SDK does that twice for a client, a tenth of a cold start, to tell a misspelt name.
        """

        def list_available_services(self, type_name: str) -> list[str]:
            del type_name
            return AnyName()

    session = Session(profile=profile)
    try:
        data_path = session.get_config_variable("data_path")
    except BotoCoreError as error:  # a profile that is not there, a file that is none
        raise _sdk_error(error, None) from None
    if not data_path:
        session.register_component("data_loader", Direct())
    return session


def _mapped[T](call: Callable[[], T], operation: str, key_id: str | None) -> T:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        with quiet():
            return call()
    except ClientError as error:
        mapped = _service_error(error, operation, key_id)
    except BotoCoreError as error:
        mapped = _sdk_error(error, key_id)
    # Not chained: the SDK's error holds the answer, and a validation error quotes the request.
    raise mapped


def _service_error(error: "ClientError", operation: str, key_id: str | None) -> DaenaKMSError:
    code = str(error.response.get("Error", {}).get("Code", ""))
    if code in _ERRORS:
        kind, what, todo = _ERRORS[code]
        return kind(what, key_id=key_id, todo=todo)
    if code in _DENIED:
        msg = f"AWS refused {operation} ({code})"
        todo = f"Allow it in the caller's policy and the KMS key's. {_CREDENTIALS}"
        return AccessDenied(msg, key_id=key_id, todo=todo)
    if code in _REFUSED:
        return RefusedError(code, operation, key_id)
    return FailedError(code, operation, key_id)


def _sdk_error(error: "BotoCoreError", key_id: str | None) -> DaenaKMSError:
    name = type(error).__name__
    if name == "NoRegionError":
        todo = "Set AWS_REGION, or pass region"
        return ConfigError("no AWS region is set", key_id=key_id, todo=todo)
    if "Credential" in name or "Profile" in name or "Token" in name or "SSO" in name:
        msg = f"no usable AWS credentials ({name})"
        return ConfigError(msg, key_id=key_id, todo=_CREDENTIALS)
    if name in {
        "ParamValidationError",
        "UnknownParameterError",
        "InvalidEndpointConfigurationError",
    }:
        msg = f"the AWS SDK refused the call ({name})"
        return ConfigError(msg, key_id=key_id, todo="Check the arguments and the settings")
    msg = f"AWS did not answer ({name})"
    return StoreUnavailable(msg, key_id=key_id, todo="Check the network; the next run tries again")
