"""What holds for the plan of every key that a store could show."""

from dataclasses import replace
from datetime import timedelta

from daena_kms.rules.due import needs_detail
from daena_kms.rules.model import Key, Version, VersionState
from daena_kms.rules.plan import CHANGES, Kind, plan_key
from daena_kms.rules.policy import MANAGED, TAGS, parse_policy
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.keys import CAN, DAY, DEFAULTS, HOUR, MINUTE, NOW, tagged, version

ROTATIONS = {Kind.ROTATE, Kind.FINISH}
AGES = st.integers(0, 400 * 24 * 60).map(lambda minutes: timedelta(minutes=minutes))
DURATIONS = st.sampled_from(["1d", "7d", "25h", "90d", "400d"])


@st.composite
def _versions(draw: st.DrawFn) -> Version:
    state = draw(st.sampled_from([s for s in VersionState if s is not VersionState.CURRENT]))
    age = draw(AGES)
    superseded = draw(st.none() | AGES.filter(lambda ago: ago <= age)) if age else None
    known = superseded is not None and state in {VersionState.RETIRED, VersionState.DESTROYED}
    ago = draw(AGES.map(lambda a: min(a, superseded or a))) if known else None
    return version(age, state, superseded=superseded, retired=ago)


@st.composite
def keys(draw: st.DrawFn, *, grace: st.SearchStrategy[str] = DURATIONS) -> Key:
    """Return a managed key of a well-formed policy, with versions of every state."""
    tags = draw(
        st.fixed_dictionaries(
            {"spec": st.sampled_from(["token", "aes-256"]), "grace": grace},
            optional={
                "rotate-after": st.sampled_from(["1h", "1d", "90d", "399d"]),
                "keep": st.integers(2, 6).map(str),
                "first-due": AGES.map(lambda age: (NOW - 200 * DAY + age).isoformat()),
            },
        )
    )
    if tags["grace"] != "never" and draw(st.booleans()):
        tags["destroy-after"] = draw(DURATIONS)
    versions = draw(st.lists(_versions(), max_size=6))
    room = draw(st.none() | st.integers(0, 2))
    return replace(tagged(tags, version(draw(AGES)), *versions), room=room)


@given(keys(), st.booleans(), st.booleans())
def test_a_plan_is_a_function_of_its_arguments(key: Key, interrupted: bool, named: bool) -> None:
    """The same state, policy and time give the same plan, and leave the key as it was."""
    before = replace(key, tags=dict(key.tags))
    first, again = (
        plan_key(key, DEFAULTS, CAN, NOW, interrupted=interrupted, named=named) for _ in range(2)
    )
    assert first == again
    assert key == before


@given(keys(), st.sampled_from(["true", (NOW + MINUTE).isoformat()]), st.booleans())
def test_a_held_key_is_never_changed(key: Key, hold: str, named: bool) -> None:
    """No plan changes a key on hold."""
    held = replace(key, tags={**key.tags, "daena.hold": hold})
    plan = plan_key(held, DEFAULTS, CAN, NOW, named=named)
    assert [a.kind for a in plan] == [Kind.HELD]


@given(keys(), st.dictionaries(st.sampled_from(TAGS), st.text(max_size=8)), st.booleans())
def test_a_key_that_is_not_managed_is_never_changed(
    key: Key,
    tags: dict[str, str],
    named: bool,
) -> None:
    """Whatever its tags are: unless one of them enrols it, no plan changes a key."""
    foreign = replace(key, tags={**key.tags, MANAGED: "false"} | tags)
    kinds = {a.kind for a in plan_key(foreign, DEFAULTS, CAN, NOW, named=named)}
    assert foreign.tags[MANAGED] == "true" or not kinds & CHANGES


