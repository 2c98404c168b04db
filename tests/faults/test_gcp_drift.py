"""Others change a secret on Google Cloud: at the same moment, or by an apply that undoes ours."""

from datetime import timedelta

import pytest
from daena_kms.engine.clock import RunClock
from daena_kms.errors import ConfigError, RotationConflict
from daena_kms.rules.plan import Kind
from daena_kms.stores.base import Staged
from daena_kms.stores.gcp.state import CLAIM, LABEL, VERSIONS, read_records
from daena_kms.stores.rotation import rotate

from tests.worlds.base import DAY
from tests.worlds.gcp import GcpWorld

KEY, OTHER = "app-key", "other-key"
LATER = 91 * DAY
MINUTE = timedelta(minutes=1)


@pytest.fixture
def due(gcp: GcpWorld) -> GcpWorld:
    """Give two keys, which are due later."""
    for key_id in (KEY, OTHER):
        gcp.operations().create(key_id)
    return gcp


def annotate(world: GcpWorld, **given: str) -> None:
    """Write further annotations, as somebody's tool would; underscores stand for points."""
    named = {name.replace("_", "."): text for name, text in given.items()}
    world.change(KEY, annotations={**world.sim.secrets[KEY].annotations, **named})


def aliases(world: GcpWorld) -> dict[str, int]:
    """Return where the key's aliases lead."""
    return dict(world.sim.secrets[KEY].version_aliases)


def begun(world: GcpWorld) -> Staged:
    """Begin a rotation."""
    store = world.adapter.store
    return store.stage(store.describe(KEY), "fresh", world.at(LATER))


def test_an_edit_between_the_look_and_the_claim_is_kept(due: GcpWorld) -> None:
    """A claim on an old look fails, the key is read anew, and the edit stays."""
    due.sim.freeze_listing()
    annotate(due, team="payments", daena_grace="never")
    due.change(KEY, labels={**due.sim.secrets[KEY].labels, "cost": "42"})
    summary = due.run(LATER)
    assert (sorted(summary.rotated), summary.failed) == ([KEY, OTHER], [])
    secret = due.sim.secrets[KEY]
    assert secret.annotations.items() >= {"team": "payments", "daena.grace": "never"}.items()
    assert secret.labels == {LABEL: "true", "cost": "42"}
    assert aliases(due) == {"current": 2, "previous": 1}


def test_an_edit_of_the_policy_between_the_look_and_the_claim_counts(due: GcpWorld) -> None:
    """A hold that was set since the look is heeded: the claim on the old look fails."""
    due.sim.freeze_listing()
    annotate(due, daena_hold="true")
    before = due.sim.secrets[KEY].etag
    summary = due.run(LATER)
    assert (summary.rotated, summary.skipped) == ([OTHER], [KEY])
    assert "hold" in summary.notes[KEY]
    assert due.sim.secrets[KEY].etag == before


@pytest.mark.parametrize("adding", [False, True], ids=["etag stays", "adding changes the etag"])
@pytest.mark.parametrize("times", [1, 3])
def test_an_edit_between_the_claim_and_the_promotion_is_kept(
    due: GcpWorld, times: int, *, adding: bool
) -> None:
    """The promotion reads anew while the claim is its own, and changes nothing else."""
    due.sim.secrets.add_changes_etag = adding
    staged = begun(due)
    for number in range(times):
        annotate(due, **{f"edit-{number}": "theirs"})
    due.change(KEY, labels={**due.sim.secrets[KEY].labels, "cost": "42"})
    due.change(KEY, version_aliases={**aliases(due), "theirs": 1})
    store = due.adapter.store
    store.promote(store.describe(KEY), staged, due.at(LATER + MINUTE))
    secret = due.sim.secrets[KEY]
    assert [secret.annotations[f"edit-{number}"] for number in range(times)] == ["theirs"] * times
    assert secret.labels["cost"] == "42"
    assert aliases(due) == {"current": 2, "previous": 1, "theirs": 1}
    assert due.adapter.get_key(KEY) == "fresh"
    assert CLAIM not in secret.annotations


def test_an_apply_that_takes_the_claim_away_stops_the_rotation(due: GcpWorld) -> None:
    """Who no longer finds its claim promotes nothing and disables what it added."""
    store = due.adapter.store
    key = store.describe(KEY)
    stage = store.stage

    def undone(*arguments: object) -> Staged:
        staged = stage(*arguments)  # type: ignore[arg-type] # the same
        kept = dict(due.sim.secrets[KEY].annotations)
        kept.pop(CLAIM)
        due.change(KEY, annotations=kept)
        return staged

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "stage", undone)
        with pytest.raises(RotationConflict):
            rotate(store, key, "fresh", RunClock(due.at(LATER)))
    assert aliases(due) == {"current": 1}
    assert [v.state.name for v in due.sim.secrets[KEY].versions.values()] == ["ENABLED", "DISABLED"]
    assert KEY in due.run(LATER + MINUTE).rotated


def test_tags_that_two_change_at_once_are_both_kept(due: GcpWorld) -> None:
    """A change of ours on an old look reads anew: nobody's annotation is lost."""
    store = due.adapter.store
    key = store.describe(KEY)
    annotate(due, team="payments")
    store.tag(key, {"daena.hold": "true"})
    kept = due.sim.secrets[KEY].annotations
    assert kept.items() >= {"team": "payments", "daena.hold": "true"}.items()


