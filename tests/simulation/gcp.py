"""Secret Manager, with Google's client and no wire between."""

from collections.abc import Callable, Mapping
from typing import Any

import grpc
from daena_kms.cloud_kms import CloudKMSAdapter, GCPSecretManagerAdapter
from google.cloud.secretmanager_v1 import SecretVersion

from infra.local.gcp.client import connect
from infra.local.gcp.in_process import Channel
from infra.local.gcp.names import GcpError
from infra.local.gcp.sim import PROJECT, GcpSimulator
from tests.simulation.base import TAG, Cloud, Seen, SeenVersion
from tests.simulation.calls import Fault


class Gcp(Cloud):
    """Secret Manager."""

    provider = "gcp"

    def __init__(self) -> None:
        super().__init__()
        self._sim = GcpSimulator(clock=self.time)
        self._clients: dict[int, Any] = {}
        self.outsiders = {
            "hold": self._hold,
            "disable": self._disable,
            "add": self._add,
            "tag": self._tag,
            "stale": self._stale,
        }

    def _empty(self) -> None:
        self._sim.secrets.by_name.clear()
        self._sim.calls.clear()

    def end(self) -> None:
        """Close what listens."""
        self._sim.stop()

    def adapter(self, number: int) -> CloudKMSAdapter:
        """Return an adapter with a client that was made once."""
        if number not in self._clients:
            channel = Channel(self._asks(number))
            self._clients[number] = connect("", channel=channel)
        return GCPSecretManagerAdapter(PROJECT, client=self._clients[number])

    def _asks(self, number: int) -> Callable[[str, bytes, Mapping[str, str]], bytes]:
        def ask(name: str, data: bytes, marked: Mapping[str, str]) -> bytes:
            def wrong(fault: Fault) -> bytes:
                codes = {
                    Fault.ERROR: grpc.StatusCode.INTERNAL,
                    Fault.THROTTLED: grpc.StatusCode.RESOURCE_EXHAUSTED,
                }
                raise GcpError(codes.get(fault, grpc.StatusCode.UNAVAILABLE), "Socket closed")

            return self._calls(number).make(
                name, lambda: self._sim.ask_rpc(name, data, marked), wrong
            )

        return ask

    def see(self) -> dict[str, Seen]:
        """Look at the alias and the states."""
        found = {}
        for secret in self._sim.secrets.values():
            number = secret.version_aliases.get("current")
            versions = {}
            for n, version in secret.versions.items():
                enabled = version.state is SecretVersion.State.ENABLED
                text = version.data.decode() if version.data else None
                versions[str(n)] = SeenVersion(text, readable=enabled, retired=not enabled)
            current = str(number) if number is not None and number in secret.versions else None
            tags = dict(secret.annotations)
            found[secret.secret_id] = Seen(current, versions, tags, "daena-deleted" in tags)
        return found

    def _secret(self, key_id: str) -> Any:
        return self._sim.secrets[key_id]

    def _hold(self, key_id: str, _choice: int) -> None:
        secret = self._secret(key_id)
        secret.annotations["daena.hold"] = "true"
        secret.touch()

    def _tag(self, key_id: str, choice: int) -> None:
        secret = self._secret(key_id)
        secret.annotations[TAG] = str(choice)
        secret.touch()

    def stale(self, *, stale: bool) -> None:
        """Freeze the listing."""
        (self._sim.freeze_listing if stale else self._sim.unfreeze_listing)()

    def calm(self, key_id: str) -> None:
        """Remove a hold, and enable the current version."""
        secret = self._secret(key_id)
        if secret.annotations.pop("daena.hold", None):
            secret.touch()
        current = secret.versions.get(secret.version_aliases.get("current"))
        disabled = current is not None and current.state is SecretVersion.State.DISABLED
        if disabled and "daena-deleted" not in secret.annotations:
            current.become(SecretVersion.State.ENABLED, self.now())

    def _disable(self, key_id: str, _choice: int) -> None:
        secret = self._secret(key_id)
        newest = secret.versions[secret.latest]
        if newest.state is SecretVersion.State.ENABLED:
            newest.become(SecretVersion.State.DISABLED, self.now())

    def _add(self, key_id: str, choice: int) -> None:
        name = f"projects/{PROJECT}/secrets/{key_id}"
        client = self._sim.client(wire=False)
        data = {"data": f"outsider-{choice}".encode()}
        client.add_secret_version(request={"parent": name, "payload": data})
