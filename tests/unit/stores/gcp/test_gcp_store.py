"""Keys in Secret Manager beside rotation: what others did to them, and what we do of it."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from daena_kms.errors import (
    AccessDenied,
    ConfigError,
    KeyNotFound,
    RotationConflict,
    StoreUnavailable,
)
from daena_kms.rules.model import Key, VersionState
from daena_kms.rules.plan import Kind, plan_key
from daena_kms.sdk.gcp.errors import Moved
from daena_kms.stores.base import Staged
from daena_kms.stores.gcp.state import CLAIM, DELETED, VERSIONS

from infra.local.faults import only
from tests.unit.keys import DEFAULTS, MINUTE
from tests.unit.stores.gcp.gcp_projects import KEY, NAME, Project, project, value

UPDATE = only("secretmanager", "UpdateSecret")


@pytest.fixture
def world() -> Iterator[Project]:
    """A project with a key."""
    with project() as made:
        yield made


def planned(world: Project, key: Key | None = None) -> list[Kind]:
    """Return what is planned for the key."""
    shown = world.look(exact=True) if key is None else key
    return [action.kind for action in plan_key(shown, DEFAULTS, world.store.can, world.now)]


def test_a_value_that_arrives_damaged(world: Project) -> None:
    """Its checksum is not that of its bytes: it is not given to anybody."""
    world.secret.versions[1].data = b"other bytes"
    with pytest.raises(StoreUnavailable, match="arrived damaged") as caught:
        world.store.read(KEY)
    assert "other bytes" not in repr(caught.value)


def test_a_value_that_is_no_text(world: Project) -> None:
    """Nothing is guessed of its encoding."""
    payload = {"data": b"\xff\xfe"}
    world.client.add_secret_version(request={"parent": NAME, "payload": payload})
    with pytest.raises(ConfigError, match="binary, not text"):
        world.store.read(KEY, "2")


@pytest.mark.parametrize("number", ["", "0", "01", "-1", "1.0", "latest", "²", "1" * 11, "1\n"])
def test_what_is_no_version_id(world: Project, number: str) -> None:
    """An alias is none: it may lead elsewhere by the next call."""
    with pytest.raises(ConfigError, match="not a version id of Secret Manager"):
        world.store.check_version_id(number)
    assert world.store.check_version_id("4711") == "4711"
    assert len(world.sim.calls) == 0


def test_a_version_that_was_enabled_again_is_not_destroyed(world: Project) -> None:
    """Somebody needs it: nothing readable is destroyed on the word of an annotation."""
    world.rotate()
    world.store.retire(world.look(exact=True), "1", world.now)
    assert world.states == {1: "DISABLED", 2: "ENABLED"}
    world.client.enable_secret_version(request={"name": f"{NAME}/versions/1"})
    world.pass_(days=400)
    with pytest.raises(RotationConflict, match="its version 1 was enabled again"):
        world.store.destroy(world.look(), "1", world.now)
    assert world.states == {1: "ENABLED", 2: "ENABLED"}
    assert [record.retired for record in world.records.values()] == [None, None]
    # The time until its destruction begins anew with its retirement.
    world.store.retire(world.look(exact=True), "1", world.now)
    retired = world.records["1"].retired
    assert retired is not None
    assert world.now - retired < MINUTE


def test_destroying_and_retiring_are_idempotent(world: Project) -> None:
    """A version that is destroyed already is forgotten, and nothing else happens."""
    world.rotate()
    world.store.retire(world.look(exact=True), "1", world.now)
    for _ in range(2):
        world.store.destroy(world.look(), "1", world.now)
    world.store.retire(world.look(), "1", world.now)
    assert world.states == {1: "DESTROYED", 2: "ENABLED"}
    assert set(world.records) == {"2"}
    assert [v.state for v in world.look(exact=True).versions] == ["current", "destroyed"]


def test_a_record_is_changed_again_when_others_were_faster(world: Project) -> None:
    """Their change stays; where somebody is always faster the caller hears of it."""
    world.rotate()
    inner = world.store._secrets.update
    left = [2]

    def update(*arguments: object) -> object:
        if left[0]:
            left[0] -= 1
            world.annotate(team=f"a{left[0]}")
        return inner(*arguments)  # type: ignore[arg-type]  # passed on

    world.store._secrets.update = update  # type: ignore[method-assign,assignment] # for this test
    world.store.retire(world.look(exact=True), "1", world.now)
    assert world.records["1"].retired is not None
    assert world.secret.annotations["team"] == "a0"
    left[0] = 99
    with pytest.raises(Moved):
        world.store.tag(world.look(), {"daena.keep": "3"})
    assert 99 - 20 <= left[0] < 99


def test_a_secret_that_lost_its_annotations(world: Project) -> None:
    """Its label is there still: the listing names it as a key of ours that needs mending."""
    others = dict.fromkeys(world.secret.annotations)
    world.annotate(**others)
    (key,) = world.store.scan()
    assert key.id == KEY
    (action,) = plan_key(key, DEFAULTS, world.store.can, world.now)
    assert action.kind is Kind.FAILING
    assert "it has the label daena-managed but no daena annotations" in action.reason
    world.secret.labels.clear()
    assert list(world.store.scan()) == []


def test_half_written_records_are_told_before_the_key_is_due(world: Project) -> None:
    """Nothing is retired by them, and nobody waits for a due date to hear of it."""
    world.annotate(**{VERSIONS: world.secret.annotations[VERSIONS][:-4]})
    (key,) = world.store.scan()
    assert planned(world, key) == [Kind.FAILING]
    (action,) = plan_key(key, DEFAULTS, world.store.can, world.now)
    assert "Remove that annotation, then rotate the key" in action.reason
    world.forget()
    assert world.rotate() == "2"
    assert planned(world) == [Kind.NOTHING]


def test_deleted_and_restored(world: Project) -> None:
    """All that could be read can't be, and can be again; what was retired before stays so."""
    world.rotate()
    world.rotate()
    world.store.retire(world.look(exact=True), "1", world.now)
    world.store.delete(world.look(), world.now)
    assert set(world.states.values()) == {"DISABLED"}
    assert list(world.store.scan()) == []
    deleted = world.look()
    assert deleted.deleted is not None
    with pytest.raises(KeyNotFound, match="retired, disabled or destroyed"):
        world.store.read(KEY)
    before = dict(world.secret.annotations)
    world.pass_(hours=1)
    world.store.delete(deleted, world.now)
    assert world.secret.annotations == before
    world.store.restore(deleted)
    assert world.states == {1: "DISABLED", 2: "ENABLED", 3: "ENABLED"}
    assert not {DELETED, "daena-disabled"} & world.secret.annotations.keys()
    assert world.store.read(KEY)


