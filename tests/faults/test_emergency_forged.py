"""Whoever may add to the log may say that a version is owed that is being made at this moment."""

from dataclasses import replace
from datetime import datetime

import pytest
from daena_kms.audit.writer import RunWriter
from daena_kms.rules.model import Key, VersionState
from daena_kms.stores.base import Staged

from tests.faults.operations_emergency import states
from tests.faults.test_emergency_left import HOUR, KEY
from tests.unit.logs import CONTEXT
from tests.worlds.base import DAY, FaultWorld


def forge(world: FaultWorld, version: str) -> None:
    """Write the intent of an emergency in which nobody rotated."""
    context = replace(CONTEXT, provider=world.adapter.store.provider)
    writer = RunWriter(world.log, context, lambda: world.at(DAY))
    made = {"key": KEY, "kind": "retire", "base": world.current(KEY), "version": version}
    writer.intent([made | {"compromised": True}])


def test_what_is_about_to_become_current_is_not_retired(
    world: FaultWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another run comes between the writing of a version and its promotion."""
    world.operations().create(KEY, spec="token")
    store = world.adapter.store
    promote = store.promote

    def after_another(key: Key, staged: Staged, now: datetime) -> str:
        monkeypatch.undo()
        pending = [v.id for v in world.look(KEY).versions if v.state is VersionState.PENDING]
        forge(world, (pending or [staged.version_id])[0])
        assert world.run(DAY).revoked == []
        return promote(key, staged, now)

    monkeypatch.setattr(store, "promote", after_another)
    assert world.run(DAY, keys=[KEY]).rotated == [KEY]
    for hours in (24, 26, 60):
        assert world.run(hours * HOUR).revoked == []
        assert states(world) == [VersionState.PREVIOUS, VersionState.CURRENT]
        assert world.adapter.get_key(KEY)
