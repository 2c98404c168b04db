"""What is planned for each key: tables of the boundaries, and the words of the reasons."""

from dataclasses import replace
from datetime import timedelta

import pytest
from daena_kms.errors import ConfigError, InvalidKeyId, KeyNotFound, NotManaged, RotationConflict
from daena_kms.rules.model import Key, VersionState
from daena_kms.rules.plan import Action, Kind, plan_key
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
    previous,
    retired,
    tagged,
    version,
)

INTERVAL = 90 * DAY
TOKEN = {"spec": "token"}
ERASED = {"spec": "token", "destroy-after": "30d"}


def planned(key: Key, *, interrupted: bool = False, named: bool = False) -> list[Action]:
    """Return the plan of one key at NOW."""
    return plan_key(key, DEFAULTS, CAN, NOW, interrupted=interrupted, named=named)


def one(key: Key, *, interrupted: bool = False, named: bool = False) -> Action:
    """Return the only action that is planned for a key."""
    (action,) = planned(key, interrupted=interrupted, named=named)
    return action


@pytest.mark.parametrize(
    ("age", "kind", "reason"),
    [
        (
            *(INTERVAL - 5 * MINUTE - SECOND, Kind.NOTHING),
            "next due in 5 min, at 2026-11-24T12:05:01Z",
        ),
        (
            *(INTERVAL - 5 * MINUTE, Kind.ROTATE),
            "due in 5 min, which counts as due now: last rotated 89 d ago, rotate-after 90 d",
        ),
        (INTERVAL, Kind.ROTATE, "due now: last rotated 90 d ago, rotate-after 90 d"),
        (
            *(INTERVAL + SECOND, Kind.ROTATE),
            "overdue by under a minute: last rotated 90 d ago, rotate-after 90 d",
        ),
        (92 * DAY, Kind.ROTATE, "overdue by 2 d: last rotated 92 d ago, rotate-after 90 d"),
        (900 * DAY, Kind.ROTATE, "overdue by 810 d: last rotated 900 d ago, rotate-after 90 d"),
        (DAY, Kind.NOTHING, "next due in 89 d, at 2027-02-21T12:00:00Z"),
        (-5 * MINUTE, Kind.NOTHING, "next due in 90 d, at 2027-02-22T12:05:00Z"),
    ],
)
def test_a_key_is_due_when_its_interval_is_over(age: timedelta, kind: Kind, reason: str) -> None:
    """Five minutes before it counts as due, and a second earlier nothing is done."""
    key = aged(age)
    action = one(key)
    assert (action.kind, action.reason) == (kind, reason)
    assert (action.key_id, action.version, action.error) == ("k", None, None)
    assert (action.base, action.due) == (key.versions[0].id, NOW - age + INTERVAL)


def test_the_interval_is_told_in_its_own_unit() -> None:
    """A policy in hours is explained in hours."""
    action = one(aged(37 * HOUR, {"rotate-after": "36h"}))
    assert action.reason == "overdue by 1 h: last rotated 1 d ago, rotate-after 36 h"


@pytest.mark.parametrize(
    ("age", "first", "kind", "reason"),
    [
        (
            *(92 * DAY, SECOND, Kind.NOTHING),
            "next due in under a minute, at 2026-11-24T12:00:01Z",
        ),
        (
            *(92 * DAY, timedelta(), Kind.ROTATE),
            "due now: first-due 2026-11-24T12:00:00Z reached, rotate-after 90 d",
        ),
        (
            *(92 * DAY, -SECOND, Kind.ROTATE),
            "overdue by under a minute: first-due 2026-11-24T11:59:59Z reached, rotate-after 90 d",
        ),
        (
            *(92 * DAY, -3 * DAY, Kind.ROTATE),
            "overdue by 2 d: last rotated 92 d ago, rotate-after 90 d",
        ),
        (DAY, -DAY, Kind.NOTHING, "next due in 89 d, at 2027-02-21T12:00:00Z"),
        (DAY, 400 * DAY, Kind.NOTHING, "next due in 400 d, at 2027-12-29T12:00:00Z"),
    ],
)
def test_a_key_is_not_due_before_its_first_time(
    age: timedelta, first: timedelta, kind: Kind, reason: str
) -> None:
    """First-due holds a rotation back until that second, and never brings one forward."""
    action = one(aged(age, {"first-due": at(first)}))
    assert (action.kind, action.reason) == (kind, reason)
    assert action.due == max(NOW + first, NOW - age + INTERVAL)


