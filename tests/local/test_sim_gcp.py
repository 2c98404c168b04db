"""The simulator's controls: its call log, faults, permissions, quotas, and it as a process."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import NoReturn

import pytest
from google.api_core.exceptions import (
    AlreadyExists,
    DeadlineExceeded,
    FailedPrecondition,
    GoogleAPICallError,
    InternalServerError,
    PermissionDenied,
    ResourceExhausted,
    ServiceUnavailable,
)

from infra.local.faults import only
from infra.local.gcp.grpc import methods
from infra.local.gcp.secrets import SecretOperations
from infra.local.gcp.sim import GcpSimulator, connect
from infra.local.simulator import SimulatorProcess, control
from tests.local.gcp_calls import AUTOMATIC, HERE, Gcp, create, gcp, name, refused, value

__all__ = ["gcp"]

FAILURES = {"drop": ServiceUnavailable, "error": InternalServerError}


def outcomes(gcp: Gcp) -> list[str]:
    """Return what became of each call."""
    return [call.outcome for call in gcp.sim.calls]


def test_calls_are_recorded_without_values(gcp: Gcp) -> None:
    """The log has order, operation, params, caller and outcome, and no secret value."""
    gcp.create("key", annotations={"a": "b"})
    gcp.add("key", data := value())
    assert gcp.access("key", "latest") == data
    with refused(AlreadyExists):
        gcp.create("key")
    calls = list(gcp.sim.calls)
    assert [(c.index, c.service, c.operation, c.outcome) for c in calls] == [
        (1, "secretmanager", "CreateSecret", "ok"),
        (2, "secretmanager", "AddSecretVersion", "ok"),
        (3, "secretmanager", "AccessSecretVersion", "ok"),
        (4, "secretmanager", "CreateSecret", "ALREADY_EXISTS"),
    ]
    assert {call.principal for call in calls} == {"rotator"}
    assert calls[0].params == {
        "parent": HERE,
        "secret_id": "key",
        "secret": {"replication": {"automatic": {}}, "annotations": {"a": "b"}},
    }
    shown = json.dumps(gcp.sim.calls.as_json()) + repr(calls) + repr(gcp.sim.secrets["key"])
    assert data.decode() not in shown
    gcp.sim.calls.clear()
    assert gcp.sim.calls.operations() == []


@pytest.mark.parametrize("how", ["drop", "error"])
def test_a_call_fails_before_it_takes_effect(gcp: Gcp, how: str) -> None:
    """The nth call from arming fails; the one after it succeeds."""
    gcp.create("key")
    gcp.sim.faults.fail_before(2, how=how)
    gcp.get("key")
    with refused(FAILURES[how]):
        gcp.client.delete_secret(name=name("key"))
    assert "key" in gcp.sim.secrets
    gcp.client.delete_secret(name=name("key"))
    assert "key" not in gcp.sim.secrets
    assert outcomes(gcp) == ["ok", "ok", "failed before", "ok"]


@pytest.mark.parametrize("how", ["drop", "error"])
def test_a_call_takes_effect_and_its_answer_is_lost(gcp: Gcp, how: str) -> None:
    """The client can't tell a lost answer from a failure, but the state has changed."""
    gcp.create("key")
    gcp.sim.faults.fail_after(how=how, when=only("secretmanager", "AddSecretVersion"))
    gcp.get("key")
    with refused(FAILURES[how]):
        gcp.add("key")
    assert list(gcp.sim.secrets["key"].versions) == [1]
    assert outcomes(gcp) == ["ok", "ok", "failed after"]


def test_a_refusal_goes_before_a_lost_answer(gcp: Gcp) -> None:
    """A call that the service refuses has no effect whose answer could be lost."""
    gcp.create("key")
    gcp.sim.faults.fail_after()
    with refused(AlreadyExists):
        gcp.create("key")
    assert outcomes(gcp) == ["ok", "ALREADY_EXISTS"]


def test_a_hanging_call_ends_with_the_clients_patience(gcp: Gcp) -> None:
    """The call takes no effect, and the simulator's thread is free again."""
    gcp.create("key")
    gcp.sim.faults.hang()
    with refused(DeadlineExceeded):
        gcp.client.delete_secret(name=name("key"), timeout=0.2)
    assert "key" in gcp.sim.secrets
    assert outcomes(gcp) == ["ok", "hanging"]


def test_a_hanging_call_ends_with_the_server() -> None:
    """Stopping waits for nobody."""
    sim, arrived = GcpSimulator().start(), threading.Event()
    sim.pause = lambda _: arrived.set()
    sim.set_latency(1)
    sim.faults.hang()
    other = connect(sim.target)
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(other.get_secret, name=name("key"), timeout=60)
        assert arrived.wait(10)
        sim.stop()
        assert isinstance(call.exception(10), ServiceUnavailable)
    other.transport.close()  # type: ignore[no-untyped-call]  # as it is declared


def test_calls_can_be_throttled_and_denied(gcp: Gcp) -> None:
    """In the service's own words: RESOURCE_EXHAUSTED, and PERMISSION_DENIED until allowed."""
    gcp.sim.faults.throttle(2)
    for _ in range(2):
        with refused(ResourceExhausted):
            gcp.create("key")
    gcp.create("key")
    gcp.sim.faults.deny("UpdateSecret")
    for _ in range(2):
        with refused(PermissionDenied, "secretmanager.secrets.update"):
            gcp.update("key", labels={})
    gcp.get("key")
    gcp.sim.faults.allow("UpdateSecret")
    gcp.update("key", labels={})
    assert outcomes(gcp)[:2] == ["RESOURCE_EXHAUSTED"] * 2


