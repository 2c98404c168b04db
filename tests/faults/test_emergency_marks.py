"""A pending revocation stands in the store: whatever becomes of the log, a later run does it."""

import contextlib
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from daena_kms.audit.reader import Tail
from daena_kms.audit.writer import RunWriter
from daena_kms.engine import run
from daena_kms.errors import AccessDenied, DaenaKMSError, StoreUnavailable
from daena_kms.rules.model import VersionState
from daena_kms.rules.summary import Summary

from tests.faults.operations_emergency import lived, states
from tests.faults.test_emergency_left import Refusing, emergency
from tests.unit.logs import CONTEXT
from tests.worlds.aws import AwsWorld
from tests.worlds.base import DAY, FaultWorld
from tests.worlds.memory import MemoryObjects
from tests.worlds.seam import Effect, Killed

KEY = "app-key"
WHY = "seen in a public log"
HOUR = timedelta(hours=1)
RETIRED, CURRENT, PREVIOUS = VersionState.RETIRED, VersionState.CURRENT, VersionState.PREVIOUS


def elsewhere(world: FaultWorld, after: timedelta) -> Summary:
    """Run on another machine, with a log that is empty."""
    return run(world.again(), MemoryObjects(), now=world.at(after))


def settled(world: FaultWorld, old: str, after: timedelta) -> None:
    """Assert that the old version is revoked, and that nothing is left to do."""
    version = world.look(KEY).version(old)
    assert version is not None
    assert (version.over, version.compromised, version.revoked) == (True, True, True)
    assert states(world)[-1] is CURRENT
    assert world.adapter.get_key(KEY)
    assert elsewhere(world, after).actions == []


@pytest.mark.parametrize("effect", [Effect.BEFORE, Effect.AFTER, Effect.KILLED_AFTER])
def test_a_crash_and_the_loss_of_the_log(world: FaultWorld, effect: Effect) -> None:
    """Whatever call was the last: once the store shows anything, it shows what must be retired."""
    world.operations().create(KEY)
    old, at = world.current(KEY), HOUR

    def act() -> None:
        world.run(at, keys=[KEY], compromised=True, reason=WHY)

    world.save()
    world.arm(0, Effect.BEFORE)
    act()
    writes, untouched = world.writes(), 0
    for call in writes:
        world.load()
        before = world.state()
        world.arm(call, effect)
        with contextlib.suppress(DaenaKMSError, Killed):
            act()
        world.mend()
        later = at + world.patience + HOUR
        if world.state() == before:
            untouched += 1
            assert elsewhere(world, later).actions == []
            continue
        assert elsewhere(world, later).failed == []
        assert world.current(KEY) != old
        settled(world, old, later + HOUR)
    assert 1 <= untouched < len(writes) / 2


@pytest.mark.parametrize("named", [True, False])
def test_a_run_that_knows_nothing_goes_on(
    world: FaultWorld, monkeypatch: pytest.MonkeyPatch, *, named: bool
) -> None:
    """Also a run that names the key; its intent and its result are in its own log."""
    world.operations().create(KEY)
    refusing = Refusing(world.adapter.store, monkeypatch)
    refusing.errors.append(StoreUnavailable("it does not answer", key_id=KEY, todo="Wait"))
    old = emergency(world)
    found = world.look(KEY).version(old)
    assert found is not None
    assert (found.compromised, found.revoked) == (True, False)
    refusing.errors.clear()
    log = MemoryObjects()
    summary = run(
        world.again(), log, now=world.at(2 * HOUR), keys=[KEY] if named else None, if_due=named
    )
    assert summary.revoked_versions == {KEY: [old]}
    assert summary.revoking == world.adapter.store.revoking
    assert log.entries("log/")
    settled(world, old, 3 * HOUR)


def forge(world: FaultWorld, hours: int, tail: Tail) -> None:
    """Write the closing record of a run that never was."""
    context = replace(CONTEXT, provider=world.adapter.store.provider)
    RunWriter(world.log, context, lambda: world.at(hours * HOUR)).close(tail, [], {})


@pytest.mark.parametrize("hours", [1, 2, 3])
@pytest.mark.parametrize("saw", [True, False])
def test_a_forged_closing_record_hides_nothing(
    world: FaultWorld, monkeypatch: pytest.MonkeyPatch, hours: int, *, saw: bool
) -> None:
    """One that says that nothing is unresolved, of the same time or ahead, or names the honest."""
    world.operations().create(KEY)
    refusing = Refusing(world.adapter.store, monkeypatch)
    refusing.errors.append(StoreUnavailable("it does not answer", key_id=KEY, todo="Wait"))
    old = emergency(world)
    honest = {e.name: "sha256:" + "0" * 64 for e in world.held().entries("log/")}
    forge(world, hours, Tail(saw=honest if saw else {}))
    refusing.errors.clear()
    assert world.run(2 * HOUR).revoked_versions == {KEY: [old]}
    settled(world, old, 3 * HOUR)


