"""Blob Storage that refuses, is away, hangs or is not there, in our words."""

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import CredentialUnavailableError
from daena_kms.errors import AuditUnavailable, DaenaKMSError, StoreUnavailable
from daena_kms.objects import cloud
from daena_kms.objects.base import AUDIT, CLAIMS, AlreadyExists, Objects, Use

from infra.local.azure.blob import ACCOUNT
from infra.local.azure.sim import AzureSimulator
from infra.local.faults import only
from tests.unit.objects.azure_logs import opened

NAME = "log/2026/03/01/12/run/000000.json"
PUT = only("blob", "PutBlob")


@pytest.fixture
def sim(monkeypatch: pytest.MonkeyPatch) -> Iterator[AzureSimulator]:
    """An account with the containers ``audit`` and ``claims``."""
    with AzureSimulator() as simulator:
        monkeypatch.setenv("AZURE_STORAGE_ENDPOINT", simulator.blob_url)
        yield simulator


CALLS: dict[str, Callable[[Objects], object]] = {
    "PutBlob": lambda log: log.put_new("log/new", b""),
    "GetBlob": lambda log: log.get("log/x"),
    "ListBlobs": lambda log: log.entries("log/"),
    "ListBlobs, folders": lambda log: log.children("log/"),
}


@pytest.mark.parametrize(
    ("use", "error"), [(AUDIT, AuditUnavailable), (CLAIMS, StoreUnavailable)], ids=["log", "claims"]
)
@pytest.mark.parametrize("operation", CALLS)
def test_what_is_denied_is_reported(
    sim: AzureSimulator, operation: str, use: Use, error: type[DaenaKMSError]
) -> None:
    """A caller without permission hears it at once, in our words, for what it was needed for."""
    log = opened(sim, use=use)
    sim.faults.deny(operation.partition(",")[0])
    with pytest.raises(error, match=rf"{use.label} az://.*permissions") as caught:
        CALLS[operation](log)
    assert "not authorized" not in repr(caught.value)
    assert caught.value.__cause__ is None
    assert len(sim.calls) == 1 + (operation == "PutBlob")


@pytest.mark.parametrize("operation", ["PutBlob", "ListBlobs", "ListBlobs, folders"])
def test_a_missing_container_is_reported(sim: AzureSimulator, operation: str) -> None:
    """It is never an empty log."""
    log = opened(sim, "no-such-container")
    with pytest.raises(AuditUnavailable, match=f"az://{ACCOUNT}/no-such-container can't be"):
        CALLS[operation](log)
    with pytest.raises(AuditUnavailable, match="can't be read"):
        log.get(NAME)


@pytest.mark.parametrize("how", ["drop", "error"])
def test_a_short_failure_is_tried_again(sim: AzureSimulator, how: str) -> None:
    """A put that failed before it took effect is sent again; a lost answer finds the object."""
    log = opened(sim)
    sim.faults.fail_before(when=PUT, how=how)
    log.put_new("one", b"one")
    assert log.get("one") == b"one"
    sim.faults.fail_after(when=PUT, how=how)
    with pytest.raises(AlreadyExists):
        log.put_new("two", b"two")
    assert log.get("two") == b"two"


def test_throttling_is_waited_out(sim: AzureSimulator) -> None:
    """ServerBusy is tried again."""
    sim.faults.throttle(1, when=PUT)
    opened(sim).put_new(NAME, b"one")
    assert sim.calls.counts()["PutBlob"] == 2


def test_a_store_that_hangs_is_given_up(
    sim: AzureSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each call of a store that never answers ends within its limits."""
    assert timedelta(minutes=1) > cloud.TIMEOUT + cloud.RETRY_TIMEOUT
    monkeypatch.setattr(cloud, "TIMEOUT", timedelta(seconds=0.2))
    monkeypatch.setattr(cloud, "RETRY_TIMEOUT", timedelta(seconds=0.3))
    log = opened(sim)
    sim.faults.hang(times=1000, when=only("blob", None))
    for call in CALLS.values():
        with pytest.raises(AuditUnavailable, match=f"az://{ACCOUNT}/audit"):
            call(log)


class NoLogin:
    """A credential that finds nobody to log in as, or is refused."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def get_token(self, *_scopes: str, **_options: object) -> AccessToken:
        """Fail."""
        raise self.error


@pytest.mark.parametrize(
    "error",
    [
        CredentialUnavailableError("c4nary"),
        ClientAuthenticationError("Authentication failed: c4nary"),
        OSError("c4nary"),
    ],
    ids=["nobody", "refused", "no file"],
)
@pytest.mark.parametrize("operation", CALLS)
def test_a_failed_login_is_reported(sim: AzureSimulator, operation: str, error: Exception) -> None:
    """Nothing is sent, and the error is one of ours, without the login's text."""
    with pytest.raises(DaenaKMSError) as caught:
        CALLS[operation](opened(sim, credential=NoLogin(error)))
    assert "c4nary" not in repr(caught.value)
    assert len(sim.calls) == 0


def test_an_expired_token_is_reported(sim: AzureSimulator) -> None:
    """The account refuses it."""
    with pytest.raises(AuditUnavailable, match="Check the credentials"):
        opened(sim, credential=sim.credential(lifetime=-60)).put_new(NAME, b"")
