"""A timer fires seconds early or late, and a key with the timer's interval rotates each time."""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from daena_kms.rules.due import due_at, is_due, tolerance
from daena_kms.rules.model import Key
from daena_kms.rules.names import mark, new_version_id
from daena_kms.rules.plan import Kind, lateness_of, plan_key
from daena_kms.rules.policy import parse_policy

from tests.unit.keys import (
    CAN,
    DAY,
    DEFAULTS,
    HOUR,
    MINUTE,
    NOW,
    SECOND,
    aged,
    at,
    tagged,
    version,
)

MICROSECOND = timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("interval", "early"),
    [
        (HOUR, 3 * MINUTE),
        (99 * MINUTE, 297 * SECOND),
        (100 * MINUTE, 5 * MINUTE),
        (101 * MINUTE, 5 * MINUTE),
        (DAY, 5 * MINUTE),
        (90 * DAY, 5 * MINUTE),
        (36_500 * DAY, 5 * MINUTE),
    ],
)
def test_how_early_a_key_counts_as_due(interval: timedelta, early: timedelta) -> None:
    """By a twentieth of its interval, and by five minutes at most."""
    assert tolerance(interval) == early


@pytest.mark.parametrize(
    ("interval", "early"),
    [("1h", 3 * MINUTE), ("2h", 5 * MINUTE), ("24h", 5 * MINUTE), ("90d", 5 * MINUTE)],
)
def test_from_that_moment_on_and_not_before(interval: str, early: timedelta) -> None:
    """A rotation is planned from then on, the due time that is shown stays the exact one."""
    key = aged(timedelta(), {"rotate-after": interval})
    policy = parse_policy(key.tags, DEFAULTS, CAN)
    exact = NOW + policy.rotate_after
    table = {
        exact - early - MICROSECOND: Kind.NOTHING,
        exact - early: Kind.ROTATE,
        exact - MICROSECOND: Kind.ROTATE,
        exact: Kind.ROTATE,
        exact + 400 * DAY: Kind.ROTATE,
    }
    for moment, kind in table.items():
        (action,) = plan_key(key, DEFAULTS, CAN, moment)
        assert (action.kind, action.due) == (kind, exact)
        assert is_due(key, policy, moment) is (kind is Kind.ROTATE)
        assert lateness_of(action, moment) == max(timedelta(), moment - exact)


@pytest.mark.parametrize("first", [timedelta(), MINUTE, 4 * MINUTE, 6 * MINUTE, DAY])
def test_never_before_its_first_time(first: timedelta) -> None:
    """A first due time is a promise, and not a second of it is taken away."""
    key = aged(90 * DAY - 5 * MINUTE, {"first-due": at(first)})
    policy = parse_policy(key.tags, DEFAULTS, CAN)
    assert not is_due(key, policy, NOW + first - MICROSECOND)
    assert is_due(key, policy, NOW + first)


def test_an_expiry_that_makes_a_key_due_does_so_as_early() -> None:
    """The same tolerance counts from the time at which an expiry makes the key due."""
    key = aged(10 * DAY)
    (only,) = key.versions
    key = replace(key, versions=(replace(only, expires=NOW + 20 * DAY),))
    policy = parse_policy(key.tags, DEFAULTS, CAN)
    due = due_at(key, policy)
    assert not is_due(key, policy, due - 5 * MINUTE - MICROSECOND)
    assert is_due(key, policy, due - 5 * MINUTE)


def test_the_reason_says_that_it_comes_early() -> None:
    """Nobody has to wonder why a key rotates before its due time."""
    (action,) = plan_key(aged(DAY - 2 * MINUTE, {"rotate-after": "24h"}), DEFAULTS, CAN, NOW)
    expected = "due in 2 min, which counts as due now: last rotated 23 h ago, rotate-after 1 d"
    assert action.reason == expected


def firings(interval: timedelta, count: int, jitter: timedelta, seed: int) -> Iterator[datetime]:
    """Yield when a timer fires: on its beat, and up to ``jitter`` before or after it."""
    for number in range(1, count + 1):
        yield NOW + number * interval + jitter * (2 * part("timer", seed, number) - 1)


def part(*what: object) -> float:
    """Return a number from 0 to 1 that is different for everything and the same at each run."""
    return int.from_bytes(hashlib.sha256(repr(what).encode()).digest()[:8]) / 2**64


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("interval", "tag", "jitter", "run_takes", "count"),
    [
        (HOUR, "1h", 60 * SECOND, 30 * SECOND, 24 * 90),
        (DAY, "24h", 90 * SECOND, 60 * SECOND, 365),
        (7 * DAY, "7d", 90 * SECOND, 60 * SECOND, 104),
    ],
)
def test_every_firing_of_months_rotates_once(
    interval: timedelta, tag: str, jitter: timedelta, run_takes: timedelta, count: int, seed: int
) -> None:
    """Whether each comes early or late, and although a version is made some time into the run."""
    key = tagged({"rotate-after": tag}, version(timedelta()))
    for fired in firings(interval, count, jitter, seed):
        (action,) = plan_key(key, DEFAULTS, CAN, fired)
        assert action.kind is Kind.ROTATE
        key = rotated(key, fired + run_takes * part("run", seed, fired))
        # The retry of the same firing, and the second look of a run beside it, find nothing.
        assert [a.kind for a in plan_key(key, DEFAULTS, CAN, fired + MINUTE)] == [Kind.NOTHING]


def rotated(key: Key, made: datetime) -> Key:
    """Return the key with a new version that was made then."""
    base = key.current
    assert base is not None
    new = replace(base, id=new_version_id(base.id, made), created=made, base_mark=mark(base.id))
    return replace(key, versions=(new,))
