"""A rotation on Google Cloud: claimed, added and promoted by etag, whatever others do meanwhile."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from daena_kms.errors import (
    ConfigError,
    DaenaKMSError,
    RotationConflict,
    StoreUnavailable,
)
from daena_kms.rules.model import VersionState
from daena_kms.rules.plan import Kind, plan_key
from daena_kms.stores.gcp.claim import CLAIM_LIFETIME
from daena_kms.stores.gcp.state import CLAIM, VERSIONS, Claim, Record, read_claim, write_claim

from tests.unit.keys import DAY, DEFAULTS, HOUR, MINUTE, SECOND
from tests.unit.stores.gcp.gcp_projects import KEY, Project, project, value


@pytest.fixture
def world() -> Iterator[Project]:
    """A project with a key."""
    with project() as made:
        yield made


def planned(world: Project) -> list[Kind]:
    """Return what is planned for the key."""
    key = world.look(exact=True)
    return [action.kind for action in plan_key(key, DEFAULTS, world.store.can, world.now)]


def claim(world: Project) -> Claim | None:
    """Return the claim on the key."""
    return read_claim(world.secret.annotations)


def test_a_rotation(world: Project) -> None:
    """One look and three writes; the records say what happened, and the claim is gone."""
    before = world.records["1"]
    assert world.rotate() == "2"
    assert world.secret.version_aliases == {"current": 2, "previous": 1}
    now = world.now.replace(microsecond=0)
    first, second = world.records["1"], world.records["2"]
    assert first == replace(before, until=first.until)
    assert first.until is not None
    assert timedelta() <= now - first.until < MINUTE
    assert (second.base, second.until, second.retired) == ("1", None, None)
    assert claim(world) is None
    counts = world.sim.calls.counts()
    assert counts == {"GetSecret": 1, "UpdateSecret": 2, "AddSecretVersion": 1}


def test_nobody_sees_what_is_staged(world: Project) -> None:
    """A reader of the alias gets the current value until the promotion."""
    first = world.store.read(KEY)
    staged = world.stage()
    assert world.store.read(KEY) == first
    world.promote(staged)
    assert world.store.read(KEY) == staged.material
    assert world.store.read(KEY, "1") == first


def test_a_claim_keeps_others_out_until_it_ends(world: Project) -> None:
    """To the last moment; who comes later takes it over."""
    staged = world.stage()
    end = claim(world)
    assert end is not None
    assert end.until - staged.at == CLAIM_LIFETIME
    key, calls = world.look(), len(world.secret.versions)
    with pytest.raises(RotationConflict, match="another rotation has claimed it, until "):
        world.store.stage(key, value(), end.until - SECOND)
    assert len(world.secret.versions) == calls
    world.pass_(minutes=15)
    assert world.rotate() == "3"


def test_of_two_with_one_look_one_wins(world: Project) -> None:
    """The etag of the look is the fence, not the time of the claim."""
    key = world.look()
    world.store.stage(key, value(), world.now)
    with pytest.raises(RotationConflict, match="was faster, or has claimed it"):
        world.store.stage(key, value(), world.now)
    assert list(world.secret.versions) == [1, 2]


def test_an_owner_that_was_overtaken(world: Project) -> None:
    """Its promotion fails, and its version can be read by nobody; the other one's stays."""
    late = world.stage()
    world.pass_(minutes=16)
    world.rotate()
    with pytest.raises(RotationConflict):
        world.store.promote(world.look(), late, late.at + MINUTE)
    world.store.abandon(world.look(), late)
    assert world.secret.version_aliases == {"current": 3, "previous": 1}
    assert world.states == {1: "ENABLED", 2: "DISABLED", 3: "ENABLED"}


def test_what_a_crash_left_is_never_promoted(world: Project) -> None:
    """A reader of latest may have used it: it stays for the grace period, and is then retired."""
    world.stage()
    world.pass_(minutes=16)
    world.rotate()
    left = world.look(exact=True).version("2")
    assert left is not None
    assert left.state is VersionState.ABANDONED
    assert world.records["2"].orphan
    assert planned(world) == [Kind.NOTHING]
    world.pass_(days=1)
    assert planned(world) == [Kind.RETIRE, Kind.RETIRE]
    for version in ("1", "2"):
        world.store.retire(world.look(exact=True), version, world.now)
    assert world.states == {1: "DISABLED", 2: "DISABLED", 3: "ENABLED"}
    assert planned(world) == [Kind.NOTHING]


def test_a_version_that_became_current_meanwhile_was_no_crashs(world: Project) -> None:
    """Somebody adds one and makes it current inside a dead claim: it is the base like any other."""
    claimed = Claim("dead", 1, world.now, world.now + CLAIM_LIFETIME)
    world.annotate(**{CLAIM: write_claim(claimed)})
    assert world.add() == 2
    world.move(current=2)
    world.pass_(minutes=16)
    assert world.rotate() == "3"
    key = world.look(exact=True)
    assert key.previous is not None
    assert (key.previous.id, key.previous.state) == ("2", VersionState.PREVIOUS)
    assert not world.records["2"].orphan


def test_a_version_that_others_gave_an_alias_was_no_crashs(world: Project) -> None:
    """Somebody adds one inside a dead claim and uses it: it is not noted as given up."""
    claimed = Claim("dead", 1, world.now, world.now + CLAIM_LIFETIME)
    world.annotate(**{CLAIM: write_claim(claimed)})
    assert world.add() == 2
    world.move(theirs=2)
    world.pass_(minutes=16)
    assert world.rotate() == "3"
    assert set(world.records) == {"1", "3"}


