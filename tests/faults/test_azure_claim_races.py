"""Claims on Azure: who may set a version, until when, and what stands where a claim should be."""

import json
from datetime import datetime, timedelta

import pytest
from daena_kms.errors import AccessDenied, RotationConflict, StoreUnavailable
from daena_kms.rules.durations import format_time
from daena_kms.stores.azure.claims import CLAIM_LIFETIME, SET_BY
from daena_kms.stores.base import Staged

from infra.local.azure.blob import Blob
from infra.local.faults import only
from tests.worlds.azure import AzureWorld
from tests.worlds.base import DAY
from tests.worlds.seam import Effect

KEY, OTHER = "app-key", "other-key"
LATER = 91 * DAY
MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)
#: After a claim: the container dates what it holds by whole seconds, and by its own clock.
OVER = CLAIM_LIFETIME + 2 * SECOND
SET = only("keyvault", "SetSecret")


@pytest.fixture
def due(azure: AzureWorld) -> AzureWorld:
    """Give two keys, which are due later."""
    for key_id in (KEY, OTHER):
        azure.operations().create(key_id)
    return azure


def claimed(world: AzureWorld, after: timedelta) -> Staged:
    """Begin a rotation of the key at that time, as a process that then dies."""
    store = world.adapter.store
    return store.stage(store.describe(KEY), "never set", world.at(after))


def put(world: AzureWorld, data: bytes, attempt: str = "0") -> str:
    """Put a claim of any content on the key's next version and return its name."""
    name = f"localhost/{KEY}/{world.current(KEY)}/{attempt}"
    world.sim.blobs.containers["claims"][name] = Blob(data, world.sim.now(), '"0x8DC0"')
    return name


def claim(until: datetime) -> bytes:
    """Return the content of a claim."""
    return json.dumps({"claim": "0" * 32, "from": "?", "until": format_time(until)}).encode()


@pytest.mark.parametrize("after", [timedelta(), SECOND, 5 * MINUTE, CLAIM_LIFETIME - SECOND])
def test_a_dead_claim_is_respected_until_its_deadline(due: AzureWorld, after: timedelta) -> None:
    """Before the 15 minutes are over a run skips the key, says until when, and changes nothing."""
    claimed(due, LATER)
    before, claims = due.sim.secrets.secret(KEY), due.claims()
    summary = due.run(LATER + after)
    assert (summary.rotated, summary.skipped, summary.failed) == ([OTHER], [KEY], [])
    until = format_time(due.began + LATER + CLAIM_LIFETIME)
    assert f"another rotation has claimed it, until {until}" in summary.notes[KEY]
    assert due.sim.secrets.secret(KEY) == before
    assert [name for name in due.claims() if f"/{KEY}/" in name] == [
        name for name in claims if f"/{KEY}/" in name
    ]


def test_a_dead_claim_is_taken_over_after_its_deadline(due: AzureWorld) -> None:
    """When the 15 minutes are over the next attempt is claimed, and a fresh value set, once."""
    base = due.current(KEY)
    claimed(due, LATER)
    summary = due.run(LATER + OVER)
    assert sorted(summary.rotated) == [KEY, OTHER]
    attempts = [name.rpartition("/")[2] for name in due.claims() if f"/{KEY}/{base}/" in name]
    assert attempts == ["0", "1"]
    assert due.adapter.get_key(KEY) != "never set"
    assert len(due.readable(KEY)) == 2
    assert due.run(LATER + OVER + MINUTE).actions == []


def test_a_takeover_that_dies_is_taken_over_in_turn(due: AzureWorld) -> None:
    """Each attempt's own deadline counts, however many came before it."""
    base = due.current(KEY)
    for number in range(3):
        claimed(due, LATER + number * OVER)
        assert due.run(LATER + number * OVER + CLAIM_LIFETIME - SECOND, keys=[KEY]).skipped == [KEY]
    assert due.run(LATER + 3 * OVER, keys=[KEY]).rotated == [KEY]
    attempts = [name.rpartition("/")[2] for name in due.claims() if f"/{KEY}/{base}/" in name]
    assert attempts == ["0", "1", "2", "3"]


def test_a_takeover_looks_for_what_the_dead_one_set(due: AzureWorld) -> None:
    """Who died after its set and before its record has rotated: nobody does so again."""
    store = due.adapter.store
    key = store.describe(KEY)
    staged = store.stage(key, "set in the end", due.at(LATER))
    store.promote(key, staged, due.at(LATER))
    # A look from before that set, and the time of its claim is over.
    with pytest.raises(RotationConflict, match="an earlier rotation was completed"):
        store.stage(key, "one too many", due.at(LATER + OVER))
    assert due.adapter.get_key(KEY) == "set in the end"
    assert len(due.sim.secrets.versions(KEY)) == 2


def test_what_is_certain_to_have_failed_gives_its_claim_back(due: AzureWorld) -> None:
    """After a refusal the very next run may go on; nobody waits for a claim to run out."""
    base = due.current(KEY)
    due.sim.faults.deny("SetSecret")
    summary = due.run(LATER)
    assert summary.failed == [KEY, OTHER]
    assert isinstance(summary.errors[KEY], AccessDenied)
    due.mend()
    assert due.run(LATER + SECOND).rotated == [KEY, OTHER]
    attempts = [name.rpartition("/")[2] for name in due.claims() if f"/{KEY}/{base}/" in name]
    assert attempts == ["0", "0.free", "1"]


