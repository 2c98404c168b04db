"""The simulated vault's soft delete, recovery, purging and backups, through the official SDK."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from azure.core.exceptions import ResourceNotFoundError
from azure.keyvault.secrets import DeletedSecret, SecretClient

from infra.local.azure.sim import AzureSimulator
from tests.local.azure_wire import API, answers, to_vault
from tests.local.conftest import START, value

type Call = Callable[[SecretClient], object]


def delete(vault: SecretClient, name: str) -> DeletedSecret:
    """Delete a secret and wait for it without pausing."""
    poller = vault.begin_delete_secret(name, _polling_interval=0)
    poller.wait()
    gone: DeletedSecret = poller.result()
    return gone


def recover(vault: SecretClient, name: str) -> None:
    """Recover a secret and wait for it without pausing."""
    vault.begin_recover_deleted_secret(name, _polling_interval=0).wait()


def test_a_deleted_secret_is_kept_and_named(vault: SecretClient) -> None:
    """It is gone from reads and listings, shows as deleted, and says when it will be purged."""
    made = vault.set_secret("key", value(), tags={"a": "b"})
    gone = delete(vault, "KEY")
    assert (gone.deleted_date, gone.scheduled_purge_date) == (START, START + timedelta(days=90))
    assert gone.recovery_id == f"{vault.vault_url}/deletedsecrets/key"
    assert (gone.id, gone.properties.tags) == (made.id, {"a": "b"})
    with answers(404, "SecretNotFound"):
        vault.get_secret("key")
    assert list(vault.list_properties_of_secrets()) == []
    (listed,) = vault.list_deleted_secrets()
    assert (listed.name, listed.properties.version) == ("key", None)
    assert vault.get_deleted_secret("key").properties.version == made.properties.version


def test_deleting_twice_finds_nothing(vault: SecretClient) -> None:
    """Neither a second time, nor what never was."""
    vault.set_secret("key", value())
    delete(vault, "key")
    for name in ("key", "other"):
        with answers(404, "SecretNotFound"):
            vault.begin_delete_secret(name)


def test_a_deleted_name_is_taken_until_it_is_purged(
    azure: AzureSimulator, vault: SecretClient
) -> None:
    """A set answers that the secret can be recovered; after the purge it begins anew."""
    old = vault.set_secret("key", value()).properties.version
    delete(vault, "key")
    with answers(409, "Conflict", "ObjectIsDeletedButRecoverable"):
        vault.set_secret("KEY", value())
    vault.purge_deleted_secret("key")
    with answers(404, "SecretNotFound"):
        vault.get_deleted_secret("key")
    azure.secrets.settle()
    vault.set_secret("key", value())
    with answers(404, "SecretNotFound"):
        vault.get_secret("key", old)


def test_recovery_brings_all_versions_back(azure: AzureSimulator, vault: SecretClient) -> None:
    """With their values, dates and tags."""
    first, second = value(), value()
    old = vault.set_secret("key", first, tags={"a": "b"}).properties.version
    vault.set_secret("key", second)
    before = azure.secrets.versions("key")
    delete(vault, "key")
    recover(vault, "key")
    assert azure.secrets.versions("key") == before
    assert vault.get_secret("key").value == second
    assert vault.get_secret("key", old).value == first
    assert list(vault.list_deleted_secrets()) == []


@pytest.mark.parametrize(
    "call",
    [
        lambda vault: vault.get_deleted_secret("key"),
        lambda vault: vault.purge_deleted_secret("key"),
        lambda vault: vault.begin_recover_deleted_secret("key"),
    ],
    ids=["get", "purge", "recover"],
)
def test_what_is_not_deleted_is_not_found_as_such(vault: SecretClient, call: Call) -> None:
    """A live secret has no deleted state."""
    vault.set_secret("key", value())
    with answers(404, "SecretNotFound"):
        call(vault)


def test_a_purge_may_be_forbidden(azure: AzureSimulator, vault: SecretClient) -> None:
    """Purge protection lets nobody erase what may still be recovered."""
    azure.configure(purge_protection=True)
    vault.set_secret("key", value())
    delete(vault, "key")
    with answers(403, "Forbidden"):
        vault.purge_deleted_secret("key")
    recover(vault, "key")


def test_the_vault_purges_by_itself(azure: AzureSimulator, vault: SecretClient) -> None:
    """When the retention is over, the secret is gone and its name is free."""
    azure.configure(retention_days=7, settle_polls=1)
    vault.set_secret("key", value())
    delete(vault, "key")
    azure.shift_clock(seconds=7 * 86400 - 1)
    assert vault.get_deleted_secret("key").name == "key"
    azure.shift_clock(seconds=1)
    with answers(404, "SecretNotFound"):
        vault.get_deleted_secret("key")
    azure.secrets.settle()
    vault.set_secret("key", value())


@pytest.mark.parametrize(
    ("settings", "level", "days"),
    [
        ({}, "Recoverable+Purgeable", 90),
        ({"purge_protection": True}, "Recoverable", 90),
        ({"retention_days": 7}, "CustomizedRecoverable+Purgeable", 7),
        ({"retention_days": 7, "purge_protection": True}, "CustomizedRecoverable", 7),
        ({"soft_delete": False}, "Purgeable", 0),
    ],
    ids=["default", "protected", "shorter", "shorter protected", "none"],
)
def test_every_answer_says_what_deleting_means(
    azure: AzureSimulator, vault: SecretClient, settings: dict[str, int], level: str, days: int
) -> None:
    """The vault's recovery level and days are among each secret's attributes."""
    azure.configure(**settings)
    made = vault.set_secret("key", value()).properties
    assert (made.recovery_level, made.recoverable_days) == (level, days)


def test_without_soft_delete_a_deletion_is_final(
    azure: AzureSimulator, vault: SecretClient
) -> None:
    """Nothing is kept, the name is free at once, and there is no deleted state to ask for."""
    azure.configure(soft_delete=False)
    vault.set_secret("key", value())
    assert delete(vault, "key").recovery_id is None
    with answers(400, "NotSupported"):
        vault.get_deleted_secret("key")
    with answers(400, "NotSupported"):
        list(vault.list_deleted_secrets())
    vault.set_secret("key", value())


def test_a_deletion_settles_after_a_while(azure: AzureSimulator, vault: SecretClient) -> None:
    """Until then nothing can be done about it; the SDK's poller waits for it."""
    azure.configure(settle_polls=4)
    vault.set_secret("key", value())
    poller = vault.begin_delete_secret("key", _polling_interval=0)
    with answers(409, "Conflict", "ObjectIsBeingDeleted"):
        vault.set_secret("key", value())
    with answers(409, "Conflict", "ObjectIsBeingDeleted"):
        vault.purge_deleted_secret("key")
    poller.wait()
    assert azure.calls.counts()["GetDeletedSecret"] == 3
    with answers(409, "Conflict", "ObjectIsDeletedButRecoverable"):
        vault.set_secret("key", value())


