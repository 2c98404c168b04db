"""The audit log in Cloud Storage: whether its objects can be deleted, and whether we may."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import quote, urlencode

from daena_kms.doctor.base import Needs, Place
from daena_kms.doctor.check import Check, Status, failed, unseen
from daena_kms.doctor.permission import Permission, refused
from daena_kms.doctor.web import Answer, allowed_in, ask
from daena_kms.errors import StoreUnavailable
from daena_kms.rules.durations import about
from daena_kms.sdk.gcp.login import GcpLogin
from daena_kms.settings import Settings

_NAME = "audit log: deletion protection"
#: "Enforcement of retention periods less than a day is not guaranteed", the API says of
#: ``retentionPeriod``.
_SHORTEST = timedelta(days=1)
#: What the bucket is asked for: an answer with anything else is none of Cloud Storage's.
_ANSWERED = {"retentionPolicy", "softDeletePolicy", "versioning"}
_OK, _FORBIDDEN = 200, (401, 403)
_NEEDED = {
    "storage.objects.create": "a run writes the log with it",
    "storage.objects.get": "a run reads the log with it",
    "storage.objects.list": "a run reads the log with it",
}
_READING = {"storage.objects.get", "storage.objects.list"}
#: It also allows overwriting. https://cloud.google.com/storage/docs/access-control/iam-permissions
_TOO_MUCH = "storage.objects.delete"


class GcsPlace(Place):
    """The checks of one bucket, by the JSON API: the XML API shows no retention policy.

    A permission that a rotation does not need: ``storage.buckets.get``.
    https://cloud.google.com/storage/docs/json_api/v1/buckets/get
    https://cloud.google.com/storage/docs/json_api/v1/buckets/testIamPermissions
    """

    # No document says which code means that the object exists, so IAM is asked below.
    needs = Needs("storage.objects.create", "storage.objects.list and storage.objects.get")

    def __init__(self, login: GcpLogin, bucket: str, settings: Settings) -> None:
        self._login = login
        host = settings.get("GCP_STORAGE_ENDPOINT") or f"https://storage.{login.universe}"
        self._url = f"{host.rstrip('/')}/storage/v1/b/{quote(bucket, safe='')}"

    def protection(self, *, read: bool) -> Iterator[Check]:
        """Yield the permissions on the bucket, and its retention policy."""
        try:
            yield from self._permissions(read=read)
            yield _policy(self._ask(f"?fields={','.join(sorted(_ANSWERED))}"))
        except StoreUnavailable as error:
            yield failed(_NAME, error, Status.UNKNOWN)

    def _permissions(self, *, read: bool) -> Iterator[Check]:
        names = (*_NEEDED, _TOO_MUCH)
        asked = urlencode([("permissions", name) for name in names])
        answer = self._ask(f"/iam/testPermissions?{asked}")
        allowed = allowed_in(answer, names)
        if allowed is None:
            found = f"the bucket does not say what is allowed (status {answer.status})"
            yield Check(
                "permission storage.objects.*", Status.UNKNOWN, found, "Check the log's address"
            )
            return
        # Where more is allowed than the bucket says, a condition names the objects.
        certain = not read or allowed >= _READING
        for name, use in _NEEDED.items():
            if name in allowed:
                yield Check(f"permission {name}", Status.OK, "allowed on the bucket")
            elif read and name in _READING:
                yield Check(f"permission {name}", Status.OK, "the log has just been read")
            else:
                missing = Permission(name, use, always=True, on="the bucket", certain=certain)
                yield refused(replace(missing, right="a condition names the objects"))
        if _TOO_MUCH in allowed:
            found = "allowed: these credentials may delete and overwrite the log"
            todo = "Remove it from the role, unless these credentials never rotate"
            yield Check(f"permission {_TOO_MUCH}", Status.WARNING, found, todo)

    def _ask(self, rest: str) -> Answer:
        token, _ = self._login.token()
        return ask(self._url + rest, token)


def _policy(answer: Answer) -> Check:
    if answer.status in _FORBIDDEN:
        return unseen(_NAME, "storage.buckets.get")
    document = answer.document
    if answer.status != _OK or document is None or not document.keys() <= _ANSWERED:
        found = f"the bucket's policies can't be read (status {answer.status})"
        return Check(_NAME, Status.UNKNOWN, found, "Check the log's address, and any proxy")
    retention: dict[str, Any] = document.get("retentionPolicy") or {}
    if retention.get("isLocked"):
        span = timedelta(seconds=int(retention.get("retentionPeriod", 0)))
        found = f"a locked retention policy: nobody can delete an object for {about(span)}"
        if span >= _SHORTEST:
            return Check(_NAME, Status.OK, found)
        return Check(_NAME, Status.WARNING, found, "Make the retention policy's period longer")
    if retention:
        found = (
            "a retention policy that is not locked: anybody who may change the bucket can remove it"
        )
        return Check(_NAME, Status.WARNING, found, "Lock the retention policy")
    soft = int((document.get("softDeletePolicy") or {}).get("retentionDurationSeconds", 0))
    if soft or (document.get("versioning") or {}).get("enabled"):
        found = "no retention policy; a deleted object can be restored for some time"
    else:
        found = "no retention policy: anybody who may delete objects can delete the log"
    return Check(_NAME, Status.WRONG, found, "Set a retention policy on the bucket, and lock it")
