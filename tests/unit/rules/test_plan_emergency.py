"""What is planned when a value has leaked, and for revocations that are pending."""

from dataclasses import replace
from typing import Any

import pytest
from daena_kms.rules.due import needs_detail
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
    at,
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


def marked(version: Version, *, revoked: bool = False) -> Version:
    """Return the version with the mark of an emergency."""
    return replace(version, compromised=True, revoked=revoked)


@pytest.mark.parametrize(
    ("found", "is_revoked"),
    [
        (marked(previous(HOUR)), True),
        (marked(replace(previous(HOUR), state=VersionState.ABANDONED)), True),
        (marked(replace(retired(DAY), retired=None)), True),
        (marked(version(2 * HOUR, VersionState.PENDING)), True),
        (marked(version(MINUTE, VersionState.PENDING)), False),
        (marked(retired(DAY)), False),
        (marked(replace(retired(DAY), state=VersionState.DESTROYED)), False),
        (marked(previous(HOUR), revoked=True), False),
        (previous(HOUR), False),
    ],
)
def test_the_store_s_own_mark_is_a_pending_revocation(found: Version, *, is_revoked: bool) -> None:
    """Whatever the log says: once, without grace, and not of what another run may be promoting."""
    key = tagged({}, version(HOUR), found)
    assert key.current is not None
    for named in (False, True):
        actions = [a for a in planned(key, named=named) if a.revokes]
        assert [(a.version, a.base) for a in actions] == [
            (found.id, key.current.ref),
        ] * is_revoked
    twice = [a for a in planned(key, found) if a.revokes]
    assert len(twice) <= 1


@pytest.mark.parametrize("age", [HOUR, 89 * DAY, 90 * DAY, 400 * DAY])
def test_a_current_version_that_is_marked_is_due_at_once(age: object) -> None:
    """The emergency goes on where it stopped: a rotation, then the retirement."""
    current = marked(version(age))  # type: ignore[arg-type] # a time span
    rotation, retirement = planned(tagged({}, current))
    assert (rotation.kind, rotation.compromised, rotation.base) == (
        Kind.ROTATE,
        True,
        current.id,
    )
    assert rotation.due is not None
    assert rotation.due <= NOW
    assert "marked as compromised" in rotation.reason
    assert retirement.revokes
    assert retirement.version == current.id
    named = kinds(planned(tagged({}, current), named=True))
    assert named == [(Kind.ROTATE, None, True), (Kind.RETIRE, current.id, True)]


def test_a_mark_that_led_to_a_revocation_leads_to_none_again() -> None:
    """A person has made the version current: it is like any other."""
    current = marked(version(HOUR), revoked=True)
    assert kinds(planned(tagged({}, current))) == [(Kind.NOTHING, None, False)]
    assert kinds(planned(tagged({}, current), named=True)) == [(Kind.ROTATE, None, False)]


@pytest.mark.parametrize(("age", "due"), [(HOUR, False), (90 * DAY, True)])
def test_the_log_alone_makes_no_rotation_due(age: object, *, due: bool) -> None:
    """But a rotation that is due anyway is an emergency rotation then, retirement and all."""
    key = aged(age)  # type: ignore[arg-type] # a time span
    assert key.current is not None
    found = kinds(planned(key, key.current))
    if due:
        assert found == [(Kind.ROTATE, None, True), (Kind.RETIRE, key.current.id, True)]
    else:
        assert found == [(Kind.NOTHING, None, False)]


@pytest.mark.parametrize("tags", [{"hold": "true"}, {"hold": at(HOUR)}])
def test_a_hold_stops_a_mark(tags: dict[str, str]) -> None:
    """And says what is current or readable meanwhile."""
    current, old = marked(version(HOUR)), marked(previous(HOUR))
    (action,) = planned(tagged(tags, current, old))
    assert action.kind is Kind.HELD
    assert f"its compromised version {current.id} is still current" in action.reason
    assert f"its compromised version {old.id} is still readable" in action.reason


