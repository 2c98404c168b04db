"""On Google Cloud neither a value nor the account's own key and token reach a log."""

import json
import logging
import secrets
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from daena_kms.audit import open_log
from daena_kms.cloud_kms import GCPSecretManagerAdapter
from google.api_core import client_logging

from infra.local.gcp.sim import BUCKET, PROJECT
from infra.local.http_server import Listener, Request, Response
from tests.faults.leaks import KEY, Recorder, leaked, live
from tests.worlds.gcp import GcpWorld


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