def test_versions_of_others_outside_the_dead_claim(world: Project) -> None:
    """What was added after it ended is somebody else's, and stays as it is."""
    world.stage()
    world.pass_(hours=2)
    assert world.add() == 3
    assert world.rotate() == "4"
    assert set(world.records) == {"1", "2", "4"}


def test_what_others_annotate_meanwhile_stays(world: Project) -> None:
    """A changed annotation moves the etag and not the claim: the promotion looks and goes on."""
    staged = world.stage()
    world.annotate(team="a", daena_keep="3")
    assert world.promote(staged) == "2"
    assert world.secret.annotations["team"] == "a"
    assert world.secret.version_aliases["current"] == 2
    assert claim(world) is None


def test_an_alias_that_others_move_meanwhile_stays(world: Project) -> None:
    """The base is no longer current: the rotation has lost, and moves nothing."""
    staged = world.stage()
    theirs = world.add()
    world.move(current=theirs)
    with pytest.raises(RotationConflict):
        world.promote(staged)
    assert world.secret.version_aliases["current"] == theirs


@pytest.mark.parametrize("text", [None, "x"], ids=["removed", "broken"])
def test_a_claim_that_others_take_away(world: Project, text: str | None) -> None:
    """The key is no longer ours: nothing is promoted."""
    staged = world.stage()
    world.annotate(**{CLAIM: text})
    with pytest.raises(RotationConflict):
        world.promote(staged)
    assert world.secret.version_aliases == {"current": 1}


def test_an_alias_that_others_remove_meanwhile_is_set(world: Project) -> None:
    """An apply that takes aliases away says nothing of which version is current."""
    staged = world.stage()
    world.move(current=None)
    assert world.promote(staged) == "2"
    assert world.secret.version_aliases == {"current": 2, "previous": 1}


def test_an_alias_that_was_moved_back_by_hand(world: Project) -> None:
    """The version it names is the base, and stays readable for the grace from the rotation on."""
    world.rotate()
    world.pass_(days=30)
    world.store.retire(world.look(exact=True), "1", world.now)
    world.client.enable_secret_version(request={"name": f"{world.secret.name}/versions/1"})
    world.move(current=1)
    assert world.rotate() == "3"
    records = world.records
    assert records["1"].retired is None
    for number in ("1", "2"):
        until = records[number].until
        assert until is not None
        assert world.now - until < MINUTE
    assert planned(world) == [Kind.NOTHING]
    key = world.look()
    assert key.previous is not None
    assert key.previous.id == "1"


def test_a_base_of_others_gets_its_record(world: Project) -> None:
    """A version that somebody made current is previous, with its own date, after the rotation."""
    world.forget()
    assert world.rotate() == "2"
    assert set(world.records) == {"1", "2"}
    assert world.records["1"].until is not None
    world.forget()
    assert world.look().drift is not None
    assert world.rotate() == "3"
    assert set(world.records) == {"2", "3"}
    assert world.look().drift is None


@pytest.mark.parametrize(
    ("late", "done"), [(9 * MINUTE, True), (9 * MINUTE + SECOND, False)], ids=["in time", "late"]
)
def test_a_promotion_that_would_begin_too_late(world: Project, late: timedelta, done: bool) -> None:
    """It is given up well before another rotation may take over."""
    staged = world.stage()
    if done:
        assert world.store.promote(world.look(), staged, staged.at + late) == "2"
        return
    with pytest.raises(StoreUnavailable, match="took too long"):
        world.store.promote(world.look(), staged, staged.at + late)
    assert world.secret.version_aliases["current"] == 1
    assert late < CLAIM_LIFETIME - 5 * MINUTE


@pytest.mark.parametrize(
    ("claimed", "error", "words"),
    [
        (timedelta(hours=3), ConfigError, "longer than any claim may last.*remove the annotation"),
        (CLAIM_LIFETIME + 4 * MINUTE, RotationConflict, "until"),
        (-SECOND, None, ""),
    ],
    ids=["by a wrong clock", "by a clock ahead", "over"],
)
def test_claims_of_other_clocks(
    world: Project, claimed: timedelta, error: type[DaenaKMSError] | None, words: str
) -> None:
    """A claim that no rotation takes is reported, not waited for."""
    now = world.now
    world.annotate(**{CLAIM: write_claim(Claim("theirs", 1, now, now + claimed))})
    if error is None:
        assert world.rotate() == "2"
        return
    with pytest.raises(error, match=words):
        world.rotate()


def test_broken_annotations_stop_the_rotation(world: Project) -> None:
    """Half-written records or claims are reported, and nothing is added."""
    good = world.secret.annotations[VERSIONS]
    for name, text in ((VERSIONS, good[:-3]), (CLAIM, '{"id": "x"')):
        world.annotate(**{VERSIONS: good, CLAIM: None})
        world.annotate(**{name: text})
        with pytest.raises(ConfigError, match=f"{name} was changed by somebody else"):
            world.rotate()
    assert list(world.secret.versions) == [1]


def test_records_to_the_second_do_not_shorten_grace(world: Project) -> None:
    """What is promoted now was current until now, and a day of grace ends a day later."""
    world.rotate()
    until = world.records["1"].until
    assert until is not None
    assert world.now - until < MINUTE
    assert isinstance(world.records["1"], Record)
    world.pass_(hours=23)
    assert planned(world) == [Kind.NOTHING]
    world.pass_(hours=2)
    assert planned(world) == [Kind.RETIRE]
    assert DAY > 23 * HOUR
