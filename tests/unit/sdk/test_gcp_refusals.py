"""What Google's errors mean: a login, a clock, a certificate, a file, and the network last."""

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from daena_kms.cloud_kms import GCPSecretManagerAdapter
from daena_kms.errors import ConfigError, DaenaKMSError, StoreUnavailable
from daena_kms.sdk.errors import WrongClock
from daena_kms.sdk.gcp.client import SecretManager
from daena_kms.sdk.gcp.errors import mapped
from daena_kms.sdk.gcp.login import GcpLogin
from google.api_core import exceptions as api_exceptions
from google.auth import exceptions as auth_exceptions
from google.auth.transport import requests as transport

CANARY = "c4naRy"
#: As they are declared, their constructors have no types.
auth: Any = auth_exceptions
exceptions: Any = api_exceptions
REFUSALS = [
    (
        auth.RefreshError(
            "invalid_grant: Invalid JWT: Token must be a short-lived token (60 minutes) and in a "
            f"reasonable timeframe. Check your iat and exp values in the JWT claim. {CANARY}"
        ),
        *(WrongClock, "this machine's clock is wrong"),
    ),
    (auth.InvalidValue(f"Token used too early, 1 < 2. {CANARY}"), WrongClock, "clock is wrong"),
    (auth.InvalidValue(f"Token expired, 1 < 2 {CANARY}"), WrongClock, "clock is wrong"),
    (auth.RefreshError("invalid_grant: Invalid JWT Signature."), ConfigError, "does not exist any"),
    (auth.RefreshError("invalid_grant: account not found"), ConfigError, "does not exist any more"),
    (
        auth.RefreshError("invalid_grant: Token has been expired or revoked."),
        *(ConfigError, "expired or was revoked.*gcloud auth application-default login"),
    ),
    (
        auth.RefreshError("invalid_grant: reauth related error (invalid_rapt)"),
        ConfigError,
        "expired",
    ),
    (auth.ReauthFailError(CANARY), ConfigError, "expired or was revoked"),
    (auth.DefaultCredentialsError(f"File {CANARY} was not found."), ConfigError, "can't be read"),
    (auth.MalformedError(CANARY), ConfigError, "has not the form of one"),
    (auth.TransportError(f"{CANARY} CERTIFICATE_VERIFY_FAILED"), StoreUnavailable, "certificate"),
    (auth.TransportError(CANARY), StoreUnavailable, "Check the network"),
    (auth.ClientCertError(CANARY), ConfigError, "client certificate"),
]


@pytest.mark.parametrize(("error", "kind", "words"), REFUSALS, ids=lambda v: type(v).__name__)
def test_refusals(error: Exception, kind: type[DaenaKMSError], words: str) -> None:
    """Each says what to mend, and nothing of its text."""

    def call() -> None:
        raise error

    with pytest.raises(kind, match=words) as caught:
        mapped(call, "add_secret_version", "key")
    assert type(caught.value) is kind
    assert CANARY not in repr(caught.value)
    assert caught.value.key_id == "key"
    if kind is not StoreUnavailable:
        assert "network" not in str(caught.value)


CALLS = [
    (exceptions.ServiceUnavailable("x CERTIFICATE_VERIFY_FAILED"), "certificate is not trusted"),
    (exceptions.ServiceUnavailable("DNS resolution failed for x"), "name can't be looked up"),
    (exceptions.ServiceUnavailable(CANARY), "Check the network"),
    (exceptions.RetryError(CANARY, cause=exceptions.DeadlineExceeded(CANARY)), "Check the network"),
    (exceptions.MovedPermanently(CANARY), "did not come from Secret Manager"),
    (exceptions.InternalServerError(CANARY), "failed by itself"),
    (exceptions.DuplicateCredentialArgs(CANARY), "refused the call"),
    (grpc.RpcError(CANARY), "failed by itself"),
    (exceptions.GoogleAPIError(CANARY), "failed by itself"),
]


@pytest.mark.parametrize(("error", "words"), CALLS, ids=lambda value: type(value).__name__)
def test_calls(error: Exception, words: str) -> None:
    """A certificate, a name and a proxy are told apart from the network."""

    def call() -> None:
        raise error

    with pytest.raises(DaenaKMSError, match=words) as caught:
        mapped(call, "add_secret_version", "key")
    assert CANARY not in repr(caught.value)


