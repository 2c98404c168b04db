"""Faults at every call on a key whose labels have run short, on AWS."""

from datetime import timedelta

import pytest
from daena_kms.rules.model import VersionState
from daena_kms.rules.summary import Summary
from daena_kms.stores.aws.labels import MAX_LABELS

from tests.faults.at_once import at_once
from tests.faults.operations import KEY, MINUTE, Operation, Rollback, Run
from tests.faults.test_matrix import comes_right
from tests.worlds.aws import AwsWorld
from tests.worlds.base import DAY, FaultWorld
from tests.worlds.seam import Effect

VERSIONS = 18


def crowd(world: FaultWorld) -> None:
    """Make a key whose oldest versions have no label, and whose next rotation needs one."""
    assert isinstance(world, AwsWorld)
    world.operations().create(KEY)
    for number in range(1, VERSIONS):
        assert world.run(number * MINUTE, keys=[KEY]).rotated == [KEY]
    assert len(world.sim.secrets.secret(KEY).labels) == MAX_LABELS - 1
    assert any(version.unlabelled for version in world.look(KEY).versions)


class ShortRun(Run):
    """A scheduled run on such a key."""

    def prepare(self, world: FaultWorld) -> None:
        """Use up the labels."""
        crowd(world)

    def honest(self, world: FaultWorld) -> None:
        """What it says is rotated is so."""
        if self._said is not None:
            done = {*self._said.rotated, *self._said.finished}
            assert (KEY in done) is not (KEY in self._said.failed)
            assert KEY in self._said.failed or len(world.readable(KEY)) == VERSIONS + 1

    def check(self, world: FaultWorld) -> None:
        """Every version reads, the new one as well."""
        assert len(world.readable(KEY)) == VERSIONS + 1


class ShortRollback(Rollback):
    """A rollback of such a key to a version that has no label."""

    def prepare(self, world: FaultWorld) -> None:
        """Use up the labels."""
        crowd(world)

    def act(self, world: FaultWorld) -> None:
        """Roll back to the oldest."""
        oldest = min(world.look(KEY).versions, key=lambda v: v.created)
        assert oldest.unlabelled
        world.operations(self.at).rollback(KEY, oldest.id)

    def again(self, world: FaultWorld) -> None:
        """Roll back unless that is done."""
        if len(world.readable(KEY)) == VERSIONS:
            self.act(world)

    def check(self, world: FaultWorld) -> None:
        """Two versions have one value."""
        values = world.readable(KEY)
        assert len(values) == VERSIONS + 1
        assert len({*values.values()}) == VERSIONS


class ShortEmergency(Operation):
    """An emergency on such a key; an ordinary run does what is left of it."""

    at = DAY
    promotes = 1

    def prepare(self, world: FaultWorld) -> None:
        """Use up the labels."""
        crowd(world)

    def kept(self, world: FaultWorld) -> dict[str, str]:
        """All but the version that leaks."""
        ever = sorted((v for v in world.look(KEY).versions if v.was_current), key=lambda v: v.id)
        return {v.id: world.adapter.store.read(KEY, v.id) for v in ever[: VERSIONS - 1]}

    def act(self, world: FaultWorld) -> None:
        """Say that what is current has leaked."""
        world.run(self.at, keys=[KEY], compromised=True, reason="it leaked")

    def again(self, world: FaultWorld) -> None:
        """Say it again if the same version is current still, or else let any run go on."""
        if len([v for v in world.look(KEY).versions if v.was_current]) == VERSIONS:
            self.act(world)
        else:
            world.run(self.at)

    def check(self, world: FaultWorld) -> None:
        """What leaked is retired, and marked."""
        marked = [v for v in world.look(KEY).versions if v.compromised]
        assert [(v.state, v.unlabelled) for v in marked] == [(VersionState.RETIRED, False)]
        assert len(world.readable(KEY)) == VERSIONS


class RetireAndRotate(Run):
    """A run that retires a token's version and rotates it, which share their calls."""

    at = 182 * DAY

    def prepare(self, world: FaultWorld) -> None:
        """Rotate once."""
        world.operations().create(KEY, spec="token")
        assert world.run(91 * DAY).rotated == [KEY]

    def kept(self, world: FaultWorld) -> dict[str, str]:
        """The version that was current."""
        now = sorted((v for v in world.look(KEY).versions if v.was_current), key=lambda v: v.id)[1]
        return {now.id: world.adapter.store.read(KEY, now.id)}

    def honest(self, world: FaultWorld) -> None:
        """What it says is retired is so, whatever became of the rotation."""
        if self._said is not None and KEY in self._said.retired:
            oldest = min(world.look(KEY).versions, key=lambda v: v.created)
            assert oldest.state is VersionState.RETIRED

    def check(self, world: FaultWorld) -> None:
        """One is retired, one in grace, one current."""
        states = sorted(v.state for v in world.look(KEY).versions if v.was_current)
        assert states == ["current", "previous", "retired"]


#: The three go through the same calls, so they share the effects between them.
SHORT = [
    *((ShortRun, effect) for effect in (Effect.AFTER, Effect.KILLED_AFTER)),
    (ShortEmergency, Effect.KILLED_AFTER),
    (ShortRollback, Effect.BEFORE),
]


@pytest.mark.parametrize(
    ("kind", "effect"),
    [*SHORT, *((RetireAndRotate, effect) for effect in Effect)],
)
def test_it_comes_right(aws: AwsWorld, kind: type[Operation], effect: Effect) -> None:
    """As in the matrix of all faults: every value stays, nothing pending is promoted."""
    comes_right(aws, kind, effect)


def test_many_triggers_at_once_on_such_a_key(aws: AwsWorld) -> None:
    """One rotation is made; no value is lost, and nothing that lost is offered."""
    crowd(aws)
    before = aws.readable(KEY)
    runs = [lambda: aws.run(91 * DAY, workers=1) for _ in range(8)]
    summaries = at_once(runs)
    made = [v for s in summaries if isinstance(s, Summary) for v in s.new_versions.values()]
    assert len(set(made)) == 1
    aws.run(91 * DAY + timedelta(hours=1))
    after = aws.readable(KEY)
    assert after.items() >= before.items()
    assert set(after) == {*before, made[0]}
    assert len(aws.sim.secrets.secret(KEY).labels) <= MAX_LABELS
