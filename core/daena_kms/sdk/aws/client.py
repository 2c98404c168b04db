"""Calls to AWS: clients made on first use, with the SDK's own retries."""

import os
import threading
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from daena_kms.errors import ConfigError
from daena_kms.sdk.aws.causes import CONFIG, NO_REGION, OTHERS
from daena_kms.sdk.aws.endpoint import bundle, certificates, configured_endpoint
from daena_kms.sdk.aws.errors import mapped, sdk_error
from daena_kms.sdk.errors import not_installed
from daena_kms.sdk.forms import check_region
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
        session: "Session | None" = None,
    ) -> None:
        self._region = region
        self._profile = profile
        self._clients = {name: client for name, client in clients.items() if client is not None}
        self._session = session
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
        region = self._region or self.session().get_config_variable("region")
        return check_region(region) if region else None

    def session(self) -> "Session":
        """Return the SDK's session: its profile, its credentials, its settings."""
        if self._session is None:
            self._session = _new_session(self._profile)
        return self._session

    def credentials(self) -> object:
        """Return the credentials that the session finds: see :func:`credentials_of`."""
        return credentials_of(self.session())

    def _make(self, service: str) -> "BaseClient":
        session = self.session()
        region = self._region or session.get_config_variable("region")
        if not region:
            raise NO_REGION.about(None)
        check_region(region)
        configured_endpoint(session, service)
        certificates(session)
        self.credentials()
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
                client = session.create_client(
                    service,
                    region_name=self._region,
                    config=config,
                    # An empty name would switch the checks of certificates off.
                    verify=bundle(session) or True,
                )
        except BotoCoreError as error:
            ours = sdk_error(error)
        except OTHERS as error:  # an endpoint that it does not take, a number that is none
            ours = CONFIG.about(None, name=type(error).__name__)
        else:
            watch("botocore", "boto3", "urllib3")
            self._pace(client)
            return client
        raise ours

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

    session = Session(profile=profile, session_vars=dict(_without_empty()))
    try:
        session.get_scoped_config()
    except BotoCoreError as error:  # a profile that is missing, a malformed file
        ours = sdk_error(error)
    except OTHERS as error:
        ours = CONFIG.about(None, name=type(error).__name__)
    else:
        return session
    raise ours


def _without_empty() -> "Iterator[tuple[str, tuple[Any, ...]]]":
    """Yield the SDK's settings that an empty variable would set, without that variable."""
    from botocore.configprovider import BOTOCORE_DEFAUT_SESSION_VARIABLES as KNOWN

    for name, (in_file, variables, default, convert) in KNOWN.items():
        names = [variables] if isinstance(variables, str) else variables or []
        used = [variable for variable in names if os.environ.get(variable) != ""]
        if len(used) < len(names):
            yield name, (in_file, used or None, default, convert)


def credentials_of(session: "Session") -> Any:
    """Return a session's credentials, with a value that can be used now.

    They are asked for here, so that a token file that is missing or a program that prints no JSON
    is told apart from a service that does not answer.

    Raises:
        ConfigError: There are none, or what they come from can't be used.
        AccessDenied: The role is refused.
    """
    from botocore.exceptions import NoCredentialsError

    def find() -> tuple[Any, Any]:
        found = session.get_credentials()
        if found is None:
            raise NoCredentialsError
        return found, found.get_frozen_credentials()

    found, frozen = mapped(find, "the role of the credentials", None, more=OTHERS)
    for part in (frozen.access_key, frozen.secret_key, frozen.token):
        # In a header, anything else would be sent as something else, or not at all.
        if part and not (part.isascii() and part.isprintable() and " " not in part):
            msg = "no usable AWS credentials: they hold a space or a line end"
            todo = "Write access keys and tokens alone, without quotes and line ends"
            raise ConfigError(msg, todo=todo)
    return found
