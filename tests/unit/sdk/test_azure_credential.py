"""Which credential an environment leads to; nothing is asked for a token."""

import secrets
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

import pytest
from azure import identity
from daena_kms.errors import ConfigError
from daena_kms.sdk.azure.login import Login

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

PRINCIPAL = {"AZURE_TENANT_ID": "tenant", "AZURE_CLIENT_ID": "client"}
APP = {"IDENTITY_ENDPOINT": "http://127.0.0.1:1/msi/token", "IDENTITY_HEADER": "x"}
FUNCTION = {"FUNCTIONS_WORKER_RUNTIME": "python"}
SECRET = {"AZURE_CLIENT_SECRET": "from-the-environment"}
FEDERATED = {"AZURE_FEDERATED_TOKEN_FILE": "/var/run/token"}

CHOICES: dict[str, tuple[dict[str, str], str]] = {
    "nothing": ({}, "DefaultAzureCredential"),
    "a tenant alone": (PRINCIPAL, "DefaultAzureCredential"),
    "empty values": (dict.fromkeys([*SECRET, *FEDERATED, *FUNCTION], ""), "DefaultAzureCredential"),
    "a service principal": (PRINCIPAL | SECRET, "ClientSecretCredential"),
    "one in a function": (PRINCIPAL | SECRET | APP | FUNCTION, "ClientSecretCredential"),
    "one in a cluster": (PRINCIPAL | SECRET | FEDERATED, "ClientSecretCredential"),
    "a federated token": (PRINCIPAL | FEDERATED, "WorkloadIdentityCredential"),
    "an app": (APP, "ManagedIdentityCredential"),
    "an app's own identity": (APP | {"AZURE_CLIENT_ID": "client"}, "ManagedIdentityCredential"),
    "a function": (FUNCTION, "ManagedIdentityCredential"),
}


def set_environment(monkeypatch: pytest.MonkeyPatch, environ: Mapping[str, str]) -> Login:
    """Set the process's environment, which azure-identity reads, too, and return our login."""
    for name, text in environ.items():
        monkeypatch.setenv(name, text)
    return Login(environ)


@pytest.mark.parametrize(("environ", "name"), CHOICES.values(), ids=CHOICES)
def test_which_credential(
    environ: dict[str, str], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A secret first, then a federated token, then the platform's identity, then the chain."""
    login = set_environment(monkeypatch, environ)
    credential = login.credential()
    assert type(credential).__name__ == name
    assert login.credential() is credential


@pytest.mark.parametrize("environ", [{}, APP, FUNCTION, PRINCIPAL | FEDERATED], ids=str)
def test_arguments_come_first(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """What is passed makes a service principal, whatever the environment says."""
    set_environment(monkeypatch, environ)
    login = Login(environ, tenant_id="t", client_id="c", client_secret=secrets.token_urlsafe())
    assert isinstance(login.credential(), identity.ClientSecretCredential)


def test_a_credential_of_ones_own() -> None:
    """It is used as it is, and the SDK is not asked for one."""
    own = cast("TokenCredential", object())
    assert Login(PRINCIPAL | SECRET, credential=own).credential() is own


def test_the_chain_opens_no_browser(monkeypatch: pytest.MonkeyPatch) -> None:
    """A job that nobody watches must not wait for somebody to log in."""
    given: list[dict[str, object]] = []
    monkeypatch.setattr(identity, "DefaultAzureCredential", lambda **options: given.append(options))
    Login({"AZURE_CLIENT_ID": "client"}).credential()
    assert given == [
        {"exclude_interactive_browser_credential": True, "managed_identity_client_id": "client"}
    ]
    chain = identity.DefaultAzureCredential
    monkeypatch.undo()
    assert chain is not identity.DefaultAzureCredential
    names = {type(each).__name__ for each in identity.DefaultAzureCredential().credentials}
    assert "AzureCliCredential" in names
    assert "InteractiveBrowserCredential" not in names


@pytest.mark.parametrize("missing", [*PRINCIPAL, None])
def test_half_of_a_service_principal(missing: str | None) -> None:
    """A secret alone, or with half of the rest, is refused: no other identity is guessed."""
    environ = {} if missing is None else {n: t for n, t in PRINCIPAL.items() if n != missing}
    with pytest.raises(ConfigError, match=r"is set without.*Set all three") as caught:
        Login(environ | SECRET | APP).credential()
    assert SECRET["AZURE_CLIENT_SECRET"] not in repr(caught.value)


WRONG = {
    "no tenant's name": {"AZURE_TENANT_ID": "a/{0}", "AZURE_CLIENT_ID": "c", **SECRET},
    "a token for nobody": FEDERATED,
    "a token for half of somebody": FEDERATED | {"AZURE_CLIENT_ID": "{0}"},
    "an authority without TLS": PRINCIPAL | SECRET | {"AZURE_AUTHORITY_HOST": "http://{0}"},
    "an unknown chain": {"AZURE_TOKEN_CREDENTIALS": "{0}"},
}


@pytest.mark.parametrize("environ", WRONG.values(), ids=WRONG)
def test_what_the_sdk_does_not_take(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is a setting to mend, and named as one, without its text."""
    filled = {name: text.format("c4naRy") for name, text in environ.items()}
    login = set_environment(monkeypatch, filled)
    with pytest.raises(ConfigError, match=r"as they are set\. Check AZURE_TENANT_ID") as caught:
        login.credential()
    assert "c4nary" not in repr(caught.value).lower()
    assert caught.value.__cause__ is None


def test_what_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the SDK it says what to install."""
    monkeypatch.setitem(sys.modules, "azure.identity", None)
    monkeypatch.delattr("azure.identity")
    with pytest.raises(ConfigError, match=r"pip install 'daena-kms\[azure\]'"):
        Login({}).credential()
