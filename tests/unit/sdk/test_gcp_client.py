"""Every answer and failure of Secret Manager in our words, over gRPC, with none of its text."""

import functools
import secrets
from collections.abc import Callable, Iterator

import grpc
import pytest
from daena_kms.errors import (
    AccessDenied,
    ConfigError,
    DaenaKMSError,
    KeyExists,
    KeyNotFound,
    StoreUnavailable,
)
from daena_kms.sdk.gcp import client as gcp_client
from daena_kms.sdk.gcp.client import SecretManager
from daena_kms.sdk.gcp.errors import Moved, Unanswered
from daena_kms.sdk.gcp.login import GcpLogin
from daena_kms.sdk.pace import Pacer
from google.api_core.exceptions import RetryError
from google.auth.exceptions import RefreshError
from google.cloud.secretmanager_v1 import SecretManagerServiceClient

from infra.local.gcp.names import GcpError
from infra.local.gcp.sim import PROJECT, GcpSimulator

NAME = f"projects/{PROJECT}/secrets/key"


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long the SDK wanted to wait; it does not."""
    waits: list[float] = []
    monkeypatch.setattr("google.api_core.retry.retry_unary.time.sleep", waits.append)
    monkeypatch.setattr(gcp_client, "_DEADLINE", 3.0)
    return waits


@pytest.fixture
def sim() -> Iterator[GcpSimulator]:
    """A project with the secret ``key``."""
    with GcpSimulator() as simulator:
        simulator.client().create_secret(
            request={
                "parent": f"projects/{PROJECT}",
                "secret_id": "key",
                "secret": {"replication": {"automatic": {}}},
            }
        )
        simulator.calls.clear()
        yield simulator


def manager(sim: GcpSimulator, *, writes_per_minute: float | None = None) -> SecretManager:
    """Return our side of it."""
    login = GcpLogin({"GCP_PROJECT_ID": PROJECT})
    return SecretManager(login, client=sim.client(), writes_per_minute=writes_per_minute)


def get(used: SecretManager) -> object:
    """Read the secret."""
    return used.read("get_secret", "key", name=NAME)


def add(used: SecretManager, value: str = "value") -> object:
    """Add a version."""
    payload = {"data": value.encode()}
    return used.write("add_secret_version", "key", parent=NAME, payload=payload)


def failure(call: Callable[[], object], *canaries: str) -> DaenaKMSError:
    """Return the error that a call ends with: one of ours, on which nothing of the SDK's hangs."""
    with pytest.raises(DaenaKMSError) as caught:
        call()
    error = caught.value
    for canary in canaries:
        assert canary not in str(error) + repr(error)
    assert (error.__cause__, error.__context__) == (None, None)
    assert error.key_id == "key"
    assert error.todo
    return error


# https://cloud.google.com/apis/design/errors
ANSWERS: dict[grpc.StatusCode, tuple[type[DaenaKMSError], str]] = {
    grpc.StatusCode.NOT_FOUND: (KeyNotFound, "no such key or version"),
    grpc.StatusCode.ALREADY_EXISTS: (KeyExists, "it exists already"),
    grpc.StatusCode.FAILED_PRECONDITION: (ConfigError, "refused add_secret_version in the project"),
    grpc.StatusCode.ABORTED: (Moved, "changed meanwhile"),
    grpc.StatusCode.PERMISSION_DENIED: (AccessDenied, "Google Cloud refused add_secret_version"),
    grpc.StatusCode.UNAUTHENTICATED: (AccessDenied, "does not know the caller"),
    grpc.StatusCode.INVALID_ARGUMENT: (ConfigError, "rejected the arguments of add_secret_version"),
    grpc.StatusCode.OUT_OF_RANGE: (ConfigError, "rejected the arguments of add_secret_version"),
    grpc.StatusCode.RESOURCE_EXHAUSTED: (StoreUnavailable, "Secret Manager throttled the call"),
    grpc.StatusCode.UNAVAILABLE: (Unanswered, "did not answer (ServiceUnavailable)"),
    grpc.StatusCode.DEADLINE_EXCEEDED: (Unanswered, "did not answer (DeadlineExceeded)"),
    grpc.StatusCode.INTERNAL: (Unanswered, "did not answer (InternalServerError)"),
    grpc.StatusCode.UNKNOWN: (Unanswered, "did not answer (Unknown)"),
    grpc.StatusCode.CANCELLED: (Unanswered, "did not answer (Cancelled)"),
    grpc.StatusCode.DATA_LOSS: (Unanswered, "did not answer (DataLoss)"),
    grpc.StatusCode.UNIMPLEMENTED: (Unanswered, "did not answer (MethodNotImplemented)"),
}


