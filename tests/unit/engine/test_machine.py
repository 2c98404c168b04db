"""Anything may happen to a store, in any order and at any call: what is promised still holds."""

import secrets
from contextlib import suppress
from datetime import timedelta

from daena_kms.audit.verify import CONFIRMED, verify
from daena_kms.engine.journal import Journal
from daena_kms.errors import (
    DaenaKMSError,
    KeyExists,
    KeyNotFound,
    NotManaged,
    RotationConflict,
)
from daena_kms.rules.policy import HOLD, MANAGED
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from tests.unit.engine.machine import IDS, KEYS, State, check_records, compare, leaked_in
from tests.unit.engine.machine_world import World
from tests.unit.keys import DAY, HOUR, MINUTE
from tests.unit.local_keys import retag
from tests.unit.logs import CONTEXT
from tests.worlds.seam import Effect, Killed

ids = st.sampled_from(IDS)
#: The calls of an operation that can fail: as many as most of them make.
points = st.integers(1, 10)
kills = st.sampled_from([0, 0, *range(2, 8)])
days = st.sampled_from([0, 31, 100])
choices = st.integers(0, 4)
effects = st.sampled_from(Effect)
names = st.sampled_from(["run", "rotate", "leaked", "run", "rollback"])
disturbances = st.sampled_from(["run", "rotate", "hold", "unmanage", "write", "delete"])


