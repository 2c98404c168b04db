"""The retirement of a compromised version is carried from run to run until it is done."""

import pytest
from daena_kms.audit.reader import read_tail, unresolved_actions
from daena_kms.audit.writer import RunWriter
from daena_kms.engine.journal import Journal
from daena_kms.errors import StoreUnavailable
from daena_kms.rules.model import Key
from daena_kms.rules.plan import Outcome
from daena_kms.stores.base import Absence
from daena_kms.stores.local.store import LocalStore

from tests.unit.engine import test_journal as journals
from tests.unit.engine.test_journal import KEY, current, newest_closing, recovered
from tests.unit.logs import CONTEXT, Hands
from tests.worlds.memory import MemoryObjects

clock, log, store = journals.clock, journals.log, journals.store


def row(version: str, result: str | None = None, **more: object) -> dict[str, object]:
    """Return the retirement of a compromised version, with what became of it."""
    made = {"key": KEY, "kind": "retire", "base": "b", "version": version, "compromised": True}
    return made | more | ({"result": result} if result else {})


def old(store: LocalStore) -> str:
    """Return the id of the previous version."""
    found = store.describe(KEY).previous
    assert found is not None
    return found.id


def begun(log: MemoryObjects, clock: Hands, version: str) -> RunWriter:
    """Write the intent of a retirement, as a crash leaves it."""
    writer = RunWriter(log, CONTEXT, clock)
    writer.intent([row(version)])
    return writer


def pending(log: MemoryObjects, clock: Hands) -> dict[str, set[str]]:
    """Return the revocations that are pending for a run that begins now."""
    return Journal.begin(log, CONTEXT, clock).pending_revocations()


@pytest.mark.parametrize(
    ("result", "is_pending"),
    [
        (Outcome.DONE, False),
        (Outcome.SKIPPED, False),
        (Outcome.FAILED, True),
        (Outcome.LEFT, True),
        (Outcome.UNKNOWN, True),
        (None, True),
    ],
)
def test_which_results_leave_it_pending(
    log: MemoryObjects, clock: Hands, store: LocalStore, result: str | None, *, is_pending: bool
) -> None:
    """Of a run that crashed before its end, and of one that closed."""
    version = old(store)
    writer = begun(log, clock, version)
    if result is not None:
        writer.outcome([row(version, result)])
    assert pending(log, clock) == ({KEY: {version}} if is_pending else {})
    if result is not None:
        other = MemoryObjects(clock)
        closing = Journal.begin(other, CONTEXT, clock)
        closing.record_rows([row(version, result)])
        closing.close({})
        assert bool(newest_closing(other)["unresolved"]) is is_pending


@pytest.mark.parametrize("result", [Outcome.FAILED, Outcome.LEFT])
def test_other_actions_that_failed_are_not_carried(
    log: MemoryObjects, clock: Hands, store: LocalStore, result: str
) -> None:
    """They are planned anew, or were not to be done."""
    action = {n: v for n, v in row(old(store), result).items() if n != "compromised"}
    journal = Journal.begin(log, CONTEXT, clock)
    journal.record_rows([action, row(old(store), result, kind="rotate")])
    journal.close({})
    assert newest_closing(log)["unresolved"] == []


def test_it_is_carried_for_as_long_as_it_takes(
    log: MemoryObjects, clock: Hands, store: LocalStore
) -> None:
    """Not for an hour only, as what may be under way still."""
    version = old(store)
    begun(log, clock, version)
    for _ in range(5):
        clock.pass_(minutes=50)
        assert [r["result"] for r in recovered(log, clock, store)] == ["not-done"]
        assert pending(log, clock) == {KEY: {version}}
    store.retire(store.describe(KEY), version, clock())
    clock.pass_(minutes=1)
    assert [r["result"] for r in recovered(log, clock, store)] == ["done"]
    assert pending(log, clock) == {}


def test_done_in_this_run_it_is_not_handed_on(
    log: MemoryObjects, clock: Hands, store: LocalStore
) -> None:
    """Nor is a failure handed on twice, whatever was current when each was planned."""
    version = old(store)
    begun(log, clock, version)
    for result, carried in ((Outcome.FAILED, 1), (Outcome.UNKNOWN, 1), (Outcome.DONE, 0)):
        clock.pass_(minutes=70)
        journal = Journal.begin(log, CONTEXT, clock)
        journal.recover(store)
        journal.intend([row(version, base="another")])
        journal.record_rows([row(version, result, base="another")])
        journal.close({})
        assert len(newest_closing(log)["unresolved"]) == carried
        assert len(unresolved_actions(read_tail(log))) == carried


