"""A client made once, on first use, for the place that is named; what is no place is refused."""

import threading
from typing import Any

import pytest
from daena_kms.errors import ConfigError, KeyNotFound
from daena_kms.sdk.gcp.client import SecretManager
from daena_kms.sdk.gcp.login import GcpLogin
from google.auth.credentials import AnonymousCredentials
from google.cloud.secretmanager_v1 import SecretManagerServiceClient

from infra.local.gcp.sim import PROJECT, GcpSimulator


@pytest.mark.parametrize("location", ["", "Europe", "a", "europe west1", "x/y", "e" * 64, "1a"])
def test_what_is_no_location(location: str) -> None:
    """It would become part of a host's name."""
    with pytest.raises(ConfigError, match=r"is not a location\. Write one such as europe-west1"):
        SecretManager(GcpLogin({}), location)


def test_names_of_secrets_and_versions() -> None:
    """Regional secrets are below their location."""
    login = GcpLogin({"GCP_PROJECT_ID": "p"})
    everywhere, there = SecretManager(login), SecretManager(login, "europe-west1")
    assert (everywhere.parent, everywhere.regional) == ("projects/p", False)
    assert everywhere.version("k", "7") == "projects/p/secrets/k/versions/7"
    assert (there.parent, there.regional) == ("projects/p/locations/europe-west1", True)
    assert there.secret("k") == "projects/p/locations/europe-west1/secrets/k"


@pytest.mark.parametrize(
    ("location", "host"),
    [
        (None, "secretmanager.googleapis.com:443"),
        ("europe-west1", "secretmanager.europe-west1.rep.googleapis.com:443"),
    ],
)
def test_a_client_is_made_once(
    location: str | None, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On first use, one for all threads, at the location's own endpoint."""
    login = GcpLogin({"GCP_PROJECT_ID": "p"}, credentials=AnonymousCredentials())  # type: ignore[no-untyped-call]  # as it is declared
    used = SecretManager(login, location)
    monkeypatch.setattr(SecretManagerServiceClient, "get_secret", lambda self, **_given: self)
    start = threading.Barrier(4)
    found: list[Any] = []

    def make() -> None:
        start.wait()
        found.append(used.read("get_secret", "key"))

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(map(id, found))) == 1
    assert found[0].transport.host == host
    found[0].transport.close()


@pytest.mark.parametrize("address", ["10.0.0.1:80", "http://127.0.0.1:80", "127.0.0.1", "a:1"])
def test_what_is_no_emulator(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client without TLS is for this machine alone."""
    monkeypatch.setenv("GCP_SECRET_MANAGER_ENDPOINT", address)
    with pytest.raises(ConfigError, match="is not the address of an emulator on this machine"):
        SecretManager(GcpLogin({"GCP_PROJECT_ID": "p"})).read("get_secret", "key")


def test_an_emulator(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked without credentials."""
    with GcpSimulator() as sim:
        monkeypatch.setenv("GCP_SECRET_MANAGER_ENDPOINT", sim.target)
        used = SecretManager(GcpLogin({"GCP_PROJECT_ID": PROJECT}))
        with pytest.raises(KeyNotFound):
            used.read("get_secret", "key", name=used.secret("key"))
        assert [call.principal for call in sim.calls] == [""]
        monkeypatch.setattr(SecretManagerServiceClient, "get_secret", lambda self, **_given: self)
        used.read("get_secret", "key").transport.close()
