"""Watch the spec and the policy of each key in the log, and note what changed them unrecorded.

Each intent to rotate, retire or destroy holds the spec and the policy in force. Between two of
them on one key, only what the log itself records may change them: ``policy set``, ``create`` and
``adopt``. Any other difference was made past the log: by tags, or by the deployment's settings.
That may be right, so it is a note and not a problem.

The log is read in the order of its objects' names: by hours, and within an hour by random ids of
runs. A run's records are never older than the hour in which it began. So what lies before the hour
that is being read is complete, and can be put in the order of its time. Until then it is held, and
for each key one small state is held.
"""

import hashlib
import heapq
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from daena_kms.audit.intents import LONGEST_RUN
from daena_kms.audit.records import INTENT, MAX_ACTIONS, ROOT
from daena_kms.rules.due import CLOCK_SKEW
from daena_kms.rules.plan import Kind, Outcome

#: The kinds of actions that set a key's spec and policy.
SETTING = frozenset({"create", "adopt", "enrol", "policy"})
#: So many keys are remembered at once; the one that the log has not named for longest goes first.
MAX_STATES = 10_000
#: So many entries wait for the end of their hour; with more, the earliest is taken as it is.
MAX_HELD = 10_000
#: After so many notes the rest is only counted.
MAX_NOTES = 100
#: Anybody who may add to the log may add nonsense: longer texts and names are passed over.
MAX_KEY_ID = 200
_MAX_TEXT, _MAX_SHOWN = 1000, 200
_MAX_FIELDS, _MAX_NAME = 10, 40
_HOUR_LENGTH = len("2026/11/24/12")
_NOT_SET = {Outcome.FAILED, Outcome.NOT_DONE, Outcome.SKIPPED, Outcome.LEFT}

#: The spec and the policy, as pairs of a name and a text.
type _Seen = tuple[tuple[str, str], ...]


@dataclass(slots=True)
class _State:
    """What the log says about one key's spec and policy."""

    #: The last that the log shows, and the run that shows it; ``None``: nothing yet.
    seen: _Seen | None = None
    run: str = ""
    #: What holds if a change that the log intends was not made.
    before: _Seen | None = None
    #: Whether nobody knows yet if that change was made.
    open: bool = False
    #: The change that failed last. Where a store sets tags in several calls, a part of it was made.
    failed: _Seen | None = None


class _Event(NamedTuple):
    """One entry of the log. Events compare by their time; ``number`` is the log's own order."""

    time: datetime
    number: int
    run: str
    key_id: str
    kind: str
    #: ``None`` for an intent.
    result: str | None
    seen: _Seen | None
    #: Of an intent to change the policy: the one before.
    old: _Seen | None
    #: When the key is first due, for an enrolment.
    due: str | None = None


