"""Do what was planned for one key: look again, plan again, do only what both plans agree on."""

import contextlib
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import pairwise

from daena_kms.engine.clock import RunClock
from daena_kms.engine.request import Request
from daena_kms.errors import (
    ConfigError,
    DaenaKMSError,
    NotManaged,
    RotationConflict,
    StoreUnavailable,
)
from daena_kms.rules.due import needs_detail
from daena_kms.rules.durations import format_time
from daena_kms.rules.emergency import revoked
from daena_kms.rules.model import Key, VersionState
from daena_kms.rules.plan import ROTATIONS, Action, Kind, Outcome, plan_key
from daena_kms.rules.policy import FIRST_DUE, SPEC, Defaults
from daena_kms.rules.specs import DEFAULT, Randomness, generate, parse_spec
from daena_kms.rules.summary import Result
from daena_kms.stores.base import Store
from daena_kms.stores.rotation import rotate

#: A look at a key serves for a change only if it is younger than this.
FRESH = timedelta(seconds=10)


@dataclass(kw_only=True)
class Worker:
    """Does the work of one run: one key per call, from several threads at once."""

    request: Request
    random: Randomness
    #: By key id, the bases from which the log shows an interrupted rotation.
    interrupted: Mapping[str, str | None] = field(default_factory=dict)
    #: By key id, looks that were taken while planning, and how long after the run's beginning.
    looks: dict[str, tuple[Key, timedelta]] = field(default_factory=dict)
    #: Set when nothing more may begin: the audit log failed, or somebody asked to stop.
    stopped: bool = False
    #: The results of each key, until the run has entered them. A future is not enough: Ctrl-C may
    #: come after the pool has taken the work and before it has returned the future.
    ended: deque[list[Result]] = field(default_factory=deque)
    #: The ids of keys whose next action is a rotation.
    _rotating_next: set[str] = field(default_factory=set, init=False)
    #: By key id, what a retirement left for the rotation that follows it, instead of a look.
    _retired: dict[str, Key] = field(default_factory=dict, init=False)
    _active: int = field(default=0, init=False)
    _idle: threading.Condition = field(default_factory=threading.Condition, init=False)

    def __post_init__(self) -> None:
        self._store = self.request.adapter.store
        self._defaults = self.request.adapter.defaults
        self._clock = self.request.clock

    def __call__(self, actions: Sequence[Action]) -> list[Result]:
        """Do the actions of one key in order and return their results; errors are results, too."""
        with self._idle:
            self._active += 1
        try:
            results: list[Result] = []
            for action, following in zip(actions, [*actions[1:], None], strict=True):
                if following is not None and following.kind in ROTATIONS:
                    self._rotating_next.add(following.key_id)
                results.append(self._timed(action, results))
            self._complete_retirement(results)
            self.ended.append(results)
        finally:
            with self._idle:
                self._active -= 1
                self._idle.notify_all()
        return results

    def stop(self) -> None:
        """Begin no more work, and return when the work that has begun is done.

        The pool's own shutdown does not wait for a thread that it could not register before Ctrl-C.
        """
        self.stopped = True
        with self._idle:
            self._idle.wait_for(lambda: not self._active)

    def _timed(self, action: Action, before: Sequence[Result]) -> Result:
        # Once the rotation away from a compromised version has begun, the retirement must follow.
        begun = action.revokes and any(
            r.action.compromised and r.result is not Outcome.LEFT for r in before
        )
        if self.stopped or (self.request.budget.over and not begun):
            return Result(action, Outcome.LEFT)
        started, began = self._clock(), time.monotonic()
        result = replace(self._one(action, before), started=started, ended=self._clock())
        self.request.budget.took(timedelta(seconds=time.monotonic() - began))
        return result

    def _complete_retirement(self, results: list[Result]) -> None:
        """Do the rest of a retirement that was left to a rotation which did not come about."""
        for at, (retirement, rotation) in enumerate(pairwise(results)):
            retired = retirement.action.kind is Kind.RETIRE and retirement.result is Outcome.DONE
            rotates = rotation.action.kind in ROTATIONS
            if retired and rotates and rotation.result is not Outcome.DONE:
                self._rotating_next.discard(retirement.action.key_id)
                self._retired.pop(retirement.action.key_id, None)
                rest = self._one(retirement.action, ())
                if rest.result is Outcome.FAILED:  # a part of it is done, or all of it
                    rest = replace(rest, result=Outcome.UNKNOWN)
                if rest.result is not Outcome.SKIPPED:  # then it is complete already
                    results[at] = replace(rest, started=retirement.started, ended=self._clock())

    def _one(self, action: Action, before: Sequence[Result]) -> Result:
        """Do one action and return what became of it; ``before`` are the key's results so far."""
        try:
            if action.kind is Kind.ENROL:
                return self._enrol(action)
            failed = self._failed_enrolment(action, before)
            if failed is not None:
                return Result(action, Outcome.FAILED, error=failed)
            if action.revokes:
                return Result(action, Outcome.DONE, message=self._revoke(action, before))
            return self._look_and_do(action, first=not before)
        except Exception as error:  # noqa: BLE001 - one key's failure never stops the others
            return _result_of(action, error)

    def _enrol(self, action: Action) -> Result:
        """Enrol a key that carries only our tags, as they are now."""
        self.looks.pop(action.key_id, None)
        key = look_at(self._store, action.key_id, self._defaults, self._clock)
        now, request = self._clock(), self.request
        again = plan_key(
            *(key, self._defaults, self._store.can, now),
            named=request.named,
            compromised=request.compromised,
        )
        if again and key.enrolled:
            raise _NoLonger("it is already enrolled")
        agreed = _agreed(action, key, again)
        due = format_time(agreed.due or now)
        self._store.enrol(key, {FIRST_DUE: due}, now)
        return Result(replace(action, due=agreed.due), Outcome.DONE, message=agreed.reason)

    def _failed_enrolment(self, action: Action, before: Sequence[Result]) -> DaenaKMSError | None:
        """Return why the key is not enrolled, if this is the rotation that follows its enrolment.

        If the store did not answer, a look decides: an emergency does not wait for the next run.
        """
        for result in before:
            if action.kind in ROTATIONS and result.action.kind is Kind.ENROL and result.error:
                unknown = result.result is Outcome.UNKNOWN
                if unknown and self._store.describe(action.key_id, exact=True).enrolled:
                    return None
                return result.error
        return None

    def _look_and_do(self, action: Action, *, first: bool) -> Result:
        look = self.looks.pop(action.key_id, None) if first else None
        fenced = self._store.can.fenced and action.kind in ROTATIONS
        retired = self._retired.pop(action.key_id, None)
        if retired is not None:
            look = retired, self._clock.elapsed
        if look is not None and fenced:
            # The store refuses a rotation from a look that is out of date.
            with contextlib.suppress(RotationConflict, _NoLonger):
                return self._do(action, look[0])
        if look is not None and not self._store.can.fenced and self._is_fresh(look[1]):
            return self._do(action, look[0])
        if action.kind is Kind.DESTROY:
            return self._do(action, self._look_before_destroying(action))
        # Where neither a listing nor a look shows the versions, a retirement needs the closer look.
        can = self._store.can
        exact = action.kind is Kind.RETIRE and not (can.lists_versions or can.fenced)
        return self._do(
            action, look_at(self._store, action.key_id, self._defaults, self._clock, exact=exact)
        )

    def _look_before_destroying(self, action: Action) -> Key:
        """Return the key with all its versions: one that is gone does not count for ``keep``."""
        key = self._store.describe(action.key_id, exact=True)
        version = key.version(action.version or "")
        if version is not None and version.state is not VersionState.RETIRED:
            # Go by the key's own notes: the store refuses an enabled version, and drops the note
            # of one that is gone.
            return self._store.describe(action.key_id)
        return key

    def _revoke(self, action: Action, before: Sequence[Result]) -> str:
        """Retire a compromised version unless it is current; return what that did, in words."""
        key = self._store.describe(action.key_id, exact=True)
        version = key.version(action.version or "")
        if version is not None and version.state is VersionState.CURRENT:
            raise _still_current(action, before, marked=version.to_revoke)
        away = any(r.action.compromised and r.action.kind in ROTATIONS for r in before)
        if away and version is not None and version.over and version.revoked:
            # Another run saw the mark, and was faster: what was asked for is done.
            return self._revoked(key, version.id)
        again = plan_key(
            *(key, self._defaults, self._store.can, self._clock()),
            pending_revocations={str(action.version)},
        )
        if not any(now.revokes and now.version == action.version for now in again):
            for now in again:
                if now.error is not None:
                    raise now.error
            if again and version is None:
                msg = f"the store does not show its compromised version {action.version} now"
                todo = "The next run looks again; look at it with show"
                raise StoreUnavailable(msg, key_id=key.id, todo=todo)
            if again and version is not None and version.over:
                raise _NoLonger(f"version {action.version} is already retired")
            msg = (
                "it is deleted or no longer managed, so its compromised version "
                f"{action.version} is not retired"
            )
            todo = "Restore it or make it managed; the next run then retires the version"
            raise NotManaged(msg, key_id=key.id, todo=todo)
        self._store.revoke(key, str(action.version), self._clock())
        return self._revoked(key, str(action.version))

    def _revoked(self, key: Key, version: str) -> str:
        return revoked(key, version, self._store.revoking, protects=_protects(key))

    def _is_fresh(self, taken: timedelta) -> bool:
        return self._clock.elapsed - taken < FRESH

    def _do(self, action: Action, key: Key) -> Result:
        agreed = self._check(action, key)
        if action.kind is Kind.RETIRE and action.version is not None:
            if key.id not in self._rotating_next:
                self._store.retire(key, action.version, self._clock())
            elif after := self._store.retire_before_rotating(key, action.version, self._clock()):
                self._retired[key.id] = after
        elif action.kind is Kind.DESTROY and action.version is not None:
            self._store.destroy(key, action.version, self._clock())
        else:
            spec, unmarked = parse_spec(_spec(key)), None
            if action.compromised:
                key, unmarked = self._mark(key)
            made = rotate(self._store, key, generate(spec, self.random), self._clock)
            message = unmarked or agreed.warning
            return Result(action, Outcome.DONE, made, message=message, policy=agreed.policy)
        return Result(action, Outcome.DONE)

    def _mark(self, key: Key) -> tuple[Key, str | None]:
        """Mark the current version as compromised in the store; return the key as it is then.

        If the store refuses that, or does not answer, the rotation goes on: to leave a value in
        use that others know is worse than to have only the log remember what must be retired. Then
        also return what a person must know.

        Raises:
            RotationConflict: The key was changed since the look.
        """
        current = key.current
        if current is None:
            return key, None
        try:
            return self._store.mark_compromised(key, current.id, self._clock()), None
        except RotationConflict:
            raise
        except DaenaKMSError as error:
            unmarked = (
                f"version {current.id} could not be marked as compromised in the store, so until "
                f"it is retired only the log says that it must be ({error.what})"
            )
            return key, unmarked

    def _check(self, action: Action, key: Key) -> Action:
        """Return the same action from a plan of the key as it is now, or raise if it has none."""
        again = plan_key(
            key,
            self._defaults,
            self._store.can,
            self._clock(),
            interrupted=was_interrupted(key, self.interrupted),
            named=self.request.named,
            compromised=action.compromised,
        )
        return _agreed(action, key, again)


