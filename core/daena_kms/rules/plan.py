"""What to do with each key, and why: a pure function of the listed state, the policy and the time.

Nothing here reads a clock, the environment or a store. The engine plans and writes the plan to the
audit log. Then it looks at each key again, plans that key again from what it saw, and does only
what both plans say.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from daena_kms.errors import (
    ConfigError,
    DaenaKMSError,
    KeyNotFound,
    RotationConflict,
)
from daena_kms.rules.adoption import (
    check_enrollable,
    enrolment_hour,
    first_due_by_tag,
    known_versions,
)
from daena_kms.rules.changeable import check_key, managed, revocable
from daena_kms.rules.crowding import has_room, no_room, warning
from daena_kms.rules.destroying import destroy_note, destroyable
from daena_kms.rules.due import CLOCK_SKEW, due_at, due_reason, is_due
from daena_kms.rules.durations import about, format_duration, format_time
from daena_kms.rules.model import Capabilities, Key, Version, VersionState
from daena_kms.rules.names import mark
from daena_kms.rules.policy import Defaults, Policy

#: The states of versions that may still be readable and are retired when their grace is over.
_OUTDATED = {VersionState.PREVIOUS, VersionState.ABANDONED}
#: Why a key is due whose current version the store has marked.
_UNFINISHED = "its current version is marked as compromised, and no rotation away from it was made"
#: A rotation never promotes a version that it wrote longer ago than this.
_UNDER_WAY = timedelta(hours=1)


class Kind(StrEnum):
    """What a plan says about a key."""

    #: Make a key that carries only our tags a key of ours, without rotating it.
    ENROL = "enrol"
    ROTATE = "rotate"
    #: A rotation of a key after an earlier one was interrupted.
    FINISH = "finish"
    RETIRE = "retire"
    DESTROY = "destroy"
    NOTHING = "nothing"
    HELD = "held"
    #: The key can't be handled as it is; the reason says what to correct.
    FAILING = "failing"


#: The kinds that make a new version current.
ROTATIONS = frozenset({Kind.ROTATE, Kind.FINISH})
#: The kinds that change a store.
CHANGES = ROTATIONS | {Kind.ENROL, Kind.RETIRE, Kind.DESTROY}


class Outcome(StrEnum):
    """What became of an action."""

    DONE = "done"
    SKIPPED = "skipped"
    FAILED = "failed"
    #: Not begun, because the time of the run was over.
    LEFT = "left"
    #: The store did not answer: the change may or may not have taken effect. A later run looks at
    #: the key; until then the action is unresolved.
    UNKNOWN = "unknown"
    #: A later run looked, and the change had not taken effect.
    NOT_DONE = "not-done"
    #: For a week nothing in a store has shown what became of the action, so no run looks any more.
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Action:
    """One thing to do, or the reason why nothing is done."""

    key_id: str
    kind: Kind
    reason: str
    #: The version that was current when this was planned.
    base: str | None = None
    #: The version to retire or destroy.
    version: str | None = None
    #: When the key is or was due.
    due: datetime | None = None
    #: Only for ENROL: the ids of the versions that the key has by then.
    versions: tuple[str, ...] = ()
    #: Only for FAILING and HELD: the error that the key's outcome carries.
    error: DaenaKMSError | None = field(default=None, compare=False)
    #: A rotation away from a compromised version, or the retirement of one.
    compromised: bool = False
    #: The policy that asked for it, for the audit log; ``None`` where nothing is changed.
    policy: Policy | None = field(default=None, compare=False)
    #: What a person should see to before the key can't be rotated any more.
    warning: str | None = field(default=None, compare=False)

    @property
    def revokes(self) -> bool:
        """Whether this retires a compromised version, at once and without grace."""
        return self.compromised and self.kind is Kind.RETIRE


def plan(
    keys: Iterable[Key],
    defaults: Defaults,
    can: Capabilities,
    now: datetime,
    *,
    interrupted: Collection[str] = (),
    named: bool = False,
) -> Iterator[Action]:
    """Yield what to do with each managed key at ``now``, at least one action for each.

    Args:
        keys: The keys, as a listing or closer looks show them.
        defaults: The policy of keys whose tags say nothing.
        can: What the store can do.
        now: The time of the plan, in UTC.
        interrupted: Ids of the keys for which the audit log shows an interrupted rotation.
        named: Plan a rotation of each key, due or not, because somebody named it.
    """
    for key in keys:
        was = key.id in interrupted
        yield from plan_key(key, defaults, can, now, interrupted=was, named=named)


def plan_key(
    key: Key,
    defaults: Defaults,
    can: Capabilities,
    now: datetime,
    *,
    interrupted: bool = False,
    named: bool = False,
    compromised: bool = False,
    pending_revocations: Collection[str] = (),
) -> list[Action]:
    """Return what to do with one key; empty for a key that is not managed and was not named.

    Args:
        key: The key, as a listing or a closer look shows it.
        defaults: The policy of a key whose tags say nothing.
        can: What the store can do.
        now: The time of the plan, in UTC.
        interrupted: Whether a rotation from the current version was interrupted.
        named: Plan a rotation, due or not, because somebody named the key.
        compromised: Also retire the version that is current now, right after its rotation.
        pending_revocations: Ids of further compromised versions that must still be retired, beside
            those that the store itself has marked.
    """
    pending = {v.id for v in key.versions if v.to_revoke}
    if key.enrolled:  # the log alone does not have a secret of others changed
        pending |= {*pending_revocations}
    try:
        if not named and (key.deleted is not None or not managed(key)):
            return []
        policy = check_key(key, defaults, can, emergency=compromised or bool(pending))
        _check_clock(key, now)
    except DaenaKMSError as refused:
        failing = Action(key.id, Kind.FAILING, str(refused), key.current_ref, error=refused)
        # Nothing stops a revocation that is still to do.
        revocations = list(_revocations(key, pending, now)) if revocable(key, now) else []
        return [*revocations, failing]
    if policy.held(now):
        return [_held(key, policy, pending, now)]
    current = key.current
    revocations = list(_revocations(key, pending, now))
    if current is None or not key.enrolled:
        actions = _enrolment(key, policy, now, named=named, compromised=compromised)
        return _with_policy([*revocations, *actions], policy)
    # Whatever leads to a rotation of a version that is to be revoked, it is an emergency rotation.
    leaked = compromised or current.id in pending
    if named:
        why = "asked for by name"
        actions = [
            *revocations,
            *_rotations(key, policy, why, now, interrupted=interrupted, compromised=leaked),
        ]
    else:
        actions = _regular(key, policy, now, revocations, interrupted=interrupted, leaked=leaked)
    return _with_policy(actions, policy)


def _with_policy(actions: Iterable[Action], policy: Policy) -> list[Action]:
    """Return the actions; those that change something name the policy in force."""
    return [replace(a, policy=policy) if a.kind in CHANGES else a for a in actions]


def _regular(
    key: Key,
    policy: Policy,
    now: datetime,
    revocations: list[Action],
    *,
    interrupted: bool,
    leaked: bool,
) -> list[Action]:
    """Return what is to be done with a key that may be changed and was not named.

    A current version that the store has marked is due at once: its emergency rotation did not come
    about. What only the log says of the current version makes no rotation due.
    """
    revoked = {action.version for action in revocations}
    retirements = (a for a in _retirements(key, policy, now) if a.version not in revoked)
    actions = [*_destroys(key, policy, now), *revocations, *retirements]
    due = due_at(key, policy)
    unfinished = key.current is not None and key.current.to_revoke
    if unfinished or is_due(key, policy, now):
        freed = sum(a.kind is Kind.DESTROY for a in actions)
        why = _UNFINISHED if unfinished else due_reason(key, policy, due, now)
        why += destroy_note(key, policy, now, bound_only=True)
        rotations = _rotations(
            key, policy, why, now, interrupted=interrupted, compromised=leaked, freed=freed
        )
        if unfinished and due > now:
            rotations[0] = replace(rotations[0], due=now)
        actions += rotations
    elif key.drift is not None:
        drift = ConfigError(key.drift, key_id=key.id)
        failing = Action(key.id, Kind.FAILING, str(drift), key.current_ref, due=due, error=drift)
        actions.append(failing)
    elif not actions:
        reason = f"next due in {about(due - now)}, at {format_time(due)}"
        if _pending(key) is not None:
            reason += "; an interrupted rotation left a pending version, which is never promoted"
        reason += destroy_note(key, policy, now)
        warned = warning(key, policy)
        reason += f"; {warned}" if warned else ""
        nothing = Action(key.id, Kind.NOTHING, reason, key.current_ref, due=due, warning=warned)
        actions.append(nothing)
    return actions


def _enrolment(
    key: Key, policy: Policy, now: datetime, *, named: bool, compromised: bool
) -> list[Action]:
    """Return what is to be done with a key without a value, or that carries only our tags.

    Such a key is enrolled, and not rotated by the same run, unless its value is compromised.
    """
    current = key.current
    try:
        if current is None:
            todo = "Give it a value or enable it, put it on hold, or delete it"
            msg = key.trouble or "it has no current version"
            raise KeyNotFound(msg, key_id=key.id, todo=todo)
        check_enrollable(key)
    except DaenaKMSError as refused:
        return [Action(key.id, Kind.FAILING, str(refused), key.current_ref, error=refused)]
    why = "asked for by name"
    rotations = _rotations(key, policy, why, now, interrupted=False, compromised=compromised)
    if rotations[0].error is not None:  # no room: enrolling it would not help
        return rotations
    due = first_due_by_tag(key.id, enrolment_hour(now), policy.rotate_after)
    due = due if policy.first_due is None else max(due, policy.first_due)
    reason = f"enrolled by tag; first due at {format_time(due)}"
    if named and not compromised:
        reason += "; not rotated, because it is not enrolled yet: rotate it again to do so now"
    known = known_versions(key)
    enrolment = Action(key.id, Kind.ENROL, reason, key.current_ref, due=due, versions=known)
    return [enrolment, *rotations] if compromised else [enrolment]


def _held(key: Key, policy: Policy, pending: Collection[str], now: datetime) -> Action:
    until = "released" if policy.hold is True else format_time(_time(policy.hold))
    reason = f"on hold until {until}"
    current = key.current
    if current is not None and current.to_revoke:
        reason += f"; its compromised version {current.id} is still current"
    for action in _revocations(key, pending, now):
        reason += f"; its compromised version {action.version} is still readable"
    todo = "Release it first (remove the tag daena.hold)"
    error = RotationConflict(reason, key_id=key.id, todo=todo)
    return Action(key.id, Kind.HELD, reason, key.current_ref, error=error)


def lateness_of(action: Action, now: datetime) -> timedelta:
    """Return by how much the key of ``action`` is overdue; zero if it is not."""
    return max(timedelta(), now - action.due) if action.due is not None else timedelta()


def _rotations(
    key: Key,
    policy: Policy,
    why: str,
    now: datetime,
    *,
    interrupted: bool,
    compromised: bool,
    freed: int = 0,
) -> list[Action]:
    """Return the rotation of the key and, if its current version leaked, that one's retirement."""
    # An emergency rotation may use what ordinary ones leave free.
    spare = freed + (key.reserve if compromised else 0)
    rotation = _rotation(key, policy, why, now, interrupted=interrupted, spare=spare)
    if compromised and key.current is not None:
        return _away_from(key.current, rotation)
    return [rotation]