def test_what_is_current_is_given_up_after_an_hour(
    log: MemoryObjects, clock: Hands, store: LocalStore
) -> None:
    """No rotation came about, or a hand made it current again: then no revocation is pending."""
    version = current(store)
    begun(log, clock, version)
    clock.pass_(minutes=59)
    assert [r["result"] for r in recovered(log, clock, store)] == ["not-done"]
    assert pending(log, clock) == {KEY: {version}}
    clock.pass_(minutes=2)
    assert [r["result"] for r in recovered(log, clock, store)] == ["not-done"]
    assert pending(log, clock) == {}


def test_a_deleted_key_keeps_it_for_as_long_as_it_is_seen(
    log: MemoryObjects, clock: Hands, store: LocalStore
) -> None:
    """What is deleted may be restored, readable versions and all."""
    version = old(store)
    begun(log, clock, version)
    store.delete(store.describe(KEY), clock())
    for _ in range(3):
        clock.pass_(days=5)
        assert [r["result"] for r in recovered(log, clock, store)] == ["not-done"]
        assert pending(log, clock) == {KEY: {version}}


@pytest.mark.parametrize(("key", "version"), [("no-key", "any"), (KEY, "no-version")])
def test_what_is_not_found_keeps_it_for_a_week(
    log: MemoryObjects, clock: Hands, store: LocalStore, key: str, version: str
) -> None:
    """A name on its way, or a version that a listing lacks, is not one that is gone."""
    RunWriter(log, CONTEXT, clock).intent([row(version, key=key)])
    for _ in range(6):
        clock.pass_(days=1)
        assert recovered(log, clock, store) == []
        assert pending(log, clock) == {key: {version}}
    clock.pass_(days=1)
    assert [r["result"] for r in recovered(log, clock, store)] == ["gone"]
    assert pending(log, clock) == {}


@pytest.mark.parametrize(
    ("absence", "results"),
    [(Absence.UNSEEN, []), (Absence.RELEASED, []), (Absence.ERASED, ["done"])],
)
def test_a_version_that_the_store_no_longer_has_is_done(
    log: MemoryObjects,
    clock: Hands,
    store: LocalStore,
    monkeypatch: pytest.MonkeyPatch,
    absence: Absence,
    results: list[str],
) -> None:
    """Nobody reads it any more; one without a name may still be read by its id."""
    monkeypatch.setattr(store, "absence", lambda *_: absence)
    begun(log, clock, "some-version")
    clock.pass_(minutes=59)
    assert recovered(log, clock, store) == []  # so young, it may be missing from any listing
    clock.pass_(minutes=11)
    assert [r["result"] for r in recovered(log, clock, store)] == results
    assert pending(log, clock) == ({} if results else {KEY: {"some-version"}})


def test_a_store_that_does_not_answer_loses_nothing(
    log: MemoryObjects, clock: Hands, store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does a run with no time to look."""
    version = old(store)
    begun(log, clock, version)

    def silent(*_: object, **__: object) -> Key:
        raise StoreUnavailable("it does not answer", todo="Wait")

    with monkeypatch.context() as patch:
        patch.setattr(store, "describe", silent)
        clock.pass_(minutes=70)
        assert recovered(log, clock, store) == []
    hurried = Journal.begin(log, CONTEXT, clock)
    hurried.recover(store, lambda: True)
    hurried.close({})
    assert pending(log, clock) == {KEY: {version}}


def test_another_store_s_is_not_ours(log: MemoryObjects, clock: Hands) -> None:
    """It is handed on, and never planned here."""
    foreign = {**row("v"), "provider": "elsewhere", "at": "2026-03-01T12:00:00Z"}
    journal = Journal.begin(log, CONTEXT, clock)
    journal._unresolved.append(foreign)
    journal.close({})
    assert pending(log, clock) == {}
    assert [a["provider"] for a in newest_closing(log)["unresolved"]] == ["elsewhere"]