def test_an_alias_that_an_apply_removed_is_said_and_repaired(due: GcpWorld) -> None:
    """Readers of ``current`` fail then: plan and run say so, and a rotation sets it again."""
    first = due.adapter.get_key(KEY)
    due.change(KEY, version_aliases={})
    (failing,) = [a for a in due.run(dry_run=True).actions if a.key_id == KEY]
    assert failing.kind is Kind.FAILING
    assert "its alias 'current' was removed" in failing.reason
    assert "ignore version_aliases" in failing.reason
    before = due.state()
    summary = due.run(MINUTE)
    assert summary.failed == [KEY]
    assert "rotate the key to set it again" in str(summary.errors[KEY])
    assert due.state() == before
    assert due.run(2 * MINUTE, keys=[KEY]).rotated == [KEY]
    assert aliases(due) == {"current": 2, "previous": 1}
    assert due.adapter.get_key(KEY, "previous") == first
    assert [a for a in due.run(3 * MINUTE).actions if a.key_id == KEY] == []


def test_an_alias_that_an_apply_removed_is_set_when_the_key_is_due(due: GcpWorld) -> None:
    """A scheduled rotation repairs it, too, from the version that the records name."""
    due.change(KEY, version_aliases={})
    summary = due.run(LATER)
    assert KEY in summary.rotated
    assert aliases(due) == {"current": 2, "previous": 1}


def test_records_that_an_apply_removed_are_said_and_written_again(due: GcpWorld) -> None:
    """Without our own annotation, but with the policy's, a rotation starts the records anew."""
    due.run(keys=[KEY])
    kept = dict(due.sim.secrets[KEY].annotations)
    kept.pop(VERSIONS)
    due.change(KEY, annotations=kept)
    summary = due.run(MINUTE)
    assert summary.failed == [KEY]
    assert f"its annotation {VERSIONS} was removed" in str(summary.errors[KEY])
    assert "ignore annotations" in str(summary.errors[KEY])
    mended = due.run(2 * MINUTE, keys=[KEY])
    assert mended.rotated + mended.finished == [KEY]
    assert set(read_records(due.sim.secrets[KEY].annotations)) == {"2", "3"}
    assert aliases(due) == {"current": 3, "previous": 2}
    assert due.run(3 * MINUTE).actions == []
    assert {v.state.name for v in due.sim.secrets[KEY].versions.values()} == {"ENABLED"}


def test_all_annotations_removed_by_an_apply_are_said(due: GcpWorld) -> None:
    """The label outlives them: the key is not silently forgotten, and nothing is changed."""
    kept = dict(due.sim.secrets[KEY].annotations)
    due.change(KEY, annotations={})
    before = due.sim.secrets[KEY].etag
    summary = due.run(LATER)
    assert (summary.failed, summary.rotated) == ([KEY], [OTHER])
    assert "perhaps because a Terraform apply removed them" in str(summary.errors[KEY])
    assert due.sim.secrets[KEY].etag == before
    assert due.adapter.get_key(KEY)
    due.change(KEY, annotations=kept)
    assert due.run(LATER + MINUTE).rotated == [KEY]


@pytest.mark.parametrize("text", ["{", "[]", '{"x": {}}', '{"1": {"at": "?"}}', '{"1": 5}'])
def test_records_that_somebody_broke_are_said(due: GcpWorld, text: str) -> None:
    """A record that nobody of us wrote fails its key alone; the current version stays readable."""
    whole = due.sim.secrets[KEY].annotations[VERSIONS]
    annotate(due, **{VERSIONS: text})
    before = due.sim.secrets[KEY].etag
    summary = due.run(LATER)
    assert (summary.failed, summary.rotated) == ([KEY], [OTHER])
    assert isinstance(summary.errors[KEY], ConfigError)
    assert f"its annotation {VERSIONS} was" in str(summary.errors[KEY])
    assert due.sim.secrets[KEY].etag == before
    assert due.adapter.get_key(KEY)
    annotate(due, **{VERSIONS: whole})
    assert due.run(LATER + MINUTE).rotated == [KEY]


@pytest.mark.parametrize("text", ["{", '{"1": 5}'])
def test_broken_records_can_be_mended_as_the_error_says(due: GcpWorld, text: str) -> None:
    """What the plan says about them is what a rotation by name says, and doing it helps."""
    annotate(due, **{VERSIONS: text})
    (planned,) = [a for a in due.run(dry_run=True).actions if a.key_id == KEY]
    named = due.run(keys=[KEY])
    assert planned.kind is Kind.FAILING
    assert named.failed == [KEY]
    assert f"its annotation {VERSIONS} was changed" in planned.reason
    assert f"its annotation {VERSIONS} was changed" in str(named.errors[KEY])
    kept = dict(due.sim.secrets[KEY].annotations)
    kept.pop(VERSIONS)
    due.change(KEY, annotations=kept)
    assert due.run(MINUTE, keys=[KEY]).rotated == [KEY]


def test_a_secret_that_was_never_rotated_needs_no_records(due: GcpWorld) -> None:
    """Records of a first version are no loss: its age is looked up, and it is rotated in time."""
    kept = dict(due.sim.secrets[KEY].annotations)
    kept.pop(VERSIONS)
    due.change(KEY, annotations=kept)
    assert due.run(MINUTE).actions == []
    assert KEY in due.run(LATER).rotated
    assert set(read_records(due.sim.secrets[KEY].annotations)) == {"1", "2"}


def test_an_alias_that_somebody_moved_is_what_is_current(due: GcpWorld) -> None:
    """Who moves ``current`` back by hand is believed, and nothing readable is lost."""
    first = due.adapter.get_key(KEY)
    due.run(MINUTE, keys=[KEY])
    due.change(KEY, version_aliases={"current": 1, "previous": 2})
    assert due.adapter.get_key(KEY) == first
    assert due.current(KEY) == "1"
    values = due.readable(KEY)
    due.run(LATER + DAY)
    assert aliases(due)["current"] == 3
    assert due.readable(KEY).items() >= values.items()
