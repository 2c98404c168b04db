"""A minimal simulated Cloud Storage, by the XML API, which is what obstore speaks.

Buckets have a locked retention policy unless a test takes them out of ``retained``. Only the
newest generation of an object is modelled. Where a comment names a page without an address, it is
below cloud.google.com/storage/docs.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import format_datetime
from itertools import count
from xml.sax.saxutils import escape

from infra.local.gcp.store import Clock
from infra.local.http_server import Request, Response
from infra.local.listing import opened, page, sealed
from infra.local.server import Operation, Refusal

MAX_KEYS = 1000
CONDITION = "x-goog-if-generation-match"
NOT_MODELLED = "NotModelled"
OBJECT_OPERATIONS = {
    "PUT": "InsertObject",
    "GET": "GetObject",
    "HEAD": "GetObject",
    "DELETE": "DeleteObject",
}
PERMISSIONS = {
    "InsertObject": "storage.objects.create",
    "GetObject": "storage.objects.get",
    "ListObjects": "storage.objects.list",
    "DeleteObject": "storage.objects.delete",
}
WRITES = "storage writes"
XML = "http://doc.s3.amazonaws.com/2006-03-01"


class StorageError(Exception):
    """An error as the XML API answers it."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.status = status
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class Stored:
    """An object's newest generation."""

    body: bytes = field(repr=False)
    modified: datetime
    generation: int

    @property
    def etag(self) -> str:
        """The entity tag, quoted."""
        return f'"{hashlib.md5(self.body, usedforsecurity=False).hexdigest()}"'


class Storage:
    """The service; ``buckets`` is its state, also for tests that tamper with it."""

    name = "storage"

    def __init__(
        self, clock: Clock, buckets: tuple[str, ...], roles: Mapping[str, set[str]]
    ) -> None:
        self._clock = clock
        self._roles = roles
        self._generations = count(1)
        self.buckets: dict[str, dict[str, Stored]] = {bucket: {} for bucket in buckets}
        self.retained = set(buckets)
        self.permission_first = False
        """Whether who may not delete gets 403 and not 412 for a condition that does not hold.

        Whoever overwrites an object needs storage.objects.delete (access-control/iam-permissions);
        which of the two comes first is not documented, so nothing may depend on it.
        """

    def store(self, bucket: str, name: str, body: bytes) -> None:
        """Put an object behind everybody's back."""
        self.buckets[bucket][name] = Stored(body, self._clock(), next(self._generations))

    def claim(self, request: Request) -> Operation | None:
        """Return the operation; every request is for this service."""
        bucket, name = _split(request)
        params: dict[str, object] = {"bucket": bucket}
        if name:
            operation = OBJECT_OPERATIONS.get(request.method, NOT_MODELLED)
            params["object"] = name
            if CONDITION in request.headers:
                params["ifGenerationMatch"] = request.headers[CONDITION]
        else:
            operation = "ListObjects" if request.method == "GET" else NOT_MODELLED
            params["prefix"] = request.query.get("prefix", "")
        group = WRITES if request.method in ("PUT", "DELETE") else None
        return Operation(self.name, operation, params, group, caller=_principal(request))

    def perform(self, operation: Operation, request: Request) -> Response:
        """Carry the operation out and word its result or error."""
        try:
            return self._perform(operation, request)
        except StorageError as error:
            return _error(error)

    def refuse(self, refusal: Refusal, operation: Operation) -> Response:
        """Return the XML API's form of a general refusal."""
        match refusal:
            case Refusal.DENIED:
                return _error(_denied(operation, PERMISSIONS.get(operation.name, NOT_MODELLED)))
            case Refusal.THROTTLED:
                message = "Please reduce your request rate."
                return _error(StorageError(429, "SlowDown", message))
            case Refusal.INTERNAL:
                message = "We encountered an internal error. Please try again."
                return _error(StorageError(500, "InternalError", message))

    def _perform(self, operation: Operation, request: Request) -> Response:
        if operation.name == NOT_MODELLED:
            raise StorageError(501, "NotImplemented", "This request is not modelled.")
        if not operation.caller:
            raise StorageError(401, "AuthenticationRequired", "Authentication required.")
        self._need(operation, PERMISSIONS[operation.name])
        bucket, name = _split(request)
        objects = self.buckets.get(bucket)
        if objects is None:
            raise StorageError(404, "NoSuchBucket", "The specified bucket does not exist.")
        match operation.name:
            case "InsertObject":
                return self._insert(operation, bucket, name, request)
            case "GetObject":
                return _get(objects, name)
            case "DeleteObject":
                return self._delete(bucket, name)
        return _list(bucket, objects, request)

    def _insert(self, operation: Operation, bucket: str, name: str, request: Request) -> Response:
        before = self.buckets[bucket].get(name)
        if before is not None and self.permission_first:
            self._need(operation, "storage.objects.delete")
        # With 0 an operation succeeds "only if there are no live versions of the object"
        # (request-preconditions).
        condition = request.headers.get(CONDITION)
        present = 0 if before is None else before.generation
        if condition is not None and condition != str(present):
            message = "At least one of the pre-conditions you specified did not hold."
            raise StorageError(412, "PreconditionFailed", message)
        if before is not None:
            self._need(operation, "storage.objects.delete")
            self._check_retention(bucket, name)
        self.store(bucket, name, request.body)
        stored = self.buckets[bucket][name]
        headers = {"ETag": stored.etag, "x-goog-generation": str(stored.generation)}
        return Response(200, headers=headers)

    def _delete(self, bucket: str, name: str) -> Response:
        if name not in self.buckets[bucket]:
            raise _no_such_key()
        self._check_retention(bucket, name)
        del self.buckets[bucket][name]
        return Response(204)

    def _check_retention(self, bucket: str, name: str) -> None:
        # "Objects … can't be deleted or replaced" before their age is over (bucket-lock).
        if bucket in self.retained:
            message = f"Object '{bucket}/{name}' is subject to the bucket's retention policy."
            raise StorageError(403, "RetentionPolicyNotMet", message)

    def _need(self, operation: Operation, permission: str) -> None:
        allowed = self._roles.get(operation.caller or "")
        if allowed is not None and permission not in allowed:
            raise _denied(operation, permission)


