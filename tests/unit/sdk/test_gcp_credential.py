"""Who we are on Google Cloud: a file that is passed on, or what the platform offers; no network."""

import json
import os
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import google.auth
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from daena_kms.errors import ConfigError
from daena_kms.sdk.gcp.login import SCOPE, GcpLogin
from google.auth.exceptions import DefaultCredentialsError, RefreshError
from google.oauth2.service_account import Credentials

FILE = "GOOGLE_APPLICATION_CREDENTIALS"


@pytest.fixture(scope="module")
def account() -> dict[str, str]:
    """A service account's key file, made here."""
    made = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return {
        "type": "service_account",
        "project_id": "of-the-file",
        "private_key": pem,
        "client_email": "rotator@example.iam.gserviceaccount.com",
        "token_uri": "https://127.0.0.1:1/token",
    }


@pytest.fixture
def path(account: dict[str, str], tmp_path: Path) -> str:
    """Where it is."""
    file = tmp_path / "credentials.json"
    file.write_text(json.dumps(account))
    return str(file)


@pytest.fixture(autouse=True)
def _unchanged() -> Iterator[None]:
    """Hold the process's environment against what it was."""

    def environ() -> dict[str, str]:
        return {name: os.environ[name] for name in os.environ if not name.startswith("PYTEST")}

    before = environ()
    yield
    assert environ() == before


class Ambient:
    """What the platform offers, in the form of google.auth.default."""

    def __init__(self, project: str | None) -> None:
        self.project = project
        self.asked: list[list[str]] = []
        self.credentials = object()

    def __call__(self, scopes: list[str]) -> tuple[object, str | None]:
        """Return the credentials and the project."""
        self.asked.append(scopes)
        return self.credentials, self.project


@pytest.fixture
def ambient(monkeypatch: pytest.MonkeyPatch) -> Ambient:
    """A platform that offers credentials and a project."""
    offered = Ambient("of-the-platform")
    monkeypatch.setattr(google.auth, "default", offered)
    return offered


@pytest.mark.parametrize("how", ["argument", "environment"])
def test_a_credentials_file_is_passed_on(path: str, ambient: Ambient, how: str) -> None:
    """It is read by us, for one scope, and the process's own environment stays as it is."""
    given: dict[str, Any] = {"credentials_path": path} if how == "argument" else {}
    login = GcpLogin({FILE: path if how == "environment" else "/elsewhere"}, **given)
    found = login.credentials()
    assert isinstance(found, Credentials)
    assert found.service_account_email == "rotator@example.iam.gserviceaccount.com"
    assert found.scopes == [SCOPE]
    assert login.credentials() is found
    assert login.project == "of-the-file"
    assert ambient.asked == []
    assert FILE not in os.environ


def test_what_the_platform_offers(ambient: Ambient) -> None:
    """Without a file Application Default Credentials are used, once, with their project."""
    login = GcpLogin({FILE: "", "GCP_PROJECT_ID": ""})
    assert login.project == "of-the-platform"
    found: object = login.credentials()
    assert found is ambient.credentials
    assert ambient.asked == [[SCOPE]]


@pytest.mark.parametrize(
    ("environ", "project_id", "project"),
    [
        ({"GCP_PROJECT_ID": "set-here"}, None, "set-here"),
        ({"GCP_PROJECT_ID": "set-here"}, "passed", "passed"),
        ({}, "passed", "passed"),
        ({}, "471112345678", "471112345678"),
        ({}, "example.com:old-one", "example.com:old-one"),
    ],
)
def test_a_project_that_is_named(
    ambient: Ambient, environ: Mapping[str, str], project_id: str | None, project: str
) -> None:
    """It is used as it is, and no credentials are needed to know it."""
    login = GcpLogin(environ, project_id=project_id)
    assert login.project == project
    assert ambient.asked == []
    login.credentials()
    assert login.project == project


@pytest.mark.parametrize("project", ["My Project", "a/b", "-a", "a" * 64, "a\n", "ä"])
def test_what_is_no_project(project: str) -> None:
    """It would become part of a resource's name."""
    with pytest.raises(ConfigError, match=r"is not a project\. Set GCP_PROJECT_ID"):
        GcpLogin({"GCP_PROJECT_ID": project})


def test_no_project_at_all(ambient: Ambient) -> None:
    """Where the platform names none either, the variable to set is named."""
    ambient.project = None
    with pytest.raises(ConfigError, match=r"no project is set\. Set GCP_PROJECT_ID"):
        _ = GcpLogin({}).project


def test_credentials_of_ones_own(ambient: Ambient) -> None:
    """They are used as they are."""
    own: Any = object()
    login = GcpLogin({FILE: "/elsewhere"}, credentials=own)
    assert login.credentials() is own
    assert ambient.asked == []


