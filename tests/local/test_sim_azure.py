"""The simulated Azure's controls: call log, faults, quota, latency, and it as a process."""

import json
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager

import pytest
from azure.core.exceptions import HttpResponseError, ServiceRequestError, ServiceResponseError
from azure.core.pipeline.transport import RequestsTransport
from azure.keyvault.secrets import SecretClient

from infra.local.azure.sim import AzureSimulator, secrets_client
from infra.local.faults import only
from infra.local.simulator import SimulatorProcess, control
from tests.local.azure_wire import API, answers, blobs, to_vault
from tests.local.conftest import START, Stopwatch, value


@pytest.fixture
def waits() -> list[float]:
    """How long the retrying client's retries would have waited."""
    return []


@pytest.fixture
def retrying(azure: AzureSimulator, waits: list[float]) -> SecretClient:
    """A client that retries without waiting."""
    transport = RequestsTransport(connection_verify=azure.ca_file)
    transport.sleep = waits.append
    return azure.secrets_client(transport=transport, retry_total=3)


def test_calls_are_recorded_without_values(azure: AzureSimulator, vault: SecretClient) -> None:
    """Order, service, operation, params, caller and outcome; no value, also of a backup."""
    text = value()
    vault.set_secret("key", text, tags={"a": "b"})
    version = vault.get_secret("key").properties.version
    backup = vault.backup_secret("key")
    with pytest.raises(HttpResponseError):
        vault.restore_secret_backup(backup)
    vault.get_secret("key", version)
    blobs(azure).put("log/1", text.encode(), mode="create")
    assert [(c.index, c.service, c.operation, c.outcome) for c in azure.calls] == [
        (1, "keyvault", "SetSecret", "ok"),
        (2, "keyvault", "GetSecret", "ok"),
        (3, "keyvault", "BackupSecret", "ok"),
        (4, "keyvault", "RestoreSecret", "Conflict"),
        (5, "keyvault", "GetSecret", "ok"),
        (6, "blob", "PutBlob", "ok"),
    ]
    assert {call.principal for call in azure.calls} == {"rotator"}
    first, *_, second, third = azure.calls
    assert first.params == {"name": "key", "value": "(not recorded)", "tags": {"a": "b"}}
    assert second.params == {"name": "key", "version": version}
    assert third.params == {"container": "audit", "name": "log/1", "if-none-match": "*"}
    shown = json.dumps(azure.calls.as_json()) + repr(list(azure.calls))
    shown += repr(azure.secrets.live) + repr(azure.blobs.containers)
    assert text not in shown
    assert azure.secrets.version("key").value == text


@pytest.mark.parametrize("how", ["drop", "error"])
def test_a_call_fails_before_it_takes_effect(
    azure: AzureSimulator, vault: SecretClient, how: str
) -> None:
    """The nth call from arming fails; the one after it succeeds."""
    azure.faults.fail_before(2, how=how)
    vault.set_secret("key", value())
    with failing(how):
        vault.set_secret("key", value())
    assert len(azure.secrets.versions("key")) == 1
    vault.set_secret("key", value())
    assert [c.outcome for c in azure.calls] == ["ok", "failed before", "ok"]


@pytest.mark.parametrize("how", ["drop", "error"])
def test_a_call_takes_effect_and_its_answer_is_lost(
    azure: AzureSimulator, vault: SecretClient, how: str
) -> None:
    """The client can't tell a lost answer from a failure, but the version is there."""
    azure.faults.fail_after(how=how)
    with failing(how):
        vault.set_secret("key", value())
    assert len(azure.secrets.versions("key")) == 1
    assert [c.outcome for c in azure.calls] == ["failed after"]


def failing(how: str) -> AbstractContextManager[object]:
    """Expect a connection that ends without an answer, or an internal error."""
    if how == "drop":
        return pytest.raises(ServiceResponseError)
    return answers(500, "InternalServerError")


def test_the_sdks_own_retry_makes_a_second_version(
    azure: AzureSimulator, retrying: SecretClient
) -> None:
    """A set whose answer is lost is sent again, and nothing tells the two versions apart."""
    azure.faults.fail_after(how="error", when=only("keyvault", "SetSecret"))
    retrying.set_secret("key", value())
    assert len(azure.secrets.versions("key")) == 2


def test_a_throttled_call_says_when_to_come_back(
    azure: AzureSimulator, retrying: SecretClient, waits: list[float]
) -> None:
    """In a header that the SDK obeys, if the test gives one: not every real answer has it."""
    azure.faults.throttle(2, retry_after=7)
    retrying.set_secret("key", value())
    assert waits == [7, 7]
    assert [call.outcome for call in azure.calls] == ["Throttled", "Throttled", "ok"]
    azure.faults.throttle(1)
    answer = to_vault(azure, "GET", f"/secrets?{API}")
    assert (answer.status, answer.json["error"]["code"]) == (429, "Throttled")
    assert "x-ms-request-id" in answer.headers
    assert "retry-after" not in answer.headers


def test_a_quota_holds_for_sets_alone(
    azure: AzureSimulator, vault: SecretClient, stopwatch: Stopwatch
) -> None:
    """The cloud allows far more of everything else."""
    azure.faults.quota(2, retry_after=1)
    for _ in range(2):
        vault.set_secret("key", value())
    with answers(429, "Throttled"):
        vault.set_secret("key", value())
    vault.update_secret_properties("key", tags={})
    vault.get_secret("key")
    stopwatch.seconds += 0.5
    vault.set_secret("key", value())
    with answers(429, "Throttled"):
        vault.set_secret("key", value())


