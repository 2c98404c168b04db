"""A rotation or creation on Google Cloud whose calls fail, are refused, or lose their answers."""

from collections.abc import Callable, Iterator

import pytest
from daena_kms.errors import (
    AccessDenied,
    KeyExists,
    KeyNotFound,
    RotationConflict,
    StoreUnavailable,
)
from daena_kms.sdk.gcp.errors import Unanswered
from daena_kms.stores.gcp.claim import Claims
from daena_kms.stores.gcp.secret import Secrets
from daena_kms.stores.gcp.state import CLAIM, Claim, read_claim
from google.cloud.secretmanager_v1.types import SecretVersion

from infra.local.faults import only
from tests.unit.stores.gcp.gcp_projects import KEY, TAGS, Project, project, value

CREATE, UPDATE, ADD, GET = (
    only("secretmanager", name)
    for name in ("CreateSecret", "UpdateSecret", "AddSecretVersion", "GetSecret")
)


@pytest.fixture
def world() -> Iterator[Project]:
    """A project with a key."""
    with project() as made:
        yield made


def claim(world: Project, key_id: str = KEY) -> Claim | None:
    """Return the claim on a key."""
    return read_claim(world.sim.secrets[key_id].annotations)


@pytest.mark.parametrize("how", ["drop", "error"])
@pytest.mark.parametrize(
    ("call", "nth"), [(UPDATE, 1), (ADD, 1), (UPDATE, 2)], ids=["claim", "add", "promote"]
)
def test_a_lost_answer_is_settled_by_reading(
    world: Project, call: Callable[[str, str], bool], nth: int, how: str
) -> None:
    """What took effect is found by number or claim, and the rotation goes on."""
    world.sim.faults.fail_after(nth, when=call, how=how)
    assert world.rotate() == "2"
    assert world.secret.version_aliases == {"current": 2, "previous": 1}
    assert world.states == {1: "ENABLED", 2: "ENABLED"}
    assert claim(world) is None


@pytest.mark.parametrize(
    ("call", "nth", "claimed", "left"),
    [(UPDATE, 1, False, [1]), (ADD, 1, True, [1]), (UPDATE, 2, True, [1, 2])],
    ids=["claim", "add", "promote"],
)
def test_a_call_that_never_arrived(
    world: Project,
    call: Callable[[str, str], bool],
    nth: int,
    claimed: bool,
    left: list[int],
) -> None:
    """Its end is unknown to us: nothing is current that was not, and the claim runs out."""
    world.sim.faults.fail_before(nth, when=call)
    with pytest.raises(Unanswered):
        world.rotate()
    assert world.secret.version_aliases["current"] == 1
    assert (claim(world) is not None, list(world.secret.versions)) == (claimed, left)
    world.pass_(minutes=16)
    assert world.rotate() == str(len(left) + 1)


