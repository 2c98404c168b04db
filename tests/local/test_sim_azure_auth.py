"""Who may call the simulated Azure: challenge, tokens, role assignments, and TLS."""

import socket
import ssl
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
from azure.core.exceptions import ClientAuthenticationError, ServiceRequestError
from azure.keyvault.secrets import SecretClient
from azure.keyvault.secrets._shared import http_challenge_cache

from infra.local.azure import auth
from infra.local.azure.sim import AzureSimulator
from tests.local.azure_wire import API, answers, to_vault, token
from tests.local.conftest import value

CHALLENGE = f'Bearer authorization="{auth.AUTHORITY}", resource="https://vault.azure.net"'


def test_a_request_without_a_token_is_told_how_to_get_one(azure: AzureSimulator) -> None:
    """Whatever it asks, and before its body is looked at; it is no call."""
    for method, path in (("GET", "/secrets"), ("PUT", "/secrets/key"), ("GET", "/nothing")):
        answer = to_vault(azure, method, path, "no JSON object", headers={})
        assert (answer.status, answer.headers["www-authenticate"]) == (401, CHALLENGE)
        assert answer.json["error"]["code"] == "Unauthorized"
    assert (azure.secrets.challenges, len(azure.calls)) == (3, 0)


def test_the_sdk_asks_once_and_for_the_vaults_scope(azure: AzureSimulator) -> None:
    """It learns the scope from the challenge, and keeps both the challenge and the token."""
    # The cache belongs to the process, and a simulator before this one may have had the same port.
    http_challenge_cache.remove_challenge_for_url(azure.vault_url)
    credential = azure.credential()
    client = azure.secrets_client(credential=credential)
    for _ in range(3):
        client.set_secret("key", value())
    assert azure.secrets.challenges == 1
    assert credential.asked == ["https://vault.azure.net/.default"]
    assert [call.principal for call in azure.calls] == [auth.OWNER] * 3


@pytest.mark.parametrize(
    "spoil",
    [
        lambda sim: token(sim, auth.BLOB_AUDIENCE),
        lambda sim: {"Authorization": token(sim, auth.VAULT_AUDIENCE)["Authorization"][:-1] + "-"},
        lambda _: {"Authorization": "Bearer nonsense"},
        lambda _: {"Authorization": "Basic nonsense"},
    ],
    ids=["audience", "forged", "nonsense", "scheme"],
)
def test_a_token_that_is_not_for_the_vault_is_refused(
    azure: AzureSimulator, spoil: Callable[[AzureSimulator], dict[str, str]]
) -> None:
    """Forged, for another service, or none at all."""
    answer = to_vault(azure, "GET", f"/secrets?{API}", headers=spoil(azure))
    assert answer.status == 401
    assert answer.headers["www-authenticate"].startswith(CHALLENGE)
    assert [(call.principal, call.outcome) for call in azure.calls] == [("", "Unauthorized")]


def test_an_expired_token_is_refused(azure: AzureSimulator) -> None:
    """By the real time: the simulated one may be years ahead."""
    late = azure.secrets_client(credential=azure.credential(lifetime=-1))
    with pytest.raises(ClientAuthenticationError):
        late.get_secret("key")
    azure.shift_clock(seconds=10**9)
    azure.secrets_client().set_secret("key", value())


def test_nobody_may_do_anything_without_a_role(azure: AzureSimulator, vault: SecretClient) -> None:
    """Not even learn whether a secret is there; the owner's roles can be taken away, too."""
    vault.set_secret("key", value())
    for name in ("key", "other"):
        with answers(403, "Forbidden", "ForbiddenByRbac"):
            azure.secrets_client("stranger").get_secret(name)
    azure.roles.revoke(auth.OWNER)
    with answers(403, "Forbidden", "ForbiddenByRbac"):
        vault.get_secret("key")


ACTIONS: dict[str, tuple[str, Callable[[SecretClient], object]]] = {
    "GetSecret": (auth.GET_SECRET, lambda c: c.get_secret("key")),
    "GetSecrets": (auth.READ_METADATA, lambda c: list(c.list_properties_of_secrets())),
    "GetSecretVersions": (
        auth.READ_METADATA,
        lambda c: list(c.list_properties_of_secret_versions("key")),
    ),
    "SetSecret": (auth.SET_SECRET, lambda c: c.set_secret("key", value())),
    "UpdateSecret": (auth.UPDATE_SECRET, lambda c: c.update_secret_properties("key", tags={})),
    "DeleteSecret": (auth.DELETE_SECRET, lambda c: c.begin_delete_secret("key")),
    "BackupSecret": (auth.BACKUP_SECRET, lambda c: c.backup_secret("key")),
    "GetDeletedSecret": (auth.READ_METADATA, lambda c: c.get_deleted_secret("gone")),
    "GetDeletedSecrets": (auth.READ_METADATA, lambda c: list(c.list_deleted_secrets())),
    "RecoverDeletedSecret": (
        auth.RECOVER_SECRET,
        lambda c: c.begin_recover_deleted_secret("gone", _polling_interval=0),
    ),
    "PurgeDeletedSecret": (auth.PURGE_SECRET, lambda c: c.purge_deleted_secret("gone")),
}


