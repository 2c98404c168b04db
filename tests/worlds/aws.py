"""A world on AWS."""

import copy
import secrets
import uuid
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from daena_kms.cloud_kms import AWSKMSAdapter
from daena_kms.objects.cloud import CloudObjects
from obstore.store import S3Store

from infra.local.aws.secrets_state import Secret
from infra.local.aws.sim import ACCESS_KEY, BUCKET, OTHERS_KEY, REGION, AwsSimulator
from tests.worlds.base import DAY, merged
from tests.worlds.cloud import CloudWorld, stored
from tests.worlds.memory import MemoryObjects

_PROMOTION = ("UpdateSecretVersionStage", "AWSCURRENT")


def bucket(url: str) -> S3Store:
    """Return the simulated bucket, with a client that repeats no call."""
    return S3Store(
        BUCKET,
        config={
            "checksum_algorithm": "SHA256",
            "endpoint": url,
            "region": REGION,
            "access_key_id": ACCESS_KEY,
            "secret_access_key": ACCESS_KEY,
        },
        client_options={"allow_http": True, "timeout": timedelta(seconds=5)},
        retry_config={"max_retries": 0, "retry_timeout": timedelta(seconds=1)},
    )


class AwsWorld(CloudWorld[AwsSimulator]):
    """Secrets under a KMS key, and the log in a bucket.

    ``clients`` are the adapter's own; ``secrets`` and ``kms`` are somebody else's.
    """

    provider = "aws"
    unknown_version = "daena-20260101T000000Z-0123456789-0123456789abcdef"
    restorable_for = 30 * DAY
    delete_says = "kept for 30 days"
    services = frozenset({"secretsmanager", "kms"})
    puts = "PutObject"

    def __init__(self, sim: AwsSimulator, *, wire: bool = False, **options: Any) -> None:
        super().__init__(sim)
        self._options = {"wire": wire, **options}
        self.secrets, self.kms = sim.clients(wire=wire, access_key=OTHERS_KEY)
        self.kms_key = self.kms.create_key()["KeyMetadata"]["KeyId"]
        self.clients = sim.clients(**self._options)
        self.adapter = self.adapter_of(self.clients.secrets, self.clients.kms)
        self.log = self.listed_here(CloudObjects(bucket(sim.url), f"s3://{BUCKET}"), wire=wire)
        self._saved: tuple[Any, Any] = ({}, {})

    def adapter_of(self, secrets_client: Any, kms_client: Any) -> AWSKMSAdapter:
        """Return an adapter under the world's key with these clients."""
        return AWSKMSAdapter(
            REGION, self.kms_key, secrets_client=secrets_client, kms_client=kms_client
        )

    def again(self) -> AWSKMSAdapter:
        """Return an adapter with clients of its own."""
        return self.adapter_of(*self.sim.clients(**self._options))

    @property
    def environment(self) -> dict[str, str]:
        """What Lambda and the deployment set."""
        return {
            "AWS_ENDPOINT_URL": self.sim.url,
            "AWS_REGION": REGION,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": secrets.token_hex(),
            "AWS_KMS_KEY_ID": self.kms_key,
            "DAENA_KMS_AUDIT_URL": f"s3://{BUCKET}/daena",
        }

    def held(self) -> MemoryObjects:
        """Return the objects of the log."""
        objects = self.sim.s3.buckets[BUCKET]
        root = getattr(self.log, "_root", "")  # of a log that is opened by its address
        found = ((name, one.body) for name, one in objects.items() if name.startswith(root))
        return stored((name.removeprefix(root), body) for name, body in found)

    def state(self) -> dict[str, Secret]:
        """Return every secret with everything in it."""
        return copy.deepcopy(self.sim.secrets.store.secrets)

    def values(self) -> list[str]:
        """Return the text of each version."""
        held = self.sim.secrets.store.secrets.values()
        values = [version.value for secret in held for version in secret.versions.values()]
        return [value.text for value in values if value.text is not None]

    def shown(self) -> Iterator[str]:
        """Yield tags, labels, ids and descriptions, and the calls."""
        for secret in self.sim.secrets.store.secrets.values():
            yield repr((secret.tags, secret.labels, list(secret.versions), secret.description))
        yield repr(list(self.sim.calls))

    def promotions(self) -> int:
        """Count the new secrets and the moves of AWSCURRENT that took effect."""
        return sum(
            call.outcome in {"ok", "failed after"}
            for call in self.sim.calls
            if call.operation == "CreateSecret"
            or (call.operation, call.params.get("VersionStage")) == _PROMOTION
        )

    def foreign(
        self,
        key_id: str,
        material: str,
        tags: Mapping[str, str] | None = None,
        *,
        age: timedelta = timedelta(),
    ) -> None:
        """Create a secret without the SDK, which would log the value as it should."""
        pairs = [{"Key": name, "Value": text} for name, text in (tags or {}).items()]
        token = str(uuid.uuid4())
        given = {"Name": key_id, "SecretString": material, "Tags": pairs}
        self.wait(-age)
        self.sim.secrets.run("CreateSecret", {**given, "ClientRequestToken": token})
        self.wait(age)

    def overwrite(self, key_id: str, material: str) -> None:
        """Put a value with the SDK's default stage, which checks nothing."""
        self.secrets.put_secret_value(SecretId=key_id, SecretString=material)

    def reinstate(self, key_id: str, version: str) -> None:
        """Move AWSCURRENT back to a version, as somebody would who undoes a rotation."""
        self.secrets.update_secret_version_stage(
            SecretId=key_id,
            VersionStage="AWSCURRENT",
            MoveToVersionId=version,
            RemoveFromVersionId=self.sim.secrets.secret(key_id).labels["AWSCURRENT"],
        )

    def retag(self, key_id: str, tags: Mapping[str, str | None]) -> None:
        """Tag and untag with the SDK."""
        kept = [{"Key": name, "Value": text} for name, text in merged({}, tags).items()]
        gone = [name for name, text in tags.items() if text is None]
        if kept:
            self.secrets.tag_resource(SecretId=key_id, Tags=kept)  # type: ignore[arg-type] # the same dictionaries
        if gone:
            self.secrets.untag_resource(SecretId=key_id, TagKeys=gone)

    def erase(self, key_id: str) -> None:
        """Delete it without a recovery window."""
        self.secrets.delete_secret(SecretId=key_id, ForceDeleteWithoutRecovery=True)

    def enable(self, key_id: str, version: str) -> None:
        """Do nothing: a retired version reads by its id."""

    def save(self) -> None:
        """Copy the secrets and the objects."""
        self._saved = self.state(), dict(self.sim.s3.buckets[BUCKET])

    def load(self) -> None:
        """Put them back."""
        self.mend()
        held, objects = self._saved
        self.sim.secrets.store.secrets.clear()
        self.sim.secrets.store.secrets.update(copy.deepcopy(held))
        self.sim.s3.buckets[BUCKET].clear()
        self.sim.s3.buckets[BUCKET].update(objects)

    def create(self, *key_ids: str, days: int = 0, tags: Mapping[str, str] | None = None) -> None:
        """Create keys of ours whose current version is that old."""
        for key_id in key_ids:
            self.adapter.create_key(key_id, tags=tags)
            if days:
                make_older(self.adapter, key_id, days)


def make_older(adapter: Any, key_id: str, days: int) -> None:
    """Give a key a current version of that age: its id says when it was made."""
    then = datetime.now(UTC) - timedelta(days=days)
    key = adapter.store.describe(key_id)
    staged = adapter.store.stage(key, adapter.new_material(key_id, key.tags), then)
    adapter.store.promote(key, staged, then)
