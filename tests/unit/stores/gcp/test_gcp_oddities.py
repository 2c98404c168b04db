"""What others do to a secret in the middle of our calls, and listings that lag behind."""

import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from daena_kms.errors import ConfigError, KeyNotFound, RotationConflict
from daena_kms.rules.model import VersionState
from daena_kms.rules.plan import Kind, plan_key
from daena_kms.sdk.gcp.client import SecretManager
from daena_kms.sdk.gcp.login import GcpLogin
from daena_kms.stores.gcp.secret import Secrets
from daena_kms.stores.gcp.state import read_claim

from infra.local.faults import only
from tests.unit.keys import DEFAULTS
from tests.unit.stores.gcp.gcp_messages import listed, one, secret
from tests.unit.stores.gcp.gcp_projects import KEY, NAME, Project, project

UPDATE = only("secretmanager", "UpdateSecret")


@pytest.fixture
def world() -> Iterator[Project]:
    """A project with a key."""
    with project() as made:
        yield made


def before_each_update(
    monkeypatch: pytest.MonkeyPatch, act: Callable[[], None], times: int = 1
) -> None:
    """Let something happen right before each of the next updates of ours."""
    inner, left = Secrets.update, [times]

    def update(self: Secrets, *arguments: Any) -> Any:
        if left[0]:
            left[0] -= 1
            act()
        return inner(self, *arguments)

    monkeypatch.setattr(Secrets, "update", update)


@pytest.mark.parametrize("tag", ["daena.hold", "daena.managed"])
def test_what_the_owner_asks_for_meanwhile_is_heeded(world: Project, tag: str) -> None:
    """A hold that is set between the addition and the promotion stops the promotion."""
    staged = world.stage()
    world.annotate(**{tag: "true" if tag == "daena.hold" else None})
    with pytest.raises(RotationConflict):
        world.promote(staged)
    assert world.secret.version_aliases == {"current": 1}


def test_a_deletion_meanwhile_is_heeded(world: Project) -> None:
    """A key that was deleted between the addition and the promotion stays deleted."""
    staged = world.stage()
    world.store.delete(world.look(), world.now)
    with pytest.raises(RotationConflict):
        world.promote(staged)
    assert world.look().deleted is not None
    assert world.secret.version_aliases == {"current": 1}


@pytest.mark.parametrize(
    "asked",
    [{"daena.hold": "true"}, {"daena.managed": "false"}, {"daena-deleted": "2026-01-01T00:00:00Z"}],
)
def test_what_the_owner_asks_for_while_the_claim_is_in_doubt_is_heeded(
    world: Project, asked: dict[str, str]
) -> None:
    """The claim's answer was lost, and what is seen then is not what was planned on."""
    look = world.look()
    world.sim.faults.fail_after(when=UPDATE)
    inner = world.store._secrets.get

    def look_late(key_id: str) -> Any:
        world.annotate(**asked)
        return inner(key_id)

    world.store._secrets.get = look_late  # type: ignore[method-assign] # for this test
    with pytest.raises(RotationConflict):
        world.store.stage(look, "a value", world.now)
    assert len(world.secret.versions) == 1


