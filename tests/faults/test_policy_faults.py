"""A change of a policy: every call of it fails once, or is the last of its process."""

from datetime import timedelta

import pytest

from tests.faults.operations import KEY, MINUTE, Operation
from tests.faults.test_matrix import test_it_comes_right as comes_right
from tests.worlds.base import DAY, FaultWorld
from tests.worlds.seam import Effect

SPEC = {"daena.managed": "true", "daena.spec": "token"}


class SetPolicy(Operation):
    """Two tags are set, and one is removed."""

    at = timedelta(hours=1)

    def prepare(self, world: FaultWorld) -> None:
        """Have a key with a policy of its own."""
        world.operations().create(KEY, spec="token", tags={"daena.grace": "3d"})

    def act(self, world: FaultWorld) -> None:
        """Change it."""
        changes = {"rotate_after": "40d", "grace": None, "keep": 3}
        world.operations(self.at).set_policy(KEY, changes)

    def again(self, world: FaultWorld) -> None:
        """Change it once more, a little later."""
        self.at += MINUTE
        self.act(world)

    def check(self, world: FaultWorld) -> None:
        """The key has the policy and goes by it, and the log explains all of it."""
        tags = {**SPEC, "daena.rotate-after": "40d", "daena.keep": "3"}
        assert dict(world.look(KEY).tags) == tags
        assert world.run(50 * DAY).rotated == [KEY]
        assert not [note for note in world.verify().notes if "policy set" in note]


@pytest.mark.parametrize("effect", [Effect.BEFORE, Effect.KILLED_AFTER])
def test_a_policy_comes_right(world: FaultWorld, effect: Effect) -> None:
    """The same again, and one more run: the policy is whole, and verify has nothing to note."""
    comes_right(world, SetPolicy, effect)