def _rotation(
    key: Key, policy: Policy, why: str, now: datetime, *, interrupted: bool, spare: int
) -> Action:
    due = due_at(key, policy)
    if not has_room(key, policy, now, spare):
        error = no_room(key, policy)
        return Action(key.id, Kind.FAILING, str(error), key.current_ref, due=due, error=error)
    kind = Kind.ROTATE
    if interrupted or _pending(key) is not None:
        kind = Kind.FINISH
        why = f"an earlier rotation was interrupted; {why}"
    warned = warning(key, policy)
    why = f"{why}; {warned}" if warned else why
    return Action(key.id, kind, why, key.current_ref, due=due, warning=warned)


def _away_from(current: Version, rotation: Action) -> list[Action]:
    """Return the rotation away from a compromised version, then that version's retirement."""
    if rotation.error is not None:
        return [rotation]
    rotation = replace(rotation, reason=f"compromised; {rotation.reason}", compromised=True)
    why = "compromised: retired at once, without grace"
    retirement = Action(
        rotation.key_id, Kind.RETIRE, why, rotation.base, current.id, compromised=True
    )
    return [rotation, retirement]


def _revocations(key: Key, pending: Collection[str], now: datetime) -> Iterator[Action]:
    """Yield the retirements of compromised versions that earlier runs did not complete.

    Skip a version that is current, and one that another run may be promoting right now, whatever
    the store or the log says about it.
    """
    for version in key.versions:
        new = version.state is VersionState.PENDING and now - version.created < _UNDER_WAY
        current = version.state is VersionState.CURRENT
        if version.id in pending and not (current or new or version.over):
            why = "compromised and still readable: its revocation is pending"
            base = key.current_ref
            yield Action(key.id, Kind.RETIRE, why, base, version.id, compromised=True)