BROKEN = {
    "empty": "",
    "text": "c4nary",
    "list": '["c4nary"]',
    "null": "null",
    "a number": "7",
    "no type": '{"a": "c4nary"}',
    "an unknown type": '{"type": "c4nary"}',
    "a type that is none": '{"type": ["c4nary"]}',
    "an account without a key": '{"type": "service_account", "client_email": "c4nary"}',
    "a user without a token": '{"type": "authorized_user", "client_id": "c4nary"}',
    "a federation of nothing": '{"type": "external_account", "audience": "c4nary"}',
    "a federation of numbers": '{"type": "external_account", "credential_source": 7}',
    "somebody impersonated": '{"type": "impersonated_service_account", "source_credentials": 7}',
}


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN)
def test_a_broken_file(text: str, tmp_path: Path) -> None:
    """It is a setting to mend; its text is not repeated."""
    file = tmp_path / "credentials.json"
    file.write_text(text)
    with pytest.raises(ConfigError, match=r"no usable Google credentials \(") as caught:
        GcpLogin({}, credentials_path=str(file)).credentials()
    assert "c4nary" not in repr(caught.value)
    assert caught.value.__cause__ is None
    assert "GOOGLE_APPLICATION_CREDENTIALS" in str(caught.value)


def test_a_key_that_is_none(account: dict[str, str], tmp_path: Path) -> None:
    """A private key that was cut is not told."""
    file = tmp_path / "credentials.json"
    file.write_text(json.dumps(account | {"private_key": account["private_key"][:200]}))
    with pytest.raises(ConfigError, match=r"no usable Google credentials \(") as caught:
        GcpLogin({FILE: str(file)}).credentials()
    assert account["private_key"][30:60] not in repr(caught.value)


@pytest.mark.parametrize("name", ["missing.json", ".", "binary"])
def test_what_is_no_file(name: str, tmp_path: Path) -> None:
    """A file that is not there, a folder, or bytes that are no text."""
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"no usable Google credentials \("):
        GcpLogin({FILE: str(tmp_path / name)}).credentials()


def test_nobody_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the platform offers nothing, it says what there could be."""

    def nothing(**_options: object) -> object:
        raise DefaultCredentialsError("c4nary")  # type: ignore[no-untyped-call]  # as it is declared

    monkeypatch.setattr(google.auth, "default", nothing)
    with pytest.raises(ConfigError, match="gcloud auth application-default login") as caught:
        GcpLogin({}).credentials()
    assert "c4nary" not in repr(caught.value)


def test_what_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the SDK it says what to install."""
    monkeypatch.setitem(sys.modules, "google.auth", None)
    monkeypatch.delattr("google.auth")
    with pytest.raises(ConfigError, match=r"pip install 'daena-kms\[gcp\]'"):
        GcpLogin({}).credentials()


class Renewing:
    """Credentials whose token ends, in the form that google-auth gives them."""

    def __init__(self, expiry: datetime | None, error: Exception | None = None) -> None:
        self.token: str | None = None
        self.expiry = expiry
        self.error = error
        self.refreshed = 0

    @property
    def valid(self) -> bool:
        """Whether the token can be used still."""
        return self.token is not None

    def refresh(self, _request: object) -> None:
        """Get a token."""
        self.refreshed += 1
        if self.error is not None:
            raise self.error
        self.token = f"token-{self.refreshed}"


def test_a_token_is_renewed_when_it_has_ended() -> None:
    """And comes with the time when it is to be asked for anew, in UTC."""
    found: Any = Renewing(datetime(2031, 1, 1, 12))
    login = GcpLogin({}, credentials=found)
    ends = datetime(2031, 1, 1, 12, tzinfo=UTC)
    assert [login.token() for _ in range(2)] == [("token-1", ends)] * 2
    found.token = None
    assert login.token() == ("token-2", ends)


def test_a_token_that_says_no_end() -> None:
    """It is asked for anew after some minutes."""
    found: Any = Renewing(None)
    before = datetime.now(UTC)
    token, ends = GcpLogin({}, credentials=found).token()
    assert token == "token-1"  # noqa: S105 - made up above
    assert before < ends <= datetime.now(UTC) + timedelta(minutes=10)


def test_a_token_that_is_refused() -> None:
    """It is a setting to mend; the refusal's text is not told."""
    refusal = RefreshError("c4nary")  # type: ignore[no-untyped-call]  # as it is declared
    found: Any = Renewing(None, refusal)
    with pytest.raises(ConfigError, match=r"\(RefreshError\)") as caught:
        GcpLogin({}, credentials=found).token()
    assert "c4nary" not in repr(caught.value)
    assert caught.value.__cause__ is None
