"""Objects in a bucket or container: put and read by ``obstore``, listed by ourselves."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from daena_kms.errors import DaenaKMSError
from daena_kms.objects.base import AUDIT, AlreadyExists, Entry, Look, Objects, Use, is_plain
from daena_kms.objects.creation import Contended, Creator, Foreign, is_answer
from daena_kms.objects.failures import (
    contended,
    failure,
    foreign,
    is_absent,
    of_library,
    unentered,
    unlisted,
)
from daena_kms.objects.listing import Asked, Lister, Page, Refused, lister_of
from daena_kms.sdk.listing import Watch
from daena_kms.sdk.rest import NoAnswer
from daena_kms.sdk.transport import proxy_for

if TYPE_CHECKING:
    from obstore.store import AzureStore, GCSStore, S3Store

#: A put that takes longer fails, and the run stops, well before a function's time is over.
TIMEOUT = timedelta(seconds=10)
RETRY_TIMEOUT = timedelta(seconds=25)


def bounded(endpoint: str, certificates: bytes | None) -> dict[str, Any]:
    """Return the settings for each cloud's store: bounded time, and no TLS only for an emulator.

    Args:
        endpoint: The URL where it is, to know which proxy leads there.
        certificates: What is trusted besides the usual, in PEM.

    Raises:
        ConfigError: The proxy's address is malformed.
    """
    return {
        "client_options": {
            "timeout": TIMEOUT,
            "connect_timeout": TIMEOUT / 2,
            "allow_http": endpoint.startswith("http://"),
            **proxy_for(endpoint),
            **({"root_certificate": certificates} if certificates else {}),
        },
        "retry_config": {"max_retries": 4, "retry_timeout": RETRY_TIMEOUT},
    }


class _Endless(DaenaKMSError):
    """A listing never ends."""


class Provider[T]:
    """Gives the library credentials, and keeps the error while there are none.

    The library makes an error of its own of it, with its text in it, and loses which one it was.
    """

    def __init__(self, provide: Callable[[], T]) -> None:
        self._provide = provide
        #: Why the last call gave none: one of our errors, or Ctrl-C.
        self.error: BaseException | None = None

    def __call__(self) -> T:
        """Return the credentials."""
        try:
            found = self._provide()
        except BaseException as error:
            ours = isinstance(error, DaenaKMSError) or not isinstance(error, Exception)
            self.error = error if ours else None
            raise
        self.error = None
        return found


class CloudObjects(Objects):
    """Objects in a bucket, through an ``obstore`` store that already has its prefix."""

    def __init__(
        self,
        store: "S3Store | AzureStore | GCSStore",
        url: str,
        use: Use = AUDIT,
        provider: Provider[Any] | None = None,
    ) -> None:
        self._store = store
        self.use = use
        self._provider = provider
        self._lock = threading.Lock()
        self._lister: Lister | None = None
        self._creator = Creator(store, RETRY_TIMEOUT.total_seconds())
        self.url = url

    def put_new(self, name: str, data: bytes) -> None:
        """Put with the store's own condition that no object of that name exists."""
        with self._errors("written"):
            self._creator.put(name, data)

    def get(self, name: str) -> bytes | None:
        """Get one object."""
        return self._get(name, None)

    def get_up_to(self, name: str, limit: int) -> bytes | None:
        """Get one object, and stop reading it at the limit."""
        return self._get(name, limit)

    def get_listed(self, entry: Entry, limit: int) -> bytes | None:
        """Get one object, which must be as large as its listing shows it."""
        data = self._get(entry.name, limit)
        if data is None or entry.size is None or len(data) == min(entry.size, limit):
            return data
        what = f"{len(data):,} bytes of {entry.name} came, and its listing shows {entry.size:,}"
        raise foreign(what, "read", self.url, self.use)

    def chunks(self, name: str) -> Iterator[bytes] | None:
        """Get one object, and stream it."""
        import obstore

        with self._errors("read"):
            try:
                found = obstore.get(self._store, name) if is_plain(name) else None
            except FileNotFoundError as missing:
                if is_absent(missing):
                    return None
                raise
            if found is not None and not is_answer(self._store, found.meta):
                raise Foreign
        return None if found is None else self._streamed(found)

    def _streamed(self, found: Any) -> Iterator[bytes]:
        with self._errors("read"):
            for chunk in found.stream():
                yield bytes(chunk)

    def _get(self, name: str, limit: int | None) -> bytes | None:
        import obstore

        if not is_plain(name):
            return None
        with self._errors("read"):
            try:
                found = obstore.get(self._store, name)
            except FileNotFoundError as missing:
                if is_absent(missing):
                    return None
                raise
            if not is_answer(self._store, found.meta):
                raise Foreign
            if limit is None or found.meta["size"] <= limit:
                return bytes(found.bytes())
            data = bytearray()
            for chunk in found.stream(min_chunk_size=limit):
                data += bytes(chunk)
                if len(data) >= limit:
                    break
            return bytes(data[:limit])

    def entries(self, prefix: str) -> list[Entry]:
        """List by prefix."""
        return sorted(self.scan(prefix), key=lambda entry: entry.name)

    def scan(self, prefix: str, after: str = "") -> Iterator[Entry]:
        """List by prefix, a page at a time."""
        for page in self._pages(prefix, after=after):
            yield from (entry for entry in self._entries(page) if entry.name > after)

    def children(self, prefix: str) -> list[str]:
        """List with a delimiter."""
        pages = self._pages(prefix, folders=True)
        found = {self._name(path) for page in pages for path in page.folders}
        names = {path.removeprefix(prefix).removesuffix("/") for path in found}
        return sorted(name for name in names if is_plain(name) and "/" not in name)

    def look(self, prefix: str, most: int) -> Look:
        """List no more pages than it takes, and take the time from the last one."""
        found: list[Entry] = []
        at, seen = None, 0
        for page in self._pages(prefix):
            found += self._entries(page)
            at, seen = page.at, seen + len(page.items)
            if seen > most or (seen == most and page.token):
                return Look(found[:most], at, whole=False)
        return Look(found, at, whole=True)

    def strange(self, prefix: str) -> Iterator[str]:
        """List by prefix, and yield what ``entries`` leaves out."""
        for page in self._pages(prefix):
            names = (self._name(item.name) for item in page.items)
            yield from (name for name in names if not is_plain(name))

    def _entries(self, page: Page) -> list[Entry]:
        named = ((self._name(item.name), item) for item in page.items)
        return [Entry(name, item.modified, item.size) for name, item in named if is_plain(name)]

    def _name(self, whole: str) -> str:
        """Return a name below the address, from the whole one."""
        return whole.removeprefix(self._root)

    @property
    def _root(self) -> str:
        prefix = str(self._store.prefix or "").strip("/")
        return f"{prefix}/" if prefix else ""

    def _pages(self, prefix: str, *, after: str = "", folders: bool = False) -> Iterator[Page]:
        """Yield the pages of a listing. Raises the error of the use."""
        with self._errors("listed"):
            asked = Asked(self._root + prefix, self._root + after if after else "", folders=folders)
            watch = Watch(f"{self.use.label} {self.url}", _Endless)
            try:
                yield from self._listed().pages(asked, watch)
            except (Refused, NoAnswer) as refusal:
                error = unlisted(refusal, self.url, self.use)
            except _Endless as endless:
                error = self.use.error(endless.what, todo=endless.todo)
            except DaenaKMSError as login:
                error = unentered(login, "listed", self.url, self.use)
            else:
                return
            # Raised out here, and so not chained: what it is made of may quote an answer.
            raise error

    def _listed(self) -> Lister:
        with self._lock:
            if self._lister is None:
                self._lister = lister_of(self._store)
            return self._lister

    @contextlib.contextmanager
    def _errors(self, what: str) -> Iterator[None]:
        try:
            yield
        except (DaenaKMSError, AlreadyExists):
            raise
        except Contended as conflict:
            raise contended(str(conflict), self.url, self.use) from None
        except Foreign:
            raise foreign("no object", what, self.url, self.use) from None
        # Everything: a defect of the library's own is no Exception, and must not escape either.
        except BaseException as error:
            if not of_library(error):
                raise
            # The library's own text is not passed on: it may quote a whole answer.
            raise self._told(error, what) from None

    def _told(self, error: BaseException, what: str) -> BaseException:
        """Return our error: why there are no credentials, if that is the reason."""
        from obstore.exceptions import UnauthenticatedError

        if isinstance(error, UnauthenticatedError) and self._provider is not None:
            first = self._provider.error
            if isinstance(first, DaenaKMSError):
                return unentered(first, what, self.url, self.use)
            if first is not None:
                return first  # Ctrl-C
        return failure(error, what, self.url, self.use)