def _retirements(key: Key, policy: Policy, now: datetime) -> Iterator[Action]:
    if policy.grace is None:
        return
    for version in key.versions:
        noted = version.state is VersionState.ABANDONED and version.retired is not None
        noted = noted or version.unlabelled  # no name is left that could be taken away
        if version.state in _OUTDATED and version.superseded is not None and not noted:
            over = now - (version.superseded + policy.grace)
            if over >= timedelta():
                was = "abandoned" if version.state is VersionState.ABANDONED else "superseded"
                reason = (
                    f"{was} {about(now - version.superseded)} ago, "
                    f"grace {format_duration(policy.grace)} is over"
                )
                yield Action(key.id, Kind.RETIRE, reason, key.current_ref, version.id)


def _destroys(key: Key, policy: Policy, now: datetime) -> Iterator[Action]:
    for when, version in destroyable(key, policy):
        if now < when or version.retired is None or policy.destroy_after is None:
            return
        reason = (
            f"retired {about(now - version.retired)} ago, "
            f"destroy-after {format_duration(policy.destroy_after)}, keep {policy.keep}"
        )
        yield Action(key.id, Kind.DESTROY, reason, key.current_ref, version.id)


def _check_clock(key: Key, now: datetime) -> None:
    for version in key.versions:
        created = version.created_earliest or version.created
        if created > now + CLOCK_SKEW and version.state is not VersionState.DESTROYED:
            msg = f"its version {version.id} is dated {about(created - now)} in the future"
            todo = "Check the clock of this machine, and of the one that wrote the version"
            raise ConfigError(msg, key_id=key.id, todo=todo)


def _pending(key: Key) -> Version | None:
    """Return a version that an interrupted rotation from the current one left."""
    base_mark = mark(key.current.id if key.current is not None else None)
    pending = (v for v in key.versions if v.state is VersionState.PENDING)
    return next((v for v in pending if v.base_mark in {base_mark, None}), None)


def _time(hold: bool | datetime) -> datetime:  # noqa: FBT001 - the type of the field
    if isinstance(hold, datetime):
        return hold
    msg = "a hold without an end has no time"
    raise TypeError(msg)
