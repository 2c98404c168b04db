"""After a crash on Google Cloud: who takes over, what becomes of an orphan, who is fenced."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from daena_kms.engine.clock import RunClock
from daena_kms.errors import ConfigError, DaenaKMSError, RotationConflict, StoreUnavailable
from daena_kms.rules.model import VersionState
from daena_kms.stores.base import Staged
from daena_kms.stores.gcp.claim import CLAIM_LIFETIME
from daena_kms.stores.gcp.state import CLAIM, Claim, write_claim
from daena_kms.stores.rotation import rotate

from infra.local.faults import only
from infra.local.gcp.state import DISABLED, ENABLED
from tests.worlds.base import DAY
from tests.worlds.gcp import GcpWorld
from tests.worlds.seam import Effect

KEY, OTHER = "app-key", "other-key"
LATER = 91 * DAY
MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)
OVER = CLAIM_LIFETIME + SECOND
ADD = only("secretmanager", "AddSecretVersion")
UPDATE = only("secretmanager", "UpdateSecret")


#: Whether an added version changes the secret's etag: no document needs to be believed in that.
either_way = pytest.mark.parametrize(
    "due", [False, True], indirect=True, ids=["etag stays", "adding changes the etag"]
)


@pytest.fixture
def due(request: pytest.FixtureRequest, gcp: GcpWorld) -> GcpWorld:
    """Give two tokens, which are due later."""
    gcp.sim.secrets.add_changes_etag = getattr(request, "param", False)
    for key_id in (KEY, OTHER):
        gcp.operations().create(key_id, spec="token")
    return gcp


def numbers(world: GcpWorld) -> dict[int, str]:
    """Return the states of the key's versions, by number."""
    return {n: version.state.name for n, version in world.sim.secrets[KEY].versions.items()}


def aliases(world: GcpWorld) -> dict[str, int]:
    """Return where the key's aliases lead."""
    return dict(world.sim.secrets[KEY].version_aliases)


def states(world: GcpWorld) -> dict[str, VersionState]:
    """Return the states of the key's versions as a listing has them, by number."""
    return {version.id: version.state for version in world.adapter.store.describe(KEY).versions}


def die_after_the_claim(world: GcpWorld) -> None:
    """Begin a rotation, whose process ends before it adds a version."""
    world.arm_at(Effect.KILLED_BEFORE, ADD)
    assert world.died(LATER, KEY)


def die_after_the_addition(world: GcpWorld) -> None:
    """Begin a rotation, whose process ends when it has added a version."""
    world.arm_at(Effect.KILLED_AFTER, ADD)
    assert world.died(LATER, KEY)


@pytest.mark.parametrize("die", [die_after_the_claim, die_after_the_addition])
@pytest.mark.parametrize("after", [SECOND, 5 * MINUTE, CLAIM_LIFETIME - SECOND])
def test_a_dead_claim_is_respected_until_its_deadline(
    due: GcpWorld, die: Callable[[GcpWorld], None], after: timedelta
) -> None:
    """Before the 15 minutes are over a run skips the key, says until when, and changes nothing."""
    die(due)
    before, versions = dict(due.sim.secrets[KEY].annotations), numbers(due)
    summary = due.run(LATER + after)
    assert summary.skipped == [KEY]
    assert KEY not in {*summary.rotated, *summary.failed}
    assert "another rotation has claimed it, until 20" in summary.notes[KEY]
    assert (dict(due.sim.secrets[KEY].annotations), numbers(due)) == (before, versions)
    assert aliases(due) == {"current": 1}


@either_way
def test_a_takeover_of_a_claim_alone(due: GcpWorld) -> None:
    """A rotation that died before it added anything leaves nothing but the claim."""
    die_after_the_claim(due)
    assert numbers(due) == {1: "ENABLED"}
    summary = due.run(LATER + OVER)
    assert KEY in {*summary.rotated, *summary.finished}
    assert aliases(due) == {"current": 2, "previous": 1}
    assert states(due) == {"1": VersionState.PREVIOUS, "2": VersionState.CURRENT}
    assert CLAIM not in due.sim.secrets[KEY].annotations


