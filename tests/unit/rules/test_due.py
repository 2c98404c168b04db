"""When a key is due, to the second: by its interval, its first date, or its version's expiry."""

from dataclasses import replace
from datetime import timedelta

import pytest
from daena_kms.errors import KeyNotFound
from daena_kms.rules.due import (
    CLOCK_SKEW,
    NEAR_EXPIRY,
    due_at,
    due_reason,
    needs_detail,
    regular_due,
)
from daena_kms.rules.model import Key, VersionState
from daena_kms.rules.policy import Policy, parse_policy
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.keys import (
    CAN,
    DAY,
    DEFAULTS,
    HOUR,
    NOW,
    SECOND,
    aged,
    at,
    bounded,
    tagged,
    version,
)

INTERVAL = 90 * DAY
TOKEN = {"spec": "token"}


def policy(key: Key) -> Policy:
    """Return the key's policy."""
    return parse_policy(key.tags, DEFAULTS, CAN)


def due(key: Key) -> timedelta:
    """Return when the key is due, from NOW on."""
    return due_at(key, policy(key)) - NOW


def expiring(key: Key, after: timedelta) -> Key:
    """Return the key with a current version that expires so long after NOW."""
    versions = [
        replace(v, expires=NOW + after) if v.state is VersionState.CURRENT else v
        for v in key.versions
    ]
    return replace(key, versions=tuple(versions))


@pytest.mark.parametrize(
    ("age", "tags", "after"),
    [
        (timedelta(), {}, INTERVAL),
        (DAY, {}, 89 * DAY),
        (200 * DAY, {}, -110 * DAY),
        (DAY, {"rotate-after": "12h"}, -12 * HOUR),
        (DAY, {"first-due": at(100 * DAY)}, 100 * DAY),
        (DAY, {"first-due": at(50 * DAY)}, 89 * DAY),
        (200 * DAY, {"first-due": at(DAY)}, DAY),
        (200 * DAY, {"first-due": at(-DAY)}, -DAY),
    ],
)
def test_the_interval_and_the_first_date(
    age: timedelta, tags: dict[str, str], after: timedelta
) -> None:
    """The later of the two: an interval after the version was made, and the first date."""
    key = aged(age, tags)
    assert due(key) == after
    assert regular_due(NOW - age, policy(key)) == NOW + after


@pytest.mark.parametrize(
    ("age", "expires", "after"),
    [
        # It lives as long as the interval, or longer: its expiry says nothing of its own.
        (DAY, 89 * DAY, 89 * DAY),
        (DAY, 89 * DAY - CLOCK_SKEW, 89 * DAY),
        (DAY, 400 * DAY, 89 * DAY),
        # It would expire before: due when Key Vault's event comes.
        (DAY, 89 * DAY - CLOCK_SKEW - SECOND, 59 * DAY - CLOCK_SKEW - SECOND),
        (DAY, 70 * DAY, 40 * DAY),
        (30 * DAY, 30 * DAY, timedelta()),
        # A short life is half over by then.
        (10 * DAY, 20 * DAY, 5 * DAY),
        (HOUR, HOUR, timedelta()),
        # What has expired, or never lived, is due at once.
        (80 * DAY, -DAY, -DAY - NEAR_EXPIRY),
        (DAY, -DAY, -DAY),
        (DAY, -2 * DAY, -2 * DAY),
    ],
)
def test_a_version_that_expires_before_it_is_due(
    age: timedelta, expires: timedelta, after: timedelta
) -> None:
    """It is due thirty days before its end, or at half of its life, whichever is later."""
    assert due(expiring(aged(age), expires)) == after


def test_a_key_that_was_late_and_expires_is_due_since_the_earlier() -> None:
    """An expiry never makes a key due later than its interval does."""
    assert due(expiring(aged(200 * DAY), timedelta())) == -110 * DAY - timedelta()