class Machine(World):
    """What happens to the keys, and what is promised of each."""

    @initialize(created=st.sets(ids))
    def begin(self, created: set[str]) -> None:
        """Some keys are there from the beginning."""
        for key_id in sorted(created):
            self.operations()["create"](key_id)

    @rule(key_id=ids)
    def create(self, key_id: str) -> None:
        """A key is created, once."""
        try:
            self.operations()["create"](key_id)
        except KeyExists:
            assert key_id in self.state.keys
        else:
            assert key_id not in self.state.keys

    @rule(key_id=ids)
    @precondition(lambda self: len(self.state.keys) < len(IDS))
    def appear(self, key_id: str) -> None:
        """Somebody else makes a key that is not managed."""
        if key_id not in self.state.keys:
            value = secrets.token_urlsafe(32)
            if KEYS[key_id].spec == "aes-256":
                value = f"{secrets.token_hex(21)}A="
            self.unlogged.add(self.others.store.create(key_id, value, {"team": "x"}, self.now))

    @rule(twice=st.booleans())
    def trigger(self, twice: bool) -> None:
        """A scheduled run does all that is due and nothing else; a duplicate does nothing."""
        due = {key_id for key_id in self.state.keys if self.state.due(key_id)}
        over = {
            version
            for key_id in self.state.keys
            if not self.state.frozen(key_id)
            for version in self.state.over(key_id)
        }
        summary = self.run()
        assert {*summary.rotated, *summary.finished} == due
        assert summary.failed == []
        after = State(self.others, self.now)
        for key_id, key in after.keys.items():
            rotated = key.current != self.state.keys[key_id].current
            assert rotated is (key_id in due)
            assert not over & {v for (k, v) in after.values if k == key_id}
            if self.state.frozen(key_id):
                assert key == self.state.keys[key_id]
        journal = Journal.begin(self.their_log, CONTEXT, lambda: self.now)
        pending = journal.pending_revocations()
        for key_id, versions in pending.items():
            # Of what is current the log remembers an emergency that came to nothing.
            current = after.keys[key_id].current
            assert after.frozen(key_id) or versions <= {current.id if current else ""}
            marked = [v.id for v in after.keys[key_id].versions if v.to_revoke]
            assert after.frozen(key_id) or not marked
        if twice:
            again = self.run()
            assert (again.rotated, again.finished, again.retired, again.failed) == ([], [], [], [])
            assert again.revoked == []
            # A rotation leaves one version more, so one that keep held back may go now.
            now = State(self.others, self.now).keys
            assert {k: key.current for k, key in now.items()} == {
                k: key.current for k, key in after.keys.items()
            }
        self.settled = True

    @rule(key_id=ids)
    def rotate(self, key_id: str) -> None:
        """Somebody asks for a rotation by name; a key that must not change is a failure."""
        summary = self.run([key_id])
        possible = key_id in self.state.keys and not self.state.frozen(key_id)
        assert [*summary.rotated, *summary.finished] == [key_id] * possible
        assert summary.failed == [key_id] * (not possible)
        self.settled = True

    @rule(key_id=ids)
    def leak(self, key_id: str) -> None:
        """A value has leaked: a new one is current, and what was current is retired at once."""
        summary = self.run([key_id], leaked=True)
        possible = key_id in self.state.keys and not self.state.frozen(key_id)
        assert [*summary.rotated, *summary.finished] == summary.revoked == [key_id] * possible
        assert summary.failed == [key_id] * (not possible)
        if possible:
            current = self.state.keys[key_id].current
            assert current is not None
            assert current.id in summary.revoked_versions[key_id]
            retired = self.others.store.describe(key_id).version(current.id)
            assert retired is not None
            assert retired.over
        self.settled = True

    @rule(key_id=ids, name=st.sampled_from(["rollback", "delete", "restore", "adopt"]))
    def operate(self, key_id: str, name: str) -> None:
        """An operator does something to a key, or is told why not."""
        frozen = key_id not in self.state.keys or self.state.frozen(key_id)
        try:
            self.operations()[name](key_id)
        except (KeyNotFound, NotManaged, RotationConflict):
            has_previous = not frozen and self.state.keys[key_id].previous is not None
            assert name in {"restore", "adopt"} or frozen or not has_previous
            assert name != "delete" or frozen

    @rule(key_id=ids, choice=choices, days=days, fault=st.tuples(points, effects, st.booleans()))
    def crash(self, key_id: str, choice: int, days: int, fault: tuple[int, Effect, bool]) -> None:
        """Something is killed, or refused, or loses an answer; the next run makes it right."""
        at, effect, again = fault
        self.now += days * DAY
        self.seam.arm(at, effect)
        possible = self.possible(key_id)
        with suppress(Killed, DaenaKMSError):
            self.operations()[possible[choice % len(possible)]](key_id)
        self.seam.calm()
        if again:
            self.now += 2 * HOUR
            assert self.run().failed == []
            self.settled = True

    @rule(
        pair=st.tuples(ids, ids),
        what=st.tuples(names, disturbances),
        days=days,
        calls=st.tuples(points, kills),
    )
    def race(
        self, pair: tuple[str, str], what: tuple[str, str], days: int, calls: tuple[int, int]
    ) -> None:
        """While something is done, somebody else does something, and perhaps it is killed then."""
        (key_id, other), (name, disturbance), (at, kill) = pair, what, calls
        self.now += days * DAY
        frozen: dict[str, object] = {}

        def meddle() -> None:
            with suppress(KeyNotFound):
                self.disturbances()[disturbance](other)
            then = State(self.others, self.now)
            frozen.update({k: key for k, key in then.keys.items() if then.frozen(k)})

        self.seam.arm(kill, Effect.KILLED_AFTER)
        self.seam.meddle(at, meddle)
        with suppress(Killed, KeyNotFound, NotManaged, RotationConflict):
            self.operations()[name](key_id)
        self.seam.calm()
        after = State(self.others, self.now)
        assert {k: after.keys[k] for k in frozen} == frozen
        if kill:
            self.now += 2 * HOUR
            assert self.run().failed == []
            self.settled = True

    @rule(key_id=ids, until=st.none() | st.integers(1, 60))
    def hold(self, key_id: str, until: int | None) -> None:
        """The owner puts a key on hold, for good or for some days."""
        if key_id in self.state.keys:
            text = "true" if until is None else (self.now + until * DAY).isoformat()
            retag(self.others, key_id, {HOLD: text})

    @rule(key_id=ids, tag=st.sampled_from([HOLD, HOLD, MANAGED]))
    def untag(self, key_id: str, tag: str) -> None:
        """The owner releases a key, or takes it out of management."""
        if key_id in self.state.keys:
            retag(self.others, key_id, {tag: None})

    @rule(hours=st.sampled_from([1, 23, 24, 7 * 24, 10 * 24, 31 * 24, 100 * 24]))
    def wait(self, hours: int) -> None:
        """Time passes."""
        self.now += timedelta(hours=hours)

    @invariant()
    def everything_holds(self) -> None:
        """Compare the store with what it was, and the log with the store."""
        self.now += MINUTE
        after = State(self.others, self.now)
        self.leaked |= leaked_in(self.their_log, self.checked)
        compare(self.state, after, self.values, self.leaked)
        for key_id, key in after.keys.items():
            # Adopting takes responsibility for the versions that are there.
            if key.tags.get(MANAGED) == "true" and not self.state.managed(key_id):
                self.unlogged -= {v.id for v in key.versions}
        self.values |= after.values
        self.state = after
        self.checked = check_records(self.their_log, self.checked, after)
        report = verify(self.their_log, list(self.others.store.scan()))
        assert report.problems == []
        if self.settled:
            open_ = [f for f in report.findings if f.status != CONFIRMED]
            assert {f.version for f in open_} <= self.unlogged, open_
        self.settled = False


Machine.TestCase.settings = settings(max_examples=15, stateful_step_count=25)
TestMachine = Machine.TestCase
