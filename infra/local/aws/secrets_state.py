"""What a simulated secret is made of: its versions and the labels on them."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta

from infra.local.aws.protocol import AwsError, Json, epoch

CURRENT, PREVIOUS, PENDING = "AWSCURRENT", "AWSPREVIOUS", "AWSPENDING"

# docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html: "Staging labels
# attached across all versions of a secret: 20", "Versions per secret: 100".
MAX_LABELS = 20
MAX_VERSIONS = 100
# The same page: Secrets Manager "does not remove versions created less than 24 hours ago".
KEPT_FOR = timedelta(hours=24)
# The dates that one call gives are a few milliseconds apart: recorded in cloud-custodian's placebo
# files test_secrets_manager_delete (DeletionDate .599, DeletedDate .637, LastChangedDate .655).
APART = timedelta(milliseconds=18)


@dataclass(frozen=True, slots=True)
class Value:
    """A secret value as it came: text, or base64 of bytes."""

    text: str | None = field(repr=False)
    binary: str | None = field(repr=False)

    def as_json(self) -> Json:
        """Return the member of an answer that carries the value."""
        if self.text is not None:
            return {"SecretString": self.text}
        return {"SecretBinary": self.binary}


@dataclass(frozen=True, slots=True)
class Version:
    """One immutable version."""

    version_id: str
    value: Value
    created: datetime
    kms_key_id: str | None


@dataclass
class Secret:
    """A secret. ``labels`` maps a label to a version, so none can sit on two."""

    sequence: int
    name: str
    arn: str
    created: datetime
    changed: datetime
    description: str | None = None
    kms_key_id: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    versions: dict[str, Version] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    #: Whether it ever had a tag: then Tags is shown, also when it is empty.
    tagged: bool = False
    #: When DeleteSecret was called, and the end of the window that it gave.
    deleted: datetime | None = None
    delete_at: datetime | None = None
    owning_service: str | None = None
    #: Of a partner's secret (a managed external secret).
    kind: str | None = None
    rotation_enabled: bool | None = None
    rotation_lambda: str | None = None
    rotation_rules: Json = field(default_factory=dict)
    policy: str | None = None
    #: The regions of its replicas.
    replicas: tuple[str, ...] = ()
    #: The region of its primary: then it is a replica, of which nobody can change anything.
    primary_region: str | None = None
    #: The ARN of its primary in another account, in this region: it is "an independent secret that
    #: has its own access policies, KMS key, and lifecycle" (userguide/cross-account-replicate-
    #: secrets), but its value comes from there.
    cross_account_primary: str | None = None
    #: The day on which each version was last read. Reading is no change of the secret.
    read: dict[str, date] = field(default_factory=dict, compare=False, repr=False)
    #: How many calls will not find it yet.
    unseen: int = field(default=0, compare=False, repr=False)

    def stages(self) -> dict[str, list[str]]:
        """Return the labels of each version that has any."""
        result: dict[str, list[str]] = {}
        for label, version_id in self.labels.items():
            result.setdefault(version_id, []).append(label)
        return result

    def with_labels(self, labels: Iterable[str], version_id: str) -> dict[str, str]:
        """Return the labels as they would be once these are on the version.

        "Whenever you move AWSCURRENT, Secrets Manager automatically moves the label AWSPREVIOUS
        to the version that AWSCURRENT was removed from" (API_UpdateSecretVersionStage,
        API_PutSecretValue).
        """
        result = dict(self.labels)
        for label in labels:
            holder = result.get(label, version_id)
            result[label] = version_id
            if label == CURRENT and holder != version_id:
                result[PREVIOUS] = holder
        if len(result) > MAX_LABELS:
            message = f"You can't have more than {MAX_LABELS} staging labels on a secret."
            raise AwsError("LimitExceededException", message)
        return result

    def add(self, version: Version, labels: Iterable[str]) -> None:
        """Add a version under these labels; nothing changes if a limit refuses it."""
        moved = self.with_labels(labels, version.version_id)
        kept = {**self.versions, version.version_id: version}
        labelled = set(moved.values())
        for old in list(kept.values()):
            if len(kept) <= MAX_VERSIONS:
                break
            if old.version_id not in labelled and version.created - old.created >= KEPT_FOR:
                del kept[old.version_id]
        if len(kept) > MAX_VERSIONS:
            message = f"You can't have more than {MAX_VERSIONS} versions of a secret."
            raise AwsError("LimitExceededException", message)
        self.versions, self.labels = kept, moved

    def last_read(self, version_id: str | None = None) -> float | None:
        """Return the day on which a version, or the secret, was last read."""
        days = self.read.values() if version_id is None else [self.read.get(version_id)]
        found = [day for day in days if day is not None]
        return epoch(datetime.combine(max(found), time(), UTC)) if found else None

    def as_json(self, stages_member: str) -> Json:
        """Return the metadata as DescribeSecret and ListSecrets show it."""
        answer: Json = {
            "ARN": self.arn,
            "Name": self.name,
            "CreatedDate": epoch(self.created),
            "LastChangedDate": epoch(self.changed),
        }
        tags = [{"Key": key, "Value": value} for key, value in self.tags.items()]
        primary = self.arn.split(":")[3] if self.replicas else None
        optional: Json = {
            # Recorded by localstack, test_secret_tags: there is none until the first tag, and an
            # empty list after the last one went.
            "Tags": tags if self.tagged or tags else None,
            # Recorded by localstack, test_create_secret_version_from_empty_secret.
            stages_member: self.stages() or None,
            "LastAccessedDate": self.last_read(),
            "Type": self.kind,
            "Description": self.description,
            "KmsKeyId": self.kms_key_id,
            "OwningService": self.owning_service,
            # DescribeSecret: "If the secret has never been configured for rotation, Secrets
            # Manager returns null".
            "RotationEnabled": self.rotation_enabled,
            "RotationLambdaARN": self.rotation_lambda,
            "RotationRules": self.rotation_rules or None,
            "DeletedDate": epoch(self.deleted) if self.deleted else None,
            "PrimaryRegion": self.primary_region or primary,
        }
        # DescribeSecret alone has these: they are no members of SecretListEntry.
        if stages_member == "VersionIdsToStages":
            arn = self.cross_account_primary
            primary_elsewhere = {"PrimarySecretArn": arn, "ReplicationStatus": "InSync"}
            optional["CrossAccountPrimary"] = primary_elsewhere if arn else None
            status = [{"Region": region, "Status": "InSync"} for region in self.replicas]
            optional["ReplicationStatus"] = status or None
        return answer | {name: value for name, value in optional.items() if value is not None}
