"""The simulator's controls: its call log, faults, quota, latency, and it as a process."""

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from http.client import HTTPConnection

import pytest
from botocore.exceptions import (
    ConnectionClosedError,
    EndpointConnectionError,
    ReadTimeoutError,
)

from infra.local.aws.sim import (
    ACCESS_KEY,
    AwsSimulator,
    Clients,
    clients,
)
from infra.local.faults import only
from infra.local.simulator import SimulatorProcess, control
from tests.local.conftest import Stopwatch, refused, token, value

type Create = Callable[[str], str]
type Put = Callable[..., str]


def test_calls_are_recorded_without_values(sim: AwsSimulator, aws: Clients) -> None:
    """The log has order, service, operation, params, caller and outcome, and no secret value."""
    text, raw = value(), value().encode()
    aws.secrets.create_secret(Name="key", SecretString=text)
    aws.secrets.put_secret_value(SecretId="key", SecretBinary=raw)
    aws.kms.generate_random(NumberOfBytes=8)
    with refused("ResourceNotFoundException"):
        aws.secrets.get_secret_value(SecretId="other")
    calls = list(sim.calls)
    assert [(c.index, c.service, c.operation, c.outcome) for c in calls] == [
        (1, "secretsmanager", "CreateSecret", "ok"),
        (2, "secretsmanager", "PutSecretValue", "ok"),
        (3, "kms", "GenerateRandom", "ok"),
        (4, "secretsmanager", "GetSecretValue", "ResourceNotFoundException"),
    ]
    assert {c.access_key for c in calls} == {ACCESS_KEY}
    assert calls[3].params == {"SecretId": "other"}
    assert calls[0].params.keys() == {"Name", "SecretString", "ClientRequestToken"}
    shown = json.dumps(sim.calls.as_json()) + repr(calls) + repr(sim.secrets.secret("key"))
    assert text not in shown
    assert aws.secrets.get_secret_value(SecretId="key")["SecretBinary"] == raw
    assert repr(raw) not in shown
    assert sim.calls.counts()["GetSecretValue"] == 2
    sim.calls.clear()
    assert len(sim.calls) == 0


@pytest.mark.parametrize("how", ["drop", "error"])
def test_a_call_fails_before_it_takes_effect(
    sim: AwsSimulator, aws: Clients, create: Create, how: str
) -> None:
    """The nth call from arming fails, over all services; the one after it succeeds."""
    create("key")
    sim.faults.fail_before(2, how=how)
    aws.kms.generate_random(NumberOfBytes=8)
    with failing(how, "InternalServiceError"):
        aws.secrets.delete_secret(SecretId="key")
    assert sim.secrets.secret("key").delete_at is None
    aws.secrets.delete_secret(SecretId="key")
    assert [c.outcome for c in sim.calls] == ["ok", "ok", "failed before", "ok"]


@pytest.mark.parametrize("how", ["drop", "error"])
def test_a_call_takes_effect_and_its_answer_is_lost(
    sim: AwsSimulator, aws: Clients, create: Create, how: str
) -> None:
    """The client can't tell a lost answer from a failure, but the state has changed."""
    create("key")
    sim.faults.fail_after(how=how)
    with failing(how, "InternalServiceError"):
        aws.secrets.delete_secret(SecretId="key")
    assert sim.secrets.secret("key").delete_at is not None
    assert [c.outcome for c in sim.calls] == ["ok", "failed after"]


def failing(how: str, code: str) -> AbstractContextManager[object]:
    """Expect a dropped connection or an internal error."""
    return pytest.raises(ConnectionClosedError) if how == "drop" else refused(code)


def test_a_fault_can_outlast_the_clients_retries(sim: AwsSimulator, create: Create) -> None:
    """``times`` attempts fail in a row, counted among the calls that a predicate picks."""
    create("key")
    retrying = clients(sim.url, retries=1)
    sim.faults.fail_before(times=2, when=only("secretsmanager", "DescribeSecret"))
    retrying.kms.generate_random(NumberOfBytes=8)
    with pytest.raises(ConnectionClosedError):
        retrying.secrets.describe_secret(SecretId="key")
    sim.faults.fail_before(times=1, when=only("secretsmanager", "DescribeSecret"))
    retrying.secrets.describe_secret(SecretId="key")
    assert sim.calls.counts()["DescribeSecret"] == 4
    retrying.secrets.close()
    retrying.kms.close()


def test_an_operation_can_be_denied_and_allowed(sim: AwsSimulator, aws: Clients) -> None:
    """A denied operation is refused every time; others are not."""
    sim.faults.deny("GenerateRandom")
    for _ in range(2):
        with refused("AccessDeniedException", "kms:GenerateRandom"):
            aws.kms.generate_random(NumberOfBytes=8)
    aws.secrets.list_secrets()
    sim.faults.allow("GenerateRandom")
    aws.kms.generate_random(NumberOfBytes=8)


def test_some_calls_can_be_throttled(sim: AwsSimulator, aws: Clients, create: Create) -> None:
    """The next calls answer ThrottlingException, which a retrying client overcomes."""
    sim.faults.throttle(2)
    for _ in range(2):
        with refused("ThrottlingException"):
            create("key")
    create("key")
    sim.faults.throttle(5)
    sim.faults.clear()
    aws.secrets.list_secrets()


