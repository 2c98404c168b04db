"""AWS: values in Secrets Manager, randomness and encryption from KMS."""

import contextlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, ClassVar

from daena_kms.errors import (
    ConfigError,
    DaenaKMSError,
    KeyExists,
    KeyNotFound,
    RotationConflict,
    StoreUnavailable,
)
from daena_kms.rules.adoption import enrolment_hour
from daena_kms.rules.model import PROMOTION_BOUND, Capabilities, Key, Revoking
from daena_kms.rules.names import new_version_id
from daena_kms.rules.policy import MANAGED
from daena_kms.rules.specs import Randomness
from daena_kms.sdk.aws.client import AWS
from daena_kms.sdk.aws.errors import RefusedError
from daena_kms.stores.aws.block import Blocks
from daena_kms.stores.aws.capabilities import BLOCKED, CAN, RECOVERY_DAYS
from daena_kms.stores.aws.labels import (
    CURRENT,
    KEEP,
    MADE,
    MAX_LABELS,
    PENDING,
    PREVIOUS,
    RETIRED,
    Labels,
    compromised_label,
    enrolled_label,
    label,
)
from daena_kms.stores.aws.random import KmsRandom
from daena_kms.stores.aws.state import labels_of, replicas_in, to_key, with_label
from daena_kms.stores.base import Staged, Store
from daena_kms.stores.randomness import Pool

if TYPE_CHECKING:
    from botocore.client import BaseClient
    from botocore.session import Session

# The SDK's retries of one call take less than this, so a promotion ends within its bound.
_FLIP_TAKES = timedelta(minutes=5)


