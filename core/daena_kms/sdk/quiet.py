"""Keep SDKs from logging what they carry: botocore writes whole bodies at DEBUG.

While this thread makes a call of ours, the SDK's loggers drop what is below INFO. Nothing else in
the process loses a record: the SDK's own use by an application is logged as ever.
"""

import contextlib
import logging
import threading
from collections.abc import Iterator

_local = threading.local()


class _Silence(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        return record.levelno >= logging.INFO or not getattr(_local, "depth", 0)


_silence = _Silence()


def watch(*packages: str) -> None:
    """Put the filter on every logger of ``packages`` that exists by now; again is harmless.

    A logger's filter does not see its children's records, so each logger needs it.
    """
    prefixes = tuple(f"{package}." for package in packages)
    for name in [
        *packages,
        *(n for n in logging.root.manager.loggerDict if n.startswith(prefixes)),
    ]:
        logging.getLogger(name).addFilter(_silence)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Drop what watched loggers write below INFO in this thread, until the block ends."""
    _local.depth = getattr(_local, "depth", 0) + 1
    try:
        yield
    finally:
        _local.depth -= 1
