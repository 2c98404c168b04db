"""What the contract suite needs of a store: one small class for each.

A harness gives an adapter on an empty store and the means to do what others do there: make a
secret of their own, put a new value past us, change a tag, and look at everything that is stored.
"""

import secrets
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from daena_kms.audit import open_log
from daena_kms.cloud_kms import (
    AWSKMSAdapter,
    AzureKeyVaultAdapter,
    CloudKMSAdapter,
    GCPSecretManagerAdapter,
    LocalAdapter,
)
from daena_kms.engine import run
from daena_kms.objects.base import Objects
from daena_kms.stores.local import LocalStore
from daena_kms.summary import Summary

from tests.stores.aws_sim import REGION, AwsSimulator, clients
from tests.stores.azure_blob import ACCOUNT
from tests.stores.azure_sim import AzureSimulator
from tests.stores.gcp_sim import PROJECT, GcpSimulator

DAY = timedelta(days=1)


def value(length: int = 24) -> str:
    """Return a value that nobody has seen before."""
    return secrets.token_urlsafe(length)


class Harness(ABC):
    """One store, empty at first, and an audit log in a folder."""

    adapter: CloudKMSAdapter
    log: Objects
    #: Of the form that the store's version ids have.
    unknown_version = "daena-20260101T000000Z-0123456789-0123456789abcdef"

    def __init__(self, folder: Path) -> None:
        self.log = open_log((folder / "audit").as_uri())
        self.began = datetime.now(UTC)

    def run(self, after: timedelta = timedelta(), **options: Any) -> Summary:  # noqa: ANN401 - run()'s own
        """Run the engine as if this time had passed since the test began."""
        return run(self.adapter, self.log, now=datetime.now(UTC) + after, **options)

    @abstractmethod
    def again(self) -> CloudKMSAdapter:
        """Return another adapter on the same store, as another process would have."""

    @abstractmethod
    def foreign(self, key_id: str, material: str, tags: Mapping[str, str] | None = None) -> None:
        """Make a key as somebody else would, with the store's own means."""

    @abstractmethod
    def overwrite(self, key_id: str, material: str) -> None:
        """Make a new current version as somebody else would."""

    @abstractmethod
    def erase(self, key_id: str) -> None:
        """Delete a key as somebody else would, as finally as the store lets one."""

    @abstractmethod
    def state(self) -> object:
        """Return all that is stored, values included, for comparison."""

    @abstractmethod
    def calls(self) -> int:
        """Return how many calls the store has had."""

    def tag(self, key_id: str, **tags: str | None) -> None:
        """Change ``daena.*`` tags as an operator would; underscores stand for hyphens."""
        named = {f"daena.{name.replace('_', '-')}": text for name, text in tags.items()}
        self.adapter.store.tag(self.adapter.store.describe(key_id), named)


class LocalHarness(Harness):
    """The local store in a folder."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._home = folder / "store"
        self._store = LocalStore(self._home)
        self.adapter = CloudKMSAdapter(self._store)

    def close(self) -> None:
        """Close the store's file."""
        self._store.close()

    def again(self) -> CloudKMSAdapter:
        """Open the folder once more."""
        return LocalAdapter(self._home)

    def foreign(self, key_id: str, material: str, tags: Mapping[str, str] | None = None) -> None:
        """Write a key without our tags."""
        self.adapter.store.create(key_id, material, tags or {}, datetime.now(UTC))

    def overwrite(self, key_id: str, material: str) -> None:
        """Rotate with the primitives alone."""
        store, now = self.adapter.store, datetime.now(UTC)
        key = store.describe(key_id)
        store.promote(key, store.stage(key, material, now), now)

    def erase(self, key_id: str) -> None:
        """Delete it by the adapter: nobody else has a way."""
        self.adapter.delete_key(key_id)

    def state(self) -> object:
        """Return keys and the values that can be read."""
        found = {}
        for key in self.adapter.store.scan():
            readable = {v.id for v in key.versions if v.state in {"current", "previous"}}
            values = {v: self.adapter.store.read(key.id, v) for v in sorted(readable)}
            found[key.id] = (key, values)
        return found

    def calls(self) -> int:
        """Return nothing that counts: there is no wire."""
        return 0


class AwsHarness(Harness):
    """The official SDK against the strict simulator; every fault reaches the caller."""

    def __init__(self, folder: Path, sim: AwsSimulator) -> None:
        super().__init__(folder)
        self.sim = sim
        self.secrets, self.kms = clients(sim.url)
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


def azure_adapter(sim: AzureSimulator, **options: Any) -> AzureKeyVaultAdapter:  # noqa: ANN401 - the client's own
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
