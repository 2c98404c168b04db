"""What made a version, as the log tells."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from daena_kms.audit.origin import kind_that_made

from tests.unit.forgers import Forger
from tests.unit.keys import DAY, version
from tests.worlds.memory import MemoryObjects


@pytest.mark.parametrize("result", ["failed", "unknown", "skipped"])
def test_only_what_was_done_made_a_version(result: str) -> None:
    """A result of another kind names a version that it did not make."""
    now = datetime.now(UTC)
    log = MemoryObjects(lambda: now)
    forger = Forger(log, now)
    made = replace(version(DAY), created=now)
    row = {"key": "k", "kind": "rollback", "new_version": made.id, "result": result}
    forger.record("outcome", forger.folder(), 0, results=[row])
    assert kind_that_made(log, "k", made) is None
    forger.record("outcome", forger.folder(), 0, results=[{**row, "result": "done"}])
    assert kind_that_made(log, "k", made) == "rollback"
