"""The simulated vault's listings, page by page, through the official SDK."""

import pytest
from azure.keyvault.secrets import SecretClient

from infra.local.azure.sim import AzureSimulator
from tests.local.azure_wire import API, to_vault
from tests.local.conftest import value


def test_secrets_are_listed_25_at_a_time(azure: AzureSimulator, vault: SecretClient) -> None:
    """Each with its newest version's properties, but without that version's id or any value."""
    azure.seed(60, tags={"a": "b"})
    vault.set_secret("key-00007", value(), tags={"c": "d"})
    pages = [list(page) for page in vault.list_properties_of_secrets().by_page()]
    assert [len(page) for page in pages] == [25, 25, 10]
    found = [secret for page in pages for secret in page]
    assert [secret.name for secret in found] == [f"key-{n:05}" for n in range(60)]
    assert {secret.version for secret in found} == {None}
    assert (found[6].tags, found[7].tags) == ({"a": "b"}, {"c": "d"})
    assert azure.calls.counts()["GetSecrets"] == 3
    item = to_vault(azure, "GET", f"/secrets?{API}&maxresults=1").json["value"][0]
    assert item.keys() == {"id", "attributes", "tags"}


def test_the_last_page_names_no_next(azure: AzureSimulator, vault: SecretClient) -> None:
    """A full page at the end is the end; an empty vault has one empty page."""
    assert to_vault(azure, "GET", f"/secrets?{API}").json == {"value": [], "nextLink": None}
    azure.seed(25)
    assert to_vault(azure, "GET", f"/secrets?{API}").json["nextLink"] is None
    assert len(list(vault.list_properties_of_secrets())) == 25


@pytest.mark.parametrize("size", ["0", "26", "-1", "many"])
def test_a_page_has_1_to_25_entries(azure: AzureSimulator, size: str) -> None:
    """Anything else is refused."""
    for path in ("/secrets", "/secrets/key/versions", "/deletedsecrets"):
        assert to_vault(azure, "GET", f"{path}?{API}&maxresults={size}").status == 400


def test_an_invented_page_is_refused(azure: AzureSimulator) -> None:
    """A token that is no token is the caller's error."""
    assert to_vault(azure, "GET", f"/secrets?{API}&$skiptoken=%FF").status == 400


def test_versions_are_listed_by_id(azure: AzureSimulator, vault: SecretClient) -> None:
    """All of them, disabled ones too, in an order that says nothing of their age."""
    made = [vault.set_secret("key", value()).properties.version or "" for _ in range(30)]
    vault.update_secret_properties("key", made[3], enabled=False)
    found = list(vault.list_properties_of_secret_versions("key"))
    assert [properties.version for properties in found] == sorted(made)
    assert [p.version for p in found if not p.enabled] == [made[3]]
    assert azure.calls.counts()["GetSecretVersions"] == 2
    assert list(vault.list_properties_of_secret_versions("other")) == []
