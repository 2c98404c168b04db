"""The real functions of ``functions_gcp`` in functions-framework, beside a simulated project."""

import base64
import contextlib
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from email.message import Message
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, NamedTuple, Self

from daena_kms.audit import open_log
from daena_kms.audit.reader import records
from daena_kms.stores.gcp.state import VERSIONS, Record, write_records

from infra.local.gcp.sim import PROJECT, PROJECT_NUMBER, GcpSimulator
from tests.worlds.gcp import GcpWorld
from tests.worlds.waiting import eventually

SOURCE = Path(__file__).parents[2] / "functions_gcp" / "main.py"
PROGRAM = Path(sys.executable).with_name("functions-framework")
MANAGED = {"daena.managed": "true"}
JOB = "scheduler-job@simulated-project.iam.gserviceaccount.com"
TRACE = "105445aa7843bc8bf206b12000100000"
#: The calls that change a secret or a version.
CHANGES = {"AddSecretVersion", "UpdateSecret", "CreateSecret", "DisableSecretVersion"}


class Answer(NamedTuple):
    """What a function answered."""

    status: int
    headers: Message
    body: str

    @property
    def document(self) -> dict[str, Any]:
        """The body as JSON."""
        found: dict[str, Any] = json.loads(self.body)
        return found


def encoded(document: object) -> str:
    """A part of a token: base64 without padding, as JWTs have it."""
    return base64.urlsafe_b64encode(json.dumps(document).encode()).decode().rstrip("=")


def checked_token(**claims: object) -> str:
    """A token after Cloud Run's check, which takes the signature off."""
    head = encoded({"alg": "RS256", "typ": "JWT"})
    claims = claims or {"email": JOB, "email_verified": True, "sub": "1"}
    return f"Bearer {head}.{encoded(claims)}.SIGNATURE_REMOVED_BY_GOOGLE"


def caller(**claims: object) -> dict[str, str]:
    """The headers of a request whose caller Cloud Run has verified."""
    return {"Authorization": checked_token(**claims)}


def message(attributes: Mapping[str, str] | None = None, data: str = "") -> dict[str, Any]:
    """A Pub/Sub message as an event carries it; ``data`` as it stands there."""
    inner: dict[str, object] = {"messageId": "4711", "publishTime": "2026-11-01T12:00:00Z"}
    inner |= {"data": data} if attributes is None else {"data": data, "attributes": attributes}
    return {"message": inner, "subscription": f"projects/{PROJECT}/subscriptions/s"}


def plain(text: str) -> str:
    """Text in base64, as a message carries it."""
    return base64.b64encode(text.encode()).decode()


def rotate_event(key_id: str, **changes: str) -> dict[str, Any]:
    """Secret Manager's event that it is time to rotate a secret."""
    name = f"projects/{PROJECT_NUMBER}/secrets/{key_id}"
    attributes = {
        "eventType": "SECRET_ROTATE",
        "dataFormat": "JSON_API_V1",
        "secretId": name,
        "timestamp": "2026-11-01T12:00:00.081104-08:00",
    }
    return message(attributes | changes, plain(json.dumps({"name": name})))


@dataclass
class Function:
    """A function that runs in a process of functions-framework."""

    port: int
    out: Path
    err: Path
    _read: int = field(default=0)

    def ask(
        self,
        method: str = "POST",
        path: str = "/",
        body: bytes | str = b"",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send a request; the headers are all there are."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, dict(headers or {}))
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read().decode())
        finally:
            connection.close()

    def deliver(self, data: object, *, structured: bool = False, **headers: str) -> Answer:
        """Deliver an event of Pub/Sub, as Eventarc does, in either mode."""
        event = {
            "specversion": "1.0",
            "id": "4711",
            "source": f"//pubsub.googleapis.com/projects/{PROJECT}/topics/t",
            "type": "google.cloud.pubsub.topic.v1.messagePublished",
            "time": "2026-11-01T12:00:00Z",
        }
        if structured:
            content = {"Content-Type": "application/cloudevents+json"}
            return self.ask("POST", "/", json.dumps({**event, "data": data}), content | headers)
        content = {f"ce-{name}": text for name, text in event.items()}
        content["Content-Type"] = "application/json"
        return self.ask("POST", "/", json.dumps(data), content | headers)

    def logged(self) -> list[dict[str, Any]]:
        """The log's entries since the last call; each line is a JSON object."""
        text = self.out.read_text()
        fresh, self._read = text[self._read :], len(text)
        return [json.loads(line) for line in fresh.splitlines()]


