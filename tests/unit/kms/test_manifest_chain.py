"""Writers at once, answers that are lost, and what others leave in the place of the chain."""

import json
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from daena_kms.errors import AuditUnavailable, ConfigError, ManifestInvalid
from daena_kms.kms.manifests import Chain, Manifest, attest, verify_chain
from daena_kms.kms.manifests.format import encode, hash_of
from daena_kms.objects.base import AlreadyExists
from daena_kms.objects.files import FileObjects

from tests.unit.kms.manifests import chain_of, old_chain, one_signer, resigned, rotation, signer
from tests.worlds.memory import MemoryObjects, Wrapped

KEY = one_signer().public_key


def add(chain: Chain, key_id: str = "some-key") -> Manifest:
    """Add a manifest."""
    return attest(one_signer(), chain, rotation(key_id=key_id)).manifest


def test_they_follow_each_other() -> None:
    """Numbers count from 1, and each names the hash of the one before it."""
    chain, objects = chain_of(3)
    found = list(chain.manifests())
    assert [manifest.seq for manifest in found] == [1, 2, 3]
    assert [m.prev_manifest_hash for m in found] == [None, *(m.manifest_hash for m in found[:2])]
    assert sorted(objects.stored) == [f"manifests/00000000000{n}.json" for n in (1, 2, 3)]
    assert chain.end().manifest == found[2]


