"""Logging in: the platform's identity, a service principal, nobody; and what a failure becomes."""

import functools
import json
import logging
import secrets
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from azure import identity
from azure.core.exceptions import ClientAuthenticationError
from daena_kms.errors import AccessDenied, ConfigError, DaenaKMSError, StoreUnavailable
from daena_kms.sdk.azure.client import Vault
from daena_kms.sdk.azure.login import Login, fetch, refused

from infra.local.azure.auth import TENANT
from infra.local.azure.sim import AzureSimulator, certificates
from infra.local.http_server import Listener, Request, Response

SCOPE = "https://vault.azure.net/.default"
PRINCIPAL = {"AZURE_TENANT_ID": TENANT, "AZURE_CLIENT_ID": "client"}


@pytest.fixture
def sim(monkeypatch: pytest.MonkeyPatch) -> Iterator[AzureSimulator]:
    """Azure, and the environment of an app in it."""
    with AzureSimulator() as simulator:
        for name, text in simulator.environment.items():
            monkeypatch.setenv(name, text)
        yield simulator


def app(sim: AzureSimulator, **more: str) -> Login:
    """Return the login of an app there."""
    return Login(sim.environment | more)


def asked(sim: AzureSimulator) -> list[dict[str, object]]:
    """Return what the identity endpoint was asked for."""
    return [dict(call.params) for call in sim.calls if call.service == "identity"]


def test_the_system_assigned_identity(sim: AzureSimulator) -> None:
    """The endpoint that the platform names is asked once, with its header, and for no client id."""
    login = app(sim)
    token = fetch(login.credential(), SCOPE)
    assert fetch(login.credential(), SCOPE).token == token.token
    assert asked(sim) == [{"resource": "https://vault.azure.net"}]


def test_a_user_assigned_identity(sim: AzureSimulator) -> None:
    """The identity in AZURE_CLIENT_ID is asked for, and no other."""
    sim.identity.identities["chosen"] = "user"
    fetch(app(sim, AZURE_CLIENT_ID="chosen").credential(), SCOPE)
    assert asked(sim) == [{"resource": "https://vault.azure.net", "client_id": "chosen"}]


def test_an_identity_that_is_not_there(sim: AzureSimulator) -> None:
    """The platform has none of that id: it says to give it one, and nothing else is tried."""
    with pytest.raises(ConfigError, match=r"no usable Azure credentials\. Give the app a managed"):
        fetch(app(sim, AZURE_CLIENT_ID="nobody").credential(), SCOPE)
    assert len(asked(sim)) == 1


TOKEN = secrets.token_urlsafe()


class Entra:
    """Microsoft Entra ID for one tenant: where tokens are given, and how it answers."""

    def __init__(self) -> None:
        self.status, self.answer = 200, {"access_token": TOKEN, "expires_in": 3600}
        self.requests: list[str] = []
        self.port = 0

    def __call__(self, request: Request) -> Response | None:
        """Answer a request; status 0 ends the connection."""
        self.requests.append(request.method)
        if self.status == 0:
            return None
        found: dict[str, object] = dict(self.answer)
        if request.method == "GET":
            place = f"https://localhost:{self.port}/{TENANT}"
            names = ("authorization_endpoint", "token_endpoint", "issuer")
            found = {name: f"{place}/{name}" for name in names}
        status = 200 if request.method == "GET" else self.status
        return Response(status, json.dumps(found).encode(), {"Content-Type": "application/json"})


@pytest.fixture
def entra(monkeypatch: pytest.MonkeyPatch) -> Iterator[Entra]:
    """Serve it over TLS, and let service principals log in there, without the SDK's retries."""
    served = Entra()
    listener = Listener(0, served, certificates().context)
    served.port = listener.server_port
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    made = functools.partial(
        identity.ClientSecretCredential,
        authority=f"https://localhost:{served.port}",
        disable_instance_discovery=True,
        retry_total=0,
    )
    monkeypatch.setattr(identity, "ClientSecretCredential", made)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", certificates().ca_file)
    yield served
    listener.shutdown()
    thread.join()
    listener.end_connections()
    listener.server_close()
    assert listener.crashes == []


def principal(secret: str) -> Login:
    """Return the login of a service principal."""
    return Login(PRINCIPAL | {"AZURE_CLIENT_SECRET": secret})


def test_a_service_principal_logs_in(entra: Entra, caplog: pytest.LogCaptureFixture) -> None:
    """With its secret, which no logger writes, whatever its level."""
    caplog.set_level(logging.DEBUG)
    secret = secrets.token_urlsafe()
    assert fetch(principal(secret).credential(), SCOPE).token == TOKEN
    assert entra.requests == ["GET", "POST"]
    assert secret not in caplog.text
    assert TOKEN not in caplog.text


@pytest.mark.parametrize("way", ["token", "vault"])
@pytest.mark.parametrize("code", ["invalid_client", "unauthorized_client"])
def test_a_service_principal_that_is_refused(entra: Entra, way: str, code: str) -> None:
    """A wrong or expired secret is a refusal, not a missing setting; its text is not passed on."""
    secret = secrets.token_urlsafe()
    entra.status = 401
    entra.answer = {"error": code, "error_description": f"AADSTS7000215: {secret}"}
    error = _failure(principal(secret), way)
    assert type(error) is AccessDenied
    assert "Azure refused the login" in str(error)
    assert secret not in repr(error)
    assert "AADSTS" not in repr(error)


@pytest.mark.parametrize("way", ["token", "vault"])
def test_a_login_service_that_does_not_answer(entra: Entra, way: str) -> None:
    """It is worth a retry, and nothing was sent to the vault."""
    entra.status = 0
    error = _failure(principal(secrets.token_urlsafe()), way)
    assert type(error) is StoreUnavailable
    assert "login service does not answer" in str(error)


def _failure(login: Login, way: str) -> DaenaKMSError:
    """Return the error of asking for a token, or of a call that needs one."""
    with AzureSimulator() as sim:
        vault = Vault(None, login, sim.secrets_client(credential=login.credential()))
        calls: dict[str, Callable[[], object]] = {
            "token": lambda: fetch(login.credential(), SCOPE),
            "vault": lambda: vault.call("key", lambda client: client.get_secret("key")),
        }
        with pytest.raises(DaenaKMSError) as caught:
            calls[way]()
    assert len(sim.calls) == 0
    assert (caught.value.__cause__, caught.value.key_id) in {(None, None), (None, "key")}
    return caught.value


def test_nobody_in_the_chain(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where no login is found at all, it says what there could be."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "azureclicredential")
    with pytest.raises(ConfigError, match=r"no usable Azure credentials.*az login") as caught:
        fetch(Login({}).credential(), SCOPE)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (identity.CredentialUnavailableError("x"), ConfigError),
        (
            ClientAuthenticationError("DefaultAzureCredential failed to retrieve a token"),
            ConfigError,
        ),
        (ClientAuthenticationError("Authentication failed: x"), AccessDenied),
    ],
    ids=["unavailable", "a chain", "a principal"],
)
def test_what_a_failed_login_means(
    error: ClientAuthenticationError, kind: type[DaenaKMSError]
) -> None:
    """Nobody answered, or somebody answered and refused."""
    assert type(refused(error)) is kind
