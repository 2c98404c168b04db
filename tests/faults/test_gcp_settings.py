"""Google Cloud's settings that are missing or odd, and a login that fails."""

import json
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from daena_kms.audit import open_log
from daena_kms.cloud_kms import GCPSecretManagerAdapter, get_cloud_kms_adapter
from daena_kms.errors import AuditUnavailable, ConfigError

from infra.local.gcp.sim import BUCKET, PROJECT
from tests.faults.leaks import texts_of
from tests.worlds.base import refused
from tests.worlds.gcp import GcpWorld

KEY = "app-key"


@pytest.fixture
def gcp(gcp: GcpWorld) -> GcpWorld:
    """Give a Google Cloud with one key."""
    gcp.operations().create(KEY)
    return gcp


@pytest.fixture
def nowhere() -> Iterator[str]:
    """Give an address at which nobody listens, and nobody will."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{taken.getsockname()[1]}"


@pytest.fixture(autouse=True)
def _no_developer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither gcloud's login nor a machine's identity is found."""
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path / "gcloud"))
    monkeypatch.setenv("NO_GCE_CHECK", "true")


SETTINGS = {
    "GCP_PROJECT_ID": ["UPPER", "a/b", "my project", "projects/x", "x" * 100, "-a", "a:", "é"],
    "GCP_LOCATION": ["Europe", "europe west", "a/b", "1", "x" * 200],
    "GCP_WRITES_PER_MINUTE": ["0", "-1", "1.5", "many", "٣", "1" * 9],
    "GCP_REPLICAS": ["Europe-West1", "europe-west1;us-east1", "a/b"],
    "GCP_KMS_KEY_NAMES": ["key", "projects/p/locations/global/keyRings/r/cryptoKeys/"],
    "GCP_VERSION_DESTROY_TTL": ["23h", "30", "-1d", "never", "soon"],
}


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_that_are_odd(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A setting that can't be used is named at once, with what would do."""
    monkeypatch.setenv("DAENA_CLOUD_KMS_PROVIDER", "gcp")
    monkeypatch.setenv("GCP_PROJECT_ID", PROJECT)
    for text in SETTINGS[name]:
        monkeypatch.setenv(name, text)
        with pytest.raises(ConfigError) as caught:
            get_cloud_kms_adapter()
        assert caught.value.todo
        shown = str(caught.value)
        assert name in shown or "such as europe-west1" in shown
        assert len(shown) < 250


def test_settings_that_don_t_go_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Places and their KMS keys must fit, and only one provider may be pointed to."""
    key = "projects/p/locations/{}/keyRings/r/cryptoKeys/k".format
    for replicas, keys, location, words in (
        ("", key("europe-west1"), "", "GCP_REPLICAS"),
        ("europe-west1,us-east1", key("europe-west1"), "", "no key in us-east1"),
        ("europe-west1", "", "europe-west1", "no replicas"),
    ):
        monkeypatch.setenv("GCP_REPLICAS", replicas)
        monkeypatch.setenv("GCP_KMS_KEY_NAMES", keys)
        monkeypatch.setenv("GCP_LOCATION", location)
        with pytest.raises(ConfigError, match=words):
            GCPSecretManagerAdapter(PROJECT)
    monkeypatch.setenv("GCP_PROJECT_ID", PROJECT)
    monkeypatch.setenv("AWS_KMS_KEY_ID", "x")
    with pytest.raises(ConfigError, match="points to aws and gcp"):
        get_cloud_kms_adapter()


@pytest.mark.parametrize(
    "address",
    [
        *("secretmanager.googleapis.com:443", "http://127.0.0.1:1", "0.0.0.0:1", "127.0.0.1"),
        *("127.0.0.1:port", "127.0.0.1:1@evil.example:443", "localhost.evil.example:1"),
        "127.0.0.1:1\n",
    ],
    ids=range(8),
)
def test_an_emulator_elsewhere(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without TLS and credentials only this machine is talked to."""
    monkeypatch.setenv("GCP_SECRET_MANAGER_ENDPOINT", address)
    with pytest.raises(ConfigError, match=r"emulator.*127\.0\.0\.1:PORT"):
        GCPSecretManagerAdapter(PROJECT).list_keys()


def test_no_login(gcp: GcpWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No credentials, or no file of that name: it is said how to log in, and nothing is changed."""
    with refused(gcp, ConfigError, "GCP_PROJECT_ID|GOOGLE_APPLICATION_CREDENTIALS"):
        GCPSecretManagerAdapter().list_keys()
    with refused(gcp, ConfigError, "no usable Google credentials.*GOOGLE_APPLICATION_CREDENTIALS"):
        GCPSecretManagerAdapter(PROJECT).rotate_key(KEY)
    with refused(gcp, AuditUnavailable, "gs://.*can't be.*credentials"):
        open_log(f"gs://{BUCKET}").children("log/")
    for path in (tmp_path / "gone.json", tmp_path, Path("/dev/null")):
        with refused(gcp, ConfigError, "no usable Google credentials"):
            GCPSecretManagerAdapter(PROJECT, str(path)).list_keys()
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
        with refused(gcp, ConfigError, "no usable Google credentials"):
            GCPSecretManagerAdapter(PROJECT).list_keys()


FILES = {
    "no JSON": '{"private_key": "word-of-it"',
    "a list": '["word-of-it"]',
    "a text": '"word-of-it"',
    "of no kind": '{"private_key": "word-of-it"}',
    "of another kind": '{"type": "word-of-it"}',
    "half an account": '{"type": "service_account", "private_key": "word-of-it"}',
    "a broken key": json.dumps(
        {
            "type": "service_account",
            "client_email": "a@b",
            "token_uri": "http://127.0.0.1",
            "private_key": "-----BEGIN PRIVATE KEY-----\nword-of-it\n-----END PRIVATE KEY-----",
        }
    ),
    "a number for a key": json.dumps(
        {"type": "service_account", "client_email": "a@b", "token_uri": "x", "private_key": 7}
    ),
    "half a federation": '{"type": "external_account", "audience": "word-of-it"}',
}


@pytest.mark.parametrize("kind", FILES)
def test_a_file_that_holds_no_credentials(
    gcp: GcpWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """A file that can't be used is told as one; nothing of it is repeated."""
    path = tmp_path / "account.json"
    path.write_text(FILES[kind])
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
    with refused(gcp, ConfigError, "no usable Google credentials"):
        GCPSecretManagerAdapter(PROJECT).list_keys()
    with pytest.raises(ConfigError) as caught:
        GCPSecretManagerAdapter(PROJECT).list_keys()
    assert not [text for text in texts_of(caught.value) if "word-of-it" in text]


def test_a_proxy_is_not_for_an_emulator(
    gcp: GcpWorld, nowhere: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proxy of the environment is not asked for what is on this machine."""
    for name in ("https_proxy", "HTTPS_PROXY", "http_proxy", "grpc_proxy"):
        monkeypatch.setenv(name, f"http://user:password-of-it@{nowhere}")
    monkeypatch.setenv("GCP_SECRET_MANAGER_ENDPOINT", gcp.sim.target)
    assert GCPSecretManagerAdapter(PROJECT).list_keys() == [KEY]


def test_a_log_without_its_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is there a log without the library that writes it."""
    monkeypatch.setitem(sys.modules, "obstore.store", None)
    with pytest.raises(ConfigError, match=r"obstore is not installed.*'daena-kms\[gcp\]'"):
        open_log(f"gs://{BUCKET}")
