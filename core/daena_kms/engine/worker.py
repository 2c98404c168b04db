"""Do what was planned for one key: look again, plan again, and do only what both plans say."""

import contextlib
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from daena_kms.engine.clock import Budget, RunClock
from daena_kms.errors import DaenaKMSError, NotManaged, RotationConflict, StoreUnavailable
from daena_kms.rules.due import needs_detail
from daena_kms.rules.emergency import revoked
from daena_kms.rules.model import Key, VersionState
from daena_kms.rules.plan import Action, Kind, Outcome, plan_key
from daena_kms.rules.policy import SPEC, Defaults
from daena_kms.rules.specs import DEFAULT, Randomness, generate, parse_spec
from daena_kms.rules.summary import Result
from daena_kms.stores.base import Store
from daena_kms.stores.rotation import rotate

#: A look at a key that is older than this is no look "right before the change".
FRESH = timedelta(seconds=10)

_ROTATIONS = {Kind.ROTATE, Kind.FINISH}


@dataclass
class Worker:
    """Does the work of one run, one key a call, from several threads at once."""

    store: Store
    defaults: Defaults
    clock: RunClock
    budget: Budget
    random: Randomness
    named: bool
    #: By key id, the bases from which the log shows an unfinished rotation.
    interrupted: Mapping[str, str | None]
    #: Looks at keys taken while planning, with the time of the look since the run began.
    looks: dict[str, tuple[Key, timedelta]] = field(default_factory=dict)
    #: Set when nothing more may begin: the audit log failed, or somebody asked to stop.
    stopped: bool = False
    #: What became of each key's actions, until the run has entered it. A future won't do: Ctrl-C
    #: may come after the pool has taken the work and before it has given the future back.
    ended: deque[list[Result]] = field(default_factory=deque)
    _active: int = 0
    _idle: threading.Condition = field(default_factory=threading.Condition)

    def __call__(self, actions: Sequence[Action]) -> list[Result]:
        """Do one key's actions in order and return what became of each. Never raises."""
        with self._idle:
            self._active += 1
        try:
            results: list[Result] = []
            for action in actions:
                results.append(self._timed(action, results))
            self.ended.append(results)
        finally:
            with self._idle:
                self._active -= 1
                self._idle.notify_all()
        return results

    def stop(self) -> None:
        """Let nothing more begin, and return when what has begun has ended.

        The pool's own shutdown does not wait for a thread that Ctrl-C kept it from noting down.
        """
        self.stopped = True
        with self._idle:
            self._idle.wait_for(lambda: not self._active)

    def _timed(self, action: Action, before: Sequence[Result]) -> Result:
        # A rotation away from a compromised version has begun: its retirement belongs to it.
        begun = action.revokes and any(
            r.action.compromised and r.result != Outcome.LEFT for r in before
        )
        if self.stopped or (self.budget.over and not begun):
            return Result(action, Outcome.LEFT)
        began = time.monotonic()
        result = self._one(action, before)
        self.budget.took(timedelta(seconds=time.monotonic() - began))
        return result

    def _one(self, action: Action, before: Sequence[Result]) -> Result:
        started, new_version, message = self.clock(), None, None
        try:
            if action.revokes:
                message = self._revoke(action, before)
            else:
                new_version = self._look_and_do(action, first=not before)
        except _NoLonger as finding:
            return Result(
                action, Outcome.SKIPPED, message=str(finding), started=started, ended=self.clock()
            )
        except RotationConflict as error:
            message = f"already rotated, or being rotated: {error.what}"
            # What is on hold is readable still: its retirement is owed.
            owed = action.revokes
            return Result(
                action,
                Outcome.FAILED if owed else Outcome.SKIPPED,
                error=error if owed else None,
                message=message,
                started=started,
                ended=self.clock(),
                undecided=error.undecided,
            )
        except StoreUnavailable as error:
            return Result(action, Outcome.UNKNOWN, error=error, started=started, ended=self.clock())
        except DaenaKMSError as error:
            return Result(action, Outcome.FAILED, error=error, started=started, ended=self.clock())
        except Exception as error:  # noqa: BLE001 - one key's failure never stops the others
            # Its text is not passed on: nobody knows what a foreign error quotes.
            failure = DaenaKMSError(
                f"an unexpected {type(error).__name__}",
                key_id=action.key_id,
                todo="Report it; the next run looks at the key again",
            )
            return Result(
                action, Outcome.UNKNOWN, error=failure, started=started, ended=self.clock()
            )
        return Result(
            action, Outcome.DONE, new_version, message=message, started=started, ended=self.clock()
        )

    def _look_and_do(self, action: Action, *, first: bool) -> str | None:
        look = self.looks.pop(action.key_id, None) if first else None
        fenced = self.store.can.fenced and action.kind in _ROTATIONS
        if look is not None and fenced:
            # The store refuses a rotation on the word of a look that is no longer true.
            with contextlib.suppress(RotationConflict, _NoLonger):
                return self._do(action, look[0])
        if look is not None and not self.store.can.fenced and self._is_fresh(look[1]):
            return self._do(action, look[0])
        if action.kind is Kind.DESTROY:
            return self._do(action, self._look_before_destroying(action))
        return self._do(action, look_at(self.store, action.key_id, self.defaults, self.clock))

    def _look_before_destroying(self, action: Action) -> Key:
        """Return the key with all its versions as they are: one that is gone is none to keep."""
        key = self.store.describe(action.key_id, exact=True)
        found = key.version(action.version or "")
        if found is not None and found.state is not VersionState.RETIRED:
            # As its notes have it: the store refuses what is enabled, and forgets what is gone.
            return self.store.describe(action.key_id)
        return key

    def _revoke(self, action: Action, before: Sequence[Result]) -> str:
        """Retire a compromised version unless it is current, and say what that comes to."""
        key = self.store.describe(action.key_id, exact=True)
        version = key.version(action.version or "")
        if version is not None and version.state is VersionState.CURRENT:
            raise _still_current(action, before)
        again = plan_key(
            key, self.defaults, self.store.can, self.clock(), owed={str(action.version)}
        )
        if not any(now.revokes for now in again):
            for now in again:
                if now.error is not None:
                    raise now.error
            if again and (version is None or version.over):
                raise _NoLonger(f"version {action.version} is retired already, or gone")
            msg = f"it is no longer managed, or deleted; version {action.version} is not retired"
            raise NotManaged(msg, key_id=key.id, todo="The next run does it if the key is managed")
        self.store.revoke(key, str(action.version), self.clock())
        return revoked(key, str(action.version), self.store.revoking, parse_spec(_spec(key)))

    def _is_fresh(self, taken: timedelta) -> bool:
        return self.clock.elapsed - taken < FRESH

    def _do(self, action: Action, key: Key) -> str | None:
        self._check(action, key)
        if action.kind is Kind.RETIRE and action.version is not None:
            self.store.retire(key, action.version, self.clock())
        elif action.kind is Kind.DESTROY and action.version is not None:
            self.store.destroy(key, action.version, self.clock())
        else:
            spec = parse_spec(_spec(key))
            return rotate(self.store, key, generate(spec, self.random), self.clock)
        return None

    def _check(self, action: Action, key: Key) -> None:
        """Raise unless the key, as it is right now, is still to be treated as planned."""
        again = plan_key(
            key,
            self.defaults,
            self.store.can,
            self.clock(),
            interrupted=was_interrupted(key, self.interrupted),
            named=self.named,
        )
        for now in again:
            same_kind = now.kind is action.kind or {now.kind, action.kind} <= _ROTATIONS
            if same_kind and (now.base, now.version) == (action.base, action.version):
                return
        for now in again:
            if now.kind is Kind.FAILING and now.error is not None:
                raise now.error
        current = key.current_ref
        if current != action.base:
            msg = f"already rotated: {current} is current"
        else:
            msg = again[0].reason if again else "it is no longer managed, or was deleted"
        raise _NoLonger(msg)