def test_a_recovery_settles_after_a_while(azure: AzureSimulator, vault: SecretClient) -> None:
    """Until then the secret can neither be read nor set."""
    vault.set_secret("key", value())
    delete(vault, "key")
    azure.configure(settle_polls=4)
    poller = vault.begin_recover_deleted_secret("key", _polling_interval=0)
    with answers(409, "Conflict", "ObjectIsBeingRecovered"):
        vault.set_secret("key", value())
    with pytest.raises(ResourceNotFoundError):
        vault.update_secret_properties("key", enabled=False)
    poller.wait()
    assert azure.calls.counts()["GetSecret"] == 3


def test_deleted_secrets_are_listed_25_at_a_time(
    azure: AzureSimulator, vault: SecretClient
) -> None:
    """In pages, like the others."""
    azure.seed(30)
    for number in range(30):
        vault.begin_delete_secret(f"key-{number:05}")
    assert [len(list(page)) for page in vault.list_deleted_secrets().by_page()] == [25, 5]


def test_a_backup_restores_all_versions(azure: AzureSimulator, vault: SecretClient) -> None:
    """As they were at the backup, once the name is free; it shows nothing of the values."""
    text = value()
    vault.set_secret("key", text)
    vault.set_secret("key", value())
    before = azure.secrets.versions("key")
    backup = vault.backup_secret("key")
    assert text.encode() not in backup
    vault.set_secret("key", value())
    with answers(409, "Conflict"):
        vault.restore_secret_backup(backup)
    delete(vault, "key")
    with answers(409, "Conflict", "ObjectIsDeletedButRecoverable"):
        vault.restore_secret_backup(backup)
    vault.purge_deleted_secret("key")
    azure.secrets.settle()
    assert vault.restore_secret_backup(backup).name == "key"
    assert azure.secrets.versions("key") == before


def test_a_backup_of_nothing_or_from_elsewhere_is_refused(
    azure: AzureSimulator, vault: SecretClient
) -> None:
    """What is not there can't be backed up, and what this vault did not make can't be restored."""
    with answers(404, "SecretNotFound"):
        vault.backup_secret("key")
    with answers(400, "BadParameter"):
        vault.restore_secret_backup(b"elsewhere")
    assert to_vault(azure, "POST", f"/secrets/restore?{API}", {"value": 1}).status == 400


def test_settings_have_names(azure: AzureSimulator) -> None:
    """A misspelt one is an error of the test's."""
    with pytest.raises(ValueError, match="purge_protected"):
        azure.configure(purge_protected=True)
