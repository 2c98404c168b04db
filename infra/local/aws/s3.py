"""A minimal simulated S3: a bucket whose default Object Lock retention lets nobody delete.

Path-style addresses; put (also if absent), get, head and list. An overwritten object would still
be there as an older version; only the newest is modelled.
"""

import base64
import hashlib
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import format_datetime
from urllib.parse import quote
from xml.sax.saxutils import escape

from infra.local.aws.protocol import AwsError, Clock
from infra.local.http_server import Request, Response
from infra.local.listing import opened, sealed
from infra.local.server import Operation, Refusal

MAX_KEYS = 1000
KEY_OPERATIONS = {
    "PUT": "PutObject",
    "GET": "GetObject",
    "HEAD": "HeadObject",
    "DELETE": "DeleteObject",
}
#: By the first name in the query.
BUCKET_OPERATIONS = {
    "list-type": "ListObjectsV2",
    "versioning": "GetBucketVersioning",
    "object-lock": "GetObjectLockConfiguration",
}
NOT_MODELLED = "NotModelled"
XML = "http://s3.amazonaws.com/doc/2006-03-01/"

CHECKSUMS: dict[str, Callable[[bytes], bytes]] = {
    "content-md5": lambda body: hashlib.md5(body, usedforsecurity=False).digest(),
    "x-amz-checksum-crc32": lambda body: zlib.crc32(body).to_bytes(4),
    "x-amz-checksum-sha1": lambda body: hashlib.sha1(body, usedforsecurity=False).digest(),
    "x-amz-checksum-sha256": lambda body: hashlib.sha256(body).digest(),
}


@dataclass(frozen=True, slots=True)
class Stored:
    """An object's newest version."""

    body: bytes = field(repr=False)
    modified: datetime

    @property
    def etag(self) -> str:
        """The entity tag, quoted."""
        return f'"{hashlib.md5(self.body, usedforsecurity=False).hexdigest()}"'


class S3:
    """The service; ``buckets`` is its whole state, also for tests that tamper with it."""

    name = "s3"

    def __init__(self, clock: Clock, buckets: tuple[str, ...]) -> None:
        self._clock = clock
        self.buckets: dict[str, dict[str, Stored]] = {bucket: {} for bucket in buckets}
        self.versioned: set[str] = set(buckets)
        self.conflicts = 0
        """How many conditional puts more are answered by 409, although nothing is in the way."""
        self.locks: dict[str, dict[str, str | int] | None] = {
            bucket: {"Mode": "COMPLIANCE", "Days": 365} for bucket in buckets
        }
        """The default retention of each bucket with Object Lock; ``None``: with no default."""

    def claim(self, request: Request) -> Operation | None:
        """Return the operation; every request that names no other service is for S3."""
        if "x-amz-target" in request.headers:
            return None
        bucket, key = _split(request)
        params: dict[str, object] = {"Bucket": bucket}
        writes = None
        if key:
            names = KEY_OPERATIONS
            params["Key"] = key
            if "if-none-match" in request.headers:
                params["IfNoneMatch"] = request.headers["if-none-match"]
                writes = f"{bucket}/{key}"
        else:
            names = {}
            if request.method == "GET":
                asked = BUCKET_OPERATIONS.keys() & request.query.keys()
                names = {"GET": BUCKET_OPERATIONS[min(asked)]} if asked else {}
            params["Prefix"] = request.query.get("prefix", "")
        name = names.get(request.method, NOT_MODELLED)
        return Operation(self.name, name, params, writes=writes)

    def perform(self, operation: Operation, request: Request) -> Response:
        """Carry the operation out and word its result or error."""
        try:
            return self._perform(operation, request)
        except AwsError as error:
            return _error(error)

    def refuse(self, refusal: Refusal, operation: Operation) -> Response:
        """Return S3's form of a general refusal."""
        match refusal:
            case Refusal.DENIED:
                message = f"User is not authorized to perform: s3:{operation.name}"
                return _error(AwsError("AccessDenied", message, 403))
            case Refusal.THROTTLED:
                return _error(AwsError("SlowDown", "Please reduce your request rate.", 503))
            case Refusal.INTERNAL:
                return _error(AwsError("InternalError", "We encountered an internal error.", 500))

    def _perform(self, operation: Operation, request: Request) -> Response:
        bucket, key = _split(request)
        if bucket not in self.buckets:
            raise AwsError("NoSuchBucket", "The specified bucket does not exist", 404)
        objects = self.buckets[bucket]
        match operation.name:
            case "PutObject":
                return self._put(objects, key, request, clash=operation.clash)
            case "GetObject" | "HeadObject":
                return _get(objects, key)
            case "ListObjectsV2":
                return _list(bucket, objects, request)
            case "GetBucketVersioning":
                status = "<Status>Enabled</Status>" if bucket in self.versioned else ""
                tag = "VersioningConfiguration"
                return _xml(200, f'<{tag} xmlns="{XML}">{status}</{tag}>')
            case "GetObjectLockConfiguration":
                return self._lock(bucket)
            case "DeleteObject":
                message = "Access Denied because object protected by object lock."
                raise AwsError("AccessDenied", message, 403)
        raise AwsError("NotImplemented", "This request is not modelled.", 501)

    def _lock(self, bucket: str) -> Response:
        if bucket not in self.locks:
            code = "ObjectLockConfigurationNotFoundError"
            raise AwsError(code, "Object Lock configuration does not exist for this bucket", 404)
        retention = self.locks[bucket]
        inner = "".join(f"<{name}>{value}</{name}>" for name, value in (retention or {}).items())
        rule = f"<Rule><DefaultRetention>{inner}</DefaultRetention></Rule>" if inner else ""
        tag = "ObjectLockConfiguration"
        enabled = "<ObjectLockEnabled>Enabled</ObjectLockEnabled>"
        return _xml(200, f'<{tag} xmlns="{XML}">{enabled}{rule}</{tag}>')

    def _put(
        self, objects: dict[str, Stored], key: str, request: Request, *, clash: bool
    ) -> Response:
        condition = request.headers.get("if-none-match")
        # "Expects the '*' (asterisk) character" (API_PutObject, If-None-Match).
        if condition not in (None, "*") or "if-match" in request.headers:
            message = "A header you provided implies functionality that is not implemented"
            raise AwsError("NotImplemented", message, 501)
        _check_body(request)
        # "Uploads the object only if the object key name does not already exist in the bucket.
        # Otherwise, Amazon S3 returns a 412 Precondition Failed error" (API_PutObject).
        if condition is not None and key in objects:
            message = "At least one of the pre-conditions you specified did not hold"
            raise AwsError("PreconditionFailed", message, 412, Condition="If-None-Match")
        # "If a conflicting operation occurs during the upload S3 returns a 409
        # ConditionalRequestConflict response. On a 409 failure you should retry the upload"
        # (API_PutObject): of two that create one object at the same time, the later one gets it.
        # Words and members as localstack recorded, test_multipart_if_none_match_with_delete.
        if condition is not None and (clash or self.conflicts):
            self.conflicts -= 0 if clash else 1
            message = "The conditional request cannot succeed due to a conflicting operation "
            message += "against this resource."
            more = {"Condition": "If-None-Match", "Key": key}
            raise AwsError("ConditionalRequestConflict", message, 409, **more)
        objects[key] = Stored(request.body, self._clock())
        return Response(200, headers={"ETag": objects[key].etag})


