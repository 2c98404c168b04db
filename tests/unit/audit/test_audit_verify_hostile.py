"""What somebody added to a log: each thing is named, briefly, and no memory is filled."""

import json
import tracemalloc
from datetime import timedelta

import pytest
from daena_kms.audit.bounds import MAX_OBJECT
from daena_kms.audit.reader import Tail, read_tail
from daena_kms.audit.records import decode, digest, encode
from daena_kms.audit.verify import Report, verify
from daena_kms.audit.writer import RunWriter

from tests.unit.forgers import NOBODY, Forger
from tests.unit.logs import CONTEXT, Hands, action, done, write_run
from tests.worlds.memory import START, MemoryObjects

DAY = timedelta(days=1)


@pytest.fixture
def clock() -> Hands:
    """A clock at START."""
    return Hands()


@pytest.fixture
def log(clock: Hands) -> MemoryObjects:
    """An empty log."""
    return MemoryObjects(clock)


def checked(log: MemoryObjects, clock: Hands) -> Report:
    """Verify the log a day later."""
    return verify(log, now=clock.now + DAY)


def added_to(log: MemoryObjects, prefix: str, seq: int) -> str:
    """Add a record to a run as its writer would have, and return the object's name."""
    before = log.stored[f"{prefix}{seq - 1:06}.json"]
    record = {**decode(before, "x"), "type": "outcome", "seq": seq, "prev_hash": digest(before)}
    record.pop("actions", None)
    name = f"{prefix}{seq:06}.json"
    log.stored[name] = encode({**record, "results": [done("other-key")]})
    return name


@pytest.mark.parametrize("later", [0, 1, 3])
@pytest.mark.parametrize("count", [1, 3])
def test_what_was_added_to_a_recovered_run_is_named(
    log: MemoryObjects, clock: Hands, count: int, later: int
) -> None:
    """Whether or not later runs have read it since."""
    prefix = write_run(log, clock, closing=False)
    clock.pass_(hours=2)
    write_run(log, clock)
    assert checked(log, clock).ok
    clock.pass_(hours=2)
    names = {added_to(log, prefix, seq) for seq in range(2, 2 + count)}
    for _ in range(later):
        clock.pass_(hours=1)
        write_run(log, clock)
    assert {problem.name for problem in checked(log, clock).problems} == names


@pytest.mark.parametrize("after", [timedelta(minutes=5), timedelta(hours=30)])
def test_a_closing_record_added_to_a_recovered_run_is_named(
    log: MemoryObjects, clock: Hands, after: timedelta
) -> None:
    """Dated before the runs that saw none, or long after a run can have gone on."""
    prefix = write_run(log, clock, closing=False)
    began = clock.now
    clock.pass_(hours=3)
    write_run(log, clock)
    hashes = [digest(log.stored[f"{prefix}00000{seq}.json"]) for seq in (0, 1)]
    Forger(log, began + after).closing(prefix, objects=hashes, prev_hash=hashes[-1])
    report = verify(log, now=clock.now + 3 * DAY)
    assert {p.name for p in report.problems} == {f"{prefix}999999.json"}


def test_a_slow_run_that_ended_after_all_is_no_problem(log: MemoryObjects, clock: Hands) -> None:
    """Another run found it open, and it went on."""
    slow = RunWriter(log, CONTEXT, clock)
    tail = read_tail(log)
    slow.intent([action()])
    clock.pass_(minutes=10)
    write_run(log, clock)
    clock.pass_(minutes=10)
    slow.outcome([done()])
    slow.close(tail, [], {})
    clock.pass_(minutes=10)
    write_run(log, clock)
    assert checked(log, clock).ok


@pytest.mark.parametrize(("first", "last"), [(0, 0), (0, 3), (2, 999_997), (2, 2)])
def test_a_gap_is_one_problem(log: MemoryObjects, clock: Hands, first: int, last: int) -> None:
    """However many numbers are missing."""
    prefix = write_run(log, clock, closing=False)
    held = [log.stored.pop(f"{prefix}00000{seq}.json") for seq in (0, 1)]
    for seq in range(min(first, 2)):
        log.stored[f"{prefix}{seq:06}.json"] = held[seq]
    log.stored[f"{prefix}{last + 1:06}.json"] = b"x"
    report = checked(log, clock)
    missing = [p for p in report.problems if p.what.startswith("is missing")]
    assert [p.name for p in missing] == [f"{prefix}{first:06}.json"]
    assert (f"up to {last:06}.json" in missing[0].what) == (last > first)


def test_objects_at_the_end_of_the_numbers_make_a_short_report(
    log: MemoryObjects, clock: Hands
) -> None:
    """Three objects of one byte, in a closed run, an unclosed one, and one of their own."""
    for prefix in (
        write_run(log, clock),
        write_run(log, clock, closing=False),
        Forger(log, clock.now).folder(),
    ):
        log.stored[f"{prefix}999998.json"] = b"x"
    report = checked(log, clock)
    assert len([p for p in report.problems if p.name.endswith("999998.json")]) >= 3
    assert len(json.dumps(report.to_dict())) < 5_000


