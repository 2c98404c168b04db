"""A destruction that somebody asked for: whatever we do to the key, it is not cancelled.

Enabling or disabling a version that waits for its destruction cancels that
(https://cloud.google.com/secret-manager/docs/delay-destruction-of-secret-versions).
"""

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from daena_kms.errors import KeyNotFound, RotationConflict
from daena_kms.rules.model import VersionState
from daena_kms.sdk.gcp.errors import Moved
from daena_kms.stores.gcp.secret import Secrets

from tests.unit.stores.gcp.gcp_projects import KEY, NAME, Project, project

TTL = timedelta(days=30)


@pytest.fixture
def world() -> Iterator[Project]:
    """A key with a previous version, in a secret whose destructions take thirty days."""
    with project() as made:
        made.rotate()
        secret = {"name": NAME, "version_destroy_ttl": TTL}
        mask = {"paths": ["version_destroy_ttl"]}
        made.client.update_secret(request={"secret": secret, "update_mask": mask})
        made.sim.calls.clear()
        yield made


def condemn(world: Project, version: str = "1") -> None:
    """Ask for a version's destruction, as somebody else would."""
    world.client.destroy_secret_version(request={"name": f"{NAME}/versions/{version}"})


def is_condemned(world: Project, version: str = "1") -> bool:
    """Whether the version is still to be destroyed."""
    held = world.secret.versions[int(version)]
    return held.state.name == "DISABLED" and held.scheduled_destroy_time is not None


def retire(world: Project) -> None:
    """Retire the previous version."""
    world.store.retire(world.look(), "1", world.now)


def retire_and_rotate(world: Project) -> None:
    """Retire it right before a rotation."""
    after = world.store.retire_before_rotating(world.look(), "1", world.now)
    staged = world.store.stage(after, "a value", world.now)
    world.store.promote(after, staged, world.now)


def revoke(world: Project) -> None:
    """Revoke it as compromised."""
    world.store.revoke(world.look(exact=True), "1", world.now)


def destroy(world: Project) -> None:
    """Destroy it."""
    world.store.destroy(world.look(exact=True), "1", world.now)


def delete(world: Project) -> None:
    """Delete the key."""
    world.store.delete(world.look(), world.now)


ACTS = [retire, retire_and_rotate, revoke, destroy, delete]


@pytest.mark.parametrize("act", ACTS, ids=lambda act: act.__name__)
def test_a_version_that_is_to_be_destroyed_is_left_alone(
    world: Project, act: Callable[[Project], None]
) -> None:
    """Before us somebody asked for its destruction: no call switches it, a second destroy least."""
    condemn(world)
    act(world)
    assert is_condemned(world)
    switches = ("Enable", "Disable", "Destroy")
    ours = [c for c in world.sim.calls if c.principal == "rotator" and c.outcome == "ok"]
    switched = [str(c.params["name"]) for c in ours if c.operation.startswith(switches)]
    assert not [name for name in switched if name.endswith("/1")]


