"""Every call of a recorded rotation fails once in each way; then all goes on and comes right."""

import contextlib
import secrets
from datetime import timedelta

import pytest
from daena_kms.errors import DaenaKMSError

from tests.faults.operations import KEY, Create, Operation, Rollback
from tests.faults.services import chain, service
from tests.faults.test_matrix import EFFECTS, comes_right
from tests.worlds.base import DAY, FaultWorld
from tests.worlds.seam import Effect


class Recorded(Operation):
    """A rotation with the caller's value, not repeated once the value is current."""

    at = DAY
    promotes = 1
    _first = secrets.token_urlsafe()
    _value = secrets.token_urlsafe()

    def prepare(self, world: FaultWorld) -> None:
        """Record the first one."""
        service(world).record_rotation(self._first, KEY)

    def act(self, world: FaultWorld) -> None:
        """Record the next."""
        record = service(world, self.at).record_rotation(self._value, KEY, {"n": 1})
        # What it says is so: that version holds just that value.
        assert record.version is not None
        assert world.adapter.store.read(KEY, record.version) == self._value

    def again(self, world: FaultWorld) -> None:
        """Record it again, unless it is there."""
        if self._value not in world.readable(KEY).values():
            self.act(world)

    def check(self, world: FaultWorld) -> None:
        """It is current and whole, the one before it reads, and the manifests lie about nothing."""
        values = world.readable(KEY)
        assert values[world.current(KEY)] == self._value
        assert sorted(values.values()) == sorted({self._first, self._value})
        check_manifests(world)


class First(Recorded, Create):
    """The record that creates the key."""

    def prepare(self, world: FaultWorld) -> None:
        """Have another key there."""
        Create.prepare(self, world)

    def kept(self, world: FaultWorld) -> dict[str, str]:
        """The other key stays."""
        return Create.kept(self, world)

    def again(self, world: FaultWorld) -> None:
        """Record it again, unless it is there."""
        with contextlib.suppress(DaenaKMSError):
            if self._value in world.readable(KEY).values():
                return
        self.act(world)

    def check(self, world: FaultWorld) -> None:
        """It is the one version there is."""
        assert list(world.readable(KEY).values()) == [self._value]
        check_manifests(world)


class RolledBack(Rollback):
    """A rollback that is attested."""

    def act(self, world: FaultWorld) -> None:
        """Roll back."""
        service(world, self.at).rollback_key(KEY)

    def check(self, world: FaultWorld) -> None:
        """The manifests agree."""
        super().check(world)
        check_manifests(world)


def check_manifests(world: FaultWorld) -> None:
    """Assert that the chain is right, and that each version is attested at most once."""
    report = chain(world)
    assert report.problems == []
    kms = service(world)
    found = [(m.key_id, m.version) for m in kms.iter_manifests()]
    assert len(set(found)) == len(found)
    versions = {v.id for v in world.look(KEY).versions}
    assert {version for key_id, version in found if key_id == KEY} <= versions
    for manifest in kms.iter_manifests():
        if manifest.key_id == KEY and manifest.version is not None:
            assert kms.matches(manifest, world.adapter.store.read(KEY, manifest.version))


@pytest.mark.parametrize(
    ("kind", "effect"),
    [
        *((Recorded, effect) for effect in EFFECTS),
        *((kind, Effect.KILLED_AFTER) for kind in (First, RolledBack)),
    ],
)
def test_a_recorded_rotation_comes_right(
    world: FaultWorld, kind: type[Operation], effect: Effect
) -> None:
    """After a fault at any call, of the store, the log or the manifests: as in the great matrix."""
    comes_right(world, kind, effect)


def test_the_time_of_each_world(world: FaultWorld) -> None:
    """The service is at the time that it is given, which the matrix relies on."""
    record = service(world, 5 * DAY).record_rotation(secrets.token_urlsafe(), KEY)
    assert timedelta() <= record.time - world.at(5 * DAY) < timedelta(minutes=1)
