"""What an emergency leaves undone is not lost: the next run does it that looks at the key."""

from datetime import timedelta

import pytest
from daena_kms.errors import ConfigError, RotationConflict, StoreUnavailable
from daena_kms.rules.model import Key, VersionState
from daena_kms.stores.base import Store

from tests.faults.operations_emergency import states
from tests.worlds.base import DAY, FaultWorld

KEY = "app-key"
WHY = "seen in a public log"
HOUR = timedelta(hours=1)
RETIRED, CURRENT, PREVIOUS = VersionState.RETIRED, VersionState.CURRENT, VersionState.PREVIOUS


class Refusing:
    """Lets every retirement of a store fail until it is told to stop."""

    def __init__(self, store: Store, patch: pytest.MonkeyPatch) -> None:
        self.errors: list[Exception] = []
        revoke = store.revoke

        def refusing(key: Key, version: str, now: object) -> None:
            if self.errors:
                raise self.errors[0]
            revoke(key, version, now)  # type: ignore[arg-type] # as it came

        patch.setattr(store, "revoke", refusing)


@pytest.fixture
def refusing(world: FaultWorld, monkeypatch: pytest.MonkeyPatch) -> Refusing:
    """Give a world whose first emergency came as far as the new version, and no further."""
    world.operations().create(KEY, spec="token")
    made = Refusing(world.adapter.store, monkeypatch)
    made.errors.append(StoreUnavailable("it does not answer", key_id=KEY, todo="Wait"))
    return made


def emergency(world: FaultWorld, after: timedelta = HOUR) -> str:
    """Say that what is current has leaked; return its id."""
    old = world.current(KEY)
    summary = world.run(after, keys=[KEY], compromised=True, reason=WHY)
    assert (summary.rotated, summary.revoked, summary.failed) == ([KEY], [], [KEY])
    assert states(world) == [PREVIOUS, CURRENT]
    return old


@pytest.mark.parametrize(
    "error",
    [
        StoreUnavailable("it does not answer", key_id=KEY, todo="Wait"),
        ConfigError("it refuses", key_id=KEY, todo="Mend it"),
        RotationConflict("somebody else is at it", key_id=KEY, todo="Wait"),
        RuntimeError("unexpected"),
    ],
)
def test_a_retirement_that_failed_is_tried_by_every_run(
    world: FaultWorld, refusing: Refusing, error: Exception
) -> None:
    """Each run tries again and tells of it; the grace period does not matter."""
    refusing.errors[:] = [error]
    old = emergency(world)
    for hours in (2, 3, 30):
        summary = world.run(hours * HOUR)
        assert (summary.failed, summary.revoked) == ([KEY], [])
    refusing.errors.clear()
    summary = world.run(31 * HOUR)
    assert (summary.revoked_versions, summary.failed) == ({KEY: [old]}, [])
    assert summary.revoking == world.adapter.store.revoking
    assert states(world) == [RETIRED, CURRENT]
    assert world.run(32 * HOUR).actions == []
    assert world.verify().ok


def test_a_run_about_another_key_carries_it_on(world: FaultWorld, refusing: Refusing) -> None:
    """What it is not about it leaves, and the log does not forget it."""
    old = emergency(world)
    refusing.errors.clear()
    world.operations(2 * HOUR).create("other-key")
    assert world.run(3 * HOUR, keys=["other-key"]).rotated == ["other-key"]
    world.operations(4 * HOUR).hold("other-key")
    assert states(world) == [PREVIOUS, CURRENT]
    assert world.run(5 * HOUR).revoked_versions == {KEY: [old]}


def test_a_run_that_names_the_key_does_it_too(world: FaultWorld, refusing: Refusing) -> None:
    """An ordinary rotation by name first does what is owed; its own base keeps its grace."""
    old = emergency(world)
    refusing.errors.clear()
    summary = world.run(2 * HOUR, keys=[KEY])
    assert (summary.revoked_versions, summary.rotated) == ({KEY: [old]}, [KEY])
    assert states(world) == [RETIRED, PREVIOUS, CURRENT]