def test_twenty_threads_make_one_chain(tmp_path: Path) -> None:
    """In files, none is lost, and the chain does not fork."""
    chain = Chain(FileObjects(tmp_path / "place"), prefix="")
    barrier = threading.Barrier(20)

    def write(number: int) -> None:
        own = Chain(FileObjects(tmp_path / "place"), prefix="")
        barrier.wait(30)
        add(own, f"key-{number}")

    threads = [threading.Thread(target=write, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    report = verify_chain(chain, public_key=KEY)
    assert report.ok, report.problems
    assert {m.key_id for m in chain.manifests()} == {f"key-{number}" for number in range(20)}


def test_a_lost_answer_is_found_again() -> None:
    """A put that took effect, and that the store's client repeated, makes one manifest."""
    inner = MemoryObjects()

    class Twice(Wrapped):
        def put_new(self, name: str, data: bytes) -> None:
            self.inner.put_new(name, data)
            raise AlreadyExists(name)

    chain = Chain(Twice(inner))
    entry = attest(one_signer(), chain, rotation())
    assert (entry.manifest.seq, len(inner.stored)) == (1, 1)


def test_the_loser_goes_on_after_the_winner() -> None:
    """Whoever finds the number taken chains to what is there."""
    chain, objects = chain_of(1)
    log = Wrapped(objects)
    late = Chain(log)
    pending = [lambda: add(chain), lambda: add(chain)]

    def others(_name: str, _data: bytes) -> None:
        if pending:
            pending.pop()()

    log.before = others
    assert add(late).seq == 4
    assert verify_chain(chain, public_key=KEY).ok


def test_nonsense_in_the_way_stops_nobody() -> None:
    """A name that is taken by no manifest is passed over, and named by the verification."""
    chain, objects = chain_of(2)
    objects.stored["manifests/000000000003.json"] = b"nonsense"
    objects.stored["manifests/999999999999.json"] = b"nonsense"
    assert chain.end().number == 2
    made = add(chain)
    assert made.seq == 4
    report = verify_chain(chain, public_key=KEY)
    assert report.problems[0].name == "manifests/000000000003.json"


def test_one_that_was_moved_is_no_end() -> None:
    """The end is the last manifest that stands under its own number."""
    chain, objects = chain_of(2)
    objects.stored["manifests/000000000007.json"] = objects.stored["manifests/000000000001.json"]
    assert chain.end().number == 2


def test_a_hole_is_not_filled() -> None:
    """What was deleted stays missing: the next goes to the end."""
    chain, objects = chain_of(4)
    del objects.stored["manifests/000000000002.json"]
    assert add(chain).seq == 5
    report = verify_chain(chain, public_key=KEY)
    assert [p.name for p in report.problems] == ["manifests/000000000002.json"]


@pytest.mark.parametrize("number", [999_999_999_999, 999_999_990_000, 20_000])
def test_a_number_far_ahead_stops_nobody(number: int) -> None:
    """One manifest in the right form, by whoever may add objects: it is named, and passed over."""
    chain, objects = chain_of(1)
    raw = json.loads(objects.stored["manifests/000000000001.json"])
    objects.stored[chain.name(number)] = encode(resigned(raw, signer(), seq=number))
    assert [add(chain).seq, add(chain).seq] == [2, 3]
    problems = verify_chain(chain, public_key=KEY).problems
    assert [p.name for p in problems] == [chain.name(4), chain.name(number)]
    assert problems[1].what == "has a wrong signature"


def test_numbers_that_are_cut_out_are_not_filled() -> None:
    """Who deletes some of the middle has the next one follow the end all the same."""
    chain, objects = chain_of(5)
    for number in (2, 3):
        del objects.stored[chain.name(number)]
    assert add(chain).seq == 6


def test_a_place_that_somebody_fills() -> None:
    """Where every name is taken, the error says so, and ends."""

    class Full(Wrapped):
        def put_new(self, name: str, data: bytes) -> None:
            del data
            raise AlreadyExists(name)

        def get(self, name: str) -> bytes | None:
            del name
            return b"nonsense"

    with pytest.raises(AuditUnavailable, match=r"names are taken.*Verify the chain"):
        add(Chain(Full(MemoryObjects())))


class Counting(Wrapped):
    """Counts the reads."""

    reads = 0

    def get(self, name: str) -> bytes | None:
        """Read."""
        self.reads += 1
        return super().get(name)


def _unsigned(last: Manifest, number: int) -> bytes:
    raw = {**last.to_dict(), "seq": number, "prev_manifest_hash": last.manifest_hash}
    return encode(Manifest({**raw, "manifest_hash": hash_of(raw)}))


NONSENSE: dict[str, Callable[[Manifest, int], bytes]] = {
    "empty": lambda _last, _number: b"",
    "bytes": lambda _last, _number: b"\xff\x00",
    "not a manifest": lambda _last, _number: b"{}",
    "the last one again": lambda last, _number: encode(last),
    "a wrong signature": _unsigned,
    "a wrong hash": lambda last, number: encode(Manifest({**last.to_dict(), "seq": number})),
    "a signer that is none": lambda last, number: encode(
        resigned(last.to_dict(), one_signer(), seq=number, signed_by="ed25519:AAAA")
    ),
    "very long": lambda _last, _number: b"[" * 1_000_000,
}


@pytest.mark.parametrize("nonsense", NONSENSE.values(), ids=NONSENSE)
def test_nonsense_at_the_end_is_passed_over(nonsense: Callable[[Manifest, int], bytes]) -> None:
    """A hundred objects less one cost as many reads, and the chain goes on after them."""
    chain, inner = chain_of(2)
    last = chain.end().manifest
    assert last is not None
    for number in range(3, 102):
        inner.put_new(chain.name(number), nonsense(last, number))
    objects = Counting(inner)
    added = add(Chain(objects))
    assert (added.seq, added.prev_manifest_hash) == (102, last.manifest_hash)
    assert objects.reads == 100


@pytest.mark.parametrize("nonsense", NONSENSE.values(), ids=NONSENSE)
def test_more_nonsense_is_found_before_anything_is_done(
    nonsense: Callable[[Manifest, int], bytes],
) -> None:
    """A hundred reads, and an error: whoever asks for the end first stores nothing then."""
    chain, inner = chain_of(2)
    last = chain.end().manifest
    assert last is not None
    for number in range(3, 1_003):
        inner.put_new(chain.name(number), nonsense(last, number))
    objects = Counting(inner)
    with pytest.raises(AuditUnavailable, match=r"last 100 objects.*Verify the chain"):
        Chain(objects).end()
    assert (objects.reads, objects.puts) == (100, 0)


def test_a_broken_one_is_named_when_they_are_read() -> None:
    """Reading goes as far as it is right."""
    chain, objects = chain_of(3)
    objects.stored["manifests/README"] = b"x"
    objects.stored["manifests/000000000002.json"] = b"x"
    read = chain.manifests()
    assert next(read).seq == 1
    with pytest.raises(ManifestInvalid, match=r"000000000002.json: it is not a manifest"):
        next(read)


def test_what_goes_while_it_is_read_is_no_manifest() -> None:
    """An object that is listed and not there counts as broken, not as an end."""

    class Ghost(MemoryObjects):
        def get(self, name: str) -> bytes | None:
            return None if name.endswith("2.json") else super().get(name)

    _, objects = chain_of(3)
    ghost = Ghost()
    ghost.stored = objects.stored
    report = verify_chain(Chain(ghost), public_key=KEY)
    assert [p.name for p in report.problems] == ["manifests/000000000002.json"]


def test_files_and_folders_of_others(tmp_path: Path) -> None:
    """Links to nowhere, folders and temporary files in the folder harm nothing but themselves."""
    place = tmp_path / "place"
    chain = Chain(FileObjects(place), prefix="")
    add(chain)
    (place / "notes.txt").write_text("mine")
    (place / ".new-abc").write_text("half")
    (place / "folder").mkdir()
    (place / "000000000002.json").symlink_to(tmp_path / "nowhere")
    outside = tmp_path / "outside"
    (place / "000000000003.json").symlink_to(outside)
    made = add(chain)
    assert made.seq == 4
    assert not outside.exists()
    report = verify_chain(chain, public_key=KEY)
    assert [p.name for p in report.problems] == ["000000000002.json", "000000000003.json"]
    assert report.notes == ["notes.txt is not the name of a manifest, and was skipped"]


def test_a_folder_that_can_t_be_read(tmp_path: Path) -> None:
    """The error names the folder and says what to check; a link to itself is one for root too."""
    place = tmp_path / "place"
    place.symlink_to(place)
    chain = Chain(FileObjects(place), prefix="")
    with pytest.raises(AuditUnavailable, match=r"place can't be listed: .*\. Check the folder"):
        add(chain)


def test_a_place_that_is_a_file(tmp_path: Path) -> None:
    """The error names the folder and says what to check."""
    (tmp_path / "place").write_text("x")
    chain = Chain(FileObjects(tmp_path / "place"), prefix="")
    with pytest.raises(AuditUnavailable, match=r"place can't be .*\. Check the folder"):
        add(chain)


def test_a_chain_is_begun_with_old_ones_once() -> None:
    """Begun again it goes on; anything else in the place is an error, and nothing is replaced."""
    old = old_chain("key", 3)
    objects = MemoryObjects()
    chain = Chain(objects)
    objects.put_new("manifests/000000000001.json", encode(old[0]))  # as a crash left it
    chain.fill(old)
    chain.fill(old)
    assert [m.manifest_id for m in chain.manifests()] == [m.manifest_id for m in old]
    with pytest.raises(ConfigError, match="holds other manifests already"):
        chain.fill(old_chain("key", 3))
    add(chain)
    held = dict(objects.stored)
    with pytest.raises(ConfigError, match="Import before the first rotation"):
        chain.fill(old)
    assert objects.stored == held
