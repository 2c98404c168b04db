"""Room where a store keeps older versions by their ids alone: who gives way, when, and who is told.

Boundary tables; no store.
"""

from dataclasses import replace
from datetime import timedelta

import pytest
from daena_kms.rules.crowding import WARN_AT, warning
from daena_kms.rules.destroying import destroyable, oldest_previous
from daena_kms.rules.model import Key, Version
from daena_kms.rules.plan import Kind, plan_key
from daena_kms.rules.policy import parse_policy

from tests.unit.keys import CAN, DAY, DEFAULTS, NOW, previous, retired, tagged, version

GRACE = {"grace": "30d"}


def giving(found: Version) -> Version:
    """Return the version as one whose name may go to a newer one."""
    return replace(found, gives_way=True)


def crowded(
    tags: dict[str, str], *older: Version, room: int = 0, more_kept: int | None = 20
) -> Key:
    """Return a key that is due, with older versions."""
    return replace(tagged(tags, version(100 * DAY), *older), room=room, more_kept=more_kept)


@pytest.mark.parametrize(
    ("key", "rotates"),
    [
        (crowded({}), False),
        (crowded({}, previous(DAY)), False),
        (crowded({}, giving(previous(DAY))), True),
        (crowded({}, giving(retired(DAY))), True),
        (crowded({}, giving(previous(DAY)), more_kept=1), True),
        (crowded({}, giving(previous(DAY)), more_kept=0), False),
        # Only a listing was seen: a look right before the change knows better.
        (crowded({}, giving(previous(DAY)), more_kept=None), True),
        (crowded({}, giving(previous(DAY)), room=-1), False),
        (crowded({}, giving(previous(DAY)), giving(previous(DAY * 2)), room=-1), True),
        (crowded({}, room=1, more_kept=0), True),
        # What is in its grace keeps its name, and what is retired in this run gives its own.
        (crowded(GRACE, giving(previous(29 * DAY))), False),
        (crowded(GRACE, giving(previous(30 * DAY))), True),
        (crowded(GRACE, giving(retired(DAY))), True),
        (crowded({"spec": "token"}, giving(previous(DAY))), False),
    ],
)
def test_who_gives_way(key: Key, *, rotates: bool) -> None:
    """The policy says which of the versions may that the store could keep by their ids alone."""
    kinds = [action.kind for action in plan_key(key, DEFAULTS, CAN, NOW)]
    assert (Kind.ROTATE in kinds) is rotates
    assert (Kind.FAILING in kinds) is not rotates


def test_what_the_error_advises() -> None:
    """What helps: to wait for a grace, or at the end of all room another key."""
    waiting = crowded(GRACE, giving(previous(DAY)))
    (in_grace,) = plan_key(waiting, DEFAULTS, CAN, NOW)
    assert "Wait until the grace of the oldest version is over" in in_grace.reason
    (full,) = plan_key(
        crowded({}, giving(previous(DAY)), previous(2 * DAY), more_kept=-1), DEFAULTS, CAN, NOW
    )
    assert "it has 3, and is sure to keep 2" in full.reason
    assert "go on with a new key" in full.reason


@pytest.mark.parametrize(
    ("left", "tags", "told"),
    [
        (WARN_AT + 1, {}, False),
        (WARN_AT, {}, True),
        (1, {}, True),
        (None, {}, False),
        (WARN_AT, {"grace": "30d"}, True),
        # What is destroyed in time needs no more room.
        (WARN_AT, {"grace": "30d", "destroy-after": "30d"}, False),
    ],
)
def test_who_is_told(left: int | None, tags: dict[str, str], *, told: bool) -> None:
    """A plan says it of a key that is due and of one that is not, and marks the action."""
    for age in (DAY, 100 * DAY):
        key = replace(tagged(tags, version(age), previous(DAY)), room=1, more_kept=left)
        (action,) = plan_key(key, DEFAULTS, CAN, NOW)
        assert (action.warning is not None) is told
        assert ("the store is sure to keep" in action.reason) is told


@pytest.mark.parametrize(
    ("ages", "left", "words"),
    [
        ([10, 0], 15, "about 3 are added in 30 days, so there is room for about 150 d"),
        ([40, 30, 20, 10, 0], 5, "about 3 are added in 30 days, so there is room for about 50 d"),
        # Only the last sixteen say how fast it grows.
        ([9000, *range(15, -1, -1)], 5, "about 30 are added in 30 days"),
        ([10, 0], 0, "it has 2 versions, and the store is sure to keep 2; about 3 are added"),
    ],
)
def test_the_rate_at_which_it_grows(ages: list[int], left: int, words: str) -> None:
    """From the dates of the newest versions."""
    versions = [version(timedelta(days=age)) for age in ages]
    key = replace(tagged({}, *versions), room=0, more_kept=left)
    assert words in str(warning(key, parse_policy({}, DEFAULTS, CAN)))


def test_versions_of_one_moment_have_no_rate() -> None:
    """Nor has a single one."""
    for count in (1, 2):
        key = replace(tagged({}, *[version(DAY)] * count), more_kept=3)
        text = str(warning(key, parse_policy({}, DEFAULTS, CAN)))
        assert text.endswith(f"sure to keep {count + 3}")


def test_what_has_no_name_is_past_the_policy() -> None:
    """It is not retired, counts for nothing that is kept, and is no version called previous."""
    unlabelled = replace(previous(300 * DAY), unlabelled=True)
    tags = {"grace": "30d", "destroy-after": "30d", "keep": "2", "spec": "token"}
    key = tagged(tags, version(DAY), unlabelled, retired(300 * DAY))
    policy = parse_policy(key.tags, DEFAULTS, CAN)
    assert [a.kind for a in plan_key(key, DEFAULTS, CAN, NOW)] == [Kind.NOTHING]
    assert list(destroyable(key, policy)) == []
    assert key.previous is None
    assert oldest_previous(key) is None