def test_a_principal_has_the_permissions_of_its_role(gcp: Gcp) -> None:
    """One in no role may do everything; another's role does not matter."""
    gcp.create("key")
    gcp.add("key", data := value())
    gcp.sim.roles["reader"] = {"secretmanager.versions.access"}
    reader = gcp.sim.client("reader")
    read = reader.access_secret_version(name=name("key", "latest"), retry=None)
    assert read.payload.data == data
    with refused(PermissionDenied, "secretmanager.secrets.get"):
        reader.get_secret(name=name("key"))
    with refused(PermissionDenied, "may not exist"):
        reader.get_secret(name=name("other"))
    gcp.sim.set_role("reader", None)
    reader.get_secret(name=name("key"))
    assert {call.principal for call in gcp.sim.calls} == {"rotator", "reader"}


def test_each_operation_takes_its_own_permission(gcp: Gcp) -> None:
    """Twelve operations, twelve permissions of Secret Manager's."""
    permissions = {
        operation: method.permission
        for operation, method in methods(SecretOperations(gcp.sim.secrets)).items()
    }
    secrets = ["get", "list", "create", "update", "delete"]
    versions = ["add", "get", "list", "access", "enable", "disable", "destroy"]
    assert len(permissions) == 12
    assert set(permissions.values()) == {
        *(f"secretmanager.secrets.{verb}" for verb in secrets),
        *(f"secretmanager.versions.{verb}" for verb in versions),
    }
    assert permissions["AddSecretVersion"] == "secretmanager.versions.add"
    assert permissions["ListSecretVersions"] == "secretmanager.versions.list"


def test_a_quota_holds_for_all_writes_together(gcp: Gcp) -> None:
    """Reads have none; time gives room again, for one second's worth at most."""
    gcp.create("key")
    gcp.sim.faults.quota(2)
    gcp.add("key")
    gcp.update("key", labels={})
    with refused(ResourceExhausted):
        gcp.add("key")
    gcp.access("key", 1)
    gcp.stopwatch[0] += 0.5
    gcp.add("key")
    gcp.stopwatch[0] += 60
    for _ in range(2):
        gcp.add("key")
    with refused(ResourceExhausted):
        gcp.add("key")


def test_latency_is_spent_outside_the_lock(gcp: Gcp) -> None:
    """Calls wait at the same time, not one after the other: they all arrive before one ends."""
    gcp.create("key")
    gcp.sim.pause = threading.Barrier(16).wait
    gcp.sim.set_latency(10)
    with ThreadPoolExecutor(16) as pool:
        assert len(list(pool.map(gcp.get, ["key"] * 16))) == 16


def test_of_twenty_with_one_etag_one_wins(gcp: Gcp) -> None:
    """State changes one call at a time: the compare-and-swap that a claim relies on."""
    etag = gcp.create("key").etag

    def claim(number: int) -> bool:
        try:
            gcp.update("key", etag=etag, annotations={"claim": str(number)})
        except FailedPrecondition:
            return False
        return True

    with ThreadPoolExecutor(20) as pool:
        won = list(pool.map(claim, range(20)))
    assert won.count(True) == 1
    assert dict(gcp.get("key").annotations) == {"claim": str(won.index(True))}


def test_a_defect_of_the_simulator_is_raised_when_it_stops() -> None:
    """A test can't pass because a defect looked like a fault of the network."""
    broken = GcpSimulator().start()

    def defect(_name: str) -> NoReturn:
        raise LookupError

    broken.secrets.lookup = defect  # type: ignore[method-assign,assignment]  # something goes wrong inside
    with pytest.raises(GoogleAPICallError):
        broken.client().get_secret(name=name("key"))
    with pytest.raises(ExceptionGroup) as caught:
        broken.stop()
    assert caught.group_contains(LookupError)


def test_a_stopped_simulator_leaves_no_thread() -> None:
    """Its clients end with it; whoever connected by themselves find nobody there."""
    before = threading.active_count()
    with GcpSimulator() as sim:
        list(sim.client().list_secrets(parent=HERE))
        assert threading.active_count() > before
        other = connect(sim.target)
    assert threading.active_count() == before
    with refused(ServiceUnavailable):
        other.get_secret(name=name("key"))
    other.transport.close()  # type: ignore[no-untyped-call]  # as it is declared


def test_it_runs_as_a_process_and_is_controlled_over_http() -> None:
    """Every control but those on its inner state works from outside."""
    with SimulatorProcess("gcp", "--writes-per-second", "1") as found:
        url, client = found.url, connect(found.addresses["target"])
        create(client, HERE, "key", replication=AUTOMATIC)
        with refused(ResourceExhausted):
            create(client, HERE, "other", replication=AUTOMATIC)
        control(url, "quota", writes_per_second=None)
        control(url, "fail_after", service="secretmanager", operation="CreateSecret")
        client.get_secret(name=name("key"))
        with refused(ServiceUnavailable):
            create(client, HERE, "other", replication=AUTOMATIC)
        control(url, "freeze_listing")
        before = client.get_secret(name=name("other")).create_time
        control(url, "shift_clock", seconds=3600)
        client.delete_secret(name=name("other"))
        made = create(client, HERE, "other", replication=AUTOMATIC)
        assert (made.create_time - before).total_seconds() >= 3600
        listed = list(client.list_secrets(parent=HERE))
        assert [secret.create_time == before for secret in listed] == [True, False]
        control(url, "set_role", principal="rotator", permissions=[])
        with refused(PermissionDenied):
            client.get_secret(name=name("key"))
        assert control(url, "counts") == {
            "CreateSecret": 4,
            "GetSecret": 3,
            "DeleteSecret": 1,
            "ListSecrets": 1,
        }
        with pytest.raises(ValueError, match="unexpected keyword"):
            control(url, "shift_clock", minutes=1)
        client.transport.close()  # type: ignore[no-untyped-call]  # as it is declared
