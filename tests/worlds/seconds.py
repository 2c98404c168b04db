"""A run's own time, which moves only when a test moves it, however busy the machine is."""

import functools
import sys
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from daena_kms.engine import worker
from daena_kms.engine.clock import RunClock

#: The module: as an attribute of its package, the name is the function's.
RUN = sys.modules["daena_kms.engine.run"]


class Seconds:
    """A monotonic clock that moves only when a test moves it."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Return the seconds."""
        return self.now


def time_runs_by(monotonic: Callable[[], float], patch: pytest.MonkeyPatch) -> None:
    """Let every run in the test go by this clock."""
    patch.setattr(RUN, "RunClock", functools.partial(RunClock, monotonic=monotonic))
    patch.setattr(worker, "time", SimpleNamespace(monotonic=monotonic))
