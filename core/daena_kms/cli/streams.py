"""The standard streams as a shell leaves them: closed, or on a disk that is full."""

import errno
import os
import sys
from typing import TextIO

#: What stands in for a stream that was closed before the program started.
_stand_ins: list[TextIO] = []


def open_closed() -> None:
    """Put an empty file in the place of each closed stream.

    Otherwise the next file that is opened would get its number, and what is printed would go there.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            _null()  # it gets the lowest free number, which is this one
        if getattr(sys, name) is None:
            stream = os.fdopen(_null(), "w" if number else "r", encoding="utf-8")
            _stand_ins.append(stream)
            setattr(sys, name, stream)


def was_closed(stream: object) -> bool:
    """Whether a stream is one of those files."""
    return any(stream is one for one in _stand_ins)


def refusal() -> OSError | None:
    """Return why standard output takes no more, or ``None`` once all of it is written.

    What could not be written stays in its buffer, so that this fails as the first attempt did.
    """
    try:
        sys.stdout.flush()
    except OSError as error:
        return error
    except ValueError:  # it was closed
        return None
    return None


def said(error: OSError) -> str:
    """Return a refusal in words; nothing for a reader that has enough."""
    if error.errno == errno.EPIPE:
        return ""
    return f"standard output can't be written: {error.strerror or type(error).__name__}"


def drop_output() -> None:
    """Forget what standard output did not take. Python would try again at the end, and complain."""
    sys.stdout = os.fdopen(_null(), "w", encoding="utf-8")
    null = _null()
    os.dup2(null, 1)
    os.close(null)


def _null() -> int:
    return os.open(os.devnull, os.O_RDWR)
