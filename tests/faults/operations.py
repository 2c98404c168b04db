"""What the matrix of faults does: each operation, what it needs, and what it must come to."""

import contextlib
import secrets
from abc import ABC, abstractmethod
from datetime import timedelta

from daena_kms.errors import DaenaKMSError, KeyExists, NotManaged
from daena_kms.rules.model import VersionState
from daena_kms.rules.summary import Summary

from tests.worlds.base import DAY, FaultWorld

KEY = "app-key"
MINUTE = timedelta(minutes=1)


class Operation(ABC):
    """One operation: what must be there before, what it does, and what must be so in the end."""

    #: When it is done, counted from the world's beginning.
    at = timedelta()
    #: How many promotions it makes.
    promotes = 0
    #: What it raises when it is done a second time after it took effect.
    done: tuple[type[DaenaKMSError], ...] = ()

    def possible(self, world: FaultWorld) -> bool:
        """Return whether this store can do it at all."""
        del world
        return True

    def prepare(self, world: FaultWorld) -> None:
        """Make what the operation needs."""
        world.operations().create(KEY)

    def honest(self, world: FaultWorld) -> None:  # noqa: B027 - only a run says what it did
        """Assert that what it said of itself is so."""

    @abstractmethod
    def act(self, world: FaultWorld) -> None:
        """Do it."""

    def again(self, world: FaultWorld) -> None:
        """Do it again after it was interrupted."""
        with contextlib.suppress(*self.done):
            self.act(world)

    def kept(self, world: FaultWorld) -> dict[str, str]:
        """Return the values, by version, that must be readable before and after."""
        return world.readable(KEY)

    def check(self, world: FaultWorld) -> None:
        """Assert that it is done: the key is there."""
        assert world.current(KEY)


class Create(Operation):
    """A new key."""

    promotes = 1
    done = (KeyExists,)

    def kept(self, world: FaultWorld) -> dict[str, str]:
        """The other key stays."""
        return world.readable("other-key")

    def prepare(self, world: FaultWorld) -> None:
        """Have another key there."""
        world.operations().create("other-key")

    def act(self, world: FaultWorld) -> None:
        """Create it."""
        world.operations(self.at).create(KEY)


class Run(Operation):
    """A scheduled run on a key that is due."""

    at = 91 * DAY
    promotes = 1
    _keys: tuple[str, ...] = (KEY,)
    _said: Summary | None = None

    def act(self, world: FaultWorld) -> None:
        """Run with one worker, so that the calls are in the same order each time."""
        self._said = world.run(self.at, workers=1)

    def honest(self, world: FaultWorld) -> None:
        """What it says is rotated is so; each other key is named as failed."""
        if self._said is None:
            return
        done = {*self._said.rotated, *self._said.finished}
        for key_id in self._keys:
            assert (key_id in done) is not (key_id in self._said.failed)
            assert len(world.readable(key_id)) > 1 or key_id in self._said.failed

    def check(self, world: FaultWorld) -> None:
        """The new version was made from the old one, which still reads."""
        assert [len(world.readable(key_id)) for key_id in self._keys] == [2] * len(self._keys)


class Several(Run):
    """A scheduled run on two keys that are due, one after the other."""

    promotes = 2
    _keys = (KEY, "app-key-2")

    def prepare(self, world: FaultWorld) -> None:
        """Make both."""
        for key_id in self._keys:
            world.operations().create(key_id)


class Named(Run):
    """A rotation that was asked for by name and not repeated: what was asked for is not due."""

    at = DAY

    def act(self, world: FaultWorld) -> None:
        """Rotate by name."""
        self._said = world.run(self.at, keys=[KEY])

    def again(self, world: FaultWorld) -> None:
        """Rotate by name, unless that is done."""
        if len(world.readable(KEY)) == 1:
            self.act(world)


