"""A run's own time, and how much of it is left."""

from datetime import UTC, datetime, timedelta

import pytest
from daena_kms.engine.clock import Budget, Deadline, RunClock
from daena_kms.errors import ConfigError

from tests.unit.keys import DAY, HOUR, NOW, SECOND


class Stopwatch:
    """A monotonic clock that a test moves."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        """The seconds so far."""
        return self.seconds


@pytest.fixture
def stopwatch() -> Stopwatch:
    """The monotonic clock of the run."""
    return Stopwatch()


@pytest.fixture
def clock(stopwatch: Stopwatch) -> RunClock:
    """The clock of a run that began at NOW."""
    return RunClock(NOW, stopwatch)


def test_time_is_the_beginning_and_what_has_passed(clock: RunClock, stopwatch: Stopwatch) -> None:
    """A run's time moves with the monotonic clock from the time that was given."""
    assert (clock(), clock.elapsed, clock.began) == (NOW, timedelta(), NOW)
    stopwatch.seconds += 90.5
    assert clock() == NOW + timedelta(seconds=90.5)
    assert clock.elapsed == timedelta(seconds=90.5)
    assert clock.began == NOW


def test_without_a_time_a_run_begins_now() -> None:
    """The wall clock is read once, in UTC."""
    before = datetime.now(UTC)
    began = RunClock(None).began
    assert before <= began <= datetime.now(UTC)
    assert began.tzinfo is UTC


def test_a_naive_time_is_refused() -> None:
    """Neither the beginning nor the deadline is guessed into a zone."""
    with pytest.raises(ConfigError, match=r"^now has no time zone"):
        RunClock(NOW.replace(tzinfo=None))
    with pytest.raises(ConfigError, match=r"^deadline has no time zone"):
        Budget(RunClock(NOW), NOW.replace(tzinfo=None))


@pytest.mark.parametrize("deadline", [NOW + 60 * SECOND, 60 * SECOND, 60, 60.0])
def test_work_begins_until_the_margin_before_the_deadline(
    clock: RunClock, stopwatch: Stopwatch, deadline: Deadline
) -> None:
    """A minute's run begins work until two seconds before its end, however the end is told."""
    budget = Budget(clock, deadline)
    stopwatch.seconds += 57.9
    assert not budget.over
    stopwatch.seconds += 0.1
    assert budget.over


def test_a_short_run_keeps_a_tenth(clock: RunClock, stopwatch: Stopwatch) -> None:
    """Ten seconds leave a margin of one."""
    budget = Budget(clock, 10)
    stopwatch.seconds += 8.9
    assert not budget.over
    stopwatch.seconds += 0.2
    assert budget.over


def test_the_margin_grows_with_the_slowest_key(clock: RunClock, stopwatch: Stopwatch) -> None:
    """Twice what the slowest key took is kept; a quick one afterwards changes nothing."""
    budget = Budget(clock, HOUR)
    budget.took(10 * SECOND)
    budget.took(SECOND)
    stopwatch.seconds += 3600 - 20.5
    assert not budget.over
    stopwatch.seconds += 0.5
    assert budget.over


def test_quick_keys_do_not_shrink_the_margin(clock: RunClock, stopwatch: Stopwatch) -> None:
    """The margin is never less than at the beginning."""
    budget = Budget(clock, HOUR)
    budget.took(timedelta(milliseconds=1))
    stopwatch.seconds += 3598.5
    assert budget.over


def test_without_a_deadline_a_run_never_ends(clock: RunClock, stopwatch: Stopwatch) -> None:
    """No time and no slow key stops it."""
    budget = Budget(clock, None)
    budget.took(DAY)
    stopwatch.seconds += 1e9
    assert not budget.over


def test_what_is_left_is_known(clock: RunClock, stopwatch: Stopwatch) -> None:
    """To the end itself, without the margin, and past it; without a deadline it is not limited."""
    budget = Budget(clock, 60)
    stopwatch.seconds += 59
    assert budget.left == SECOND
    stopwatch.seconds += 11
    assert budget.left == -10 * SECOND
    assert Budget(clock, None).left is None


@pytest.mark.parametrize("deadline", [NOW, NOW - DAY, timedelta(), -SECOND, 0, -1.5])
def test_a_deadline_that_is_past_begins_nothing(clock: RunClock, deadline: Deadline) -> None:
    """There is no time left from the beginning."""
    assert Budget(clock, deadline).over


@pytest.mark.parametrize("deadline", [float("nan"), float("inf"), 1e300, "60"])
def test_a_deadline_that_is_none_is_refused(clock: RunClock, deadline: Deadline) -> None:
    """What is no time and no span is refused with what may be passed."""
    with pytest.raises(ConfigError) as refused:
        Budget(clock, deadline)
    assert refused.value.what == f"deadline is {deadline!r}"
    assert refused.value.todo == "Pass seconds, a timedelta, or an aware datetime"


@pytest.mark.parametrize(("seconds", "over"), [(0, False), (14.9, False), (15, True), (60, True)])
def test_reading_the_log_takes_a_quarter_of_the_time(
    clock: RunClock, stopwatch: Stopwatch, seconds: float, *, over: bool
) -> None:
    """Without a deadline it takes what its calls take."""
    stopwatch.seconds += seconds
    assert Budget(clock, 60).over_for_reading is over
    assert Budget(clock, None).over_for_reading is False