@pytest.mark.parametrize("seq", ["000000", "000007", "999998", "999999"])
def test_an_object_larger_than_a_record_is_named_unread(
    log: MemoryObjects, clock: Hands, seq: str
) -> None:
    """Its size in the listing is enough; and where a listing has none, a part of it is."""
    write_run(log, clock)
    name = f"{Forger(log, clock.now).folder()}{seq}.json"
    log.stored[name] = b"x" * (MAX_OBJECT + 1)
    for size in (2 << 30, None):
        if size is None:
            log.sizes.clear()
        else:
            log.sizes[name] = size
        found = [p.what for p in checked(log, clock).problems if p.name == name]
        assert any("larger than 1,048,576 bytes" in what for what in found)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"unresolved": 201}, "201 unresolved actions"),
        ({"open": 251}, "251 runs without a closing record"),
    ],
)
def test_more_than_a_run_writes_is_named(
    log: MemoryObjects, clock: Hands, content: dict[str, int], words: str
) -> None:
    """And nothing that it says is followed."""
    forger = Forger(log, clock.now)
    rows = [forger.action(base=str(n)) for n in range(content.get("unresolved", 0))]
    runs = {forger.folder(): [NOBODY] for _ in range(content.get("open", 0))}
    prefix = forger.closing(unresolved=rows, open=runs)
    (problem,) = checked(log, clock).problems
    assert problem.name == f"{prefix}999999.json"
    assert words in problem.what


def test_many_problems_of_a_kind_are_counted(log: MemoryObjects, clock: Hands) -> None:
    """The first are named, and the report says how many more there are."""
    for number in range(10_000):
        log.stored[f"log/junk-{number:05}"] = b""
    report = checked(log, clock)
    assert len(report.problems) == 51
    assert "9,950 more" in report.problems[-1].what


def test_runs_to_come(log: MemoryObjects, clock: Hands) -> None:
    """By the time that is given each is a problem; a wrong clock's few are else a note."""
    clock.now = START.replace(year=9000)
    write_run(log, clock)
    now = START.replace(year=2030)
    assert not verify(log, now=now).ok
    report = verify(log)
    assert report.ok
    assert any("dated after" in note for note in report.notes)
    for hours in range(30):
        Forger(log, clock.now + timedelta(hours=hours)).closing()
    assert not verify(log).ok


def test_the_newest_closing_record_is_none_to_come(log: MemoryObjects, clock: Hands) -> None:
    """What is to be kept elsewhere is an honest one."""
    prefix = write_run(log, clock)
    Forger(log, START.replace(year=9000)).closing()
    assert str(checked(log, clock).newest).startswith(prefix)


def peak(runs: int) -> int:
    """Return how many bytes it takes to verify a log of so many runs, beside the log itself."""
    clock = Hands()
    log = MemoryObjects(clock)
    saw: dict[str, str] = {}
    for number in range(runs):
        writer = RunWriter(log, CONTEXT, clock)
        writer.intent([action()])
        writer.outcome([done(new=f"v{number}")])
        writer.close(Tail(saw=saw), [], {})
        name = f"{writer.prefix}999999.json"
        saw = {name: digest(log.stored[name])}
        clock.pass_(minutes=10)
    tracemalloc.start()
    try:
        assert verify(log).ok
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_of_a_run_that_was_checked_little_is_kept() -> None:
    """Twice the objects take some hundred bytes more for each run, and not the records."""
    assert (peak(400) - peak(200)) / 200 < 1_200


def test_notes_on_full_closing_records_are_bounded(log: MemoryObjects, clock: Hands) -> None:
    """Fifty are named, whatever else stands among the counts."""
    forger = Forger(log, clock.now)
    for number in range(60):
        forger.closing(counts={"not_passed_on": 7, "x": number, "generation_proof": []})
    notes = [note for note in checked(log, clock).notes if "could not pass on" in note]
    assert len(notes) == 50
    assert "and 10 more like this" in checked(log, clock).notes


def test_a_slow_run_that_was_killed_after_another_had_looked_is_no_problem(
    log: MemoryObjects, clock: Hands
) -> None:
    """It wrote what became of its actions after the other had listed its objects."""
    slow = RunWriter(log, CONTEXT, clock)
    slow.intent([action()])
    clock.pass_(minutes=10)
    write_run(log, clock)
    clock.pass_(minutes=10)
    slow.outcome([done()])
    clock.pass_(minutes=10)
    write_run(log, clock)
    report = checked(log, clock)
    assert report.ok
    assert any("while it still wrote" in note for note in report.notes)
