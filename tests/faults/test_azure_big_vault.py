"""A vault of three thousand secrets of which many are not ours: only managed ones change."""

import secrets
from collections.abc import Iterator
from datetime import timedelta

import pytest
from daena_kms.rules.names import new_version_id
from daena_kms.stores.azure.order import NAME

from infra.local.azure.secrets import PAGE
from tests.worlds.azure import AzureWorld
from tests.worlds.base import DAY
from tests.worlds.kinds import open_world

MANAGED = {"daena.managed": "true", "daena.spec": "aes-256"}
#: Due, managed and in order; all others of those that carry our tag are not due.
DUE, EXPIRING = 20, 5
COUNT = 3000


@pytest.fixture(scope="module")
def vault(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AzureWorld]:
    """Give the vault: two thousand managed secrets, and a thousand that are not to be touched."""
    with open_world("azure", tmp_path_factory.mktemp("vault")) as world:
        assert isinstance(world, AzureWorld)
        age = (100 * DAY).total_seconds()
        seed = world.sim.seed
        old = MANAGED | {NAME: new_version_id(None, world.began - 100 * DAY)}
        new = MANAGED | {NAME: new_version_id(None, world.began)}
        seed(DUE, tags=old, prefix="due-", age=age)
        seed(2000 - DUE - EXPIRING, tags=new, prefix="fresh-")
        seed(300, prefix="theirs-", age=age)
        seed(150, tags={"daena.managed": "false"}, prefix="released-", age=age)
        seed(250, prefix="off-", age=age, enabled=False)
        seed(50, tags=old, prefix="managed-off-", age=age, enabled=False)
        past = int((world.began - DAY).timestamp())
        for number in range(250 + EXPIRING):
            ours = number < EXPIRING
            world.sim.secrets.add_version(
                f"{'expired' if ours else 'their-expired'}-{number:05}",
                secrets.token_urlsafe(32),
                tags=old if ours else {},
                created=world.began - 100 * DAY,
                updated=world.began - 100 * DAY,
                exp=past,
            )
        assert len(world.sim.secrets.live) == COUNT
        yield world


def test_only_managed_secrets_change(vault: AzureWorld) -> None:
    """What is due is rotated; of what is disabled, expired or somebody else's nothing changes."""
    before = dict(vault.sim.secrets.live)
    vault.sim.calls.clear()
    summary = vault.run()
    due = {f"due-{number:05}" for number in range(DUE)}
    due |= {f"expired-{number:05}" for number in range(EXPIRING)}
    off = [f"managed-off-{number:05}" for number in range(50)]
    assert set(summary.rotated) == due
    assert sorted(summary.failed) == off
    assert all("disabled" in str(error) for error in summary.errors.values())
    after = vault.sim.secrets.live
    assert {name for name in before if after[name] is not before[name]} == due
    for name in due:
        old, new = after[name].versions.values()
        assert old == before[name].newest
        assert new.enabled
        assert dict(new.tags).items() >= MANAGED.items()
    assert vault.run(timedelta(minutes=1)).rotated == []


def test_planning_takes_a_call_for_each_page(vault: AzureWorld) -> None:
    """A plan of the whole vault lists it in pages of 25, and asks nothing else of it."""
    vault.run()  # what is due is done
    vault.sim.calls.clear()
    summary = vault.run(dry_run=True)
    assert summary.keys == 2050
    calls = [call.operation for call in vault.sim.calls if call.service == "keyvault"]
    assert calls == ["GetSecrets"] * -(-COUNT // PAGE)
