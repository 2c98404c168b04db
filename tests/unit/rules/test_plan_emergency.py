"""What is planned when a value has leaked, and for revocations that are pending."""

from dataclasses import replace

import pytest
from daena_kms.rules.model import Key, Version, VersionState
from daena_kms.rules.plan import Action, Kind, plan_key

from tests.unit.keys import (
    CAN,
    DAY,
    DEFAULTS,
    HOUR,
    MINUTE,
    NOW,
    aged,
    previous,
    retired,
    tagged,
    version,
)

PENDING = "compromised and still readable: its revocation is pending"


def planned(
    key: Key, *revocations: Version, named: bool = False, compromised: bool = False
) -> list[Action]:
    """Return what is planned for a key at NOW."""
    ids = {found.id for found in revocations}
    return plan_key(
        key, DEFAULTS, CAN, NOW, named=named, compromised=compromised, pending_revocations=ids
    )


def kinds(actions: list[Action]) -> list[tuple[Kind, str | None, bool]]:
    """Return what is to be done, with which version, and if that is part of an emergency."""
    return [(a.kind, a.version, a.compromised) for a in actions]


def test_a_leaked_key_is_rotated_and_then_its_old_version_retired() -> None:
    """Both from the same base, whatever the grace; the retirement names the version."""
    key = aged(DAY)
    assert key.current is not None
    rotation, retirement = planned(key, named=True, compromised=True)
    assert (rotation.kind, rotation.compromised, rotation.revokes) == (Kind.ROTATE, True, False)
    assert rotation.reason == "compromised; asked for by name"
    assert retirement.revokes
    assert retirement.version == key.current.id
    assert retirement.base == rotation.base == key.current.ref
    assert retirement.reason == "compromised: retired at once, without grace"


def test_its_version_has_an_id_where_a_listing_has_another_name() -> None:
    """The retirement takes the store's own id, the base what plans name it by."""
    current = replace(version(DAY), alias="name-of-ours")
    rotation, retirement = planned(tagged({}, current), named=True, compromised=True)
    assert (retirement.version, retirement.base) == (current.id, "name-of-ours")
    assert rotation.base == "name-of-ours"


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        (replace(aged(DAY), room=0), Kind.FAILING),
        (tagged({"hold": "true"}), Kind.HELD),
        (tagged({"rotate-after": "x"}), Kind.FAILING),
        (replace(aged(DAY), deleted=NOW), Kind.FAILING),
        (tagged({}, retired(DAY)), Kind.FAILING),
    ],
)
def test_what_can_t_be_rotated_has_nothing_retired(key: Key, kind: Kind) -> None:
    """One action says why, and no other is planned."""
    assert [action.kind for action in planned(key, named=True, compromised=True)] == [kind]


@pytest.mark.parametrize("state", [VersionState.PREVIOUS, VersionState.ABANDONED])
def test_a_pending_revocation_is_done_without_grace(state: VersionState) -> None:
    """A minute after its promotion, and where the grace is never."""
    old, other = replace(previous(HOUR), state=state), previous(2 * HOUR)
    key = tagged({}, version(HOUR), old, other)
    (action,) = planned(key, old)
    assert (action.kind, action.version, action.reason) == (Kind.RETIRE, old.id, PENDING)
    assert action.revokes
    assert key.current is not None
    assert action.base == key.current.ref


def test_a_retirement_that_was_not_noted_is_still_pending() -> None:
    """It was cut off between its two halves."""
    half = replace(retired(DAY), retired=None)
    assert kinds(planned(tagged({}, version(HOUR), half), half)) == [
        (Kind.RETIRE, half.id, True),
    ]


@pytest.mark.parametrize("state", [VersionState.RETIRED, VersionState.DESTROYED])
def test_what_is_done_is_no_longer_pending(state: VersionState) -> None:
    """Nothing is planned but what is planned anyway."""
    over = replace(retired(DAY), state=state)
    assert [a.kind for a in planned(tagged({}, version(HOUR), over), over)] == [Kind.NOTHING]


def test_what_is_current_again_is_never_retired() -> None:
    """Somebody made it current by hand, or no rotation came about."""
    key = tagged({}, version(HOUR), previous(HOUR))
    assert key.current is not None
    assert [action.kind for action in planned(key, key.current)] == [Kind.NOTHING]


def test_what_may_become_current_now_is_left_alone() -> None:
    """A log that names a version before it was current is wrong; an old one was by hand."""
    new, old = version(MINUTE, VersionState.PENDING), version(HOUR, VersionState.PENDING)
    ahead = version(-MINUTE, VersionState.PENDING)
    key = tagged({}, version(DAY), new, old, ahead)
    assert [a.version for a in planned(key, new, old, ahead) if a.revokes] == [old.id]


def test_no_revocation_is_done_on_a_key_that_is_not_managed() -> None:
    """Whoever took it out of management decides."""
    old = previous(HOUR)
    for tags in ({"daena.managed": "false"}, {}):
        assert planned(replace(tagged({}, version(HOUR), old), tags=tags), old) == []
    assert planned(replace(tagged({}, version(HOUR), old), deleted=NOW), old) == []


def test_a_hold_tells_what_is_readable_still() -> None:
    """It keeps a pending revocation from being done, too; the reason names the version."""
    old, done = previous(HOUR), retired(DAY)
    (action,) = planned(tagged({"hold": "true"}, version(HOUR), old, done), old, done)
    assert (action.kind, action.reason) == (
        Kind.HELD,
        f"on hold until released; its compromised version {old.id} is still readable",
    )


def test_a_pending_revocation_is_not_planned_twice() -> None:
    """When its grace is over as well, one action is enough; others have theirs."""
    old, other = previous(10 * DAY), previous(9 * DAY)
    key = tagged({"spec": "token"}, version(9 * DAY), old, other)
    assert kinds(planned(key, old)) == [
        (Kind.RETIRE, old.id, True),
        (Kind.RETIRE, other.id, False),
    ]


def test_a_pending_revocation_comes_with_whatever_else_is_planned() -> None:
    """With a rotation that is due, one by name, a further emergency, and a drift."""
    old = previous(91 * DAY)
    key = tagged({}, version(91 * DAY), old)
    assert key.current is not None
    revocation, rotate = (Kind.RETIRE, old.id, True), (Kind.ROTATE, None, False)
    assert kinds(planned(key, old)) == [revocation, rotate]
    assert kinds(planned(key, old, named=True)) == [revocation, rotate]
    assert kinds(planned(key, old, named=True, compromised=True)) == [
        revocation,
        (Kind.ROTATE, None, True),
        (Kind.RETIRE, key.current.id, True),
    ]
    fresh = replace(tagged({}, version(HOUR), old), drift="an alias is gone")
    assert kinds(planned(fresh, old)) == [revocation, (Kind.FAILING, None, False)]
