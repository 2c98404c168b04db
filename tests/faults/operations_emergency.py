"""What the matrix does in an emergency: a rotation away from a value that has leaked."""

from datetime import timedelta

from daena_kms.rules.model import Version, VersionState
from daena_kms.rules.summary import Summary

from tests.faults.operations import KEY, Operation
from tests.worlds.base import DAY, FaultWorld


def lived(world: FaultWorld, key_id: str = KEY) -> list[Version]:
    """Return the versions that are or were current, the oldest first."""
    versions = [v for v in world.look(key_id).versions if v.was_current]
    return sorted(versions, key=lambda v: (v.state is VersionState.CURRENT, v.created))


def states(world: FaultWorld) -> list[VersionState]:
    """Return the states of the versions that ever were current, the oldest first."""
    return [v.state for v in lived(world)]


class Compromised(Operation):
    """An emergency; after a fault past its promotion an ordinary run does the rest."""

    at = DAY
    promotes = 1
    _said: Summary | None = None

    def prepare(self, world: FaultWorld) -> None:
        """Rotate once, so that there is a version before the one that leaks."""
        super().prepare(world)
        assert world.run(timedelta(hours=1), keys=[KEY]).rotated == [KEY]

    def kept(self, world: FaultWorld) -> dict[str, str]:
        """The version before reads on, whatever becomes of the one that leaked."""
        first = lived(world)[0].id
        return {first: world.adapter.store.read(KEY, first)}

    def act(self, world: FaultWorld) -> None:
        """Say that what is current has leaked."""
        self._said = world.run(self.at, keys=[KEY], compromised=True, reason="it leaked")

    def again(self, world: FaultWorld) -> None:
        """Say it again if the same version is current still, or else let any run go on."""
        if len(lived(world)) == 2:
            self.act(world)
        else:
            world.run(self.at)

    def honest(self, world: FaultWorld) -> None:
        """It says that a version is revoked only if it is retired, and names the key if not."""
        if self._said is None:
            return
        leaked = lived(world)[1]
        if self._said.revoked:
            assert leaked.over
            assert self._said.revoked_versions == {KEY: [leaked.id]}
        else:
            assert self._said.failed == [KEY]

    def check(self, world: FaultWorld) -> None:
        """What leaked is retired; what came after it is current and reads."""
        wanted = [VersionState.PREVIOUS, VersionState.RETIRED, VersionState.CURRENT]
        assert states(world) == wanted
        assert world.adapter.get_key(KEY) == world.adapter.store.read(KEY, world.current(KEY))