def test_an_operation_can_be_denied_and_allowed(azure: AzureSimulator, vault: SecretClient) -> None:
    """As if a role had gone, for everyone."""
    azure.faults.deny("SetSecret")
    with answers(403, "Forbidden", "ForbiddenByRbac"):
        vault.set_secret("key", value())
    azure.faults.allow("SetSecret")
    vault.set_secret("key", value())


def test_a_hanging_call_ends_with_the_server_only(
    azure: AzureSimulator, vault: SecretClient
) -> None:
    """The client gives up by itself; the call took no effect, and holds no other up."""
    vault.set_secret("key", value())
    azure.faults.hang()
    with pytest.raises(ServiceResponseError):
        vault.set_secret("key", value(), read_timeout=0.2)
    vault.set_secret("key", value())
    assert len(azure.secrets.versions("key")) == 2
    assert [c.outcome for c in azure.calls] == ["ok", "hanging", "ok"]


def test_seeded_secrets_are_like_others(azure: AzureSimulator, vault: SecretClient) -> None:
    """They have an age, tags and random values, and made no calls."""
    azure.seed(2, tags={"a": "b"}, prefix="old-", age=3600, enabled=True)
    assert len(azure.calls) == 0
    first, second = (vault.get_secret(f"old-0000{n}") for n in range(2))
    assert (first.properties.tags, first.value != second.value) == ({"a": "b"}, True)
    created = first.properties.created_on
    assert created is not None
    assert (START - created).total_seconds() == 3600


def test_thirty_two_clients_are_served_at_once(azure: AzureSimulator) -> None:
    """Each over a connection of its own, all waiting at the same time."""
    azure.seed(1)
    clients = [azure.secrets_client() for _ in range(32)]
    # One challenge serves all the clients of a process; then each makes a call of its own.
    clients[0].get_secret("key-00000")
    arrived = threading.Barrier(32, timeout=30)
    azure.pause = lambda _: arrived.wait()
    azure.set_latency(1)
    with ThreadPoolExecutor(32) as pool:
        names = list(pool.map(lambda client: client.get_secret("key-00000").name, clients))
    assert names == ["key-00000"] * 32
    # The process may know the challenge from a simulator that had the same port.
    assert azure.secrets.challenges <= 1


def test_a_stopped_simulator_leaves_no_thread() -> None:
    """Idle connections end with it, those over TLS too."""
    before = threading.active_count()
    with AzureSimulator() as simulator:
        client = secrets_client(simulator.vault_url, simulator.ca_file)
        client.set_secret("key", value())
        blobs(simulator).put("log/1", b"")
        assert threading.active_count() > before
    assert threading.active_count() == before
    with pytest.raises(ServiceRequestError):
        client.get_secret("key")
    client.close()


def test_it_runs_as_a_process_and_is_controlled_over_http() -> None:
    """Its first line says where it is; every control works from outside."""
    with SimulatorProcess("azure", "--writes-per-second", "1", "--retry-after", "9") as found:
        url = found.url
        vault_url, ca_file = (found.addresses[name] for name in ("vault_url", "ca_file"))
        assert re.fullmatch(r"https://localhost:\d+", vault_url)
        client = secrets_client(vault_url, ca_file)
        control(url, "seed", count=30, tags={"a": "b"}, age=60)
        assert len(list(client.list_properties_of_secrets())) == 30
        client.set_secret("key", value())
        with answers(429, "Throttled"):
            client.set_secret("key", value())
        control(url, "quota", writes_per_second=None)
        control(url, "fail_after", service="keyvault", operation="SetSecret", how="error")
        control(url, "throttle", times=1, operation="GetSecret", retry_after=1)
        control(url, "stale", operation="GetSecretVersions")
        with answers(500, "InternalServerError"):
            client.set_secret("key", value())
        with answers(429, "Throttled"):
            client.get_secret("key")
        assert len(list(client.list_properties_of_secret_versions("key"))) == 1
        control(url, "shift_clock", seconds=3600)
        control(url, "pass_by", seconds=60)
        new = client.set_secret("key", value()).properties
        old = client.get_secret("key-00000").properties
        assert new.created_on is not None
        assert old.created_on is not None
        assert (new.created_on - old.created_on).total_seconds() >= 3660
        control(url, "configure", purge_protection=True, settle_polls=0)
        control(url, "protect", container="audit", protection="has-legal-hold")
        client.begin_delete_secret("key")
        with answers(403, "Forbidden"):
            client.purge_deleted_secret("key")
        for name in ("listing", "reads"):
            control(url, f"freeze_{name}")
            control(url, f"unfreeze_{name}")
        control(url, "assign", principal="other", role="Key Vault Reader", scope="vault")
        other = secrets_client(vault_url, ca_file, "other")
        assert len(list(other.list_properties_of_secrets())) == 30
        control(url, "revoke", principal="other")
        with answers(403, "Forbidden", "ForbiddenByRbac"):
            list(other.list_properties_of_secrets())
        assert control(url, "counts") == {
            "GetSecrets": 5,
            "SetSecret": 4,
            "GetSecret": 2,
            "GetSecretVersions": 1,
            "DeleteSecret": 1,
            "PurgeDeletedSecret": 1,
        }
        with pytest.raises(ValueError, match="no such control"):
            control(url, "stop")
        other.close()
        client.close()
