"""Key Vault, with the SDK's client and no wire between."""

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from daena_kms.cloud_kms import CloudKMSAdapter
from daena_kms.errors import StoreUnavailable

from infra.local.azure.in_process import InProcess
from infra.local.azure.sim import AzureSimulator
from infra.local.http_server import Request, Response
from tests.simulation.base import TAG, Cloud, Seen, SeenVersion
from tests.simulation.calls import Fault, SimulatedObjects
from tests.simulation.scheduler import sleep
from tests.worlds.azure import Adapter
from tests.worlds.memory import MemoryObjects


class Azure(Cloud):
    """Key Vault, and claims in memory."""

    provider = "azure"

    def __init__(self) -> None:
        super().__init__()
        self._sim = AzureSimulator(clock=self.time, monotonic=self.seconds)
        self._clients: dict[int, Any] = {}
        self._claims = MemoryObjects()
        self.outsiders = {
            "hold": self._hold,
            "disable": self._disable,
            "put": self._put,
            "tag": self._tag,
            "stale": self._stale,
        }

    def _empty(self) -> None:
        self._claims = MemoryObjects(self.now)
        for name in list(self._sim.secrets.live):
            self._sim.secrets.remove(name)
        for name in list(self._sim.secrets.deleted):
            self._sim.secrets.purge(name)
        self._sim.secrets.settling.clear()
        self._sim.calls.clear()

    def end(self) -> None:
        """Close what listens."""
        self._sim.stop()

    def adapter(self, number: int) -> CloudKMSAdapter:
        """Return an adapter with a client that was made once."""
        if number not in self._clients:
            transport = InProcess(self._asks(number), sleep)
            self._clients[number] = self._sim.secrets_client(transport=transport)
        claims = SimulatedObjects(self._claims, partial(self._calls, number), StoreUnavailable)
        return Adapter(self._sim, claims, self._clients[number])

    def _asks(self, number: int) -> Callable[[Request], Response | None]:
        def ask(request: Request) -> Response | None:
            def wrong(fault: Fault) -> Response | None:
                codes = {
                    Fault.ERROR: (500, "InternalServerError"),
                    Fault.THROTTLED: (429, "Throttled"),
                }
                if fault not in codes:
                    return None
                status, code = codes[fault]
                document = {"error": {"code": code, "message": "it was meant to fail"}}
                kind = {"Content-Type": "application/json"}
                return Response(status, json.dumps(document).encode(), kind)

            name = f"{request.method} {request.path.partition('?')[0]}"
            return self._calls(number).make(name, lambda: self._sim.ask(request), wrong)

        return ask

    def see(self) -> dict[str, Seen]:
        """Look at the versions."""
        secrets = self._sim.secrets
        found = {s.name: self._seen(s, deleted=False) for s in secrets.live.values()}
        gone = {d.secret.name: self._seen(d.secret, deleted=True) for d in secrets.deleted.values()}
        return {**found, **gone}

    def _seen(self, secret: Any, *, deleted: bool) -> Seen:
        versions = {
            v.id: SeenVersion(v.value, readable=v.enabled, retired=not v.enabled)
            for v in secret.versions.values()
        }
        return Seen(secret.newest.id, versions, dict(secret.newest.tags), deleted)

    def _change(self, key_id: str, **fields: Any) -> None:
        secret = self._sim.secrets.live.get(key_id)
        if secret is not None:
            self._sim.secrets.put(secret.with_version(replace(secret.newest, **fields)))

    def _hold(self, key_id: str, _choice: int) -> None:
        secret = self._sim.secrets.live.get(key_id)
        if secret is not None:
            self._change(key_id, tags={**secret.newest.tags, "daena.hold": "true"})

    def _tag(self, key_id: str, choice: int) -> None:
        secret = self._sim.secrets.live.get(key_id)
        if secret is not None:
            self._change(key_id, tags={**secret.newest.tags, TAG: str(choice)})

    def stale(self, *, stale: bool) -> None:
        """Freeze the listing."""
        (self._sim.freeze_listing if stale else self._sim.unfreeze_listing)()

    def calm(self, key_id: str) -> None:
        """Remove a hold, and enable the newest version."""
        secret = self._sim.secrets.live.get(key_id)
        if secret is not None:
            tags = {n: t for n, t in secret.newest.tags.items() if n != "daena.hold"}
            self._change(key_id, tags=tags, enabled=True)

    def _disable(self, key_id: str, _choice: int) -> None:
        self._change(key_id, enabled=False)

    def _put(self, key_id: str, choice: int) -> None:
        secret = self._sim.secrets.live.get(key_id)
        if secret is not None:
            self._sim.secrets.add_version(key_id, f"outsider-{choice}", tags=secret.newest.tags)
