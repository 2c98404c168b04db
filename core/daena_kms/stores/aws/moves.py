"""Moving labels: what retires, pins and frees versions. Each move names where the label is."""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from daena_kms.sdk.aws.client import AWS
from daena_kms.stores.aws.labels import (
    CURRENT,
    KEEP,
    MADE,
    MAX_LABELS,
    PREVIOUS,
    RETIRED,
    Labels,
    label,
)
from daena_kms.stores.aws.looks import unless_made
from daena_kms.stores.aws.room import Room


class Moves:
    """Moves the labels of one account's secrets.

    Args:
        aws: The account.
        look: Returns the labels of a secret as they are now.

    Permission: ``secretsmanager:UpdateSecretVersionStage``.

    https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_UpdateSecretVersionStage.html
    """

    def __init__(self, aws: AWS, look: Callable[[str], Labels]) -> None:
        self._aws = aws
        self._look = look

    def move(
        self, key_id: str, stage: str, *, to: str | None = None, off: str | None = None
    ) -> None:
        """Move a label from one version to another; without one of them, add or remove it."""
        where = {"MoveToVersionId": to, "RemoveFromVersionId": off}
        given = {name: version for name, version in where.items() if version is not None}
        self._aws.call(
            *("secretsmanager", "update_secret_version_stage", key_id),
            SecretId=key_id,
            VersionStage=stage,
            **given,
        )

    def remove(self, key_id: str, stage: str, version: str) -> None:
        """Remove a label, if nobody else has done so."""
        unless_made(
            lambda: self.move(key_id, stage, off=version),
            lambda: self._look(key_id).holder(stage) != version,
        )

    def keep(self, key_id: str, labels: Labels, versions: Iterable[str], now: datetime) -> None:
        """Pin versions that are or were current."""
        for version in dict.fromkeys(versions):
            # A version that is no longer current is dated before a version of this second.
            at = now if labels.holder(CURRENT) == version else now - timedelta(seconds=1)
            self.move(key_id, label(KEEP, version, at), to=version)

    def retire(self, key_id: str, labels: Labels, version: str, fresh: str) -> Labels:
        """Leave the label ``fresh`` on a version, remove the others, and return what is left."""
        every = labels
        others = [PREVIOUS] if labels.holder(PREVIOUS) == version else []
        others += [s for s in labels.ours(version, MADE, KEEP, RETIRED) if s != fresh]
        if fresh not in labels.stages.get(version, ()):
            if labels.used >= MAX_LABELS and len(others) > 1:
                first = others.pop(0)  # it keeps another one
                self.remove(key_id, first, version)
                every = every.without((version, first))
            elif labels.used >= MAX_LABELS:
                every = self.free(key_id, labels, labels.holder(CURRENT) or "", 1)
            self.move(key_id, fresh, to=version)
            every = every.plus(version, fresh)
        for stage in others:
            self.remove(key_id, stage, version)
        return every.without(*((version, stage) for stage in others))

    def rename(self, key_id: str, labels: Labels, version: str, now: datetime) -> None:
        """Give the versions that took over a label of ``version`` labels of their own instead."""
        for other, stage in labels.named_after(version):
            self.remove(key_id, stage, other)
            self.move(key_id, label(MADE, other, now), to=other)

    def free(self, key_id: str, labels: Labels, base: str, count: int) -> Labels:
        """Remove up to ``count`` labels that an emergency rotation from ``base`` can spare."""
        removed = Room(labels).spare(base)[: max(0, count)]
        for version, stage in removed:
            self.remove(key_id, stage, version)
        return labels.without(*removed)
