"""A vault's address, the client that is made for it, and connections that fail."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
from azure.keyvault.secrets import SecretClient
from daena_kms.errors import AccessDenied, ConfigError, DaenaKMSError, StoreUnavailable
from daena_kms.sdk.azure import client as azure_client
from daena_kms.sdk.azure.client import Vault, check_url
from daena_kms.sdk.azure.errors import Unanswered
from daena_kms.sdk.azure.login import Login

from infra.local.azure.auth import SimulatedCredential
from infra.local.azure.sim import AzureSimulator, certificates
from tests.worlds.base import value


@pytest.fixture
def sim(monkeypatch: pytest.MonkeyPatch) -> Iterator[AzureSimulator]:
    """A vault whose certificate this process trusts."""
    with AzureSimulator() as simulator:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", simulator.ca_file)
        yield simulator


def made_for(sim: AzureSimulator) -> Vault:
    """Return our side of it, which makes its own client."""
    return Vault(sim.vault_url, Login({}, credential=sim.credential()))


def failure(used: Vault, material: str | None = None) -> DaenaKMSError:
    """Return the error of a set, on which nothing of the SDK's hangs."""
    given = value() if material is None else material
    with pytest.raises(DaenaKMSError) as caught:
        used.call("key", lambda client: client.set_secret("key", given, retry_total=0))
    error = caught.value
    assert given not in str(error) + repr(error)
    assert (error.__cause__, error.__context__, error.key_id) == (None, None, "key")
    return error


def test_a_client_is_made_once(sim: AzureSimulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """On first use and not before, one for all threads."""
    made: list[Vault] = []
    inner = Vault._make

    def make(self: Vault) -> SecretClient:
        made.append(self)
        return inner(self)

    monkeypatch.setattr(Vault, "_make", make)
    used = made_for(sim)
    assert made == []
    start, found = threading.Barrier(8), []

    def call() -> None:
        start.wait()
        found.append(used.call(None, lambda client: client))

    threads = [threading.Thread(target=call) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(map(id, found))) == len(made) == 1
    used.call("key", lambda client: client.set_secret("key", value()))
    assert sim.calls.operations() == ["SetSecret"]
    found[0].close()


def test_a_client_of_ones_own_is_used(sim: AzureSimulator) -> None:
    """Nothing is made where a client was passed, and the vault is the client's."""
    theirs = sim.secrets_client()
    used = Vault("not looked at", Login({}), theirs)
    assert used.call(None, lambda client: client) is theirs
    assert (used.host, used.name) == ("localhost", "localhost")


def test_a_caller_whom_the_vault_does_not_know(sim: AzureSimulator) -> None:
    """A token that it does not take is a refused login."""
    used = Vault(None, Login({}), sim.secrets_client(credential=sim.credential(lifetime=-60)))
    error = failure(used)
    assert type(error) is AccessDenied
    assert "Azure refused the login" in str(error)


def test_a_vault_that_nobody_listens_for() -> None:
    """It can't be reached, and nothing was sent."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    used = Vault(
        f"https://localhost:{port}",
        Login({}, credential=SimulatedCredential(certificates().ca_file)),
    )
    error = failure(used)
    assert type(error) is StoreUnavailable
    assert "can't be reached (ServiceRequestError). Check its address" in str(error)


def test_a_vault_that_is_none(sim: AzureSimulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that asks for a token of another service gets none, and is named for it."""
    monkeypatch.setattr(azure_client, "LOOPBACK", frozenset())
    credential = sim.credential()
    error = failure(Vault(sim.vault_url, Login({}, credential=credential)))
    assert isinstance(error, Unanswered)
    assert (
        "the answer did not come from a Key Vault (ValueError). Check the vault's address"
        in str(error)
    )
    assert credential.asked == []
    assert len(sim.calls) == 0


def test_a_certificate_that_nobody_vouches_for(
    sim: AzureSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is sent to it, no token and no value."""
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    error = failure(made_for(sim))
    assert isinstance(error, StoreUnavailable)
    assert "can't be reached (ServiceRequestError)" in str(error)
    assert (sim.secrets.challenges, len(sim.calls)) == (0, 0)


@contextmanager
def breaking(answer: bytes) -> Iterator[str]:
    """Serve one connection over TLS: read a request, answer so past TLS, and end it."""

    def serve() -> None:
        with server.accept()[0] as raw:
            tls = certificates().context.wrap_socket(raw, server_side=True)
            tls.recv(65536)
            # What TLS itself has not written is no answer to the client's side of it.
            with socket.socket(fileno=tls.detach()) as plain, suppress(OSError):
                plain.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"https://localhost:{server.getsockname()[1]}"
        thread.join()


BROKEN = {
    "nothing": b"",
    "a record that does not decrypt": b"\x17\x03\x03\x00\x20" + b"x" * 32,
    "no record": b"HTTP/1.1 200\r\n",
}


@pytest.mark.parametrize("answer", BROKEN.values(), ids=BROKEN)
def test_a_connection_that_breaks_after_the_request(sim: AzureSimulator, answer: bytes) -> None:
    """However it breaks: a request that was sent may have taken effect."""
    with breaking(answer) as url:
        error = failure(Vault(url, Login({}, credential=sim.credential())))
    assert isinstance(error, Unanswered)


TAKEN = {
    "https://name.vault.azure.net": "https://name.vault.azure.net",
    "https://name.vault.azure.net/": "https://name.vault.azure.net",
    "HTTPS://Name.Vault.Azure.NET": "https://name.vault.azure.net",
    "https://name.vault.azure.cn": "https://name.vault.azure.cn",
    "https://name.vault.usgovcloudapi.net:443": "https://name.vault.usgovcloudapi.net:443",
    "https://localhost:8443/": "https://localhost:8443",
}


@pytest.mark.parametrize(("url", "address"), TAKEN.items())
def test_addresses_of_vaults(url: str, address: str) -> None:
    """A scheme and a host, of whichever cloud, in lower case and without a path."""
    assert check_url(url) == address
    used = Vault(url, Login({}))
    assert used.host == address.removeprefix("https://").partition(":")[0]
    assert used.name == used.host.partition(".")[0]


@pytest.mark.parametrize(
    "url",
    [
        "name",
        "name.vault.azure.net",
        "http://name.vault.azure.net",
        "https://",
        "https:///secrets",
        "https://name.vault.azure.net/secrets/key",
        "https://name.vault.azure.net?a={0}",
        "https://name.vault.azure.net#{0}",
        "https://user:{0}@name.vault.azure.net",
        "https://@name.vault.azure.net",
        "https://name_a.vault.azure.net",
        "https://name.vault.azure.net:port",
        "https://name.vault.azure.net:99999",
        "https://[::1]:8443",
        "https://[name",
        "https://na me.vault.azure.net",
        "https://name\\.vault.azure.net",
        "https://\u017fame.vault.azure.net",
        "https://..",
    ],
)
def test_what_is_no_address_of_a_vault(url: str) -> None:
    """Anything else is refused before any call, and not repeated: it may hold a password."""
    with pytest.raises(
        ConfigError, match=r"https:// and a host, and nothing else\. Write https"
    ) as caught:
        check_url(url.format("aw5Zq"))
    assert "aw5Zq" not in str(caught.value)


@pytest.mark.parametrize("url", [None, ""])
def test_no_address_at_all(url: str | None) -> None:
    """The variable to set is named."""
    with pytest.raises(ConfigError, match=r"no Key Vault is set.*AZURE_KEY_VAULT_URL"):
        check_url(url)
