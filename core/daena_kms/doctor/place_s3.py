"""The audit log in S3: whether its objects can be deleted."""

from collections.abc import Iterator
from typing import Any

from daena_kms.doctor.base import Needs, Place
from daena_kms.doctor.check import Check, Status, unseen
from daena_kms.errors import AccessDenied
from daena_kms.sdk.aws.client import AWS
from daena_kms.sdk.aws.errors import FailedError

_VERSIONING, _LOCK = "audit log: versioning", "audit log: deletion protection"


class S3Place(Place):
    """The checks of one bucket.

    Permissions that a rotation does not need: ``s3:GetBucketVersioning`` and
    ``s3:GetBucketObjectLockConfiguration`` on the bucket.
    https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectLockConfiguration.html
    """

    # One permission covers all puts, so a refusal never means that the object exists.
    # https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html
    needs = Needs(
        "s3:PutObject", "s3:ListBucket and s3:GetObject", write_codes=frozenset({"AccessDenied"})
    )

    def __init__(self, aws: AWS, bucket: str) -> None:
        self._aws = aws
        self._bucket = bucket

    def protection(self) -> Iterator[Check]:
        """Yield the state of Object Lock, and of versioning, which it needs."""
        yield self._versioning()
        yield self._lock()

    def _versioning(self) -> Check:
        try:
            answer = self._call("get_bucket_versioning")
        except AccessDenied:
            return unseen(_VERSIONING, "s3:GetBucketVersioning on the bucket")
        if answer.get("Status") == "Enabled":
            return Check(_VERSIONING, Status.OK, "on: a deleted object stays as an older version")
        todo = "Run: aws s3api put-bucket-versioning --versioning-configuration Status=Enabled"
        return Check(_VERSIONING, Status.WRONG, "off: a deleted object is lost", todo)

    def _lock(self) -> Check:
        todo = "Set Object Lock with a default retention on the bucket (docs/AUDIT.md)"
        try:
            answer = self._call("get_object_lock_configuration")["ObjectLockConfiguration"]
        except AccessDenied:
            return unseen(_LOCK, "s3:GetBucketObjectLockConfiguration on the bucket")
        except FailedError as error:
            if error.reason != "ObjectLockConfigurationNotFoundError":
                raise
            found = "no Object Lock: anybody who may delete objects can delete the log"
            return Check(_LOCK, Status.WRONG, found, todo)
        retention = answer.get("Rule", {}).get("DefaultRetention", {})
        if answer.get("ObjectLockEnabled") != "Enabled" or not retention:
            found = "Object Lock without a default retention: new objects are not locked"
            return Check(_LOCK, Status.WRONG, found, todo)
        mode = str(retention.get("Mode"))
        span = f"{retention['Days']} d" if "Days" in retention else f"{retention.get('Years')} y"
        if mode == "COMPLIANCE":
            return Check(_LOCK, Status.OK, f"Object Lock, {mode}, {span}: nobody can delete")
        found = f"Object Lock, {mode}, {span}: anybody with s3:BypassGovernanceRetention can delete"
        todo = "Give that permission to nobody, or use COMPLIANCE"
        return Check(_LOCK, Status.WARNING, found, todo)

    def _call(self, operation: str) -> Any:
        return self._aws.call("s3", operation, None, Bucket=self._bucket)
