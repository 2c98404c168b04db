"""What a failed login to Azure means, by the number in its answer; where its clouds log in."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from azure import identity
from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    DecodeError,
    IncompleteReadError,
    ResponseNotReadError,
    SerializationError,
    ServiceRequestError,
    ServiceRequestTimeoutError,
    StreamClosedError,
)
from daena_kms.cloud_kms import AzureKeyVaultAdapter
from daena_kms.errors import AccessDenied, ConfigError, DaenaKMSError, StoreUnavailable
from daena_kms.sdk.azure.clouds import CHINA, PUBLIC, US_GOVERNMENT, blob_host, cloud_in, cloud_of
from daena_kms.sdk.azure.errors import mapped, meaning_of
from daena_kms.sdk.azure.login import Login, fetch
from daena_kms.sdk.azure.refusals import refused
from daena_kms.sdk.errors import WrongClock
from requests.exceptions import InvalidProxyURL, ProxyError, SSLError

CANARY = "c4naRy"
SCOPE = "https://vault.azure.net/.default"

NUMBERS = {
    "AADSTS90002": (AccessDenied, "no such tenant.*AZURE_TENANT_ID"),
    "AADSTS900023": (AccessDenied, "no such tenant.*AZURE_TENANT_ID"),
    "AADSTS50020": (AccessDenied, "not in the tenant.*AZURE_TENANT_ID"),
    "AADSTS90072": (AccessDenied, "not in the tenant.*AZURE_TENANT_ID"),
    "AKV10032": (AccessDenied, "not in the tenant.*the tenant of the vault"),
    "AADSTS700016": (AccessDenied, "no such application.*AZURE_CLIENT_ID and AZURE_TENANT_ID"),
    "AADSTS7000229": (AccessDenied, "no such application"),
    "AADSTS7000215": (AccessDenied, "client secret or certificate.*AZURE_CLIENT_SECRET"),
    "AADSTS7000222": (AccessDenied, "has expired.*AZURE_CLIENT_SECRET"),
    "AADSTS700213": (AccessDenied, "no federated credential.*AZURE_FEDERATED_TOKEN_FILE"),
    "AADSTS700082": (AccessDenied, "has expired.*az login"),
    "AADSTS50076": (AccessDenied, "asks for more than a program can give"),
    "AADSTS90033": (StoreUnavailable, "can't answer now"),
    "AADSTS700024": (WrongClock, "this machine's clock is wrong"),
    "AADSTS500133": (WrongClock, "this machine's clock is wrong"),
    "AADSTS999999": (AccessDenied, "Azure refused the login"),
}


@pytest.mark.parametrize(("number", "expected"), NUMBERS.items())
def test_numbers(number: str, expected: tuple[type[DaenaKMSError], str]) -> None:
    """The setting that is wrong is named, and nothing of the answer's text."""
    kind, words = expected
    error = ClientAuthenticationError(f"Authentication failed: {number}: {CANARY}")
    with pytest.raises(kind, match=words) as caught:
        raise refused(error)
    assert type(caught.value) is kind
    assert CANARY not in repr(caught.value)
    assert "network" not in str(caught.value)
    assert caught.value.todo


def test_the_time_of_a_refusal() -> None:
    """Entra ID ends its text with its own time: the clock is measured by it."""
    theirs = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=2)
    text = f"AADSTS700024: {CANARY} Timestamp: {theirs:%Y-%m-%d %H:%M:%S}Z"
    error = refused(ClientAuthenticationError(text))
    assert isinstance(error, WrongClock)
    assert error.theirs == theirs
    assert "it is 720" in str(error)
    assert CANARY not in repr(error)
    odd = refused(ClientAuthenticationError("AADSTS700024 Timestamp: 2026-99-99 00:00:00Z"))
    assert isinstance(odd, WrongClock)
    assert odd.theirs is None

    class Response:
        headers = {"Date": "Thu, 01 Jan 2026 00:00:00 GMT"}  # noqa: RUF012 - read only here
        status_code = 400
        reason = ""

    found = ClientAuthenticationError("AADSTS700024", response=cast("Any", Response()))
    dated = refused(found)
    assert isinstance(dated, WrongClock)
    assert dated.theirs == datetime(2026, 1, 1, tzinfo=UTC)