def _agreed(action: Action, key: Key, again: Sequence[Action]) -> Action:
    """Return the action of a second plan that is the same, or raise why there is none."""
    for now in again:
        same_kind = now.kind is action.kind or {now.kind, action.kind} <= ROTATIONS
        if same_kind and (now.base, now.version) == (action.base, action.version):
            return now
    for now in again:
        if now.kind is Kind.FAILING and now.error is not None:
            raise now.error
    if key.current_ref != action.base:
        msg = f"already rotated: {key.current_ref} is current"
    else:
        msg = again[0].reason if again else "it is deleted or no longer managed"
    raise _NoLonger(msg)


def _result_of(action: Action, error: Exception) -> Result:
    """Return what an error says about the action that it ended."""
    if isinstance(error, _NoLonger):
        return Result(action, Outcome.SKIPPED, message=str(error))
    if isinstance(error, RotationConflict):
        # A version of a key on hold is still readable: its revocation stays pending.
        pending = action.revokes
        return Result(
            action,
            Outcome.FAILED if pending else Outcome.SKIPPED,
            error=error if pending else None,
            message=f"already rotated, or being rotated: {error.what}",
            undecided=error.undecided,
        )
    if isinstance(error, DaenaKMSError):
        unknown = isinstance(error, StoreUnavailable)
        return Result(action, Outcome.UNKNOWN if unknown else Outcome.FAILED, error=error)
    # The text of a foreign error is not passed on, because it may quote a value.
    failure = DaenaKMSError(
        f"an unexpected {type(error).__name__}",
        key_id=action.key_id,
        todo="Report it; the next run looks at the key again",
    )
    return Result(action, Outcome.UNKNOWN, error=failure)


