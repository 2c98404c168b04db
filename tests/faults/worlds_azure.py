"""A world on Azure: the vault, the claims and the log, all in one simulator."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from daena_kms.cloud_kms import AzureKeyVaultAdapter
from daena_kms.objects.azure import SCOPE
from daena_kms.objects.base import AUDIT, CLAIMS, Objects, Use
from daena_kms.objects.cloud import CloudObjects
from daena_kms.stores.azure.claims import Claims
from obstore.store import AzureStore as Container

from infra.local.azure.auth import OWNER
from infra.local.azure.blob import ACCOUNT
from infra.local.azure.sim import AzureSimulator
from tests.faults.worlds_base import CLAIMED
from tests.faults.worlds_sim import DatedWorld, held_by
from tests.unit.memory_log import MemoryObjects

if TYPE_CHECKING:
    from azure.keyvault.secrets import SecretClient
    from obstore.store import AzureBearerToken


def container(
    sim: AzureSimulator, name: str, use: Use = AUDIT, principal: str = OWNER
) -> CloudObjects:
    """Return a simulated container, with a client that repeats no call."""
    credential = sim.credential(principal)

    def provide() -> "AzureBearerToken":
        token = credential.get_token(SCOPE)
        return {"token": token.token, "expires_at": datetime.fromtimestamp(token.expires_on, UTC)}

    store = Container(
        name,
        config={"account_name": ACCOUNT, "endpoint": sim.blob_url},
        client_options={"allow_http": True, "timeout": timedelta(seconds=5)},
        retry_config={"max_retries": 0, "retry_timeout": timedelta(seconds=1)},
        credential_provider=provide,
    )
    return CloudObjects(store, f"az://{ACCOUNT}/{name}", use)


class Adapter(AzureKeyVaultAdapter):
    """The adapter, but that its claims are where the world says."""

    def __init__(self, sim: AzureSimulator, claims: Objects, client: "SecretClient") -> None:
        self._container = claims
        super().__init__(secret_client=client, credential=sim.credential())

    def _claims(self, url: str | None) -> Claims:
        del url
        return Claims(self._container, self.vault)


class AzureWorld(DatedWorld):
    """The strict simulator; ``claims`` opens objects of one's own, elsewhere."""

    patience = CLAIMED

    def __init__(
        self,
        sim: AzureSimulator,
        *,
        claims: Callable[[], Objects] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(sim)
        self.sim = sim
        self._options = options
        self._elsewhere = claims
        self.adapter = self.another()
        self.log = container(sim, "audit")
        self._saved: tuple[Any, ...] = ()

    def another(self) -> Adapter:
        """Return an adapter with clients of its own, as another process has it."""
        opened = self._elsewhere or (lambda: container(self.sim, "claims", CLAIMS))
        return Adapter(self.sim, opened(), self.sim.secrets_client(**self._options))

    def held(self) -> MemoryObjects:
        """Return the blobs of the log."""
        blobs = self.sim.blobs.containers["audit"]
        return held_by({name: blob.body for name, blob in blobs.items()})

    def claims(self) -> list[str]:
        """Return the names of all claims, and of their ends."""
        return sorted(self.sim.blobs.containers["claims"])

    def foreign(self, key_id: str, material: str, tags: Mapping[str, str] | None = None) -> None:
        """Add a secret without the SDK, which would log the value as it should."""
        self.sim.secrets.add_version(key_id, material, tags=dict(tags or {}))

    def promotions(self) -> int:
        """Count the versions: each was current as it was set, and none ever goes."""
        secrets = self.sim.secrets
        held = [*secrets.live.values(), *(gone.secret for gone in secrets.deleted.values())]
        return sum(len(secret.versions) for secret in held)

    def state(self) -> object:
        """Return every secret with everything in it."""
        return dict(self.sim.secrets.live), dict(self.sim.secrets.deleted)

    def save(self) -> None:
        """Keep the secrets and the blobs, which are all immutable."""
        blobs = {name: dict(held) for name, held in self.sim.blobs.containers.items()}
        self._saved = (*self._both(), blobs)

    def load(self) -> None:
        """Put them back."""
        self.mend()
        live, deleted, blobs = self._saved
        for gone in set(self.sim.secrets.live) - set(live):
            self.sim.secrets.remove(gone)
        for secret in live.values():
            self.sim.secrets.put(secret)
        self.sim.secrets.deleted.clear()
        self.sim.secrets.deleted.update(deleted)
        for name, held in blobs.items():
            self.sim.blobs.containers[name].clear()
            self.sim.blobs.containers[name].update(held)

    def operate(self, key_id: str, **changes: Any) -> None:
        """Change the newest version behind everybody's back, as its owner would."""
        secret = self.sim.secrets.secret(key_id)
        self.sim.secrets.put(secret.with_version(replace(secret.newest, **changes)))

    def _both(self) -> tuple[dict[str, Any], dict[str, Any]]:
        return dict(self.sim.secrets.live), dict(self.sim.secrets.deleted)