def _split(request: Request) -> tuple[str, str]:
    bucket, _, key = request.path.removeprefix("/").partition("/")
    return bucket, key


def _check_body(request: Request) -> None:
    """Require a checksum and verify it.

    "The Content-MD5 or x-amz-sdk-checksum-algorithm header is required for any request to upload
    an object with a retention period configured using Object Lock"
    (docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock-managing.html).
    """
    names = [n for n in request.headers if n.startswith("x-amz-checksum-") or n == "content-md5"]
    if not names:
        message = "Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests "
        raise AwsError("InvalidRequest", message + "with Object Lock parameters")
    for name in names:
        if name not in CHECKSUMS:
            raise AwsError("NotImplemented", f"{name} is not modelled.", 501)
        if base64.b64encode(CHECKSUMS[name](request.body)).decode() != request.headers[name]:
            message = f"The {name} you specified did not match what we received."
            raise AwsError("BadDigest", message)


def _get(objects: dict[str, Stored], key: str) -> Response:
    stored = objects.get(key)
    if stored is None:
        raise AwsError("NoSuchKey", "The specified key does not exist.", 404)
    headers = {
        "ETag": stored.etag,
        "Last-Modified": format_datetime(stored.modified, usegmt=True),
        "Content-Type": "application/octet-stream",
    }
    return Response(200, stored.body, headers)


def _list(bucket: str, objects: dict[str, Stored], request: Request) -> Response:
    query = request.query
    if query.get("list-type") != "2":
        raise AwsError("NotImplemented", "Only ListObjectsV2 is modelled.", 501)
    prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
    size = min(int(query.get("max-keys", MAX_KEYS)), MAX_KEYS)
    after = opened(query.get("continuation-token", "")) or query.get("start-after", "")
    items: list[str] = []
    folders: set[str] = set()
    for key in sorted(objects, key=str.encode):
        if not key.startswith(prefix):
            continue
        head, found, _ = (
            key.removeprefix(prefix).partition(delimiter) if delimiter else (key, "", "")
        )
        item = prefix + head + delimiter if found else key
        # A continuation token that is a folder has all that is below it behind it.
        if item <= after or (found and item in folders):
            continue
        if found:
            folders.add(item)
        items.append(item)
    shown, more = items[:size], len(items) > size
    encode = quote if query.get("encoding-type") == "url" else escape
    parts = [
        f"<Name>{bucket}</Name><Prefix>{encode(prefix)}</Prefix><MaxKeys>{size}</MaxKeys>",
        f"<KeyCount>{len(shown)}</KeyCount><IsTruncated>{str(more).lower()}</IsTruncated>",
        "<EncodingType>url</EncodingType>" if encode is quote else "",
        f"<NextContinuationToken>{sealed(shown[-1])}</NextContinuationToken>" if more else "",
    ]
    for item in shown:
        if item in folders:
            parts.append(f"<CommonPrefixes><Prefix>{encode(item)}</Prefix></CommonPrefixes>")
            continue
        stored = objects[item]
        parts.append(
            f"<Contents><Key>{encode(item)}</Key><ETag>{escape(stored.etag)}</ETag>"
            f"<LastModified>{stored.modified.strftime('%Y-%m-%dT%H:%M:%S.000Z')}</LastModified>"
            f"<Size>{len(stored.body)}</Size><StorageClass>STANDARD</StorageClass></Contents>"
        )
    return _xml(200, f'<ListBucketResult xmlns="{XML}">{"".join(parts)}</ListBucketResult>')


def _error(error: AwsError) -> Response:
    members = {"Code": error.code, "Message": error.message, **error.more}
    inner = "".join(f"<{name}>{escape(text)}</{name}>" for name, text in members.items())
    body = f"<Error>{inner}</Error>"
    return _xml(error.status, body, error.code)


def _xml(status: int, body: str, error: str = "") -> Response:
    document = f'<?xml version="1.0" encoding="UTF-8"?>\n{body}'.encode()
    return Response(status, document, {"Content-Type": "application/xml"}, error)