def test_a_deletion_that_was_interrupted_goes_on(world: Project) -> None:
    """The mark comes first; what is enabled still is disabled by the next, and restored by one."""
    world.rotate()
    world.sim.faults.deny("DisableSecretVersion")
    with pytest.raises(AccessDenied):
        world.store.delete(world.look(), world.now)
    world.sim.faults.allow("DisableSecretVersion")
    marked = world.secret.annotations[DELETED]
    world.pass_(hours=1)
    world.store.delete(world.look(), world.now)
    assert world.secret.annotations[DELETED] == marked
    assert set(world.states.values()) == {"DISABLED"}
    world.client.destroy_secret_version(request={"name": f"{NAME}/versions/1"})
    world.store.restore(world.look())
    assert world.states == {1: "DESTROYED", 2: "ENABLED"}


def test_enrolled_anew(world: Project) -> None:
    """What is known of its versions stays; a claim that somebody left is gone."""
    world.rotate()
    made = world.records["2"].at
    world.annotate(**{CLAIM: "left", "team": "a"})
    world.pass_(days=9)
    world.store.adopt(world.look(exact=True), {"daena.keep": "3"}, world.now)
    assert set(world.records) == {"1", "2"}
    assert world.records["2"].at - made < MINUTE
    assert CLAIM not in world.secret.annotations
    assert (world.secret.annotations["team"], world.secret.annotations["daena.keep"]) == ("a", "3")


def test_a_secret_that_deletes_itself_is_not_enrolled(world: Project) -> None:
    """Nor one that has no version."""
    world.secret.expire_time = world.now + timedelta(days=9)
    with pytest.raises(ConfigError, match="the whole secret expires"):
        world.store.adopt(world.look(exact=True), {}, world.now)
    world.secret.expire_time = None
    world.client.disable_secret_version(request={"name": f"{NAME}/versions/1"})
    key = world.look(exact=True)
    assert key.current is None
    for begin in (
        lambda: world.store.adopt(key, {}, world.now),
        lambda: world.store.stage(key, value(), world.now),
    ):
        with pytest.raises(KeyNotFound, match="has no"):
            begin()


def test_many_versions_above_a_dead_claim(world: Project) -> None:
    """No more than twenty are looked at; those beyond are somebody else's business."""
    world.stage()
    for _ in range(25):
        world.add()
    world.pass_(minutes=16)
    world.rotate()
    orphans = [number for number, record in world.records.items() if record.orphan]
    assert len(orphans) == 20


def test_the_listing_lags_after_a_rotation(world: Project) -> None:
    """The current version is current all the same, and can be rolled back from."""
    world.sim.freeze_versions()
    world.rotate()
    key = world.look(exact=True)
    assert key.current is not None
    assert (key.current.id, key.trouble) == ("2", None)
    assert key.previous is not None
    assert [(k.id, len(k.versions)) for k in world.store.inventory()] == [(KEY, 2)]
    assert world.adapter.rollback_key(KEY) == world.store.read(KEY)
    assert world.secret.version_aliases["current"] == 3


def test_what_was_not_begun_here(world: Project) -> None:
    """It is a mistake of the caller's, and not taken."""
    with pytest.raises(TypeError, match="not begun by this store"):
        world.store.promote(world.look(), Staged("2", "1", world.now, value()), world.now)


def test_a_version_of_others_gets_its_date_from_a_closer_look(world: Project) -> None:
    """One call more, for a secret that was tagged by hand."""
    world.forget()
    world.pass_(days=100)
    assert world.add() == 2
    world.move(current=2)
    (key,) = world.store.scan()
    assert key.current is not None
    assert (key.current.id, key.current.created_earliest) == ("2", None)
    assert world.now - key.current.created < MINUTE
    assert [v.state for v in key.versions if v.id == "1"] == [VersionState.PENDING]
