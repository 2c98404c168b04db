"""AWS: values in Secrets Manager, randomness and encryption from KMS."""

import contextlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from daena_kms.errors import (
    AccessDenied,
    ConfigError,
    DaenaKMSError,
    KeyExists,
    KeyNotFound,
    StoreUnavailable,
)
from daena_kms.rules.adoption import enrolment_hour
from daena_kms.rules.model import NEVER_CURRENT, PROMOTION_BOUND, Capabilities, Key, Revoking
from daena_kms.rules.names import new_version_id
from daena_kms.rules.policy import MANAGED
from daena_kms.rules.specs import Randomness
from daena_kms.sdk.aws.answers import check_listed, proves_itself
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
    compromised_label,
    enrolled_label,
    label,
)
from daena_kms.stores.aws.looks import check_replicas, check_tagged, is_deleted, settle, unless_made
from daena_kms.stores.aws.moves import Moves
from daena_kms.stores.aws.random import KmsRandom
from daena_kms.stores.aws.room import Room
from daena_kms.stores.aws.state import is_partial, labels_of, to_key, with_label
from daena_kms.stores.base import Absence, Staged, Store
from daena_kms.stores.randomness import Pool

if TYPE_CHECKING:
    from botocore.client import BaseClient
    from botocore.session import Session

# The SDK's retries of one call take less than this, so a promotion ends within its bound.
_FLIP_TAKES = timedelta(minutes=5)


