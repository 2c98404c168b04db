"""Calls to AWS: clients made on first use, with the SDK's own retries."""

import threading
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from daena_kms.sdk.aws.errors import mapped, sdk_error
from daena_kms.sdk.errors import not_installed
from daena_kms.sdk.listing import Watch
from daena_kms.sdk.pace import Pacer
from daena_kms.sdk.quiet import quiet, watch

if TYPE_CHECKING:
    from botocore.client import BaseClient
    from botocore.session import Session


_CONNECT_SECONDS, _READ_SECONDS, _ATTEMPTS = 5, 15, 6
#: These share a quota of 50 a second; a little less leaves room for others.
#: https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html
_WRITES, _WRITES_PER_SECOND = ("PutSecretValue", "UpdateSecretVersionStage"), 48
_THROTTLED = {"ThrottlingException", "Throttling", "TooManyRequestsException"}


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
        return mapped(lambda: getattr(client, operation)(**arguments), operation, key_id)

    def pages(self, service: str, operation: str, **arguments: object) -> Iterator[Any]:
        """Yield the pages of one listing; the SDK has paginators for some listings only.

        Raises :class:`~daena_kms.errors.StoreUnavailable` for a listing that never ends.
        """
        token: dict[str, object] = {}
        tokens = Watch(f"AWS ({operation})")
        while True:
            page = self.call(service, operation, None, **arguments, **token)
            tokens.check(page.get("NextToken"), _names(page))
            yield page
            if not page.get("NextToken"):
                return
            token = {"NextToken": page["NextToken"]}

    def client(self, service: str) -> "BaseClient":
        """Return the client for ``service``. Raises ``ConfigError`` when none can be made."""
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
            raise sdk_error(error) from None
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


def _names(page: Mapping[str, Any]) -> list[str]:
    """Return what identifies the entries of a page: of secrets their names, of versions ids."""
    entries = [entry for items in page.values() if isinstance(items, list) for entry in items]
    return [str(entry.get("Name") or entry.get("VersionId")) for entry in entries]


def _new_session(profile: str | None) -> "Session":
    try:
        # botocore, not boto3: the same clients, and less to import in a cold start.
        from botocore.exceptions import BotoCoreError
        from botocore.session import Session
    except ModuleNotFoundError:
        raise not_installed("the AWS SDK", "aws") from None

    session = Session(profile=profile)
    try:
        session.get_scoped_config()
    except BotoCoreError as error:  # a profile that is missing, a malformed file
        raise sdk_error(error) from None
    return session
