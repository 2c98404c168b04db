"""Objects in a bucket or container, through ``obstore``: one library for every cloud."""

import contextlib
from collections.abc import Callable, Iterator
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Any

from daena_kms.errors import DaenaKMSError
from daena_kms.objects.base import AUDIT, AlreadyExists, Entry, Objects, Use
from daena_kms.objects.failures import code_of, failure, of_library
from daena_kms.sdk.transport import proxy_for

if TYPE_CHECKING:
    from obstore.store import AzureStore, GCSStore, S3Store

#: A put that takes longer fails, and the run stops, well before a function's time is over.
TIMEOUT = timedelta(seconds=10)
RETRY_TIMEOUT = timedelta(seconds=25)


def bounded(
    endpoint: str | None, host: str = "", certificates: bytes | None = None
) -> dict[str, Any]:
    """Return the settings for each cloud's store: bounded time, and no TLS only for an emulator.

    Args:
        endpoint: The URL that is set for it, if one is.
        host: The host that is used otherwise, to know which proxy leads there.
        certificates: What is trusted besides the usual, in PEM.

    Raises:
        ConfigError: The proxy's address is malformed.
    """
    return {
        "client_options": {
            "timeout": TIMEOUT,
            "connect_timeout": TIMEOUT / 2,
            "allow_http": bool(endpoint and endpoint.startswith("http://")),
            **proxy_for(endpoint or f"https://{host}"),
            **({"root_certificate": certificates} if certificates else {}),
        },
        "retry_config": {"max_retries": 4, "retry_timeout": RETRY_TIMEOUT},
    }


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
        self._use = use
        self._provider = provider
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
                # If the look fails as well, the refusal is what there is to tell.
                with contextlib.suppress(FileNotFoundError, exceptions.BaseError):
                    obstore.head(self._store, name)
                    raise AlreadyExists(name, refused=code_of(refusal)) from None
                raise

    def get(self, name: str) -> bytes | None:
        """Get one object."""
        import obstore

        with self._errors("read"):
            try:
                return bytes(obstore.get(self._store, name).bytes())
            except FileNotFoundError:
                return None  # or the bucket does not exist: the next put says so

    def entries(self, prefix: str) -> list[Entry]:
        """List by prefix."""
        import obstore

        with self._errors("listed"):
            metas = [meta for chunk in obstore.list(self._store, prefix) for meta in chunk]
        entries = [Entry(meta["path"], meta["last_modified"].astimezone(UTC)) for meta in metas]
        return sorted(entries, key=lambda entry: entry.name)

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
                msg = f"{self._use.label} {self.url} can't be {what}: {first.what}"
                return self._use.error(msg, todo=first.todo)
            if first is not None:
                return first  # Ctrl-C
        return failure(error, what, self.url, self._use)
