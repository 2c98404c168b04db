"""A simulated Blob Storage account: block blobs in containers, as far as a log and claims go.

Put (also if absent or if unchanged), get, head, list and delete, for callers with a token alone:
keys and signatures in addresses are refused. Blobs have no versions, snapshots or leases.
https://learn.microsoft.com/rest/api/storageservices/blob-service-rest-api
"""

import base64
import hashlib
import re
from dataclasses import dataclass, field, replace
from datetime import datetime
from email.utils import format_datetime
from typing import ClassVar, NamedTuple

from infra.local.azure import auth
from infra.local.azure.auth import Roles, Tokens
from infra.local.azure.blob_batch import batch_answer, is_batch, parts
from infra.local.azure.blob_forms import check_conditions, error_answer, xml_headers
from infra.local.azure.blob_listing import listing
from infra.local.azure.documents import AzureError, Clock
from infra.local.http_server import Request, Response
from infra.local.server import Operation, Refusal

SERVICE = "blob"
ACCOUNT = "devaccount"
NOT_MODELLED = "NotModelled"
VERSIONED = "immutable-storage-with-versioning-enabled"
OPERATIONS = {"PUT": "PutBlob", "GET": "GetBlob", "HEAD": "HeadBlob", "DELETE": "DeleteBlob"}
#: https://learn.microsoft.com/rest/api/storageservices/naming-and-referencing-containers--blobs--and-metadata
CONTAINER = re.compile(r"(?=.{3,63}\Z)[a-z0-9]+(-[a-z0-9]+)*", re.ASCII)
MAX_NAME = 1024
_RANGE = re.compile(r"bytes=(\d+)-(\d*)", re.ASCII)
_DENIED = "This request is not authorized to perform this operation using this permission."


@dataclass(frozen=True, slots=True)
class Blob:
    """A blob; the etag names this writing of it."""

    body: bytes = field(repr=False)
    modified: datetime
    etag: str
    content_type: str = "application/octet-stream"

    @property
    def md5(self) -> str:
        """The MD5 of the content, as headers have it."""
        return base64.b64encode(hashlib.md5(self.body, usedforsecurity=False).digest()).decode()


class Place(NamedTuple):
    """What an address names."""

    account: str
    container: str
    blob: str


