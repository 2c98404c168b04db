"""A world on AWS."""

import copy
import uuid
from collections.abc import Mapping
from typing import Any

from daena_kms.cloud_kms import AWSKMSAdapter
from daena_kms.objects.cloud import CloudObjects

from infra.local.aws.sim import BUCKET, REGION, AwsSimulator, clients
from tests.faults.seam import bucket
from tests.faults.worlds_sim import SimWorld

_PROMOTION = ("UpdateSecretVersionStage", "AWSCURRENT")


class AwsWorld(SimWorld):
    """The strict simulator; no client repeats a call, so that each fault reaches its caller."""

    def __init__(self, sim: AwsSimulator, **options: Any) -> None:
        super().__init__(sim)
        self.sim = sim
        self.secrets, self.kms = clients(sim.url, **options)
        self.kms_key = self.kms.create_key()["KeyMetadata"]["KeyId"]
        self.adapter = AWSKMSAdapter(
            REGION, self.kms_key, secrets_client=self.secrets, kms_client=self.kms
        )
        self.log = CloudObjects(bucket(sim.url), f"s3://{BUCKET}")
        self._saved: tuple[Any, Any] = ({}, {})

    def foreign(self, key_id: str, material: str, tags: Mapping[str, str] | None = None) -> None:
        """Create a secret without the SDK, which would log the value as it should."""
        pairs = [{"Key": name, "Value": text} for name, text in (tags or {}).items()]
        token = str(uuid.uuid4())
        given = {"Name": key_id, "SecretString": material, "Tags": pairs}
        self.sim.secrets.run("CreateSecret", {**given, "ClientRequestToken": token})

    def promotions(self) -> int:
        """Count the new secrets and the moves of AWSCURRENT that took effect."""
        return sum(
            call.outcome in {"ok", "failed after"}
            for call in self.sim.calls
            if call.operation == "CreateSecret"
            or (call.operation, call.params.get("VersionStage")) == _PROMOTION
        )

    def state(self) -> object:
        """Return every secret with everything in it."""
        return copy.deepcopy(self.sim.secrets.store.secrets)

    def save(self) -> None:
        """Copy the secrets and the objects."""
        self._saved = self.state(), dict(self.sim.s3.buckets[BUCKET])

    def load(self) -> None:
        """Put them back."""
        self.mend()
        secrets, objects = self._saved
        self.sim.secrets.store.secrets.clear()
        self.sim.secrets.store.secrets.update(copy.deepcopy(secrets))
        self.sim.s3.buckets[BUCKET].clear()
        self.sim.s3.buckets[BUCKET].update(objects)