def _still_current(action: Action, before: Sequence[Result], *, marked: bool) -> Exception:
    """Return the error for a compromised version that is still current and so is not retired.

    If it is ``marked``, the next run that looks at the key rotates away from it.
    """
    rotations = [r.result for r in before if r.action.kind in ROTATIONS]
    if not rotations or Outcome.FAILED in rotations:
        why = "the rotation failed" if rotations else "it was made current again"
        then = "; the next run rotates away from it, and retires it" if marked else ""
        msg = f"version {action.version} is not retired: it is current, because {why}{then}"
        return _NoLonger(msg)
    msg = f"its compromised version {action.version} is still current, so it is not retired"
    todo = "Look at it with show; if that version is still current, run the command again"
    return StoreUnavailable(msg, key_id=action.key_id, todo=todo)


def _protects(key: Key) -> bool:
    """Whether old data may need the key's versions; also where its spec can't be read."""
    try:
        return parse_spec(_spec(key)).protects_data
    except ConfigError:
        return True


def _spec(key: Key) -> str:
    return key.tags.get(SPEC, DEFAULT)


class _NoLonger(Exception):
    """The planned action is no longer needed or allowed."""


def look_at(
    store: Store, key_id: str, defaults: Defaults, clock: RunClock, *, exact: bool = False
) -> Key:
    """Return the key as it is now, with its exact age if a bound leaves open whether it is due."""
    key = store.describe(key_id, exact=exact)
    if not exact and needs_detail(key, defaults, store.can, clock()):
        return store.describe(key_id, exact=True)
    return key


def was_interrupted(key: Key, bases: Mapping[str, str | None]) -> bool:
    """Whether a rotation from the key's current version was interrupted."""
    return key.id in bases and key.current is not None and bases[key.id] == key.current_ref
