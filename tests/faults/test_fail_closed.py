"""Nothing changes but what the log holds already: a log that fails stops the run."""

import sys
import threading
from datetime import datetime, timedelta
from pathlib import Path
from typing import NoReturn

import pytest
from daena_kms.audit import open_log
from daena_kms.audit.records import INTENT, OUTCOME, decode
from daena_kms.engine import run
from daena_kms.engine.worker import Worker
from daena_kms.errors import AuditUnavailable, ConfigError, StoreUnavailable
from daena_kms.rules.model import Key
from daena_kms.stores.base import Staged

from tests.faults.test_many_keys import make
from tests.worlds.base import DAY, FaultWorld
from tests.worlds.local import LocalWorld
from tests.worlds.seam import Effect

LATER = 91 * DAY
#: The module: as an attribute of its package, the name is the function's.
RUN = sys.modules["daena_kms.engine.run"]


def test_the_plan_is_in_the_log_before_any_change(world: FaultWorld) -> None:
    """When the intent can't be written nothing is changed, and the error says why."""
    make(world, 3)
    world.arm(0, Effect.BEFORE)
    quiet_calls = _calls_before_the_intent(world)
    before = world.state()
    for effect in (Effect.BEFORE, Effect.KILLED_BEFORE):
        world.arm(quiet_calls + 1, effect)
        with pytest.raises(BaseException) as caught:  # noqa: PT011 - either is right here
            world.run(LATER)
        assert isinstance(caught.value, AuditUnavailable) or effect is Effect.KILLED_BEFORE
        world.mend()
        assert world.state() == before
    assert len(world.run(LATER).rotated) == 3


def _calls_before_the_intent(world: FaultWorld) -> int:
    """Return how many calls a run makes before it writes its plan."""
    seen: list[int] = []
    put = world.log.put_new

    def watch(name: str, data: bytes) -> None:
        if decode(data, name)["type"] == INTENT:
            seen.append(world.calls())
            raise AuditUnavailable("the test stops here")
        put(name, data)

    world.log.put_new = watch  # type: ignore[method-assign] # for one run
    try:
        with pytest.raises(AuditUnavailable):
            world.run(LATER)
    finally:
        world.log.put_new = put  # type: ignore[method-assign] # back
    return seen[0]


@pytest.mark.parametrize("nth", [1, 2, 3])
def test_a_log_that_fails_in_the_middle_stops_further_changes(
    tmp_path: Path, nth: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a record that can't be written no key's change begins; the next run comes right."""
    monkeypatch.setattr(RUN, "_BATCH", 2)
    world = LocalWorld(tmp_path)
    ids = make(world, 40)
    world.save()
    failed_at: list[int] = []
    put = world.log.put_new

    def put_new(name: str, data: bytes) -> None:
        if decode(data, name)["type"] == OUTCOME or failed_at:
            failed_at.append(world.promotions())
            if len(failed_at) >= nth:
                raise AuditUnavailable("the disk is full", todo="Make room")
        put(name, data)

    monkeypatch.setattr(world.log, "put_new", put_new)
    with pytest.raises(AuditUnavailable, match=r"disk is full|failed earlier"):
        world.run(LATER, workers=1)
    rotated = world.promotions() - len(ids)
    # What was under way or queued for the one worker may end; all else was not begun.
    assert failed_at[nth - 1] - len(ids) <= rotated <= failed_at[nth - 1] - len(ids) + 3
    assert rotated < len(ids)
    monkeypatch.setattr(world.log, "put_new", put)
    assert world.verify().problems == []
    summary = world.run(LATER + timedelta(minutes=1))
    assert len(summary.rotated) + len(summary.finished) == len(ids) - rotated
    assert world.promotions() == 2 * len(ids)
    assert world.verify().ok
    assert {f.status for f in world.verify().findings} == {"confirmed"}


def test_what_is_queued_when_the_log_fails_is_not_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys that wait for a worker when a record can't be written are left as they are."""
    monkeypatch.setattr(RUN, "_BATCH", 1)
    world = LocalWorld(tmp_path)
    ids = make(world, 12)
    begun: list[str] = []
    failed = threading.Event()
    put, promote, stop = world.log.put_new, world.store.promote, Worker.stop

    def put_new(name: str, data: bytes) -> None:
        if decode(data, name)["type"] == OUTCOME:
            raise AuditUnavailable("the disk is full")
        put(name, data)

    def slow(key: Key, staged: Staged, now: datetime) -> str:
        begun.append(key.id)
        if len(begun) > 1:
            failed.wait(30)
        return promote(key, staged, now)

    def stopped(worker: Worker) -> None:
        worker.stopped = True
        failed.set()
        stop(worker)

    monkeypatch.setattr(world.log, "put_new", put_new)
    monkeypatch.setattr(world.store, "promote", slow)
    monkeypatch.setattr(Worker, "stop", stopped)
    with pytest.raises(AuditUnavailable):
        world.run(LATER, workers=2)
    # Of four that were handed out, one was done, and each worker may have begun one more.
    assert len(begun) <= 3
    assert world.promotions() == len(ids) + len(begun)


def test_no_log_no_run(world: FaultWorld, tmp_path: Path) -> None:
    """Without a log, or with one that can't be made, nothing changes."""
    make(world, 1)
    before = world.state()
    with pytest.raises(ConfigError, match="no audit log was given"):
        run(world.adapter, None, now=world.began + LATER)
    in_the_way = tmp_path / "file"
    in_the_way.write_text("")
    with pytest.raises(AuditUnavailable):
        run(world.adapter, open_log((in_the_way / "log").as_uri()), now=world.began + LATER)
    assert world.state() == before


def test_a_store_that_can_t_be_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A listing that fails raises the store's error; nothing changed, and the log stays whole."""
    world = LocalWorld(tmp_path)
    make(world, 2)
    before = world.state()

    def fail() -> NoReturn:
        raise StoreUnavailable("it does not answer", todo="Try again")

    with monkeypatch.context() as broken:
        broken.setattr(world.store, "scan", fail)
        with pytest.raises(StoreUnavailable):
            world.run(LATER)
    assert world.state() == before
    assert len(world.run(LATER).rotated) == 2
    assert world.verify().ok
