"""A bucket of each cloud that answers some requests as a test says, and the others as it should."""

import hashlib
import http.server
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from daena_kms.objects.address import Access, open_objects
from daena_kms.objects.base import Objects, Use
from daena_kms.objects.cloud import CloudObjects
from daena_kms.objects.creation import Creator
from daena_kms.sdk.azure.login import Login
from daena_kms.sdk.gcp.login import GcpLogin
from google.oauth2.credentials import Credentials

from tests.unit.objects.answers import Quiet

KINDS = ("s3", "az", "gs")
ADDRESSES = {"s3": "s3://bucket", "az": "az://account/bucket", "gs": "gs://bucket"}
#: What each service answers where an object is absent, and where it exists: status and code.
ABSENT = {"s3": (404, "NoSuchKey"), "az": (404, "BlobNotFound"), "gs": (404, "NoSuchKey")}
EXISTS = {
    "s3": (412, "PreconditionFailed"),
    "az": (409, "BlobAlreadyExists"),
    "gs": (412, "PreconditionFailed"),
}
#: Opens the bucket for a use.
type Open = Callable[[Use], Objects]
PAGE = b"<html><head/><body><p>Please log in</p></body></html>"


@dataclass(frozen=True)
class Reply:
    """One answer, and what the request does before it comes."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    #: What is stored under the name first: the request's own bytes (``True``), or other ones.
    stores: bool | bytes = False


def refusal(status: int, code: str, *, stores: bool | bytes = False) -> Reply:
    """Return a refusal in the form that all three services have."""
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>m</Message></Error>"
    return Reply(status, body.encode(), {"x-ms-error-code": code}, stores)


def listing(kind: str, sizes: dict[str, int]) -> bytes:
    """Return the only page of a listing in the form of a service."""
    if kind == "az":
        made = "<Last-Modified>Sun, 01 Mar 2026 12:00:00 GMT</Last-Modified>"
        inner = "".join(
            f"<Blob><Name>{name}</Name><Properties>{made}<Content-Length>{size}</Content-Length>"
            "</Properties></Blob>"
            for name, size in sizes.items()
        )
        inner = f"<Blobs>{inner}</Blobs><NextMarker />"
        return f"<EnumerationResults>{inner}</EnumerationResults>".encode()
    inner = "".join(
        f"<Contents><Key>{name}</Key><LastModified>2026-03-01T12:00:00Z</LastModified>"
        f"<Size>{size}</Size></Contents>"
        for name, size in sizes.items()
    )
    inner += "<IsTruncated>false</IsTruncated>"
    return f"<ListBucketResult>{inner}</ListBucketResult>".encode()


class Script:
    """The objects of one bucket, what was asked of it, and how it answers next."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.held: dict[str, bytes] = {}
        self.seen: list[str] = []
        #: By method, what is answered next: once each, and the last of ``always`` from then on.
        self.next: dict[str, list[Reply]] = {}
        self.always: dict[str, Reply] = {}
        #: How long was waited between tries, in seconds.
        self.waits: list[float] = []

    def asked(self, method: str) -> int:
        """Return how many requests came by that method."""
        return self.seen.count(method)

    def answer(self, method: str, name: str, body: bytes, prefix: str = "") -> Reply:
        """Return the answer to a request; one without a name lists what begins with ``prefix``."""
        method = method if name else "LIST"
        self.seen.append(method)
        special = self.next.get(method)
        reply = special.pop(0) if special else self.always.get(method)
        if reply is None:
            return self._as_it_should(method, name, body) if name else self._listing(prefix)
        if reply.stores is not False:
            self.held.setdefault(name, body if reply.stores is True else reply.stores)
        return reply

    def _as_it_should(self, method: str, name: str, body: bytes) -> Reply:
        if method == "PUT" and name in self.held:
            return refusal(*EXISTS[self.kind])
        if method == "PUT":
            self.held[name] = body
            return Reply(201, b"", self.headers(body))
        if name not in self.held:
            return refusal(*ABSENT[self.kind])
        return Reply(200, self.held[name], self.headers(self.held[name]))

    def _listing(self, prefix: str) -> Reply:
        names = sorted(name for name in self.held if name.startswith(prefix))
        return Reply(200, listing(self.kind, {name: len(self.held[name]) for name in names}))

    def headers(self, body: bytes) -> dict[str, str]:
        """Return what the service says of an object."""
        etag = hashlib.md5(body, usedforsecurity=False).hexdigest()
        return {
            "ETag": '"0x8DC1"' if self.kind == "az" else f'"{etag}"',
            "Last-Modified": "Sun, 01 Mar 2026 12:00:00 GMT",
            **({"x-goog-generation": "1"} if self.kind == "gs" else {}),
        }


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Any

    def do_GET(self) -> None:
        """Answer a read or a listing, and every other request."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0) or 0))
        url = urlsplit(self.path)
        name = unquote(url.path).removeprefix("/bucket").removeprefix("/")
        (prefix,) = parse_qs(url.query).get("prefix", [""])
        reply: Reply = self.server.script.answer(self.command, name, body, prefix)
        self.send_response_only(reply.status)
        for header, text in {"Content-Length": str(len(reply.body)), **reply.headers}.items():
            self.send_header(header, text)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.body)

    def do_PUT(self) -> None:
        """Answer a put."""
        self.do_GET()

    def do_HEAD(self) -> None:
        """Answer a look."""
        self.do_GET()

    def log_message(self, *_given: object) -> None:
        """Say nothing."""


@contextmanager
def scripted(kind: str, patch: pytest.MonkeyPatch) -> Iterator[tuple[Script, Open]]:
    """Run a bucket; yield it, and what opens it for a use and waits for nothing."""
    script = Script(kind)
    with Quiet(("127.0.0.1", 0), _Handler) as server:
        vars(server)["script"] = script
        url = f"http://127.0.0.1:{server.server_address[1]}"
        for name in ("AWS_ENDPOINT_URL", "AZURE_STORAGE_ENDPOINT", "GCP_STORAGE_ENDPOINT"):
            patch.setenv(name, url)
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"):
            patch.setenv(name, "eu-central-1")
        patch.setenv("AZURE_STORAGE_ACCOUNT_KEY", "a2V5")
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield script, lambda use: _opened(script, use)
        finally:
            server.shutdown()
            thread.join()


def _opened(script: Script, use: Use) -> Objects:
    expires = datetime.now(UTC).replace(tzinfo=None) + timedelta(hours=1)
    credentials = Credentials(ADDRESSES["gs"], expiry=expires)  # type: ignore[no-untyped-call] # as it is declared
    logins: dict[str, Login | GcpLogin] = {
        "az": Login({}),
        "gs": GcpLogin({"GCP_PROJECT_ID": "project-1"}, credentials=credentials),
    }
    access = Access(login=logins.get(script.kind))
    objects = open_objects(ADDRESSES[script.kind], use, access)
    assert isinstance(objects, CloudObjects)
    time = [0.0]

    def sleep(seconds: float) -> None:
        script.waits.append(seconds)
        time[0] += seconds

    objects._creator = Creator(objects._store, 25, sleep, lambda: time[0])
    return objects
