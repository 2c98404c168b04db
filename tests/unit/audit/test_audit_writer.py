"""One run's writer: numbered, chained, closed, and done for good after the first failure."""

from pathlib import Path

import pytest
from daena_kms.audit.reader import Tail, read_tail
from daena_kms.audit.records import CLOSING_SEQ, decode, digest
from daena_kms.audit.writer import RunWriter
from daena_kms.errors import AuditUnavailable
from daena_kms.objects.files import FileObjects

from tests.unit.logs import CONTEXT, Hands, action, done, write_run
from tests.worlds.memory import START, MemoryObjects, Wrapped


@pytest.fixture
def log() -> MemoryObjects:
    """An empty log."""
    return MemoryObjects()


def test_records_are_numbered_and_chained(log: MemoryObjects) -> None:
    """Each record has the next number and the hash of the one before; the closing is 999999."""
    clock = Hands()
    writer = RunWriter(log, CONTEXT, clock)
    writer.recovery({}, [])
    writer.intent([action()])
    clock.pass_(minutes=3)
    writer.outcome([done()])
    writer.close(Tail(), [], {"rotated": 1})
    names = sorted(log.stored)
    assert names == [f"{writer.prefix}{seq:06}.json" for seq in (0, 1, 2, CLOSING_SEQ)]
    assert writer.prefix == f"log/2026/03/01/12/{writer.run_id}/"
    records = log.records()
    assert [r["type"] for r in records] == ["recovery", "intent", "outcome", "closing"]
    assert [r["seq"] for r in records] == [0, 1, 2, CLOSING_SEQ]
    assert {r["run"] for r in records} == {writer.run_id}
    hashes = [digest(log.stored[name]) for name in names]
    assert [r["prev_hash"] for r in records] == [None, *hashes[:3]]
    assert records[3]["objects"] == hashes[:3]
    assert [r["time"][14:16] for r in records] == ["00", "00", "03", "03"]


def test_every_record_says_who_and_why(log: MemoryObjects) -> None:
    """Provider, trigger, principal and reason stand in each record."""
    write_run(log, Hands())
    for record in log.records():
        who = {n: record[n] for n in ("provider", "trigger", "principal", "reason")}
        assert who == {
            "provider": "local",
            "trigger": "schedule",
            "principal": "someone",
            "reason": "because",
        }


def test_a_run_stays_in_the_hour_it_began(log: MemoryObjects) -> None:
    """A run that goes on after midnight on New Year's Eve keeps its folder."""
    clock = Hands(START.replace(month=12, day=31, hour=23, minute=59))
    writer = RunWriter(log, CONTEXT, clock)
    writer.intent([action()])
    clock.pass_(minutes=2)
    writer.close(Tail(), [], {})
    assert {name[: len("log/2026/12/31/23/")] for name in log.stored} == {"log/2026/12/31/23/"}
    assert log.records()[1]["time"].startswith("2027-01-01T00:01")


def test_the_closing_record_holds_what_the_run_saw(log: MemoryObjects) -> None:
    """It has the hashes of earlier closings and of open runs, and what is not settled."""
    clock = Hands()
    first = write_run(log, clock)
    clock.pass_(minutes=1)
    second = write_run(log, clock, closing=False)
    clock.pass_(minutes=1)
    third = write_run(log, clock, unresolved=({**action(), "at": "2026-03-01T12:02:00Z"},))
    closing = decode(log.stored[f"{third}999999.json"], "x")
    assert closing["saw"] == {f"{first}999999.json": digest(log.stored[f"{first}999999.json"])}
    assert closing["open"] == {
        second: [digest(log.stored[f"{second}00000{seq}.json"]) for seq in (0, 1)]
    }
    assert [row["key"] for row in closing["unresolved"]] == ["some-key"]
    assert closing["counts"] == {"rotated": 1}


def test_nothing_is_written_after_a_failure(log: MemoryObjects) -> None:
    """A record that did not become durable ends the run's log, even if the store is well again."""
    failing = Wrapped(log)
    writer = RunWriter(failing, CONTEXT, Hands())
    writer.intent([action()])
    failing.fail_from = 2
    with pytest.raises(AuditUnavailable, match="full"):
        writer.outcome([done()])
    failing.fail_from = None
    with pytest.raises(AuditUnavailable, match="nothing more is written"):
        writer.outcome([done()])
    with pytest.raises(AuditUnavailable, match="nothing more is written"):
        writer.close(Tail(), [], {})
    assert [record["type"] for record in log.records()] == ["intent"]


def test_an_interruption_ends_the_log_too(log: MemoryObjects) -> None:
    """After an interrupt inside a put nobody knows what was written, so nothing follows it."""
    failing = Wrapped(log)

    def interrupt(_name: str, _data: bytes) -> None:
        raise KeyboardInterrupt

    failing.after = interrupt
    writer = RunWriter(failing, CONTEXT, Hands())
    with pytest.raises(KeyboardInterrupt):
        writer.intent([action()])
    with pytest.raises(AuditUnavailable):
        writer.outcome([done()])


def test_our_own_object_is_no_conflict(log: MemoryObjects) -> None:
    """A put that finds just its own bytes has succeeded before: its answer was lost."""
    twice = Wrapped(log)
    twice.before = log.put_new
    writer = RunWriter(twice, CONTEXT, Hands())
    writer.intent([action()])
    writer.outcome([done()])
    assert [record["type"] for record in log.records()] == ["intent", "outcome"]


def test_anybody_elses_object_is_a_conflict(log: MemoryObjects) -> None:
    """A name that is taken by other bytes fails, with the object's name."""
    writer = RunWriter(log, CONTEXT, Hands())
    log.put_new(f"{writer.prefix}000000.json", b"theirs")
    with pytest.raises(AuditUnavailable, match=f"{writer.run_id}/000000.json exists"):
        writer.intent([action()])
    assert log.stored == {f"{writer.prefix}000000.json": b"theirs"}


def test_two_writers_never_share_a_folder(log: MemoryObjects) -> None:
    """Runs that begin at the same moment have folders of their own."""
    assert len({RunWriter(log, CONTEXT, Hands()).prefix for _ in range(50)}) == 50


def test_what_is_written_to_files_is_read_from_files(tmp_path: Path) -> None:
    """The writer's records stand in the file log, and a later run sees the closing."""
    log = FileObjects(tmp_path)
    prefix = write_run(log, Hands())
    assert [e.name for e in log.entries("log/")] == [
        f"{prefix}{seq:06}.json" for seq in (0, 1, CLOSING_SEQ)
    ]
    assert list(read_tail(log).saw) == [f"{prefix}999999.json"]