def test_an_addition_beside_that_of_somebody_else(
    world: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer is lost, and two versions are new: the one with our value is ours."""
    inner = Claims._versions_above

    def above(self: Claims, claim: Claim, key_id: str) -> list[SecretVersion]:
        world.add()
        return inner(self, claim, key_id)

    monkeypatch.setattr(Claims, "_versions_above", above)
    world.sim.faults.fail_after(when=ADD)
    staged = world.stage()
    assert staged.version_id == "2"
    assert world.promote(staged) == "2"
    assert world.store.read(KEY) == staged.material
    assert world.states == {1: "ENABLED", 2: "ENABLED", 3: "ENABLED"}


def test_a_foreign_version_is_never_taken_for_ours(
    world: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The addition never arrived, and somebody else's did: it is not promoted."""
    inner = Claims._versions_above

    def above(self: Claims, claim: Claim, key_id: str) -> list[SecretVersion]:
        world.add()
        return inner(self, claim, key_id)

    monkeypatch.setattr(Claims, "_versions_above", above)
    world.sim.faults.fail_before(when=ADD)
    with pytest.raises(Unanswered):
        world.stage()
    assert world.secret.version_aliases == {"current": 1}


def test_a_refused_addition_gives_the_claim_back(world: Project) -> None:
    """Nothing was added, so another rotation may begin at once."""
    world.sim.faults.deny("AddSecretVersion")
    with pytest.raises(AccessDenied):
        world.rotate()
    assert claim(world) is None
    world.sim.faults.allow("AddSecretVersion")
    assert world.rotate() == "2"


def test_a_claim_that_cannot_be_given_back_runs_out(world: Project) -> None:
    """The first error is what the caller hears of."""
    world.sim.faults.deny("AddSecretVersion")
    world.sim.faults.fail_before(2, when=UPDATE)
    with pytest.raises(AccessDenied):
        world.rotate()
    assert claim(world) is not None


def create(world: Project, key_id: str = "new", material: str | None = None) -> str:
    """Create a key."""
    return world.store.create(key_id, material or value(), TAGS, world.now)


def test_a_creation(world: Project) -> None:
    """An empty secret under a claim, a version, and the alias: three calls."""
    material = value()
    assert create(world, material=material) == "1"
    assert world.store.read("new") == material
    assert claim(world, "new") is None
    assert world.sim.secrets["new"].labels == {"daena-managed": "true"}
    operations = ["CreateSecret", "AddSecretVersion", "UpdateSecret", "AccessSecretVersion"]
    assert world.sim.calls.operations() == operations


@pytest.mark.parametrize("how", ["drop", "error"])
@pytest.mark.parametrize("call", [CREATE, ADD, UPDATE], ids=["create", "add", "promote"])
def test_a_creation_that_lost_an_answer(
    world: Project, call: Callable[[str, str], bool], how: str
) -> None:
    """It goes on where it was."""
    world.sim.faults.fail_after(when=call, how=how)
    assert create(world) == "1"
    assert world.sim.secrets["new"].version_aliases == {"current": 1}


def test_a_creation_that_never_arrived(world: Project) -> None:
    """Nothing is there, and the error is that of the call."""
    world.sim.faults.fail_before(when=CREATE)
    with pytest.raises(Unanswered):
        create(world)
    assert "new" not in world.sim.secrets
    assert create(world) == "1"


@pytest.mark.parametrize("call", [ADD, UPDATE], ids=["add", "promote"])
def test_a_creation_that_was_interrupted(world: Project, call: Callable[[str, str], bool]) -> None:
    """Nobody goes on with it until its claim is over; then it is completed with a fresh value."""
    world.sim.faults.fail_before(when=call)
    with pytest.raises(Unanswered):
        create(world)
    key = world.store.describe("new")
    assert key.current is None
    assert key.trouble == "its creation was interrupted: create it again"
    with pytest.raises(KeyExists, match="another process is creating it"):
        create(world)
    world.pass_(minutes=16)
    material = value()
    made = create(world, material=material)
    assert made == ("1" if call is ADD else "2")
    assert world.store.read("new") == material
    states = [v.state for v in world.store.describe("new", exact=True).versions]
    assert states == (["current"] if call is ADD else ["abandoned", "current"])


def test_a_creation_that_was_refused_may_begin_again_at_once(world: Project) -> None:
    """Nothing was added: whoever mends the role need not wait, and the name is not lost."""
    world.sim.faults.deny("AddSecretVersion")
    with pytest.raises(AccessDenied):
        create(world)
    world.sim.faults.allow("AddSecretVersion")
    assert create(world) == "1"
    assert world.store.read("new")


def test_of_two_who_resume_one_wins(world: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """The etag decides who goes on with a dead creation."""
    world.sim.faults.fail_before(when=ADD)
    with pytest.raises(Unanswered):
        create(world)
    world.pass_(minutes=16)
    looked = world.client.get_secret(request={"name": world.secret.name.replace(KEY, "new")})
    assert create(world) == "1"
    monkeypatch.setattr(Secrets, "get", lambda _self, _key_id: looked)
    with pytest.raises(KeyExists, match="another process is creating it"):
        create(world)
    assert list(world.sim.secrets["new"].versions) == [1]


def test_what_exists_is_left_alone(world: Project) -> None:
    """A key, a deleted key, and a secret of others, also an empty one, are no creation of ours."""
    with pytest.raises(KeyExists, match="it exists already"):
        create(world, KEY)
    world.store.delete(world.look(), world.now)
    with pytest.raises(KeyExists, match=r"it exists already, deleted but recoverable\. Restore it"):
        create(world, KEY)
    request = {
        "parent": world.secret.name.partition("/secrets/")[0],
        "secret_id": "theirs",
        "secret": {"replication": {"automatic": {}}},
    }
    world.client.create_secret(request=request)
    with pytest.raises(KeyExists, match="it exists already"):
        create(world, "theirs")
    assert world.sim.secrets["theirs"].annotations == {}


def test_a_creation_takes_over_no_rotation(world: Project) -> None:
    """A key with the claim of a dead rotation exists: only a dead creation is resumed."""
    world.stage()
    world.pass_(minutes=16)
    before = dict(world.secret.annotations)
    with pytest.raises(KeyExists, match="it exists already"):
        create(world, KEY)
    assert dict(world.secret.annotations) == before


@pytest.mark.parametrize("lost", [True, False], ids=["lost-answer", "exists"])
def test_a_secret_that_is_not_shown_yet(
    world: Project, monkeypatch: pytest.MonkeyPatch, *, lost: bool
) -> None:
    """A look right after a creation may find nothing: that is no proof that there is nothing."""
    if lost:
        world.sim.faults.fail_after(when=CREATE, how="error")
    key_id = "new" if lost else KEY

    def absent(_self: Secrets, key_id: str) -> object:
        raise KeyNotFound("there is no such key or version", key_id=key_id)

    monkeypatch.setattr(Secrets, "get", absent)
    with pytest.raises(StoreUnavailable, match="did not answer" if lost else "not show it yet"):
        world.store.create(key_id, value(), TAGS, world.now)


def test_a_secret_that_is_deleted_during_its_creation(world: Project) -> None:
    """It is not made again behind somebody's back."""
    own = world.store._creator.create("new", TAGS, world.now)
    world.client.delete_secret(request={"name": world.secret.name.replace(KEY, "new")})
    with pytest.raises(KeyNotFound):
        world.store._claims.add(own, value())
    assert "new" not in world.sim.secrets


def test_a_creation_that_was_overtaken(world: Project) -> None:
    """Its late promotion moves nothing."""
    own = world.store._creator.create("new", TAGS, world.now)
    late = world.now
    world.pass_(minutes=16)
    assert create(world) == "1"
    world.store._claims.add(own, value())
    with pytest.raises(RotationConflict):
        world.store._claims.promote(own, None, late)
    assert world.sim.secrets["new"].version_aliases == {"current": 1}
    assert CLAIM not in world.sim.secrets["new"].annotations
