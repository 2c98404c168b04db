"""How the simulated vault answers parallel writes, and reads that are behind."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from azure.core.exceptions import HttpResponseError
from azure.keyvault.secrets import SecretClient

from infra.local.azure.sim import AzureSimulator
from infra.local.faults import only
from tests.local.azure_wire import answers, to_blobs
from tests.local.conftest import value


def together(azure: AzureSimulator, calls: list[Callable[[], object]]) -> list[int]:
    """Make calls that are all under way before one takes effect; returns their statuses."""
    azure.secrets_client().get_secret("warm")
    arrived = threading.Barrier(len(calls))
    azure.pause = lambda _: arrived.wait()
    azure.set_latency(1)

    def status(call: Callable[[], object]) -> int:
        try:
            call()
        except HttpResponseError as error:
            return error.status_code or 0
        return 200

    with ThreadPoolExecutor(len(calls)) as pool:
        found = list(pool.map(status, calls))
    azure.set_latency(0)
    return sorted(found)


def test_of_parallel_writes_to_one_secret_one_succeeds(
    azure: AzureSimulator, vault: SecretClient
) -> None:
    """The others get 409: sets, updates and deletions alike; another secret is not concerned."""
    vault.set_secret("warm", value())
    vault.set_secret("key", value())
    found = together(
        azure,
        [
            *[lambda: vault.set_secret("KEY", value())] * 6,
            lambda: vault.update_secret_properties("key", tags={}),
            lambda: vault.set_secret("other", value()),
            lambda: vault.get_secret("key"),
        ],
    )
    assert found == [200] * 3 + [409] * 6
    assert len(azure.secrets.versions("key")) <= 2
    assert {c.outcome for c in azure.calls} == {"ok", "Conflict"}
    vault.set_secret("key", value())


def test_parallel_writes_may_all_succeed(azure: AzureSimulator, vault: SecretClient) -> None:
    """The cloud does not always notice: then each makes a version."""
    vault.set_secret("warm", value())
    azure.configure(parallel_writes=True)
    found = together(azure, [lambda: vault.set_secret("key", value())] * 8)
    assert found == [200] * 8
    assert len(azure.secrets.versions("key")) == 8


def test_a_read_can_be_stale(azure: AzureSimulator, vault: SecretClient) -> None:
    """One call answers as if the last write to the secret had not been."""
    old = vault.set_secret("key", value()).properties.version
    new = vault.set_secret("key", value()).properties.version
    vault.set_secret("other", value())
    azure.faults.stale(times=2, when=only("keyvault", "GetSecret"))
    assert vault.get_secret("key").properties.version == old
    with answers(404, "SecretNotFound"):
        vault.get_secret("other")
    assert vault.get_secret("key").properties.version == new
    azure.faults.stale(when=only("keyvault", "GetSecretVersions"))
    assert [p.version for p in vault.list_properties_of_secret_versions("key")] == [old]


def test_a_listing_can_be_stale(azure: AzureSimulator, vault: SecretClient) -> None:
    """It lacks the last write, whether that made, changed or deleted a secret."""

    def listed() -> dict[str, dict[str, str]]:
        azure.faults.stale(when=only("keyvault", "GetSecrets"))
        return {p.name or "": p.tags or {} for p in vault.list_properties_of_secrets()}

    assert listed() == {}
    vault.set_secret("a", value())
    vault.set_secret("b", value())
    assert listed() == {"a": {}}
    vault.update_secret_properties("a", tags={"c": "d"})
    assert listed() == {"a": {}, "b": {}}
    vault.begin_delete_secret("a")
    assert listed() == {"a": {"c": "d"}, "b": {}}


def test_blobs_are_never_stale() -> None:
    """Blob Storage is strongly consistent, so the fault is an error of the test's."""
    azure = AzureSimulator().start()
    azure.faults.stale()
    with pytest.raises(ConnectionError):
        to_blobs(azure, "GET", "/audit/x")
    with pytest.raises(ExceptionGroup) as caught:
        azure.stop()
    assert caught.group_contains(NotImplementedError)


def test_a_listing_can_be_frozen(azure: AzureSimulator, vault: SecretClient) -> None:
    """It answers as of the freeze, page by page, while all else is live."""
    azure.seed(30)
    azure.freeze_listing()
    vault.set_secret("key-00000", value(), tags={"a": "b"})
    vault.begin_delete_secret("key-00029")
    vault.set_secret("new", value())
    found = list(vault.list_properties_of_secrets())
    assert [p.name for p in found] == [f"key-{n:05}" for n in range(30)]
    assert found[0].tags is None
    assert vault.get_secret("key-00000").properties.tags == {"a": "b"}
    azure.unfreeze_listing()
    live = [p.name for p in vault.list_properties_of_secrets()]
    assert live == [f"key-{n:05}" for n in range(29)] + ["new"]


def test_reads_can_be_frozen(azure: AzureSimulator, vault: SecretClient) -> None:
    """Reads of a secret and its versions answer as of the freeze; the listing is live."""
    old = vault.set_secret("key", value()).properties.version
    azure.freeze_reads()
    new = vault.set_secret("key", value(), tags={"a": "b"}).properties.version
    assert vault.get_secret("key").properties.version == old
    with answers(404, "SecretNotFound"):
        vault.get_secret("key", new)
    assert [p.version for p in vault.list_properties_of_secret_versions("key")] == [old]
    assert [p.tags for p in vault.list_properties_of_secrets()] == [{"a": "b"}]
    azure.unfreeze_reads()
    assert vault.get_secret("key").properties.version == new