@pytest.mark.parametrize(
    ("room", "reserve", "possible"),
    [(1, 0, True), (0, 1, True), (0, 0, False), (-1, 2, True), (-1, 1, False), (None, 0, True)],
)
def test_an_emergency_may_use_the_reserve(
    room: int | None, reserve: int, *, possible: bool
) -> None:
    """An ordinary rotation may not; without room nothing is retired either."""
    ordinary = replace(aged(100 * DAY), room=room, reserve=reserve)
    leaked = replace(tagged({}, marked(version(DAY))), room=room, reserve=reserve)
    for found in (planned(ordinary, named=True, compromised=True), planned(leaked)):
        wanted = [Kind.ROTATE, Kind.RETIRE] if possible else [Kind.FAILING]
        assert [a.kind for a in found] == wanted
    has_room = room is None or room > 0
    kind = Kind.ROTATE if has_room else Kind.FAILING
    assert [a.kind for a in planned(ordinary)] == [kind]


@pytest.mark.parametrize(
    ("key", "closer"),
    [
        (tagged({}, version(HOUR), previous(HOUR)), False),
        (tagged({}, version(HOUR), marked(previous(HOUR))), True),
        (tagged({}, marked(version(HOUR))), True),
        (tagged({}, version(HOUR), marked(previous(HOUR), revoked=True)), False),
        (tagged({}, version(HOUR), marked(retired(HOUR))), False),
        (replace(tagged({}, version(HOUR)), unrevoked=True), True),
        (replace(tagged({"rotate-after": "x"}, version(HOUR)), unrevoked=True), True),
    ],
)
def test_what_is_to_be_revoked_gets_a_closer_look(key: Key, *, closer: bool) -> None:
    """And nothing else does for that."""
    assert needs_detail(key, DEFAULTS, CAN, NOW) is closer


MARKED = replace(previous(10 * DAY), compromised=True)
REFUSED = {"keep": "x", "tpyo": "x", "spec": "password:length=12:classes=digit"}
STOPPING = [
    {"hold": "true"},
    {"hold": "2999-01-01T00:00:00Z"},
    {"hold": "x"},
    {"hold": ""},
    {"managed": "True"},
]


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        *(
            (tagged({tag: text}, version(HOUR), MARKED), Kind.FAILING)
            for tag, text in REFUSED.items()
        ),
        (tagged({"keep": "x", "hold": "2020-01-01T00:00:00Z"}, MARKED), Kind.FAILING),
        (tagged({}, MARKED), Kind.FAILING),
        (tagged({}, version(-6 * MINUTE), MARKED), Kind.FAILING),
        (replace(tagged({"spec": "token"}, version(HOUR), MARKED), enrolled=False), Kind.ENROL),
        (replace(tagged({}, version(HOUR), MARKED), drift="an alias is gone"), Kind.FAILING),
    ],
)
@pytest.mark.parametrize("named", [False, True])
def test_nothing_but_a_hold_stops_a_pending_revocation(
    key: Key, kind: Kind, *, named: bool
) -> None:
    """Whatever else is wrong with the key is reported beside it."""
    actions = planned(key, named=named)
    assert (Kind.RETIRE, MARKED.id, True) in kinds(actions)
    if not (named and key.drift):
        assert actions[-1].kind is kind


@pytest.mark.parametrize("stop", STOPPING, ids=str)
@pytest.mark.parametrize("wrong", [{}, {"keep": "x"}], ids=str)
def test_a_hold_stops_it_whatever_else_is_wrong(
    stop: dict[str, str], wrong: dict[str, str]
) -> None:
    """Also one that can't be read, and a tag that does not say that the key is managed."""
    actions = planned(tagged({**stop, **wrong}, version(HOUR), MARKED))
    assert not any(action.revokes for action in actions)


@pytest.mark.parametrize(
    "change", [{"owner": "somebody"}, {"deleted": NOW}, {"id": "no id"}], ids=str
)
def test_a_refused_key_of_others_is_left_alone(change: dict[str, Any]) -> None:
    """Another rotation owns it, it is deleted, or no key of ours has such a name."""
    key = replace(tagged({"keep": "x"}, version(HOUR), MARKED), **change)
    assert not any(action.revokes for action in planned(key, named=True))
