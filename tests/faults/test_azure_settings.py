"""Azure's settings that are missing or odd, a login that fails, a proxy that is not there."""

import socket
from collections.abc import Iterator

import pytest
from daena_kms.audit import open_log
from daena_kms.cloud_kms import AzureKeyVaultAdapter, get_cloud_kms_adapter
from daena_kms.errors import AccessDenied, AuditUnavailable, ConfigError, StoreUnavailable

from infra.local.azure.blob import ACCOUNT
from tests.faults.leaks import texts_of
from tests.worlds.azure import AzureWorld
from tests.worlds.base import refused

KEY, NEW = "app-key", "new-key"


@pytest.fixture
def wire() -> bool:
    """Proxies, addresses and certificates have a meaning on a connection."""
    return True


@pytest.fixture
def azure(azure: AzureWorld) -> AzureWorld:
    """Give an Azure with one key."""
    azure.operations().create(KEY)
    return azure


@pytest.fixture
def nowhere() -> Iterator[str]:
    """Give an address at which nobody listens, and nobody will."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"localhost:{taken.getsockname()[1]}"


@pytest.mark.parametrize(
    "url",
    [
        *("name", "name.vault.azure.net", "http://name.vault.azure.net", "https://", "ftp://x"),
        *("https://name.vault.azure.net/secrets/x", "https://name.vault.azure.net?x=1"),
        *("https://user:word@name.vault.azure.net", "https://name.vault.azure.net#x"),
        *("https://name.vault.azure.net:port", "https://name.vault.azure.net:99999"),
        *("https://na me.vault.azure.net", "https://näme.vault.azure.net", "https://["),
        "https://" + "x" * 2000 + "/x",
    ],
    ids=range(15),
)
def test_an_address_of_no_vault(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A vault's address is refused at once, with the form that it has, and not repeated."""
    with pytest.raises(ConfigError, match=r"Key Vault.*https://name\.vault\.azure\.net") as caught:
        AzureKeyVaultAdapter(url)
    assert len(str(caught.value)) < 250
    assert "word" not in str(caught.value)
    monkeypatch.setenv("AZURE_KEY_VAULT_URL", url)
    with pytest.raises(ConfigError, match=r"https://name\.vault\.azure\.net"):
        get_cloud_kms_adapter()


def test_settings_that_are_missing(monkeypatch: pytest.MonkeyPatch, azure: AzureWorld) -> None:
    """No vault, no place for claims, half a service principal: each is named by what to set."""
    with pytest.raises(ConfigError, match="AZURE_KEY_VAULT_URL"):
        AzureKeyVaultAdapter()
    no_claims = AzureKeyVaultAdapter(secret_client=azure.sim.secrets_client())
    for audit in ("", "file:///var/log/daena", "s3://bucket"):
        monkeypatch.setenv("DAENA_KMS_AUDIT_URL", audit)
        with refused(azure, ConfigError, "DAENA_KMS_CLAIMS_URL, such as az://account/claims"):
            no_claims.create_key(NEW)
        with refused(azure, ConfigError, "DAENA_KMS_CLAIMS_URL, such as az://account/claims"):
            no_claims.rotate_key(KEY)
    assert no_claims.list_keys() == [KEY]
    monkeypatch.setenv("DAENA_KMS_EXPIRE", "yes")
    with pytest.raises(ConfigError, match=r"DAENA_KMS_EXPIRE is 'yes'.*true or false"):
        AzureKeyVaultAdapter("https://name.vault.azure.net")
    monkeypatch.delenv("DAENA_KMS_EXPIRE")
    monkeypatch.setenv("AZURE_CLIENT_SECRET", "word")
    for name in ("AZURE_TENANT_ID", "AZURE_CLIENT_ID"):
        with pytest.raises(ConfigError, match="AZURE_CLIENT_SECRET is set without") as caught:
            AzureKeyVaultAdapter(azure.sim.vault_url).list_keys()
        assert "word" not in str(caught.value)
        monkeypatch.setenv(name, "4711")
    monkeypatch.setenv("GCP_PROJECT_ID", "x")
    monkeypatch.setenv("AZURE_KEY_VAULT_URL", azure.sim.vault_url)
    with pytest.raises(ConfigError, match="points to azure and gcp"):
        get_cloud_kms_adapter()


NO_CLAIMS = [
    *("claims", "https://account.blob.core.windows.net/claims", "az://account", "az:///claims"),
    *("az://account/CLAIMS", "az://account/a--b", "az://ac count/claims", "az://a/claims"),
    *("az://user:word@account/claims", "az://account/claims?sig=word", "az://account:1/claims"),
    "file://host/x",
]


def test_an_address_of_no_claims(azure: AzureWorld) -> None:
    """An address of claims that can't be used is refused before anything is changed."""
    client, before = azure.sim.secrets_client(), azure.claims()
    for url in NO_CLAIMS:
        adapter = AzureKeyVaultAdapter(secret_client=client, claims_url=url)
        with refused(azure, ConfigError, r"az://account/container|3 to 63|three slashes"):
            adapter.create_key(NEW)
        with refused(azure, ConfigError, r"az://account/container|3 to 63|three slashes"):
            adapter.rotate_key(KEY)
    assert azure.claims() == before


def test_no_login(azure: AzureWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any credentials, or refused by Entra ID, it is said how to log in."""
    # What a developer may have; the address of virtual machines' identities is not of this machine.
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "AzureCliCredential")
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", azure.sim.ca_file)
    with refused(azure, ConfigError, "no usable Azure credentials.*az login"):
        AzureKeyVaultAdapter(azure.sim.vault_url).list_keys()
    with refused(azure, AuditUnavailable, "az://.*can't be"):
        open_log(f"az://{ACCOUNT}/audit").children("log/")
    for name, value in azure.sim.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AZURE_CLIENT_ID", "somebody-else")
    with refused(azure, (AccessDenied, ConfigError), "login|credentials"):  # type: ignore[arg-type] # either
        AzureKeyVaultAdapter().get_key(KEY)
    monkeypatch.delenv("AZURE_CLIENT_ID")
    assert AzureKeyVaultAdapter().list_keys() == [KEY]


def test_a_proxy_that_is_not_there(
    azure: AzureWorld, nowhere: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proxy of the environment is used, and its password not told when it fails."""
    for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, f"http://user:password-of-it@{nowhere}")
    with refused(azure, StoreUnavailable, "Key Vault can't be reached"):
        azure.again().rotate_key(KEY)
    with pytest.raises(StoreUnavailable) as caught:
        azure.again().list_keys()
    assert not [text for text in texts_of(caught.value) if "password-of-it" in text]
