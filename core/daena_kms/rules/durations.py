"""Durations and times as tags and settings hold them: ``90d``, ``12h``, RFC 3339 in UTC."""

import re
from datetime import UTC, datetime, timedelta

from daena_kms.errors import ConfigError

#: Longer than any cryptoperiod, and short enough that adding it to a time can't overflow.
MAX_DAYS = 36_500

_DURATION = re.compile(r"([0-9]{1,6})([dhm])", re.ASCII)
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|\+00:00)", re.ASCII)


def parse_duration(text: str, name: str, *, minutes: bool = False) -> timedelta:
    """Return the duration written in ``text``: whole days (``90d``) or whole hours (``12h``).

    Args:
        text: The duration.
        name: The tag or variable that holds it, for the message.
        minutes: Whether minutes (``10m``) are allowed, too.

    Raises:
        ConfigError: It is not a duration, or longer than :data:`MAX_DAYS`.
    """
    match = _DURATION.fullmatch(text)
    if match is None or (match[2] == "m" and not minutes):
        msg = f"{name} is {text[:40]!r}, which is not a duration"
        forms = (
            "minutes, hours or days, such as 10m or" if minutes else "days or hours, such as 90d or"
        )
        raise ConfigError(msg, todo=f"Write whole {forms} 12h")
    count, unit = int(match[1]), match[2]
    value = (
        count * {"d": timedelta(days=1), "h": timedelta(hours=1), "m": timedelta(minutes=1)}[unit]
    )
    if value > timedelta(days=MAX_DAYS):
        msg = f"{name} is {text}, which is longer than {MAX_DAYS}d"
        raise ConfigError(msg, todo="Write a shorter duration, or never where that is allowed")
    return value


def format_duration(value: timedelta | None) -> str:
    """Return ``value`` in the form that :func:`parse_duration` reads; ``None`` is ``never``."""
    if value is None:
        return "never"
    hours = int(value.total_seconds() // 3600)
    return f"{hours // 24}d" if hours % 24 == 0 else f"{hours}h"


def parse_time(text: str, name: str) -> datetime:
    """Return the time written in ``text``, RFC 3339 in UTC (``2026-11-24T15:50:00Z``).

    Raises:
        ConfigError: It is not such a time; the message names ``name``.
    """
    todo = "Write RFC 3339 in UTC, such as 2026-11-24T15:50:00Z"
    if _TIME.fullmatch(text) is None:
        msg = f"{name} is {text[:40]!r}, which is not a time in UTC"
        raise ConfigError(msg, todo=todo)
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        msg = f"{name} is {text!r}, but there is no such date or time"
        raise ConfigError(msg, todo=todo) from None


def format_time(value: datetime) -> str:
    """Return ``value`` as RFC 3339 in UTC, with fractions of a second only if it has any."""
    value = value.astimezone(UTC)
    return value.isoformat().replace("+00:00", "Z")


def utc(value: datetime, name: str) -> datetime:
    """Return ``value`` in UTC. Raises :class:`ConfigError` if it has no time zone."""
    if value.tzinfo is None:
        msg = f"{name} has no time zone"
        raise ConfigError(msg, todo="Pass an aware datetime, such as datetime.now(UTC)")
    return value.astimezone(UTC)


def about(value: timedelta) -> str:
    """Return ``value`` roughly, for people: ``2 d``, ``5 h``, ``3 min``, ``under a minute``."""
    seconds = abs(value.total_seconds())
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return "under a minute"
