"""Calls to Key Vault: a client made on first use, with the SDK's own retries."""

import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from daena_kms.errors import (
    AccessDenied,
    ConfigError,
    KeyNotFound,
    RotationConflict,
)
from daena_kms.sdk.azure.errors import Disabled, mapped
from daena_kms.sdk.azure.login import Login
from daena_kms.sdk.errors import not_installed
from daena_kms.sdk.listing import Watch
from daena_kms.sdk.quiet import watch

if TYPE_CHECKING:
    from azure.keyvault.secrets import SecretClient

#: Seconds. The SDK's own are 300; with its retries a call of ours ends within a minute or so.
BOUNDS: Mapping[str, Any] = {"connection_timeout": 5, "read_timeout": 15, "timeout": 60}
#: Seconds for a deletion or recovery to settle, and between looks.
_SETTLES, _LOOK_AGAIN = 60, 2
LOOPBACK = {"localhost", "127.0.0.1"}
_CONNECTIONS = 64
#: Seconds between two tries of a read.
_LONGEST_WAIT = 20.0
_ADDRESS = re.compile(
    r"https://(?P<host>[a-z0-9-]+(?:\.[a-z0-9-]+)*)(?::(?P<port>[0-9]{1,5}))?/?",
    re.ASCII | re.IGNORECASE,
)
_MAX_ADDRESS, _MAX_PORT = 300, 65_535


class Vault:
    """One vault: a client made on first use, and one way to call it."""

    def __init__(self, url: str | None, login: Login, client: "SecretClient | None" = None) -> None:
        self._url = check_url(url) if client is None else client.vault_url
        self._login = login
        self._client = client
        self._lock = threading.Lock()
        if client is not None:
            watch("azure", "msal", "urllib3")

    @property
    def host(self) -> str:
        """The vault's host, in lower case."""
        return (urlsplit(self._url).hostname or "").lower()

    @property
    def name(self) -> str:
        """The vault's name."""
        return self.host.partition(".")[0]

    def call[T](self, key_id: str | None, call: "Callable[[SecretClient], T]") -> T:
        """Make one call with the client. Raises our errors, without the SDK's text."""
        client = self._made()
        return mapped(lambda: call(client), key_id)

    def pages(self, key_id: str | None, call: "Callable[[SecretClient], Any]") -> Iterator[Any]:
        """Yield the items of one of the SDK's listings, fetched page by page.

        Raises :class:`~daena_kms.errors.StoreUnavailable` for a listing that never ends.
        """
        pages = self.call(key_id, call).by_page()
        tokens = Watch("Key Vault")
        while True:
            page = mapped(lambda: _items(next(pages, None)), key_id)
            if page is None:
                return
            token = getattr(pages, "continuation_token", None)
            tokens.check(token, [getattr(item, "id", item) for item in page])
            yield from page

    def settle(self, key_id: str, look: "Callable[[SecretClient], object]") -> None:
        """Wait, a minute at most, until a key that is being deleted or recovered can be seen.

        The SDK's own poller is not used: it looks from a thread of its own, where nothing keeps
        its loggers quiet, and a look at a recovered key holds its value.
        """
        until = time.monotonic() + _SETTLES
        while time.monotonic() < until:
            try:
                self.call(key_id, look)
            except (Disabled, AccessDenied):
                return  # it can be seen
            except (KeyNotFound, RotationConflict):
                time.sleep(_LOOK_AGAIN)
            else:
                return

    def _made(self) -> "SecretClient":
        if self._client is None:
            with self._lock:
                if self._client is None:
                    self._client = self._make()
        return self._client

    def _make(self) -> "SecretClient":
        credential = self._login.credential()
        try:
            from azure.core.pipeline.policies import RetryPolicy
            from azure.core.pipeline.transport import (
                RequestsTransport,
            )
            from azure.keyvault.secrets import SecretClient
            from requests import Session
            from requests.adapters import HTTPAdapter
        except ModuleNotFoundError:
            raise not_installed("the Azure SDK for Key Vault", "azure") from None

        watch("azure", "msal", "urllib3")

        class Bounded(RetryPolicy[Any, Any]):
            """Waits as long as the vault asks for, up to a limit."""

            def get_retry_after(self, response: Any) -> float | None:
                asked = super().get_retry_after(response)
                return None if asked is None else min(asked, _LONGEST_WAIT)

        # The SDK's own pool holds ten connections, and a run has more workers.
        session = Session()
        session.mount("https://", HTTPAdapter(pool_maxsize=_CONNECTIONS, max_retries=0))
        return SecretClient(
            self._url,
            credential,
            transport=RequestsTransport(session=session, session_owner=False),
            # A real vault never points token requests elsewhere; only an emulator does.
            verify_challenge_resource=self.host not in LOOPBACK,
            user_agent="daena-kms",
            retry_policy=Bounded(),
        )


def _items(page: Iterable[Any] | None) -> list[Any] | None:
    return None if page is None else list(page)


def check_url(url: str | None) -> str:
    """Return a vault's address. Raises :class:`ConfigError` for anything else."""
    if not url:
        msg = "no Key Vault is set"
        raise ConfigError(msg, todo="Set AZURE_KEY_VAULT_URL, such as https://name.vault.azure.net")
    found = _ADDRESS.fullmatch(url) if len(url) <= _MAX_ADDRESS else None
    if found is None or not 0 < int(found["port"] or 1) <= _MAX_PORT:
        msg = "the address of the Key Vault is not https:// and a host, and nothing else"
        todo = "Write https://name.vault.azure.net, or the host that a sovereign cloud uses"
        raise ConfigError(msg, todo=todo)
    return url.lower().rstrip("/")
