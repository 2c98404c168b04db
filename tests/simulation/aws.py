"""Secrets Manager, with the clients of botocore and no wire between."""

import json
from collections.abc import Callable
from typing import Any

from daena_kms.cloud_kms import AWSKMSAdapter, CloudKMSAdapter

from infra.local.aws.in_process import connect
from infra.local.aws.sim import REGION, AwsSimulator
from infra.local.http_server import Request, Response
from tests.simulation.base import TAG, Cloud, Seen, SeenVersion
from tests.simulation.calls import Fault


class Aws(Cloud):
    """Secrets Manager. Clients of even numbers repeat no call, the others do as production's."""

    provider = "aws"

    def __init__(self) -> None:
        super().__init__()
        self._sim = AwsSimulator(clock=self.time)
        self._kms = self._sim.kms
        secrets, kms = self._sim.clients()
        for client in (secrets, kms):
            connect(client, self._sim.ask)
        self._key = kms.create_key()["KeyMetadata"]["KeyId"]
        self._clients: dict[int, Any] = {}
        self.outsiders = {
            "hold": self._hold,
            "put": self._put,
            "back": self._back,
            "tag": self._tag,
            "stale": self._stale,
        }

    def end(self) -> None:
        """Close what listens."""
        self._sim.stop()

    def _empty(self) -> None:
        self._sim.secrets.store.secrets.clear()
        self._sim.calls.clear()

    def adapter(self, number: int) -> CloudKMSAdapter:
        """Return an adapter with clients that were made once."""
        if number not in self._clients:
            clients = self._sim.clients(retries=2 * (number % 2))
            for client in clients:
                connect(client, self._asks(number))
            self._clients[number] = clients
        secrets, kms = self._clients[number]
        return AWSKMSAdapter(REGION, self._key, secrets_client=secrets, kms_client=kms)

    def _asks(self, number: int) -> Callable[[Request], Response | None]:
        def ask(request: Request) -> Response | None:
            name = request.headers.get("x-amz-target", "").rpartition(".")[2]

            def wrong(fault: Fault) -> Response | None:
                codes = {Fault.ERROR: (500, "InternalServiceError")}
                codes[Fault.THROTTLED] = (400, "ThrottlingException")
                if fault not in codes:
                    return None
                status, code = codes[fault]
                return Response(status, json.dumps({"__type": code}).encode())

            return self._calls(number).make(name, lambda: self._sim.ask(request), wrong)

        return ask

    def see(self) -> dict[str, Seen]:
        """Look at the labels."""
        found = {}
        for name, secret in self._sim.secrets.store.secrets.items():
            stages = secret.stages()
            versions = {}
            for version_id, version in secret.versions.items():
                labels = stages.get(version_id, [])
                pins = [s for s in labels if s.startswith(("daena-made", "daena-keep", "AWSP"))]
                marked = any(s.startswith("daena-retired-") for s in labels)
                versions[version_id] = SeenVersion(
                    version.value.text, readable=True, retired=marked and not pins
                )
            found[name] = Seen(
                secret.labels.get("AWSCURRENT"),
                versions,
                dict(secret.tags),
                deleted=secret.delete_at is not None,
            )
        return found

    def _secret(self, key_id: str) -> Any:
        return self._sim.secrets.store.secrets.get(key_id)

    def stale(self, *, stale: bool) -> None:
        """Freeze the listing."""
        (self._sim.freeze_listing if stale else self._sim.unfreeze_listing)()

    def calm(self, key_id: str) -> None:
        """Remove a hold."""
        if self._secret(key_id) is not None:
            self._secret(key_id).tags.pop("daena.hold", None)

    def _hold(self, key_id: str, _choice: int) -> None:
        self._secret(key_id).tags["daena.hold"] = "true"

    def _tag(self, key_id: str, choice: int) -> None:
        self._secret(key_id).tags[TAG] = str(choice)

    def _put(self, key_id: str, choice: int) -> None:
        given = {"SecretId": key_id, "SecretString": f"outsider-{choice:032}"}
        token = f"outsider-{choice:032}"
        self._sim.secrets.run("PutSecretValue", {**given, "ClientRequestToken": token})

    def _back(self, key_id: str, _choice: int) -> None:
        secret = self._secret(key_id)
        previous, current = secret.labels.get("AWSPREVIOUS"), secret.labels["AWSCURRENT"]
        if previous is not None:
            asked = {"SecretId": key_id, "VersionStage": "AWSCURRENT"}
            moved = {"MoveToVersionId": previous, "RemoveFromVersionId": current}
            self._sim.secrets.run("UpdateSecretVersionStage", {**asked, **moved})