class BlobStorage:
    """The service; ``containers`` is its whole state, also for tests that tamper with it."""

    name: ClassVar[str] = SERVICE

    def __init__(
        self, clock: Clock, tokens: Tokens, roles: Roles, containers: tuple[str, ...]
    ) -> None:
        self._clock = clock
        self._tokens = tokens
        self._roles = roles
        self._written = 0
        self.protections: dict[str, set[str]] = {}
        """What is on a container: ``has-immutability-policy``, ``has-legal-hold`` and
        ``immutable-storage-with-versioning-enabled``."""
        self.containers: dict[str, dict[str, Blob]] = {name: {} for name in containers}
        self.overwrite_checked_first = False
        """What no document says: whether a caller who may only add gets UnauthorizedBlobOverwrite
        (403) instead of BlobAlreadyExists (409) for a blob that is there and If-None-Match: *."""

    def create(self, container: str) -> None:
        """Make a container, which is no data action and has no call here."""
        if CONTAINER.fullmatch(container) is None:
            raise ValueError(container)
        self.containers.setdefault(container, {})

    def claim(self, request: Request) -> Operation | None:
        """Return the operation; every request without TLS is for this service."""
        if request.secure:
            return None
        place = _place(request)
        params: dict[str, object] = {"container": place.container}
        if place.blob:
            params["name"] = place.blob
            name = OPERATIONS.get(request.method, NOT_MODELLED)
        elif is_batch(request):
            params["names"] = _names(request)
            name = "DeleteBlob"
        else:
            params["prefix"] = request.query.get("prefix", "")
            name = _of_container(request)
        for header in ("if-none-match", "if-match"):
            if header in request.headers:
                params[header] = request.headers[header]
        try:
            caller = self._authenticated(request)
        except AzureError:
            caller = ""
        return Operation(SERVICE, name, params, caller=caller)

    def perform(self, operation: Operation, request: Request) -> Response:
        """Carry the operation out and word its result or error, with the service's own date."""
        try:
            answer = self._perform(operation, request)
        except AzureError as error:
            answer = error_answer(error)
        date = format_datetime(self._clock(), usegmt=True)
        return replace(answer, headers={**answer.headers, "Date": date})

    def refuse(self, refusal: Refusal, operation: Operation) -> Response:
        """Return the service's form of a general refusal."""
        del operation
        match refusal:
            case Refusal.DENIED:
                return error_answer(AzureError(403, "AuthorizationPermissionMismatch", _DENIED))
            case Refusal.THROTTLED:
                return error_answer(AzureError(503, "ServerBusy", "The server is busy."))
            case Refusal.INTERNAL:
                return error_answer(AzureError(500, "InternalError", "An internal error occurred."))

    def _perform(self, operation: Operation, request: Request) -> Response:
        caller = self._authenticated(request)
        if not request.headers.get("x-ms-version"):
            raise AzureError(400, "MissingRequiredHeader", "x-ms-version is required.")
        if is_batch(request):
            return batch_answer([self.perform(operation, part) for part in parts(request)])
        place = _place(request)
        known = operation.name != NOT_MODELLED and (
            not place.blob or request.query.keys() <= {"timeout"}
        )
        if not known or place.account != ACCOUNT or len(place.blob) > MAX_NAME:
            raise AzureError(400, "InvalidUri", "This request is not modelled.")
        blobs = self.containers.get(place.container)
        there = blobs is not None and place.blob in blobs
        self._authorize(operation, caller, request, there=there)
        if blobs is None:
            raise AzureError(404, "ContainerNotFound", "The specified container does not exist.")
        match operation.name:
            case "GetContainerProperties":
                return Response(200, headers=self._protection(place.container))
            case "ListBlobs":
                return listing(place.container, blobs, request)
            case "PutBlob":
                return self._put(blobs, place.blob, request)
        blob = blobs.get(place.blob)
        if blob is None:
            raise AzureError(404, "BlobNotFound", "The specified blob does not exist.")
        check_conditions(request, blob.etag)
        if operation.name == "DeleteBlob":
            del blobs[place.blob]
            return Response(202, headers=xml_headers())
        return _read(blob, request)

    def _protection(self, container: str) -> dict[str, str]:
        """https://learn.microsoft.com/rest/api/storageservices/get-container-properties."""
        found = self.protections.get(container, set())
        names = ("has-immutability-policy", "has-legal-hold", VERSIONED)
        return xml_headers() | {f"x-ms-{name}": str(name in found).lower() for name in names}

    def _put(self, blobs: dict[str, Blob], name: str, request: Request) -> Response:
        if request.headers.get("x-ms-blob-type") != "BlockBlob":
            raise AzureError(400, "InvalidHeaderValue", "x-ms-blob-type must be BlockBlob.")
        if "content-length" not in request.headers:
            raise AzureError(411, "MissingContentLengthHeader", "Content-Length is required.")
        held = blobs.get(name)
        check_conditions(request, held.etag if held is not None else None)
        self._written += 1
        kind = request.headers.get("content-type", "application/octet-stream")
        made = Blob(request.body, self._clock(), f'"0x8DC{self._written:013X}"', kind)
        sent = request.headers.get("content-md5", made.md5)
        if sent != made.md5:
            raise AzureError(400, "Md5Mismatch", "The MD5 value did not match the content.")
        blobs[name] = made
        return Response(201, headers=xml_headers() | _properties(made))

    def _authorize(
        self, operation: Operation, caller: str, request: Request, *, there: bool
    ) -> None:
        """Ask the role assignments.

        "For Put Blob: …/blobs/write (to create a new or replace an existing blob) or
        …/blobs/add/action (to create a new blob)":
        https://learn.microsoft.com/rest/api/storageservices/authorize-with-azure-active-directory
        """
        scope = auth.container(_place(request).container)
        match operation.name:
            case "PutBlob":
                if self._roles.allow(caller, auth.WRITE_BLOB, scope):
                    return
                if self._roles.allow(caller, auth.ADD_BLOB, scope):
                    if_absent = request.headers.get("if-none-match") == "*"
                    if there and (self.overwrite_checked_first or not if_absent):
                        message = "This request is not authorized to perform blob overwrites."
                        raise AzureError(403, "UnauthorizedBlobOverwrite", message)
                    return
            case "GetContainerProperties":
                if self._roles.allow(caller, auth.READ_CONTAINER, scope):
                    return
            case "DeleteBlob":
                if self._roles.allow(caller, auth.DELETE_BLOB, scope):
                    return
            case _:
                if self._roles.allow(caller, auth.READ_BLOB, scope):
                    return
        raise AzureError(403, "AuthorizationPermissionMismatch", _DENIED)

    def _authenticated(self, request: Request) -> str:
        """Return whose token it is.

        "Bearer challenge": https://learn.microsoft.com/rest/api/storageservices/authorize-with-azure-active-directory
        """
        given = request.headers.get("authorization", "")
        scheme, _, token = given.partition(" ")
        if "sig" in request.query or scheme in {"SharedKey", "SharedKeyLite"}:
            message = "Key based authentication is not permitted on this storage account."
            raise AzureError(403, "KeyBasedAuthenticationNotPermitted", message)
        challenge = (
            f"Bearer authorization_uri={auth.AUTHORITY}/oauth2/authorize "
            f"resource_id={auth.BLOB_AUDIENCE}"
        )
        headers = {"WWW-Authenticate": challenge}
        if scheme.lower() != "bearer":
            message = "Server failed to authenticate the request."
            raise AzureError(401, "NoAuthenticationInformation", message, headers=headers)
        try:
            return self._tokens.check(token.strip(), auth.BLOB_AUDIENCE)
        except ValueError as error:
            raise AzureError(
                401, "InvalidAuthenticationInfo", str(error), headers=headers
            ) from None


