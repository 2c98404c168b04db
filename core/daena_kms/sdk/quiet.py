"""Keep SDKs from logging values and foreign text.

botocore, for one, writes whole bodies at DEBUG, and azure-identity's warnings quote what a program
or a service said when it refused a login. During a call of ours the SDK's loggers drop every record
in that thread: what went wrong is in our error. No other record is affected: an application's own
use of the SDK is logged as before.
"""

import contextlib
import logging
import threading
from collections.abc import Iterator

_local = threading.local()


class _Silence(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        del record
        return not getattr(_local, "depth", 0)


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
    """Drop the watched loggers' records in this thread, until the block ends."""
    _local.depth = getattr(_local, "depth", 0) + 1
    try:
        yield
    finally:
        _local.depth -= 1