class AWSStore(Store):
    """Keys in Secrets Manager, encrypted under the customer's KMS key.

    Permissions, on the secrets: ``secretsmanager:DescribeSecret``, ``PutSecretValue``,
    ``UpdateSecretVersionStage``; ``ListSecrets`` on ``*``; ``ListSecretVersionIds`` for secrets
    that others write too; ``GetSecretValue`` for reading, rolling back and adopting;
    ``CreateSecret``, ``TagResource``, ``UntagResource``, ``DeleteSecret``, ``RestoreSecret`` for
    the commands of those names; ``GetResourcePolicy`` and ``PutResourcePolicy`` only to block
    what is compromised. On the KMS key: ``kms:GenerateDataKey`` and ``kms:Decrypt``. Without
    a KMS key of your own: ``kms:GenerateRandom`` on ``*``.

    https://docs.aws.amazon.com/service-authorization/latest/reference/list_awssecretsmanager.html
    """

    provider: ClassVar[str] = "aws"
    title: ClassVar[str] = "Secrets Manager"
    version_form: ClassVar[re.Pattern[str]] = re.compile(r"[!-~]{32,64}", re.ASCII)
    can: ClassVar[Capabilities] = CAN

    def __init__(
        self,
        region: str | None,
        kms_key_id: str | None,
        profile: str | None,
        *,
        secrets_client: "BaseClient | None" = None,
        kms_client: "BaseClient | None" = None,
        session: "Session | None" = None,
        block_compromised: bool = False,
    ) -> None:
        self._kms_key_id = kms_key_id
        clients = {"secretsmanager": secrets_client, "kms": kms_client}
        self.aws = AWS(region, profile, clients, session)
        self._blocks = Blocks(self.aws) if block_compromised else None

    def scan(self) -> Iterator[Key]:
        """Yield the secrets that carry ``daena.managed``; one call per 100 of them."""
        region = self.aws.region
        tagged = [{"Key": "tag-key", "Values": [MANAGED]}]
        asked = {"Filters": tagged, "MaxResults": 100}
        for page in self.aws.pages("secretsmanager", "list_secrets", **asked):
            for entry in page["SecretList"]:
                # The filter also matches longer names that begin so.
                if any(tag["Key"] == MANAGED for tag in entry.get("Tags", ())):
                    yield to_key(entry, region)

    def describe(self, key_id: str, *, exact: bool = False) -> Key:
        """Return the secret; ``exact`` takes a second call where others wrote the current value."""
        answer = self._call("describe_secret", key_id)
        key = to_key(answer, self.aws.region)
        current = key.current
        if not exact or current is None or current.created_earliest is None:
            return key
        asked = {"SecretId": key_id, "MaxResults": 100}
        pages = self.aws.pages("secretsmanager", "list_secret_version_ids", **asked)
        created = {v["VersionId"]: v["CreatedDate"] for page in pages for v in page["Versions"]}
        return to_key(answer, self.aws.region, created.get(current.id))

    def read(self, key_id: str, version: str | None = None) -> str:
        """Return a value. A retired version stays readable by its id."""
        which = {"VersionStage": CURRENT} if version is None else {"VersionId": version}
        try:
            answer = self._call("get_secret_value", key_id, **which)
        except RefusedError:
            msg = "it is deleted, or has no such version"
            todo = "If it is deleted, restore it; show lists its versions"
            raise KeyNotFound(msg, key_id=key_id, todo=todo) from None
        if "SecretString" not in answer:
            msg = "its content is binary, not text"
            raise ConfigError(msg, key_id=key_id, todo="Read it with the AWS SDK")
        return str(answer["SecretString"])

    def create(self, key_id: str, material: str, tags: Mapping[str, str], now: datetime) -> str:
        """Create the secret. The token makes the SDK's retry idempotent after a lost answer."""
        version_id = new_version_id(None, now)
        kms = {"KmsKeyId": self._kms_key_id} if self._kms_key_id else {}
        try:
            answer = self.aws.call(
                "secretsmanager",
                "create_secret",
                key_id,
                Name=key_id,
                ClientRequestToken=version_id,
                SecretString=material,
                Tags=[{"Key": name, "Value": value} for name, value in tags.items()],
                **kms,
            )
        except RefusedError as error:
            if error.reason != "InvalidRequestException":
                raise
            msg = "it exists already, deleted but recoverable"
            raise KeyExists(msg, key_id=key_id, todo="Restore it, or use another id") from None
        # Pinned from the start, as every later version is by the put itself.
        created = str(answer["VersionId"])
        self._move(key_id, label(MADE, created, now), to=created)
        return created

    def stage(self, key: Key, material: str, now: datetime) -> Staged:
        """Put a pending version; AWSPENDING moves off the version that an interrupted run left."""
        labels = labels_of(key)
        base = labels.holder(CURRENT) or ""
        emergency = bool(labels.marks(base))
        more = 1 + (labels.holder(PREVIOUS) is None) + len(labels.unpinned())
        if emergency:
            labels = self._free(key.id, labels, base, labels.used + more - MAX_LABELS)
        # If there is room, an interrupted run's version stays: somebody may have made it current.
        dying = labels.dead(now) if labels.tight and not emergency else {}
        self._keep(key.id, labels, [*labels.orphans(*dying), *labels.unpinned()], now)
        for dead, stale in dying.items():
            for stage in stale:
                self._remove_label(key.id, stage, dead)
        version_id = new_version_id(base, now)
        pin = label(MADE, version_id, now)
        full = labels.used + more + (labels.holder(PENDING) is None) > MAX_LABELS
        stages = [pin] if emergency and full else [PENDING, pin]
        put = {"ClientRequestToken": version_id, "VersionStages": stages}
        try:
            self._call("put_secret_value", key.id, SecretString=material, **put)
        except StoreUnavailable as error:
            # Many rotations at once can use up the labels; then one of them has won.
            self._settle(key.id, base, None, error)
        return Staged(version_id, base, now, material, pin)

    def promote(self, key: Key, staged: Staged, now: datetime) -> str:
        """Move AWSCURRENT off the base: the store's own compare-and-swap.

        https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_UpdateSecretVersionStage.html
        """
        if now - staged.at > PROMOTION_BOUND - _FLIP_TAKES:
            self.abandon(key, staged)
            msg = "writing the new version took too long, so it was abandoned"
            raise StoreUnavailable(msg, key_id=key.id, todo="The next run tries again")
        try:
            self._move(key.id, CURRENT, to=staged.version_id, off=staged.base)
        except (RefusedError, StoreUnavailable, KeyNotFound) as error:
            self._settle(key.id, staged.base, staged.version_id, error)
        return staged.version_id

    def abandon(self, key: Key, staged: Staged) -> None:
        """Remove AWSPENDING and our own label from a version that lost its race."""
        # The version may be the only proof that its base was current.
        labels = labels_of(self.describe(key.id))
        self._keep(key.id, labels, labels.orphans(staged.version_id), staged.at)
        for stage in (PENDING, str(staged.handle)):
            # Another rotation's put may have moved the label already.
            with contextlib.suppress(RefusedError, KeyNotFound):
                self._move(key.id, stage, off=staged.version_id)

    def retire(self, key: Key, version: str, now: datetime) -> None:
        """Label the version retired, then remove the labels that kept it."""
        # A fresh label even where there is an old one: destroy-after counts from this retirement.
        labels = labels_of(key)
        marked = labels.marks(version)
        fresh = compromised_label(version, now) if marked else label(RETIRED, version, now)
        self._retire(key.id, labels, version, fresh)

    def mark_compromised(self, key: Key, version: str, now: datetime) -> Key:
        """Label the version: what its retirement begins with, before the promotion.

        Where the secret has no label left, one that nothing needs is removed first.
        """
        labels = labels_of(key)
        if labels.marks(version):
            return key
        if labels.used >= MAX_LABELS:
            labels = self._free(key.id, labels, version, 1)
        fresh = compromised_label(version, now)
        self._move(key.id, fresh, to=version)
        return with_label(replace(key, handle=labels), version, fresh)

    def revoke(self, key: Key, version: str, now: datetime) -> None:
        """Deny reading the version where the operator allows that, then retire it."""
        labels = labels_of(key)
        if self._blocks is not None:
            # AWSPREVIOUS goes first; until the version is blocked it does not count as retired.
            if labels.holder(PREVIOUS) == version and labels.ours(version, MADE, KEEP):
                self._remove_label(key.id, PREVIOUS, version)
                labels = labels.without((version, PREVIOUS))
            self._blocks.block(key.id, version)
        fresh = labels.recent_mark(version, now) or compromised_label(version, now)
        self._retire(key.id, labels, version, fresh)

    @property
    def revoking(self) -> Revoking:
        """What an emergency does here, with the block or without."""
        return self.can.revoking if self._blocks is None else BLOCKED

    def destroy(self, key: Key, version: str, now: datetime) -> None:
        """Remove the version's label; AWS deletes unlabelled versions later, if ever."""
        labels = labels_of(key)
        orphans = labels.orphans(version)
        if orphans and labels.used >= MAX_LABELS:
            labels = self._free(key.id, labels, labels.holder(CURRENT) or "", 1)
        self._keep(key.id, labels, orphans, now)
        for stage in labels.ours(version, RETIRED):
            self._remove_label(key.id, stage, version)

    def tag(self, key: Key, tags: Mapping[str, str | None]) -> None:
        """Set and remove tags; other tags on the secret stay."""
        wanted = [{"Key": n, "Value": v} for n, v in tags.items() if v is not None]
        unwanted = [n for n, v in tags.items() if v is None and n in key.tags]
        if wanted:
            self._call("tag_resource", key.id, Tags=wanted)
        if unwanted:
            self._call("untag_resource", key.id, TagKeys=unwanted)

    def adopt(self, key: Key, tags: Mapping[str, str | None], now: datetime) -> None:
        """Pin the versions that somebody else made, and tag the secret."""
        labels = labels_of(key)
        # A label shows a managed secret as enrolled, so its policy must stand before that.
        if MANAGED in key.tags:
            self.tag(key, tags)
        holders = (labels.holder(stage) for stage in (CURRENT, PREVIOUS))
        theirs = [v for v in holders if v and not labels.ours(v, MADE, KEEP)]
        self._keep(key.id, labels, theirs, now)
        if MANAGED not in key.tags:
            self.tag(key, tags)

    def enrol(self, key: Key, tags: Mapping[str, str | None], now: datetime) -> None:
        """Pin the current version with the label that says when the secret was enrolled.

        The rotating role may not tag, so that label also says when the key is first due.
        """
        del tags
        labels = labels_of(key)
        current, previous = labels.holder(CURRENT), labels.holder(PREVIOUS)
        if current is None:
            msg = "it has no current version"
            raise KeyNotFound(msg, key_id=key.id, todo="Give it a value first")
        # First, because any label of ours shows the secret as enrolled. Runs that enrol it at the
        # same time write the same label.
        self._move(key.id, enrolled_label(current, enrolment_hour(now)), to=current)
        if previous is not None:
            self._keep(key.id, labels, [previous], now)

    def delete(self, key: Key, now: datetime) -> None:
        """Schedule the secret for deletion, recoverable for 30 days."""
        del now
        if key.deleted is not None:
            return
        try:
            self._call("delete_secret", key.id, RecoveryWindowInDays=RECOVERY_DAYS)
        except RefusedError:
            regions = replicas_in(self._call("describe_secret", key.id))
            if not regions:
                raise
            msg = f"AWS deletes no secret with replicas, and it has some in {', '.join(regions)}"
            todo = (
                "Run: aws secretsmanager remove-regions-from-replication "
                f"--secret-id {key.id} --remove-replica-regions {' '.join(regions)}"
            )
            raise ConfigError(msg, key_id=key.id, todo=todo) from None

    def restore(self, key: Key) -> None:
        """Cancel the deletion."""
        if key.deleted is not None:
            self._call("restore_secret", key.id)

    def randomness(self, expected: int) -> Randomness:
        """Return a pool that KMS fills, up to 1,024 bytes a call for all keys of a run."""
        return Pool(KmsRandom(self.aws, self._kms_key_id), expected)

    def _retire(self, key_id: str, labels: Labels, version: str, fresh: str) -> None:
        """Leave the label ``fresh`` on a version, and remove the others that keep it."""
        others = [PREVIOUS] if labels.holder(PREVIOUS) == version else []
        others += [s for s in labels.ours(version, MADE, KEEP, RETIRED) if s != fresh]
        if fresh not in labels.stages.get(version, ()):
            if labels.used >= MAX_LABELS and len(others) > 1:
                self._remove_label(key_id, others.pop(0), version)  # it keeps another one
            elif labels.used >= MAX_LABELS:
                self._free(key_id, labels, labels.holder(CURRENT) or "", 1)
            self._move(key_id, fresh, to=version)
        for stage in others:
            self._remove_label(key_id, stage, version)

    def _free(self, key_id: str, labels: Labels, base: str, count: int) -> Labels:
        """Remove up to ``count`` labels that an emergency rotation from ``base`` can spare."""
        removed = labels.spare(base)[: max(0, count)]
        for version, stage in removed:
            self._remove_label(key_id, stage, version)
        return labels.without(*removed)

    def _call(self, operation: str, key_id: str, **arguments: object) -> Mapping[str, object]:
        answer: Mapping[str, object] = self.aws.call(
            "secretsmanager", operation, key_id, SecretId=key_id, **arguments
        )
        return answer

    def _move(
        self, key_id: str, stage: str, *, to: str | None = None, off: str | None = None
    ) -> None:
        where = {"MoveToVersionId": to, "RemoveFromVersionId": off}
        given = {name: version for name, version in where.items() if version is not None}
        self._call("update_secret_version_stage", key_id, VersionStage=stage, **given)

    def _remove_label(self, key_id: str, stage: str, version: str) -> None:
        """Remove a label, if nobody else has done so."""
        try:
            self._move(key_id, stage, off=version)
        except RefusedError as error:
            if error.reason != "InvalidParameterException":
                raise

    def _keep(self, key_id: str, labels: Labels, versions: Iterable[str], now: datetime) -> None:
        """Pin versions that are or were current."""
        for version in dict.fromkeys(versions):
            # A version that is no longer current is dated before a version of this second.
            at = now if labels.holder(CURRENT) == version else now - timedelta(seconds=1)
            self._move(key_id, label(KEEP, version, at), to=version)

    def _settle(self, key_id: str, base: str, mine: str | None, error: DaenaKMSError) -> None:
        """Resolve a call that was refused, or whose answer was lost, by the current version.

        Returns when ``mine`` is current.

        Raises:
            RotationConflict: Neither ``mine`` nor the base is current.
            DaenaKMSError: ``error``: the base still is current, or the store can't be read.
        """
        try:
            current = self.describe(key_id).current
        except DaenaKMSError:
            raise error from None
        if current is not None and current.id == mine:
            return
        if current is None or current.id != base:
            msg = "another rotation was faster"
            raise RotationConflict(msg, key_id=key_id, todo="Read it again; nothing was lost")
        raise error
