"""Space calls at a store's quota, once the store has throttled one.

The SDK's adaptive mode on its own discovers the quota by exceeding it again and again. Each call
that is under way at that moment cuts the rate once more, and much of the quota stays unused. The
quota is documented, so after the first throttled answer writes are spaced at it. Without a
throttled answer nothing is spaced.
"""

import threading
import time
from collections.abc import Callable


class Pacer:
    """Spaces the calls of all threads at ``per_second``, from the first :meth:`start` on."""

    def __init__(
        self,
        per_second: float,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._gap = 1 / per_second
        self._monotonic = monotonic
        self._sleep = sleep
        self._lock = threading.Lock()
        self._next: float | None = None

    def start(self) -> None:
        """Begin to space calls; calling it again changes nothing."""
        with self._lock:
            if self._next is None:
                self._next = self._monotonic()

    def wait(self) -> None:
        """Wait until the next call may be made."""
        with self._lock:
            if self._next is None:
                return
            now = self._monotonic()
            self._next = max(self._next, now) + self._gap
            delay = self._next - self._gap - now
        if delay > 0:
            self._sleep(delay)
