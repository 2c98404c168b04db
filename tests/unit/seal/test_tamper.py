"""Every way to change what was sealed, and the exact object that ``verify`` names."""

import base64
from collections.abc import Callable
from datetime import timedelta

import pytest
from daena_kms.audit.records import CLOSING_SEQ, decode, digest, encode, object_name
from daena_kms.seal.notes import Checkpoint, read_checkpoint, read_note
from daena_kms.seal.place import checkpoint_name

from tests.unit.logs import Hands, edited
from tests.unit.seal.sealed import SealedLog, new_signer
from tests.worlds.memory import MemoryObjects


@pytest.fixture
def sealed(whole: SealedLog) -> SealedLog:
    """Return the log, to be tampered with."""
    found = SealedLog(clock=Hands(whole.clock.now), signers=whole.signers)
    found.log, found.place = whole.log.copy(), whole.place.copy()
    return found


@pytest.fixture(scope="module")
def whole() -> SealedLog:
    """Return a log of 120 runs over hours, in three seals; of one run the end is missing."""
    found = SealedLog()
    for part in range(3):
        for number in range(40):
            found.runs(1, closing=(part, number) != (1, 20))
        found.clock.pass_(hours=4)
        found.seal()
    report = found.verify()
    assert (report.problems, report.objects) == ([], len(found.log.stored))
    return found


def rehashed(sealed: SealedLog, run: str) -> None:
    """Make all hashes of a run right again, after one of its records was changed."""
    log, hashes = sealed.log.stored, list[str]()
    names = sorted(name for name in log if name.startswith(run))
    for name in names:
        record = decode(log[name], name)
        changed: dict[str, object] = {"prev_hash": hashes[-1] if hashes else None}
        if record["seq"] == CLOSING_SEQ:
            changed["objects"] = list(hashes)
        log[name] = edited(log[name], **changed)
        hashes.append(digest(log[name]))


def runs_of(sealed: SealedLog) -> list[str]:
    """Return the runs, oldest first."""
    return list(dict.fromkeys(name[:-11] for name in sorted(sealed.log.stored)))


def checkpoint_of(sealed: SealedLog, place: MemoryObjects | None = None) -> Checkpoint:
    """Return the newest checkpoint."""
    stored = (place or sealed.place).stored
    name = max(name for name in stored if name.startswith("checkpoint/"))
    return read_checkpoint(read_note(stored[name]))


def test_one_word_edited_and_all_hashes_made_right_again(sealed: SealedLog) -> None:
    """The run itself is whole; only the seal knows what it was."""
    run = runs_of(sealed)[-1]
    name = object_name(run, 0)
    sealed.log.stored[name] = edited(sealed.log.stored[name], principal="someone-else")
    rehashed(sealed, run)

    changed = [p.name for p in sealed.verify().problems if "since it was sealed" in p.what]

    assert {name, object_name(run, 1), object_name(run, CLOSING_SEQ)} == set(changed)


@pytest.mark.parametrize("which", [0, -1], ids=["oldest", "newest"])
def test_a_run_deleted(sealed: SealedLog, which: int) -> None:
    """Each of its objects is named."""
    run = runs_of(sealed)[which]
    gone = [name for name in sealed.log.stored if name.startswith(run)]
    for name in gone:
        del sealed.log.stored[name]

    wrong = sealed.wrong()

    assert set(gone) <= set(wrong)
    assert all("is missing" in wrong[name] for name in gone)


def test_two_objects_swapped(sealed: SealedLog) -> None:
    """Both are named."""
    one, other = (object_name(run, 0) for run in runs_of(sealed)[:2])
    stored = sealed.log.stored
    stored[one], stored[other] = stored[other], stored[one]
    assert {one, other} <= set(sealed.wrong())


def test_a_record_replaced_by_one_of_the_same_size(sealed: SealedLog) -> None:
    """A hash is not a size."""
    name = object_name(runs_of(sealed)[-1], 1)
    data = sealed.log.stored[name]
    sealed.log.stored[name] = data.replace(b"some-key", b"same-key")
    assert len(sealed.log.stored[name]) == len(data)
    assert "was changed since it was sealed" in " ".join(
        p.what for p in sealed.verify().problems if p.name == name
    )


