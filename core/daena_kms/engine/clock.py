"""The time of a run: ``now`` plus what has passed since, and when to stop starting work."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from daena_kms.errors import ConfigError
from daena_kms.rules.durations import utc

#: When a run stops beginning work: a time, or a time span or seconds from its beginning.
Deadline = datetime | timedelta | float

_LEAST_MARGIN = timedelta(seconds=2)
_SHARE = 10


class RunClock:
    """``now`` plus the monotonic time since the run began; the wall clock may jump."""

    def __init__(
        self, now: datetime | None, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self.began = datetime.now(UTC) if now is None else utc(now, "now")
        self._monotonic = monotonic
        self._start = monotonic()

    def __call__(self) -> datetime:
        """Return the time of the run."""
        return self.began + self.elapsed

    @property
    def elapsed(self) -> timedelta:
        """How long the run has taken."""
        return timedelta(seconds=self._monotonic() - self._start)


class Budget:
    """How much time a run has left. Work on a key begins only if it should end in time.

    The margin is twice the time of the slowest key so far. At first it is two seconds, or a tenth
    of the whole time if that is less.

    Raises:
        ConfigError: The deadline is not a time, a time span or a number.
    """

    def __init__(self, clock: RunClock, deadline: Deadline | None) -> None:
        self._clock = clock
        self._total = _total(clock, deadline)
        self._margin = min(_LEAST_MARGIN, (self._total or timedelta()) / _SHARE)

    def took(self, duration: timedelta) -> None:
        """Adjust the margin to how long the work on one key took."""
        self._margin = max(self._margin, 2 * duration)

    @property
    def left(self) -> timedelta | None:
        """How much time is left; ``None`` if there is no limit."""
        return None if self._total is None else self._total - self._clock.elapsed

    @property
    def over(self) -> bool:
        """Whether no more work may begin."""
        return self._total is not None and self._clock.elapsed + self._margin >= self._total

    @property
    def over_for_reading(self) -> bool:
        """Whether reading the log has taken a quarter of the whole time."""
        return self._total is not None and 4 * self._clock.elapsed >= self._total

    @property
    def over_for_planning(self) -> bool:
        """Whether planning has taken a third of the whole time: the rest is for the work."""
        spent = self._total is not None and 3 * self._clock.elapsed >= self._total
        return spent or self.over


def _total(clock: RunClock, deadline: Deadline | None) -> timedelta | None:
    if deadline is None:
        return None
    if isinstance(deadline, datetime):
        return utc(deadline, "deadline") - clock.began
    if isinstance(deadline, timedelta):
        return deadline
    try:
        return timedelta(seconds=deadline)
    except (TypeError, ValueError, OverflowError):
        msg = f"deadline is {deadline!r}"
        todo = "Pass seconds, a timedelta, or an aware datetime"
        raise ConfigError(msg, todo=todo) from None