@contextlib.contextmanager
def function(
    target: str, signature: str, env: Mapping[str, str], folder: Path, source: Path = SOURCE
) -> Iterator[Function]:
    """Run a function on a free port until the block ends."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    out, err = (folder / f"{target}-{port}.{kind}" for kind in ("out", "err"))
    command = [str(PROGRAM), "--source", str(source), "--target", target]
    command += ["--signature-type", signature, "--host", "127.0.0.1", "--port", str(port)]
    kept = {"PATH": os.environ["PATH"], "HOME": str(folder), "THREADS": "4"}
    with out.open("wb") as stdout, err.open("wb") as stderr:
        process = subprocess.Popen(command, env={**kept, **env}, stdout=stdout, stderr=stderr)
        try:
            assert eventually(lambda: _listens(port) or process.poll() is not None, seconds=60)
            assert process.poll() is None, err.read_text()
            yield Function(port, out, err)
        finally:
            process.terminate()
            process.wait(60)


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


@dataclass
class GcpProject:
    """A simulated project, an audit log in a folder, and the functions that run there."""

    sim: GcpSimulator
    folder: Path
    values: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.world = GcpWorld(self.sim)
        self.client = self.world.client
        self._stack = contextlib.ExitStack()
        self._running: dict[str, Function] = {}

    @property
    def env(self) -> dict[str, str]:
        """The environment of a function."""
        return {
            "GCP_PROJECT_ID": PROJECT,
            "GCP_SECRET_MANAGER_ENDPOINT": self.sim.target,
            "GCP_INVOKER_IAM_CHECK": "true",
            "DAENA_KMS_AUDIT_URL": (self.folder / "audit").as_uri(),
        }

    def run(self, target: str) -> Function:
        """The function of that name, started when it is first asked for; its log is read."""
        if target not in self._running:
            signature = "cloudevent" if target.endswith("_event") else "http"
            running = function(target, signature, self.env, self.folder)
            self._running[target] = self._stack.enter_context(running)
        self._running[target].logged()
        return self._running[target]

    def written(self) -> dict[str, str]:
        """All that any of the functions has written, by the file's name."""
        return {path.name: path.read_text() for path in self.folder.iterdir() if path.is_file()}

    def empty(self) -> Self:
        """Take away every secret and the audit log, and forget the calls."""
        for name in list(self.sim.secrets):
            self.client.delete_secret(name=name)
        shutil.rmtree(self.folder / "audit", ignore_errors=True)
        self.sim.calls.clear()
        return self

    def secret(
        self,
        key_id: str,
        *,
        days: int = 0,
        tags: Mapping[str, str] = MANAGED,
        location: str | None = None,
    ) -> None:
        """Make a secret of some age: version 1 is ``current``. With our tag it is a key of ours."""
        value, age = secrets.token_urlsafe(24), timedelta(days=days)
        self.values.append(value)
        ours = {VERSIONS: write_records({"1": Record(at=self.sim.now() - age)})}
        noted = {**tags, **(ours if "daena.managed" in tags else {})}
        self.world.foreign(key_id, value, noted, age=age, location=location)
        self.sim.calls.clear()

    def version(self, key_id: str) -> int:
        """The number of a key's current version; its value is noted."""
        name = f"projects/{PROJECT}/secrets/{key_id}/versions/current"
        answer = self.client.access_secret_version(name=name)
        self.values.append(answer.payload.data.decode())
        return int(answer.name.rpartition("/")[2])

    def changed(self) -> bool:
        """Whether anything was changed since the last secret was made."""
        return bool(CHANGES & set(self.sim.calls.operations()))

    def records(self) -> list[dict[str, Any]]:
        """Every record of the audit log."""
        return [json.loads(data) for _, data in records(open_log(self.env["DAENA_KMS_AUDIT_URL"]))]

    def close(self) -> None:
        """End every function."""
        self._stack.close()
