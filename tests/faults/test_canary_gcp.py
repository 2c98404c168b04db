"""On Google Cloud a key's value appears only in its secret, also where the client logs payloads."""

import json
import logging
import secrets
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from daena_kms.audit import open_log
from daena_kms.cloud_kms import GCPSecretManagerAdapter
from daena_kms.rules.durations import format_time
from google.api_core import client_logging

from infra.local.faults import How, only
from infra.local.gcp.crc32c import crc32c
from infra.local.gcp.sim import BUCKET, PROJECT
from infra.local.gcp.state import DISABLED, Version
from infra.local.http_server import Listener, Request, Response
from tests.faults.leaks import (
    KEY,
    NEW,
    Recorder,
    canary,
    check_errors,
    leaked,
    live,
    recorded,
)
from tests.worlds.gcp import GcpWorld
from tests.worlds.kinds import open_world

#: The client's log that holds whole messages at DEBUG.
PAYLOADS = "google.cloud.secretmanager_v1.services.secret_manager_service.transports.grpc"
SECRETS, ADDING = only("secretmanager", None), only("secretmanager", "AddSecretVersion")


@pytest.fixture
def logs() -> Iterator[Recorder]:
    """Record everything that is logged anywhere, at DEBUG."""
    with recorded() as recorder:
        yield recorder


@pytest.fixture
def gcp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[GcpWorld]:
    """Give an empty Google Cloud, and no time to try a call again."""
    monkeypatch.setattr("daena_kms.sdk.gcp.client._DEADLINE", 0.0)
    with open_world("gcp", tmp_path) as world:
        assert isinstance(world, GcpWorld)
        yield world


@pytest.fixture
def tokens() -> Iterator[tuple[str, str]]:
    """Serve an endpoint for tokens; gives its address, and the token that everybody gets."""
    token = secrets.token_urlsafe(32)
    body = json.dumps({"access_token": token, "expires_in": 3600, "token_type": "Bearer"})

    def answer(_request: Request) -> Response:
        return Response(200, body.encode(), {"Content-Type": "application/json"})

    server = Listener(0, answer)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/token", token
    finally:
        server.shutdown()
        thread.join()
        server.end_connections()
        server.server_close()


def account_file(folder: Path, token_uri: str) -> tuple[Path, str]:
    """Write a service account's file, and return it with the account's private key."""
    key = generate_private_key(65537, 2048).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    path = folder / "account.json"
    account = {
        "type": "service_account",
        "project_id": PROJECT,
        "private_key": key.decode(),
        "client_email": f"rotator@{PROJECT}.iam.gserviceaccount.com",
        "token_uri": token_uri,
    }
    path.write_text(json.dumps(account))
    return path, "".join(key.decode().splitlines()[1:-1])


def test_no_log_holds_a_value(gcp: GcpWorld, logs: Recorder) -> None:
    """With every logger at DEBUG nothing of a value is logged, whoever made the client."""
    values = live(gcp)
    assert leaked(values, logs.texts) == []
    assert "daena_kms" in logs.names


