"""Who may set the next version: one at a time, taken over when its time is over, on memory."""

import json
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from daena_kms.errors import ConfigError, RotationConflict, StoreUnavailable
from daena_kms.objects.base import AlreadyExists, Entry, Look
from daena_kms.rules.durations import format_time
from daena_kms.stores.azure.claims import CLAIM_LIFETIME, SET_BY, Claim, Claims

from tests.unit.keys import HOUR, MINUTE, NOW, SECOND
from tests.worlds.memory import MemoryObjects

BASE = "0123456789abcdef" * 2
PLACE = f"vault/some-key/{BASE}/"
END = NOW + CLAIM_LIFETIME


@pytest.fixture
def objects() -> MemoryObjects:
    """An empty container."""
    return MemoryObjects()


@pytest.fixture
def claims(objects: MemoryObjects) -> Claims:
    """The claims of a vault in it."""
    return Claims(objects, "vault")


def take(claims: Claims, now: datetime = NOW, base: str = BASE) -> Claim:
    """Claim the key's next version."""
    return claims.take("some-key", base, now)


def put(objects: MemoryObjects, name: str, content: object) -> None:
    """Write an object below the key's place as somebody else would."""
    objects.put_new(PLACE + name, json.dumps(content).encode())


def until(end: datetime) -> dict[str, str]:
    """Return a claim's content as far as it counts."""
    return {"until": format_time(end)}


def test_there_is_time_between_the_last_set_and_a_take_over() -> None:
    """A set that begins at its last moment ends, and clocks may differ, before the claim ends."""
    assert SET_BY + MINUTE + 5 * MINUTE <= CLAIM_LIFETIME


def test_the_first_has_it(claims: Claims, objects: MemoryObjects) -> None:
    """A claim is an object of that name, which says since when and until when, and no value."""
    claim = take(claims)
    assert claim == Claim(PLACE, 0, END)
    assert not claim.taken_over
    (name,) = objects.stored
    assert name == PLACE + "0"
    content = json.loads(objects.stored[name])
    assert content.pop("claim")
    assert content == {"from": format_time(NOW), "until": format_time(END)}


def test_the_second_is_refused_until_its_time_is_over(claims: Claims) -> None:
    """Whoever finds it there has lost, to the last moment, and is told when it ends."""
    take(claims)
    for now in (NOW, END - timedelta(microseconds=1)):
        with pytest.raises(
            RotationConflict, match=r"has claimed it, until 2026-11-24T12:15:00Z"
        ) as lost:
            take(claims, now)
        assert lost.value.key_id == "some-key"
    over = take(claims, END)
    assert (over.attempt, over.taken_over, over.until) == (1, True, END + CLAIM_LIFETIME)
    with pytest.raises(RotationConflict):
        take(claims, END + CLAIM_LIFETIME - SECOND)
    assert take(claims, END + CLAIM_LIFETIME).attempt == 2


def test_keys_bases_and_vaults_are_apart(claims: Claims, objects: MemoryObjects) -> None:
    """A claim concerns one base of one key of one vault."""
    take(claims)
    others = [
        take(claims, base="none"),
        claims.take("some", BASE, NOW),
        Claims(objects, "other").take("some-key", BASE, NOW),
    ]
    assert [claim.attempt for claim in others] == [0, 0, 0]
    assert len(objects.stored) == 4


def test_what_was_given_back_is_free_at_once(claims: Claims) -> None:
    """The next attempt is for one alone again."""
    claims.give_back(take(claims))
    second = take(claims)
    assert second.attempt == 1
    with pytest.raises(RotationConflict):
        take(claims)
    claims.give_back(second)
    claims.give_back(second)
    assert take(claims).attempt == 2


def test_a_late_give_back_frees_nothing_of_another(claims: Claims) -> None:
    """An owner that was overtaken frees its own claim, and not that of who overtook it."""
    first = take(claims)
    second = take(claims, END)
    claims.give_back(first)
    with pytest.raises(RotationConflict, match=r"until 2026-11-24T12:30:00Z"):
        take(claims, END)
    assert second.attempt == 1


def test_the_latest_attempt_counts_by_number(claims: Claims, objects: MemoryObjects) -> None:
    """Attempt 10 comes after attempt 9, whatever the order of their names."""
    for attempt in range(11):
        put(objects, str(attempt), until(NOW + CLAIM_LIFETIME if attempt == 10 else NOW - HOUR))
    with pytest.raises(RotationConflict):
        take(claims)
    assert take(claims, END).attempt == 11


def test_of_many_at_once_one_takes_over(claims: Claims, objects: MemoryObjects) -> None:
    """Twenty find the same claim over; one has the next attempt."""
    put(objects, "0", until(NOW - SECOND))
    start = threading.Barrier(20)
    won: list[Claim] = []
    lost: list[RotationConflict] = []

    def one() -> None:
        start.wait()
        try:
            won.append(take(claims))
        except RotationConflict as error:
            lost.append(error)

    threads = [threading.Thread(target=one) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(won), len(lost)) == (1, 19)
    assert won[0].attempt == 1


class LostAnswers(MemoryObjects):
    """A container whose puts take effect and then seem to have found the object there."""

    def put_new(self, name: str, data: bytes) -> None:
        """Put, and answer as the library's second try would."""
        super().put_new(name, data)
        raise AlreadyExists(name)


