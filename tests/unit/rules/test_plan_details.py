"""What is planned where a rotation was interrupted, room is short, or an age is uncertain."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from daena_kms.rules.due import needs_detail
from daena_kms.rules.model import Key, Version, VersionState
from daena_kms.rules.names import mark
from daena_kms.rules.plan import Action, Kind, lateness_of, plan, plan_key
from daena_kms.rules.policy import MANAGED

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
    bounded,
    previous,
    retired,
    tagged,
    version,
)

INTERVAL = 90 * DAY
#: The age at which a key counts as due.
EARLIEST = INTERVAL - 5 * MINUTE
ERASED = {"spec": "token", "destroy-after": "30d"}
DUE = "overdue by 1 d: last rotated 91 d ago, rotate-after 90 d"
LEFT_OVER = "; an interrupted rotation left a pending version, which is never promoted"


def one(key: Key, *, interrupted: bool = False, named: bool = False) -> Action:
    """Return the only action that is planned for a key at NOW."""
    (action,) = plan_key(key, DEFAULTS, CAN, NOW, interrupted=interrupted, named=named)
    return action


def pending(base_mark: str | None) -> Version:
    """Return what a rotation from a version of that id left an hour ago."""
    return version(HOUR, VersionState.PENDING, base_mark=base_mark)


def test_an_interrupted_rotation_is_finished() -> None:
    """A pending version from this base, or one of unknown base, or the log's word, says so."""
    current = version(91 * DAY)
    finish = f"an earlier rotation was interrupted; {DUE}"
    for left in (pending(mark(current.id)), pending(None)):
        action = one(tagged({}, current, left))
        assert (action.kind, action.reason, action.base) == (Kind.FINISH, finish, current.id)
        assert action.version is None
    action = one(tagged({}, current), interrupted=True)
    assert (action.kind, action.reason) == (Kind.FINISH, finish)


@pytest.mark.parametrize("state", [VersionState.PENDING, VersionState.ABANDONED])
def test_what_a_loser_left_says_nothing_of_this_rotation(state: VersionState) -> None:
    """A version made from another base, or given up, does not make a rotation a finished one."""
    current = version(91 * DAY)
    base_mark = "0123456789" if state is VersionState.PENDING else mark(current.id)
    action = one(tagged({}, current, version(HOUR, state, base_mark=base_mark)))
    assert (action.kind, action.reason) == (Kind.ROTATE, DUE)


def test_a_key_that_is_not_due_is_not_finished() -> None:
    """A pending version alone makes no key due; the plan says that it is never promoted."""
    current = version(DAY)
    nothing = one(tagged({}, current, pending(mark(current.id))))
    assert nothing.kind is Kind.NOTHING
    assert nothing.reason == "next due in 89 d, at 2027-02-21T12:00:00Z" + LEFT_OVER
    assert LEFT_OVER not in one(tagged({}, current, pending("0123456789"))).reason


def test_a_key_asked_for_by_name_is_rotated_due_or_not() -> None:
    """By name a key is rotated once, and nothing else is done to it."""
    key = tagged(ERASED, version(DAY), previous(8 * DAY), retired(31 * DAY))
    action = one(key, named=True)
    assert (action.kind, action.reason) == (Kind.ROTATE, "asked for by name")
    assert action.due == NOW + 89 * DAY
    finishing = one(key, named=True, interrupted=True)
    assert finishing.kind is Kind.FINISH
    assert finishing.reason == "an earlier rotation was interrupted; asked for by name"


@pytest.mark.parametrize(
    ("room", "destroyable", "kind"),
    [
        (None, False, Kind.ROTATE),
        (1, False, Kind.ROTATE),
        (0, False, Kind.FAILING),
        (-1, False, Kind.FAILING),
        (0, True, Kind.ROTATE),
        (-1, True, Kind.FAILING),
    ],
)
def test_a_rotation_needs_room_for_one_version(
    room: int | None,
    destroyable: bool,
    kind: Kind,
) -> None:
    """Nothing is pushed out: room is what is free, and what the same plan destroys."""
    old = [retired(31 * DAY)] if destroyable else []
    key = replace(tagged(ERASED, version(91 * DAY), previous(DAY), *old), room=room)
    actions = plan_key(key, DEFAULTS, CAN, NOW)
    assert actions[-1].kind is kind
    assert [a.kind for a in actions[:-1]] == [Kind.DESTROY] * destroyable
    assert actions[-1].due == NOW - DAY


def test_the_longest_retired_is_destroyed_first_whenever_it_was_made() -> None:
    """The order is that of retirement: a version made later may have been retired before."""
    older = version(300 * DAY, VersionState.RETIRED, superseded=40 * DAY, retired=33 * DAY)
    newer = version(200 * DAY, VersionState.RETIRED, superseded=50 * DAY, retired=43 * DAY)
    keep = {"keep": "3"}
    key = tagged(ERASED | keep, version(DAY), previous(DAY), older, newer)
    assert [a.version for a in plan_key(key, DEFAULTS, CAN, NOW)] == [newer.id]


