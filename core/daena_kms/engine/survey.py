"""Look at every key that a run is about, and plan it."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from daena_kms.engine.clock import Budget, RunClock
from daena_kms.engine.worker import look_at, was_interrupted
from daena_kms.errors import DaenaKMSError, KeyNotFound
from daena_kms.rules.due import needs_detail
from daena_kms.rules.model import Key
from daena_kms.rules.plan import CHANGES, Action, Kind, plan_key
from daena_kms.rules.policy import SPEC
from daena_kms.rules.specs import DEFAULT, parse_spec
from daena_kms.stores.adapter import CloudKMSAdapter


@dataclass
class Survey:
    """What one run is about, and what it saw when it planned."""

    adapter: CloudKMSAdapter
    clock: RunClock
    budget: Budget
    #: The keys that were asked for; ``None``: all there are.
    ids: list[str] | None
    #: By key id, the bases from which the log shows an unfinished rotation.
    interrupted: Mapping[str, str | None]
    #: Whether the keys are to be rotated because somebody named them, due or not.
    named: bool
    #: Looks at named keys from right before the run, by key id.
    given: Mapping[str, Key] = field(default_factory=dict)
    #: Whether what is current is compromised: it is retired right after the rotation.
    compromised: bool = False
    #: By key id, the compromised versions that earlier runs did not come to retire.
    owed: Mapping[str, Collection[str]] = field(default_factory=dict)
    #: By key id, looks that may serve for the change as well, and when each was taken.
    looks: dict[str, tuple[Key, timedelta]] = field(default_factory=dict)
    #: How much randomness the planned rotations need.
    random_bytes: int = 0

    def plans(self) -> Iterator[list[Action]]:
        """Yield the actions of each key, at least one for each key that is managed or named."""
        yield from self._listed() if self.ids is None else self._asked(self.ids)

    def _listed(self) -> Iterator[list[Action]]:
        store, defaults = self.adapter.store, self.adapter.defaults
        closer: list[Key] = []
        for listed in store.scan():
            owes = listed.id in self.owed
            if owes or needs_detail(listed, defaults, store.can, self.clock()):
                closer.append(listed)
            else:
                yield from self._seen(listed, self.clock.elapsed)
        # What others made last: it may be looked at in every run and never show anything to do.
        closer.sort(key=self._looked_at_late)
        for listed in closer:
            key, taken = listed, self.clock.elapsed
            try:
                # Closer looks may cost what is left for the work, were there very many.
                if not self.budget.over_for_planning:
                    key = store.describe(listed.id, exact=True)
            except DaenaKMSError as error:
                if not isinstance(error, KeyNotFound):  # gone since it was listed
                    yield [Action(listed.id, Kind.FAILING, str(error), error=error)]
                continue
            yield from self._seen(key, taken)

    def _looked_at_late(self, key: Key) -> bool:
        return key.id not in self.owed and (key.current is None or key.current.base_mark is None)

    def _seen(self, key: Key, taken: timedelta) -> Iterator[list[Action]]:
        actions = self._plan(key)
        if self.adapter.store.can.fenced and any(action.kind in CHANGES for action in actions):
            self.looks[key.id] = key, taken
        if actions:
            yield actions

    def _asked(self, ids: list[str]) -> Iterator[list[Action]]:
        for key_id in ids:
            if self.budget.over:
                yield [Action(key_id, Kind.ROTATE, "no time was left to look at it")]
                continue
            try:
                key = self._look(key_id)
            except DaenaKMSError as error:
                if self.named or not isinstance(error, KeyNotFound):  # nothing of it can be due
                    yield [Action(key_id, Kind.FAILING, str(error), error=error)]
                continue
            # One from before the run is as old as the run, which has read the log meanwhile.
            self.looks[key_id] = key, timedelta() if key_id in self.given else self.clock.elapsed
            yield self._plan(key)

    def _look(self, key_id: str) -> Key:
        exact = key_id in self.owed
        if key_id in self.given and not exact:
            return self.given[key_id]
        return look_at(self.adapter.store, key_id, self.adapter.defaults, self.clock, exact=exact)

    def _plan(self, key: Key) -> list[Action]:
        actions = plan_key(
            key,
            self.adapter.defaults,
            self.adapter.store.can,
            self.clock.began,
            interrupted=was_interrupted(key, self.interrupted),
            named=self.named,
            compromised=self.compromised,
            owed=self.owed.get(key.id, ()),
        )
        if any(action.kind in {Kind.ROTATE, Kind.FINISH} for action in actions):
            self.random_bytes += parse_spec(key.tags.get(SPEC, DEFAULT)).random_bytes
        return actions
