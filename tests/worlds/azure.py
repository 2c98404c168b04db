"""A world on Azure: the vault, the claims and the log, all in one simulator."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from daena_kms.cloud_kms import AzureKeyVaultAdapter
from daena_kms.objects.azure import SCOPE
from daena_kms.objects.base import AUDIT, CLAIMS, Objects, Use
from daena_kms.objects.cloud import CloudObjects
from daena_kms.sdk.azure.client import make_client
from daena_kms.stores.azure.claims import Claims
from obstore.store import AzureStore as Container

from infra.local.azure.auth import OWNER
from infra.local.azure.blob import ACCOUNT
from infra.local.azure.sim import AzureSimulator
from tests.worlds.base import CLAIMED, DAY, merged
from tests.worlds.cloud import CloudWorld, stored
from tests.worlds.memory import MemoryObjects

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


def azure_adapter(sim: AzureSimulator, **options: Any) -> AzureKeyVaultAdapter:
    """Return an adapter on a simulator's vault, its claims opened by their address."""
    adapter = AzureKeyVaultAdapter(
        secret_client=sim.secrets_client(**options),
        claims_url=f"az://{ACCOUNT}/claims",
        credential=sim.credential(),
    )
    adapter.keyvault.go_by(sim.elapsed, sim.pass_by)
    return adapter


class Adapter(AzureKeyVaultAdapter):
    """The adapter, but that its claims are where the world says."""

    def __init__(self, sim: AzureSimulator, claims: Objects, client: "SecretClient") -> None:
        self._container = claims
        super().__init__(secret_client=client, credential=sim.credential())
        # Nobody waits: the vault's own time goes on instead.
        self.keyvault.go_by(sim.elapsed, sim.pass_by)

    def _claims(self, url: str | None) -> Claims:
        del url
        return Claims(self._container, self.vault)


class AzureWorld(CloudWorld[AzureSimulator]):
    """A vault, and two containers; ``claims`` opens objects of one's own, elsewhere.

    With ``production`` the client is the one that the adapter makes for itself, with its retries
    and all, and only its transport leads here.
    """

    provider = "azure"
    unknown_version = "0123456789abcdef" * 2
    restorable_for = 90 * DAY
    delete_says = "kept as long as the vault keeps deleted keys: 7 to 90 days"
    patience = CLAIMED
    services = frozenset({"keyvault"})
    puts = "PutBlob"
    dated = True

    def __init__(
        self,
        sim: AzureSimulator,
        *,
        wire: bool = False,
        claims: Callable[[], Objects] | None = None,
        production: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(sim)
        self._options = {"wire": wire, **options}
        self._production = production
        self._elsewhere = claims
        self.client = sim.secrets_client(wire=wire)
        self.adapter = self.again()
        self.log = self._opened("audit")
        self._saved: tuple[Any, ...] = ()

    def again(self) -> AzureKeyVaultAdapter:
        """Return an adapter with clients of its own."""
        opened = self._elsewhere or (lambda: self._opened("claims", CLAIMS))
        if self._production:
            client = make_client(self.sim.vault_url, self.sim.credential(), self.sim.transport())
        else:
            client = self.sim.secrets_client(**self._options)
        return Adapter(self.sim, opened(), client)

    def enter(self, patch: pytest.MonkeyPatch, **further: str) -> None:
        """Lead this process here; its adapter waits by simulated time as well."""
        super().enter(patch, **further)
        assert isinstance(self.adapter, AzureKeyVaultAdapter)
        self.adapter.keyvault.go_by(self.sim.elapsed, self.sim.pass_by)

    def _opened(self, name: str, use: Use = AUDIT) -> CloudObjects:
        return self.listed_here(container(self.sim, name, use), wire=self._options["wire"])

    @property
    def environment(self) -> dict[str, str]:
        """What the platform and the deployment set for an app."""
        return self.sim.environment

    def held(self) -> MemoryObjects:
        """Return the blobs of the log."""
        blobs = self.sim.blobs.containers["audit"]
        return stored((name, blob.body) for name, blob in blobs.items())

    def claims(self) -> list[str]:
        """Return the names of all claims, and of their ends."""
        return sorted(self.sim.blobs.containers["claims"])

    def state(self) -> dict[str, object]:
        """Return every secret with everything in it."""
        deleted = self.sim.secrets.deleted
        return {**self.sim.secrets.live, **{f"{name} (deleted)": deleted[name] for name in deleted}}

    def values(self) -> list[str]:
        """Return the value of each version, of deleted secrets too."""
        return [version.value for secret in self._all() for version in secret.versions.values()]

    def shown(self) -> Iterator[str]:
        """Yield ids, tags and types of content, the claims, and the calls."""
        for found in self.sim.secrets.live.values():
            yield repr(
                (found.name, [(v.id, v.tags, v.content_type) for v in found.versions.values()])
            )
        claims = self.sim.blobs.containers["claims"]
        assert claims
        yield from (f"{name} {blob.body!r}" for name, blob in claims.items())
        yield repr(list(self.sim.calls))

    def promotions(self) -> int:
        """Count the versions: each was current as it was set, and none ever goes."""
        return sum(len(secret.versions) for secret in self._all())

    def _all(self) -> list[Any]:
        secrets = self.sim.secrets
        return [*secrets.live.values(), *(gone.secret for gone in secrets.deleted.values())]

    def foreign(
        self,
        key_id: str,
        material: str,
        tags: Mapping[str, str] | None = None,
        *,
        age: timedelta = timedelta(),
        **given: Any,
    ) -> None:
        """Add a secret without the SDK, which would log the value as it should."""
        made = self.sim.secrets.now() - age
        self.sim.secrets.add_version(
            key_id, material, tags=dict(tags or {}), created=made, updated=made, **given
        )

    def overwrite(self, key_id: str, material: str) -> None:
        """Set a value, with the tags that it had: a set replaces them all."""
        tags = self.client.get_secret(key_id).properties.tags
        self.client.set_secret(key_id, material, tags=tags)

    def operate(self, key_id: str, **changes: Any) -> None:
        """Change the newest version behind everybody's back, as its owner would."""
        secret = self.sim.secrets.secret(key_id)
        self.sim.secrets.put(secret.with_version(replace(secret.newest, **changes)))

    def retag(self, key_id: str, tags: Mapping[str, str | None]) -> None:
        """Change the newest version's tags."""
        known = self.sim.secrets.secret(key_id).newest.tags
        self.operate(key_id, tags=merged(known, tags))

    def erase(self, key_id: str) -> None:
        """Delete and purge it."""
        self.client.begin_delete_secret(key_id, _polling_interval=0).wait()
        self.client.purge_deleted_secret(key_id)

    def enable(self, key_id: str, version: str) -> None:
        """Enable the version."""
        self.client.update_secret_properties(key_id, version, enabled=True)

    def save(self) -> None:
        """Keep the secrets and the blobs, which are all immutable."""
        secrets = self.sim.secrets
        blobs = {name: dict(held) for name, held in self.sim.blobs.containers.items()}
        self._saved = (dict(secrets.live), dict(secrets.deleted), blobs)

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