class PolicyWatch:
    """Feed it every record of the log in the order of the names, then read :meth:`notes`."""

    def __init__(self) -> None:
        self._states: OrderedDict[str, _State] = OrderedDict()
        self._held: list[_Event] = []
        self._number = 0
        self._notes: list[str] = []
        self._more = 0

    def see(self, name: str, record: Mapping[str, Any]) -> None:
        """Take in one record.

        Args:
            name: The name of its object, or of its run's folder.
            record: The record, which is well formed.
        """
        hour = _hour(name)
        while self._held and hour is not None and self._held[0].time < hour:
            self._take(heapq.heappop(self._held))
        time = datetime.fromisoformat(record["time"])
        if hour is not None and not -CLOCK_SKEW <= time - hour <= LONGEST_RUN + CLOCK_SKEW:
            return  # no run's; held until its time, it would be held for good
        is_intent = record["type"] == INTENT
        entries = record.get("actions" if is_intent else "results", ())
        for entry in entries[:MAX_ACTIONS]:
            seen, key_id, kind = _seen(entry), entry["key"], entry["kind"]
            # A rotation's outcome holds a policy that changed after its intent was written.
            matters = kind in SETTING or seen is not None
            if not matters or len(key_id) > MAX_KEY_ID:
                continue
            self._number += 1
            result = None if is_intent else entry["result"]
            old = _seen(entry, "old_") if is_intent else None
            due = entry.get("due")
            event = _Event(time, self._number, record["run"], key_id, kind, result, seen, old, due)
            heapq.heappush(self._held, event)
            if len(self._held) > MAX_HELD:
                self._take(heapq.heappop(self._held))

    def notes(self) -> Iterator[str]:
        """Yield, at the end of the log, a note for each change that the log itself did not make.

        After :data:`MAX_NOTES` the rest is only counted.
        """
        while self._held:
            self._take(heapq.heappop(self._held))
        yield from self._notes
        if self._more:
            yield f"{self._more} more changes of specs and policies, outside `policy set`"

    def _take(self, event: _Event) -> None:
        state = self._states.setdefault(event.key_id, _State())
        self._states.move_to_end(event.key_id)
        if len(self._states) > MAX_STATES:
            self._states.popitem(last=False)
        if event.kind not in SETTING:
            self._observe(event, state, event.seen)
        elif event.result is None:
            self._intend(event, state)
        elif event.result == Outcome.DONE:
            intended = state.seen if state.open and state.run == event.run else None
            # Without a policy, here and in its intent, it says only that what was known is over.
            state.seen, state.run = event.seen or intended, event.run
            state.before, state.open = None, False
            if event.kind == Kind.ENROL and event.due is not None and state.seen is not None:
                # Where the store may write tags, the enrolment itself sets first-due.
                state.before, state.open = state.seen, True
                rest = (pair for pair in state.seen if pair[0] != "first_due")
                state.seen = tuple(sorted((*rest, ("first_due", event.due))))
        elif event.result in _NOT_SET and state.open:
            state.failed = state.seen
            state.seen, state.before, state.open = state.before, None, False

    def _intend(self, event: _Event, state: _State) -> None:
        """Take in that a run is about to set a key's policy."""
        if event.old is not None:
            self._observe(event, state, event.old)
        elif event.kind == "policy" and state.seen is not None and not state.open:
            self._note(event, state, "spec or policy changed to one that is refused")
        state.before, state.open = state.seen, True
        state.seen, state.run = event.seen, event.run

    def _observe(self, event: _Event, state: _State, seen: _Seen | None) -> None:
        """Compare what is in force with what the log has shown before, and remember it."""
        known = {state.seen, state.before} if state.open else {state.seen}
        if None not in known and seen not in known and not _is_part(state, seen):
            before, after = dict(state.seen or ()), dict(seen or ())
            for name in sorted(before.keys() | after.keys()):
                old, new = before.get(name, "none"), after.get(name, "none")
                if old != new:
                    what = f"{name.replace('_', '-')} changed from {old} to {new}"
                    self._note(event, state, what)
        state.seen, state.run, state.before, state.open = seen, event.run, None, False
        state.failed = None

    def _note(self, event: _Event, state: _State, what: str) -> None:
        if len(self._notes) >= MAX_NOTES:
            self._more += 1
            return
        between = f"between {state.run} and {event.run}"
        self._notes.append(f"key {event.key_id}: its {what} {between}, outside `policy set`")


def _hour(name: str) -> datetime | None:
    """Return the hour in an object's name, or ``None`` if there is no such hour."""
    text = name.removeprefix(ROOT)[:_HOUR_LENGTH]
    try:
        return datetime.strptime(text, "%Y/%m/%d/%H").replace(tzinfo=UTC)
    except ValueError:
        return None


def _is_part(state: _State, seen: _Seen | None) -> bool:
    """Whether a part of the change that failed last is what is in force; not all of it."""
    if state.failed is None or state.seen is None or seen in {None, state.failed}:
        return False
    return {*(seen or ())} <= {*state.seen, *state.failed}


def _cut(text: str) -> str:
    """Return a text that can be kept and shown; two different texts stay different."""
    if len(text) <= _MAX_SHOWN:
        return text
    hashed = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{text[:_MAX_SHOWN]}… (SHA-256 {hashed})"


def _seen(entry: Mapping[str, Any], prefix: str = "") -> _Seen | None:
    """Return the spec and the policy in an entry, or ``None`` if it has none of the right form."""
    spec, policy = entry.get(f"{prefix}spec"), entry.get(f"{prefix}policy")
    if not isinstance(spec, str) or not isinstance(policy, dict) or len(policy) > _MAX_FIELDS:
        return None
    pairs = [("spec", spec), *policy.items()]
    texts = [text for pair in pairs for text in pair]
    if not all(isinstance(t, str) and t.isascii() and len(t) <= _MAX_TEXT for t in texts):
        return None
    if any(len(name) > _MAX_NAME for name, _ in pairs):
        return None
    return tuple(sorted((name, _cut(text)) for name, text in pairs))
