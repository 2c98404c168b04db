"""A run whose log fails, whose caller interrupts it, or whose store loses answers."""

from collections.abc import Callable
from pathlib import Path

import pytest
from daena_kms.audit.records import decode
from daena_kms.errors import AuditUnavailable

from tests.unit.engine.engines import World
from tests.worlds.memory import Wrapped

KEYS = [f"key-{number:03}" for number in range(120)]


@pytest.fixture
def world(tmp_path: Path) -> World:
    """An empty store and log."""
    return World(tmp_path)


def intended(world: World) -> set[str]:
    """Return the keys whose intent the log holds."""
    return {action["key"] for record in world.records("intent") for action in record["actions"]}


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(
    ("kind", "number"), [("intent", 1), ("outcome", 1), ("outcome", 2), ("closing", 1)]
)
def test_a_log_that_fails_stops_every_change(
    world: World, kind: str, number: int, *, after: bool
) -> None:
    """With any put failing, before or after it took effect: the run ends with AuditUnavailable.

    No key has changed whose intent is not in the log; the next run rotates the rest, once each,
    and then the log and the store agree.
    """
    for key in KEYS:
        world.adapter.create_key(key)
    fail_at(world.log, kind, number, after=after)
    with pytest.raises(AuditUnavailable, match="full"):
        world.run(workers=4)
    changed = {key for _, key in world.store.changes}
    assert changed <= intended(world)
    assert (changed == set()) == (kind == "intent")
    world.log.fail_from, world.log.before = None, lambda _name, _data: None
    world.log.after = world.log.before
    assert world.run().failed == []
    assert sorted(key for _, key in world.store.changes) == KEYS
    assert world.run().counts()["rotated"] == 0
    report = world.verify()
    assert report.problems == []
    statuses = [finding.status for finding in report.findings]
    assert statuses.count("out-of-band") == len(KEYS)  # their first versions, made past the log
    assert statuses.count("confirmed") == len(KEYS)


def fail_at(log: Wrapped, kind: str, number: int, *, after: bool) -> None:
    """Fail that record of that kind, and every later one, before or after it took effect."""
    left = [number]

    def fail(_name: str, data: bytes) -> None:
        left[0] -= decode(data, "x")["type"] == kind
        if left[0] == 0:
            log.fail_from = 0
            raise AuditUnavailable("the log is full")

    if after:
        log.after = fail
    else:
        log.before = fail


def test_a_log_that_cannot_be_read_stops_the_run(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is planned, written or changed when the end of the log can't be read."""
    world.create("due-key")

    def broken(_prefix: str) -> list[str]:
        raise AuditUnavailable("no answer")

    monkeypatch.setattr(world.log, "children", broken)
    puts = world.log.puts
    for dry_run in (False, True):
        with pytest.raises(AuditUnavailable):
            world.run(dry_run=dry_run)
    assert (world.store.changes, world.log.puts) == ([], puts)


def interrupt_at(count: int) -> Callable[[int, int], None]:
    """Return a progress callback that interrupts, as Ctrl-C does in the main thread."""

    def progress(done: int, _of: int) -> None:
        if done >= count:
            raise KeyboardInterrupt

    return progress


@pytest.mark.parametrize("workers", [1, 8])
@pytest.mark.parametrize("count", [1, 40, 80])
def test_an_interrupt_is_recorded_and_raised(world: World, workers: int, count: int) -> None:
    """What had begun comes to its end and stands in the log, once; the run is closed."""
    for key in KEYS:
        world.adapter.create_key(key)
    with pytest.raises(KeyboardInterrupt):
        world.run(workers=workers, progress=interrupt_at(count))
    rows = [row for record in world.records("outcome") for row in record["results"]]
    done = [row["key"] for row in rows if row["result"] == "done"]
    assert sorted(done) == sorted(key for _, key in world.store.changes)
    assert len({row["key"] for row in rows}) == len(rows)
    assert count <= len(done) < len(KEYS)
    closing = world.records("closing")[-1]
    assert closing["counts"]["rotated"] == len(done)
    summary = world.run()
    assert len(summary.rotated) == len(KEYS) - len(done)
    assert summary.finished == []
    assert world.verify().problems == []


def test_an_interrupt_while_waiting_is_recorded_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C during the writing of a batch does not enter a result twice."""
    for key in KEYS:
        world.adapter.create_key(key)

    def interrupt(_name: str, data: bytes) -> None:
        if decode(data, "x")["type"] == "outcome":
            monkeypatch.setattr(world.log, "before", lambda _name, _data: None)
            raise KeyboardInterrupt

    monkeypatch.setattr(world.log, "before", interrupt)
    with pytest.raises(KeyboardInterrupt):
        world.run()
    rows = [row["key"] for record in world.records("outcome") for row in record["results"]]
    assert len(rows) == len(set(rows))
    world.run()
    report = world.verify()
    assert report.problems == []
    assert "unconfirmed" not in {f.status for f in report.findings}