def test_a_full_store_does_not_stop_what_makes_room() -> None:
    """A key without room still has its versions retired."""
    key = replace(tagged(ERASED, version(91 * DAY), previous(8 * DAY)), room=0)
    kinds = [a.kind for a in plan_key(key, DEFAULTS, CAN, NOW)]
    assert kinds == [Kind.RETIRE, Kind.FAILING]


def test_room_does_not_matter_before_a_key_is_due() -> None:
    """A full store is no failure as long as nothing is to be written."""
    assert one(replace(aged(DAY), room=0)).kind is Kind.NOTHING


@pytest.mark.parametrize(
    ("latest", "uncertain", "open_question"),
    [
        (EARLIEST, HOUR, False),
        (EARLIEST - SECOND, SECOND, True),
        (EARLIEST - SECOND, HOUR, True),
        (EARLIEST - HOUR, HOUR - SECOND, False),
        (EARLIEST - HOUR, HOUR, True),
        (DAY, DAY, False),
    ],
)
def test_detail_is_needed_only_where_bounds_leave_it_open(
    latest: timedelta,
    uncertain: timedelta,
    open_question: bool,
) -> None:
    """A key is looked at closer only if the earliest age is due and the latest is not."""
    key = bounded(aged(latest), uncertain)
    assert needs_detail(key, DEFAULTS, CAN, NOW) is open_question


@pytest.mark.parametrize(("first", "open_question"), [(SECOND, False), (timedelta(), True)])
def test_first_due_may_settle_the_question(
    first: timedelta,
    open_question: bool,
) -> None:
    """Before its first time a key is not due, however old it may be."""
    tags = {"first-due": (NOW + first).isoformat()}
    key = bounded(aged(EARLIEST - SECOND, tags), HOUR)
    assert needs_detail(key, DEFAULTS, CAN, NOW) is open_question


def test_no_detail_is_needed_where_none_helps() -> None:
    """Exact ages, keys without a current version, and malformed policies need no closer look."""
    assert not needs_detail(aged(EARLIEST - SECOND), DEFAULTS, CAN, NOW)
    nobody = tagged({}, version(INTERVAL, VersionState.PENDING))
    assert not needs_detail(nobody, DEFAULTS, CAN, NOW)
    malformed = bounded(aged(EARLIEST - SECOND, {"keep": "x"}), HOUR)
    assert not needs_detail(malformed, DEFAULTS, CAN, NOW)


def test_an_uncertain_age_counts_from_the_latest_moment() -> None:
    """A key that may or may not be due is not rotated on a guess."""
    assert one(bounded(aged(EARLIEST - SECOND), HOUR)).kind is Kind.NOTHING


def test_an_uncertain_version_is_not_called_one_from_the_future() -> None:
    """A bound that lies ahead says nothing, if the version may have been made before."""
    assert one(bounded(aged(-HOUR), 2 * HOUR)).kind is Kind.NOTHING
    assert one(bounded(aged(-HOUR), HOUR - 6 * MINUTE)).kind is Kind.FAILING


def test_a_plan_has_an_action_for_each_managed_key_in_order() -> None:
    """Each managed key appears, those that are interrupted are finished, no other appears."""
    foreign = replace(aged(91 * DAY), id="foreign", tags={})
    keys = [replace(aged(age * DAY), id=f"k{age}") for age in (91, 1, 95)]
    actions = list(plan([*keys, foreign], DEFAULTS, CAN, NOW, interrupted={"k95"}))
    assert [(a.key_id, a.kind) for a in actions] == [
        ("k91", Kind.ROTATE),
        ("k1", Kind.NOTHING),
        ("k95", Kind.FINISH),
    ]
    by_name = list(plan([keys[1]], DEFAULTS, CAN, NOW, named=True))
    assert [a.kind for a in by_name] == [Kind.ROTATE]


def test_a_failing_key_does_not_hide_another() -> None:
    """A malformed tag on one key changes nothing for the next."""
    broken = replace(aged(DAY), tags={MANAGED: "yes"})
    kinds = [a.kind for a in plan([broken, aged(91 * DAY)], DEFAULTS, CAN, NOW)]
    assert kinds == [Kind.FAILING, Kind.ROTATE]


@pytest.mark.parametrize(
    ("due", "over"),
    [(None, timedelta()), (NOW + DAY, timedelta()), (NOW, timedelta()), (NOW - DAY, DAY)],
)
def test_overdue_is_never_negative(due: datetime | None, over: timedelta) -> None:
    """How long a key has been due is zero for one that is not."""
    assert lateness_of(Action("k", Kind.NOTHING, "", due=due), NOW) == over


@pytest.mark.parametrize("hold", ["false", at(timedelta()), at(-SECOND)])
def test_a_hold_that_is_over_holds_nothing(hold: str) -> None:
    """From the second that the hold names on, the key is treated as any other."""
    assert one(aged(91 * DAY, {"hold": hold})).kind is Kind.ROTATE