@pytest.mark.parametrize(
    ("superseded", "kinds"),
    [
        (7 * DAY - SECOND, [Kind.NOTHING]),
        (7 * DAY, [Kind.RETIRE]),
        (7 * DAY + SECOND, [Kind.RETIRE]),
    ],
)
def test_grace_counts_from_the_promotion_of_the_next(
    superseded: timedelta, kinds: list[Kind]
) -> None:
    """A version made long ago is retired when its successor has been current for the grace."""
    old = previous(superseded)
    actions = planned(tagged(TOKEN, version(DAY), old))
    assert [a.kind for a in actions] == kinds
    if kinds == [Kind.RETIRE]:
        assert actions[0].version == old.id
        assert actions[0].reason == "superseded 7 d ago, grace 7d is over"


@pytest.mark.parametrize("spec", ["aes-256", "hmac-512", "ed25519", "rsa-3072"])
def test_what_encrypts_is_never_retired_by_default(spec: str) -> None:
    """However long ago it was superseded, a version that data may need stays readable."""
    key = tagged({"spec": spec}, version(DAY), previous(5000 * DAY), retired(5000 * DAY))
    assert one(key).kind is Kind.NOTHING


def test_a_version_whose_end_is_unknown_stays() -> None:
    """Where no store and no listing says when a version was superseded, its grace is not over."""
    unknown = version(900 * DAY, VersionState.PREVIOUS)
    assert one(tagged(TOKEN, version(DAY), unknown)).kind is Kind.NOTHING


@pytest.mark.parametrize(
    ("ago", "kind"),
    [(30 * DAY - SECOND, Kind.NOTHING), (30 * DAY, Kind.DESTROY), (31 * DAY, Kind.DESTROY)],
)
def test_destruction_counts_from_retirement(ago: timedelta, kind: Kind) -> None:
    """A version is destroyed once it has been retired for destroy-after, not a second before."""
    spare = retired(ago)
    action = one(tagged(ERASED, version(DAY), previous(DAY), spare))
    assert action.kind is kind
    if kind is Kind.DESTROY:
        assert action.version == spare.id
        assert action.reason.endswith("destroy-after 30d, keep 2")
        assert action.reason.startswith("retired 3")


@pytest.mark.parametrize(("keep", "destroyed"), [("2", 3), ("3", 2), ("4", 1), ("5", 0), ("6", 0)])
def test_keep_counts_every_version_that_is_not_destroyed(keep: str, destroyed: int) -> None:
    """The current version and the previous ones count; the longest retired goes first."""
    old = [retired(days * DAY) for days in (40, 60, 50)]
    gone = version(300 * DAY, VersionState.DESTROYED, retired=200 * DAY)
    lost = version(300 * DAY, VersionState.ABANDONED)
    key = tagged(ERASED | {"keep": keep}, version(DAY), previous(DAY), *old, gone, lost)
    actions = [a for a in planned(key) if a.kind is Kind.DESTROY]
    assert [a.version for a in actions] == [old[i].id for i in (1, 2, 0)][:destroyed]


def test_one_retired_too_late_does_not_hide_behind_another() -> None:
    """Of two retired versions only the one whose time has come is destroyed."""
    due, later = retired(31 * DAY), retired(29 * DAY)
    key = tagged(ERASED, version(DAY), previous(DAY), later, due)
    assert [a.version for a in planned(key)] == [due.id]


def test_a_due_key_is_cleared_and_rotated_in_one_plan() -> None:
    """Destruction, retirement and rotation are planned together, each once."""
    key = tagged(ERASED, version(91 * DAY), previous(8 * DAY), retired(31 * DAY))
    kinds = [a.kind for a in planned(key)]
    assert kinds == [Kind.DESTROY, Kind.RETIRE, Kind.ROTATE]


@pytest.mark.parametrize(
    ("hold", "reason"),
    [
        ("true", "on hold until released"),
        (at(SECOND), "on hold until 2026-11-24T12:00:01Z"),
        (at(40 * DAY), "on hold until 2027-01-03T12:00:00Z"),
    ],
)
def test_a_held_key_is_left_alone(hold: str, reason: str) -> None:
    """Nothing is done to it, not even by name; the reason says until when."""
    key = tagged(ERASED | {"hold": hold}, version(91 * DAY), previous(8 * DAY), retired(31 * DAY))
    for action in (one(key), one(key, named=True), one(key, interrupted=True)):
        assert (action.kind, action.reason, action.base) == (Kind.HELD, reason, key.versions[0].id)
        assert isinstance(action.error, RotationConflict)
        todo = "Release it first (remove the tag daena.hold)"
        assert str(action.error) == f"key 'k': {reason}. {todo}"


