"""Waits for what another process does, with a bound that no busy machine reaches."""

import os
import time
from collections.abc import Callable


def eventually(condition: Callable[[], bool], *, seconds: float = 60) -> bool:
    """Wait for what another process is about to do; ask the less often the longer it takes."""
    deadline = time.monotonic() + seconds
    pause = 0.01
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(pause)
        pause = min(1.2 * pause, 0.5)
    return True


def gone(pid: int) -> bool:
    """Whether there is no such process."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False
