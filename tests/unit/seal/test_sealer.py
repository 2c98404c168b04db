"""One log, whoever seals it: two at once, a crash at any object, a lost answer, nothing new."""

from datetime import datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING

import pytest
from daena_kms.errors import AuditUnavailable, ConfigError
from daena_kms.seal.form import MAX_LEAVES, Seal, seal_name
from daena_kms.seal.notes import read_checkpoint, read_note
from daena_kms.seal.place import Seals, checkpoint_name
from daena_kms.seal.sealer import Sealer
from daena_kms.seal.tiles import TileReader

from tests.unit.logs import write_run
from tests.unit.seal.sealed import ORIGIN, SealedLog, checked, new_signer, seals_in
from tests.worlds.memory import Counted, MemoryObjects, Wrapped

if TYPE_CHECKING:
    from collections.abc import Callable


def test_all_that_is_present_is_sealed_and_signed() -> None:
    """By hand, runs under way as well; the checkpoint has the root of the tiles."""
    sealed = SealedLog()
    sealed.runs(2)
    sealed.runs(1, closing=False)

    done = sealed.seal()

    assert (done.seals, done.leaves, done.size) == (1, 8, 8)
    assert done.problems == []
    assert done.checkpoint == checkpoint_name(8)
    found = read_checkpoint(read_note(sealed.place.stored[checkpoint_name(8)]))
    assert (found.origin, found.size) == (ORIGIN, 8)
    assert TileReader(sealed.place.get, 8).edge().root() == found.root
    checked(sealed)


def test_nothing_new_writes_nothing() -> None:
    """Whether all is listed or not."""
    sealed = SealedLog()
    sealed.runs(2)
    sealed.seal()
    before = dict(sealed.place.stored)

    for everything in (True, False):
        sealed.clock.pass_(hours=5)
        done = sealed.seal(everything=everything)
        assert (done.seals, done.leaves, done.size) == (0, 0, 6)
    assert sealed.place.stored == before


def test_an_empty_log_has_no_seal() -> None:
    """There is nothing to sign."""
    sealed = SealedLog()
    done = sealed.seal()
    assert (done.size, done.checkpoint) == (0, None)
    assert sealed.place.stored == {}


def test_an_hourly_sealer_waits_for_runs_to_end() -> None:
    """One without an end is sealed when its hour is two hours past."""
    sealed = SealedLog()
    sealed.runs(1)
    sealed.seal(everything=False)
    sealed.clock.pass_(hours=3)
    (open_run,) = sealed.runs(1, closing=False)
    sealed.runs(1)

    assert sealed.seal(everything=False).leaves == 4  # of the second: recovery and the rest
    assert not any(leaf.name.startswith(open_run) for s in seals_in(sealed) for leaf in s.leaves)
    sealed.clock.pass_(hours=3)
    assert sealed.seal(everything=False).leaves == 2
    checked(sealed)


def test_an_hourly_sealer_lists_no_more_than_the_last_hours() -> None:
    """What was listed as a whole is not listed again, and the seals of before are not read."""
    sealed = SealedLog()
    for _ in range(30):
        sealed.runs(1)
        sealed.clock.pass_(hours=1)
        sealed.seal(everything=False)
    sealed.runs(20)
    counted, place = Counted(sealed.log), Counted(sealed.place)

    done = sealed.sealer(place, counted).seal(sealed.clock(), everything=False)

    assert done.leaves == 60
    assert counted.calls <= done.leaves + 15  # each object once, and a few listings
    assert place.calls <= 12


