"""A few tries for each event, and an end to all of it."""

import logging
from itertools import pairwise

import pytest
from daena_kms.notify.base import Event, Then, Undelivered
from daena_kms.notify.delivery import ATTEMPT, ATTEMPTS, BACKOFF, deliver
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.keys import NOW
from tests.unit.notify.receiver import Hours

BUSY = Undelivered("busy", Then.RETRY)


def event(number: int = 0) -> Event:
    """An event."""
    return Event(f"id{number}", "io.daena-kms.key.rotated", "urn:x", f"k{number}", NOW, {})


class Script:
    """A sink that does what a test says, the last of it for ever, and takes its time."""

    def __init__(self, hours: Hours, *results: Undelivered | None, takes: float = 0.0) -> None:
        self.hours = hours
        self.results = list(results or [None])
        self.takes = takes
        self.sent: list[str] = []
        self.at: list[float] = []
        self.within: list[float] = []

    def send(self, sent: Event, within: float) -> None:
        """Take an event."""
        self.sent.append(sent.id)
        self.at.append(self.hours.now)
        self.within.append(within)
        self.hours.now += min(self.takes, within)
        result = self.results.pop(0) if len(self.results) > 1 else self.results[0]
        if result is not None:
            raise result


@pytest.fixture
def hours() -> Hours:
    """Time that passes when somebody sleeps."""
    return Hours()


def test_events_are_sent_in_order(hours: Hours) -> None:
    """Each once, with no wait in between."""
    sink = Script(hours)
    events = [event(n) for n in range(3)]
    assert deliver(events, sink, 10, hours.timing(), "h") == (3, 0)
    assert sink.sent == ["id0", "id1", "id2"]
    assert sink.within == [ATTEMPT] * 3
    assert hours.slept == []


def test_nothing_to_send(hours: Hours) -> None:
    """Nobody is asked."""
    sink = Script(hours)
    assert deliver([], sink, 10, hours.timing(), "h") == (0, 0)
    assert sink.sent == []


@pytest.mark.parametrize("chance", [0.0, 0.5, 1.0])
def test_a_busy_receiver_is_asked_again(hours: Hours, chance: float) -> None:
    """After a wait that doubles, of which half is up to chance."""
    sink = Script(hours, BUSY, BUSY, BUSY, None)
    assert deliver([event()], sink, 10, hours.timing(chance=chance), "h") == (1, 0)
    part = (1 + chance) / 2
    assert hours.slept == pytest.approx([BACKOFF * part, 2 * BACKOFF * part, 4 * BACKOFF * part])


def test_tries_come_to_an_end(hours: Hours, caplog: pytest.LogCaptureFixture) -> None:
    """A receiver that does not answer is not asked for the other events either."""
    sink = Script(hours, BUSY)
    assert deliver([event(0), event(1), event(2)], sink, 99, hours.timing(), "h") == (0, 3)
    assert sink.sent == ["id0"] * ATTEMPTS
    assert [record.message for record in caplog.records] == [
        "h did not receive io.daena-kms.key.rotated for k0: busy",
        "h was not sent 2 more events",
    ]
    assert {record.levelno for record in caplog.records} == {logging.WARNING}


def test_a_refused_event_does_not_stop_the_next(hours: Hours) -> None:
    """It is not sent again, and the others are."""
    sink = Script(hours, Undelivered("it answered 422", Then.NEXT), None)
    assert deliver([event(0), event(1)], sink, 10, hours.timing(), "h") == (1, 1)
    assert sink.sent == ["id0", "id1"]
    assert hours.slept == []


def test_a_receiver_that_is_gone_is_left_alone(hours: Hours) -> None:
    """After the first answer."""
    sink = Script(hours, Undelivered("it answered 410", Then.STOP))
    assert deliver([event(0), event(1)], sink, 10, hours.timing(), "h") == (0, 2)
    assert sink.sent == ["id0"]


def test_what_the_receiver_asks_to_wait_is_waited(hours: Hours) -> None:
    """If it is more than would have been waited anyway, and within the time."""
    asked = Undelivered("it answered 429", Then.RETRY, after=3.0)
    sink = Script(hours, asked, Undelivered("it answered 503", Then.RETRY, after=0.0), None)
    assert deliver([event()], sink, 10, hours.timing(), "h") == (1, 0)
    assert hours.slept == [3.0, 2 * BACKOFF]


def test_what_would_take_too_long_is_not_waited(hours: Hours) -> None:
    """There is no point in sleeping when no time will be left to try."""
    sink = Script(hours, Undelivered("it answered 503", Then.RETRY, after=3_600))
    assert deliver([event()], sink, 10, hours.timing(), "h") == (0, 1)
    assert hours.slept == []
    assert sink.sent == ["id0"]


def test_a_slow_receiver_has_until_the_end(hours: Hours) -> None:
    """No try gets more than is left, and what is not sent by then is not sent."""
    sink = Script(hours, takes=4.0)
    assert deliver([event(n) for n in range(5)], sink, 10, hours.timing(), "h") == (3, 2)
    assert sink.within == [5.0, 5.0, 2.0]
    assert hours.now == 1_010


def test_no_time_at_all(hours: Hours, caplog: pytest.LogCaptureFixture) -> None:
    """Nobody is asked, and it says so."""
    sink = Script(hours)
    assert deliver([event()], sink, 0, hours.timing(), "h") == (0, 1)
    assert sink.sent == []
    assert "no time was left" in caplog.text


FINDINGS = st.builds(
    Undelivered,
    st.just("why"),
    st.sampled_from(Then),
    after=st.none() | st.floats(min_value=0, max_value=20),
)


@given(
    st.lists(st.none() | FINDINGS, min_size=1, max_size=12),
    st.integers(min_value=0, max_value=8),
    st.floats(min_value=0, max_value=7),
    st.floats(min_value=0, max_value=15),
    st.floats(min_value=0, max_value=1),
)
def test_it_always_ends_in_time(
    results: list[Undelivered | None], count: int, takes: float, within: float, chance: float
) -> None:
    """Whatever the receiver does, and every event is counted once."""
    hours = Hours()
    sink = Script(hours, *results, takes=takes)
    events = [event(number) for number in range(count)]
    delivered, not_delivered = deliver(events, sink, within, hours.timing(chance=chance), "h")
    assert delivered + not_delivered == count
    assert hours.now <= 1_000 + within + 1e-6
    assert all(sink.sent.count(e.id) <= ATTEMPTS for e in events)
    assert all(earlier <= later for earlier, later in pairwise(sink.at))
