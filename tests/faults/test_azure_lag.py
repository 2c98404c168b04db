"""Listings and reads of Key Vault that lag: what the key itself says, or its claim, decides."""

from datetime import timedelta

import pytest
from daena_kms.errors import KeyExists, RotationConflict, StoreUnavailable

from infra.local.faults import only
from tests.worlds.azure import AzureWorld
from tests.worlds.base import CLAIMED, DAY

KEY, OTHER = "app-key", "other-key"
LATER = 91 * DAY
MINUTE = timedelta(minutes=1)
READ, SET = only("keyvault", "GetSecret"), only("keyvault", "SetSecret")


@pytest.fixture
def azure(azure: AzureWorld) -> AzureWorld:
    """Give an Azure with two keys."""
    for key_id in (KEY, OTHER):
        azure.operations().create(key_id)
    return azure


def _tags(world: AzureWorld) -> dict[str, str]:
    return dict(world.sim.secrets.secret(KEY).newest.tags)


def test_tags_of_a_minute_ago_are_not_lost(azure: AzureWorld) -> None:
    """The new version has the tags and the kind of content that the last one had, not the list."""
    azure.sim.freeze_listing()
    first = {**_tags(azure), "team": "them", "daena.grace": "30d", "daena.spec": "token"}
    azure.operate(KEY, tags=first, content_type="text/plain")
    assert KEY in azure.run(LATER).rotated
    newest = azure.sim.secrets.secret(KEY).newest
    own = {"daena-version", "daena-open"}
    kept = {name: text for name, text in first.items() if name not in own}
    assert {n: t for n, t in newest.tags.items() if n not in own} == kept
    assert newest.content_type == "text/plain"
    azure.sim.freeze_listing()
    azure.operate(KEY, tags={n: t for n, t in newest.tags.items() if n != "team"})
    assert KEY in azure.run(2 * LATER).rotated
    assert "team" not in _tags(azure)


def test_reads_that_lag_make_no_second_rotation(azure: AzureWorld) -> None:
    """While a read shows the version before, the claim on that version keeps a rotation out."""
    azure.sim.freeze_reads()
    assert azure.run(LATER).rotated == [KEY, OTHER]
    before = azure.sim.secrets.secret(KEY)
    azure.sim.freeze_listing()
    for minutes in (0, 1, 14):
        again = azure.run(LATER + minutes * MINUTE)
        named = azure.run(LATER + minutes * MINUTE, keys=[KEY])
        assert (again.rotated, again.failed, named.rotated) == ([], [], [])
    assert azure.sim.secrets.secret(KEY) == before
    azure.sim.unfreeze_reads()
    assert azure.run(LATER + CLAIMED).rotated == []


def test_one_read_that_lags_makes_no_second_rotation(azure: AzureWorld) -> None:
    """So it is for who reads in the moment after another process's rotation."""
    azure.adapter.rotate_key(KEY)
    azure.sim.faults.stale(when=READ)
    with pytest.raises(RotationConflict, match="has claimed it"):
        azure.again().rotate_key(KEY)
    assert len(azure.sim.secrets.versions(KEY)) == 2


def test_a_lost_answer_and_reads_that_lag(azure: AzureWorld) -> None:
    """What can't be told yet is unknown, and told by the next run; nothing is set again."""
    azure.sim.faults.fail_after(1, when=SET)
    azure.sim.freeze_reads()
    summary = azure.run(DAY, keys=[KEY])
    assert isinstance(summary.errors[KEY], StoreUnavailable)
    made = azure.sim.secrets.secret(KEY)
    assert len(made.versions) == 2
    for minutes in (1, 14):
        assert azure.run(DAY + minutes * MINUTE, keys=[KEY]).rotated == []
    azure.sim.unfreeze_reads()
    assert azure.run(DAY + CLAIMED).rotated == []
    assert azure.sim.secrets.secret(KEY) == made
    assert azure.verify().ok


def test_a_creation_and_reads_that_lag(azure: AzureWorld) -> None:
    """A key is not created a second time over one that a read does not show yet."""
    azure.sim.faults.fail_after(1, when=SET)
    azure.sim.freeze_reads()
    with pytest.raises(StoreUnavailable):
        azure.operations().create("new-key")
    made = azure.sim.secrets.secret("new-key")
    with pytest.raises(KeyExists):
        azure.operations(14 * MINUTE).create("new-key")
    azure.sim.unfreeze_reads()
    with pytest.raises(KeyExists):
        azure.operations(CLAIMED).create("new-key")
    assert azure.sim.secrets.secret("new-key") == made


def test_a_creation_right_after_another(azure: AzureWorld) -> None:
    """Nor one that was created a moment ago."""
    azure.adapter.create_key("new-key")
    made = azure.sim.secrets.secret("new-key")
    azure.sim.faults.stale(when=READ)
    with pytest.raises(KeyExists):
        azure.again().create_key("new-key")
    assert azure.sim.secrets.secret("new-key") == made