def test_a_second_emergency_does_both(world: FaultWorld, refusing: Refusing) -> None:
    """What is owed and what has leaked since."""
    first = emergency(world)
    refusing.errors.clear()
    second = world.current(KEY)
    summary = world.run(2 * HOUR, keys=[KEY], compromised=True, reason=WHY)
    assert sorted(summary.revoked_versions[KEY]) == sorted([first, second])
    assert states(world) == [RETIRED, RETIRED, CURRENT]
    assert world.run(3 * HOUR).actions == []


def test_a_dry_run_shows_what_is_owed(world: FaultWorld, refusing: Refusing) -> None:
    """With its reason; nothing changes."""
    old = emergency(world)
    refusing.errors.clear()
    before = world.state()
    actions = world.run(2 * HOUR, dry_run=True).actions
    assert [(a.kind.value, a.version) for a in actions] == [("retire", old)]
    assert "compromised and still readable" in actions[0].reason
    assert world.state() == before


def test_a_hold_keeps_it_and_its_end_lets_it_go(world: FaultWorld, refusing: Refusing) -> None:
    """Whoever sets a hold says stop; the run says that the version is readable still."""
    old = emergency(world)
    refusing.errors.clear()
    world.operations(2 * HOUR).hold(KEY)
    summary = world.run(3 * HOUR, dry_run=True)
    assert summary.held == [KEY]
    assert f"its compromised version {old} is still readable" in summary.actions[0].reason
    assert world.run(30 * HOUR).held == [KEY]
    assert states(world) == [PREVIOUS, CURRENT]
    world.operations(31 * HOUR).release(KEY)
    assert world.run(32 * HOUR).revoked == [KEY]


def test_a_key_out_of_management_is_left_alone(world: FaultWorld, refusing: Refusing) -> None:
    """And retired once it is managed again: the log keeps what is owed."""
    old = emergency(world)
    refusing.errors.clear()
    store = world.adapter.store
    store.tag(store.describe(KEY), {"daena.managed": "false"})
    for hours in (2, 40):
        assert world.run(hours * HOUR).actions == []
    assert states(world) == [PREVIOUS, CURRENT]
    store.tag(store.describe(KEY), {"daena.managed": "true"})
    assert world.run(41 * HOUR).revoked_versions == {KEY: [old]}


def test_a_deleted_key_that_comes_back_owes_it_still(world: FaultWorld, refusing: Refusing) -> None:
    """A deletion hides it from us, and a restoration would bring it back readable."""
    emergency(world)
    refusing.errors.clear()
    world.operations(2 * HOUR).delete(KEY)
    assert world.run(3 * HOUR).revoked == []
    world.operations(4 * HOUR).restore(KEY)
    assert world.run(5 * HOUR).revoked == [KEY]
    assert states(world) == [RETIRED, CURRENT]


def test_rolling_back_from_the_new_version_makes_no_old_one_current(
    world: FaultWorld, refusing: Refusing
) -> None:
    """A rollback is a version of its own: what leaked is retired, and its value's copy is not."""
    old = emergency(world)
    value = world.adapter.get_key(KEY, old)
    refusing.errors.clear()
    world.operations(2 * HOUR).rollback(KEY, old)
    assert world.run(3 * HOUR).revoked_versions == {KEY: [old]}
    assert world.adapter.get_key(KEY) == value
    assert states(world) == [RETIRED, PREVIOUS, CURRENT]


def test_what_somebody_enables_again_stays_so(world: FaultWorld) -> None:
    """An emergency is over when it is done: no later run retires the version a second time."""
    world.operations().create(KEY)
    world.run(HOUR, keys=[KEY], compromised=True, reason=WHY)
    before = world.state()
    for days in (1, 2):
        assert world.run(days * DAY).actions == []
    assert world.state() == before
