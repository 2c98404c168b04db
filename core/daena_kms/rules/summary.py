"""What a run did: the one object that every caller renders."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any

from daena_kms.errors import DaenaKMSError
from daena_kms.rules.durations import format_time
from daena_kms.rules.fields import policy_record
from daena_kms.rules.model import Revoking
from daena_kms.rules.plan import Action, Kind, Outcome, lateness_of
from daena_kms.rules.policy import Policy

#: How many keys an error names; the summary names all.
_NAMED = 20


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one action."""

    action: Action
    result: Outcome
    new_version: str | None = None
    error: DaenaKMSError | None = None
    message: str | None = None
    started: datetime | None = None
    ended: datetime | None = None
    #: Skipped because another rotation has claimed the key, and its result is not known yet.
    undecided: bool = False
    #: The policy that a rotation went by, as the key's tags said right before it.
    policy: Policy | None = None

    def record(self) -> dict[str, Any]:
        """Return the result as it stands in the audit log."""
        row = {
            **action_record(self.action),
            "result": self.result,
            "new_version": self.new_version,
            "error": self.error.code if self.error is not None else None,
            "message": str(self.error) if self.error is not None else self.message,
            "started": format_time(self.started) if self.started is not None else None,
            "ended": format_time(self.ended) if self.ended is not None else None,
        }
        planned = in_force(self.action.policy)
        if self.policy is not None and in_force(self.policy) != planned:
            row |= in_force(self.policy)  # changed since the intent was written
        return {name: value for name, value in row.items() if value is not None}


def action_record(action: Action) -> dict[str, Any]:
    """Return an action as it stands in the audit log and in JSON plans."""
    row = {
        "key": action.key_id,
        "kind": action.kind.value,
        "base": action.base,
        "version": action.version,
        "versions": list(action.versions) or None,
        "why": action.reason,
        "due": format_time(action.due) if action.due is not None else None,
        "compromised": True if action.compromised else None,
    }
    return {name: value for name, value in row.items() if value is not None}


def intent_record(action: Action) -> dict[str, Any]:
    """Return an action as an intent holds it: also with the spec and the policy in force."""
    return action_record(action) | in_force(action.policy)


def in_force(policy: Policy | None) -> dict[str, Any]:
    """Return the members of an intent that hold the spec and the policy in force."""
    return {} if policy is None else {"spec": policy.spec.text, "policy": policy_record(policy)}


