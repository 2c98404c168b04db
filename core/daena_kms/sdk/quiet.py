"""Keep SDKs from logging values: botocore, for one, writes whole bodies at DEBUG.

During a call of ours the SDK's loggers drop records below INFO in that thread. No other record is
affected: an application's own use of the SDK is logged as before.
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
    """Put the filter on every existing logger of ``packages``; repeating it changes nothing.

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
    """Drop the watched loggers' records below INFO in this thread, until the block ends."""
    _local.depth = getattr(_local, "depth", 0) + 1
    try:
        yield
    finally:
        _local.depth -= 1
