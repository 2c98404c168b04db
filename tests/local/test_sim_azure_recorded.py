"""The simulated vault answers as Key Vault was recorded, documented or reported to answer.

Each test names its source: *rec* is a recording of real traffic, *rep* a report of users or
maintainers. ``azsecrets`` stands for ``sdk/keyvault/azsecrets/testdata/recordings`` of
azure-sdk-for-go.
"""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from azure.core.exceptions import ResourceNotFoundError
from azure.keyvault.secrets import SecretClient

from infra.local.azure import auth
from infra.local.azure.secrets_state import Secret
from infra.local.azure.sim import AzureSimulator
from tests.local.azure_wire import API, answers, to_vault
from tests.local.conftest import START, value

KEY = "Key"


@pytest.fixture
def azure() -> Iterator[AzureSimulator]:
    """A vault by the real time."""
    with AzureSimulator() as simulator:
        yield simulator


@pytest.fixture
def vault(azure: AzureSimulator) -> SecretClient:
    """A client in this process."""
    return azure.secrets_client(wire=False)


def test_a_deletion_is_not_seen_at_once(azure: AzureSimulator, vault: SecretClient) -> None:
    """rec: azsecrets TestCRUD, TestRecover: the first look finds it on neither side."""
    vault.set_secret(KEY, value())
    vault.begin_delete_secret(KEY)
    for look in (vault.get_secret, vault.get_deleted_secret):
        with answers(404, "SecretNotFound"):
            look(KEY)
    assert vault.get_deleted_secret(KEY).name == KEY
    assert azure.secrets.deleted


def test_a_deletion_may_take_two_minutes(azure: AzureSimulator, vault: SecretClient) -> None:
    """rec: azsecrets TestBeginRecoverDeletedSecret (service 1.9.395.1): 404 at 0 s and at 61 s."""
    azure.configure(settle_seconds=120)
    vault.set_secret(KEY, value())
    vault.begin_delete_secret(KEY)
    for _ in range(2):
        with answers(404, "SecretNotFound"):
            vault.get_deleted_secret(KEY)
        azure.pass_by(60)
    assert vault.get_deleted_secret(KEY).name == KEY


def test_a_recovery_is_not_seen_at_once(azure: AzureSimulator, vault: SecretClient) -> None:
    """rec: azsecrets TestRecover, and for a minute TestBeginRecoverDeletedSecret."""
    vault.set_secret(KEY, value())
    azure.configure(settle_seconds=60)
    vault.begin_delete_secret(KEY)
    azure.secrets.settle()
    vault.begin_recover_deleted_secret(KEY)
    for _ in range(2):
        with answers(404, "SecretNotFound"):
            vault.get_secret(KEY)
        with answers(404, "SecretNotFound"):
            vault.get_deleted_secret(KEY)
    azure.pass_by(60)
    assert vault.get_secret(KEY).name == KEY


def test_a_set_after_a_recovery(azure: AzureSimulator, vault: SecretClient) -> None:
    """rep: azure-sdk-for-net#31581, terraform-provider-azurerm#12285: 409 although it is read."""
    vault.set_secret(KEY, value())
    vault.begin_delete_secret(KEY)
    azure.secrets.settle()
    vault.begin_recover_deleted_secret(KEY, _polling_interval=0).wait()
    assert vault.get_secret(KEY).value
    with answers(409, "Conflict", "ObjectIsBeingRecovered"):
        vault.set_secret(KEY, value())
    vault.set_secret(KEY, value())


def test_a_deleted_secret_whose_newest_version_is_disabled(
    azure: AzureSimulator, vault: SecretClient
) -> None:
    """rec: azure-sdk recordings (service 1.2.265.0); rep: lowkey-vault#467.

    The list of deleted secrets shows it (rec: azure-cli test_keyvault_secret_soft_delete).
    """
    vault.set_secret(KEY, value(), tags={"a": "b"})
    vault.set_secret(KEY, value(), tags={"a": "c"}, enabled=False)
    vault.begin_delete_secret(KEY)
    azure.secrets.settle()
    with answers(403, "Forbidden", "SecretDisabled"):
        vault.get_deleted_secret(KEY)
    (listed,) = vault.list_deleted_secrets()
    assert (listed.name, listed.properties.tags) == (KEY, {"a": "c"})
    vault.begin_recover_deleted_secret(KEY)
    azure.secrets.settle()
    with answers(403, "Forbidden", "SecretDisabled"):
        vault.get_secret(KEY)


def test_a_set_on_a_deleted_name(azure: AzureSimulator, vault: SecretClient) -> None:
    """rec: azure-sdk-for-js recoverKeyName (1.1.0.872); rep: azure-rest-api-specs#9222."""
    vault.set_secret(KEY, value())
    vault.begin_delete_secret(KEY)
    with answers(409, "Conflict", "ObjectIsBeingDeleted"):
        vault.set_secret(KEY, value())
    with answers(409, "Conflict", "ObjectIsDeletedButRecoverable"):
        vault.set_secret(KEY, value())
    azure.secrets.settle()
    vault.purge_deleted_secret(KEY)
    assert not azure.secrets.deleted


def test_a_set_right_after_a_purge(azure: AzureSimulator, vault: SecretClient) -> None:
    """rep: azure-sdk-for-net#26027: found on neither side, and for seconds no name to set."""
    vault.set_secret(KEY, value())
    azure.configure(settle_polls=0, settle_seconds=5)
    vault.begin_delete_secret(KEY)
    azure.secrets.settle()
    vault.purge_deleted_secret(KEY)
    for look in (vault.get_secret, vault.get_deleted_secret):
        with answers(404, "SecretNotFound"):
            look(KEY)
    with answers(409, "Conflict", "ObjectIsBeingDeleted"):
        vault.set_secret(KEY, value())
    azure.pass_by(5)
    vault.set_secret(KEY, value())


