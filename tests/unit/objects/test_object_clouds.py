"""In which cloud the log's places are, and what is refused before any call."""

from typing import Any

import obstore.store
import pytest
from azure import identity
from daena_kms.cloud_kms import AzureKeyVaultAdapter
from daena_kms.errors import ConfigError, DaenaKMSError
from daena_kms.objects.address import Access, open_objects
from daena_kms.objects.base import AUDIT
from daena_kms.sdk.azure.login import Login
from daena_kms.sdk.gcp.login import GcpLogin

CANARY = "c4naRy"


@pytest.fixture(autouse=True)
def _no_bundle(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("vault", "environ", "host"),
    [
        ("https://v.vault.azure.net", {}, "https://account.blob.core.windows.net"),
        ("https://v.vault.azure.cn", {}, "https://account.blob.core.chinacloudapi.cn"),
        (
            *("https://v.vault.usgovcloudapi.net:443", {}),
            "https://account.blob.core.usgovcloudapi.net",
        ),
        (
            "https://v.private.example",
            {"AZURE_AUTHORITY_HOST": "login.microsoftonline.us"},
            "https://account.blob.core.usgovcloudapi.net",
        ),
    ],
)
def test_azures_clouds(
    vault: str, environ: dict[str, str], host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An account that is given by its name alone is in the vault's cloud."""
    given: list[dict[str, Any]] = []
    monkeypatch.setattr(obstore.store, "AzureStore", lambda _name, **options: given.append(options))
    for name, text in environ.items():
        monkeypatch.setenv(name, text)
    login = AzureKeyVaultAdapter(vault).login
    open_objects("az://account/audit", AUDIT, Access(login=login))
    monkeypatch.setenv("AZURE_KEY_VAULT_URL", vault)
    open_objects("az://account/audit", AUDIT, Access())
    assert [options["config"].get("endpoint") for options in given] == [host, host]


@pytest.mark.parametrize("vault", ["", "https://v.vault.azure.net"])
def test_an_account_in_another_cloud_than_the_vault(
    vault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The account's whole host says where to log in."""
    made: list[dict[str, Any]] = []
    monkeypatch.setattr(identity, "DefaultAzureCredential", lambda **options: made.append(options))
    monkeypatch.setenv("AZURE_KEY_VAULT_URL", vault)
    log = open_objects("az://account.blob.core.chinacloudapi.cn/audit", AUDIT, Access())
    with pytest.raises(DaenaKMSError):
        log.put_new("x", b"")
    assert made[0]["authority"] == "login.chinacloudapi.cn"


def test_googles_universe(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a sovereign cloud of Google's, storage is under that cloud's domain."""
    given: list[dict[str, Any]] = []
    monkeypatch.setattr(obstore.store, "GCSStore", lambda _name, **options: given.append(options))
    login = GcpLogin({"GOOGLE_CLOUD_UNIVERSE_DOMAIN": "apis-example.goog"})
    open_objects("gs://bucket", AUDIT, Access(login=login))
    monkeypatch.setenv("GCP_STORAGE_ENDPOINT", "https://storage.private.example/")
    open_objects("gs://bucket", AUDIT, Access(login=login))
    found = [options["config"].get("base_url") for options in given]
    assert found == ["https://storage.apis-example.goog", "https://storage.private.example"]
    with pytest.raises(ConfigError, match="GOOGLE_CLOUD_UNIVERSE_DOMAIN is not a domain"):
        GcpLogin({"GOOGLE_CLOUD_UNIVERSE_DOMAIN": "https://x"})


@pytest.mark.parametrize(
    ("variable", "address"),
    [
        ("AZURE_STORAGE_ENDPOINT", "az://account/audit"),
        ("GCP_STORAGE_ENDPOINT", "gs://bucket"),
        ("AWS_ENDPOINT_URL_S3", "s3://bucket"),
    ],
)
@pytest.mark.parametrize(
    "url", ["host", "http://h h", f"https://u:{CANARY}@h", "https://h?x", "ftp://h"]
)
def test_endpoints_that_are_none(
    variable: str, address: str, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are refused by the variable's name before any call, and not quoted."""
    monkeypatch.setenv(variable, url)
    login: Any = GcpLogin({}) if address.startswith("gs") else Login({})
    with pytest.raises(DaenaKMSError, match=f"{variable} is not the URL") as refused:
        open_objects(address, AUDIT, Access(login=login))
    assert type(refused.value) is ConfigError
    assert CANARY not in str(refused.value)


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
@pytest.mark.parametrize("address", ["az://account/audit", "gs://bucket"])
def test_a_bundle_that_is_not_there(
    name: str, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is named; the SDKs would say that nobody answers."""
    monkeypatch.setenv(name, "/no/such/file.pem")
    login: Any = GcpLogin({}) if address.startswith("gs") else Login({})
    with pytest.raises(ConfigError, match=f"the file that {name} names can't be read"):
        open_objects(address, AUDIT, Access(login=login))
