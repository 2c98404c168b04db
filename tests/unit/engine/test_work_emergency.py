"""One key's work in an emergency when the time ends, or somebody stops it, in between."""

import secrets
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from daena_kms.audit.reader import is_unresolved
from daena_kms.engine import run
from daena_kms.engine.clock import Budget
from daena_kms.engine.worker import Worker
from daena_kms.errors import RotationConflict
from daena_kms.objects.files import FileObjects
from daena_kms.rules.model import Key
from daena_kms.rules.plan import Action, Outcome, plan_key
from daena_kms.rules.policy import Defaults
from daena_kms.stores.adapter import CloudKMSAdapter
from daena_kms.stores.local.store import LocalStore

from tests.unit.engine.engines import HookedStore
from tests.unit.engine.test_work import KEY, worker


@pytest.fixture
def store(tmp_path: Path) -> Iterator[HookedStore]:
    """A store with one key."""
    made = HookedStore(tmp_path)
    made.create(KEY, secrets.token_urlsafe(), {"daena.managed": "true"}, datetime.now(UTC))
    yield made
    made.close()


def planned(store: LocalStore) -> list[Action]:
    """Return the plan of an emergency."""
    key, now = store.describe(KEY), datetime.now(UTC)
    return plan_key(key, Defaults(), store.can, now, named=True, compromised=True)


def after_promoting(
    store: LocalStore, patch: pytest.MonkeyPatch, then: Callable[[], object]
) -> None:
    """Let this happen right after the new version is current."""
    promote = store.promote

    def promoting(*given: object) -> str:
        made = promote(*given)  # type: ignore[arg-type] # as they came
        then()
        return made

    patch.setattr(store, "promote", promoting)


def no_time(patch: pytest.MonkeyPatch) -> None:
    """Let every run's time be over from now on."""
    patch.setattr(Budget, "over", True)


def test_a_rotation_that_began_gets_its_retirement(
    store: HookedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when the rotation took the last of the time: half an emergency is none."""
    after_promoting(store, monkeypatch, lambda: no_time(monkeypatch))
    results = worker(store, named=True)(planned(store))
    assert [result.result for result in results] == [Outcome.DONE, Outcome.DONE]


def test_without_time_neither_begins(store: HookedStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one is left with the other."""
    no_time(monkeypatch)
    results = worker(store, named=True)(planned(store))
    assert [result.result for result in results] == [Outcome.LEFT, Outcome.LEFT]
    assert len(store.describe(KEY).versions) == 1


def test_who_stops_it_leaves_the_retirement_to_the_next_run(
    store: HookedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing more begins, and what is left is said."""
    stopping = worker(store, named=True)
    after_promoting(store, monkeypatch, lambda: setattr(stopping, "stopped", True))
    results = stopping(planned(store))
    assert [result.result for result in results] == [Outcome.DONE, Outcome.LEFT]


def test_what_a_stopped_run_left_the_next_one_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The closing record of the stopped run carries it."""
    log, home = FileObjects(tmp_path / "audit"), HookedStore(tmp_path / "store")
    adapter = CloudKMSAdapter(home)
    adapter.create_key(KEY)
    old = home.describe(KEY).current
    assert old is not None
    with monkeypatch.context() as patch:
        timed = Worker._timed

        def stopping(self: Worker, action: Action, before: list[object]) -> object:
            self.stopped = bool(before)
            return timed(self, action, before)  # type: ignore[arg-type] # as they came

        patch.setattr(Worker, "_timed", stopping)
        summary = run(adapter, log, keys=[KEY], compromised=True, reason="it leaked")
    assert (summary.rotated, summary.left, summary.revoked) == ([KEY], [KEY], [])
    assert run(adapter, log).revoked_versions == {KEY: [old.id]}


def test_a_hold_in_between_is_a_failure_with_its_reason(
    store: HookedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The version is still readable: its revocation is pending, and nothing hides that."""

    def hold() -> None:
        store.tag(store.describe(KEY), {"daena.hold": "true"})

    after_promoting(store, monkeypatch, hold)
    rotation, retirement = worker(store, named=True)(planned(store))
    assert (rotation.result, retirement.result) == (Outcome.DONE, Outcome.FAILED)
    assert isinstance(retirement.error, RotationConflict)
    assert "on hold" in str(retirement.message)


def test_the_key_is_looked_at_anew(store: HookedStore) -> None:
    """A look that was taken while planning serves for no retirement."""
    stale = store.describe(KEY)
    looks = {KEY: (stale, worker(store).request.clock.elapsed)}
    results = worker(store, named=True, looks=looks)(planned(store))
    assert [result.result for result in results] == [Outcome.DONE, Outcome.DONE]


def test_what_is_over_by_now_is_skipped_whatever_else_is_marked(store: HookedStore) -> None:
    """Of two versions that were to be revoked another run has done the one: the other is done."""
    marked = []
    for _ in range(2):
        key = store.describe(KEY)
        assert key.current is not None
        marked.append(key.current.id)
        key = store.mark_compromised(key, key.current.id, datetime.now(UTC))
        store.promote(key, store.stage(key, "value", datetime.now(UTC)), datetime.now(UTC))
    actions = plan_key(store.describe(KEY), Defaults(), store.can, datetime.now(UTC))
    assert sorted(str(action.version) for action in actions) == sorted(marked)
    store.revoke(store.describe(KEY), marked[0], datetime.now(UTC))
    store.changes.clear()
    results = {r.action.version: r.result for r in worker(store)(actions)}
    assert results == {marked[0]: Outcome.SKIPPED, marked[1]: Outcome.DONE}
    assert store.changes == [("retire", KEY)]


def test_a_version_that_is_not_shown_is_not_retired(store: HookedStore) -> None:
    """A listing may lag: the next run looks again, and nobody says that it is done."""
    _, retirement = planned(store)
    describe, now = store.describe, datetime.now(UTC)
    key = describe(KEY)
    store.promote(key, store.stage(key, "new", now), now)

    def lagging(key_id: str, *, exact: bool = False) -> Key:
        key = describe(key_id, exact=exact)
        return replace(key, versions=tuple(v for v in key.versions if v.id != retirement.version))

    store.describe = lagging  # type: ignore[method-assign] # for this test
    (result,) = worker(store, named=True)([retirement])
    assert result.result is Outcome.UNKNOWN
    assert "does not show its compromised version" in str(result.error)
    assert is_unresolved(result.record())
