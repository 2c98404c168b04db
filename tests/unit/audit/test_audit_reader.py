"""The end of the log, as a new run sees it, and its history."""

from datetime import datetime, timedelta

import pytest
from daena_kms.audit.reader import history, read_tail, records, unresolved_actions
from daena_kms.audit.records import digest, encode
from daena_kms.audit.writer import RunWriter

from tests.unit.logs import CONTEXT, Hands, action, done, edited, write_run
from tests.worlds.memory import MemoryObjects


@pytest.fixture
def clock() -> Hands:
    """A clock at START."""
    return Hands()


@pytest.fixture
def log(clock: Hands) -> MemoryObjects:
    """An empty log whose objects carry that clock's times."""
    return MemoryObjects(clock)


def closing(prefix: str) -> str:
    """Return the name of a run's closing record."""
    return f"{prefix}999999.json"


def test_an_empty_log(log: MemoryObjects) -> None:
    """A first run sees nothing."""
    tail = read_tail(log)
    assert (tail.saw, tail.unclosed, tail.unreported, tail.unresolved) == ({}, {}, {}, [])
    assert list(records(log)) == []
    assert list(history(log)) == []


@pytest.mark.parametrize(
    ("first", "apart"),
    [
        ("2026-03-01T12:10:00Z", timedelta(minutes=10)),
        ("2026-03-01T12:59:59Z", timedelta(seconds=1)),
        ("2026-03-01T23:30:00Z", timedelta(hours=1)),
        ("2026-02-28T23:59:59Z", timedelta(seconds=1)),
        ("2028-02-29T23:59:59Z", timedelta(seconds=1)),
        ("2026-12-31T23:59:59Z", timedelta(seconds=1)),
        ("2026-09-30T22:00:00Z", timedelta(days=3)),
        ("2026-12-31T22:00:00Z", timedelta(days=400)),
    ],
)
def test_the_newest_closing_is_found(
    log: MemoryObjects, clock: Hands, first: str, apart: timedelta
) -> None:
    """Across hours, days, months and years a run sees the closing before it, and chains to it."""
    clock.now = datetime.fromisoformat(first)
    previous = write_run(log, clock)
    for _ in range(3):
        clock.now += apart
        assert closing(previous) in read_tail(log).saw
        prefix = write_run(log, clock)
        saw = log.records()[-1]["saw"] if prefix == max(log.stored)[: len(prefix)] else None
        if saw is not None:
            assert saw[closing(previous)] == digest(log.stored[closing(previous)])
        previous = prefix


def test_a_tail_is_an_hour_long(log: MemoryObjects, clock: Hands) -> None:
    """Closings of the newest hour and the one before are seen, older ones are not."""
    old = write_run(log, clock)
    clock.pass_(hours=2)
    before = write_run(log, clock)
    clock.pass_(hours=1)
    newest = write_run(log, clock)
    assert read_tail(log).saw.keys() == {closing(before), closing(newest)}
    assert closing(old) not in read_tail(log).saw


def test_runs_that_ran_at_once_are_both_seen(log: MemoryObjects, clock: Hands) -> None:
    """Two runs that did not see each other are both in the next one's chain."""
    write_run(log, clock)
    one, two = (RunWriter(log, CONTEXT, clock) for _ in range(2))
    tails = [read_tail(log), read_tail(log)]
    for writer, tail in zip((one, two), tails, strict=True):
        writer.intent([action()])
        writer.close(tail, [], {})
    assert {closing(one.prefix), closing(two.prefix)} <= read_tail(log).saw.keys()


def test_an_open_run_is_news_once_and_carried_on(log: MemoryObjects, clock: Hands) -> None:
    """A run that never closed is news to the next, and known to those after it, for a day."""
    write_run(log, clock)
    clock.pass_(minutes=5)
    opened = write_run(log, clock, closing=False)
    clock.pass_(minutes=5)
    assert list(read_tail(log).unreported) == [opened]
    write_run(log, clock)
    for _ in range(20):
        clock.pass_(hours=1)
        tail = read_tail(log)
        assert (list(tail.unreported), list(tail.unclosed)) == ([], [opened])
        write_run(log, clock)
    clock.pass_(hours=10)
    write_run(log, clock)
    assert read_tail(log).unclosed == {}


def test_an_open_run_that_went_on_is_news_again(log: MemoryObjects, clock: Hands) -> None:
    """A run that was taken for interrupted and wrote more is read again."""
    writer = RunWriter(log, CONTEXT, clock)
    writer.intent([action("one-key")])
    clock.pass_(hours=3)
    write_run(log, clock)
    assert read_tail(log).unreported == {}
    writer.outcome([done("one-key")])
    assert list(read_tail(log).unreported) == [writer.prefix]