def test_a_secret_at_which_somebody_is_always_faster(
    world: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The promotion is given up in the end, and says so; nobody may come to use its version."""
    staged, count = world.stage(), iter(range(1000))
    before_each_update(monkeypatch, lambda: world.annotate(team=f"a{next(count)}"), times=1000)
    with pytest.raises(ConfigError, match="refuses to move its aliases"):
        world.promote(staged)
    assert world.secret.version_aliases == {"current": 1}
    assert world.secret.versions[2].state.name == "DISABLED"


def test_an_alias_that_is_moved_while_the_claim_is_in_doubt(world: Project) -> None:
    """The claim is ours, and its base is current no more: the rotation has lost."""
    look = world.look()
    theirs = world.add()
    world.sim.faults.fail_after(when=UPDATE)
    inner = world.store._secrets.get

    def look_late(key_id: str) -> Any:
        world.move(current=theirs)
        return inner(key_id)

    world.store._secrets.get = look_late  # type: ignore[method-assign] # for this test
    with pytest.raises(RotationConflict):
        world.store.stage(look, "a value", world.now)
    assert world.secret.version_aliases["current"] == theirs


def test_a_base_that_was_destroyed_meanwhile(world: Project) -> None:
    """The new version is current; the alias previous may lead to a version that is gone."""
    staged = world.stage()
    world.client.destroy_secret_version(request={"name": f"{NAME}/versions/1"})
    assert world.promote(staged) == "2"
    assert world.secret.version_aliases == {"current": 2, "previous": 1}
    assert world.store.read(KEY) == staged.material
    with pytest.raises(KeyNotFound):
        world.store.read(KEY, "1")


def test_a_secret_with_fifty_aliases(world: Project) -> None:
    """There is no room for previous: the new version is current all the same."""
    world.move(**{f"a{number}": 1 for number in range(49)})
    assert world.rotate() == "2"
    assert world.secret.version_aliases["current"] == 2
    assert "previous" not in world.secret.version_aliases


def test_a_notice_that_falls_into_a_rotation(world: Project) -> None:
    """A due rotation notice moves the etag and not the claim: the promotion looks and goes on."""
    secret = {
        "name": NAME,
        "topics": [{"name": "projects/p/topics/t"}],
        "rotation": {"next_rotation_time": world.now + timedelta(minutes=6)},
    }
    mask = {"paths": ["rotation", "topics"]}
    world.client.update_secret(request={"secret": secret, "update_mask": mask})
    staged = world.stage()
    world.pass_(minutes=7)
    assert world.promote(staged) == "2"
    assert world.secret.version_aliases == {"current": 2, "previous": 1}


def test_a_value_whose_kms_key_cannot_be_used(world: Project) -> None:
    """Refused as a disabled version is: a look at the version tells them apart, if it may."""
    kms_key = "projects/p/locations/global/keyRings/r/cryptoKeys/k"
    world.secret.versions[1].kms_keys[""] = kms_key
    world.sim.secrets.unusable_kms_keys.add(kms_key)
    with pytest.raises(ConfigError, match="Secret Manager can't decrypt it"):
        world.store.read(KEY)
    world.sim.faults.deny("GetSecretVersion")
    with pytest.raises(KeyNotFound, match="or destroyed, or its KMS key can't be used"):
        world.store.read(KEY)


@pytest.mark.parametrize("denied", ["UpdateSecret", "nothing"])
def test_a_promotion_that_is_never_taken(
    world: Project, denied: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The version is disabled and the claim given back, as far as that can be done."""
    staged = world.stage()
    inner, refused = SecretManager.write, [2]

    def write(self: SecretManager, operation: str, *arguments: Any, **request: Any) -> Any:
        if operation == "update_secret" and refused[0]:
            refused[0] -= 1
            raise ConfigError("not taken", key_id=KEY)
        return inner(self, operation, *arguments, **request)

    monkeypatch.setattr(SecretManager, "write", write)
    world.sim.faults.deny(denied)
    with pytest.raises(ConfigError, match="not taken"):
        world.promote(staged)
    assert world.states == {1: "ENABLED", 2: "DISABLED"}
    assert (read_claim(world.secret.annotations) is None) is (denied == "nothing")


def test_a_secret_that_is_gone_since_the_listing(world: Project) -> None:
    """A listing that lags behind a deletion stops nobody."""
    world.forget()
    world.sim.freeze_listing()
    world.client.delete_secret(request={"name": NAME})
    assert list(world.store.scan()) == []
    assert list(world.store.inventory()) == []


def test_a_key_of_others_that_cannot_be_looked_at(world: Project) -> None:
    """It fails, and the listing goes on."""
    world.forget()
    world.store.create("other", "a value", {"daena.managed": "true"}, world.now)
    world.sim.faults.deny("ListSecretVersions")
    found = {key.id: key for key in world.store.scan()}
    assert set(found) == {KEY, "other"}
    (action,) = plan_key(found[KEY], DEFAULTS, world.store.can, world.now)
    assert action.kind is Kind.FAILING
    assert "Google Cloud refused list_secret_versions" in action.reason


def test_an_alias_that_is_moved_while_a_key_is_enrolled(
    world: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was checked is not what would be enrolled."""
    key = world.look(exact=True)
    theirs = world.add()
    before_each_update(monkeypatch, lambda: world.move(current=theirs))
    with pytest.raises(RotationConflict, match="its alias current was moved"):
        world.store.adopt(key, {"daena.keep": "3"}, world.now)
    assert "daena.keep" not in world.secret.annotations


def test_a_deletion_while_the_listing_lags(world: Project) -> None:
    """What the listing lacks is found by number: nothing stays readable."""
    world.sim.freeze_versions()
    world.rotate()
    world.store.delete(world.look(), world.now)
    assert world.states == {1: "DISABLED", 2: "DISABLED"}
    with pytest.raises(KeyNotFound):
        world.store.read(KEY, "2")
    world.store.restore(world.look())
    assert world.states == {1: "ENABLED", 2: "ENABLED"}


def test_a_note_of_what_is_noted_already(world: Project) -> None:
    """Nothing is written where nothing changes, nor of a version that nobody recorded."""
    world.sim.calls.clear()
    secrets = world.store._secrets
    secrets.change_record(KEY, "1", lambda record: record)
    secrets.change_record(KEY, "7", lambda _: None)
    assert world.sim.calls.counts() == {"GetSecret": 2}
    assert set(world.records) == {"1"}


def test_a_disabled_version_of_nobody() -> None:
    """No record says that it ever was current: nobody can roll back to it."""
    shown = secret(aliases={"current": 1})
    assert one(shown, "2", listed(1), listed(2, "DISABLED")).state is VersionState.ABANDONED


def test_without_the_client_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says what to install."""
    monkeypatch.setitem(sys.modules, "google.cloud.secretmanager_v1", None)
    own: Any = object()
    used = SecretManager(GcpLogin({"GCP_PROJECT_ID": "p"}, credentials=own))
    with pytest.raises(ConfigError, match=r"pip install 'daena-kms\[gcp\]'"):
        used.read("get_secret", KEY, name=NAME)