class AWSStore(Store):
    """Keys in Secrets Manager, encrypted under the customer's KMS key.

    Where the caller may also describe KMS keys, an error about a KMS key names its state.

    Permissions, on the secrets: ``secretsmanager:DescribeSecret``, ``PutSecretValue``,
    ``UpdateSecretVersionStage``; ``ListSecrets`` on ``*``; ``ListSecretVersionIds`` for secrets
    that others write too, for those whose labels are short, and for versions without a label;
    ``GetSecretValue`` for reading, rolling back and adopting; ``CreateSecret``, ``TagResource``,
    ``UntagResource``, ``DeleteSecret``, ``RestoreSecret`` for the commands of those names;
    ``GetResourcePolicy`` and ``PutResourcePolicy`` only to block what is compromised. On the KMS
    key: ``kms:GenerateDataKey`` and ``kms:Decrypt``. Without a KMS key of your own:
    ``kms:GenerateRandom`` on ``*``.

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
        self._moves = Moves(self.aws, lambda key_id: labels_of(self.describe(key_id)))
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
                    check_listed(entry)
                    yield to_key(entry, region)

    def describe(self, key_id: str, *, exact: bool = False) -> Key:
        """Return the secret; a second call lists its versions where the labels do not say enough.

        They don't for a rotation where they run short, and for an ``exact`` look where others wrote
        the current value, or where versions may be kept by their ids alone.
        """
        answer = self._call("describe_secret", key_id)
        key = to_key(answer, self.aws.region)
        if key.deleted is not None or not is_partial(key, exact=exact):
            return key
        return to_key(answer, self.aws.region, self._versions(key_id))

    def inventory(self) -> Iterator[Key]:
        """Yield every key that carries the tag, with the versions that are kept by their ids."""
        for key in self.scan():
            if labels_of(key).complete and not is_partial(key):
                yield key
                continue
            with contextlib.suppress(KeyNotFound):  # gone since it was listed
                yield self.describe(key.id, exact=True)

    def _versions(self, key_id: str) -> dict[str, datetime]:
        """Return when each version was made, the unlabelled ones included."""
        asked = {"SecretId": key_id, "MaxResults": 100, "IncludeDeprecated": True}
        pages = self.aws.pages("secretsmanager", "list_secret_version_ids", **asked)
        return {
            v["VersionId"]: v["CreatedDate"].astimezone(UTC)
            for page in pages
            for v in page["Versions"]
        }

    def absence(self, key: Key, version: str) -> Absence:
        """List all versions: looks show those with a label, and destroying removes the label.

        AWS deletes such versions only while a secret has more than 100, and none younger than a
        day. https://docs.aws.amazon.com/secretsmanager/latest/userguide/whats-in-a-secret.html
        """
        listed = self._versions(key.id)
        if version in listed:
            return Absence.RELEASED
        # A listing that does not show the current version lags behind the look.
        whole = key.current is not None and key.current.id in listed
        return Absence.ERASED if whole else Absence.UNSEEN

    def read(self, key_id: str, version: str | None = None) -> str:
        """Return a value. A retired version stays readable by its id."""
        which = {"VersionStage": CURRENT} if version is None else {"VersionId": version}
        try:
            answer = self._call("get_secret_value", key_id, **which)
        except RefusedError as error:
            if error.reason != "InvalidRequestException":
                raise
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
            if error.reason != "InvalidRequestException" or not is_deleted(
                partial(self.describe, key_id)
            ):
                raise
            msg = "it exists already, deleted but recoverable"
            raise KeyExists(msg, key_id=key_id, todo="Restore it, or use another id") from None
        # Pinned from the start, as every later version is by the put itself. A secret, or its tag,
        # may not be found right after its creation; then its first rotation pins the version.
        created = str(answer["VersionId"])
        with contextlib.suppress(DaenaKMSError):
            self._moves.move(key_id, label(MADE, created, now), to=created)
        return created

    def stage(self, key: Key, material: str, now: datetime) -> Staged:
        """Put a pending version; AWSPENDING moves off the version that an interrupted run left.

        Where the labels run short, the put also moves the label of the oldest version to the new
        one: "Secrets Manager removes the label from the other version and attaches it to this
        version". So no moment has a label too many, and no further call is needed.

        https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_PutSecretValue.html
        """
        labels = labels_of(key)
        base = labels.holder(CURRENT) or ""
        emergency = bool(labels.marks(base))
        more = 1 + (labels.holder(PREVIOUS) is None) + len(labels.unpinned())
        # If there is room, an interrupted run's version stays: somebody may have made it current.
        shed = Room(labels).begun(now) if emergency else Room(labels).shed(now)
        moving = next(((v, s) for v, s in shed if s.startswith(MADE)), None)
        if emergency:
            labels = labels.without(*shed)
            labels = self._moves.free(key.id, labels, base, labels.used + more - MAX_LABELS)
        left = labels.without(*shed)
        losing = [v for v, _ in shed if v not in left.stages]
        orphans = [v for v in labels.orphans(*losing) if v not in losing]
        self._moves.keep(key.id, labels, orphans, now)
        for version, stage in shed:
            if (version, stage) != moving:
                self._moves.remove(key.id, stage, version)
        self._moves.keep(key.id, left, left.unpinned(), now)
        version_id = new_version_id(base, now)
        pin = moving[1] if moving is not None else label(MADE, version_id, now)
        full = labels.used + more + (labels.holder(PENDING) is None) > MAX_LABELS
        stages = [pin] if emergency and full else [PENDING, pin]
        put = {"ClientRequestToken": version_id, "VersionStages": stages}
        try:
            self._call("put_secret_value", key.id, SecretString=material, **put)
        except StoreUnavailable as error:
            # Many rotations at once can use up the labels; then one of them has won.
            settle(partial(self.describe, key.id), base, None, error)
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
            self._moves.move(key.id, CURRENT, to=staged.version_id, off=staged.base)
        except (RefusedError, StoreUnavailable, KeyNotFound, AccessDenied) as error:
            settle(partial(self.describe, key.id), staged.base, staged.version_id, error)
        return staged.version_id

    def abandon(self, key: Key, staged: Staged) -> None:
        """Remove AWSPENDING and our own label from a version that lost its race."""
        # The version may be the only proof that its base was current.
        labels = labels_of(self.describe(key.id))
        if labels.state(staged.version_id) not in NEVER_CURRENT:
            return  # it did become current, and others have rotated on since
        self._moves.keep(key.id, labels, labels.orphans(staged.version_id), staged.at)
        for stage in (PENDING, str(staged.handle)):
            # Another rotation's put may have moved the label already.
            with contextlib.suppress(RefusedError, KeyNotFound):
                self._moves.move(key.id, stage, off=staged.version_id)

    def retire(self, key: Key, version: str, now: datetime) -> None:
        """Label the version retired, then remove the labels that kept it."""
        # A fresh label even where there is an old one: destroy-after counts from this retirement.
        labels = labels_of(key)
        marked = labels.marks(version)
        fresh = compromised_label(version, now) if marked else label(RETIRED, version, now)
        after = self._moves.retire(key.id, labels, version, fresh)
        for oldest, stage in Room(after).surplus():
            self._moves.remove(key.id, stage, oldest)

    def retire_before_rotating(self, key: Key, version: str, now: datetime) -> None:
        """Label the version retired; the rotation moves the labels that kept it.

        The put moves our own one to the new version, the promotion moves AWSPREVIOUS to the base.
        Until then the version does not count as retired.
        """
        labels = labels_of(key)
        own = labels.ours(version, MADE, KEEP, RETIRED)
        if labels.used < MAX_LABELS and len(own) == 1 and own[0].startswith(MADE):
            self._moves.move(key.id, label(RETIRED, version, now), to=version)
        else:
            self.retire(key, version, now)

    def mark_compromised(self, key: Key, version: str, now: datetime) -> Key:
        """Label the version: what its retirement begins with, before the promotion.

        Where the secret has no label left, one that nothing needs is removed first.
        """
        labels = labels_of(key)
        if labels.marks(version):
            return key
        if labels.used >= MAX_LABELS:
            labels = self._moves.free(key.id, labels, version, 1)
        fresh = compromised_label(version, now)
        self._moves.move(key.id, fresh, to=version)
        return with_label(replace(key, handle=labels), version, fresh)

    def revoke(self, key: Key, version: str, now: datetime) -> None:
        """Deny reading the version where the operator allows that, then retire it."""
        labels = labels_of(key)
        if self._blocks is not None:
            # AWSPREVIOUS goes first; until the version is blocked it does not count as retired.
            if labels.holder(PREVIOUS) == version and labels.ours(version, MADE, KEEP):
                self._moves.remove(key.id, PREVIOUS, version)
                labels = labels.without((version, PREVIOUS))
            # The block is also by the version's mark.
            self._moves.rename(key.id, labels, version, now)
            self._blocks.block(key.id, version)
        fresh = labels.recent_mark(version, now) or compromised_label(version, now)
        self._moves.retire(key.id, labels, version, fresh)

    @property
    def revoking(self) -> Revoking:
        """What an emergency does here, with the block or without."""
        return self.can.revoking if self._blocks is None else BLOCKED

    def destroy(self, key: Key, version: str, now: datetime) -> None:
        """Remove the version's label. It stays readable by its id until AWS removes it, if ever."""
        labels = labels_of(key)
        orphans = labels.orphans(version)
        if orphans and labels.used >= MAX_LABELS:
            labels = self._moves.free(key.id, labels, labels.holder(CURRENT) or "", 1)
        self._moves.keep(key.id, labels, orphans, now)
        for stage in labels.ours(version, RETIRED):
            self._moves.remove(key.id, stage, version)

    def tag(self, key: Key, tags: Mapping[str, str | None]) -> None:
        """Set and remove tags; other tags on the secret stay."""
        wanted = [{"Key": n, "Value": v} for n, v in tags.items() if v is not None]
        unwanted = [n for n, v in tags.items() if v is None and n in key.tags]
        answers = []
        if wanted:
            answers.append(self._call("tag_resource", key.id, Tags=wanted))
        if unwanted:
            answers.append(self._call("untag_resource", key.id, TagKeys=unwanted))
        if not all(map(proves_itself, answers)):
            check_tagged(partial(self.describe, key.id), key.id, tags)

    def adopt(self, key: Key, tags: Mapping[str, str | None], now: datetime) -> None:
        """Pin the versions that somebody else made, and tag the secret."""
        labels = labels_of(key)
        # A label shows a managed secret as enrolled, so its policy must stand before that.
        if MANAGED in key.tags:
            self.tag(key, tags)
        holders = (labels.holder(stage) for stage in (CURRENT, PREVIOUS))
        theirs = [v for v in holders if v and not labels.ours(v, MADE, KEEP)]
        self._moves.keep(key.id, labels, theirs, now)
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
        self._moves.move(key.id, enrolled_label(current, enrolment_hour(now)), to=current)
        if previous is not None:
            self._moves.keep(key.id, labels, [previous], now)

    def delete(self, key: Key, now: datetime) -> None:
        """Schedule the secret for deletion, recoverable for 30 days."""
        del now
        if key.deleted is not None:
            return

        def is_made() -> bool:
            look = self._call("describe_secret", key.id)
            check_replicas(look, key.id)
            return bool(look.get("DeletedDate"))

        window = {"RecoveryWindowInDays": RECOVERY_DAYS}
        unless_made(lambda: self._call("delete_secret", key.id, **window), is_made)

    def restore(self, key: Key) -> None:
        """Cancel the deletion."""
        if key.deleted is not None:
            unless_made(
                lambda: self._call("restore_secret", key.id),
                lambda: self.describe(key.id).deleted is None,
            )

    def randomness(self, expected: int) -> Randomness:
        """Return a pool that KMS fills, up to 1,024 bytes a call for all keys of a run."""
        return Pool(KmsRandom(self.aws, self._kms_key_id), expected)

    def _call(self, operation: str, key_id: str, **arguments: object) -> Mapping[str, object]:
        answer: Mapping[str, object] = self.aws.call(
            "secretsmanager", operation, key_id, SecretId=key_id, **arguments
        )
        return answer