@either_way
def test_a_takeover_keeps_what_a_reader_of_latest_may_have_used(due: GcpWorld) -> None:
    """The orphan is never promoted, disabled or destroyed in its grace; then it is retired."""
    first = due.adapter.get_key(KEY)
    die_after_the_addition(due)
    orphan = due.adapter.store.read(KEY, "latest")
    assert orphan not in {first, due.adapter.get_key(KEY)}
    summary = due.run(LATER + OVER)
    assert KEY in {*summary.rotated, *summary.finished}
    assert aliases(due) == {"current": 3, "previous": 1}
    assert states(due)["2"] is VersionState.ABANDONED
    for days in (1, 6):
        assert due.run(LATER + days * DAY).retired == []
        assert due.adapter.store.read(KEY, "2") == orphan
        assert due.adapter.get_key(KEY, "previous") == first
    retired = due.run(LATER + 8 * DAY)
    assert retired.failed == []
    assert KEY in retired.retired
    assert numbers(due) == {1: "DISABLED", 2: "DISABLED", 3: "ENABLED"}
    assert due.verify().problems == []


def test_an_orphan_is_retired_once(due: GcpWorld) -> None:
    """When it is retired no later run does so again."""
    die_after_the_addition(due)
    due.run(LATER + OVER)
    due.run(LATER + 8 * DAY)
    before = due.state()
    for days in (8, 9, 30):
        assert due.run(LATER + days * DAY + MINUTE).actions == []
    assert due.state() == before


def test_an_orphan_is_never_what_previous_names(due: GcpWorld) -> None:
    """Rolling back after a takeover brings back what was current, and not the orphan."""
    first = due.adapter.get_key(KEY)
    die_after_the_addition(due)
    orphan = due.adapter.store.read(KEY, "2")
    due.run(LATER + OVER)
    due.operations(LATER + DAY).rollback(KEY)
    assert due.adapter.get_key(KEY) == first != orphan
    with pytest.raises(DaenaKMSError, match="was never current"):
        due.operations(LATER + DAY).rollback(KEY, "2")


@either_way
def test_a_takeover_that_dies_is_taken_over_in_turn(due: GcpWorld) -> None:
    """Two that died after their addition leave two orphans, which are both noted."""
    die_after_the_addition(due)
    due.arm_at(Effect.KILLED_AFTER, ADD)
    assert due.died(LATER + OVER, KEY)
    summary = due.run(LATER + 2 * OVER)
    assert KEY in {*summary.rotated, *summary.finished}
    assert aliases(due) == {"current": 4, "previous": 1}
    assert {n for n, state in states(due).items() if state is VersionState.ABANDONED} == {"2", "3"}
    assert set(numbers(due).values()) == {"ENABLED"}


def test_a_version_that_somebody_else_added_is_no_orphan(due: GcpWorld) -> None:
    """What was added after a dead claim's time is not ours: it is left alone for good."""
    die_after_the_claim(due)
    due.at(LATER + CLAIM_LIFETIME + 30 * MINUTE)
    theirs = due.add(KEY, "theirs")
    due.run(LATER + CLAIM_LIFETIME + 40 * MINUTE)
    assert aliases(due) == {"current": 3, "previous": 1}
    assert theirs not in states(due)
    due.run(LATER + 30 * DAY)
    assert due.sim.secrets[KEY].versions[int(theirs)].state is ENABLED


def staged(world: GcpWorld, after: timedelta = LATER) -> Staged:
    """Begin a rotation, as a process that is then stopped for a while."""
    store = world.adapter.store
    return store.stage(store.describe(KEY), "late", world.at(after))


@either_way
def test_the_old_owner_is_fenced(due: GcpWorld) -> None:
    """Who was taken over and wakes up promotes nothing, whatever its own clock says."""
    begun = staged(due)
    due.run(LATER + OVER)
    assert aliases(due) == {"current": 3, "previous": 1}
    store = due.adapter.store
    with pytest.raises(RotationConflict, match="another rotation was faster"):
        store.promote(store.describe(KEY), begun, due.began + LATER + SECOND)
    assert aliases(due) == {"current": 3, "previous": 1}


@either_way
def test_the_old_owner_is_fenced_while_the_new_one_is_at_it(due: GcpWorld) -> None:
    """Also between the takeover and the new promotion the old owner is too late."""
    begun = staged(due)
    again = staged(due, LATER + OVER)
    store = due.adapter.store
    with pytest.raises(RotationConflict):
        store.promote(store.describe(KEY), begun, due.began + LATER + SECOND)
    version = store.promote(store.describe(KEY), again, due.at(LATER + OVER + SECOND))
    assert aliases(due)["current"] == int(version)


