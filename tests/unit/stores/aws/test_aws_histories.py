"""Random histories of one secret: what its labels say is never wrong about what happened."""

from datetime import timedelta
from typing import TYPE_CHECKING, cast

from daena_kms.errors import RotationConflict, StoreUnavailable
from daena_kms.rules.crowding import has_room
from daena_kms.rules.model import PROMOTION_BOUND, Key, Version, VersionState
from daena_kms.rules.names import base_mark_of
from daena_kms.rules.policy import Defaults, parse_policy
from daena_kms.stores.aws.capabilities import CAN
from daena_kms.stores.aws.labels import (
    MAX_LABELS,
    Labels,
)
from daena_kms.stores.aws.state import labels_of
from daena_kms.stores.aws.store import AWSStore
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.unit.logs import Hands
from tests.unit.stores.aws.tiny_secret import Killed, TinySecret

if TYPE_CHECKING:
    from botocore.client import BaseClient

GRACE = timedelta(days=1)
NEVER = parse_policy({}, Defaults(), CAN)
EVER_CURRENT = {VersionState.CURRENT, VersionState.PREVIOUS, VersionState.RETIRED}


class Histories(RuleBasedStateMachine):
    """Rotations, crashes, races, outsiders, retirements, in any order and at any time."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Hands()
        self.secret = TinySecret(self.clock)
        client = cast("BaseClient", self.secret)
        self.store = AWSStore(None, None, None, secrets_client=client)
        #: Versions that a look of ours, before a change of ours, showed current or previous.
        self.seen: set[str] = set()
        self.released: set[str] = set()
        #: Versions that are known to be marked.
        self.leaked: set[str] = set()

    @initialize(ours=st.booleans(), puts=st.integers(0, 2))
    def begin(self, *, ours: bool, puts: int) -> None:
        """Create the secret, or adopt somebody else's."""
        if ours:
            self.store.create("some-key", "value", {}, self.clock())
        else:
            self.secret.outsider_puts()
            for _ in range(puts):
                self.clock.pass_(days=1)
                self.secret.outsider_puts()
            self.store.adopt(self.look(), {"daena.managed": "true"}, self.clock())

    def look(self) -> Key:
        """Look at the key, as every change of ours does first."""
        return self.store.describe("some-key")

    def changed(self, key: Key) -> None:
        """Note what a completed change of ours has had in sight."""
        self.seen |= {v.id for v in key.versions if v.state in {VersionState.CURRENT, "previous"}}

    @rule(minutes=st.sampled_from([1, 14, 16, 60, 24 * 60 + 16, 10 * 24 * 60]))
    def wait(self, minutes: int) -> None:
        """Let time pass."""
        self.clock.pass_(minutes=minutes)

    @rule(takes=st.integers(0, 9), dies=st.integers(0, 6), after=st.booleans())
    def rotate(self, takes: int, dies: int, *, after: bool) -> None:
        """Rotate, whole or up to some call."""
        key = self.look()
        if not has_room(key, NEVER, self.clock(), 0):
            return
        self.secret.die_at, self.secret.after = dies, after
        try:
            staged = self.store.stage(key, "value", self.clock())
            self.changed(key)
            self.clock.pass_(minutes=takes)
            self.store.promote(key, staged, self.clock())
        except Killed:
            pass
        except StoreUnavailable:
            # At the limit of labels, for what a crash has left gives way only when it is certain
            # that nobody is at it any more.
            assert len(self.secret.labels) >= MAX_LABELS - 1
            assert self.fresh_pending(key)
        finally:
            self.secret.die_at = 0

    def fresh_pending(self, key: Key) -> bool:
        """Whether a rotation of the last minutes may be under way yet."""
        since = self.clock() - PROMOTION_BOUND
        pending = [v for v in key.versions if v.state is VersionState.PENDING]
        return any(v.base_mark is not None and v.created >= since for v in pending)

    @precondition(lambda self: len(self.secret.labels) < MAX_LABELS - 7)
    @rule(outsider=st.booleans(), dies=st.integers(0, 3))
    def race(self, dies: int, *, outsider: bool) -> None:
        """Two of ours from one base, or one of ours and an outsider: ours loses."""
        key = self.look()
        staged = self.store.stage(key, "value", self.clock())
        self.changed(key)
        if outsider:
            self.secret.outsider_puts()
        else:
            again = self.look()
            winner = self.store.stage(again, "value", self.clock())
            self.store.promote(again, winner, self.clock())
        try:
            self.store.promote(key, staged, self.clock())
        except RotationConflict:
            self.secret.die_at = dies
            try:
                self.store.abandon(key, staged)
            except Killed:
                pass
            finally:
                self.secret.die_at = 0
        else:
            raise AssertionError(staged)

    @precondition(lambda self: len(self.secret.labels) < MAX_LABELS - 2)
    @rule()
    def outsider_puts(self) -> None:
        """Somebody puts a value past us."""
        self.secret.outsider_puts()

    @rule(dies=st.integers(0, 4), after=st.booleans())
    def retire(self, dies: int, *, after: bool) -> None:
        """Retire what is due for it, whole or up to some call."""
        key = self.look()
        for version in key.versions:
            if not self.is_over(version):
                continue
            self.secret.die_at, self.secret.after = dies, after
            try:
                self.store.retire(self.look(), version.id, self.clock())
            except Killed:
                return
            except StoreUnavailable:
                assert len(self.secret.labels) == MAX_LABELS
                # What an emergency has left is made up for first, and needs no further label.
                if any(v.to_revoke for v in key.versions):
                    return
                assert not EVER_CURRENT.issuperset(v.state for v in key.versions)
                return
            finally:
                self.secret.die_at = 0

    @rule(dies=st.integers(0, 8), after=st.booleans())
    def leak(self, dies: int, *, after: bool) -> None:
        """Rotate away from the current version and revoke it, whole or up to some call.

        Where the look promises room, no call is ever refused for want of labels.
        """
        key = self.look()
        if key.current is None or (key.room or 0) + key.reserve < 1:
            return
        old = key.current.id
        self.secret.die_at, self.secret.after = dies, after
        try:
            key = self.store.mark_compromised(key, old, self.clock())
            self.leaked.add(old)
            known = labels_of(key).stages
            assert {v: set(s) for v, s in self.secret.stages().items()} == {
                v: set(s) for v, s in known.items()
            }
            staged = self.store.stage(key, "value", self.clock())
            self.changed(key)
            self.store.promote(key, staged, self.clock())
            self.store.revoke(self.look(), old, self.clock())
        except Killed:
            return
        finally:
            self.secret.die_at = 0
        found = self.look().version(old)
        assert found is not None
        assert found.revoked

    @rule(dies=st.integers(0, 5), after=st.booleans())
    def revoke(self, dies: int, *, after: bool) -> None:
        """Revoke what the labels say is to be revoked, whole or up to some call."""
        self.secret.die_at, self.secret.after = dies, after
        try:
            for version in self.look().versions:
                if version.to_revoke and version.state is not VersionState.CURRENT:
                    self.store.revoke(self.look(), version.id, self.clock())
        except Killed:
            return
        finally:
            self.secret.die_at = 0
        left = [v.state for v in self.look().versions if v.to_revoke]
        assert set(left) <= {VersionState.CURRENT}

    @rule(dies=st.integers(0, 8), after=st.booleans())
    def retire_and_rotate(self, dies: int, *, after: bool) -> None:
        """Rotate right after a retirement, which leaves a part of itself to that."""
        due = [v.id for v in self.look().versions if self.is_over(v)]
        if not due:
            return
        self.secret.die_at, self.secret.after = dies, after
        try:
            self.store.retire_before_rotating(self.look(), due[0], self.clock())
            key = self.look()
            if not has_room(key, NEVER, self.clock(), 0):
                return
            staged = self.store.stage(key, "value", self.clock())
            self.changed(key)
            self.store.promote(key, staged, self.clock())
        except Killed:
            return
        except StoreUnavailable:
            assert len(self.secret.labels) >= MAX_LABELS - 1
            return
        finally:
            self.secret.die_at = 0
        found = self.look().version(due[0])
        assert found is None or found.unlabelled or found.state is VersionState.RETIRED

    def is_over(self, version: Version) -> bool:
        """Whether the grace of a version is over."""
        superseded = None if version.unlabelled else version.superseded
        previous = version.state is VersionState.PREVIOUS and superseded is not None
        return previous and self.clock() >= (superseded or version.created) + GRACE

    @rule()
    def destroy(self) -> None:
        """Let go what was retired first, keeping two."""
        key = self.look()
        kept = [v for v in key.versions if v.state in EVER_CURRENT]
        retired = [v for v in kept if v.state is VersionState.RETIRED and v.retired is not None]
        retired.sort(key=lambda v: (v.retired or v.created, v.id))
        for version in retired[: max(0, len(kept) - 2)]:
            try:
                self.store.destroy(self.look(), version.id, self.clock())
            except StoreUnavailable:
                # As with a retirement: what an emergency has left is made up for first.
                assert len(self.secret.labels) == MAX_LABELS
                assert any(v.to_revoke for v in self.look().versions)
                return
            self.released.add(version.id)

    @invariant()
    def the_labels_are_true(self) -> None:
        """What never was current is never taken for it, and what we saw current always is."""
        stages, happened = self.secret.stages(), self.secret.superseded
        listed = Labels(stages)
        for version in stages:
            if version in self.seen:
                assert listed.state(version) in EVER_CURRENT
        labels = Labels(stages, self.secret.made)
        for version in labels.unlabelled:
            # Nobody's version is lost by us, and what lost a race to one of ours is not offered.
            state = labels.state(version)
            assert version in self.released or version not in self.seen or state in EVER_CURRENT
            if version not in happened and state in EVER_CURRENT:
                assert not any(
                    base_mark_of(v) == base_mark_of(version) for v in happened if v != version
                )
        for version in stages:
            state = labels.state(version)
            assert version in happened or state not in EVER_CURRENT
            assert version not in self.seen or state in EVER_CURRENT
            if state is VersionState.PREVIOUS:
                ended, known = happened[version], labels.superseded(version)
                assert known is None or (ended is not None and known >= ended)
            assert version not in self.leaked - self.released or labels.marks(version)
        assert self.leaked - self.released <= stages.keys()
        assert len(self.secret.labels) <= MAX_LABELS


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=60, stateful_step_count=30)
