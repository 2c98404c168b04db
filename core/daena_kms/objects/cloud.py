"""Objects in a bucket or container: put and read by ``obstore``, listed by ourselves."""

import contextlib
import re
import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from daena_kms.errors import DaenaKMSError
from daena_kms.objects.base import AUDIT, AlreadyExists, Entry, Look, Objects, Use, is_plain
from daena_kms.objects.listing import Asked, Lister, Page, Refused, lister_of
from daena_kms.sdk.listing import Watch
from daena_kms.sdk.rest import NoAnswer

if TYPE_CHECKING:
    from obstore.store import AzureStore, GCSStore, S3Store

#: A put that takes longer fails, and the run stops, well before a function's time is over.
TIMEOUT = timedelta(seconds=10)
RETRY_TIMEOUT = timedelta(seconds=25)
_UNAUTHENTICATED = 401
_CODE = re.compile(r"<Code>([A-Za-z]{1,60})</Code>", re.ASCII)


def bounded(endpoint: str | None) -> dict[str, Any]:
    """Return the settings for each cloud's store: bounded time, and no TLS only for an emulator."""
    return {
        "client_options": {
            "timeout": TIMEOUT,
            "connect_timeout": TIMEOUT / 2,
            "allow_http": bool(endpoint and endpoint.startswith("http://")),
        },
        "retry_config": {"max_retries": 4, "retry_timeout": RETRY_TIMEOUT},
    }


class CloudObjects(Objects):
    """Objects in a bucket, through an ``obstore`` store that already has its prefix."""

    def __init__(
        self, store: "S3Store | AzureStore | GCSStore", url: str, use: Use = AUDIT
    ) -> None:
        self._store = store
        self._use = use
        self._lock = threading.Lock()
        self._lister: Lister | None = None
        self.url = url

    def put_new(self, name: str, data: bytes) -> None:
        """Put with the store's own condition that no object of that name exists.

        If the object exists, a caller who may add but not overwrite may be refused instead: no
        cloud documents whether it checks the permission or the condition first.
        """
        import obstore
        from obstore import exceptions

        with self._errors("written"):
            try:
                obstore.put(self._store, name, data, mode="create", use_multipart=False)
            except exceptions.PermissionDeniedError as refusal:
                with contextlib.suppress(FileNotFoundError):
                    obstore.head(self._store, name)
                    raise AlreadyExists(name, refused=_code(refusal)) from None
                raise

    def get(self, name: str) -> bytes | None:
        """Get one object."""
        import obstore

        if not is_plain(name):
            return None
        with self._errors("read"):
            try:
                return bytes(obstore.get(self._store, name).bytes())
            except FileNotFoundError:
                return None  # or the bucket does not exist: the next put says so

    def get_up_to(self, name: str, limit: int) -> bytes | None:
        """Get one object, and stop reading it at the limit."""
        import obstore

        if not is_plain(name):
            return None
        with self._errors("read"):
            try:
                found = obstore.get(self._store, name)
            except FileNotFoundError:
                return None
            if found.meta["size"] <= limit:
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
        asked = Asked(self._root + prefix, self._root + after if after else "", folders=folders)
        watch = Watch(f"{self._use.label} {self.url}", self._use.error)
        try:
            yield from self._listed().pages(asked, watch)
        except Refused as refusal:
            unknown = refusal.answer.status == _UNAUTHENTICATED
            error = self._unavailable("listed", str(refusal), login=unknown)
        except NoAnswer as away:
            error = self._unavailable("listed", str(away))
        except DaenaKMSError as login:
            # What the login says, as the error that whoever uses this place expects.
            if isinstance(login, self._use.error):
                raise
            error = self._use.error(
                f"{self._use.label} {self.url} can't be listed: {login.what}", todo=login.todo
            )
        else:
            return
        raise error

    def _listed(self) -> Lister:
        with self._lock:
            if self._lister is None:
                self._lister = lister_of(self._store)
            return self._lister

    @contextlib.contextmanager
    def _errors(self, what: str) -> Iterator[None]:
        from obstore import exceptions

        try:
            yield
        except exceptions.AlreadyExistsError:
            raise AlreadyExists from None
        except (DaenaKMSError, AlreadyExists):
            raise
        except (exceptions.BaseError, OSError) as error:
            # The library's own text is not passed on: it may quote a whole answer.
            unknown = isinstance(error, exceptions.UnauthenticatedError)
            raise self._unavailable(what, type(error).__name__, login=unknown) from None

    def _unavailable(self, what: str, why: str, *, login: bool = False) -> DaenaKMSError:
        msg = f"{self._use.label} {self.url} can't be {what} ({why})"
        todo = "Check its address, the permissions on it, and that it answers"
        if login:
            todo = "Check the credentials that the cloud's SDK finds"
        return self._use.error(msg, todo=todo)


def _code(error: Exception) -> str:
    """Return the service's code for a refusal, which stands in the text of the library's error."""
    found = _CODE.search(str(error))
    return found[1] if found is not None else "refused"
