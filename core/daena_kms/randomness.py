"""A pool of random bytes that many keys draw from, so that one KMS call serves many of them."""

import secrets
import threading
from collections.abc import Callable

#: ``GenerateDataKey`` and ``GenerateRandom`` give at most this many bytes a call.
#: https://docs.aws.amazon.com/kms/latest/APIReference/API_GenerateDataKey.html
MAX_DRAW = 1024


def local_random(count: int) -> bytes:
    """Return ``count`` bytes from the operating system's generator."""
    return secrets.token_bytes(count)


class Pool:
    """Random bytes drawn from a source in few large calls; each byte is handed out once.

    A pool belongs to one run and is dropped with it: what is left in it serves nobody later.
    ``source(n)`` returns n bytes; ``expected`` is how many the run will need, about.
    """

    def __init__(self, source: Callable[[int], bytes], expected: int) -> None:
        self._source = source
        self._expected = expected
        self._bytes = b""
        self._lock = threading.Lock()

    def __call__(self, count: int) -> bytes:
        """Return ``count`` fresh bytes. Raises what the source raises."""
        with self._lock:
            while len(self._bytes) < count:
                missing = max(count - len(self._bytes), self._expected)
                draw = self._source(min(MAX_DRAW, missing))
                self._expected = max(0, self._expected - len(draw))
                self._bytes += draw
            taken, self._bytes = self._bytes[:count], self._bytes[count:]
            return taken