def test_throttled_without_a_wait(azure: AzureSimulator, vault: SecretClient) -> None:
    """rec: AzureSignTool#219: 429 Throttled, and no Retry-After."""
    azure.faults.throttle(1)
    answer = to_vault(azure, "GET", f"/secrets/{KEY}?{API}")
    assert (answer.status, answer.json["error"]["code"]) == (429, "Throttled")
    assert "retry-after" not in answer.headers
    with pytest.raises(ResourceNotFoundError):
        vault.get_secret(KEY)


def test_a_listing(azure: AzureSimulator, vault: SecretClient) -> None:
    """rec: cloud-custodian KeyVaultSecretsTest: the name's case, tags, no version, nextLink."""
    vault.set_secret("Some-Test-Secret", value(), tags={"c7n": "true"})
    page = to_vault(azure, "GET", f"/secrets?{API}").json
    assert page["nextLink"] is None
    (item,) = page["value"]
    assert item["id"] == f"{azure.vault_url}/secrets/Some-Test-Secret"
    assert item["tags"] == {"c7n": "true"}


def test_what_was_not_given_is_not_there(azure: AzureSimulator) -> None:
    """rec: azsecrets TestRecover: an answer has no empty ``tags`` and no ``contentType``."""
    made = to_vault(azure, "PUT", f"/secrets/{KEY}?{API}", {"value": value()}).json
    assert set(made) == {"value", "id", "attributes"}


def test_a_secret_behind_a_certificate(azure: AzureSimulator, vault: SecretClient) -> None:
    """rec: cloud-custodian cassettes: it is listed as managed, and a deletion is refused."""
    azure.secrets.add_version("cert", value())
    kid = f"{azure.vault_url}/keys/cert/{'0' * 32}"
    azure.secrets.put(Secret("cert", azure.secrets.secret("cert").versions, kid))
    assert [secret.managed for secret in vault.list_properties_of_secrets()] == [True]
    with answers(403, "Forbidden", "SecretManagedByKeyVault"):
        vault.begin_delete_secret("cert")


def test_versions_are_listed_by_id() -> None:
    """rec: azsecrets TestGetSecretVersions: by id and not by date; two share a second."""
    with AzureSimulator(clock=lambda: START) as azure:
        vault = azure.secrets_client(wire=False)
        made = [str(vault.set_secret(KEY, value()).properties.version) for _ in range(5)]
        listed = list(vault.list_properties_of_secret_versions(KEY))
    assert [version.version for version in listed] == sorted(made)
    assert {version.created_on for version in listed} == {START}


@pytest.mark.parametrize("fraction", [0.25, 0.75])
def test_a_version_may_be_dated_ahead(fraction: float) -> None:
    """rec: azsecrets TestRecover and TestGetSecretVersions: a second after the answer's Date."""
    with AzureSimulator(clock=lambda: START + timedelta(seconds=fraction)) as azure:
        made = azure.secrets_client(wire=False).set_secret(KEY, value()).properties
    assert made.created_on == START + timedelta(seconds=1)


def test_a_patch_without_a_version(azure: AzureSimulator, vault: SecretClient) -> None:
    """rec: azure-cli test_keyvault_secret: 200, and the newest version is changed."""
    old = vault.set_secret(KEY, value()).properties.version
    new = vault.set_secret(KEY, value()).properties.version
    changed = to_vault(azure, "PATCH", f"/secrets/{KEY}/?{API}", {"tags": {"a": "b"}})
    assert (changed.status, changed.json["id"].rpartition("/")[2]) == (200, new)
    assert not azure.secrets.version(KEY, old).tags


def test_versions_of_an_absent_name(azure: AzureSimulator) -> None:
    """rec: azure-cli: an empty list, and no 404."""
    answer = to_vault(azure, "GET", f"/secrets/absent/versions?{API}")
    assert (answer.status, answer.json) == (200, {"value": [], "nextLink": None})


def test_tags_are_not_carried_over(vault: SecretClient) -> None:
    """rep: AzureKeyVault#17: neither tags nor the content type; over 15 tags are refused."""
    vault.set_secret(KEY, value(), tags={"a": "b"}, content_type="text/plain")
    made = vault.set_secret(KEY, value()).properties
    assert (made.tags, made.content_type) == (None, None)
    with answers(400, "BadParameter"):
        vault.set_secret(KEY, value(), tags={str(n): "" for n in range(16)})


def test_permissions_come_before_existence(azure: AzureSimulator) -> None:
    """rep: RBAC refuses a name that does not exist as well; of deleted secrets existence is first.

    The latter is inferred from a comment in azure-keyvault-secrets, ``_polling.py``.
    """
    azure.roles.assign("nobody", ())
    other = azure.secrets_client("nobody", wire=False)
    for call in (other.get_secret, other.begin_delete_secret):
        with answers(403, "Forbidden", "ForbiddenByRbac"):
            call("absent")
    with answers(404, "SecretNotFound"):
        other.get_deleted_secret("absent")
    owner = azure.secrets_client(auth.OWNER, wire=False)
    owner.set_secret(KEY, value())
    owner.begin_delete_secret(KEY)
    azure.secrets.settle()
    with answers(403, "Forbidden", "ForbiddenByRbac"):
        other.get_deleted_secret(KEY)