@pytest.mark.parametrize("kind", [AccessDenied, StoreUnavailable])
def test_without_the_mark_the_emergency_goes_on(
    world: FaultWorld, monkeypatch: pytest.MonkeyPatch, kind: type[DaenaKMSError]
) -> None:
    """To leave a value in use that leaked would be worse; the answer and the log say so."""
    world.operations().create(KEY)
    old = world.current(KEY)
    error = kind("it is meant to fail", key_id=KEY, todo="Wait")
    with monkeypatch.context() as patch:
        patch.setattr(world.adapter.store, "mark_compromised", raiser(error))
        if world.provider == "local":  # there the retirement marks it, too
            patch.setattr(world.adapter.store, "revoke", world.adapter.store.retire)
        summary = world.run(HOUR, keys=[KEY], compromised=True, reason=WHY)
    assert (summary.rotated, summary.revoked, summary.failed) == ([KEY], [KEY], [])
    assert f"version {old} could not be marked as compromised in the store" in summary.notes[KEY]
    assert error.what in summary.notes[KEY]
    assert states(world) == [RETIRED, CURRENT]
    rows = [row for record in world.records() for row in record.get("results", ())]
    (row,) = [row for row in rows if row["kind"] == "rotate"]
    assert "only the log says" in row["message"]


def test_a_hold_keeps_what_is_marked(world: FaultWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reported as pending by a run that knows only the store, and done after the release."""
    world.operations().create(KEY)
    old = world.current(KEY)
    with monkeypatch.context() as patch:
        patch.setattr(world.adapter.store, "stage", raiser(StoreUnavailable("down")))
        world.run(HOUR, keys=[KEY], compromised=True, reason=WHY)
    assert states(world) == [CURRENT]
    world.operations(2 * HOUR).hold(KEY)
    for _ in range(2):
        summary = elsewhere(world, 3 * HOUR)
        assert (summary.held, summary.rotated, summary.revoked) == ([KEY], [], [])
        (action,) = summary.actions
        assert f"its compromised version {old} is still current" in action.reason
    world.operations(4 * HOUR).release(KEY)
    summary = elsewhere(world, 5 * HOUR)
    assert summary.rotated + summary.finished == [KEY]
    settled(world, old, 6 * HOUR)


def raiser(error: Exception) -> Callable[..., None]:
    """Return what raises this."""

    def fail(*_: object, **__: object) -> None:
        raise error

    return fail


def test_an_ordinary_rotation_of_a_marked_version_is_the_emergency(
    world: FaultWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By name, although the person who asks knows nothing of it."""
    world.operations().create(KEY)
    old = world.current(KEY)
    with monkeypatch.context() as patch:
        patch.setattr(world.adapter.store, "promote", raiser(StoreUnavailable("down")))
        world.run(HOUR, keys=[KEY], compromised=True, reason=WHY)
    later = 2 * HOUR + world.patience
    summary = run(world.again(), MemoryObjects(), now=world.at(later), keys=[KEY])
    assert summary.revoked_versions == {KEY: [old]}
    settled(world, old, later + HOUR)


def test_the_mark_stays(world: FaultWorld) -> None:
    """Through later rotations, and the version before it and those after it carry none."""
    world.operations().create(KEY)
    first = world.current(KEY)
    world.run(HOUR, keys=[KEY])
    old = world.current(KEY)
    world.run(2 * HOUR, keys=[KEY], compromised=True, reason=WHY)
    for day in (1, 2):
        world.run(day * DAY, keys=[KEY])
    found = {v.id: v.compromised for v in lived(world)}
    assert [v for v, marked in found.items() if marked] == [old]
    assert first in found


#: The calls of an ordinary rotation by name, and those of an emergency.
CALLS = {"local": (2, 5), "aws": (4, 8), "azure": (2, 7), "gcp": (4, 9)}


def test_only_emergencies_take_a_call_more(world: FaultWorld) -> None:
    """An ordinary rotation takes what it took; an emergency one call to the store more, or none.

    On AWS the mark is what the retirement begins with, so it takes none.
    """
    world.operations().create(KEY)
    counts = []
    for hours, options in ((1, {}), (2, {"compromised": True, "reason": WHY})):
        world.arm(0, Effect.BEFORE)
        world.run(hours * HOUR, keys=[KEY], **options)
        counts.append(len(world.store_calls()))
    assert tuple(counts) == CALLS[world.provider]


def test_aws_says_so_on_the_label_alone(aws: AwsWorld) -> None:
    """One label is left on the version, which names the mark, and its time."""
    aws.operations().create(KEY)
    old = aws.current(KEY)
    aws.run(HOUR, keys=[KEY], compromised=True, reason=WHY)
    (label,) = aws.sim.secrets.secret(KEY).stages()[old]
    assert label.startswith("daena-retired-")
    assert "-compromised-" in label
