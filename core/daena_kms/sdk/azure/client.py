"""Calls to Key Vault: a client made on first use, with the SDK's own retries."""

import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from daena_kms.errors import ConfigError
from daena_kms.sdk.azure.answers import check_page
from daena_kms.sdk.azure.errors import Throttled, mapped
from daena_kms.sdk.azure.login import Login
from daena_kms.sdk.errors import not_installed
from daena_kms.sdk.listing import Watch
from daena_kms.sdk.quiet import watch

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential
    from azure.core.pipeline.transport import HttpTransport
    from azure.keyvault.secrets import SecretClient

    type Transport = HttpTransport[Any, Any]

#: Seconds. The SDK's own are 300; with its retries a call of ours ends within a minute or so.
BOUNDS: Mapping[str, Any] = {"connection_timeout": 5, "read_timeout": 15, "timeout": 60}
#: For calls that change something. By itself the SDK repeats a DELETE, and a POST or PATCH after
#: 500, 503 and 504: what took effect unseen would then be "not found", or be done a second time.
#: https://github.com/Azure/azure-sdk-for-python/blob/main/sdk/core/azure-core/azure/core/pipeline/policies/_retry.py
ONCE: Mapping[str, Any] = {**BOUNDS, "retry_total": 0}
#: For listings.
PAGED: Mapping[str, Any] = {**BOUNDS, "max_page_size": 25, "raw_response_hook": check_page}
#: Seconds before a throttled change is repeated, where the vault names none, and for all tries.
WAIT, LONGEST = 2.0, 30.0
#: Seconds between looks at what is under way: the first wait, and the longest.
_LOOK_AGAIN, _LOOK_SELDOM = 1.0, 10.0
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
        self._monotonic: Callable[[], float] | None = None
        self._sleep: Callable[[float], object] | None = None
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

    def go_by(self, monotonic: Callable[[], float], sleep: Callable[[float], object]) -> None:
        """Let waits go by this clock, for a test that must not wait."""
        self._monotonic, self._sleep = monotonic, sleep

    def time(self) -> float:
        """Return the time that waits go by, in seconds."""
        return time.monotonic() if self._monotonic is None else self._monotonic()

    def wait(self, seconds: float) -> None:
        """Let so many seconds pass."""
        if self._sleep is None:
            time.sleep(seconds)
        else:
            self._sleep(seconds)

    def call[T](self, key_id: str | None, call: "Callable[[SecretClient], T]") -> T:
        """Make one call with the client. Raises our errors, without the SDK's text."""
        client = self._made()
        return mapped(lambda: call(client), key_id)

    def pages(
        self,
        key_id: str | None,
        call: "Callable[[SecretClient], Any]",
        check: Callable[[Any], object] = bool,
    ) -> Iterator[Any]:
        """Yield the items of one of the SDK's listings, fetched page by page.

        Args:
            key_id: The key that it is about, if it is about one.
            call: Begins the listing; it passes :data:`PAGED`.
            check: Raises for an item that no vault would send.

        Raises:
            StoreUnavailable: It never ends, or did not come from a vault.
        """
        pages = self.call(key_id, call).by_page()
        tokens = Watch("Key Vault")
        while True:
            page = mapped(lambda: _items(next(pages, None), check), key_id)
            if page is None:
                return
            token = getattr(pages, "continuation_token", None)
            tokens.check(token, [getattr(item, "id", item) for item in page])
            yield from page

    def change[T](
        self,
        key_id: str,
        call: "Callable[[SecretClient], T]",
        check: Callable[[], object],
    ) -> T:
        """Make one call that changes something; ``call`` passes :data:`ONCE`.

        A throttled call did nothing, so it is made again after a wait and a ``check``, which raises
        if the key has changed. That goes on for half a minute at most.

        Raises:
            Unanswered: Nobody knows whether it took effect.
        """
        waited = wait = 0.0
        while True:
            try:
                return self.call(key_id, call)
            except Throttled as error:
                wait = error.after or max(WAIT, 2 * wait)
                if waited + wait > LONGEST:
                    raise
            self.wait(wait)
            waited += wait
            check()

    def settles(self, seen: Callable[[], bool], within: float) -> bool:
        """Look until something can be seen, and return whether it was, within so many seconds.

        The SDK's own poller is not used: it looks from a thread of its own, where nothing keeps
        its loggers quiet, and a look at a recovered key holds its value.
        """
        until, left, wait = self.time() + within, within, float(_LOOK_AGAIN)
        while not seen():
            left = min(left, until - self.time())
            if left <= 0:
                return False
            pause = min(wait, left)
            self.wait(pause)
            left -= pause
            wait = min(2 * wait, _LOOK_SELDOM)
        return True

    def _made(self) -> "SecretClient":
        if self._client is None:
            with self._lock:
                if self._client is None:
                    self._client = self._make()
        return self._client

    def _make(self) -> "SecretClient":
        return make_client(self._url, self._login.credential())


def make_client(
    url: str, credential: "TokenCredential", transport: "Transport | None" = None
) -> "SecretClient":
    """Return a client of the vault at ``url``.

    Args:
        url: The vault's address.
        credential: Who calls.
        transport: What carries the requests; by default a pool of connections.
    """
    try:
        from azure.core.pipeline.policies import RetryPolicy
        from azure.core.pipeline.transport import RequestsTransport
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

    if transport is None:
        # The SDK's own pool holds ten connections, and a run has more workers.
        session = Session()
        session.mount("https://", HTTPAdapter(pool_maxsize=_CONNECTIONS, max_retries=0))
        transport = RequestsTransport(session=session, session_owner=False)
    return SecretClient(
        url,
        credential,
        transport=transport,
        # A real vault never points token requests elsewhere; only an emulator does.
        verify_challenge_resource=(urlsplit(url).hostname or "").lower() not in LOOPBACK,
        user_agent="daena-kms",
        retry_policy=Bounded(),
    )


def _items(page: Iterable[Any] | None, check: Callable[[Any], object]) -> list[Any] | None:
    items = None if page is None else list(page)
    for item in items or ():
        check(item)
    return items


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
