"""Calls to Secret Manager: a client made on first use, with the SDK's own retries."""

import os
import re
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from daena_kms.errors import ConfigError
from daena_kms.sdk.errors import not_installed
from daena_kms.sdk.gcp.errors import mapped
from daena_kms.sdk.gcp.login import GcpLogin
from daena_kms.sdk.listing import Watch
from daena_kms.sdk.pace import Pacer
from daena_kms.sdk.quiet import watch
from daena_kms.sdk.transport import bundle_in

if TYPE_CHECKING:
    from google.cloud.secretmanager_v1 import SecretManagerServiceClient

#: Seconds for one call, and for a call with its retries.
_TIMEOUT, _DEADLINE = 15.0, 60.0
#: https://cloud.google.com/secret-manager/quotas: 600 writes and 600 reads a minute for a project.
#: Reading a value is no read there: it has a quota that nobody reaches by rotating.
_CALLS_PER_SECOND = 9.5
_ACCESS = "access_secret_version"
_LOCATION = re.compile(r"[a-z][a-z0-9-]{1,62}", re.ASCII)
_LOGGERS = ("google", "grpc", "urllib3")


class SecretManager:
    """One project's secrets: a client made on first use, and one way to call it."""

    def __init__(
        self,
        login: GcpLogin,
        location: str | None = None,
        client: "SecretManagerServiceClient | None" = None,
        *,
        writes_per_minute: float | None = None,
    ) -> None:
        if location is not None and _LOCATION.fullmatch(location) is None:
            msg = f"{location[:80]!r} is not a location"
            raise ConfigError(
                msg, todo="Write one such as europe-west1, or none for global secrets"
            )
        self._login = login
        self._location = location
        self._client = client
        self._lock = threading.Lock()
        self._writes = Pacer((writes_per_minute or 60 * _CALLS_PER_SECOND) / 60)
        self._reads = Pacer(_CALLS_PER_SECOND)
        if writes_per_minute is not None:
            self._writes.start()
        if client is not None:
            watch(*_LOGGERS)

    @property
    def parent(self) -> str:
        """Where the secrets are: the project, and the location of regional ones."""
        project = f"projects/{self._login.project}"
        return project if self._location is None else f"{project}/locations/{self._location}"

    @property
    def regional(self) -> bool:
        """Whether the secrets are regional ones."""
        return self._location is not None

    def secret(self, key_id: str) -> str:
        """Return a secret's name."""
        return f"{self.parent}/secrets/{key_id}"

    def version(self, key_id: str, version: str) -> str:
        """Return the name of a version, by its number or an alias."""
        return f"{self.secret(key_id)}/versions/{version}"

    def read(self, operation: str, key_id: str | None, **request: object) -> Any:
        """Make a call that changes nothing; the SDK repeats it while the service is unavailable."""
        return self._call(operation, key_id, request, again="always")

    def write(self, operation: str, key_id: str, **request: object) -> Any:
        """Make a call that changes something; the SDK repeats it only after it was throttled.

        So it waits for the quotas of one secret (two additions and updates a second) and of one
        version (one switch a second), which our own calls in a row may exceed. A rotation makes
        three writes to a secret, within a second if the service is that fast.
        """
        return self._call(operation, key_id, request, again="throttled")

    def pages(self, operation: str, key_id: str | None, **request: object) -> Iterator[Any]:
        """Yield the items of a listing, fetched page by page.

        Raises :class:`~daena_kms.errors.StoreUnavailable` for a listing that never ends.
        """
        pages = self._call(operation, key_id, request, again="always", paged=True).pages
        tokens = Watch("Secret Manager")
        while True:
            page = mapped(lambda: next(pages, None), operation, key_id)
            if page is None:
                return
            # list_secrets has a field secrets, list_secret_versions one named versions.
            items: Any = getattr(page, operation.removeprefix("list_secret_").removeprefix("list_"))
            tokens.check(page.next_page_token, [item.name for item in items])
            yield from items

    def _call(
        self,
        operation: str,
        key_id: str | None,
        request: object,
        *,
        again: str,
        paged: bool = False,
    ) -> Any:
        try:
            client = self._made()
            from google.api_core import exceptions, retry
        except ModuleNotFoundError:
            raise not_installed("the client library for Secret Manager", "gcp") from None

        pacer = self._writes if again == "throttled" else self._reads

        def once() -> Any:
            if operation != _ACCESS:
                pacer.wait()
            try:
                # A listing repeats the calls for its pages by itself.
                own = policy if paged else None
                return getattr(client, operation)(request=request, retry=own, timeout=_TIMEOUT)
            except exceptions.ResourceExhausted:
                if operation != _ACCESS:
                    pacer.start()
                raise

        transient = (
            (exceptions.ResourceExhausted,)
            if again == "throttled"
            else (exceptions.ResourceExhausted, exceptions.ServiceUnavailable)
        )
        policy = retry.Retry(
            predicate=retry.if_exception_type(*transient),
            initial=0.5,
            maximum=10.0,
            multiplier=2.0,
            timeout=_DEADLINE,
        )
        return mapped(once if paged else policy(once), operation, key_id)

    def _made(self) -> "SecretManagerServiceClient":
        if self._client is None:
            with self._lock:
                if self._client is None:
                    self._client = self._make()
        return self._client

    def _make(self) -> "SecretManagerServiceClient":
        emulator = os.environ.get("GCP_SECRET_MANAGER_ENDPOINT")
        if emulator:
            return _emulated(emulator)
        credentials = self._login.credentials()
        from google.api_core.client_options import ClientOptions
        from google.cloud.secretmanager_v1 import SecretManagerServiceClient

        bundle_in(os.environ, "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH")
        universe = self._login.universe
        # Explicit, as the SDK would take an empty GOOGLE_CLOUD_UNIVERSE_DOMAIN for a domain.
        given: dict[str, Any] = {"universe_domain": universe}
        if self._location is not None:
            # https://cloud.google.com/secret-manager/regional-secrets/data-residency
            given["api_endpoint"] = f"secretmanager.{self._location}.rep.{universe}"
        client = mapped(
            lambda: SecretManagerServiceClient(
                credentials=credentials, client_options=ClientOptions(**given)
            ),
            "make a client",
            None,
            more=(ValueError, OSError),
        )
        watch(*_LOGGERS)
        return client


def _emulated(address: str) -> "SecretManagerServiceClient":
    """Return a client without TLS and credentials, only for an emulator on this machine."""
    if re.fullmatch(r"(127\.0\.0\.1|localhost|\[::1\]):[0-9]{1,5}", address, re.ASCII) is None:
        msg = f"{address[:80]!r} is not the address of an emulator on this machine"
        raise ConfigError(
            msg, todo="Set GCP_SECRET_MANAGER_ENDPOINT to 127.0.0.1:PORT, or unset it"
        )
    import grpc
    from google.cloud.secretmanager_v1 import SecretManagerServiceClient as Client

    options = [("grpc.max_receive_message_length", -1), ("grpc.enable_http_proxy", 0)]
    channel = grpc.insecure_channel(address, options=options)
    watch(*_LOGGERS)
    return Client(transport=Client.get_transport_class("grpc")(channel=channel))