def test_ones_own_object_is_ones_own() -> None:
    """A put that was repeated after a lost answer is told by its content."""
    objects = LostAnswers()
    claim = take(Claims(objects, "vault"))
    assert claim.attempt == 0
    Claims(objects, "vault").give_back(claim)
    assert set(objects.stored) == {PLACE + "0", PLACE + "0.free"}


class Overtaken(MemoryObjects):
    """A container in which another takes the attempt between our look and our put."""

    def entries(self, prefix: str) -> list[Entry]:
        """List, then let the other one be faster."""
        found = super().entries(prefix)
        put(self, "1", until(END))
        return found


def test_who_is_overtaken_between_look_and_put_has_lost() -> None:
    """The put of the next attempt decides, not the listing."""
    objects = Overtaken()
    put(objects, "0", until(NOW - SECOND))
    with pytest.raises(RotationConflict, match="another rotation has claimed it"):
        take(Claims(objects, "vault"))
    assert len(objects.stored) == 2


class Dated(MemoryObjects):
    """A container that says its own time with each listing, as Blob Storage does."""

    def __init__(self) -> None:
        super().__init__(lambda: self.now)
        self.now = NOW
        self.asked = 0

    def look(self, prefix: str, most: int) -> Look:
        """List, with the time."""
        self.asked += 1
        return replace(super().look(prefix, most), at=self.now)


GARBAGE: dict[str, bytes] = {
    "empty": b"",
    "binary": b"\xff",
    "object": b"{}",
    "list": b"[]",
    "null": b"null",
    "number": b'{"until": 7}',
    "no time": b'{"until": "soon"}',
    "broken": b"{" * 9,
    "deep": b"[" * 100_000,
    "long": b"x" * 1_000_000,
    "until the year 9999": json.dumps(until(datetime(9999, 1, 1, tzinfo=UTC))).encode(),
    "long over": json.dumps(until(NOW - 9_000 * HOUR)).encode(),
}


@pytest.mark.parametrize("attempt", ["0", "1", "7", "4999", "999999999"])
@pytest.mark.parametrize("content", GARBAGE.values(), ids=GARBAGE)
def test_what_anybody_may_write_lasts_as_long_as_a_claim(content: bytes, attempt: str) -> None:
    """By the container's clock, whatever stands in it, whatever its number, whatever ours says."""
    objects = Dated()
    objects.put_new(PLACE + attempt, content)
    objects.put_new(PLACE + ("0" if attempt != "0" else "5"), b"")
    claims = Claims(objects, "vault")
    objects.now = END - SECOND
    for ours in (NOW - 400 * HOUR, NOW, NOW + 400 * HOUR):
        with pytest.raises(RotationConflict, match=r"until 2026-11-24T12:15:00Z"):
            take(claims, ours)
    objects.now = END
    claim = take(claims, NOW - 400 * HOUR)
    assert claim.attempt == (2 if attempt == "1" else 1)
    with pytest.raises(RotationConflict):
        take(claims, NOW + 400 * HOUR)
    objects.now = END + CLAIM_LIFETIME
    assert take(claims, NOW).attempt == claim.attempt + 1


@pytest.mark.parametrize("content", GARBAGE.values(), ids=GARBAGE)
def test_a_place_without_a_clock_waits_no_longer(objects: MemoryObjects, content: bytes) -> None:
    """Where no time comes with a listing, nonsense does not make a claim last longer."""
    objects.clock = lambda: NOW
    objects.put_new(PLACE + "0", content)
    with pytest.raises(RotationConflict):
        take(Claims(objects, "vault"), END - SECOND)
    assert take(Claims(objects, "vault"), END).attempt == 1


def test_more_objects_than_rotations_make_are_named() -> None:
    """One bounded look, one error that says what to delete, and nothing is taken."""
    objects = Dated()
    for number in range(5_001):
        objects.stored[f"{PLACE}{number}"] = b""
    with pytest.raises(ConfigError, match=rf"more than 5,000 objects.*{PLACE}.*delete") as caught:
        take(Claims(objects, "vault"), END + HOUR)
    assert caught.value.key_id == "some-key"
    assert (objects.asked, len(objects.stored)) == (1, 5_001)


@pytest.mark.parametrize("name", ["²", "٣", "x", "-7", "1.5", "0.free.x", "7/x", "007", "9" * 20])
def test_names_that_are_no_attempt(claims: Claims, objects: MemoryObjects, name: str) -> None:
    """What else lies below the key's place counts for nothing."""
    put(objects, "0", until(NOW - SECOND))
    put(objects, name, {})
    assert take(claims).attempt == 1


@pytest.mark.parametrize("method", ["put_new", "entries", "get"])
def test_a_container_that_does_not_answer(
    claims: Claims, objects: MemoryObjects, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """Without the claims nothing is claimed: the error is passed on."""
    put(objects, "0", until(NOW - SECOND))

    def fail(*_arguments: object) -> None:
        raise StoreUnavailable("the place for claims can't be reached")

    monkeypatch.setattr(objects, method, fail)
    with pytest.raises(StoreUnavailable, match="the place for claims"):
        take(claims)
    assert len(objects.stored) == 1