def test_a_run_that_took_long_is_in_the_chain(log: MemoryObjects, clock: Hands) -> None:
    """A run that began hours ago and closed last is seen, with what it could not settle."""
    slow = RunWriter(log, CONTEXT, clock)
    tail = read_tail(log)
    slow.intent([action("slow-key")])
    clock.pass_(hours=2, minutes=30)
    write_run(log, clock)
    row = {**action("slow-key"), "result": "unknown", "at": "2026-03-01T14:30:00Z"}
    slow.close(tail, [row], {})
    clock.pass_(minutes=1)
    seen = read_tail(log)
    assert closing(slow.prefix) in seen.saw
    assert [found["key"] for found in unresolved_actions(seen)] == ["slow-key"]


def test_what_is_pending(log: MemoryObjects, clock: Hands) -> None:
    """Of an open run, the actions without an outcome are; those with one are not."""
    writer = RunWriter(log, CONTEXT, clock)
    writer.intent([action("one-key"), action("two-key"), action("three-key")])
    unknown = {**action("two-key"), "result": "unknown"}
    writer.outcome([done("one-key"), unknown])
    found = unresolved_actions(read_tail(log))
    assert [(a["key"], a["at"], a["of_run"]) for a in found] == [
        (key, "2026-03-01T12:00:00Z", writer.prefix) for key in ("two-key", "three-key")
    ]


def test_what_is_unresolved_is_carried_until_it_is_resolved(
    log: MemoryObjects, clock: Hands
) -> None:
    """Each run's closing hands it on; the first that leaves it out ends it."""
    row = {**action(), "result": "unknown", "at": "2026-03-01T12:00:00Z"}
    for _ in range(3):
        write_run(log, clock, unresolved=(row,))
        clock.pass_(minutes=45)
        assert [a["key"] for a in unresolved_actions(read_tail(log))] == ["some-key"]
    write_run(log, clock)
    assert unresolved_actions(read_tail(log)) == []


JUNK_NAMES = [
    "log/junk",
    "log/junk/junk/junk/junk/junk",
    "log/9999/99/99/99/junk",
    "log/2026/13/01/00/junk",
    "log/2026/02/30/00/junk",
    "log/2026/03/01/24/junk",
    "log/2026/03/01/120/junk",
    "log/26/3/1/2/junk",
    "log/²/³/¹/²/junk",
    "log/0000/00/00/00/junk",
    "log/0001/01/01/00/" + "0" * 32 + "/999999.json",
    "log/2026/03/01/12/junk",
    "log/2026/03/01/12/" + "0" * 32 + "/junk.json",
    "log/2026/03/01/12/" + "0" * 32 + "/000000.json",
    "log/2026/03/01/12/" + "0" * 32 + "/999999.json",
    "log/2026/03/01/11/" + "f" * 32 + "/999999.json",
]
JUNK_BYTES = [b"", b"junk", b"null", b"[" * 100_000, encode({"v": 1, "type": "closing"})]


@pytest.mark.parametrize("name", JUNK_NAMES)
def test_junk_stops_no_run(log: MemoryObjects, clock: Hands, name: str) -> None:
    """What somebody else put into the log is no reason not to rotate; verify names it."""
    for before in (True, False):
        for data in JUNK_BYTES:
            other = log.copy()
            if before:
                other.stored[name] = data
            prefix = write_run(other, clock)
            other.stored[name] = data
            tail = read_tail(other)
            assert closing(prefix) in tail.saw
            assert unresolved_actions(tail) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"unresolved": [{**action(), "at": "then"}]},
        {"unresolved": [{**action(), "at": "2026-03-01T12:00:00"}]},
        {"unresolved": [{**action(), "base": ["v1"]}]},
        {"unresolved": [{**action(), "version": {}}]},
        {"saw": {"log/x": []}},
        {"open": {"log/x/": 1}},
        {"open": {"log/x/": {}}},
    ],
)
def test_a_closing_that_no_run_writes_is_junk(
    log: MemoryObjects, clock: Hands, changes: dict[str, object]
) -> None:
    """A record that looks like ours down to one field is read as nothing."""
    prefix = write_run(log, clock)
    log.stored[closing(prefix)] = edited_raw(log.stored[closing(prefix)], changes)
    tail = read_tail(log)
    assert tail.saw.keys() == {closing(prefix)}
    assert unresolved_actions(tail) == []


def edited_raw(data: bytes, changes: dict[str, object]) -> bytes:
    """Return a record with other content, well-formed or not."""
    return edited(data, **changes)
