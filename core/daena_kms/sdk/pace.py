"""Keep under a quota once the store has said that it has one.

The SDK's adaptive mode alone finds the quota by running into it again and again: each of the calls
under way at that moment cuts its rate once more, and much of the quota stays unused. The quota is
documented, so after the first throttled answer writes are spaced at it, and the SDK has nothing
left to cut. Without a throttled answer nothing is spaced.
"""

import threading
import time
from collections.abc import Callable


class Pacer:
    """Spaces calls at ``per_second`` from the first :meth:`start` on, over all threads."""

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
        """Begin to space calls; again is harmless."""
        with self._lock:
            if self._next is None:
                self._next = self._monotonic()

    def wait(self) -> None:
        """Return when the next call may go out."""
        with self._lock:
            if self._next is None:
                return
            now = self._monotonic()
            self._next = max(self._next, now) + self._gap
            delay = self._next - self._gap - now
        if delay > 0:
            self._sleep(delay)