@either_way
def test_an_overtaken_owner_disables_its_own_orphan(
    due: GcpWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rotation that finds itself overtaken lets nobody use what it added; others' stay."""
    store = due.adapter.store
    promote = store.promote

    def stopped(*arguments: object) -> str:
        monkeypatch.setattr(store, "promote", promote)
        due.run(LATER + OVER)
        return promote(*arguments)  # type: ignore[arg-type] # the same

    monkeypatch.setattr(store, "promote", stopped)
    with pytest.raises(RotationConflict):
        rotate(store, store.describe(KEY), "overtaken", RunClock(due.at(LATER)))
    assert numbers(due) == {1: "ENABLED", 2: "DISABLED", 3: "ENABLED"}
    assert due.sim.secrets[KEY].versions[2].state is DISABLED
    assert aliases(due) == {"current": 3, "previous": 1}
    assert due.run(LATER + OVER + 5 * MINUTE).actions == []


def test_a_promotion_is_given_up_after_its_bound(due: GcpWorld) -> None:
    """Who was stopped for nine minutes gives up, and what it added is noted by the next one."""
    begun = staged(due)
    store = due.adapter.store
    with pytest.raises(StoreUnavailable, match="took too long"):
        store.promote(store.describe(KEY), begun, due.at(LATER + 9 * MINUTE + SECOND))
    assert due.run(LATER + 10 * MINUTE).skipped == [KEY]
    due.run(LATER + OVER)
    assert states(due)["2"] is VersionState.ABANDONED
    assert aliases(due) == {"current": 3, "previous": 1}


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"id": 1}', "x" * 99, '{"id":"a","highest":"b"}']
)
def test_a_claim_that_no_rotation_wrote(due: GcpWorld, text: str) -> None:
    """A broken claim fails its key alone and says what to remove; an empty one is none."""
    annotations = {**due.sim.secrets[KEY].annotations, CLAIM: text}
    due.change(KEY, annotations=annotations)
    versions = numbers(due)
    summary = due.run(LATER)
    if not text:
        assert summary.rotated == [KEY, OTHER]
        return
    assert (summary.failed, summary.rotated) == ([KEY], [OTHER])
    assert isinstance(summary.errors[KEY], ConfigError)
    assert f"annotation {CLAIM}" in str(summary.errors[KEY])
    assert numbers(due) == versions
    annotations.pop(CLAIM)
    due.change(KEY, annotations=annotations)
    assert due.run(LATER + MINUTE).rotated == [KEY]


@pytest.mark.parametrize("extra", [6 * MINUTE, 365 * DAY])
def test_a_claim_from_the_far_future(due: GcpWorld, extra: timedelta) -> None:
    """A claim that lasts longer than any may fails its key alone, with a word on clocks."""
    ahead = due.began + LATER + extra
    text = write_claim(Claim("0" * 16, 1, ahead, ahead + CLAIM_LIFETIME))
    due.change(KEY, annotations={**due.sim.secrets[KEY].annotations, CLAIM: text})
    summary = due.run(LATER)
    assert (summary.failed, summary.rotated) == ([KEY], [OTHER])
    assert "longer than any claim may last" in str(summary.errors[KEY])
    assert "clocks" in str(summary.errors[KEY].todo)


@either_way
def test_an_addition_whose_answer_is_lost(due: GcpWorld) -> None:
    """The version that was added is found by its number, and promoted in the same run."""
    due.sim.faults.fail_after(1, when=ADD, how="error")
    summary = due.run(LATER, keys=[KEY])
    assert (summary.rotated, summary.failed) == ([KEY], [])
    assert aliases(due) == {"current": 2, "previous": 1}
    assert set(states(due)) == {"1", "2"}


@either_way
def test_a_promotion_whose_answer_is_lost(due: GcpWorld) -> None:
    """It is found to have taken effect, or not; then the key waits for the claim's end."""
    due.sim.faults.fail_after(2, when=UPDATE, how="error")
    assert due.run(LATER, keys=[KEY]).rotated == [KEY]
    due.sim.faults.fail_before(2, when=UPDATE, how="error")
    summary = due.run(2 * LATER, keys=[KEY])
    assert (summary.rotated, summary.failed) == ([], [KEY])
    assert due.run(2 * LATER + MINUTE).skipped == [KEY]
    assert due.run(2 * LATER + OVER).failed == []
    assert aliases(due) == {"current": 4, "previous": 2}
