"""Durations and times, as tags and settings carry them."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from daena_kms.errors import ConfigError
from daena_kms.rules.durations import (
    MAX_DAYS,
    about,
    format_duration,
    format_time,
    parse_duration,
    parse_time,
    utc,
)
from hypothesis import example, given
from hypothesis import strategies as st

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NO_DURATION = "Write whole days or hours, such as 90d or 12h"
NO_TIME = "Write RFC 3339 in UTC, such as 2026-11-24T15:50:00Z"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("90d", 90 * DAY),
        ("12h", 12 * HOUR),
        ("0d", timedelta()),
        ("007d", 7 * DAY),
        (f"{MAX_DAYS}d", MAX_DAYS * DAY),
        (f"{MAX_DAYS * 24}h", MAX_DAYS * DAY),
    ],
)
def test_whole_days_and_hours_are_durations(text: str, value: timedelta) -> None:
    """Days and hours are read as they stand, up to the longest that is allowed."""
    assert parse_duration(text, "daena.grace") == value


@pytest.mark.parametrize(
    "text",
    [
        *("", "90", "d", "-1d", "+1d", "1y2", "1.5d", "1w", "90D", "90 d", " 90d", "90d ", "90d\n"),
        *(
            "1d12h",
            "never",
            "P90D",
            "\u0669\u0660d",
            "\uff19\uff10d",
            "1_000d",
            "1000000d",
            "0x10d",
        ),
    ],
)
def test_anything_else_is_no_duration(text: str) -> None:
    """A malformed duration is refused with the name, the text and the form that is allowed."""
    with pytest.raises(ConfigError) as refused:
        parse_duration(text, "daena.rotate-after")
    assert refused.value.what == f"daena.rotate-after is {text!r}, which is not a duration"
    assert refused.value.todo == NO_DURATION


@pytest.mark.parametrize("text", [f"{MAX_DAYS + 1}d", f"{MAX_DAYS * 24 + 1}h", "999999d"])
def test_a_duration_over_the_longest_is_refused(text: str) -> None:
    """One day or hour more than the longest is too much."""
    with pytest.raises(ConfigError, match=rf"^daena\.grace is {text}, which is longer than 36500d"):
        parse_duration(text, "daena.grace")


def test_a_long_text_is_quoted_in_part() -> None:
    """An error quotes at most the first 40 characters of what it refuses."""
    with pytest.raises(ConfigError) as refused:
        parse_duration("9" * 10_000, "daena.keep")
    assert len(str(refused.value)) < 150


@given(st.integers(0, MAX_DAYS * 24).map(lambda hours: timedelta(hours=hours)))
def test_what_is_written_is_read_back(value: timedelta) -> None:
    """Every duration that can be written reads as the same duration."""
    assert parse_duration(format_duration(value), "x") == value


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "never"), (36 * HOUR, "36h"), (48 * HOUR, "2d"), (HOUR, "1h"), (timedelta(), "0d")],
)
def test_durations_are_written_shortly(value: timedelta | None, text: str) -> None:
    """Whole days are written as days, and no duration as never."""
    assert format_duration(value) == text


@given(st.text(max_size=12) | st.from_regex(r"[0-9]{1,7}[dhm]", fullmatch=True))
@example("9" * 5000 + "d")
def test_no_text_breaks_the_parser_of_durations(text: str) -> None:
    """Arbitrary text is a duration that fits, or our error."""
    try:
        value = parse_duration(text, "x")
    except ConfigError:
        return
    assert timedelta() <= value <= MAX_DAYS * DAY


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2026-11-24T15:50:00Z", datetime(2026, 11, 24, 15, 50, tzinfo=UTC)),
        ("2026-11-24T15:50:00+00:00", datetime(2026, 11, 24, 15, 50, tzinfo=UTC)),
        ("2024-02-29T23:59:59.5Z", datetime(2024, 2, 29, 23, 59, 59, 500_000, tzinfo=UTC)),
        ("9999-12-31T23:59:59Z", datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)),
    ],
)
def test_times_in_utc_are_read(text: str, value: datetime) -> None:
    """RFC 3339 in UTC is read, with fractions of a second or without."""
    read = parse_time(text, "daena.first-due")
    assert (read, read.tzinfo) == (value, UTC)


@pytest.mark.parametrize(
    "text",
    [
        *("", "2026-11-24", "2026-11-24T15:50", "2026-11-24T15:50:00", "2026-11-24 15:50:00Z"),
        *("2026-11-24T15:50:00+01:00", "2026-11-24T15:50:00z", "2026-11-24T15:50:00Z\n", "true"),
        *("20261124T155000Z", "\u0662\u0660\u0662\u0666-11-24T15:50:00Z", "2026-11-24T15:50:00.Z"),
    ],
)
def test_anything_else_is_no_time(text: str) -> None:
    """A time in another form or zone is refused with the form that is allowed."""
    with pytest.raises(ConfigError) as refused:
        parse_time(text, "daena.first-due")
    assert refused.value.what == f"daena.first-due is {text!r}, which is not a time in UTC"
    assert refused.value.todo == NO_TIME


@pytest.mark.parametrize(
    "text",
    [
        "2026-02-29T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-01-01T24:01:00Z",
        "0000-01-01T00:00:00Z",
    ],
)
def test_a_day_that_is_not_is_refused(text: str) -> None:
    """The form alone is not enough: the day and the hour must exist."""
    with pytest.raises(ConfigError, match="there is no such date or time") as refused:
        parse_time(text, "daena.hold")
    assert refused.value.todo == NO_TIME


@given(st.datetimes(min_value=datetime(1000, 1, 1), timezones=st.just(UTC)))
def test_a_time_that_is_written_is_read_back(value: datetime) -> None:
    """Every time that can be written reads as the same time."""
    assert parse_time(format_time(value), "x") == value


@given(st.text(max_size=30) | st.from_regex(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", fullmatch=True))
def test_no_text_breaks_the_parser_of_times(text: str) -> None:
    """Arbitrary text is a time in UTC, or our error."""
    try:
        assert parse_time(text, "x").tzinfo is UTC
    except ConfigError as refused:
        assert refused.todo == NO_TIME  # noqa: PT017 - most texts are refused, and some are not


def test_times_are_written_in_utc() -> None:
    """A time of another zone is written as the same moment in UTC."""
    east = datetime(2026, 11, 24, 16, 50, tzinfo=timezone(HOUR))
    assert format_time(east) == "2026-11-24T15:50:00Z"
    assert utc(east, "now") == east
    assert utc(east, "now").tzinfo is UTC


def test_a_time_without_a_zone_is_refused() -> None:
    """Nobody guesses which zone a naive datetime means."""
    with pytest.raises(ConfigError, match=r"^now has no time zone") as refused:
        utc(datetime(2026, 11, 24), "now")
    assert refused.value.todo == "Pass an aware datetime, such as datetime.now(UTC)"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (timedelta(), "under a minute"),
        (timedelta(seconds=59), "under a minute"),
        (timedelta(seconds=60), "1 min"),
        (HOUR - timedelta(seconds=1), "59 min"),
        (HOUR, "1 h"),
        (DAY - timedelta(seconds=1), "23 h"),
        (DAY, "1 d"),
        (92 * DAY + 5 * HOUR, "92 d"),
        (-2 * DAY, "2 d"),
    ],
)
def test_spans_are_told_roughly(value: timedelta, text: str) -> None:
    """People read the largest whole unit, whichever way the span runs."""
    assert about(value) == text
