"""What may be read of the log, what is listed of it, and how large a record may be."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from daena_kms.audit.bounds import (
    MAX_BYTES,
    MAX_CALLS,
    MAX_OBJECT,
    BoundedLog,
    ReadBudget,
    Spent,
)
from daena_kms.audit.folders import folder_at, hours
from daena_kms.audit.pages import Filter, page
from daena_kms.audit.reader import Tail, history, read_tail
from daena_kms.audit.records import decode, digest
from daena_kms.audit.verify import verify
from daena_kms.audit.writer import RunWriter
from daena_kms.errors import AuditUnavailable
from daena_kms.objects.base import Entry
from daena_kms.objects.files import FileObjects

from tests.unit.logs import CONTEXT, Hands, action, done, write_run
from tests.worlds.memory import START, MemoryObjects, Wrapped


class Listed(Wrapped):
    """Notes which folders are listed, and from where on."""

    def __init__(self, inner: MemoryObjects) -> None:
        super().__init__(inner)
        self.listed: list[str] = []

    def scan(self, prefix: str, after: str = "") -> Iterator[Entry]:
        """Note it, and list."""
        self.listed.append(max(prefix, after))
        return self.inner.scan(prefix, after)

    def children(self, prefix: str) -> list[str]:
        """Note it, and list."""
        self.listed.append(prefix)
        return self.inner.children(prefix)


@pytest.fixture
def clock() -> Hands:
    """A clock at START."""
    return Hands()


@pytest.fixture
def log(clock: Hands) -> MemoryObjects:
    """An empty log."""
    return MemoryObjects(clock)


@pytest.fixture
def years(log: MemoryObjects, clock: Hands) -> Listed:
    """A log of a run each month for three years, that notes what is listed."""
    for month in range(36):
        clock.now = START.replace(year=2023 + month // 12, month=1 + month % 12)
        write_run(log, clock)
    return Listed(log)


def test_each_kind_of_spending_ends() -> None:
    """Calls, bytes, and time once an ordinary log is read; a part counts for the whole."""
    for budget in (ReadBudget(calls=3), ReadBudget(size=3)):
        part = budget.part(100, 100)
        for _ in range(3):
            part.left()
            part.spend(1, 1)
        for spent in (part, budget):
            with pytest.raises(Spent):
                spent.left()
    hurried = ReadBudget(lambda: True)
    calls = 0
    with suppress(Spent):
        while hurried.left():
            hurried.spend(1, 0)
            calls += 1
    assert 10 < calls < 30


@pytest.mark.parametrize("size", [None, MAX_OBJECT + 1, 2 << 30])
def test_what_no_run_writes_is_not_read(log: MemoryObjects, size: int | None) -> None:
    """By its size in the listing, or by what comes of it."""
    log.stored["log/large"] = b"x" * (MAX_OBJECT + 1)
    log.stored["log/small"] = b"x" * MAX_OBJECT
    bounded = BoundedLog(log, ReadBudget())
    assert bounded.get_listed(Entry("log/large", START, size)) is None
    assert bounded.passed_over == 1
    assert len(bounded.get("log/small") or b"") == MAX_OBJECT
    assert bounded.budget.size <= MAX_BYTES


def test_a_listing_ends(log: MemoryObjects) -> None:
    """A folder of very many objects is listed in part."""
    log.stored |= dict.fromkeys((f"log/{number:06}" for number in range(20_000)), b"")
    bounded = BoundedLog(log, ReadBudget())
    assert len(bounded.entries("log/")) == 10_000
    assert bounded.passed_over == 1
    assert 1 < bounded.budget.calls <= 10
    assert len(BoundedLog(log, ReadBudget(calls=2)).entries("log/")) == 2_000


def test_history_begins_at_its_hour(years: Listed) -> None:
    """What is older is not listed, let alone read."""
    rows = list(history(years, since=START.replace(year=2025, month=11)))
    assert len(rows) == 2
    assert years.listed == ["log/2025/11/01/12/"]


def test_a_page_begins_at_its_hour(years: Listed) -> None:
    """By a time, by where the last one ended, and it ends where it is full."""
    since = START.replace(year=2025, month=11)
    assert len(page(years, Filter(since=since))[0]) == 2
    assert len(years.listed) < 12
    assert all(folder >= "log/2025/"[: len(folder)] for folder in years.listed)
    years.listed.clear()
    rows, after = page(years, Filter(), limit=1)
    assert len(rows) == 1
    assert after is not None
    assert len(years.listed) < 10
    years.listed.clear()
    page(years, Filter(until=START.replace(year=2023, month=3)), after=after, limit=1)
    assert all("/2024" not in f and "/2025" not in f for f in years.listed)


def test_the_end_of_a_long_log_takes_a_few_calls(years: Listed, clock: Hands) -> None:
    """However many years there are."""
    budget = ReadBudget()
    assert read_tail(years, clock.now, budget).saw
    assert budget.calls < 20 < MAX_CALLS


def test_a_busy_hour_is_read_in_part(log: MemoryObjects, clock: Hands) -> None:
    """More runs than one reads: the newest are seen, and none is taken for interrupted."""
    newest = ""
    for _ in range(400):
        writer = RunWriter(log, CONTEXT, clock)
        writer.intent([action()])
        writer.outcome([done()])
        writer.close(Tail(saw={newest: digest(log.stored[newest])} if newest else {}), [], {})
        newest = f"{writer.prefix}999999.json"
        clock.pass_(seconds=5)
    tail = read_tail(log, clock.now)
    assert newest in tail.saw
    assert 50 < len(tail.saw) < MAX_CALLS
    assert (tail.unclosed, tail.unreported) == ({}, {})
    assert verify(log, now=clock.now).ok


@pytest.mark.parametrize(
    "folder",
    ["9999/12/31/23", "2026/13/01/00", "2026/1/01/00", "1970/01/01/00", "2026/03/32/00", "²/³/¹/²"],
)
def test_only_hours_of_runs_are_walked(log: MemoryObjects, clock: Hands, folder: str) -> None:
    """Not those to come, nor folders that no run makes."""
    write_run(log, clock)
    log.stored[f"log/{folder}/x"] = b""
    assert list(hours(log, last=folder_at(START))) == [folder_at(START)]


def rows(count: int, length: int) -> list[dict[str, object]]:
    """Return results with long messages."""
    return [{**done(f"key-{n}"), "message": "x" * length} for n in range(count)]


@pytest.mark.parametrize(("count", "length"), [(200, 100), (200, 20_000), (3, 900_000)])
def test_records_are_split_before_they_are_too_large(
    log: MemoryObjects, clock: Hands, count: int, length: int
) -> None:
    """Intents, outcomes and recoveries; each row stands in one of them, in order."""
    writer = RunWriter(log, CONTEXT, clock)
    more = rows(count, length)
    runs = {writer.prefix: ["sha256:" + "0" * 64]}
    writer.recovery(runs, more)
    refs = writer.intent([{**action(f"key-{n}"), "why": "x" * length} for n in range(count)])
    writer.outcome(more)
    writer.close(Tail(), [], {})
    assert all(len(data) <= MAX_OBJECT for data in log.stored.values())
    for kind, member in (("recovery", "results"), ("intent", "actions"), ("outcome", "results")):
        found = [row["key"] for record in log.records(kind) for row in record[member]]
        assert found == [row["key"] for row in more]
    assert next(record["runs"] for record in log.records("recovery")) == runs
    for ref, row in zip(refs, more, strict=True):
        name = ref.partition("@")[0]
        keys = [found["key"] for found in decode(log.stored[name], name)["actions"]]
        assert row["key"] in keys


def test_a_closing_record_has_room_for_so_many(log: MemoryObjects, clock: Hands) -> None:
    """What it does not pass on is counted."""
    for length, most in ((10, 200), (10_000, 199)):
        writer = RunWriter(log, CONTEXT, clock)
        unresolved = [{**row, "at": "2026-03-01T12:00:00Z"} for row in rows(300, length)]
        left = writer.close(Tail(), unresolved, {"failed": 300})
        closing = log.records("closing")[-1]
        assert 0 < len(closing["unresolved"]) <= most
        assert closing["counts"] == {"failed": 300, "not_passed_on": left}
        assert left == 300 - len(closing["unresolved"])


def test_a_record_that_can_t_be_split_is_refused(log: MemoryObjects, clock: Hands) -> None:
    """Nothing is written, so nothing changes."""
    writer = RunWriter(log, CONTEXT, clock)
    with pytest.raises(AuditUnavailable, match="larger than"):
        writer.intent([{**action(), "why": "x" * MAX_OBJECT}])
    assert log.stored == {}


def test_a_long_message_stops_no_run(log: MemoryObjects, clock: Hands) -> None:
    """A change that was made is recorded, whatever a store said about it."""
    RunWriter(log, CONTEXT, clock).outcome(rows(1, 2 * MAX_OBJECT))
    (found,) = log.results()
    assert 1_000 < len(found["message"]) < 10_000


def test_a_folder_is_listed_in_part(tmp_path: Path) -> None:
    """Files say how large they are, are read in part, and listed from a name on."""
    log = FileObjects(tmp_path)
    names = [
        f"log/2026/03/0{day}/1{hour}/{'a' * 32}/000000.json" for day in (1, 2) for hour in (0, 1)
    ]
    for name in names:
        log.put_new(name, b"12345")
    assert [(entry.name, entry.size) for entry in log.scan("log/")] == [(n, 5) for n in names]
    for after in (names[0], "log/2026/03/01/11/", "log/2026/03/02", "log/2026/03/02/10/b", "log0"):
        found = [entry.name for entry in log.scan("log/", after)]
        assert found == [name for name in names if name > after]
    assert log.get_up_to(names[0], 3) == b"123"
    assert log.get_up_to("log/none", 3) is None


def test_the_bounds_are_those_that_the_documents_promise() -> None:
    """Other tests go by the names: these are the numbers, as docs/AUDIT.md says them."""
    assert (MAX_CALLS, MAX_BYTES, MAX_OBJECT) == (250, 16_000_000, 1 << 20)
    text = (Path(__file__).parents[3] / "docs" / "AUDIT.md").read_text()
    assert "250 calls" in text
    assert "16 MB" in text