class Retire(Operation):
    """A scheduled run after the grace of a token's previous version."""

    at = 99 * DAY

    def prepare(self, world: FaultWorld) -> None:
        """Rotate a token once."""
        world.operations().create(KEY, spec="token")
        assert world.run(91 * DAY).rotated == [KEY]

    def kept(self, world: FaultWorld) -> dict[str, str]:
        """The current version stays."""
        now = world.current(KEY)
        return {now: world.readable(KEY)[now]}

    def act(self, world: FaultWorld) -> None:
        """Run."""
        world.run(self.at)

    def check(self, world: FaultWorld) -> None:
        """One version is retired."""
        states = sorted(v.state for v in world.look(KEY).versions)
        assert states == [VersionState.CURRENT, VersionState.RETIRED]


class Destroy(Retire):
    """A scheduled run after the time that a retired version is kept for, at least seven days."""

    at = 68 * DAY

    def possible(self, world: FaultWorld) -> bool:
        """Return whether one version can go."""
        return world.adapter.store.can.destroy_means is not None

    def prepare(self, world: FaultWorld) -> None:
        """Rotate twice, and retire twice."""
        tags = {"daena.grace": "1d", "daena.destroy-after": "5d", "daena.rotate-after": "30d"}
        world.operations().create(KEY, spec="token", tags=tags)
        assert world.run(30 * DAY + MINUTE).rotated == [KEY]
        summary = world.run(60 * DAY + 2 * MINUTE)
        assert (summary.rotated, summary.retired) == ([KEY], [KEY])
        assert world.run(62 * DAY).retired == [KEY]

    def check(self, world: FaultWorld) -> None:
        """The current and one retired version are left, and on AWS what has no label any more."""
        versions = world.look(KEY).versions
        left = (v for v in versions if not v.unlabelled)
        states = [v.state for v in left if v.state is not VersionState.DESTROYED]
        assert sorted(states) == [VersionState.CURRENT, VersionState.RETIRED]


class Rollback(Operation):
    """A rollback to the first version."""

    at = DAY
    promotes = 1

    def prepare(self, world: FaultWorld) -> None:
        """Rotate once."""
        super().prepare(world)
        assert world.run(timedelta(hours=1), keys=[KEY]).rotated == [KEY]

    def act(self, world: FaultWorld) -> None:
        """Roll back."""
        world.operations(self.at).rollback(KEY)

    def again(self, world: FaultWorld) -> None:
        """Roll back, unless that is done."""
        if len(world.readable(KEY)) == 2:
            self.act(world)

    def check(self, world: FaultWorld) -> None:
        """The first value is current once more, and both versions before still read."""
        values = world.readable(KEY)
        now = world.current(KEY)
        assert len(values) == 3
        assert sum(value == values[now] for value in values.values()) == 2


class Adopt(Operation):
    """The enrolment of somebody else's key."""

    at = timedelta(minutes=5)
    done = (NotManaged,)

    def prepare(self, world: FaultWorld) -> None:
        """Make a key past us."""
        world.foreign(KEY, secrets.token_urlsafe(), {"owner": "them"})

    def act(self, world: FaultWorld) -> None:
        """Adopt it."""
        world.operations(self.at).adopt(KEY, spec="token")

    def check(self, world: FaultWorld) -> None:
        """It is managed."""
        assert world.adapter.list_keys() == [KEY]


class Delete(Operation):
    """A deletion."""

    at = DAY

    def kept(self, world: FaultWorld) -> dict[str, str]:
        """Nothing reads once it is deleted."""
        del world
        return {}

    def act(self, world: FaultWorld) -> None:
        """Delete it."""
        world.operations(self.at).delete(KEY)

    def check(self, world: FaultWorld) -> None:
        """It is deleted, and can be restored as it was."""
        assert world.adapter.store.describe(KEY).deleted is not None
        world.operations(self.at + 5 * MINUTE).restore(KEY)


class Restore(Delete):
    """The restoration of a deleted key."""

    at = DAY

    def prepare(self, world: FaultWorld) -> None:
        """Delete a key."""
        super().prepare(world)
        world.operations(timedelta(hours=1)).delete(KEY)

    def act(self, world: FaultWorld) -> None:
        """Restore it."""
        world.operations(self.at).restore(KEY)

    def check(self, world: FaultWorld) -> None:
        """It is there."""
        assert world.adapter.store.describe(KEY).deleted is None


OPERATIONS = (Create, Run, Several, Named, Retire, Destroy, Rollback, Adopt, Delete, Restore)
