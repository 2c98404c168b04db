"""Looks at named keys, and closer ones, are taken side by side and planned in order."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from daena_kms.audit.writer import RunWriter
from daena_kms.engine import survey as survey_module
from daena_kms.engine.journal import STILL_RUNNING, Journal
from daena_kms.engine.looks import in_order
from daena_kms.errors import AccessDenied
from daena_kms.rules.model import Key
from daena_kms.rules.plan import Kind

from tests.unit.engine.engines import DAY, DUE
from tests.unit.engine.test_planning import CountingStore, Planning
from tests.unit.logs import CONTEXT, Hands
from tests.worlds.memory import MemoryObjects

WORKERS, KEYS = 4, 12
#: Seconds after which a test fails in which nothing is side by side.
_STUCK = 20


class Together(CountingStore):
    """Answers a look only when as many are under way as there are workers."""

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        self.barrier: threading.Barrier | None = None
        self.threads: set[str] = set()

    def describe(self, key_id: str, *, exact: bool = False) -> Key:
        """Look, when the others look as well."""
        if self.barrier is not None:
            self.barrier.wait(_STUCK)
            self.threads.add(threading.current_thread().name)
        return super().describe(key_id, exact=exact)


class Planned(Planning):
    """A world on such a store."""

    store: Together


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Planned]:
    """A store of some keys that are due."""
    made = Planned(tmp_path, Together)
    made.fill(KEYS, spec="token")
    yield made
    made.store.close()


def test_named_keys_are_looked_at_side_by_side(world: Planned) -> None:
    """As many at once as there are workers, and the plan is in the order of the names."""
    ids = [f"key-{number:03}" for number in reversed(range(KEYS))]
    world.store.barrier = threading.Barrier(WORKERS)
    survey = world.survey(key_ids=tuple(ids), workers=WORKERS)
    assert [actions[0].key_id for actions in survey.plans()] == ids
    assert len(world.store.threads) == WORKERS
    assert list(survey.looks) == ids


def test_closer_looks_are_taken_side_by_side(world: Planned) -> None:
    """Those that a listing makes necessary."""
    world.store.freeze()
    assert world.store.listed is not None
    since = datetime.now(UTC) - 30 * DAY
    world.store.listed = [replace(key, older_since=since) for key in world.store.listed]
    world.store.barrier = threading.Barrier(WORKERS)
    found = [actions[0].key_id for actions in world.survey(workers=WORKERS).plans()]
    assert found == [f"key-{number:03}" for number in range(KEYS)]
    assert len(world.store.threads) == WORKERS


def test_one_look_that_fails_stops_no_other(world: Planned) -> None:
    """Whatever it fails with: an error of ours, or a defect, whose text is not shown."""
    world.store.broken = {
        "key-001": AccessDenied("refused", key_id="key-001"),
        "key-003": RuntimeError("a value"),
    }
    ids = [f"key-{number:03}" for number in range(KEYS)]
    plans = list(world.survey(key_ids=tuple(ids), workers=WORKERS).plans())
    failing = {a.key_id: a for each in plans for a in each if a.kind is Kind.FAILING}
    assert [actions[0].key_id for actions in plans] == ids
    assert set(failing) == {"key-001", "key-003"}
    assert failing["key-001"].error is world.store.broken["key-001"]
    assert "RuntimeError" in failing["key-003"].reason
    assert "a value" not in failing["key-003"].reason
    summary = world.run(DUE, keys=ids, workers=WORKERS)
    assert (len(summary.rotated), summary.failed) == (KEYS - 2, ["key-001", "key-003"])


def test_a_run_names_many_keys_in_order(world: Planned) -> None:
    """Looks that end in another order change neither the plan nor the records."""
    ids = [f"key-{number:03}" for number in range(KEYS)]
    world.clear_log()
    order = threading.Semaphore(0)
    describe = world.store.describe

    def backwards(key_id: str, *, exact: bool = False) -> Key:
        if key_id == ids[0]:
            assert order.acquire(timeout=_STUCK)
        found = describe(key_id, exact=exact)
        if key_id == ids[1]:
            order.release()
        return found

    world.store.describe = backwards  # type: ignore[method-assign] # for this test
    assert world.run(DUE, keys=ids, workers=2).rotated
    (intent,) = world.records("intent")
    assert [action["key"] for action in intent["actions"]] == ids


def test_what_earlier_runs_left_is_looked_at_side_by_side(world: Planned) -> None:
    """However much they left, it delays an emergency by little."""
    clock = Hands(datetime.now(UTC))
    log, count = MemoryObjects(clock), 16
    ids = [f"key-{number:03}" for number in range(count)]
    world.create(*ids[KEYS:])
    rows = [{"key": key_id, "kind": "rotate", "base": None, "why": "due"} for key_id in ids]
    RunWriter(log, CONTEXT, clock).intent(rows)
    clock.now += 2 * STILL_RUNNING
    world.store.barrier = threading.Barrier(count)
    Journal.begin(log, CONTEXT, clock).recover(world.store)
    assert len(world.store.threads) == count


@pytest.mark.parametrize("fenced", [False, True])
def test_only_so_many_looks_are_kept(
    world: Planned, monkeypatch: pytest.MonkeyPatch, *, fenced: bool
) -> None:
    """The newest, where a look serves only while it is fresh; the others are taken again."""
    monkeypatch.setattr(survey_module, "_KEPT", 3)
    monkeypatch.setattr(Together, "can", replace(Together.can, fenced=fenced))
    ids = tuple(f"key-{number:03}" for number in range(KEYS))
    survey = world.survey(key_ids=ids, workers=WORKERS)
    assert len(list(survey.plans())) == KEYS
    assert list(survey.looks) == list(ids if fenced else ids[-3:])
    assert len(world.run(DUE, keys=ids, workers=WORKERS).rotated) == KEYS


def test_no_more_are_taken_ahead_than_fit() -> None:
    """Of very many keys only some are looked at before the first is planned."""
    begun: list[int] = []

    def look(number: int) -> int:
        begun.append(number)
        return number

    found = in_order(look, range(10_000), WORKERS)
    assert next(found) == 0
    assert len(begun) <= 250
    found.close()  # type: ignore[attr-defined] # a generator
    assert len(begun) <= 250
    assert list(in_order(str, range(1_000), WORKERS)) == [*map(str, range(1_000))]


@pytest.mark.parametrize("workers", [1, WORKERS])
@pytest.mark.parametrize("items", [[], [1], [1, 2]])
def test_few_items(workers: int, items: list[int]) -> None:
    """One look takes no thread of its own: Ctrl-C ends it at once."""
    found = list(in_order(lambda n: (n, threading.current_thread()), items, workers))
    assert [number for number, _ in found] == items
    own = [thread is threading.main_thread() for _, thread in found]
    assert own == [workers == 1 or len(items) == 1] * len(items)


def test_an_interruption_begins_no_more_looks() -> None:
    """Those that have begun end first."""
    begun: list[int] = []
    release = threading.Event()

    def look(number: int) -> int:
        begun.append(number)
        if number == 0:
            release.set()
            raise KeyboardInterrupt
        assert release.wait(_STUCK)
        return number

    with pytest.raises(KeyboardInterrupt):
        list(in_order(look, range(10_000), 2))
    assert len(begun) <= 250


def test_the_time_over_is_asked_before_each_look(world: Planned) -> None:
    """What is left when the time is over is named, and not looked at."""
    ids = tuple(f"key-{number:03}" for number in range(KEYS))
    world.store.looked.clear()
    plans = list(world.survey(key_ids=ids, workers=WORKERS, deadline=timedelta()).plans())
    assert world.store.looked == []
    assert {actions[0].reason for actions in plans} == {"no time was left to look at the key"}
    assert [actions[0].key_id for actions in plans] == list(ids)
