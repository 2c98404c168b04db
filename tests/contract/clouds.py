"""The harnesses of the clouds: each official SDK over the wire against a strict simulator."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from daena_kms.cloud_kms import (
    AWSKMSAdapter,
    AzureKeyVaultAdapter,
    CloudKMSAdapter,
    GCPSecretManagerAdapter,
)

from infra.local.aws.sim import OTHERS_KEY, REGION, AwsSimulator, clients
from infra.local.azure.blob import ACCOUNT
from infra.local.azure.sim import AzureSimulator
from infra.local.gcp.sim import PROJECT, GcpSimulator
from tests.contract.harness import Harness, LocalHarness


class AwsHarness(Harness):
    """The official SDK against the strict simulator; every fault reaches the caller."""

    def __init__(self, folder: Path, sim: AwsSimulator) -> None:
        super().__init__(folder)
        self.sim = sim
        self.secrets, self.kms = clients(sim.url, access_key=OTHERS_KEY)
        self.kms_key = self.kms.create_key()["KeyMetadata"]["KeyId"]
        self.adapter = self.again()

    def again(self) -> CloudKMSAdapter:
        """Return an adapter with clients of its own."""
        secrets_client, kms_client = clients(self.sim.url)
        return AWSKMSAdapter(
            REGION, self.kms_key, secrets_client=secrets_client, kms_client=kms_client
        )

    def foreign(self, key_id: str, material: str, tags: Mapping[str, str] | None = None) -> None:
        """Create a secret with the SDK."""
        pairs = [{"Key": name, "Value": text} for name, text in (tags or {}).items()]
        self.secrets.create_secret(Name=key_id, SecretString=material, Tags=pairs)  # type: ignore[arg-type] # the same dictionaries

    def overwrite(self, key_id: str, material: str) -> None:
        """Put a value with the SDK's default stage, which checks nothing."""
        self.secrets.put_secret_value(SecretId=key_id, SecretString=material)

    def erase(self, key_id: str) -> None:
        """Delete it without a recovery window."""
        self.secrets.delete_secret(SecretId=key_id, ForceDeleteWithoutRecovery=True)

    def state(self) -> object:
        """Return every secret's labels, values, tags and deletion."""
        return {
            name: (dict(s.labels), dict(s.tags), s.delete_at, sorted(s.versions))
            for name, s in ((name, self.sim.secrets.secret(name)) for name in self.names())
        }

    def names(self) -> list[str]:
        """Return the names of all secrets, deleted ones too."""
        pages = self.secrets.get_paginator("list_secrets").paginate(IncludePlannedDeletion=True)
        return sorted(entry["Name"] for page in pages for entry in page["SecretList"])

    def calls(self) -> int:
        """Return how many calls came in."""
        return len(self.sim.calls)