class Asking:
    """Credentials that ask, and are refused as Google refuses a wrong clock."""

    token: str | None = None
    expiry = None
    valid = False

    def refresh(self, request: Callable[..., object]) -> None:
        """Ask, and be refused."""
        request("https://oauth2.googleapis.com/token", method="POST")
        text = "invalid_grant: Invalid JWT: check your iat and exp values"
        raise auth.RefreshError(text)


def test_the_clock_is_measured_by_the_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK drops the answer's time; we note it when it passes."""
    theirs = (datetime.now(UTC) - timedelta(days=1)).replace(microsecond=0)
    answer = SimpleNamespace(headers={"date": format_datetime(theirs, usegmt=True)})
    monkeypatch.setattr(transport, "Request", lambda: lambda *_given, **_named: answer)
    asking: Any = Asking()
    with pytest.raises(WrongClock, match="ahead of theirs") as caught:
        GcpLogin({}, credentials=asking).token()
    assert caught.value.theirs == theirs


@pytest.mark.parametrize("error", [OSError(CANARY), ValueError(CANARY), KeyError(CANARY)])
def test_a_token_that_can_not_be_renewed(error: Exception) -> None:
    """A file of a federation that went away, or that holds something else."""

    class Broken(Asking):
        def refresh(self, request: object) -> None:
            del request
            raise error

    broken: Any = Broken()
    with pytest.raises(ConfigError, match=r"no usable Google credentials \(") as caught:
        GcpLogin({}, credentials=broken).token()
    assert CANARY not in repr(caught.value)


def test_the_universe_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sovereign cloud's credentials file names its domain, and the client goes there."""
    monkeypatch.delenv("GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", raising=False)
    file = tmp_path / "credentials.json"
    content = {
        "type": "authorized_user",
        "client_id": "a",
        "client_secret": "b",
        "refresh_token": "c",
        "universe_domain": "apis-example.goog",
    }
    file.write_text(json.dumps(content))
    login = GcpLogin({"GCP_PROJECT_ID": "p"}, credentials_path=str(file))
    assert login.universe == "apis-example.goog"
    for location, host in (
        (None, "secretmanager.apis-example.goog:443"),
        ("europe-west1", "secretmanager.europe-west1.rep.apis-example.goog:443"),
    ):
        client: Any = SecretManager(login, location)._made()
        assert client.transport.host == host
        client.transport.close()
    assert GcpLogin({}).universe == "googleapis.com"


EMPTY = (
    *("GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CLOUD_UNIVERSE_DOMAIN", "GCP_PROJECT_ID"),
    *("GCP_LOCATION", "GCP_SECRET_MANAGER_ENDPOINT", "GOOGLE_CLOUD_PROJECT", "REQUESTS_CA_BUNDLE"),
    *("GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", "GCP_KMS_KEY_NAMES", "GCP_REPLICAS"),
)


def test_empty_variables_are_not_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither for us nor for the SDK, and the environment stays as it is."""
    for name in EMPTY:
        monkeypatch.setenv(name, "")
    file = tmp_path / "credentials.json"
    user = {"type": "authorized_user", "client_id": "a", "client_secret": "b", "refresh_token": "c"}
    file.write_text(json.dumps(user))
    before = dict(os.environ)
    adapter = GCPSecretManagerAdapter("p", str(file))
    client: Any = adapter.manager._made()
    assert client.transport.host == "secretmanager.googleapis.com:443"
    client.transport.close()
    assert dict(os.environ) == before


@pytest.mark.parametrize("name", ["GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", "REQUESTS_CA_BUNDLE"])
def test_certificates_that_are_not_there(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is named; gRPC would say that nobody answers."""
    for each in ("GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(each, raising=False)
    monkeypatch.setenv(name, str(tmp_path / "none.pem"))
    file = tmp_path / "credentials.json"
    user = {"type": "authorized_user", "client_id": "a", "client_secret": "b", "refresh_token": "c"}
    file.write_text(json.dumps(user))
    with pytest.raises(ConfigError, match=f"the file that {name} names can't be read"):
        GCPSecretManagerAdapter("p", str(file)).manager.read("get_secret", "key")