@pytest.mark.parametrize("tags", [{}, {MANAGED: "false"}, {"daena.hold": "true"}, {"x": "y"}])
def test_a_key_that_is_not_managed_is_no_business_of_ours(tags: dict[str, str]) -> None:
    """Nothing is planned for it, and by name it is refused."""
    key = replace(aged(91 * DAY), tags=tags)
    assert planned(key) == []
    refused = one(key, named=True)
    assert refused.kind is Kind.FAILING
    assert isinstance(refused.error, NotManaged)
    assert refused.reason == (
        "key 'k': it does not carry daena.managed=true. "
        "Enrol it with adopt, or leave it to whoever rotates it now"
    )


def _from_the_future(skew: timedelta) -> Key:
    return tagged({}, version(DAY), version(-skew, VersionState.PENDING))


REFUSED: list[tuple[Key, type[Exception], str]] = [
    (
        *(replace(aged(DAY), tags={MANAGED: "True"}), ConfigError),
        "key 'k': daena.managed is 'True'. Write true or false",
    ),
    (
        *(aged(DAY, {"rotate-after": "90"}), ConfigError),
        (
            "key 'k': daena.rotate-after is '90', which is not a duration. "
            "Write whole days or hours, such as 90d or 12h"
        ),
    ),
    (
        *(replace(aged(DAY), owner="Secrets Manager rotation"), NotManaged),
        (
            "key 'k': Secrets Manager rotation rotates it. "
            "Switch that rotation off, or remove the tag daena.managed"
        ),
    ),
    (
        *(tagged({}, version(DAY, VersionState.PENDING)), KeyNotFound),
        (
            "key 'k': it has no current version. "
            "Give it a value or enable it, put it on hold, or delete it"
        ),
    ),
    (
        *(replace(aged(91 * DAY), room=0), ConfigError),
        (
            "key 'k': the store has no room for one more readable version. If no data needs the "
            "older versions, set daena.grace and daena.destroy-after; otherwise re-encrypt that "
            "data first"
        ),
    ),
    (
        *(replace(aged(DAY), id="Not/Ours"), InvalidKeyId),
        (
            "'Not/Ours' is not a key id. Use 1 to 100 lower-case letters, digits and hyphens, "
            "beginning with a letter and not ending with a hyphen"
        ),
    ),
]


@pytest.mark.parametrize(("key", "kind", "text"), REFUSED, ids=[r[2][:40] for r in REFUSED])
def test_a_key_that_can_not_be_handled_fails_with_its_reason(
    key: Key, kind: type[Exception], text: str
) -> None:
    """The plan says which key, what is wrong with it and what to do, and carries the error."""
    action = one(key)
    assert (action.kind, action.reason) == (Kind.FAILING, text)
    assert type(action.error) is kind
    assert str(action.error) == text


def test_a_deleted_key_is_not_planned() -> None:
    """Nothing is planned for it; by name it is refused with the day and what to do."""
    key = replace(aged(91 * DAY), deleted=NOW - DAY)
    assert planned(key) == []
    refused = one(key, named=True)
    assert isinstance(refused.error, KeyNotFound)
    assert refused.reason == "key 'k': it was deleted at 2026-11-23T12:00:00Z. Restore it first"


@pytest.mark.parametrize("state", [s for s in VersionState if s is not VersionState.CURRENT])
@pytest.mark.parametrize(("skew", "believed"), [(5 * MINUTE, True), (5 * MINUTE + SECOND, False)])
def test_a_version_from_the_future_is_an_error(
    state: VersionState,
    skew: timedelta,
    believed: bool,
) -> None:
    """Clocks may differ by five minutes; beyond, no age of that key is believed."""
    future = version(-skew, state)
    action = planned(tagged({}, version(91 * DAY), future))[-1]
    if believed or state is VersionState.DESTROYED:
        assert action.kind in {Kind.ROTATE, Kind.FINISH}
    else:
        assert action.kind is Kind.FAILING
        assert action.reason == (
            f"key 'k': its version {future.id} is dated 5 min in the future. "
            "Check the clock of this machine, and of the one that wrote the version"
        )