def _of_container(request: Request) -> str:
    if request.method == "GET" and request.query.get("comp") == "list":
        return "ListBlobs"
    asked = request.method in {"GET", "HEAD"} and request.query == {"restype": "container"}
    return "GetContainerProperties" if asked else NOT_MODELLED


def _place(request: Request) -> Place:
    parts = request.path.removeprefix("/").split("/", 2)
    return Place(*(*parts, "", "")[:3])


def _names(request: Request) -> list[str]:
    """Return the names that a batch deletes; none if it is malformed."""
    try:
        return [_place(part).blob for part in parts(request)]
    except AzureError:
        return []


def _properties(blob: Blob) -> dict[str, str]:
    return {
        "ETag": blob.etag,
        "Last-Modified": format_datetime(blob.modified, usegmt=True),
        "Content-MD5": blob.md5,
    }


def _read(blob: Blob, request: Request) -> Response:
    """Return a blob or a part of it; the server sends no body to a HEAD request."""
    headers = xml_headers() | _properties(blob)
    headers |= {"x-ms-blob-type": "BlockBlob", "Accept-Ranges": "bytes"}
    headers["Content-Type"] = blob.content_type
    asked = request.headers.get("x-ms-range") or request.headers.get("range")
    if asked is None or request.method == "HEAD":
        return Response(200, blob.body, headers)
    part = _RANGE.fullmatch(asked)
    if part is None:
        raise AzureError(400, "InvalidHeaderValue", "A range from the end is not supported.")
    size, start = len(blob.body), int(part[1])
    end = min(int(part[2]) + 1, size) if part[2] else size
    if start >= size:
        raise AzureError(416, "InvalidRange", "The range specified is invalid.")
    headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    return Response(206, blob.body[start:end], headers)
