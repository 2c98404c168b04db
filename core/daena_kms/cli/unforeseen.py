"""What the program prints where nobody foresaw it: one safe line instead of Python's tracebacks.

A traceback shows an error's text, which may hold a key's value or what somebody else wrote.
"""

import contextlib
import logging
import sys
from collections.abc import Iterator
from types import TracebackType

from daena_kms.errors import place_of
from daena_kms.rules.text import shown


class _OneLine(logging.Formatter):
    """Formats a warning of ours or of a library as one safe line, without a traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the message."""
        return shown(record.getMessage())


@contextlib.contextmanager
def one_line_logs() -> Iterator[None]:
    """Print warnings as safe lines where no log is set up. Python prints them as they are."""
    last = logging.lastResort
    logging.lastResort = handler = logging.StreamHandler()
    handler.setLevel(logging.WARNING)
    handler.setFormatter(_OneLine())
    try:
        yield
    finally:
        logging.lastResort = last


def report(error: type[BaseException], traceback: TracebackType | None) -> None:
    """Print the type of an error and where in our code it came from."""
    line = f"Error: an unexpected {error.__name__[:80]}{place_of(traceback)}. Report it as a bug"
    if sys.stderr is not None:
        sys.stderr.write(f"{shown(line)}\n")
