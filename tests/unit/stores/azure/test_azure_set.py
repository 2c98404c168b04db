"""One set under one claim: in time, never repeated blindly, and its end never guessed."""

from datetime import datetime, timedelta

import pytest
from daena_kms.errors import (
    AccessDenied,
    ConfigError,
    DaenaKMSError,
    KeyExists,
    KeyNotFound,
    RotationConflict,
    StoreUnavailable,
)
from daena_kms.sdk.azure.errors import Throttled, Unanswered
from daena_kms.stores.azure.claims import SET_BY, Claims
from daena_kms.stores.azure.set import NextVersion

from tests.unit.keys import NOW, SECOND
from tests.unit.stores.azure.azure_sets import KEY, MADE, NAME, World


def never() -> str | None:
    """Fail where nobody may look."""
    raise AssertionError


def test_one_call_sets_the_version() -> None:
    """With its tags, type and expiry, the SDK's own retry off, and a bound on the time it takes."""
    world = World()
    assert world.set(never) == MADE
    (given,) = world.vault.client.given
    assert given == {
        "name": "key",
        "value": world.material,
        "tags": {"daena-version": NAME},
        "content_type": "text/plain",
        "expires_on": NOW,
        "retry_total": 0,
        "connection_timeout": 5,
        "read_timeout": 15,
        "timeout": 60,
    }
    # Its base is no longer current: nobody needs the claim, and it may run out.
    assert not world.free
    assert (world.clock.slept, world.new.in_doubt) == ([], False)


def test_claims_are_opened_on_use_alone() -> None:
    """Making a setter calls nothing, and neither does giving back what was not taken."""
    world = World()
    world.setter.give_back(world.new)
    assert world.opened == 0
    world.setter.take(world.new, "base", NOW)
    assert world.opened == 1


def test_a_claim_on_a_base_that_was_claimed_before() -> None:
    """The caller is told that an earlier rotation may have come far, and looks again."""
    world, other = World(), NextVersion("key", KEY, NAME, {})
    assert not world.setter.take(world.new, "base", NOW)
    with pytest.raises(RotationConflict):
        world.setter.take(other, "base", NOW)
    assert other.claim is None
    world.setter.give_back(world.new)
    assert world.new.claim is None
    assert world.setter.take(other, "base", NOW)


@pytest.mark.parametrize(
    ("named", "waits"),
    [
        ([None, None, None], [2, 4, 8]),
        ([7, 1], [7, 1]),
        ([3, None], [3, 6]),
        ([0, 0], [2, 4]),
    ],
    ids=["doubling", "as told", "told, then not", "told not to wait"],
)
def test_throttling_is_waited_out(named: list[float | None], waits: list[float]) -> None:
    """A vault that did nothing is asked again after the time that it names, or ever later."""
    world = World(*(Throttled("key", after) for after in named))
    assert world.set(never) == MADE
    assert [s for s in world.clock.slept if s >= 1] == waits
    assert len(world.vault.client.given) == 1


def test_a_secret_that_the_vault_is_busy_with_is_waited_for() -> None:
    """It did nothing: the set is made again after a look, for half a minute at most."""
    world = World(*(RotationConflict("busy", key_id="key") for _ in range(2)))
    assert world.set(never) == MADE
    assert world.clock.slept == [2, 4]
    world = World(*(RotationConflict("busy", key_id="key") for _ in range(9)))
    assert isinstance(world.fails(never), RotationConflict)
    assert world.free
    assert world.clock.now - 100 <= 30


def test_after_a_throttled_answer_sets_are_spaced() -> None:
    """The quota is 300 in 10 s; before it is met nobody waits."""
    world = World(Throttled("key", 1))
    assert world.set(never) == MADE
    assert world.clock.slept == [1]
    for _ in range(3):
        world.setter.set(NextVersion("key", KEY, NAME, {}), world.material, SET_BY)
    gaps = [b - a for a, b in zip(world.vault.times[1:], world.vault.times[2:], strict=False)]
    assert gaps[1:] == pytest.approx([1 / 28] * 2)


@pytest.mark.parametrize(
    ("answers", "calls"),
    [([61], 1), ([2, 29], 2), ([None] * 9, 4)],
    ids=["at once", "later", "by doubling"],
)
def test_a_vault_that_asks_for_too_long_a_wait_is_left(
    answers: list[float | None], calls: int
) -> None:
    """Over half a minute is for the next run; the claim is given back: nothing was set."""
    world = World(*(Throttled("key", after) for after in answers))
    assert isinstance(world.fails(never), Throttled)
    assert world.free
    assert len(world.vault.times) == calls
    assert world.clock.now - 100 <= 30
    assert world.vault.client.given == []


