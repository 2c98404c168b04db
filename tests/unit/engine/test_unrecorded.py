"""What was begun and never recorded is found out by whoever comes next."""

import secrets
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from daena_kms.audit.verify import verify
from daena_kms.cloud_kms import LocalAdapter
from daena_kms.engine import run
from daena_kms.errors import AuditUnavailable, StoreUnavailable
from daena_kms.operations import Operations
from daena_kms.rules.model import Key
from daena_kms.stores.base import Staged
from daena_kms.stores.local.store import LocalStore

from tests.unit.keys import DAY, HOUR, MINUTE, NOW
from tests.unit.local_keys import local, rotate_at
from tests.worlds.memory import MemoryObjects


class Torn(MemoryObjects):
    """Writes on into another log, and takes the intent alone."""

    def __init__(self, log: MemoryObjects) -> None:
        super().__init__()
        self.stored = log.stored
        self._written = False

    def put_new(self, name: str, data: bytes) -> None:
        """Take one record."""
        if self._written:
            raise AuditUnavailable(f"{name} can't be written")
        super().put_new(name, data)
        self._written = True


class Deaf(LocalStore):
    """Promotes, and loses the answer."""

    def promote(self, key: Key, staged: Staged, now: datetime) -> str:
        """Promote."""
        super().promote(key, staged, now)
        raise StoreUnavailable("the answer was lost", key_id=key.id)


@pytest.fixture
def adapter(tmp_path: Path) -> LocalAdapter:
    """An adapter over an empty store."""
    return local(tmp_path)


@pytest.fixture
def log() -> MemoryObjects:
    """An empty log."""
    return MemoryObjects()


def ops(adapter: LocalAdapter, log: MemoryObjects, after: timedelta = timedelta()) -> Operations:
    """Return operations so long after NOW."""
    return Operations(adapter, log, now=NOW + after, principal="alice")


def statuses(adapter: LocalAdapter, log: MemoryObjects) -> list[str]:
    """Return what the log says of each version, oldest first; the log itself is sound."""
    report = verify(log, adapter.store.scan())
    assert report.problems == []
    return [finding.status for finding in reversed(report.findings)]


def test_an_adoption_without_an_outcome_is_found_out(
    adapter: LocalAdapter, log: MemoryObjects
) -> None:
    """The next run confirms the versions of a key whose adoption took effect and was cut off."""
    adapter.store.create("k", secrets.token_urlsafe(30), {}, NOW - DAY)
    rotate_at(adapter, "k", secrets.token_urlsafe(30), NOW - HOUR)
    with pytest.raises(AuditUnavailable):
        ops(adapter, Torn(log)).adopt("k", spec="token")
    assert "confirmed" not in statuses(adapter, log)
    run(adapter, log, now=NOW + HOUR)
    assert statuses(adapter, log) == ["confirmed", "confirmed"]
    (row,) = log.results()
    assert (row["kind"], row["result"], row["recovered"]) == ("adopt", "done", True)


def test_a_rotation_without_an_outcome_is_found_out(
    adapter: LocalAdapter, log: MemoryObjects
) -> None:
    """The next run confirms the version, and does not rotate again."""
    ops(adapter, log).create("k")
    with pytest.raises(AuditUnavailable):
        run(adapter, Torn(log), now=NOW + 91 * DAY)
    assert statuses(adapter, log) == ["confirmed", "unconfirmed"]
    summary = run(adapter, log, now=NOW + 91 * DAY + MINUTE)
    assert (summary.rotated, summary.finished) == ([], [])
    assert statuses(adapter, log) == ["confirmed", "confirmed"]


@pytest.mark.parametrize("name", ["run", "rollback"])
def test_a_lost_answer_is_found_out(
    adapter: LocalAdapter, log: MemoryObjects, tmp_path: Path, name: str
) -> None:
    """A change of unknown result stands in the log as unknown until a later run has looked."""
    ops(adapter, log).create("k", spec="token")
    run(adapter, log, now=NOW + HOUR, keys=["k"])
    good, adapter.store = adapter.store, Deaf(tmp_path)
    if name == "run":
        summary = run(adapter, log, now=NOW + 91 * DAY)
        assert (summary.failed, summary.rotated) == (["k"], [])
    else:
        with pytest.raises(StoreUnavailable, match="the answer was lost"):
            ops(adapter, log, 2 * DAY).rollback("k")
    assert log.results()[-1]["result"] == "unknown"
    adapter.store = good
    assert statuses(adapter, log) == ["confirmed", "confirmed", "unconfirmed"]
    run(adapter, log, now=NOW + 92 * DAY if name == "run" else NOW + 3 * DAY)
    assert statuses(adapter, log) == ["confirmed"] * 3
    assert (log.results()[-1]["result"], log.results()[-1]["recovered"]) == ("done", True)


def test_a_run_that_is_still_at_it_is_looked_at_again(
    adapter: LocalAdapter, log: MemoryObjects, tmp_path: Path
) -> None:
    """What was not done when a run looked, and is done by the slow one after it, is confirmed."""
    ops(adapter, log).create("k", spec="token")

    class Slow(LocalStore):
        """While it rotates, another run looks; then its process ends."""

        def promote(self, key: Key, staged: Staged, now: datetime) -> str:
            """Let the other run go first, and find nothing that it may do."""
            other = Operations(adapter, log, now=now, principal="bob")
            other.create("other")
            assert log.results()[-2]["result"] == "not-done"
            return super().promote(key, staged, now)

    slow = local(tmp_path)
    slow.store = Slow(tmp_path)
    with pytest.raises(AuditUnavailable):
        run(slow, Torn(log), now=NOW + HOUR, keys=["k"])
    run(adapter, log, now=NOW + HOUR + MINUTE)
    assert set(statuses(adapter, log)) == {"confirmed"}