@pytest.mark.parametrize("prefix", ["tile/0/", "tile/1/", "tile/entries/", "seal/", "checkpoint/"])
@pytest.mark.parametrize("which", [0, -1], ids=["first", "last"])
@pytest.mark.parametrize("how", ["changed", "longer", "gone"])
def test_an_object_beside_the_log(sealed: SealedLog, prefix: str, which: int, how: str) -> None:
    """Tile, bundle, seal and checkpoint: each is named, changed or gone."""
    names = sorted(name for name in sealed.place.stored if name.startswith(prefix))
    name = names[which]
    data = sealed.place.stored[name]
    middle = len(data) // 2
    if how == "gone":
        del sealed.place.stored[name]
    elif how == "longer":
        sealed.place.stored[name] = data + b"\n"
    else:
        sealed.place.stored[name] = data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]

    report = sealed.verify()

    may_go = ".p/" in name and name != names[-1]  # a partial tile of an earlier size proves nothing
    last_checkpoint = prefix == "checkpoint/" and which == -1
    last_seal = prefix == "seal/" and which == -1
    if how == "gone" and may_go:
        assert report.ok
    elif how == "gone" and last_checkpoint:
        assert any("is not signed yet" in note for note in report.notes)
    elif how == "gone" and last_seal:  # what follows from it has nothing to follow from
        assert any("forks" in problem.what for problem in report.problems)
    else:
        assert name in {problem.name for problem in report.problems}


def test_objects_that_do_not_follow_from_the_seals(sealed: SealedLog) -> None:
    """Somebody added them."""
    for name in ("tile/0/099", "tile/0/000.p/3", "tile/5/000", "checkpoint/5", "seal/5.json"):
        sealed.place.stored[name] = b"x"
        assert name in sealed.wrong()
        del sealed.place.stored[name]


def rolled_back(sealed: SealedLog) -> MemoryObjects:
    """Return the place as it was two seals ago."""
    earlier = SealedLog(clock=sealed.clock, signers=sealed.signers)
    keep = {n for n in sealed.place.stored if n == "seal/000000000000.json"}
    earlier.place.stored = {n: sealed.place.stored[n] for n in keep}
    earlier.log = MemoryObjects(sealed.clock)
    earlier.seal()
    return earlier.place


def test_rolled_back_to_an_earlier_seal(sealed: SealedLog) -> None:
    """Only a checkpoint that was kept elsewhere shows it: what comes after it is unsealed."""
    kept = checkpoint_of(sealed)
    sealed.place = rolled_back(sealed)
    first = len(next(iter(sealed.place.stored)))
    for name in sorted(sealed.log.stored)[checkpoint_of(sealed).size :]:
        del sealed.log.stored[name]

    assert first
    assert sealed.verify().problems == []
    (what,) = sealed.wrong(since=kept).values()
    assert "was rolled back: a checkpoint kept elsewhere has" in what


def test_an_earlier_checkpoint_that_was_kept_is_part_of_the_log(sealed: SealedLog) -> None:
    """At any size, whether a seal ends there or not, and with the right root alone."""
    first = min(name for name in sealed.place.stored if name.startswith("checkpoint/"))
    kept = read_checkpoint(read_note(sealed.place.stored[first]))
    assert sealed.wrong(since=kept) == {}
    forged = Checkpoint(kept.origin, kept.size, bytes(32))
    assert "another root" in " ".join(sealed.wrong(since=forged).values())
    other = Checkpoint("example.com/other", kept.size, kept.root)
    assert "another log" in " ".join(sealed.wrong(since=other).values())
    assert "another root" in " ".join(
        sealed.wrong(since=Checkpoint(kept.origin, 100, kept.root)).values()
    )


def test_sealed_anew_by_another_key(sealed: SealedLog) -> None:
    """Who trusts the old key is told; who trusts none is told that nothing was checked."""
    (trusted,) = sealed.signers
    kept = checkpoint_of(sealed)
    run = runs_of(sealed)[0]
    name = object_name(run, 0)
    sealed.log.stored[name] = edited(sealed.log.stored[name], reason="another")
    rehashed(sealed, run)
    sealed.place = MemoryObjects(sealed.clock)
    sealed.signers = (new_signer(),)
    sealed.seal()

    newest = checkpoint_name(checkpoint_of(sealed).size)
    found = {p.name: p.what for p in sealed.verify([trusted.key]).problems}
    assert "signed by none of the keys that you trust" in found[newest]
    assert any("were not checked" in note for note in sealed.verify([]).notes)
    assert "another root" in " ".join(
        p.what for p in sealed.verify([sealed.signers[0].key], since=kept).problems
    )


