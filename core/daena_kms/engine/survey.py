"""Look at every key of a run, and plan it."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from daena_kms.engine.looks import in_order
from daena_kms.engine.request import Request
from daena_kms.engine.worker import look_at, was_interrupted
from daena_kms.errors import DaenaKMSError, KeyNotFound, contained
from daena_kms.rules.due import needs_detail
from daena_kms.rules.model import Key
from daena_kms.rules.plan import CHANGES, ROTATIONS, Action, Kind, plan_key
from daena_kms.rules.policy import SPEC
from daena_kms.rules.specs import DEFAULT, parse_spec
from daena_kms.stores.base import Store

#: So many looks are kept for changes: about as many as are fresh when the work begins.
_KEPT = 2_000


@dataclass(kw_only=True)
class Survey:
    """What one run saw when it planned, key by key."""

    request: Request
    #: By key id, the bases from which the log shows an interrupted rotation.
    interrupted: Mapping[str, str | None] = field(default_factory=dict)
    #: By key id, the compromised versions that must still be retired.
    pending_revocations: Mapping[str, Collection[str]] = field(default_factory=dict)
    #: By key id, looks that the change may use as well, and when each was taken.
    looks: dict[str, tuple[Key, timedelta]] = field(default_factory=dict, init=False)
    #: How many random bytes the planned rotations need.
    random_bytes: int = field(default=0, init=False)

    def plans(self) -> Iterator[list[Action]]:
        """Yield the actions of each key, at least one for each key that is managed or named.

        Raises:
            DaenaKMSError: The store can't be listed. A key that can't be looked at is FAILING.
        """
        ids = self.request.key_ids
        yield from self._all_keys() if ids is None else self._some_keys(ids)

    def _all_keys(self) -> Iterator[list[Action]]:
        """Plan from the listing, then take a closer look at the keys for which it may matter."""
        store, defaults, clock = self._store, self.request.adapter.defaults, self.request.clock
        closer: list[Key] = []
        for listed in store.scan():
            must = listed.id in self.pending_revocations
            asks = self.request.dry_run and any(v.gives_way for v in listed.versions)
            if must or asks or needs_detail(listed, defaults, store.can, clock()):
                closer.append(listed)
            else:
                yield from self._seen(listed, clock.elapsed)
        # Keys with versions that others made come last: these looks may find nothing in each run.
        closer.sort(key=self._can_wait)
        for look in in_order(self._closer, closer, self.request.workers):
            yield from self._planned(look)

    def _closer(self, listed: Key) -> "_Look":
        """Take a closer look at a key that was listed."""
        # Closer looks at very many keys could use up the time that the work needs.
        if self.request.budget.over_for_planning:
            return _Look(listed.id, self.request.clock.elapsed, listed)
        return self._taken(listed.id, lambda: self._store.describe(listed.id, exact=True))

    def _taken(self, key_id: str, look: Callable[[], Key]) -> "_Look":
        """Take a look, from any thread; what it ends in concerns that key alone."""
        taken = self.request.clock.elapsed
        try:
            return _Look(key_id, taken, contained(look)())
        except DaenaKMSError as error:
            return _Look(key_id, taken, error=error)

    def _planned(self, look: "_Look") -> Iterator[list[Action]]:
        """Plan a key that was listed, from a closer look at it."""
        if look.key is not None:
            yield from self._seen(look.key, look.taken)
        elif not isinstance(look.error, KeyNotFound):  # gone since it was listed
            yield [look.failing()]

    @property
    def _store(self) -> Store:
        return self.request.adapter.store

    def _can_wait(self, key: Key) -> bool:
        by_others = key.current is None or key.current.base_mark is None
        urgent = key.unrevoked or any(version.to_revoke for version in key.versions)
        return by_others and not urgent and key.id not in self.pending_revocations

    def _seen(self, key: Key, taken: timedelta) -> Iterator[list[Action]]:
        actions = self._plan(key)
        if self._store.can.fenced and any(action.kind in CHANGES for action in actions):
            self.looks[key.id] = key, taken
        if actions:
            yield actions

    def _some_keys(self, ids: Iterable[str]) -> Iterator[list[Action]]:
        """Look at each of the keys that were named, and plan it, in the order of their names."""
        for look in in_order(self._look, ids, self.request.workers):
            if look.key is not None:
                self._keep(look.key, look.taken)
                yield self._plan(look.key)
            elif look.error is None:
                yield [Action(look.key_id, Kind.ROTATE, "no time was left to look at the key")]
            # A key that does not exist can't be due.
            elif self.request.named or not isinstance(look.error, KeyNotFound):
                yield [look.failing()]

    def _keep(self, key: Key, taken: timedelta) -> None:
        """Keep a look for the change. Where one serves only while it is fresh, keep the newest."""
        self.looks[key.id] = key, taken
        if len(self.looks) > _KEPT and not self._store.can.fenced:
            del self.looks[next(iter(self.looks))]

    def _look(self, key_id: str) -> "_Look":
        """Look at a key that was named, if there is time."""
        if self.request.budget.over:
            return _Look(key_id, self.request.clock.elapsed)
        exact = key_id in self.pending_revocations
        given = self.request.looks.get(key_id)
        enough = given is not None and given.enrolled and not given.unrevoked
        if given is not None and enough and not exact:
            # The caller's look is as old as the run, which has read the log meanwhile.
            return _Look(key_id, timedelta(), given)
        defaults, clock = self.request.adapter.defaults, self.request.clock
        return self._taken(
            key_id, lambda: look_at(self._store, key_id, defaults, clock, exact=exact)
        )

    def _plan(self, key: Key) -> list[Action]:
        actions = plan_key(
            key,
            self.request.adapter.defaults,
            self._store.can,
            self.request.clock.began,
            interrupted=was_interrupted(key, self.interrupted),
            named=self.request.named,
            compromised=self.request.compromised,
            pending_revocations=self.pending_revocations.get(key.id, ()),
        )
        if any(action.kind in ROTATIONS for action in actions):
            self.random_bytes += parse_spec(key.tags.get(SPEC, DEFAULT)).random_bytes
        return actions


@dataclass(frozen=True, slots=True)
class _Look:
    """What a look at one key showed; neither a key nor an error: no look was taken."""

    key_id: str
    #: How long after the run's beginning.
    taken: timedelta
    key: Key | None = None
    error: DaenaKMSError | None = None

    def failing(self) -> Action:
        """Return the action that reports the error."""
        return Action(self.key_id, Kind.FAILING, str(self.error), error=self.error)
