"""What a run finds of the runs before it, and what became of their unfinished actions."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from daena_kms.audit.reader import read_tail
from daena_kms.audit.writer import RunWriter
from daena_kms.engine.journal import STILL_RUNNING, Journal
from daena_kms.errors import AuditUnavailable
from daena_kms.stores.local.store import LocalStore

from tests.unit.logs import CONTEXT, Hands, write_run
from tests.worlds.memory import MemoryObjects, Wrapped

KEY = "some-key"


@pytest.fixture
def clock() -> Hands:
    """A clock at the present, since the store's versions are."""
    return Hands(datetime.now(UTC))


@pytest.fixture
def log(clock: Hands) -> MemoryObjects:
    """An empty log."""
    return MemoryObjects(clock)


@pytest.fixture
def store(tmp_path: Path, clock: Hands) -> Iterator[LocalStore]:
    """A store with one managed key of two versions."""
    made = LocalStore(tmp_path)
    made.create(KEY, "first", {"daena.managed": "true"}, clock())
    rotate(made, clock())
    yield made
    made.close()


def rotate(store: LocalStore, now: datetime) -> str:
    """Make a new version of the key."""
    key = store.describe(KEY)
    return store.promote(key, store.stage(key, "next", now), now)


def current(store: LocalStore) -> str:
    """Return the id of the key's current version."""
    found = store.describe(KEY).current
    assert found is not None
    return found.id


def left_open(log: MemoryObjects, clock: Hands, **action: str | None) -> str:
    """Write an intent of one action and no more, as a crash leaves it."""
    writer = RunWriter(log, CONTEXT, clock)
    writer.intent([{"key": KEY, "why": "due", **action}])
    return writer.prefix


def recovered(log: MemoryObjects, clock: Hands, store: LocalStore) -> list[Mapping[str, Any]]:
    """Recover as a run does, close, and return what was written about earlier actions."""
    before = set(log.stored)
    journal = Journal.begin(log, CONTEXT, clock)
    journal.recover(store)
    journal.close({})
    new = [record for record in log.records() if record["run"] == journal.run_id]
    assert set(log.stored) - before
    return [row for record in new if record["type"] == "recovery" for row in record["results"]]


def test_nothing_is_written_before_it_must(log: MemoryObjects, clock: Hands) -> None:
    """Beginning only reads; recovering an orderly log writes nothing."""
    write_run(log, clock)
    count = len(log.stored)
    journal = Journal.begin(log, CONTEXT, clock)
    assert journal.interrupted() == {}
    assert len(log.stored) == count


@pytest.mark.parametrize("kind", ["rotate", "finish", "rollback"])
def test_a_rotation_that_took_effect(
    log: MemoryObjects, clock: Hands, store: LocalStore, kind: str
) -> None:
    """A version made from the base that became current is the result."""
    base = current(store)
    prefix = left_open(log, clock, kind=kind, base=base)
    made = rotate(store, clock())
    rows = recovered(log, clock, store)
    assert [(r["result"], r["new_version"], r["recovered"], r["of_run"]) for r in rows] == [
        ("done", made, True, prefix)
    ]


def test_a_rotation_that_did_not(log: MemoryObjects, clock: Hands, store: LocalStore) -> None:
    """No version from the base: not done; while its run may be at it yet, a later run looks too."""
    left_open(log, clock, kind="rotate", base=current(store))
    assert Journal.begin(log, CONTEXT, clock).interrupted() == {KEY: current(store)}
    clock.pass_(minutes=59)
    assert [r["result"] for r in recovered(log, clock, store)] == ["not-done"]
    assert len(read_tail(log).unresolved) == 1
    clock.pass_(minutes=2)
    assert [r["result"] for r in recovered(log, clock, store)] == ["not-done"]
    assert newest_closing(log)["unresolved"] == []
    clock.pass_(minutes=1)
    assert recovered(log, clock, store) == []


def newest_closing(log: MemoryObjects) -> Mapping[str, Any]:
    """Return the closing record that was written last."""
    return max(
        (r for r in log.records() if r["type"] == "closing"), key=lambda record: record["time"]
    )


