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
    NotManaged,
    RotationConflict,
)
from daena_kms.rules.due import CLOCK_SKEW, due_at, due_reason
from daena_kms.rules.durations import about, format_duration, format_time
from daena_kms.rules.model import Capabilities, Key, Version, VersionState
from daena_kms.rules.names import check_key_id, mark
from daena_kms.rules.policy import Defaults, Policy, is_managed, parse_policy

#: The states of versions that may still be readable and are retired when their grace is over.
_OUTDATED = {VersionState.PREVIOUS, VersionState.ABANDONED}
#: Why a key is due whose current version the store has marked.
_UNFINISHED = "its current version is marked as compromised, and no rotation away from it was made"
#: A rotation never promotes a version that it wrote longer ago than this.
_UNDER_WAY = timedelta(hours=1)


class Kind(StrEnum):
    """What a plan says about a key."""

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
CHANGES = ROTATIONS | {Kind.RETIRE, Kind.DESTROY}


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
    #: Only for FAILING and HELD: the error that the key's outcome carries.
    error: DaenaKMSError | None = field(default=None, compare=False)
    #: A rotation away from a compromised version, or the retirement of one.
    compromised: bool = False

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
    pending = {*pending_revocations, *(v.id for v in key.versions if v.to_revoke)}
    try:
        if not named and (key.deleted is not None or not _managed(key)):
            return []
        policy = check_key(key, defaults, can)
        _check_clock(key, now)
    except DaenaKMSError as refused:
        return [Action(key.id, Kind.FAILING, str(refused), key.current_ref, error=refused)]
    if policy.held(now):
        return [_held(key, policy, pending, now)]
    current = key.current
    if current is None:
        todo = "Give it a value or enable it, put it on hold, or delete it"
        msg = key.trouble or "it has no current version"
        missing = KeyNotFound(msg, key_id=key.id, todo=todo)
        return [Action(key.id, Kind.FAILING, str(missing), None, error=missing)]
    revocations = list(_revocations(key, pending, now))
    # Whatever leads to a rotation of a version that is to be revoked, it is an emergency rotation.
    leaked = compromised or current.id in pending
    if named:
        why = "asked for by name"
        return [
            *revocations,
            *_rotations(key, policy, why, interrupted=interrupted, compromised=leaked),
        ]
    return _regular(key, policy, now, revocations, interrupted=interrupted, leaked=leaked)


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
    if now >= due or unfinished:
        freed = sum(a.kind is Kind.DESTROY for a in actions)
        why = _UNFINISHED if unfinished else due_reason(key, policy, due, now)
        rotations = _rotations(
            key, policy, why, interrupted=interrupted, compromised=leaked, freed=freed
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
        actions.append(Action(key.id, Kind.NOTHING, reason, key.current_ref, due=due))
    return actions


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


def check_key(key: Key, defaults: Defaults, can: Capabilities) -> Policy:
    """Return the policy of a key that may be changed, whether it is on hold or not.

    Raises:
        KeyNotFound: The key is deleted.
        NotManaged: The key is not managed, or another rotation owns it.
        ConfigError: A tag of the key is malformed.
        InvalidKeyId: Somebody else gave the key a name that is not a key id.
    """
    if key.deleted is not None:
        msg = f"it was deleted at {format_time(key.deleted)}"
        raise KeyNotFound(msg, key_id=key.id, todo="Restore it first")
    if not _managed(key):
        todo = "Enrol it with adopt, or leave it to whoever rotates it now"
        msg = "it does not carry daena.managed=true"
        raise NotManaged(msg, key_id=key.id, todo=todo)
    check_key_id(key.id)
    try:
        policy = parse_policy(key.tags, defaults, can)
    except ConfigError as error:
        raise ConfigError(error.what, key_id=key.id, todo=error.todo) from error
    if key.owner is not None:
        todo = "Switch that rotation off, or remove the tag daena.managed"
        raise NotManaged(f"{key.owner} rotates it", key_id=key.id, todo=todo)
    return policy


def _managed(key: Key) -> bool:
    try:
        return is_managed(key.tags)
    except ConfigError as error:
        raise ConfigError(error.what, key_id=key.id, todo=error.todo) from error


def lateness_of(action: Action, now: datetime) -> timedelta:
    """Return by how much the key of ``action`` is overdue; zero if it is not."""
    return max(timedelta(), now - action.due) if action.due is not None else timedelta()


def _rotations(
    key: Key,
    policy: Policy,
    why: str,
    *,
    interrupted: bool,
    compromised: bool,
    freed: int = 0,
) -> list[Action]:
    """Return the rotation of the key and, if its current version leaked, that one's retirement."""
    # An emergency rotation may use what ordinary ones leave free.
    spare = freed + (key.reserve if compromised else 0)
    rotation = _rotation(key, policy, why, interrupted=interrupted, spare=spare)
    if compromised and key.current is not None:
        return _away_from(key.current, rotation)
    return [rotation]


def _rotation(key: Key, policy: Policy, why: str, *, interrupted: bool, spare: int) -> Action:
    due = due_at(key, policy)
    if key.room is not None and key.room + spare < 1:
        todo = (
            "If no data needs the older versions, set daena.grace and daena.destroy-after; "
            "otherwise re-encrypt that data first"
        )
        msg = "the store has no room for one more readable version"
        error = ConfigError(msg, key_id=key.id, todo=todo)
        return Action(key.id, Kind.FAILING, str(error), key.current_ref, due=due, error=error)
    kind = Kind.ROTATE
    if interrupted or _pending(key) is not None:
        kind = Kind.FINISH
        why = f"an earlier rotation was interrupted; {why}"
    return Action(key.id, kind, why, key.current_ref, due=due)


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
    if policy.destroy_after is None:
        return
    kept = {VersionState.CURRENT, VersionState.PREVIOUS, VersionState.RETIRED}
    spare = sum(v.state in kept for v in key.versions) - policy.keep
    unreadable = {VersionState.RETIRED, VersionState.ABANDONED}
    retired = [(v.retired, v) for v in key.versions if v.state in unreadable and v.retired]
    for when, version in sorted(retired, key=lambda pair: (pair[0], pair[1].id)):
        if now < when + policy.destroy_after:
            return
        if version.state is VersionState.RETIRED:  # ``keep`` counts no abandoned version
            if spare < 1:
                continue
            spare -= 1
        reason = (
            f"retired {about(now - when)} ago, "
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
