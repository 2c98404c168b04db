"""Objects in a bucket or container, through ``obstore``: one library for every cloud."""

import contextlib
import re
from collections.abc import Iterator
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Any

from daena_kms.errors import DaenaKMSError
from daena_kms.objects.base import AUDIT, AlreadyExists, Entry, Objects, Use

if TYPE_CHECKING:
    from obstore.store import AzureStore, GCSStore, S3Store

#: A put that takes longer fails, and the run stops, well before a function's time is over.
TIMEOUT = timedelta(seconds=10)
RETRY_TIMEOUT = timedelta(seconds=25)
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

        with self._errors("read"):
            try:
                return bytes(obstore.get(self._store, name).bytes())
            except FileNotFoundError:
                return None  # or the bucket does not exist: the next put says so

    def get_up_to(self, name: str, limit: int) -> bytes | None:
        """Get one object, and stop reading it at the limit."""
        import obstore

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
        import obstore

        with self._errors("listed"):
            for chunk in obstore.list(self._store, prefix, offset=after or None, chunk_size=1000):
                for meta in chunk:
                    when = meta["last_modified"].astimezone(UTC)
                    yield Entry(meta["path"], when, meta["size"])

    def children(self, prefix: str) -> list[str]:
        """List with a delimiter."""
        import obstore

        with self._errors("listed"):
            found = obstore.list_with_delimiter(self._store, prefix)["common_prefixes"]
        return sorted(path.rstrip("/").rsplit("/", 1)[-1] for path in found)

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
            kind = type(error).__name__
            msg = f"{self._use.label} {self.url} can't be {what} ({kind})"
            todo = "Check its address, the permissions on it, and that it answers"
            if isinstance(error, exceptions.UnauthenticatedError):
                todo = "Check the credentials that the cloud's SDK finds"
            raise self._use.error(msg, todo=todo) from None


def _code(error: Exception) -> str:
    """Return the service's code for a refusal, which stands in the text of the library's error."""
    found = _CODE.search(str(error))
    return found[1] if found is not None else "refused"