@given(st.integers(0, 400 * 24), st.none() | st.integers(-400 * 24, 4000 * 24), st.booleans())
def test_an_expiry_brings_the_due_time_forward_only(
    age: int,
    expires: int | None,
    first: bool,
) -> None:
    """It is never later than without an expiry, and after the expiry only if first-due is."""
    key = aged(age * HOUR, {"first-due": at(-DAY)} if first else {})
    plain = due(key)
    if expires is None:
        assert due(key) == plain
        return
    found = due(expiring(key, expires * HOUR))
    assert found <= plain
    assert first or found <= expires * HOUR or expires * HOUR >= plain - CLOCK_SKEW
    assert not first or found >= -DAY


def test_without_a_current_version() -> None:
    """There is no age to count from."""
    key = tagged({}, version(DAY, VersionState.PREVIOUS, superseded=HOUR))
    with pytest.raises(KeyNotFound, match="no current version"):
        due_at(key, policy(key))
    assert not needs_detail(key, DEFAULTS, CAN, NOW)


@pytest.mark.parametrize(
    ("since", "tags", "needed"),
    [
        (-7 * DAY, TOKEN, True),
        (-7 * DAY + SECOND, TOKEN, False),
        (-90 * DAY, TOKEN, True),
        (-90 * DAY, {}, False),
        (-90 * DAY, {"grace": "30d"}, True),
        (-20 * DAY, {"grace": "30d"}, False),
        (-90 * DAY, {"grace": "never"}, False),
        (-90 * DAY, {"grace": "soon"}, False),
        (None, TOKEN, False),
    ],
)
def test_older_versions_that_a_listing_does_not_show(
    since: timedelta | None,
    tags: dict[str, str],
    needed: bool,
) -> None:
    """A closer look is taken once their grace is over, and not where they stay for ever."""
    key = replace(aged(DAY, tags), older_since=NOW + since if since is not None else None)
    assert needs_detail(key, DEFAULTS, CAN, NOW) is needed


def test_an_uncertain_age_matters_only_while_it_decides() -> None:
    """Where the earliest and the latest age give one answer, no closer look is taken."""
    table = {30 * DAY: False, 89 * DAY: True, INTERVAL: False, 200 * DAY: False}
    for age, needed in table.items():
        assert needs_detail(bounded(aged(age), 2 * DAY), DEFAULTS, CAN, NOW) is needed
    later = bounded(aged(89 * DAY, {"first-due": at(DAY)}), 2 * DAY)
    assert not needs_detail(later, DEFAULTS, CAN, NOW)
    # Never-ending grace leaves the age to be asked for; an end of grace decides alone.
    both = replace(bounded(aged(89 * DAY), 2 * DAY), older_since=NOW - DAY)
    assert needs_detail(both, DEFAULTS, CAN, NOW)


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        (aged(INTERVAL), "due now: last rotated 90 d ago, rotate-after 90 d"),
        (aged(91 * DAY), "overdue by 1 d: last rotated 91 d ago, rotate-after 90 d"),
        (
            aged(DAY, {"rotate-after": "12h"}),
            "overdue by 12 h: last rotated 1 d ago, rotate-after 12 h",
        ),
        (
            aged(200 * DAY, {"first-due": at(-HOUR)}),
            "overdue by 1 h: first-due 2026-11-24T11:00:00Z reached, rotate-after 90 d",
        ),
        (
            expiring(aged(70 * DAY), 10 * DAY),
            "overdue by 20 d: its version expires at 2026-12-04T12:00:00Z",
        ),
        (
            expiring(aged(91 * DAY), -DAY),
            "overdue by 1 d: last rotated 91 d ago, rotate-after 90 d",
        ),
    ],
    ids=["now", "late", "hours", "the first date", "an expiry", "no expiry of its own"],
)
def test_why_a_key_is_due(key: Key, reason: str) -> None:
    """The interval, the first date or the expiry, whichever decided."""
    assert due_reason(key, policy(key), due_at(key, policy(key)), NOW) == reason


def test_why_a_key_without_a_version_is_due() -> None:
    """Nobody knows its age."""
    key = replace(aged(DAY), versions=())
    shown = due_reason(key, policy(key), NOW, NOW)
    assert shown == "due now: last rotated an unknown time ago, rotate-after 90 d"