def test_a_fork(sealed: SealedLog) -> None:
    """A checkpoint that was signed and is not the log's: whoever holds it proves the fork."""
    (signer,) = sealed.signers
    size = checkpoint_of(sealed).size
    from daena_kms.seal.notes import sign_note

    forked = Checkpoint("example.com/log", size, bytes(32))
    assert "another root" in " ".join(sealed.wrong(since=forked).values())
    name = checkpoint_name(size - 1)
    sealed.place.stored[name] = sign_note(
        Checkpoint("example.com/log", size - 1, bytes(32)).text(), [signer]
    )
    assert "or it forks" in sealed.wrong()[name]


@pytest.mark.parametrize("by", ["sealed", "unsealed"])
def test_a_run_dated_back(sealed: SealedLog, by: str) -> None:
    """To an hour before what was complete: whether it was sealed since or not."""
    now = sealed.clock.now
    sealed.clock.now = now - timedelta(hours=8)
    (run,) = sealed.runs(1)
    sealed.clock.now = now
    if by == "sealed":
        sealed.seal()
    assert "is dated back" in sealed.wrong()[run]


@pytest.mark.parametrize("by", ["sealed", "unsealed"])
@pytest.mark.parametrize("which", ["closed", "recovered"])
def test_an_object_added_to_a_run_that_ended(sealed: SealedLog, by: str, which: str) -> None:
    """Closed by itself, or recovered by another run."""
    runs = runs_of(sealed)
    is_open = [r for r in runs if object_name(r, CLOSING_SEQ) not in sealed.log.stored]
    run = is_open[0] if which == "recovered" else runs[5]
    last = object_name(run, 1)
    record = decode(sealed.log.stored[last], last)
    name = object_name(run, 2)
    sealed.log.stored[name] = encode(
        {**record, "seq": 2, "prev_hash": digest(sealed.log.stored[last])}
    )
    if by == "sealed":
        sealed.seal()
    assert "was added" in sealed.wrong()[name]


def test_a_later_object_of_a_run_under_way_is_a_note() -> None:
    """It is not caught, on purpose: the run went on."""
    sealed = SealedLog()
    sealed.runs(1)
    (run,) = sealed.runs(1, closing=False)
    last = object_name(run, 1)
    data = sealed.log.stored.pop(last)
    sealed.seal()
    sealed.log.stored[last] = data
    report = sealed.verify()
    assert report.problems == []
    assert "1 objects of the log are not sealed yet" in report.notes
    sealed.seal()
    report = sealed.verify()
    assert report.problems == []
    assert "1 objects were sealed later than the beginning of their runs" in report.notes


def test_what_lay_there_before_the_first_seal_is_taken_as_it_is() -> None:
    """A seal proves what was there since."""
    sealed = SealedLog()
    sealed.runs(3)
    run = runs_of(sealed)[0]
    name = object_name(run, 0)
    sealed.log.stored[name] = edited(sealed.log.stored[name], principal="someone-else")
    rehashed(sealed, run)
    sealed.seal()
    assert [p for p in sealed.verify().problems if "sealed" in p.what] == []


def resigned(change: Callable[[bytes], bytes]) -> Callable[[SealedLog, str], None]:
    """Return what changes a checkpoint's text."""

    def apply(sealed: SealedLog, name: str) -> None:
        data = sealed.place.stored[name]
        assert change(data) != data
        sealed.place.stored[name] = change(data)

    return apply


@pytest.mark.parametrize(
    "change",
    [
        resigned(lambda data: data.replace(b"example.com/log\n", b"example.com/lag\n", 1)),
        resigned(lambda data: data.replace(base64.b64encode(bytes(3)), b"") + b"x"),
        resigned(lambda data: data.rsplit(b"\n", 2)[0] + b"\n"),
    ],
)
def test_a_checkpoint_edited(sealed: SealedLog, change: Callable[[SealedLog, str], None]) -> None:
    """Its origin, its end, its signature taken away."""
    name = max(name for name in sealed.place.stored if name.startswith("checkpoint/"))
    change(sealed, name)
    assert name in sealed.wrong()