@pytest.mark.parametrize("code", ANSWERS, ids=lambda code: code.name)
def test_answers(
    sim: GcpSimulator,
    code: grpc.StatusCode,
    slept: list[float],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each status is an error of ours; its message, and the value that was sent, are not told."""
    canary, value = secrets.token_urlsafe(), secrets.token_urlsafe()
    monkeypatch.setattr(gcp_client, "_DEADLINE", 0.1)

    def answer(_rpc: object) -> object:
        raise GcpError(code, canary)

    monkeypatch.setattr(sim, "_perform", answer)
    error = failure(lambda: add(manager(sim), value), canary, value)
    kind, words = ANSWERS[code]
    assert type(error) is kind
    assert words in str(error)
    assert slept == [] or code is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_a_precondition_that_failed(sim: GcpSimulator) -> None:
    """Where an etag or a state was given, somebody changed it meanwhile."""
    used = manager(sim)
    wanted = {"name": NAME, "etag": '"another"', "labels": {}}
    mask = {"paths": ["labels"]}
    error = failure(lambda: used.write("update_secret", "key", secret=wanted, update_mask=mask))
    assert type(error) is Moved
    assert "changed meanwhile" in str(error)


def test_every_status_is_in_the_table() -> None:
    """A status that gRPC adds is looked at here."""
    assert set(grpc.StatusCode) - set(ANSWERS) == {grpc.StatusCode.OK}


def test_a_refused_caller(sim: GcpSimulator) -> None:
    """The stand-in's own refusal names the permission, ours the operation."""
    sim.set_role("rotator", [])
    error = failure(lambda: get(manager(sim)), "secretmanager.secrets.get")
    assert type(error) is AccessDenied
    assert "Google Cloud refused get_secret" in str(error)


@pytest.mark.parametrize("how", ["drop", "error"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_lost_answer_to_a_write(
    sim: GcpSimulator, how: str, when: str, slept: list[float]
) -> None:
    """It may have taken effect or not; it was sent once."""
    plan = sim.faults.fail_before if when == "before" else sim.faults.fail_after
    plan(how=how)
    assert type(failure(lambda: add(manager(sim)))) is Unanswered
    assert sim.calls.operations() == ["AddSecretVersion"]
    assert len(sim.secrets["key"].versions) == (when == "after")
    assert slept == []


def test_a_read_is_repeated(sim: GcpSimulator, slept: list[float]) -> None:
    """While the service is away or throttles, for a minute at most; an error of its own is told."""
    sim.faults.fail_before(times=2)
    assert get(manager(sim))
    assert [call.outcome for call in sim.calls] == ["failed before", "failed before", "ok"]
    assert len(slept) == 2
    sim.faults.throttle(1)
    assert get(manager(sim))
    assert len(slept) == 3
    sim.faults.fail_before(how="error")
    assert type(failure(lambda: get(manager(sim)))) is Unanswered


@pytest.mark.usefixtures("slept")
def test_a_read_of_a_service_that_stays_away(
    sim: GcpSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the time for a call with its repetitions it is given up."""
    monkeypatch.setattr(gcp_client, "_DEADLINE", 0.05)
    sim.faults.fail_before(times=10_000)
    error = failure(lambda: get(manager(sim)))
    assert type(error) is Unanswered
    assert "did not answer (ServiceUnavailable)" in str(error)
    assert {call.outcome for call in sim.calls} == {"failed before"}


def test_a_throttled_write_is_repeated(sim: GcpSimulator, slept: list[float]) -> None:
    """Nothing was done, so it is sent again."""
    sim.faults.throttle(2)
    assert add(manager(sim))
    assert len(slept) == 2
    assert list(sim.secrets["key"].versions) == [1]


def test_after_a_throttled_answer_writes_are_spaced(
    sim: GcpSimulator, slept: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the quota, and reads are not; before it is met nobody waits."""
    waits: list[float] = []
    monkeypatch.setattr(gcp_client, "Pacer", functools.partial(Pacer, sleep=waits.append))
    used = manager(sim)
    add(used)
    assert waits == []
    sim.faults.throttle(1)
    add(used)
    for _ in range(3):
        add(used)
        get(used)
    assert len(waits) == 3
    assert max(waits) <= 3 / 9.5
    assert len(slept) == 1


def test_a_quota_that_is_set_is_kept_from_the_first_write_on(
    sim: GcpSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An operator who knows the quota need not run into it."""
    waits: list[float] = []
    monkeypatch.setattr(gcp_client, "Pacer", functools.partial(Pacer, sleep=waits.append))
    used = manager(sim, writes_per_minute=60)
    for _ in range(3):
        add(used)
    assert [round(wait) for wait in waits] == [1, 2]


def test_a_service_that_hangs_is_given_up(
    sim: GcpSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call has its own time."""
    monkeypatch.setattr(gcp_client, "_TIMEOUT", 0.3)
    sim.faults.hang()
    error = failure(lambda: add(manager(sim)))
    assert type(error) is Unanswered
    assert "did not answer (DeadlineExceeded)" in str(error)


def test_pages(sim: GcpSimulator, slept: list[float]) -> None:
    """Each page is asked for again while the service is away; an error on any ends the listing."""
    for _ in range(5):
        add(manager(sim))
    used = manager(sim)

    def numbers() -> list[str]:
        found = used.pages("list_secret_versions", "key", parent=NAME, page_size=2)
        return [version.name.rpartition("/")[2] for version in found]

    assert numbers() == ["5", "4", "3", "2", "1"]
    sim.calls.clear()
    sim.faults.fail_before(2)
    sim.faults.throttle(1)
    assert numbers() == ["5", "4", "3", "2", "1"]
    assert len(sim.calls) == 3 + 2
    assert len(slept) == 2
    sim.faults.fail_before(2, how="error")
    assert type(failure(numbers)) is Unanswered


def test_pages_of_secrets(sim: GcpSimulator) -> None:
    """Secrets are listed by the same means."""
    found = manager(sim).pages("list_secrets", None, parent=f"projects/{PROJECT}")
    assert [secret.name.rpartition("/")[2] for secret in found] == ["key"]


def test_an_error_of_the_sdk_itself(sim: GcpSimulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials that can't be renewed are a setting to mend; a defect shows as what it is."""
    used, canary = manager(sim), secrets.token_urlsafe()
    errors: list[Exception] = [RefreshError(canary), ZeroDivisionError()]  # type: ignore[no-untyped-call]  # as it is declared

    def broken(*_arguments: object, **_options: object) -> object:
        raise errors.pop(0)

    monkeypatch.setattr(SecretManagerServiceClient, "get_secret", broken)
    error = failure(lambda: get(used), canary)
    assert type(error) is ConfigError
    assert "no usable Google credentials (RefreshError)" in str(error)
    with pytest.raises(ZeroDivisionError):
        get(used)


def test_a_retry_that_knows_no_cause(sim: GcpSimulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an answer that was lost."""

    def give_up(*_arguments: object, **_options: object) -> object:
        raise RetryError("given up", cause=None)  # type: ignore[no-untyped-call]  # as above

    monkeypatch.setattr(SecretManagerServiceClient, "get_secret", give_up)
    assert "(RetryError)" in str(failure(lambda: get(manager(sim))))