@pytest.mark.parametrize("size", [1, 255, 256, 257])
def test_logs_of_any_size(size: int) -> None:
    """Tiles are full, or not, or both."""
    sealed = SealedLog()
    for _ in range(size // 3):
        write_run(sealed.log, sealed.clock)
    sealed.seal()
    if size % 3:
        write_run(sealed.log, sealed.clock, closing=False)
    sealed.seal()
    checked(sealed)


def test_a_seal_holds_a_bounded_number_of_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is more comes into the next ones; only the last says that all was listed."""
    assert MAX_LEAVES == 4096
    monkeypatch.setattr("daena_kms.seal.sealer.MAX_LEAVES", 7)
    sealed = SealedLog()
    sealed.runs(8)
    sealed.clock.pass_(hours=4)

    assert sealed.seal().seals == 4
    assert [len(seal.leaves) for seal in seals_in(sealed)] == [7, 7, 7, 3]
    assert [seal.complete_to is not None for seal in seals_in(sealed)] == [False] * 3 + [True]
    checked(sealed)


def test_a_sealer_without_time_ends_between_two_seals(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest is the next one's, and nothing says before that all was listed."""
    monkeypatch.setattr("daena_kms.seal.sealer.MAX_LEAVES", 7)
    sealed = SealedLog()
    sealed.runs(8)
    looks = count()

    done = sealed.sealer().seal(sealed.clock(), over=lambda: next(looks) >= 2)

    assert (done.seals, done.left) == (2, True)
    assert sealed.seal().seals == 2
    checked(sealed)


def test_complete_to_is_two_hours_behind_and_never_goes_back() -> None:
    """A clock that goes back changes nothing of what was said."""
    sealed = SealedLog()
    sealed.runs(1)
    sealed.seal()
    sealed.clock.pass_(hours=5, minutes=10)
    sealed.runs(1)
    sealed.seal()
    second = sealed.clock()
    sealed.clock.pass_(hours=-3)
    sealed.runs(1)
    sealed.seal()

    times = [seal.complete_to for seal in seals_in(sealed)]
    assert times[1] == (second - timedelta(hours=2)).replace(minute=0)
    assert times[2] == times[1]


def test_what_is_wrong_is_sealed_all_the_same_and_reported() -> None:
    """Evidence is never dropped."""
    sealed = SealedLog()
    first, second = sealed.runs(2)
    sealed.log.stored[f"{first}000000.json"] = b"nonsense"
    sealed.log.stored[f"{second}000004.json"] = b"{}\n"
    sealed.log.stored["log/notes.txt"] = b"?"

    done = sealed.seal()

    assert done.leaves == 7
    named = {problem.name for problem in done.problems}
    assert named >= {f"{first}000000.json", f"{second}000004.json", "log/notes.txt"}
    assert seals_in(sealed)[0].strange == ("log/notes.txt",)
    assert sealed.seal().seals == 0  # it is reported once


def test_an_object_beyond_any_record_is_sealed_by_its_hash() -> None:
    """It is read piece by piece."""
    sealed = SealedLog()
    (run,) = sealed.runs(1, closing=False)
    sealed.log.stored[f"{run}000002.json"] = b"x" * ((1 << 20) + 1)

    done = sealed.seal()

    assert (done.leaves, [p.name for p in done.problems]) == (3, [f"{run}000002.json"])
    assert set(sealed.wrong()) == {f"{run}000002.json"}
    sealed.log.stored[f"{run}000002.json"] = b"y" * ((1 << 20) + 1)
    assert any("changed since" in problem.what for problem in sealed.verify().problems)


def test_a_run_that_appears_before_what_was_complete_is_sealed_and_reported() -> None:
    """It is dated back."""
    sealed = SealedLog()
    sealed.runs(1)
    sealed.clock.pass_(hours=9)
    sealed.runs(1)
    sealed.seal()
    sealed.clock.pass_(hours=-6)
    (late,) = sealed.runs(1)
    sealed.clock.pass_(hours=6)

    assert "dated back" in {p.name: p.what for p in sealed.seal().problems}[late]
    assert "dated back" in sealed.wrong()[late]


def test_an_origin_that_changed_is_refused() -> None:
    """The first seal fixes it."""
    sealed = SealedLog()
    sealed.runs(1)
    sealed.seal()
    other = Sealer(sealed.log, sealed.place, sealed.signers, "example.com/other")
    before = dict(sealed.place.stored)
    with pytest.raises(ConfigError, match=r"Set DAENA_KMS_SEAL_ORIGIN to example\.com/log"):
        other.seal(sealed.clock())
    assert sealed.place.stored == before


def test_a_key_is_exchanged_by_signing_with_both_for_a_while() -> None:
    """A new key alone signs nothing that it did not sign before."""
    sealed = SealedLog()
    (old,), new = sealed.signers, new_signer()
    sealed.runs(1)
    sealed.seal()
    sealed.signers = (new,)
    sealed.runs(1)
    with pytest.raises(ConfigError, match="signed by none of the keys"):
        sealed.seal()
    sealed.signers = (old, new)
    sealed.seal()
    sealed.signers = (new,)
    sealed.runs(1)
    sealed.seal()

    assert sealed.verify([new.key]).problems == []
    assert sealed.verify([old.key, new.key]).problems == []
    assert [p.name for p in sealed.verify([old.key]).problems] == [checkpoint_name(9)]


def test_checkpoints_are_copied_and_a_copy_that_fails_delays_nothing() -> None:
    """It is told."""
    sealed = SealedLog()
    copy = MemoryObjects()
    sealed.runs(1)

    def seal(to: Wrapped | MemoryObjects) -> list[str]:
        sealer = Sealer(sealed.log, sealed.place, sealed.signers, ORIGIN, to)
        return sealer.seal(sealed.clock()).notes

    assert seal(copy) == []
    assert copy.stored == {checkpoint_name(3): sealed.place.stored[checkpoint_name(3)]}
    sealed.runs(1)
    broken = Wrapped(copy)
    broken.fail_from = 1
    notes = seal(broken)
    assert notes[-1].startswith(f"{checkpoint_name(6)} was not copied: the log is full")
    checked(sealed)
    assert seal(copy) == []  # the newest one is copied by the next sealer
    assert checkpoint_name(6) in copy.stored


@pytest.mark.parametrize(
    ("name", "data", "what"),
    [
        (seal_name(0), b"{}", "is not a seal"),
        (checkpoint_name(3), b"nonsense", "is not a text and its signatures"),
        (seal_name(1), b"nonsense", "is not a seal"),
    ],
)
def test_nonsense_in_the_place_for_seals_stops_the_sealer(
    name: str, data: bytes, what: str
) -> None:
    """It signs nothing that it can't prove, and says who may write there."""
    sealed = SealedLog()
    sealed.runs(1)
    sealed.seal()
    sealed.runs(1)
    sealed.place.stored[name] = data
    before = dict(sealed.place.stored)
    with pytest.raises(AuditUnavailable, match=what):
        sealed.seal()
    assert sealed.place.stored == before


@pytest.mark.parametrize("seals", [1, 2, 999, 1000, 1001, 2500, 9001])
def test_the_newest_seal_is_found_in_few_pages(seals: int) -> None:
    """However many there are."""
    place = MemoryObjects()
    seal = Seal(0, ORIGIN, place.clock(), 0, (), 0, bytes(32), None)
    for number in range(seals):
        place.stored[seal_name(number)] = b""
    last = Seal(seals - 1, ORIGIN, seal.time, 0, (), 0, bytes(32), None)
    place.stored[seal_name(seals - 1)] = last.encode()
    counted = Counted(place)

    assert Seals(counted).newest() == last
    assert counted.calls <= 12


def test_the_form_of_a_seal() -> None:
    """What is written is read; another number, count or form is refused."""
    sealed = SealedLog()
    sealed.runs(1)
    sealed.seal()
    (seal,) = seals_in(sealed)
    data = sealed.place.stored[seal_name(0)]
    assert seal.encode() == data
    assert isinstance(seal.time, datetime)
    changes: list[Callable[[bytes], bytes]] = [
        lambda d: d.replace(b'"number":0', b'"number":1'),
        lambda d: d.replace(b'"first":0', b'"first":1'),
        lambda d: d.replace(b'"size":3', b'"size":4'),
        lambda d: d.replace(b'"v":1', b'"v":2'),
        lambda d: d.replace(b"sha256:", b"sha512:"),
        lambda d: d.replace(b'"root":"', b'"root":"AAAA'),
        lambda d: d.replace(b'"strange":[]', b'"strange":[1]'),
        lambda d: d.replace(b'"strange":[]', b'"strange": []'),
        lambda d: d.replace(b'"number":0', b'"number":false'),
        lambda d: d.replace(b"example.com/log", b"example.com log"),
        lambda d: d.replace(b":00:00Z", b":00:01Z"),
        lambda d: d[:-1],
        lambda _: b"[" * 100_000,
    ]
    for change in changes:
        assert change(data) != data
        sealed.place.stored[seal_name(0)] = change(data)
        assert set(sealed.wrong()) >= {seal_name(0)}
