"""The demo on Google Cloud: the functions in functions-framework, Secret Manager, Cloud Storage."""

import base64
import contextlib
import functools
import json
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from daena_kms.audit.verify import verify
from daena_kms.cli.page import Page
from daena_kms.errors import StoreUnavailable
from daena_kms.objects.base import Objects
from daena_kms.objects.gcs import gcs_objects
from daena_kms.stores.gcp.state import VERSIONS, Record, write_records

from infra.local.gcp.framework import FunctionsFramework
from infra.local.process import direct
from infra.local.simulator import SimulatorProcess

_KEYS = {"orders-encryption-key": 92, "session-signing-key": 120, "fresh-key": 0}
_ANSWER_SECONDS = 60.0
_AUDIT = "gs://audit/audit"


def show(page: Page, folder: Path) -> None:
    """Show the functions rotating secrets of a project on this machine."""
    del folder  # only the local clouds are written to
    with contextlib.ExitStack() as stack:
        cloud = stack.enter_context(SimulatorProcess("gcp"))
        page.head("Google Cloud: a Secret Manager, Cloud Storage, three secrets.")
        environment = cloud.environment
        consumer = _Consumer(cloud.addresses["target"], environment["GCP_PROJECT_ID"])
        stack.callback(consumer.close)
        for key_id, days in _KEYS.items():
            made = datetime.now(UTC) - timedelta(days=days)
            _made_before(cloud, days, functools.partial(consumer.make, key_id, made))
        before = {key_id: consumer.read(key_id, "current") for key_id in _KEYS}

        page.head("Cloud Scheduler calls the function, in Google's own functions-framework.")
        # The demo plays Cloud Run, which checks callers before the function runs.
        settings = {**environment, "GCP_INVOKER_IAM_CHECK": "true"}
        with FunctionsFramework("scheduled", settings) as function:
            first = _post(function.url, "/")
            page.say(
                f"rotated {', '.join(first['rotated'])}; {first['counts']['keys']} keys looked at"
            )
            page.check(
                "the two that were due are rotated, the fresh one is left alone",
                holds=first["rotated"] == ["orders-encryption-key", "session-signing-key"],
            )
            again = _post(function.url, "/")
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
    """An application and the person who set it up: they use the SDK and nothing of ours."""

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

    def make(self, key_id: str, at: datetime) -> None:
        """Make a secret as daena-kms did at that time. Its first version is ``current``."""
        tags = {"daena.managed": "true", "daena.spec": "token"}
        annotations = {**tags, VERSIONS: write_records({"1": Record(at=at)})}
        secret = {"replication": {"automatic": {}}, "annotations": annotations}
        made = self._client.create_secret(parent=self._project, secret_id=key_id, secret=secret)
        payload = {"data": f"made for {key_id}".encode()}
        self._client.add_secret_version(parent=made.name, payload=payload)
        named = {"name": made.name, "version_aliases": {"current": 1}}
        self._client.update_secret(secret=named, update_mask={"paths": ["version_aliases"]})

    def read(self, key_id: str, alias: str) -> bytes:
        """Read a value by an alias."""
        name = f"{self._project}/secrets/{key_id}/versions/{alias}"
        return bytes(self._client.access_secret_version(name=name).payload.data)


def _made_before(cloud: SimulatorProcess, days: int, make: Callable[[], None]) -> None:
    """Make something as of some days ago. The simulator's clock is set back for that."""
    back = timedelta(days=days).total_seconds()
    cloud.control("shift_clock", seconds=-back)
    make()
    cloud.control("shift_clock", seconds=back)


def _post(url: str, path: str) -> Mapping[str, Any]:
    request = urllib.request.Request(url + path, b"{}", method="POST")
    request.add_header("Content-Type", "application/json")
    request.add_header("Authorization", f"Bearer {_checked_token()}")
    try:
        with direct().open(request, timeout=_ANSWER_SECONDS) as answer:
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
