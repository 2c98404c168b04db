"""The log's history: what was done, by whom and why."""

from datetime import timedelta

import pytest
from daena_kms.audit.problems import PassedOver
from daena_kms.audit.reader import history

from tests.unit.logs import Hands, write_run
from tests.worlds.memory import START, MemoryObjects


@pytest.fixture
def clock() -> Hands:
    """A clock at START."""
    return Hands()


@pytest.fixture
def log(clock: Hands) -> MemoryObjects:
    """An empty log whose objects carry that clock's times."""
    return MemoryObjects(clock)


def test_history_is_what_was_done(log: MemoryObjects, clock: Hands) -> None:
    """Each result with its run's who and why, oldest first, by key and by time."""
    write_run(log, clock, key="one-key")
    clock.pass_(days=1)
    write_run(log, clock, key="two-key")
    rows = list(history(log))
    assert [(r["key"], r["result"], r["principal"], r["reason"], r["trigger"]) for r in rows] == [
        (key, "done", "someone", "because", "schedule") for key in ("one-key", "two-key")
    ]
    assert [r["key"] for r in history(log, key_id="two-key")] == ["two-key"]
    assert [r["key"] for r in history(log, since=START + timedelta(hours=1))] == ["two-key"]
    assert len(list(history(log, since=START))) == 2
    assert list(history(log, since=START + timedelta(days=2))) == []


def test_history_does_not_hide_a_broken_record(log: MemoryObjects, clock: Hands) -> None:
    """It passes over what is no record, so that nobody can end it, and says so."""
    prefix = write_run(log, clock)
    write_run(log, clock, key="two-key")
    log.stored[f"{prefix}000001.json"] = b"{}"
    for number in range(7):
        log.put_new(f"{prefix}{number + 900:06}.json", b"junk")
    passed_over = PassedOver()
    assert [row["key"] for row in history(log, passed_over=passed_over)] == ["two-key"]
    note = passed_over.note() or ""
    assert note.startswith("passed over 8 objects that no run wrote so, and their entries are not")
    assert f"shown: {prefix}000001.json, {prefix}000900.json, " in note
    assert note.endswith(" and 5 more. Run audit verify")
    assert PassedOver().note() is None