@dataclass(slots=True)
class Summary:
    """What a run did, by key id. A key stands in ``failed`` with its error in ``errors``."""

    run_id: str | None
    began: datetime
    dry_run: bool = False
    duration: timedelta = field(default_factory=timedelta)
    rotated: list[str] = field(default_factory=list)
    #: Rotated after an earlier rotation of the key had been interrupted.
    finished: list[str] = field(default_factory=list)
    retired: list[str] = field(default_factory=list)
    #: A compromised version of the key was retired at once; ``revoked_versions`` says which.
    revoked: list[str] = field(default_factory=list)
    destroyed: list[str] = field(default_factory=list)
    #: Carried only our tags until now: enrolled, and not rotated.
    enrolled: list[str] = field(default_factory=list)
    #: A retired version is unlabelled now, where the store can't destroy one. It stays readable by
    #: its id; AWS deletes it while the secret has more than 100 versions.
    released: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    #: Due, and not begun before the deadline; the next run takes these keys first.
    left: list[str] = field(default_factory=list)
    #: Planned, but somebody else has done it already, or it is no longer needed or allowed.
    skipped: list[str] = field(default_factory=list)
    held: list[str] = field(default_factory=list)
    #: The plan: every action with its reason. A real run leaves out those of kind ``nothing``.
    actions: list[Action] = field(default_factory=list)
    errors: dict[str, DaenaKMSError] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    new_versions: dict[str, str] = field(default_factory=dict)
    revoked_versions: dict[str, list[str]] = field(default_factory=dict)
    #: Compromised versions that are still readable. The next run retires those not current.
    unrevoked: dict[str, list[str]] = field(default_factory=dict)
    #: In an emergency: what revoking means on this store, and who can still read the version.
    revoking: Revoking | None = None
    #: How many managed keys were looked at, and how many of them are still due at the end.
    keys: int = 0
    overdue: int = 0
    #: The ids of the keys that are still due.
    overdue_keys: set[str] = field(default_factory=set)
    #: How many events were delivered to the endpoint, and how many were not.
    notified: int = 0
    undelivered: int = 0
    #: Skipped keys that another rotation has claimed and not finished: if due, they are overdue.
    undecided: set[str] = field(default_factory=set)

    @property
    def overdue_or_failing(self) -> list[str]:
        """The keys that the plan shows as due or can't handle; a key on hold is neither."""
        found = {
            a.key_id
            for a in self.actions
            if a.kind is Kind.FAILING
            or (a.kind is not Kind.NOTHING and a.due is not None and a.due <= self.began)
        }
        return sorted(found)

    @property
    def ok(self) -> bool:
        """Whether nothing failed."""
        return not self.failed

    @property
    def lateness(self) -> int:
        """For how many seconds the most overdue key has been due."""
        overdue = (action for action in self.actions if action.key_id in self.overdue_keys)
        longest = max((lateness_of(a, self.began) for a in overdue), default=timedelta())
        return int(longest.total_seconds())

    def raise_if_failed(self) -> None:
        """Raise an error that names the keys that failed: a function must fail visibly."""
        if self.failed:
            some = ", ".join(self.failed[:_NAMED])
            msg = f"{len(self.failed)} of {self.keys} keys failed: {some}"
            todo = "See the errors in this run's log; the next run tries again"
            raise DaenaKMSError(msg, todo=todo)

    def add(self, result: Result, *, unlabelled: bool = False) -> None:
        """Enter a result.

        Args:
            result: What became of one action.
            unlabelled: Whether destroying only removes a label on this store.
        """
        action = result.action
        done = {
            Kind.ENROL: self.enrolled,
            Kind.ROTATE: self.rotated,
            Kind.FINISH: self.finished,
            Kind.RETIRE: self.retired,
            Kind.DESTROY: self.released if unlabelled else self.destroyed,
        }
        lists = {
            Outcome.SKIPPED: self.skipped,
            Outcome.LEFT: self.left,
            Outcome.FAILED: self.failed,
            Outcome.UNKNOWN: self.failed,
        }
        if action.revokes:
            done[Kind.RETIRE] = self.revoked
            if result.result is not Outcome.SKIPPED:
                where = self.revoked_versions if result.result is Outcome.DONE else self.unrevoked
                where.setdefault(action.key_id, []).append(str(action.version))
        target = done[action.kind] if result.result is Outcome.DONE else lists[result.result]
        if action.key_id not in target:
            target.append(action.key_id)
        if result.undecided:
            self.undecided.add(action.key_id)
        if result.error is not None:
            self.errors[action.key_id] = result.error
        elif result.message is not None:
            before = self.notes.get(action.key_id)
            noted = result.message if before is None else f"{before}. {result.message}"
            self.notes[action.key_id] = noted
        if result.new_version is not None:
            self.new_versions[action.key_id] = result.new_version

    def note_overdue(self, due: set[str]) -> None:
        """Enter which of the keys that were due when the run began are still due at its end."""
        unsettled = {*self.undecided, *self.failed, *self.left}
        settled = {*self.rotated, *self.finished, *({*self.skipped} - unsettled)}
        self.overdue_keys = due - settled
        self.overdue = len(self.overdue_keys)

    def finish(self, duration: timedelta) -> None:
        """Note how long the run took, and put every list in order."""
        self.duration = duration
        for _, ids in self._lists():
            ids.sort()

    def counts(self) -> dict[str, int]:
        """Return the numbers, for metrics and for the closing record.

        The numbers of events are included if there was something to send. Events are sent after
        the closing record, so they are never in it.
        """
        counts = {name: len(ids) for name, ids in self._lists()} | {
            "keys": self.keys,
            "overdue": self.overdue,
            "lateness": self.lateness,
        }
        if self.notified or self.undelivered:
            counts |= {"notified": self.notified, "undelivered": self.undelivered}
        return counts

    def to_dict(self) -> dict[str, Any]:
        """Return the summary as plain data, for JSON."""
        return {
            "run": self.run_id,
            "began": format_time(self.began),
            "dry_run": self.dry_run,
            "seconds": round(self.duration.total_seconds(), 3),
            "ok": self.ok,
            "counts": self.counts(),
            **{name: list(ids) for name, ids in self._lists()},
            "errors": {
                key_id: {"error": error.code, "message": str(error)}
                for key_id, error in self.errors.items()
            },
            "notes": dict(self.notes),
            "new_versions": dict(self.new_versions),
            "revoked_versions": {key_id: list(v) for key_id, v in self.revoked_versions.items()},
            "unrevoked": {key_id: list(v) for key_id, v in self.unrevoked.items()},
            "revoking": asdict(self.revoking) if self.revoking is not None else None,
        }

    def _lists(self) -> Iterator[tuple[str, list[str]]]:
        names = (
            *("rotated", "finished", "retired", "revoked", "destroyed", "released"),
            *("failed", "left", "skipped", "held"),
        )
        for name in names:
            yield name, getattr(self, name)
        if self.enrolled:  # rare, and unknown to what reads the summaries of older versions
            yield "enrolled", self.enrolled
