"""Every call of every operation fails once in each way; then all goes on and comes right."""

import contextlib
import os
from collections import Counter
from collections.abc import Iterable
from datetime import timedelta

import pytest
from daena_kms.audit.verify import CONFIRMED, UNCONFIRMED, verify
from daena_kms.errors import ConfigError, DaenaKMSError
from daena_kms.rules.model import Key

from tests.faults.operations import MINUTE, OPERATIONS, Operation, Rollback, Run
from tests.faults.operations_emergency import Compromised
from tests.worlds.base import FaultWorld
from tests.worlds.kinds import CLOUDS, KINDS, InCloud
from tests.worlds.seam import Effect, Killed

#: Of these every reading call fails as well. Those of the others are the same: of the log, the
#: listing and the look at the key.
READING = (Run, Compromised)
#: What a process that was killed right before a call leaves behind is what one leaves that was
#: killed right after the change before it; before the first change there is nothing. So the one is
#: tried with every operation, and the other with a run alone.
EFFECTS = tuple(effect for effect in Effect if effect is not Effect.KILLED_BEFORE)
#: Every effect is tried with these on every store. The other operations go through the same calls:
#: on each cloud they have one effect each, and every one of them has each on some store.
THOROUGH = (Run, Rollback, Compromised)


def _effects(kind: type[Operation], store: str) -> tuple[Effect, ...]:
    """Return the effects that are tried with an operation on a store."""
    if kind in THOROUGH or store == "local" or os.environ.get("WHOLE_MATRIX"):
        return EFFECTS
    number = OPERATIONS.index(kind) + CLOUDS.index(store)
    return (EFFECTS[number % len(EFFECTS)],)


@pytest.mark.parametrize(
    ("world", "kind", "effect"),
    [
        pytest.param(store, kind, effect, id=f"{store}-{kind.__name__}-{effect.value}")
        for store in KINDS
        for kind in (*OPERATIONS, Compromised)
        for effect in (*_effects(kind, store), *[Effect.KILLED_BEFORE] * (kind is Run))
    ],
    indirect=["world"],
)
def test_it_comes_right(world: FaultWorld, kind: type[Operation], effect: Effect) -> None:
    """After a fault at any call: the same again, one more run, and every invariant holds."""
    whole = os.environ.get("WHOLE_MATRIX") or world.provider == "local"
    comes_right(world, kind, effect, reads=kind in READING or bool(whole))


def comes_right(
    world: FaultWorld, kind: type[Operation], effect: Effect, *, reads: bool = False
) -> None:
    """Break an operation at each of its changes, and at what it ``reads`` if that is asked for.

    A call that only reads can but fail: to lose its answer is no more than that, and to die at it
    is to die at the next change.
    """
    if not kind().possible(world):
        with pytest.raises(ConfigError, match="can't"):
            kind().prepare(world)
        return
    kind().prepare(world)
    world.save()
    untouched = world.state(), _names(world)
    world.arm(0, Effect.BEFORE)
    kind().act(world)
    calls = world.calls()
    writes = world.writes()
    assert calls > len(writes) > 2
    world.load()
    kept = kind().kept(world)
    for at in range(1, calls + 1) if reads and effect is Effect.BEFORE else writes:
        operation = kind()
        world.load()
        assert world.state() == untouched[0]
        world.arm(at, effect)
        before = world.promotions()
        with contextlib.suppress(DaenaKMSError, Killed):
            operation.act(world)
        world.mend()
        if at < writes[0]:
            assert world.state() == untouched[0]
            if _names(world) == untouched[1]:
                continue  # what follows is what follows with no fault
        operation.honest(world)
        _check_log(world, {CONFIRMED, UNCONFIRMED})
        assert operation.kept(world).items() >= kept.items()
        if world.patience:
            _try_at_once(world, operation)
            assert world.promotions() - before <= operation.promotes
            assert operation.kept(world).items() >= kept.items()
        operation.again(world)
        soon = operation.at + 2 * MINUTE
        assert world.run(soon).failed == []
        assert world.promotions() - before == operation.promotes
        _check_nothing_more(world, soon + MINUTE)
        _check_bases(_check_log(world, {CONFIRMED}))
        operation.check(world)


@pytest.mark.parametrize("wire", [True], ids=["wire"])
@pytest.mark.parametrize("effect", [Effect.BEFORE, Effect.AFTER])
def test_it_comes_right_over_the_wire(cloud: InCloud, effect: Effect) -> None:
    """Where the connection itself is lost, a run comes right as well."""
    comes_right(cloud, Run, effect)


def _try_at_once(world: FaultWorld, operation: Operation) -> None:
    """Do it again at once, which may be refused, and let the next time be after any claim."""
    with contextlib.suppress(DaenaKMSError):
        operation.again(world)
    operation.at += world.patience


def _names(world: FaultWorld) -> list[str]:
    return [entry.name for entry in world.held().entries("log/")]


def _check_log(world: FaultWorld, allowed: set[str]) -> list[Key]:
    """Verify the log against all that the store has, and return that."""
    keys = list(world.adapter.store.inventory())
    report = verify(world.held(), keys)
    assert report.problems == []
    assert {finding.status for finding in report.findings} <= allowed
    return keys


def _check_nothing_more(world: FaultWorld, after: timedelta) -> None:
    """Assert that a run finds nothing due and changes nothing at all."""
    before = world.state()
    summary = world.run(after)
    assert summary.actions == []
    assert world.state() == before


def _check_bases(keys: Iterable[Key]) -> None:
    """Assert that at most one version that ever was current was made from each base."""
    for key in keys:
        bases = Counter(v.base_mark for v in key.versions if v.was_current and v.base_mark)
        assert set(bases.values()) <= {1}
