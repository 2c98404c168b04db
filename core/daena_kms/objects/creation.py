"""Create an object with obstore, only if absent, and know whether it was.

Three answers of a service leave that open: a 409, which the library takes for "exists"; a refusal,
which a caller who may add and not overwrite gets for an object that exists; and a success that the
service did not send. Each is settled by a look at the object.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html (If-None-Match: "On a 409 failure
retry the upload"), https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes
"""

import contextlib
import random
import re
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from daena_kms.objects.base import AlreadyExists
from daena_kms.objects.failures import code_of, is_unread, status_of

#: Seconds between two tries after a conflict, and how often it is tried in all.
_BASE, _LONGEST, _TRIES = 0.1, 2.0, 8
_CONFLICT = 409
#: The codes of a 409 that say that the object is there. Every other one leaves that open.
_THERE = frozenset(
    {"BlobAlreadyExists", "PathAlreadyExists", "BlobImmutableDueToPolicy", "BlobArchived"}
)
#: What every answer of a service about an object has, by the library's class of store. S3's etag is
#: an MD5, or as long as one; multipart uploads have a number behind it. Cloud Storage's
#: ``x-goog-generation`` comes as the version.
#: https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html,
#: https://learn.microsoft.com/rest/api/storageservices/put-blob#response-headers and
#: https://cloud.google.com/storage/docs/xml-api/reference-headers#xgooggeneration
_FORMS: Mapping[str, tuple[str, re.Pattern[str]]] = {
    "S3Store": ("e_tag", re.compile(r'"?[0-9a-fA-F]{32}(-[0-9]{1,5})?"?', re.ASCII)),
    "AzureStore": ("e_tag", re.compile(r'"?0x[0-9a-fA-F]{1,32}"?', re.ASCII)),
    "GCSStore": ("version", re.compile(r"[0-9]{1,20}", re.ASCII)),
}


class Foreign(Exception):
    """What answered is not the service."""


class Contended(Exception):
    """Others kept the object from being created; the text is the service's code."""


def is_answer(store: object, meta: Mapping[str, Any]) -> bool:
    """Whether an answer about an object is the service's, and not a proxy's page.

    Args:
        store: The library's store.
        meta: What it took from the answer's headers.
    """
    form = _FORMS.get(type(store).__name__)
    return form is None or form[1].fullmatch(str(meta.get(form[0]))) is not None


class Creator:
    """Creates objects in one store.

    Args:
        store: The library's store.
        seconds: For how long tries begin.
        sleep: Waits between two tries.
        monotonic: The time, in seconds.
    """

    def __init__(
        self,
        store: Any,
        seconds: float,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._seconds = seconds
        self._sleep = sleep
        self._monotonic = monotonic

    def put(self, name: str, data: bytes) -> None:
        """Create an object.

        Raises:
            AlreadyExists: One of that name is there.
            Contended: Others write to that name at the same moment, again and again.
            Foreign: What answered is not the service.
            BaseException: What the library raises.
        """
        from obstore import exceptions

        until, code = self._monotonic() + self._seconds, ""
        for wait in _waits():
            try:
                return self._put(name, data)
            except exceptions.AlreadyExistsError as conflict:
                code, status = code_of(conflict), status_of(conflict)
            if status != _CONFLICT or code in _THERE or self._is_there(name):
                raise AlreadyExists(name)
            if wait is None or self._monotonic() + wait > until:
                break
            self._sleep(wait)
        raise Contended(code)

    def _put(self, name: str, data: bytes) -> None:
        import obstore
        from obstore import exceptions

        try:
            written = obstore.put(self._store, name, data, mode="create", use_multipart=False)
        except exceptions.PermissionDeniedError as refusal:
            # No cloud documents whether it checks the permission or the condition first.
            if self._is_there(name):
                raise AlreadyExists(name, refused=code_of(refusal)) from None
            raise
        except exceptions.GenericError as unread:
            if not is_unread(unread) or not self._holds(name, data):
                raise
            return
        if not is_answer(self._store, written) and not self._holds(name, data):
            raise Foreign

    def _holds(self, name: str, data: bytes) -> bool:
        """Whether an object holds exactly that. A look that fails shows none."""
        import obstore
        from obstore import exceptions

        with contextlib.suppress(FileNotFoundError, exceptions.BaseError):
            return bytes(obstore.get(self._store, name).bytes()) == data
        return False

    def _is_there(self, name: str) -> bool:
        """Look at an object. A look that fails shows none."""
        import obstore
        from obstore import exceptions

        with contextlib.suppress(FileNotFoundError, exceptions.BaseError):
            return is_answer(self._store, obstore.head(self._store, name))
        return False


def _waits() -> Iterator[float | None]:
    """Yield how long to wait after each try; after the last one ``None``."""
    wait = _BASE
    for _ in range(_TRIES - 1):
        yield wait * random.SystemRandom().uniform(0.5, 1)
        wait = min(2 * wait, _LONGEST)
    yield None