ANSWER: Any = SimpleNamespace(request="x")
KINDS: list[tuple[Exception, type[DaenaKMSError], str]] = [
    (
        ServiceRequestError(CANARY, error=SSLError("CERTIFICATE_VERIFY_FAILED")),
        *(StoreUnavailable, r"certificate is not trusted.*REQUESTS_CA_BUNDLE"),
    ),
    (ServiceRequestError(CANARY, error=SSLError("WRONG_VERSION_NUMBER")), StoreUnavailable, "TLS"),
    (ServiceRequestError(CANARY, error=ProxyError("x")), StoreUnavailable, "HTTPS_PROXY"),
    (ServiceRequestTimeoutError(CANARY), StoreUnavailable, "can't be reached"),
    (IncompleteReadError(CANARY), StoreUnavailable, "was cut off"),
    (DecodeError(CANARY), StoreUnavailable, "did not come from a Key Vault"),
    (StreamClosedError(ANSWER), StoreUnavailable, "could not read the answer"),
    (ResponseNotReadError(ANSWER), StoreUnavailable, "could not read the answer"),
    (SerializationError(CANARY), ConfigError, "refused the call"),
    (ServiceRequestError(CANARY, error=InvalidProxyURL("x")), StoreUnavailable, "HTTPS_PROXY"),
    (FileNotFoundError(CANARY), ConfigError, "no usable Azure credentials: a file"),
    (PermissionError(CANARY), ConfigError, "no usable Azure credentials: a file"),
    (ConnectionResetError(CANARY), StoreUnavailable, "did not answer"),
    (AzureError(CANARY), StoreUnavailable, "did not answer"),
]


@pytest.mark.parametrize(("error", "kind", "words"), KINDS, ids=lambda k: type(k).__name__)
def test_what_is_no_answer(error: Exception, kind: type[DaenaKMSError], words: str) -> None:
    """A certificate, a proxy, a file and a defect are told apart from the network."""

    def call() -> None:
        raise error

    with pytest.raises(kind, match=words) as caught:
        mapped(call, "key")
    assert CANARY not in repr(caught.value)
    assert caught.value.key_id == "key"
    assert meaning_of(error).todo


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (FileNotFoundError(CANARY), "a file that they come from can't be read"),
        (ValueError(CANARY), "has not its form"),
        (ServiceRequestError(CANARY, error=ProxyError("x")), "HTTPS_PROXY"),
    ],
)
def test_a_login_that_fails_by_itself(error: Exception, words: str) -> None:
    """Whatever a credential raises is an error of ours."""

    class Broken:
        def get_token(self, *_scopes: str, **_options: object) -> Any:
            raise error

    with pytest.raises(DaenaKMSError, match=words) as caught:
        fetch(Broken(), SCOPE)
    assert CANARY not in repr(caught.value)
    assert caught.value.__context__ is None


def test_a_token_file_that_is_not_there(tmp_path: Path) -> None:
    """The federated token of a workload is named by its variable."""
    environ = {
        "AZURE_FEDERATED_TOKEN_FILE": str(tmp_path / "none"),
        "AZURE_TENANT_ID": "tenant",
        "AZURE_CLIENT_ID": "client",
    }
    with pytest.raises(ConfigError, match=r"no usable Azure.*AZURE_FEDERATED_TOKEN_FILE"):
        fetch(Login(environ).credential(), SCOPE)


HOSTS = {
    "v.vault.azure.net": PUBLIC,
    "V.VAULT.AZURE.CN": CHINA,
    "v.vault.usgovcloudapi.net": US_GOVERNMENT,
    "a.blob.core.chinacloudapi.cn": CHINA,
    "login.partner.microsoftonline.cn": CHINA,
    "login.microsoftonline.us": US_GOVERNMENT,
    "vault.azure.cn.example.com": None,
    "localhost": None,
    "": None,
}