def test_after_a_wait_the_key_is_looked_at_again() -> None:
    """What was changed while the vault throttled is not overwritten; without a wait none looks."""
    looks: list[float] = []
    world = World(Throttled("key", 3), Throttled("key", 4))
    assert world.set(never, check=lambda: looks.append(world.clock.now)) == MADE
    assert [look - 100 for look in looks] == pytest.approx([3, 7], abs=0.1)

    def moved() -> None:
        raise RotationConflict("it was changed", key_id="key", undecided=True)

    world = World(Throttled("key", 3))
    assert isinstance(world.fails(never, check=moved), RotationConflict)
    assert world.free
    assert world.vault.client.given == []


def test_a_look_that_fails_after_a_wait_leaves_nothing_in_doubt() -> None:
    """The vault has said that it did nothing: the claim is given back at once."""

    def away() -> None:
        raise Unanswered("away", key_id="key")

    world = World(Throttled("key", 3))
    assert isinstance(world.fails(never, check=away), Unanswered)
    assert not world.new.in_doubt
    assert world.free


def test_a_look_that_takes_too_long_ends_the_set() -> None:
    """Time is looked at right before the set, also after a look."""
    world = World(Throttled("key", 3))

    def slow() -> None:
        world.clock.now += 60

    assert isinstance(world.fails(never, check=slow), Throttled)
    assert world.free
    assert world.vault.client.given == []


@pytest.mark.parametrize(
    ("left", "answers"),
    [
        (timedelta(), []),
        (-SECOND, []),
        (5 * SECOND, [4, 4]),
        (2 * SECOND, [2]),
    ],
    ids=["no time", "too late", "used up by waiting", "the wait is too long"],
)
def test_a_set_that_would_begin_too_late_is_given_up(
    left: timedelta, answers: list[float | None]
) -> None:
    """By then another rotation may soon take over; the claim is given back at once."""
    world = World(*(Throttled("key", after) for after in answers))
    error = world.fails(never, left)
    assert type(error) is (Throttled if answers else StoreUnavailable)
    assert "nothing was written" in str(error) or answers
    assert world.free
    assert world.clock.now < 100 + 5
    assert world.vault.client.given == []


@pytest.mark.parametrize(
    "error",
    [
        AccessDenied("refused", key_id="key"),
        ConfigError("wrong", key_id="key"),
        KeyExists("deleted", key_id="key"),
        StoreUnavailable("not reached", key_id="key"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_refused_set_gives_the_claim_back(error: DaenaKMSError) -> None:
    """Nothing was set, so another rotation may begin at once; nobody looks."""
    world = World(error)
    assert world.fails(never) is error
    assert world.free
    assert not world.new.in_doubt


def test_a_lost_answer_that_was_a_yes() -> None:
    """The version that carries our name is found: it is ours, and nothing is set again."""
    world = World(Unanswered("lost", key_id="key"))
    assert world.set(lambda: "e" * 32) == "e" * 32
    assert len(world.vault.times) == 1


def test_a_lost_answer_whose_end_nobody_knows() -> None:
    """The set may take effect yet: its own error is raised, and the claim runs out by itself."""
    world = World(lost := Unanswered("lost", key_id="key"))
    assert world.fails() is lost
    assert world.new.in_doubt
    world.setter.give_back(world.new)
    assert not world.free
    assert world.new.claim is not None


@pytest.mark.parametrize(
    "error",
    [
        AccessDenied("denied", key_id="key"),
        KeyNotFound("deleted", key_id="key"),
        StoreUnavailable("away", key_id="key"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_look_that_fails_says_nothing_of_the_set(error: DaenaKMSError) -> None:
    """The error is that of the set, and the claim is kept."""

    def look() -> str | None:
        raise error

    world = World(lost := Unanswered("lost", key_id="key"))
    assert world.fails(look) is lost
    assert not world.free


def test_a_claim_that_can_not_be_given_back_hides_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """What went wrong with the set is what the caller hears; the claim runs out by itself."""
    world = World(denied := AccessDenied("denied", key_id="key"))

    def away(*_: object) -> None:
        raise StoreUnavailable("the container is away")

    monkeypatch.setattr(Claims, "give_back", away)
    assert world.fails(never) is denied


def test_a_throttled_set_may_be_lost_later() -> None:
    """Each answer is judged by itself: after a lost one nothing is repeated."""
    world = World(Throttled("key", 1), Unanswered("lost", key_id="key"))
    assert isinstance(world.fails(), Unanswered)
    assert len(world.vault.times) == 2


def test_time_that_calls_take_counts() -> None:
    """A vault that answers slowly that it is busy uses up the time that is left."""
    world = World(*(Throttled("key", 1) for _ in range(99)))
    world.vault.takes = 60.0
    assert isinstance(world.fails(never), Throttled)
    assert len(world.vault.times) == 1


def test_the_time_of_the_claim_is_the_runs() -> None:
    """It is the caller's time, not the machine's, that the claim is dated by."""
    world = World()
    when = datetime.fromisoformat("2031-01-01T00:00:00Z")
    world.setter.take(world.new, "base", when)
    assert b"2031-01-01T00:00:00Z" in world.objects.stored["vault/key/base/0"]
