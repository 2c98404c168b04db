"""A closer look at one key that fails while a run plans is that key's failure, and no other's."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from daena_kms.engine import run
from daena_kms.errors import AccessDenied, DaenaKMSError, StoreUnavailable
from daena_kms.rules.model import Key
from daena_kms.stores.local.store import LocalStore

from tests.unit.keys import DAY, NOW, bounded
from tests.unit.local_keys import local
from tests.worlds.memory import MemoryObjects


class Uncertain(LocalStore):
    """Lists a key whose age is uncertain, and refuses to look at it."""

    def __init__(self, home: Path, error: type[DaenaKMSError]) -> None:
        super().__init__(home)
        self._error = error

    def scan(self) -> Iterator[Key]:
        """List the keys, one of them with bounds that leave open if it is due."""
        for key in super().scan():
            yield bounded(key, 100 * DAY) if key.id == "blind" else key

    def describe(self, key_id: str, *, exact: bool = False) -> Key:
        """Look at a key, or fail."""
        if key_id == "blind":
            raise self._error("the look failed", key_id=key_id)
        return super().describe(key_id, exact=exact)


@pytest.mark.parametrize("error", [AccessDenied, StoreUnavailable])
def test_a_key_that_can_not_be_looked_at_stops_no_other(
    tmp_path: Path, error: type[DaenaKMSError]
) -> None:
    """The others are rotated, and the run reports the one that it could not look at."""
    adapter = local(tmp_path)
    tags = {"daena.managed": "true", "daena.spec": "token"}
    adapter.store.create("due", secrets.token_urlsafe(32), tags, NOW - 91 * DAY)
    adapter.store.create("blind", secrets.token_urlsafe(32), tags, NOW - 89 * DAY)
    adapter.store = Uncertain(tmp_path, error)
    summary = run(adapter, MemoryObjects(), now=NOW)
    assert (summary.rotated, summary.failed) == (["due"], ["blind"])
    assert type(summary.errors["blind"]) is error