def _split(request: Request) -> tuple[str, str]:
    bucket, _, name = request.path.removeprefix("/").partition("/")
    return bucket, name


def _principal(request: Request) -> str:
    """Return whose token it is: a token is here the principal's name."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token if scheme == "Bearer" else ""


def _get(objects: dict[str, Stored], name: str) -> Response:
    stored = objects.get(name)
    if stored is None:
        raise _no_such_key()
    headers = {
        "ETag": stored.etag,
        "x-goog-generation": str(stored.generation),
        "Last-Modified": format_datetime(stored.modified, usegmt=True),
        "Content-Type": "application/octet-stream",
    }
    return Response(200, stored.body, headers)


def _list(bucket: str, objects: dict[str, Stored], request: Request) -> Response:
    query = request.query
    if query.get("list-type") != "2":
        raise StorageError(501, "NotImplemented", "Only the second list type is modelled.")
    prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
    size = min(int(query.get("max-keys", MAX_KEYS)), MAX_KEYS)
    after = opened(query.get("continuation-token", "")) or query.get("start-after", "")
    shown = page(objects, prefix, delimiter, after, size)
    parts = [
        f"<Name>{bucket}</Name><Prefix>{escape(prefix)}</Prefix>",
        f"<IsTruncated>{str(shown.more).lower()}</IsTruncated>",
    ]
    if shown.more:
        token = sealed(shown.items[-1])
        parts.append(f"<NextContinuationToken>{token}</NextContinuationToken>")
    for item in shown.items:
        if item in shown.folders:
            parts.append(f"<CommonPrefixes><Prefix>{escape(item)}</Prefix></CommonPrefixes>")
            continue
        stored = objects[item]
        parts.append(
            f"<Contents><Key>{escape(item)}</Key><Generation>{stored.generation}</Generation>"
            f"<MetaGeneration>1</MetaGeneration><ETag>{escape(stored.etag)}</ETag>"
            f"<LastModified>{stored.modified.strftime('%Y-%m-%dT%H:%M:%S.000Z')}</LastModified>"
            f"<Size>{len(stored.body)}</Size></Contents>"
        )
    return _xml(200, f'<ListBucketResult xmlns="{XML}">{"".join(parts)}</ListBucketResult>')


def _no_such_key() -> StorageError:
    return StorageError(404, "NoSuchKey", "The specified key does not exist.")


def _denied(operation: Operation, permission: str) -> StorageError:
    message = f"{operation.caller} does not have {permission} access (or it may not exist)."
    return StorageError(403, "AccessDenied", message)


def _error(error: StorageError) -> Response:
    body = f"<Error><Code>{error.code}</Code><Message>{escape(error.message)}</Message></Error>"
    return _xml(error.status, body, error.code)


def _xml(status: int, body: str, error: str = "") -> Response:
    document = f"<?xml version='1.0' encoding='UTF-8'?>{body}".encode()
    return Response(status, document, {"Content-Type": "application/xml; charset=UTF-8"}, error)