def _still_current(action: Action, before: Sequence[Result]) -> Exception:
    """Return why a compromised version is not retired: nothing ever retires the current one."""
    rotations = [r.result for r in before if r.action.kind in _ROTATIONS]
    if not rotations or Outcome.FAILED in rotations:
        why = "the rotation failed" if rotations else "it was made current again"
        return _NoLonger(f"version {action.version} is current, since {why}, and is not retired")
    msg = f"its compromised version {action.version} is current still, and so is not retired"
    todo = "See with show what became of the rotation, and run it again if that is so still"
    return StoreUnavailable(msg, key_id=action.key_id, todo=todo)


def _spec(key: Key) -> str:
    return key.tags.get(SPEC, DEFAULT)


class _NoLonger(Exception):
    """What was planned is no longer to be done."""


def look_at(
    store: Store, key_id: str, defaults: Defaults, clock: RunClock, *, exact: bool = False
) -> Key:
    """Return the key as it is now, with its exact age where bounds leave open if it is due."""
    key = store.describe(key_id, exact=exact)
    if not exact and needs_detail(key, defaults, store.can, clock()):
        return store.describe(key_id, exact=True)
    return key


def was_interrupted(key: Key, bases: Mapping[str, str | None]) -> bool:
    """Whether a rotation from the key's present version was begun and not finished."""
    return key.id in bases and key.current is not None and bases[key.id] == key.current_ref