def test_a_claim_that_can_t_be_given_back_runs_out(due: AzureWorld) -> None:
    """When giving back fails, too, the refusal is told, and the claim is kept until its end."""
    staged = claimed(due, LATER)
    due.sim.faults.deny("SetSecret")
    due.sim.faults.fail_before(1, when=only("blob", "PutBlob"), times=99)
    store = due.adapter.store
    with pytest.raises(AccessDenied):
        store.promote(store.describe(KEY), staged, due.at(LATER))
    due.mend()
    assert due.run(LATER + MINUTE, keys=[KEY]).skipped == [KEY]
    assert due.run(LATER + OVER, keys=[KEY]).rotated == [KEY]


@pytest.mark.parametrize("how", [Effect.BEFORE, Effect.AFTER])
def test_a_claim_whose_answer_is_lost(due: AzureWorld, how: Effect) -> None:
    """The key is reported; whether the claim is there or not, a run after its time rotates."""
    fault = due.sim.faults.fail_before if how is Effect.BEFORE else due.sim.faults.fail_after
    fault(2, when=only("blob", "PutBlob"))
    summary = due.run(LATER, keys=[KEY])
    assert summary.failed == [KEY]
    assert "the place for claims" in str(summary.errors[KEY])
    again = due.run(LATER + MINUTE)
    done = [KEY] if how is Effect.BEFORE else []
    assert (again.finished, again.skipped) == (done, [] if done else [KEY])
    assert due.run(LATER + OVER).failed == []
    assert len(due.readable(KEY)) == 2


#: What is no claim that a rotation wrote.
MALFORMED = {
    "nothing": b"",
    "no JSON": b"{",
    "no object": b"[]",
    "no time": b"{}",
    "a number": b'{"until": 1}',
    "no date": b'{"until": "tomorrow"}',
    "without a zone": b'{"until": "2026-11-24T20:00:00"}',
    "null": b"null",
    "binary": b"\xff\x00\xfe",
    "deep": b"[" * 100_000,
}


@pytest.mark.parametrize("attempt", ["0", "3", "999999999"])
@pytest.mark.parametrize("content", MALFORMED.values(), ids=MALFORMED.keys())
def test_a_malformed_claim_holds_its_key_up_as_long_as_a_claim(
    due: AzureWorld, content: bytes, attempt: str
) -> None:
    """Its key waits, and no other; nobody has to remove it."""
    due.at(LATER)
    claimed(due, LATER)
    put(due, content, attempt)
    before = due.sim.secrets.secret(KEY)
    summary = due.run(LATER + MINUTE)
    assert (summary.skipped, summary.rotated, summary.failed) == ([KEY], [OTHER], [])
    assert due.sim.secrets.secret(KEY) == before
    assert due.run(LATER + OVER).rotated == [KEY]
    assert len(due.readable(KEY)) == 2


@pytest.mark.parametrize("extra", [-365 * DAY, 4 * MINUTE, 6 * MINUTE, 365 * DAY, 2_000_000 * DAY])
def test_what_a_claim_says_of_its_end_does_not_count(due: AzureWorld, extra: timedelta) -> None:
    """It lasts from when the container has it, by the container's clock."""
    due.at(LATER)
    put(due, claim(due.began + LATER + CLAIM_LIFETIME + extra))
    assert due.run(LATER + CLAIM_LIFETIME - 2 * SECOND, keys=[KEY]).skipped == [KEY]
    assert due.run(LATER + OVER, keys=[KEY]).rotated == [KEY]


@pytest.mark.parametrize("name", ["x", "-1", "0.5", "1.frei", "0/1", "²", "٣", "0x1"])
def test_what_else_lies_among_the_claims_is_passed_over(due: AzureWorld, name: str) -> None:
    """Objects that no rotation names so neither hold a key up nor break a takeover."""
    put(due, b"not a claim", attempt=name)
    claimed(due, LATER)
    assert due.run(LATER + MINUTE, keys=[KEY]).skipped == [KEY]
    summary = due.run(LATER + OVER, keys=[KEY])
    assert summary.rotated == [KEY], summary.errors


def _late(world: AzureWorld, staged: Staged, after: timedelta) -> str:
    store = world.adapter.store
    return store.promote(store.describe(KEY), staged, world.at(LATER + after))


def test_a_set_begins_within_its_bound(due: AzureWorld) -> None:
    """Right before nine minutes are over a set may begin still."""
    staged = claimed(due, LATER)
    version = _late(due, staged, SET_BY - SECOND)
    assert due.current(KEY) == version


@pytest.mark.parametrize("after", [SET_BY, CLAIM_LIFETIME, 5 * DAY])
def test_a_set_is_given_up_after_its_bound(due: AzureWorld, after: timedelta) -> None:
    """A rotation that is stopped for nine minutes sets nothing any more, and frees the key."""
    staged = claimed(due, LATER)
    before = due.state()
    with pytest.raises(StoreUnavailable, match="not enough time left"):
        _late(due, staged, after)
    assert due.state() == before
    assert due.run(LATER + after + SECOND, keys=[KEY]).rotated == [KEY]


def test_a_value_that_somebody_sets_during_a_rotation_stays_readable(due: AzureWorld) -> None:
    """What a person sets between our look and our set becomes the previous version."""
    store = due.adapter.store
    key = store.describe(KEY)
    staged = store.stage(key, "ours", due.at(LATER))
    tags = dict(due.sim.secrets.version(KEY).tags)
    due.sim.secrets.add_version(KEY, "by hand", tags=tags)
    store.promote(key, staged, due.at(LATER + SECOND))
    assert due.adapter.get_key(KEY) == "ours"
    assert list(due.readable(KEY).values())[1:] == ["by hand", "ours"]