def test_a_quota_holds_for_a_group_of_operations_together(
    sim: AwsSimulator, aws: Clients, stopwatch: Stopwatch, create: Create, put: Put
) -> None:
    """Puts and label moves share one rate, tags have their own, reads have none."""
    current = create("key")
    sim.faults.quota(2)
    put("key", "AWSPENDING")
    aws.secrets.update_secret_version_stage(
        SecretId="key", VersionStage="mine", MoveToVersionId=current
    )
    with refused("ThrottlingException"):
        put("key", "AWSPENDING")
    aws.secrets.tag_resource(SecretId="key", Tags=[{"Key": "a", "Value": "b"}])
    aws.secrets.describe_secret(SecretId="key")
    stopwatch.seconds += 0.5
    put("key", "AWSPENDING")
    with refused("ThrottlingException"):
        put("key", "AWSPENDING")
    stopwatch.seconds += 60
    for _ in range(2):
        put("key", "AWSPENDING")
    with refused("ThrottlingException"):
        put("key", "AWSPENDING")
    sim.faults.quota(None)
    put("key", "AWSPENDING")


def test_a_hanging_call_ends_with_the_server_only(create: Create, sim: AwsSimulator) -> None:
    """The client times out by itself; the call took no effect; stopping waits for nobody."""
    create("key")
    impatient = clients(sim.url, read_timeout=0.2)
    sim.faults.hang()
    with pytest.raises(ReadTimeoutError):
        impatient.secrets.delete_secret(SecretId="key")
    assert sim.secrets.secret("key").delete_at is None
    assert [c.outcome for c in sim.calls] == ["ok", "hanging"]
    impatient.secrets.close()
    impatient.kms.close()


def test_latency_is_spent_outside_the_lock(sim: AwsSimulator) -> None:
    """Calls wait at the same time, not one after the other: they all arrive before one ends."""
    arrived = threading.Barrier(8)

    sim.pause = arrived.wait
    sim.set_latency(10)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: describe_raw(sim.url), range(8)))
    assert sim.calls.counts() == {"ListSecrets": 8}


def describe_raw(url: str) -> int:
    """Make a call without an SDK, whose clients can't be made by threads."""
    connection = HTTPConnection(url.removeprefix("http://"), timeout=10)
    connection.request("POST", "/", "{}", {"X-Amz-Target": "secretsmanager.ListSecrets"})
    status = connection.getresponse().status
    connection.close()
    return status


def test_twenty_creators_make_one_secret(sim: AwsSimulator, aws: Clients) -> None:
    """State changes one call at a time."""

    def make(_: int) -> bool:
        try:
            aws.secrets.create_secret(Name="key", SecretString=value())
        except aws.secrets.exceptions.ResourceExistsException:
            return False
        return True

    with ThreadPoolExecutor(20) as pool:
        assert sum(pool.map(make, range(20))) == 1
    assert len(sim.secrets.secret("key").versions) == 1


def test_garbage_is_refused(sim: AwsSimulator) -> None:
    """A body that is no JSON object is an error of the caller's, not of the simulator."""
    for body in ("{", "[]"):
        connection = HTTPConnection(sim.url.removeprefix("http://"), timeout=10)
        connection.request("POST", "/", body, {"X-Amz-Target": "secretsmanager.ListSecrets"})
        answer = connection.getresponse()
        assert (answer.status, b"SerializationException" in answer.read()) == (400, True)
        connection.close()


def test_a_defect_of_the_simulator_is_raised_when_it_stops(create: Create) -> None:
    """A test can't pass because a defect looked like a fault of the network."""

    def defect() -> None:
        raise LookupError(create)

    broken = AwsSimulator().start()
    broken.freeze_listing = defect  # type: ignore[method-assign]  # something goes wrong inside
    with pytest.raises(ConnectionError):
        control(broken.url, "freeze_listing")
    with pytest.raises(ExceptionGroup) as caught:
        broken.stop()
    assert caught.group_contains(LookupError)


def test_a_stopped_simulator_leaves_no_thread() -> None:
    """Idle connections end with it."""
    before = threading.active_count()
    with AwsSimulator() as simulator:
        made = clients(simulator.url)
        made.secrets.list_secrets()
        assert threading.active_count() > before
    assert threading.active_count() == before
    with pytest.raises(EndpointConnectionError):
        made.secrets.list_secrets()
    made.secrets.close()
    made.kms.close()


def test_it_runs_as_a_process_and_is_controlled_over_http() -> None:
    """Every control but those on its inner state works from outside."""
    with SimulatorProcess("aws", "--writes-per-second", "1") as sim:
        url = sim.url
        aws = clients(url)
        aws.secrets.create_secret(Name="key", SecretString=value(), ClientRequestToken=token())
        with refused("ThrottlingException"):
            aws.secrets.create_secret(Name="other")
        control(url, "quota", writes_per_second=None)
        control(url, "fail_after", service="secretsmanager", operation="DeleteSecret", how="error")
        aws.kms.generate_random(NumberOfBytes=8)
        with refused("InternalServiceError"):
            aws.secrets.delete_secret(SecretId="key")
        before = aws.secrets.describe_secret(SecretId="key")["DeletedDate"]
        control(url, "shift_clock", seconds=3600)
        aws.secrets.restore_secret(SecretId="key")
        after = aws.secrets.delete_secret(SecretId="key")["DeletionDate"]
        assert (after - before).total_seconds() >= 3600
        assert control(url, "counts") == {
            "CreateSecret": 2,
            "GenerateRandom": 1,
            "DeleteSecret": 2,
            "DescribeSecret": 1,
            "RestoreSecret": 1,
        }
        control(url, "clear_calls")
        assert control(url, "calls") == []
        with pytest.raises(ValueError, match="no such control"):
            control(url, "stop")
        with pytest.raises(ValueError, match="unexpected keyword"):
            control(url, "set_latency", minutes=1)
        aws.secrets.close()
        aws.kms.close()