@pytest.mark.parametrize("operation", ACTIONS)
def test_each_operation_takes_one_action(
    azure: AzureSimulator, vault: SecretClient, operation: str
) -> None:
    """With it alone the call works, and with all others it does not."""
    action, call = ACTIONS[operation]
    vault.set_secret("key", value())
    vault.set_secret("gone", value())
    vault.begin_delete_secret("gone")
    azure.secrets.settle()
    others = {a for a, _ in ACTIONS.values()} | {auth.RESTORE_SECRET}
    azure.roles.assign("others", others - {action})
    azure.roles.assign("alone", {action})
    azure.calls.clear()
    with answers(403, "Forbidden", "ForbiddenByRbac"):
        call(azure.secrets_client("others"))
    # A poller reads only when it is waited for.
    call(azure.secrets_client("alone"))
    assert [(c.operation, c.principal, c.outcome) for c in azure.calls] == [
        (operation, "others", "ForbiddenByRbac"),
        (operation, "alone", "ok"),
    ]
    assert action in azure.roles.used["alone"]


def test_a_restore_takes_an_action_on_the_vault(azure: AzureSimulator, vault: SecretClient) -> None:
    """The name is in the backup, so no secret's own role helps."""
    vault.set_secret("key", value())
    backup = vault.backup_secret("key")
    vault.begin_delete_secret("key")
    azure.secrets.settle()
    vault.purge_deleted_secret("key")
    azure.secrets.settle()
    azure.roles.assign("other", {auth.RESTORE_SECRET}, auth.secret("key"))
    azure.roles.assign("alone", {auth.RESTORE_SECRET}, auth.VAULT)
    with answers(403, "Forbidden", "ForbiddenByRbac"):
        azure.secrets_client("other").restore_secret_backup(backup)
    assert azure.secrets_client("alone").restore_secret_backup(backup).name == "key"


def test_a_role_holds_below_its_scope(azure: AzureSimulator, vault: SecretClient) -> None:
    """One on a secret says nothing about another, nor about the list of all."""
    vault.set_secret("Key", value())
    vault.set_secret("key-2", value())
    azure.roles.assign("reader", "Key Vault Secrets User", auth.secret("Key"))
    reader = azure.secrets_client("reader")
    assert reader.get_secret("KEY").name == "Key"
    assert len(list(reader.list_properties_of_secret_versions("key"))) == 1
    for call in (
        lambda: reader.get_secret("key-2"),
        lambda: list(reader.list_properties_of_secrets()),
        lambda: reader.set_secret("key", value()),
    ):
        with answers(403, "Forbidden", "ForbiddenByRbac"):
            call()


def test_the_officer_of_a_vault_is_nobody_in_a_container(azure: AzureSimulator) -> None:
    """The role Key Vault Secrets Officer on the vault covers every operation on secrets."""
    azure.roles.assign("officer", "Key Vault Secrets Officer", auth.VAULT)
    officer = azure.secrets_client("officer")
    officer.set_secret("key", value())
    officer.begin_delete_secret("key", _polling_interval=0).wait()
    officer.purge_deleted_secret("key")
    assert not azure.roles.allow("officer", auth.READ_BLOB, auth.container("audit"))
    assert azure.roles.used["officer"] == {
        auth.SET_SECRET,
        auth.DELETE_SECRET,
        auth.READ_METADATA,
        auth.PURGE_SECRET,
        auth.READ_BLOB,
    }


def test_a_client_that_does_not_trust_the_certificate_gets_nowhere(azure: AzureSimulator) -> None:
    """And does no harm: the next one is served."""
    stranger = azure.secrets_client(connection_verify=True)
    with pytest.raises(ServiceRequestError):
        stranger.get_secret("key")
    assert azure.secrets.challenges == 0
    azure.secrets_client().set_secret("key", value())


def test_a_silent_connection_holds_nobody_up(azure: AzureSimulator) -> None:
    """A client that connects and says nothing, or not TLS, is a matter of its own thread."""
    host, port = urlsplit(azure.vault_url).netloc.split(":")
    with (
        socket.create_connection((host, int(port))),
        socket.create_connection((host, int(port))) as other,
    ):
        other.sendall(b"GET / HTTP/1.1\r\n\r\n")
        azure.secrets_client().set_secret("key", value())


def test_the_certificate_is_for_localhost(azure: AzureSimulator) -> None:
    """A client that checks names accepts the vault's, by the authority's file alone."""
    context = ssl.create_default_context(cafile=azure.ca_file)
    host, port = urlsplit(azure.vault_url).netloc.split(":")
    with (
        socket.create_connection((host, int(port))) as plain,
        context.wrap_socket(plain, server_hostname=host) as secured,
    ):
        certificate = secured.getpeercert() or {}
    assert ("DNS", "localhost") in certificate["subjectAltName"]
