"""A world on Google Cloud: secrets and the log, both in one simulator."""

import copy
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from daena_kms.cloud_kms import GCPSecretManagerAdapter
from daena_kms.objects.cloud import CloudObjects
from google.oauth2.credentials import Credentials
from obstore.store import GCSStore

from infra.local.faults import How
from infra.local.gcp.client import ROTATOR
from infra.local.gcp.sim import BUCKET, PROJECT, GcpSimulator
from infra.local.gcp.state import Secret
from tests.worlds.base import CLAIMED, merged
from tests.worlds.cloud import CloudWorld, stored
from tests.worlds.memory import MemoryObjects

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


class GcpWorld(CloudWorld[GcpSimulator]):
    """A project. The SDK repeats a read whose connection was cut: faults are errors."""

    provider = "gcp"
    unknown_version = "4711"
    delete_says = "all its versions are disabled; nothing is erased until somebody purges it"
    patience = CLAIMED
    services = frozenset({"secretmanager"})
    puts = "InsertObject"
    how = How.ERROR
    dated = True

    def __init__(self, sim: GcpSimulator, *, wire: bool = False) -> None:
        super().__init__(sim)
        self._wire = wire
        self.client = sim.client(wire=wire)
        self.adapter = self.again()
        self.log = self.listed_here(bucket(sim), wire=wire)
        self._saved: tuple[Any, Any] = ({}, {})

    def again(self) -> GCPSecretManagerAdapter:
        """Return an adapter with a client of its own."""
        return GCPSecretManagerAdapter(PROJECT, client=self.sim.client(wire=self._wire))

    @property
    def environment(self) -> dict[str, str]:
        """What the platform and the deployment set for a function."""
        return self.sim.environment

    def lead(self, patch: pytest.MonkeyPatch, **further: str) -> None:
        """Lead this process here; its identity is given, since the SDK looks for it only once."""
        super().lead(patch, **further)
        # When it is imported, that is: then it reads where the metadata server is.
        credentials = Credentials(ROTATOR)  # type: ignore[no-untyped-call]  # as it is declared
        patch.setattr("google.auth.default", lambda **_: (credentials, PROJECT))

    def name(self, key_id: str) -> str:
        """Return a secret's name."""
        return f"projects/{PROJECT}/secrets/{key_id}"

    def held(self) -> MemoryObjects:
        """Return the objects of the log."""
        objects = self.sim.storage.buckets[BUCKET]
        return stored((name, one.body) for name, one in objects.items())

    def state(self) -> dict[str, Secret]:
        """Return every secret with everything in it."""
        return {secret.secret_id: secret for secret in self._copied().values()}

    def _copied(self) -> dict[str, Secret]:
        return copy.deepcopy(self.sim.secrets.by_name)

    def values(self) -> list[str]:
        """Return what each version that was not destroyed holds."""
        held = self.sim.secrets.values()
        versions = [version for secret in held for version in secret.versions.values()]
        return [version.data.decode() for version in versions if version.data]

    def shown(self) -> Iterator[str]:
        """Yield annotations, labels and aliases, and the calls."""
        for held in self.sim.secrets.values():
            yield repr((held.annotations, held.labels, held.version_aliases))
        yield repr(list(self.sim.calls))

    def promotions(self) -> int:
        """Count the moves of the aliases that took effect; an enrolment writes a label, too."""
        return sum(1 for _ in self._moves())

    def _moves(self) -> Iterator[object]:
        for call in self.sim.calls:
            mask = call.params.get("update_mask")
            effective = call.outcome in {"ok", "failed after"}
            if effective and isinstance(mask, str) and set(mask.split(",")) == _PROMOTED:
                yield call

    def foreign(
        self,
        key_id: str,
        material: str,
        tags: Mapping[str, str] | None = None,
        *,
        age: timedelta = timedelta(),
        location: str | None = None,
    ) -> None:
        """Create a secret whose consumers read ``current``."""
        self.wait(-age)
        parent = f"projects/{PROJECT}" + (f"/locations/{location}" if location else "")
        secret: dict[str, object] = {"annotations": dict(tags or {})}
        if location is None:
            secret["replication"] = {"automatic": {}}
        made = self.client.create_secret(
            request={"parent": parent, "secret_id": key_id, "secret": secret}
        )
        self._add(made.name, material)
        self._update(made.name, version_aliases={"current": 1})
        self.wait(age)

    def add(self, key_id: str, material: str) -> str:
        """Add a version past us, and return its number."""
        return self._add(self.name(key_id), material)

    def overwrite(self, key_id: str, material: str) -> None:
        """Add a version and move the alias, as somebody's script would."""
        self._lead(key_id, current=int(self.add(key_id, material)))

    def reinstate(self, key_id: str, version: str) -> None:
        """Let ``current`` lead back to a version, as somebody would who undoes a rotation."""
        before = self.sim.secrets[key_id].version_aliases["current"]
        self._lead(key_id, current=int(version), previous=before)

    def _lead(self, key_id: str, **aliases: int) -> None:
        known = dict(self.sim.secrets[key_id].version_aliases)
        self.change(key_id, version_aliases={**known, **aliases})

    def change(self, key_id: str, **fields: object) -> None:
        """Update fields of a secret with no look at its etag, as an apply would."""
        self._update(self.name(key_id), **fields)

    def _add(self, name: str, material: str) -> str:
        payload = {"data": material.encode()}
        made = self.client.add_secret_version(request={"parent": name, "payload": payload})
        return str(made.name).rpartition("/")[2]

    def _update(self, name: str, **fields: object) -> None:
        mask = {"paths": sorted(fields)}
        self.client.update_secret(request={"secret": {"name": name, **fields}, "update_mask": mask})

    def retag(self, key_id: str, tags: Mapping[str, str | None]) -> None:
        """Update the annotations."""
        known = self.sim.secrets[key_id].annotations
        self.change(key_id, annotations=merged(known, tags))

    def erase(self, key_id: str) -> None:
        """Delete it, which Secret Manager does for good."""
        self.client.delete_secret(request={"name": self.name(key_id)})

    def enable(self, key_id: str, version: str) -> None:
        """Enable the version."""
        name = f"{self.name(key_id)}/versions/{version}"
        self.client.enable_secret_version(request={"name": name})

    def save(self) -> None:
        """Copy the secrets and the objects."""
        self._saved = self._copied(), dict(self.sim.storage.buckets[BUCKET])

    def load(self) -> None:
        """Put them back."""
        self.mend()
        secrets, objects = self._saved
        self.sim.secrets.by_name.clear()
        self.sim.secrets.by_name.update(copy.deepcopy(secrets))
        self.sim.storage.buckets[BUCKET].clear()
        self.sim.storage.buckets[BUCKET].update(objects)
