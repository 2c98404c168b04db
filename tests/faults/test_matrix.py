"""Every call of every operation fails once in each way; then all goes on and comes right."""

import contextlib
from collections import Counter
from datetime import timedelta

import pytest
from daena_kms.audit.verify import CONFIRMED, UNCONFIRMED
from daena_kms.errors import DaenaKMSError
from daena_kms.model import VersionState

from tests.faults.operations import MINUTE, OPERATIONS, Operation
from tests.faults.seam import Effect, Killed
from tests.faults.worlds import World


@pytest.mark.parametrize("effect", list(Effect))
@pytest.mark.parametrize("kind", OPERATIONS)
def test_it_comes_right(world: World, kind: type[Operation], effect: Effect) -> None:
    """After a fault at any call: the same again, one more run, and every invariant holds."""
    operation = kind()
    operation.prepare(world)
    world.save()
    world.arm(0, Effect.BEFORE)
    operation.act(world)
    calls = world.calls()
    assert calls > 2
    for at in range(1, calls + 1):
        world.load()
        kept = operation.kept(world)
        world.arm(at, effect)
        before = world.promotions()
        with contextlib.suppress(DaenaKMSError, Killed):
            operation.act(world)
        world.mend()
        _check_log(world, {CONFIRMED, UNCONFIRMED})
        assert operation.kept(world).items() >= kept.items()
        operation.again(world)
        soon = operation.at + 2 * MINUTE
        assert world.run(soon).failed == []
        assert world.promotions() - before == operation.promotes
        _check_nothing_more(world, soon + MINUTE)
        _check_log(world, {CONFIRMED})
        operation.check(world)
        _check_bases(world)


def _check_log(world: World, allowed: set[str]) -> None:
    report = world.verify()
    assert report.problems == []
    assert {finding.status for finding in report.findings} <= allowed


def _check_nothing_more(world: World, after: timedelta) -> None:
    """Assert that a run finds nothing due and changes nothing at all."""
    before = world.state()
    summary = world.run(after)
    assert summary.actions == []
    assert world.state() == before


def _check_bases(world: World) -> None:
    """Assert that at most one version that ever was current was made from each base."""
    for key in world.adapter.store.scan():
        never = {VersionState.PENDING, VersionState.ABANDONED}
        bases = Counter(v.base for v in key.versions if v.state not in never and v.base)
        assert set(bases.values()) <= {1}