def test_no_log_of_a_client_of_ours_holds_a_value(
    gcp: GcpWorld,
    logs: Recorder,
    tokens: tuple[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nor with our own client, nor anything of the account that reaches the log."""
    token_uri, token = tokens
    path, private = account_file(tmp_path, token_uri)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
    monkeypatch.setenv("GCP_SECRET_MANAGER_ENDPOINT", gcp.sim.target)
    adapter = GCPSecretManagerAdapter()
    gcp.adapter = adapter
    gcp.log = open_log(f"gs://{BUCKET}/own", login=adapter.login)
    values = live(gcp)
    assert adapter.login.token()[0] == token
    assert leaked([*values, token, private], logs.texts) == []


def test_the_search_would_find_it(
    gcp: GcpWorld, logs: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the filter on the client's loggers values are there, sent and received."""
    monkeypatch.setattr("daena_kms.sdk.quiet._Silence.filter", lambda *_: True)
    value = canary()
    gcp.adapter.create_key(NEW, value)
    assert leaked([value], logs.texts)
    logs.texts.clear()
    gcp.adapter.get_key(NEW)
    assert leaked([value], logs.texts)
    assert PAYLOADS in logs.names


def test_the_client_s_own_logging_holds_no_value(
    gcp: GcpWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    """What GOOGLE_SDK_PYTHON_LOGGING_SCOPE=google lets the client print is an application's own."""
    logger = logging.getLogger("google")
    before = logger.handlers[:], logger.level, logger.propagate
    logger.handlers, logger.propagate = [], True
    logger.setLevel(logging.NOTSET)
    try:
        client_logging.setup_logging("google")
        values = live(gcp)
        assert leaked(values, capsys.readouterr()) == []
        theirs = gcp.client.access_secret_version(request={"name": f"{gcp.name(KEY)}/versions/1"})
        assert leaked([theirs.payload.data.decode()], capsys.readouterr())
    finally:
        logger.handlers, level, logger.propagate = before
        logger.setLevel(level)


def _version(world: GcpWorld) -> Version:
    """Return the current version, to be changed behind everybody's back."""
    return world.sim.secrets[KEY].versions[2]


def _annotate(world: GcpWorld, name: str, text: str) -> None:
    secret = world.sim.secrets[KEY]
    secret.annotations[name] = text
    secret.touch()


def _claimed(world: GcpWorld) -> None:
    times = [format_time(world.began + minutes * timedelta(minutes=1)) for minutes in (0, 15)]
    claim = {"id": "theirs", "highest": 2, "at": times[0], "until": times[1]}
    _annotate(world, "daena-claim", json.dumps(claim))


def _binary(world: GcpWorld) -> None:
    version = _version(world)
    version.data = b"\xff" + world.sim.secrets[KEY].versions[1].data
    version.crc32c = crc32c(version.data)


def _damaged(world: GcpWorld) -> None:
    _version(world).data = world.sim.secrets[KEY].versions[1].data + b"x"


FAULTS: dict[str, Callable[[GcpWorld], object]] = {
    "dropped": lambda w: w.sim.faults.fail_before(1, when=SECRETS, times=99),
    "lost": lambda w: w.sim.faults.fail_after(1, when=SECRETS, times=99),
    "error": lambda w: w.sim.faults.fail_before(1, when=SECRETS, how=How.ERROR, times=99),
    "error after": lambda w: w.sim.faults.fail_after(1, when=ADDING, how=How.ERROR, times=99),
    "throttled": lambda w: w.sim.faults.throttle(99, when=SECRETS),
    "create denied": lambda w: w.sim.faults.deny("CreateSecret"),
    "add denied": lambda w: w.sim.faults.deny("AddSecretVersion"),
    "update denied": lambda w: w.sim.faults.deny("UpdateSecret"),
    "read denied": lambda w: w.sim.faults.deny("AccessSecretVersion"),
    "claimed": _claimed,
    "binary": _binary,
    "damaged": _damaged,
    "disabled": lambda w: _version(w).become(DISABLED, w.began),
    "exists": lambda w: w.adapter.create_key(NEW),
    "held": lambda w: _annotate(w, "daena.hold", "true"),
    "deleted": lambda w: w.sim.secrets.by_name.clear(),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_no_error_holds_a_value(gcp: GcpWorld, logs: Recorder, fault: str) -> None:
    """Whatever goes wrong while a value is written or read, no error, cause or log shows it."""
    value = secrets.token_urlsafe(40)
    gcp.adapter.create_key(KEY, value)
    gcp.adapter.rotate_key(KEY)
    FAULTS[fault](gcp)
    # A lost answer is found out, and a rotation mends: then only what no store takes is an error.
    check_errors(gcp, logs, value, least=3 if fault in {"error after", "disabled"} else 4)