@pytest.mark.parametrize(("host", "cloud"), HOSTS.items())
def test_which_cloud_a_host_is_in(host: str, cloud: str | None) -> None:
    """By its domain, whole."""
    assert cloud_of(host) == cloud


def test_which_cloud_the_settings_say() -> None:
    """The vault first, then where to log in, then the public one."""
    china = {"AZURE_KEY_VAULT_URL": "https://v.vault.azure.cn"}
    government = {"AZURE_AUTHORITY_HOST": "https://login.microsoftonline.us"}
    assert cloud_in({}) == PUBLIC
    assert cloud_in(china | government) == CHINA
    assert cloud_in(government) == US_GOVERNMENT
    assert cloud_in(china, "v.vault.azure.net") == PUBLIC
    assert cloud_in({"AZURE_KEY_VAULT_URL": "https://[x", "AZURE_AUTHORITY_HOST": ""}) == PUBLIC
    assert blob_host("a.example") == "a.example"


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the SDK's credentials are made with."""
    found: list[dict[str, Any]] = []
    for name in ("ClientSecretCredential", "DefaultAzureCredential", "WorkloadIdentityCredential"):
        monkeypatch.setattr(identity, name, lambda *_parts, **options: found.append(options))
    return found


PRINCIPAL = {"AZURE_TENANT_ID": "t", "AZURE_CLIENT_ID": "c", "AZURE_CLIENT_SECRET": "s"}


@pytest.mark.parametrize("more", [{}, PRINCIPAL, {"AZURE_FEDERATED_TOKEN_FILE": "/x"}], ids=str)
def test_the_login_is_in_the_vaults_cloud(
    more: dict[str, str], given: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever logs in; a variable of the SDK's own goes first, and is left to the SDK."""
    for name, text in more.items():
        monkeypatch.setenv(name, text)
    AzureKeyVaultAdapter("https://v.vault.azure.cn").login.credential()
    AzureKeyVaultAdapter("https://v.vault.usgovcloudapi.net").login.credential()
    AzureKeyVaultAdapter("https://v.vault.azure.net").login.credential()
    monkeypatch.setenv("AZURE_AUTHORITY_HOST", "login.example")
    AzureKeyVaultAdapter("https://v.vault.azure.cn").login.credential()
    china, government, public, own = (options.get("authority") for options in given)
    assert (china, government) == ("login.chinacloudapi.cn", "login.microsoftonline.us")
    assert (public, own) == (None, None)


def test_empty_variables_are_no_principal(
    given: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The SDK would take them for one without a name; the environment stays as it is."""
    for name in (*PRINCIPAL, "AZURE_AUTHORITY_HOST", "AZURE_FEDERATED_TOKEN_FILE"):
        monkeypatch.setenv(name, "")
    before = dict(os.environ)
    AzureKeyVaultAdapter("https://v.vault.azure.net").login.credential()
    (options,) = given
    assert options["exclude_environment_credential"] is True
    assert options["authority"] == "login.microsoftonline.com"
    assert dict(os.environ) == before


def test_empty_variables_and_the_sdk_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the SDK's own chain: it is made, which it would refuse otherwise."""
    for name in (*PRINCIPAL, "AZURE_AUTHORITY_HOST"):
        monkeypatch.setenv(name, "")
    login = AzureKeyVaultAdapter("https://v.vault.azure.net").login
    assert type(login.credential()).__name__ == "DefaultAzureCredential"


@pytest.mark.parametrize("client", ["a b", "c\u00a0", "x/y", CANARY + "~secret"])
def test_a_client_id_that_is_none(client: str) -> None:
    """It is named and not quoted: it may be the secret, which stands beside it."""
    with pytest.raises(ConfigError, match="AZURE_CLIENT_ID is not of the form") as caught:
        Login({"AZURE_CLIENT_ID": client}).credential()
    assert CANARY not in str(caught.value)