def test_a_late_change_is_found_after_all(
    log: MemoryObjects, clock: Hands, store: LocalStore
) -> None:
    """A run that was slow, not dead, and rotated after it had been looked at: done."""
    left_open(log, clock, kind="rotate", base=current(store))
    clock.pass_(minutes=10)
    assert [r["result"] for r in recovered(log, clock, store)] == ["not-done"]
    made = rotate(store, clock())
    clock.pass_(minutes=10)
    assert [(r["result"], r["new_version"]) for r in recovered(log, clock, store)] == [
        ("done", made)
    ]
    clock.pass_(minutes=10)
    assert recovered(log, clock, store) == []


@pytest.mark.parametrize("took_effect", [False, True])
@pytest.mark.parametrize(
    "kind", ["retire", "destroy", "delete", "restore", "adopt", "enrol", "hold", "release"]
)
def test_other_changes(
    log: MemoryObjects, clock: Hands, store: LocalStore, kind: str, *, took_effect: bool
) -> None:
    """Each is judged by the state that it would have led to."""
    key = store.describe(KEY)
    assert key.previous is not None
    version, now = key.previous.id, clock()
    store.tag(key, {"daena.managed": None if kind == "adopt" else "true"})
    if kind == "enrol":
        store.tag(key, {"daena-foreign": "true"})
    if kind == "destroy":
        store.retire(key, version, now)
    if kind == "restore":
        store.delete(key, now)
    if kind == "release":
        store.tag(key, {"daena.hold": "2030-01-01T00:00:00Z"})
    on_version = version if kind in {"retire", "destroy"} else None
    left_open(log, clock, kind=kind, base=current(store), version=on_version)
    if took_effect:
        {
            "retire": lambda: store.retire(key, version, now),
            "destroy": lambda: store.destroy(key, version, now),
            "delete": lambda: store.delete(key, now),
            "restore": lambda: store.restore(key),
            "adopt": lambda: store.tag(key, {"daena.managed": "true"}),
            "enrol": lambda: store.enrol(key, {}, now),
            "hold": lambda: store.tag(key, {"daena.hold": "true"}),
            "release": lambda: store.tag(key, {"daena.hold": None}),
        }[kind]()
    clock.now += STILL_RUNNING
    rows = recovered(log, clock, store)
    assert [row["result"] for row in rows] == ["done" if took_effect else "not-done"]


def test_creating(log: MemoryObjects, clock: Hands, store: LocalStore) -> None:
    """A key that is there was created; of one that is not found, nobody knows yet."""
    first = next(v.id for v in store.describe(KEY).versions if v.id != current(store))
    left_open(log, clock, kind="create")
    left_open(log, clock, kind="create", key="other-key")
    rows = {r["key"]: r for r in recovered(log, clock, store)}
    assert (rows[KEY]["result"], rows[KEY]["new_version"]) == ("done", first)
    assert set(rows) == {KEY}
    assert [action["key"] for action in newest_closing(log)["unresolved"]] == ["other-key"]


def test_a_recovery_that_fails_is_made_again(
    log: MemoryObjects, clock: Hands, store: LocalStore
) -> None:
    """A run that dies while it recovers leaves all to the next one."""
    left_open(log, clock, kind="rotate", base=current(store))
    made = rotate(store, clock())
    failing = Wrapped(log)
    failing.fail_from = 1
    with pytest.raises(AuditUnavailable):
        Journal.begin(failing, CONTEXT, clock).recover(store)
    dying = Journal.begin(log, CONTEXT, clock)
    dying.recover(store)  # written, and never closed
    assert [(r["result"], r["new_version"]) for r in recovered(log, clock, store)] == [
        ("done", made)
    ]
    assert recovered(log, clock, store) == []


def test_an_open_run_without_pending_actions_is_recovered_too(
    log: MemoryObjects, clock: Hands, store: LocalStore
) -> None:
    """Its objects' hashes go into the log, once, so that nobody can change them unseen."""
    prefix = write_run(log, clock, closing=False)
    journal = Journal.begin(log, CONTEXT, clock)
    journal.recover(store)
    journal.close({})
    record = next(r for r in log.records() if r["type"] == "recovery")
    assert (list(record["runs"]), record["results"]) == ([prefix], [])
    clock.now += timedelta(minutes=1)
    again = Journal.begin(log, CONTEXT, clock)
    again.recover(store)
    again.close({})
    assert sum(r["type"] == "recovery" for r in log.records()) == 1
