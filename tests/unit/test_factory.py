"""Which adapter the environment leads to."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from daena_kms.cloud_kms import (
    AzureKeyVaultAdapter,
    GCPSecretManagerAdapter,
    LocalAdapter,
    get_cloud_kms_adapter,
)
from daena_kms.errors import ConfigError
from daena_kms.settings import PROVIDERS
from google.auth.credentials import AnonymousCredentials

from infra.local.azure.sim import AzureSimulator
from infra.local.gcp.sim import PROJECT, GcpSimulator
from tests.unit.keys import DAY
from tests.unit.local_keys import fingerprint, reading
from tests.worlds.kinds import open_world


def test_the_environment_leads_to_the_local_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a folder alone, by name or without, the local store in that folder is used."""
    monkeypatch.setenv("DAENA_KMS_HOME", str(tmp_path))
    first = fingerprint(get_cloud_kms_adapter().create_key("k"))
    for adapter in (get_cloud_kms_adapter("local"), LocalAdapter(tmp_path), LocalAdapter()):
        assert isinstance(adapter, LocalAdapter)
        assert reading(adapter, "k") == first


def test_the_adapter_takes_its_defaults_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A malformed default is refused when the adapter is made, by its variable."""
    monkeypatch.setenv("DAENA_KMS_GRACE", "2d")
    assert LocalAdapter(tmp_path).defaults.grace == 2 * DAY
    monkeypatch.setenv("DAENA_KMS_GRACE", "soon")
    with pytest.raises(ConfigError, match=r"^DAENA_KMS_GRACE is 'soon', which is not a duration"):
        LocalAdapter(tmp_path)


@pytest.mark.parametrize(
    ("provider", "message"),
    [
        ("azure", r"^no Key Vault is set\. Set AZURE_KEY_VAULT_URL"),
        ("vault", r"^'vault' is not a provider\. Use one of aws, azure, gcp, local"),
        ("", r"^'' is not a provider\. Use one of aws"),
        ("Local", r"^'Local' is not a provider\. Use one of aws"),
        ("local", r"^the local store has no folder\. Set DAENA_KMS_HOME"),
        (
            None,
            r"^it is not clear which provider to use: none is set\. Set DAENA_CLOUD_KMS_PROVIDER",
        ),
    ],
)
def test_no_adapter_is_made_of_nothing(provider: str | None, message: str) -> None:
    """An unknown provider, and a missing setting, are refused with what to do."""
    with pytest.raises(ConfigError, match=message):
        get_cloud_kms_adapter(provider)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_every_provider_has_an_adapter_of_its_own(
    provider: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No provider leads to another's store because nobody wrote its own."""
    with open_world(provider, tmp_path) as world:
        world.lead(monkeypatch)
        assert get_cloud_kms_adapter(provider).store.provider == provider
        assert get_cloud_kms_adapter().store.provider == provider


def test_an_adapter_shows_nothing_of_its_store(tmp_path: Path) -> None:
    """An adapter's repr is its name alone."""
    assert repr(LocalAdapter(tmp_path)) == "LocalAdapter()"


@pytest.fixture
def azure(monkeypatch: pytest.MonkeyPatch) -> Iterator[AzureSimulator]:
    """Azure, and the environment of an app in it."""
    with AzureSimulator() as sim:
        for name, text in sim.environment.items():
            monkeypatch.setenv(name, text)
        yield sim


def test_the_environment_leads_to_azure(azure: AzureSimulator) -> None:
    """With a vault alone; making the adapter calls nothing, and the claims are beside the log."""
    adapter = get_cloud_kms_adapter()
    assert isinstance(adapter, AzureKeyVaultAdapter)
    assert adapter.vault == "localhost"
    assert len(azure.calls) == 0
    made = fingerprint(adapter.create_key("k"))
    assert reading(adapter, "k") == made
    assert list(azure.blobs.containers["claims"]) == ["localhost/k/none/0"]
    assert azure.secrets.version("k").exp is None


def test_where_azure_claims_is_an_argument_too(azure: AzureSimulator) -> None:
    """It comes before the environment's."""
    azure.blobs.create("elsewhere")
    AzureKeyVaultAdapter(claims_url="az://devaccount/elsewhere/x").create_key("k")
    assert "x/localhost/k/none/0" in azure.blobs.containers["elsewhere"]
    assert azure.blobs.containers["claims"] == {}


def test_versions_that_expire_when_they_are_due(
    azure: AzureSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the deployment asks for it, by a word that is clear."""
    monkeypatch.setenv("DAENA_KMS_EXPIRE", "true")
    adapter = AzureKeyVaultAdapter()
    adapter.create_key("k", tags={"daena.rotate-after": "30d"})
    first = azure.secrets.version("k")
    adapter.rotate_key("k")
    for version in (first, azure.secrets.version("k")):
        assert version.exp is not None
        life = datetime.fromtimestamp(version.exp, UTC) - version.created
        assert abs(life - 30 * DAY) < DAY / 1000
    monkeypatch.setenv("DAENA_KMS_EXPIRE", "yes")
    with pytest.raises(ConfigError, match="DAENA_KMS_EXPIRE is 'yes'"):
        AzureKeyVaultAdapter()


@pytest.mark.parametrize(
    ("given", "environ", "location"),
    [
        ({}, {}, None),
        ({"location": "europe-west1"}, {}, "europe-west1"),
        ({}, {"GCP_LOCATION": "europe-west1"}, "europe-west1"),
        ({"location": "europe-west1"}, {"GCP_LOCATION": "us-east1"}, "europe-west1"),
    ],
)
def test_where_google_keeps_secrets(
    given: dict[str, Any],
    environ: dict[str, str],
    location: str | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Global ones, or those of the location that is named, with the settings for new ones."""
    for name, text in {**environ, "GCP_VERSION_DESTROY_TTL": "48h"}.items():
        monkeypatch.setenv(name, text)
    with GcpSimulator(location=location) as sim:
        adapter = GCPSecretManagerAdapter(PROJECT, client=sim.client(), **given)
        made = fingerprint(adapter.create_key("k"))
        assert reading(adapter, "k") == made
        assert sim.secrets["k"].version_destroy_ttl == 2 * DAY


@pytest.mark.parametrize(
    ("variable", "text", "message"),
    [
        ("GCP_WRITES_PER_MINUTE", "many", "GCP_WRITES_PER_MINUTE is 'many'"),
        ("GCP_LOCATION", "Europe", "'Europe' is not a location"),
        ("GCP_REPLICAS", "Europe", "GCP_REPLICAS has 'Europe'"),
        ("GCP_PROJECT_ID", "My Project", "'My Project' is not a project"),
    ],
)
def test_a_setting_of_google_that_is_wrong(
    variable: str, text: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is refused when the adapter is made, before any call."""
    monkeypatch.setenv("GCP_PROJECT_ID", "some-project")
    monkeypatch.setenv(variable, text)
    with pytest.raises(ConfigError, match=message):
        get_cloud_kms_adapter("gcp")


def test_the_environment_leads_to_google(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a project alone; making the adapter calls nothing and needs no credentials."""
    monkeypatch.setenv("GCP_PROJECT_ID", "some-project")
    adapter = get_cloud_kms_adapter()
    assert isinstance(adapter, GCPSecretManagerAdapter)
    assert adapter.login.project == "some-project"
    own: Any = AnonymousCredentials()  # type: ignore[no-untyped-call]  # as it is declared
    assert GCPSecretManagerAdapter(credentials=own).login.credentials() is own
