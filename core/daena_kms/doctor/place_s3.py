"""The audit log in S3: whether its objects can be deleted."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from daena_kms.doctor.base import Needs, Place
from daena_kms.doctor.check import Check, Status, failed, is_missing, unseen
from daena_kms.errors import DaenaKMSError, StoreUnavailable
from daena_kms.sdk.aws.client import AWS

_ROOT = re.compile(rb"\s*(?:<\?[^>]*>\s*)?<(?:[A-Za-z0-9]+:)?([A-Za-z0-9]+)")
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

    def protection(self, *, read: bool) -> Iterator[Check]:
        """Yield the state of Object Lock, and of versioning, which it needs."""
        del read
        yield self._versioning()
        yield self._lock()

    def _versioning(self) -> Check:
        try:
            answer = self._call("get_bucket_versioning", "VersioningConfiguration")
        except DaenaKMSError as error:
            if is_missing(error):
                return unseen(_VERSIONING, "s3:GetBucketVersioning on the bucket")
            return failed(_VERSIONING, error, Status.UNKNOWN)
        if answer.get("Status") == "Enabled":
            return Check(_VERSIONING, Status.OK, "on: a deleted object stays as an older version")
        todo = "Run: aws s3api put-bucket-versioning --versioning-configuration Status=Enabled"
        return Check(_VERSIONING, Status.WRONG, "off: a deleted object is lost", todo)

    def _lock(self) -> Check:
        todo = "Set Object Lock with a default retention on the bucket (docs/AUDIT.md)"
        try:
            whole = self._call("get_object_lock_configuration", "ObjectLockConfiguration")
        except DaenaKMSError as error:
            if is_missing(error):
                return unseen(_LOCK, "s3:GetBucketObjectLockConfiguration on the bucket")
            if getattr(error, "reason", "") != "ObjectLockConfigurationNotFoundError":
                return failed(_LOCK, error, Status.UNKNOWN)
            found = "no Object Lock: anybody who may delete objects can delete the log"
            return Check(_LOCK, Status.WRONG, found, todo)
        answer = whole.get("ObjectLockConfiguration", {})
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

    def _call(self, operation: str, root: str) -> Any:
        """Make a call, and return its answer.

        Raises:
            StoreUnavailable: the answer's document has another root. The SDK reads any other one,
                such as a page of a proxy, as an answer in which nothing is set.
        """
        documents: list[bytes] = []

        def note(response_dict: Mapping[str, Any], **_event: object) -> None:
            documents.append(response_dict["body"])

        events = self._aws.client("s3").meta.events
        events.register("before-parse.s3", note)
        try:
            answer = self._aws.call("s3", operation, None, Bucket=self._bucket)
        finally:
            events.unregister("before-parse.s3", note)
        if not documents or _root(documents[-1]) != root:
            msg = f"the answer did not come from S3: it is no {root}"
            raise StoreUnavailable(msg, todo="Check the endpoint, and any proxy in between")
        return answer


def _root(document: bytes) -> str:
    """Return the name of an XML document's root, without its namespace; empty if there is none."""
    found = _ROOT.match(document)
    return "" if found is None else found[1].decode()