@pytest.mark.parametrize("act", ACTS, ids=lambda act: act.__name__)
def test_a_destruction_that_is_asked_for_in_between(
    world: Project, act: Callable[[Project], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Right before our call, after every look: the version's etag fences it."""
    inner = Secrets._switch
    condemned: list[int] = []

    def switch(self: Secrets, verb: str, leave: set[str], *given: str) -> object:
        if not condemned and given[1] == "1":
            condemned.append(1)
            get = Secrets.get_version

            def get_late(self: Secrets, key_id: str, version: str) -> object:
                shown = get(self, key_id, version)
                monkeypatch.setattr(Secrets, "get_version", get)
                condemn(world)
                return shown

            if given[2:] and given[2]:
                condemn(world)
            else:
                monkeypatch.setattr(Secrets, "get_version", get_late)
        return inner(self, verb, leave, *given)

    if act is destroy:
        world.client.disable_secret_version(request={"name": f"{NAME}/versions/1"})
    monkeypatch.setattr(Secrets, "_switch", switch)
    act(world)
    assert condemned
    assert is_condemned(world)


def test_the_loser_of_a_race_leaves_it_alone_too(world: Project) -> None:
    """Its own version, which somebody wants destroyed by now."""
    staged = world.stage()
    condemn(world, staged.version_id)
    world.store.abandon(world.look(), staged)
    assert is_condemned(world, staged.version_id)


def test_a_version_of_ours_takes_one_call_to_disable(world: Project) -> None:
    """By the etag that it was made with; one that was switched since is looked at again."""
    staged = world.stage()
    world.sim.calls.clear()
    world.store.abandon(world.look(), staged)
    assert world.sim.calls.operations() == ["GetSecret", "DisableSecretVersion"]
    world.promote(staged)
    world.pass_(days=1)
    world.rotate()
    world.sim.calls.clear()
    look = world.look()
    world.store.retire(look, "3", world.now)
    again = ["DisableSecretVersion", "GetSecretVersion", "DisableSecretVersion"]
    assert world.sim.calls.operations() == ["GetSecret", *again, "UpdateSecret"]
    assert world.states[3] == "DISABLED"


def test_the_end_of_a_version_is_shown(world: Project) -> None:
    """A closer look says when; for the plan it is gone, also where it is the current one."""
    condemn(world)
    (gone,) = (v for v in world.look(exact=True).versions if v.id == "1")
    assert gone.state is VersionState.DESTROYED
    assert gone.to_be_destroyed is not None
    assert abs(gone.to_be_destroyed - world.now - TTL) < timedelta(minutes=1)
    with pytest.raises(KeyNotFound, match="that version is to be destroyed at 20"):
        world.store.read(KEY, "1")
    condemn(world, "2")
    key = world.look(exact=True)
    assert key.current is None
    assert "its current version is to be destroyed at 20" in str(key.trouble)


def test_a_restored_key_leaves_it_disabled_and_says_so(world: Project) -> None:
    """It was enabled when the key was deleted, and condemned since."""
    world.store.delete(world.look(), world.now)
    condemn(world)
    left = world.store.restore(world.look())
    assert left is not None
    assert "its version 1 stays disabled, because somebody has asked for its destruction" in left
    assert "gcloud secrets versions enable 1 --secret=some-key" in left
    assert is_condemned(world)
    assert world.states[2] == "ENABLED"
    assert world.look().deleted is None
    assert world.store.restore(world.look()) is None


def test_a_restored_key_whose_current_version_is_condemned_or_gone(world: Project) -> None:
    """The result names both: its readers fail until somebody decides."""
    world.store.delete(world.look(), world.now)
    condemn(world)
    world.pass_(days=31)
    condemn(world, "2")
    left = world.store.restore(world.look())
    assert left is not None
    assert left.startswith("its version 1 is destroyed; its current version 2 stays disabled")
    assert is_condemned(world, "2")
    assert world.look(exact=True).current is None


def test_a_restore_that_somebody_gets_in_between(
    world: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look at a version and enabling it."""
    world.store.delete(world.look(), world.now)
    inner = Secrets.get_version

    def get_late(self: Secrets, key_id: str, version: str) -> object:
        shown = inner(self, key_id, version)
        if version == "1" and not is_condemned(world):
            condemn(world)
        return shown

    monkeypatch.setattr(Secrets, "get_version", get_late)
    assert "its version 1 stays disabled" in str(world.store.restore(world.look()))
    assert is_condemned(world)


def test_a_retired_version_is_noted_so_that_no_run_plans_it_again(world: Project) -> None:
    """It can't be read, which is all that a retirement is for."""
    condemn(world)
    retire(world)
    assert world.records["1"].retired == world.now.replace(microsecond=0)
    revoke(world)
    assert world.look().versions[0].revoked


def test_a_look_that_lags_does_not_leave_a_compromised_version_readable(
    world: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It shows the version as disabled, which somebody has enabled again."""
    version = {"name": f"{NAME}/versions/1"}
    stale = world.client.disable_secret_version(request=version)
    world.client.enable_secret_version(request=version)
    inner, lags = Secrets.get_version, [stale, stale]

    def get(self: Secrets, key_id: str, number: str) -> object:
        return lags.pop() if lags else inner(self, key_id, number)

    monkeypatch.setattr(Secrets, "get_version", get)
    revoke(world)
    assert world.states[1] == "DISABLED"


def test_a_version_that_somebody_enables_all_the_time_is_not_destroyed(world: Project) -> None:
    """Destroying is for disabled ones: what was enabled since the look is retired again first."""
    retire(world)
    look = world.look(exact=True)
    world.client.enable_secret_version(request={"name": f"{NAME}/versions/1"})
    with pytest.raises(RotationConflict, match="was enabled again"):
        world.store.destroy(look, "1", world.now)
    assert world.states[1] == "ENABLED"
    assert world.records["1"].retired is None


def test_a_version_that_changes_all_the_time(
    world: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is given up after some looks, and its state is unknown."""
    inner = Secrets.get_version

    def get_early(self: Secrets, key_id: str, version: str) -> object:
        shown = inner(self, key_id, version)
        world.client.enable_secret_version(request={"name": f"{NAME}/versions/{version}"})
        return shown

    monkeypatch.setattr(Secrets, "get_version", get_early)
    world.client.enable_secret_version(request={"name": f"{NAME}/versions/1"})
    with pytest.raises(Moved):
        retire(world)
    assert world.states[1] == "ENABLED"
    assert world.records["1"].retired is None
