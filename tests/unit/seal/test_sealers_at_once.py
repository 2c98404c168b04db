"""Two sealers at once, a crash at any object, a stale listing: one log, and no fork."""

from collections.abc import Iterator

import pytest
from daena_kms.errors import AuditUnavailable, ConfigError, DaenaKMSError
from daena_kms.objects.base import AlreadyExists, Entry
from daena_kms.seal.form import seal_name

from tests.unit.logs import write_run
from tests.unit.seal.sealed import SealedLog, checked, new_signer, seals_in
from tests.worlds.memory import MemoryObjects, Wrapped


class Stops(Wrapped):
    """A place whose every put from a number on does not happen, or happens and is not answered."""

    def __init__(self, inner: MemoryObjects, at: int, *, takes_effect: bool) -> None:
        super().__init__(inner)
        self.at = at
        self.takes_effect = takes_effect

    def put_new(self, name: str, data: bytes) -> None:
        """Create, until the sealer stops."""
        self.puts += 1
        if self.puts == self.at and self.takes_effect:
            self.inner.put_new(name, data)
        if self.puts >= self.at:
            raise AuditUnavailable("nobody answers", todo="Try again")
        self.inner.put_new(name, data)


@pytest.mark.parametrize("takes_effect", [False, True], ids=["before", "after"])
def test_a_crash_at_any_object_is_completed_by_the_next(takes_effect: bool) -> None:
    """There is one log then, the same that there would be without the crash."""
    whole = SealedLog(signers=(new_signer(),))
    for _ in range(90):
        write_run(whole.log, whole.clock)
    whole.seal()
    writes = len(whole.place.stored)
    assert writes > 6

    for at in range(1, writes + 1):
        sealed = SealedLog(clock=whole.clock, signers=whole.signers)
        sealed.log = whole.log
        with pytest.raises(AuditUnavailable):
            sealed.sealer(Stops(sealed.place, at, takes_effect=takes_effect)).seal(whole.clock())
        sealed.seal()
        assert sealed.place.stored == whole.place.stored, at
    checked(whole)


def test_a_crash_in_the_second_seal_is_completed_too() -> None:
    """The tree is continued out of the tiles of the first."""
    for at in range(1, 5):
        sealed = SealedLog()
        sealed.runs(3)
        sealed.seal()
        sealed.runs(3)
        with pytest.raises(AuditUnavailable):
            sealed.sealer(Stops(sealed.place, at, takes_effect=True)).seal(sealed.clock())
        sealed.runs(1)
        sealed.seal()
        checked(sealed)


def test_of_two_sealers_one_wins_each_number_and_nothing_is_sealed_twice() -> None:
    """The loser goes on from there, with what the winner did not have."""
    sealed = SealedLog()
    sealed.runs(4)
    place = Wrapped(sealed.place)
    raced = list[str]()

    def other(name: str, _: bytes) -> None:
        if name == seal_name(0) and not raced:
            raced.append(name)
            sealed.clock.pass_(seconds=1)
            sealed.seal()  # it was faster
            sealed.runs(1)

    place.before = other
    done = sealed.sealer(place).seal(sealed.clock())

    assert raced
    assert done.leaves == 0
    sealed.seal()
    checked(sealed)


def test_two_sealers_step_by_step() -> None:
    """Whenever the other one seals between two writes of the first, there is one log."""
    for at in range(1, 9):
        sealed = SealedLog()
        sealed.runs(3)
        place = Wrapped(sealed.place)

        def other(
            _: str, __: bytes, place: Wrapped = place, at: int = at, sealed: SealedLog = sealed
        ) -> None:
            if place.puts == at:
                sealed.runs(1)
                sealed.seal()

        place.before = other
        sealed.sealer(place).seal(sealed.clock())
        sealed.seal()
        checked(sealed)


class Stale(Wrapped):
    """A place whose listing shows nothing that is there."""

    def scan(self, prefix: str, after: str = "") -> Iterator[Entry]:
        """Show nothing."""
        del prefix, after
        return iter(())


def test_a_stale_listing_of_the_seals_makes_no_fork() -> None:
    """The number is taken; what is there is read, and the sealer goes on from it."""
    sealed = SealedLog()
    sealed.runs(2)
    sealed.seal()
    sealed.runs(1)
    sealed.sealer(Stale(sealed.place)).seal(sealed.clock())
    checked(sealed)
    assert len(seals_in(sealed)) == 2


def test_a_place_that_says_exists_and_shows_nothing_is_an_error() -> None:
    """Nothing is signed then."""

    class Odd(Wrapped):
        def put_new(self, name: str, data: bytes) -> None:
            del data
            raise AlreadyExists(name)

    sealed = SealedLog()
    sealed.runs(1)
    with pytest.raises(AuditUnavailable, match="can't be created"):
        sealed.sealer(Odd(sealed.place)).seal(sealed.clock())


@pytest.mark.parametrize(
    ("theirs", "error", "what"),
    [
        (b"nonsense", AuditUnavailable, "is not a seal"),
        (b'"origin":"example.com/lag"', ConfigError, "another sealer seals this log as"),
    ],
)
def test_a_number_that_somebody_else_took_meanwhile(
    theirs: bytes, error: type[DaenaKMSError], what: str
) -> None:
    """By nonsense, or for a log of another name: the sealer stops and signs nothing."""
    sealed = SealedLog()
    sealed.runs(1)
    place = Wrapped(sealed.place)

    def take(name: str, data: bytes) -> None:
        if name == seal_name(0) and name not in sealed.place.stored:
            ours = b'"origin":"example.com/log"'
            sealed.place.stored[name] = (
                data.replace(ours, theirs) if b"origin" in theirs else theirs
            )

    place.before = take
    with pytest.raises(error, match=what):
        sealed.sealer(place).seal(sealed.clock())
    assert list(sealed.place.stored) == [seal_name(0)]
