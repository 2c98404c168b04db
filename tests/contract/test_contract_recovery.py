"""What was deleted comes back for as long as each store says, and both are in the audit log."""

import pytest
from daena_kms.audit.reader import history
from daena_kms.audit.verify import verify
from daena_kms.errors import DaenaKMSError, KeyNotFound
from daena_kms.operations import Operations

from tests.contract.clouds import AwsHarness, AzureHarness, GcpHarness
from tests.contract.harness import Harness
from tests.unit.local_keys import fingerprint

KEY = "app-key"
#: How long a deleted key is kept, and how that is said; ``None``: there is no window.
WINDOWS = {
    "local": (None, "kept until it is restored"),
    "aws": (30, "kept for 30 days"),
    "azure": (90, "kept as long as the vault keeps what is deleted: 7 to 90 days"),
    "gcp": (None, "all its versions are disabled; nothing is erased until somebody purges it"),
}


def wait(harness: Harness, days: float) -> None:
    """Let days pass in a simulated cloud; a folder knows no time."""
    if isinstance(harness, (AwsHarness, AzureHarness, GcpHarness)):
        harness.sim.shift_clock(seconds=days * 86_400)


def test_the_window_is_as_it_is_said(harness: Harness) -> None:
    """A day before its end all versions come back; after it nothing does, and that is an error."""
    operations = Operations(harness.adapter, harness.log)
    operations.create(KEY)
    first = harness.adapter.get_key(KEY)
    second = harness.adapter.rotate_key(KEY)
    days, said = WINDOWS[harness.adapter.store.provider]
    assert operations.delete(KEY) == said
    wait(harness, (days or 5_000) - 1)
    operations.restore(KEY)
    assert fingerprint(harness.adapter.get_key(KEY)) == fingerprint(second)
    assert fingerprint(harness.adapter.get_key(KEY, "previous")) == fingerprint(first)
    if days is None:
        return
    operations.delete(KEY)
    wait(harness, days + 1)
    with pytest.raises(KeyNotFound, match=KEY):
        operations.restore(KEY)


def test_deletion_restoration_and_rollback_are_in_the_log(harness: Harness) -> None:
    """Each with who and why; what is refused is not said to be done."""
    operations = Operations(harness.adapter, harness.log, principal="alice", reason="OPS-7")
    operations.create(KEY)
    first = harness.adapter.get_key(KEY)
    harness.run(keys=[KEY])
    operations.delete(KEY)
    with pytest.raises(DaenaKMSError, match=KEY):
        operations.rollback(KEY)
    operations.restore(KEY)
    made = operations.rollback(KEY)
    assert fingerprint(harness.adapter.get_key(KEY)) == fingerprint(first)
    rows = [row for row in history(harness.log, key_id=KEY) if row["principal"] == "alice"]
    assert [(row["kind"], row["result"]) for row in rows] == [
        ("create", "done"),
        ("delete", "done"),
        ("restore", "done"),
        ("rollback", "done"),
    ]
    assert {row["reason"] for row in rows} == {"OPS-7"}
    assert rows[-1]["new_version"] == made
    assert verify(harness.log, harness.adapter.store.inventory()).ok


def test_a_rollback_to_each_retained_version(harness: Harness) -> None:
    """Every version that once was current can be gone back to, the oldest too."""
    operations = Operations(harness.adapter, harness.log)
    operations.create(KEY)
    for _ in range(2):
        assert harness.run(keys=[KEY]).rotated == [KEY]
    versions = {
        version.id: harness.adapter.get_key(KEY, version.id)
        for version in harness.adapter.store.describe(KEY, exact=True).versions
    }
    assert len(versions) == 3
    for version, value in versions.items():
        operations.rollback(KEY, version)
        assert fingerprint(harness.adapter.get_key(KEY)) == fingerprint(value)
    assert verify(harness.log, harness.adapter.store.inventory()).ok
