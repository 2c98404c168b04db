"""A world on Google Cloud: secrets and the log, both in one simulator."""

import copy
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from daena_kms.cloud_kms import GCPSecretManagerAdapter
from daena_kms.objects.cloud import CloudObjects
from obstore.store import GCSStore

from infra.local.faults import How
from infra.local.gcp.client import ROTATOR
from infra.local.gcp.sim import BUCKET, PROJECT, GcpSimulator
from tests.faults.worlds_base import CLAIMED
from tests.faults.worlds_sim import DatedWorld, held_by
from tests.unit.memory_log import MemoryObjects

if TYPE_CHECKING:
    from obstore.store import GCSCredential

_PROMOTED = {"annotations", "versionAliases"}


def bucket(sim: GcpSimulator, principal: str = ROTATOR) -> CloudObjects:
    """Return the simulated bucket, with a client that repeats no call."""

    def provide() -> "GCSCredential":
        return {"token": principal, "expires_at": datetime.now(UTC) + timedelta(hours=1)}

    store = GCSStore(
        BUCKET,
        config={"base_url": sim.url},
        client_options={"allow_http": True, "timeout": timedelta(seconds=5)},
        retry_config={"max_retries": 0, "retry_timeout": timedelta(seconds=1)},
        credential_provider=provide,
    )
    return CloudObjects(store, f"gs://{BUCKET}")


class GcpWorld(DatedWorld):
    """The strict simulator. The SDK repeats a read whose connection was cut: faults are errors."""

    patience = CLAIMED
    how = How.ERROR

    def __init__(self, sim: GcpSimulator) -> None:
        super().__init__(sim)
        self.sim = sim
        self.client = sim.client()
        self.adapter = self.another()
        self.log = bucket(sim)
        self._saved: tuple[Any, Any] = ({}, {})

    def another(self) -> GCPSecretManagerAdapter:
        """Return an adapter with a client of its own, as another process has it."""
        return GCPSecretManagerAdapter(PROJECT, client=self.sim.client())

    def name(self, key_id: str) -> str:
        """Return a secret's name."""
        return f"projects/{PROJECT}/secrets/{key_id}"

    def held(self) -> MemoryObjects:
        """Return the objects of the log."""
        objects = self.sim.storage.buckets[BUCKET]
        return held_by({name: stored.body for name, stored in objects.items()})

    def foreign(self, key_id: str, material: str, tags: Mapping[str, str] | None = None) -> None:
        """Create a secret whose consumers read ``current``."""
        secret = {"replication": {"automatic": {}}, "annotations": dict(tags or {})}
        parent = f"projects/{PROJECT}"
        self.client.create_secret(request={"parent": parent, "secret_id": key_id, "secret": secret})
        self.add(key_id, material, current=True)

    def add(self, key_id: str, material: str, *, current: bool) -> str:
        """Add a version past us, and perhaps let the alias lead to it; return its number."""
        payload = {"data": material.encode()}
        version = self.client.add_secret_version(
            request={"parent": self.name(key_id), "payload": payload}
        )
        number = str(version.name).rpartition("/")[2]
        if current:
            aliases = dict(self.sim.secrets[key_id].version_aliases)
            self.change(key_id, version_aliases={**aliases, "current": int(number)})
        return number

    def change(self, key_id: str, **fields: object) -> None:
        """Update fields of a secret with no look at its etag, as an apply would."""
        self.client.update_secret(
            request={
                "secret": {"name": self.name(key_id), **fields},
                "update_mask": {"paths": sorted(fields)},
            }
        )

    def promotions(self) -> int:
        """Count the moves of the aliases that took effect; an enrolment writes a label, too."""
        return sum(1 for _ in self._moves())

    def _moves(self) -> Iterator[object]:
        for call in self.sim.calls:
            mask = call.params.get("update_mask")
            effective = call.outcome in {"ok", "failed after"}
            if effective and isinstance(mask, str) and set(mask.split(",")) == _PROMOTED:
                yield call

    def state(self) -> object:
        """Return every secret with everything in it."""
        return copy.deepcopy(self.sim.secrets.by_name)

    def save(self) -> None:
        """Copy the secrets and the objects."""
        self._saved = self.state(), dict(self.sim.storage.buckets[BUCKET])

    def load(self) -> None:
        """Put them back."""
        self.mend()
        secrets, objects = self._saved
        self.sim.secrets.by_name.clear()
        self.sim.secrets.by_name.update(copy.deepcopy(secrets))
        self.sim.storage.buckets[BUCKET].clear()
        self.sim.storage.buckets[BUCKET].update(objects)
