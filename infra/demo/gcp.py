"""The demo on Google Cloud: the functions in functions-framework, Secret Manager, Cloud Storage."""

import base64
import contextlib
import functools
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from daena_kms.audit.verify import verify
from daena_kms.cli.page import Page
from daena_kms.errors import StoreUnavailable
from daena_kms.objects.base import Objects
from daena_kms.objects.gcs import gcs_objects

from infra.local.stand_in import StandIn

_KEYS = {"orders-encryption-key": 92, "session-signing-key": 120, "fresh-key": 0}
_START_SECONDS, _ANSWER_SECONDS = 30.0, 60.0
_SOURCE = Path(__file__).parents[2] / "functions_gcp" / "main.py"
_AUDIT = "gs://audit/audit"


def show(page: Page, folder: Path) -> None:
    """Show the functions rotating secrets of a project on this machine."""
    folder.mkdir(parents=True)
    with contextlib.ExitStack() as stack:
        cloud = stack.enter_context(StandIn("gcp"))
        page.head("Google Cloud: a Secret Manager, Cloud Storage, three secrets.")
        environment = cloud.addresses["environment"]
        consumer = _Consumer(cloud.addresses["target"], environment["GCP_PROJECT_ID"])
        stack.callback(consumer.close)
        for key_id, days in _KEYS.items():
            _made_before(cloud, days, functools.partial(consumer.make, key_id))
        before = {key_id: consumer.read(key_id, "current") for key_id in _KEYS}

        page.head("Cloud Scheduler calls the function, in Google's own functions-framework.")
        with _function(_SOURCE, "scheduled", environment, folder) as url:
            first = _post(url, "/")
            page.say(
                f"rotated {', '.join(first['rotated'])}; {first['counts']['keys']} keys looked at"
            )
            page.check(
                "the two that were due are rotated, the fresh one is left alone",
                holds=first["rotated"] == ["orders-encryption-key", "session-signing-key"],
            )
            again = _post(url, "/")
            page.check("the job that is delivered twice does nothing more", holds=_idle(again))

        page.head("A consumer reads with the SDK alone, as it always did.")
        was = before["orders-encryption-key"]
        new, old = (consumer.read("orders-encryption-key", a) for a in ("current", "previous"))
        page.check("versions/current is the new value", holds=new != was)
        page.check("versions/previous is the old one", holds=old == was)

        report = verify(_log(environment))
        page.say(f"{report.objects} objects of {report.runs} runs in {_AUDIT}")
        page.check("the audit log in the bucket verifies", holds=report.ok)


class _Consumer:
    """An application, and whoever set it up: the official client and nothing of ours."""

    def __init__(self, target: str, project: str) -> None:
        import grpc
        from google.cloud import secretmanager_v1 as sdk

        transport = sdk.SecretManagerServiceClient.get_transport_class("grpc")
        self._channel = grpc.insecure_channel(target)
        self._client: Any = sdk.SecretManagerServiceClient(
            transport=transport(channel=self._channel)
        )
        self._project = f"projects/{project}"

    def close(self) -> None:
        """End the connection."""
        self._channel.close()

    def make(self, key_id: str) -> None:
        """Make a secret with our tag, its first version being ``current``."""
        secret = {"replication": {"automatic": {}}, "annotations": {"daena.managed": "true"}}
        made = self._client.create_secret(parent=self._project, secret_id=key_id, secret=secret)
        payload = {"data": f"made by hand for {key_id}".encode()}
        self._client.add_secret_version(parent=made.name, payload=payload)
        named = {"name": made.name, "version_aliases": {"current": 1}}
        self._client.update_secret(secret=named, update_mask={"paths": ["version_aliases"]})

    def read(self, key_id: str, alias: str) -> bytes:
        """Read a value by an alias."""
        name = f"{self._project}/secrets/{key_id}/versions/{alias}"
        return bytes(self._client.access_secret_version(name=name).payload.data)


def _made_before(cloud: StandIn, days: int, make: Callable[[], None]) -> None:
    """Make something as of some days ago: the stand-in's clock is set back for that."""
    url, back = cloud.addresses["storage_url"], timedelta(days=days).total_seconds()
    cloud.control(url, "shift_clock", seconds=-back)
    make()
    cloud.control(url, "shift_clock", seconds=back)


@contextlib.contextmanager
def _function(
    source: Path, target: str, environment: Mapping[str, str], folder: Path
) -> Iterator[str]:
    """Run a function in a process of functions-framework; yields its address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    program = Path(sys.executable).with_name("functions-framework")
    command = [str(program), "--source", str(source), "--target", target]
    # With no setting of the person's in between.
    own = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    with (folder / "function.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--signature-type", "http", "--host", "127.0.0.1", "--port", str(port)],
            # The demo plays Cloud Run, which checks callers before the function runs.
            env={**own, **environment, "GCP_INVOKER_IAM_CHECK": "true"},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        _wait(process, port, folder / "function.log")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def _wait(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    ends = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < ends:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    text = log.read_text(errors="replace")[-2000:]
    raise StoreUnavailable("functions-framework did not start", todo=text)


def _post(url: str, path: str) -> Mapping[str, Any]:
    request = urllib.request.Request(url + path, b"{}", method="POST")
    request.add_header("Content-Type", "application/json")
    request.add_header("Authorization", f"Bearer {_checked_token()}")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=_ANSWER_SECONDS) as answer:
            found: Mapping[str, Any] = json.loads(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            text = error.read().decode(errors="replace")[-2000:]
        raise StoreUnavailable(f"the function answered {error.code}", todo=text) from None
    return found


def _checked_token() -> str:
    """Return a token as Cloud Run passes it on after it has checked who calls."""
    claims = json.dumps({"email": "scheduler@demo.iam.gserviceaccount.com"}).encode()
    body = base64.urlsafe_b64encode(claims).rstrip(b"=").decode()
    return f"e30.{body}.SIGNATURE_REMOVED_BY_GOOGLE"


def _idle(summary: Mapping[str, Any]) -> bool:
    return not summary["rotated"] and summary["counts"]["keys"] == len(_KEYS)


def _log(environment: Mapping[str, str]) -> Objects:
    def token() -> tuple[str, datetime]:
        return "demo", datetime.now(UTC) + timedelta(hours=1)

    return gcs_objects(_AUDIT, "audit", "audit", token=token, environ=environment)