class GcpHarness(Harness):
    """The official client against the strict simulator; every fault reaches the caller."""

    unknown_version = "4711"

    def __init__(self, folder: Path, sim: GcpSimulator) -> None:
        super().__init__(folder)
        self.sim = sim
        self.client = sim.client()
        self.adapter = self.again()

    def again(self) -> CloudKMSAdapter:
        """Return an adapter with a client of its own."""
        return GCPSecretManagerAdapter(PROJECT, client=self.sim.client())

    def foreign(self, key_id: str, material: str, tags: Mapping[str, str] | None = None) -> None:
        """Create a secret with the client, its first version named current as consumers want it."""
        secret = {"replication": {"automatic": {}}, "annotations": dict(tags or {})}
        made = self.client.create_secret(
            request={"parent": f"projects/{PROJECT}", "secret_id": key_id, "secret": secret}
        )
        self._add(made.name, material)

    def overwrite(self, key_id: str, material: str) -> None:
        """Add a version and move the alias, as somebody's script would."""
        self._add(f"projects/{PROJECT}/secrets/{key_id}", material)

    def erase(self, key_id: str) -> None:
        """Delete it, which Secret Manager does for good."""
        self.client.delete_secret(request={"name": f"projects/{PROJECT}/secrets/{key_id}"})

    def _add(self, name: str, material: str) -> None:
        version = self.client.add_secret_version(
            request={"parent": name, "payload": {"data": material.encode()}}
        )
        secret = self.client.get_secret(request={"name": name})
        number = int(version.name.rpartition("/")[2])
        wanted = {
            "name": name,
            "version_aliases": {**dict(secret.version_aliases), "current": number},
        }
        self.client.update_secret(
            request={"secret": wanted, "update_mask": {"paths": ["version_aliases"]}}
        )

    def undo(self, key_id: str, version: str) -> None:
        """Enable the version."""
        name = f"projects/{PROJECT}/secrets/{key_id}/versions/{version}"
        self.client.enable_secret_version(request={"name": name})

    def state(self) -> object:
        """Return all that is stored."""
        return {
            name: (
                dict(secret.annotations),
                dict(secret.version_aliases),
                {n: (version.state, version.data) for n, version in secret.versions.items()},
            )
            for name, secret in ((name, self.sim.secrets[name]) for name in self.sim.secrets)
        }

    def calls(self) -> int:
        """Return how many calls came in."""
        return len(self.sim.calls)


class AzureHarness(Harness):
    """The official SDK over TLS against the strict simulator; every fault reaches the caller."""

    unknown_version = "0123456789abcdef" * 2

    def __init__(self, folder: Path, sim: AzureSimulator) -> None:
        super().__init__(folder)
        self.sim = sim
        self.client = sim.secrets_client()
        self.adapter = self.again()

    def again(self) -> CloudKMSAdapter:
        """Return an adapter with a client of its own."""
        return azure_adapter(self.sim)

    def foreign(self, key_id: str, material: str, tags: Mapping[str, str] | None = None) -> None:
        """Set a secret with the SDK."""
        self.client.set_secret(key_id, material, tags=dict(tags or {}))

    def overwrite(self, key_id: str, material: str) -> None:
        """Set a value, with the tags that it had: a set replaces them all."""
        tags = self.client.get_secret(key_id).properties.tags
        self.client.set_secret(key_id, material, tags=tags)

    def erase(self, key_id: str) -> None:
        """Delete and purge it."""
        self.client.begin_delete_secret(key_id, _polling_interval=0).wait()
        self.client.purge_deleted_secret(key_id)

    def undo(self, key_id: str, version: str) -> None:
        """Enable the version."""
        self.client.update_secret_properties(key_id, version, enabled=True)

    def state(self) -> object:
        """Return every secret's versions, values and tags, deleted ones too."""
        return {
            name: [
                (v.id, v.value, v.enabled, dict(v.tags)) for v in self.sim.secrets.versions(name)
            ]
            for name in sorted(self.sim.secrets.live)
        } | dict.fromkeys(self.sim.secrets.deleted, "deleted")

    def calls(self) -> int:
        """Return how many calls came in."""
        return len(self.sim.calls)


def azure_adapter(sim: AzureSimulator, **options: Any) -> AzureKeyVaultAdapter:
    """Return an adapter on a simulator's vault and its container for claims."""
    return AzureKeyVaultAdapter(
        secret_client=sim.secrets_client(**options),
        claims_url=f"az://{ACCOUNT}/claims",
        credential=sim.credential(),
    )


@contextmanager
def open_harness(name: str, folder: Path) -> Iterator[Harness]:
    """Give the harness of that name."""
    if name == "local":
        yield LocalHarness(folder)
        return
    if name == "aws":
        with AwsSimulator() as sim:
            yield AwsHarness(folder, sim)
        return
    if name == "gcp":
        with GcpSimulator() as gcp:
            yield GcpHarness(folder, gcp)
        return
    with AzureSimulator() as azure, pytest.MonkeyPatch.context() as patch:
        patch.setenv("AZURE_STORAGE_ENDPOINT", azure.blob_url)
        yield AzureHarness(folder, azure)
