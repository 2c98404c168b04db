"""What was deleted comes back for as long as each store says, and both are in the audit log."""

import pytest
from daena_kms.audit.reader import history
from daena_kms.audit.verify import verify
from daena_kms.errors import DaenaKMSError, KeyNotFound
from daena_kms.operations import Operations

from tests.unit.local_keys import fingerprint
from tests.worlds.base import DAY, World

KEY = "app-key"


def test_the_window_is_as_it_is_said(world: World) -> None:
    """A day before its end all versions come back; after it nothing does, and that is an error."""
    operations = Operations(world.adapter, world.log)
    operations.create(KEY)
    first = world.adapter.get_key(KEY)
    second = world.adapter.rotate_key(KEY)
    window = world.restorable_for
    assert operations.delete(KEY) == world.delete_says
    world.wait((window or 5_000 * DAY) - DAY)
    operations.restore(KEY)
    assert fingerprint(world.adapter.get_key(KEY)) == fingerprint(second)
    assert fingerprint(world.adapter.get_key(KEY, "previous")) == fingerprint(first)
    if window is None:
        return
    operations.delete(KEY)
    world.wait(window + DAY)
    with pytest.raises(KeyNotFound, match=KEY):
        operations.restore(KEY)


def test_deletion_restoration_and_rollback_are_in_the_log(world: World) -> None:
    """Each with who and why; what is refused is not said to be done."""
    operations = Operations(world.adapter, world.log, principal="alice", reason="OPS-7")
    operations.create(KEY)
    first = world.adapter.get_key(KEY)
    world.run(keys=[KEY])
    operations.delete(KEY)
    with pytest.raises(DaenaKMSError, match=KEY):
        operations.rollback(KEY)
    operations.restore(KEY)
    made = operations.rollback(KEY)
    assert fingerprint(world.adapter.get_key(KEY)) == fingerprint(first)
    rows = [row for row in history(world.log, key_id=KEY) if row["principal"] == "alice"]
    assert [(row["kind"], row["result"]) for row in rows] == [
        ("create", "done"),
        ("delete", "done"),
        ("restore", "done"),
        ("rollback", "done"),
    ]
    assert {row["reason"] for row in rows} == {"OPS-7"}
    assert rows[-1]["new_version"] == made
    assert verify(world.log, world.adapter.store.inventory()).ok


def test_a_rollback_to_each_retained_version(world: World) -> None:
    """Every version that once was current can be gone back to, the oldest too."""
    operations = Operations(world.adapter, world.log)
    operations.create(KEY)
    for _ in range(2):
        assert world.run(keys=[KEY]).rotated == [KEY]
    versions = {
        version.id: world.adapter.get_key(KEY, version.id)
        for version in world.adapter.store.describe(KEY, exact=True).versions
    }
    assert len(versions) == 3
    for version, value in versions.items():
        operations.rollback(KEY, version)
        assert fingerprint(world.adapter.get_key(KEY)) == fingerprint(value)
    assert verify(world.log, world.adapter.store.inventory()).ok