@given(keys(grace=st.just("never")), st.booleans())
def test_without_an_end_of_grace_nothing_is_retired_or_destroyed(
    key: Key,
    interrupted: bool,
) -> None:
    """Grace never means that every version stays as it is."""
    kinds = {a.kind for a in plan_key(key, DEFAULTS, CAN, NOW, interrupted=interrupted)}
    assert not kinds & {Kind.RETIRE, Kind.DESTROY}


@given(keys(), st.booleans())
def test_a_due_key_is_rotated_exactly_once(key: Key, interrupted: bool) -> None:
    """A key that is due, and no other, has one rotation in its plan, or the reason why it fails."""
    policy = parse_policy(key.tags, DEFAULTS, CAN)
    assert key.current is not None
    early = min(policy.rotate_after / 20, 5 * MINUTE)
    due = key.current.created + policy.rotate_after <= NOW + early and (
        policy.first_due is None or policy.first_due <= NOW
    )
    actions = plan_key(key, DEFAULTS, CAN, NOW, interrupted=interrupted)
    assert len(actions) >= 1
    rotations = [a for a in actions if a.kind in ROTATIONS | {Kind.FAILING}]
    assert len(rotations) == due
    assert all(a.base == key.current.id for a in actions)
    if interrupted and rotations:
        assert rotations[0].kind in {Kind.FINISH, Kind.FAILING}


@given(keys())
def test_only_what_is_over_is_retired_and_destroyed(key: Key) -> None:
    """Each version is retired when its grace is over, and destroyed only if enough are left."""
    policy = parse_policy(key.tags, DEFAULTS, CAN)
    actions = plan_key(key, DEFAULTS, CAN, NOW)
    kept = {VersionState.CURRENT, VersionState.PREVIOUS, VersionState.RETIRED}
    left = sum(v.state in kept for v in key.versions)
    touched = [a.version for a in actions if a.version is not None]
    assert len(set(touched)) == len(touched)
    over = {
        v.id
        for v in key.versions
        if v.state in {VersionState.PREVIOUS, VersionState.ABANDONED}
        and v.superseded is not None
        and policy.grace is not None
        and NOW - v.superseded >= policy.grace
    }
    assert {a.version for a in actions if a.kind is Kind.RETIRE} == over
    destroyed = [key.version(a.version or "") for a in actions if a.kind is Kind.DESTROY]
    for old in destroyed:
        assert old is not None
        assert old.state is VersionState.RETIRED
        assert policy.destroy_after is not None
        assert old.retired is not None
        assert NOW - old.retired >= policy.destroy_after
        assert NOW - (old.superseded or old.retired) >= 7 * DAY
    assert not destroyed or left - len(destroyed) >= policy.keep


@given(keys(), st.integers(0, 48))
def test_a_closer_look_is_taken_only_where_it_can_matter(key: Key, hours: int) -> None:
    """If the earliest and the latest age give one answer, no closer look is asked for."""
    current = key.current
    assert current is not None
    early = replace(current, created=current.created - hours * HOUR, created_earliest=None)
    bounds = replace(current, created_earliest=early.created)
    answers = {
        any(a.due is not None and a.due <= NOW for a in plan_key(k, DEFAULTS, CAN, NOW))
        for k in (key, replace(key, versions=(early, *key.versions[1:])))
    }
    uncertain = replace(key, versions=(bounds, *key.versions[1:]))
    assert needs_detail(uncertain, DEFAULTS, CAN, NOW) is (len(answers) == 2)


@given(st.dictionaries(st.sampled_from([*TAGS, "daena.x"]), st.text(max_size=12)), st.booleans())
def test_no_tags_break_the_plan(tags: dict[str, str], named: bool) -> None:
    """Whatever somebody wrote into a key's tags, its plan is a list of reasons."""
    key = replace(tagged({}, version(91 * DAY)), tags=tags)
    for action in plan_key(key, DEFAULTS, CAN, NOW, named=named):
        assert action.reason
        assert (action.error is not None) is (action.kind in {Kind.FAILING, Kind.HELD})
