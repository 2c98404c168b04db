"""A pool of random bytes for many keys, so that one KMS call serves several of them."""

import secrets
import threading
from collections.abc import Callable

from daena_kms.errors import DaenaKMSError, StoreUnavailable
from daena_kms.stores.forks import forget_in_children

#: ``GenerateDataKey`` and ``GenerateRandom`` return at most this many bytes a call.
#: https://docs.aws.amazon.com/kms/latest/APIReference/API_GenerateDataKey.html
MAX_DRAW = 1024
#: If fewer bytes than this are left, more are drawn.
_LOW = MAX_DRAW // 2


def local_random(count: int) -> bytes:
    """Return ``count`` bytes from the operating system's generator."""
    return secrets.token_bytes(count)


class Pool:
    """Random bytes drawn from a source in few large calls; each byte is handed out once.

    A pool belongs to one run and is dropped with it; bytes that are left are never used later.
    Several threads may call it: one of them draws ahead while the others use what is there. A
    child process that is forked meanwhile draws for itself.

    Args:
        source: ``source(n)`` returns n bytes.
        expected: About how many bytes the run will need.
    """

    def __init__(self, source: Callable[[int], bytes], expected: int) -> None:
        self._source = source
        self._expected = expected
        self.after_fork()
        forget_in_children(self)

    def after_fork(self) -> None:
        """Hand out none of the parent's bytes, and wait for none of its threads."""
        self._bytes = b""
        self._drawing = False
        self._lock = threading.Lock()

    def __call__(self, count: int) -> bytes:
        """Return ``count`` fresh bytes.

        Raises:
            StoreUnavailable: The source gave more or fewer bytes than it was asked for.
            DaenaKMSError: What the source itself raises.
        """
        with self._lock:
            while len(self._bytes) < count:
                self._add(self._draw(self._wanted(count - len(self._bytes))))
            drawn, self._bytes = self._bytes[:count], self._bytes[count:]
            ahead = not self._drawing and len(self._bytes) < min(_LOW, self._expected)
            self._drawing = self._drawing or ahead
        if ahead:
            self._draw_ahead()
        return drawn

    def _draw_ahead(self) -> None:
        try:
            draw = self._draw(self._wanted(0))
        except DaenaKMSError:
            draw = b""  # the next caller draws again, and gets the error
        with self._lock:
            self._add(draw)
            self._drawing = False

    def _draw(self, count: int) -> bytes:
        drawn = self._source(count)
        # An empty answer would be asked for again without end; another length is no answer to us.
        if len(drawn) != count:
            msg = f"the source of randomness gave {len(drawn)} bytes instead of {count}"
            raise StoreUnavailable(msg, todo="Try again; if it goes on, check what answers for KMS")
        return drawn

    def _wanted(self, missing: int) -> int:
        return min(MAX_DRAW, max(missing, self._expected))

    def _add(self, draw: bytes) -> None:
        self._bytes += draw
        self._expected = max(0, self._expected - len(draw))
