"""The log in S3 where one bucket answers in one way: the two clients that use it, and how."""

import http.server
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import ClassVar

import pytest
import trustme
from daena_kms.audit import open_log
from daena_kms.errors import AuditUnavailable
from daena_kms.objects import cloud
from daena_kms.objects.base import Objects

CANARY = "c4naRy"
#: What each service says of an empty listing, and in its answer to a put: S3, Blob Storage, Cloud
#: Storage. https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html,
#: https://learn.microsoft.com/rest/api/storageservices/list-blobs
_MD5 = '"d41d8cd98f00b204e9800998ecf8427e"'
EMPTY = b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"
EMPTY_BLOBS = b"<EnumerationResults><Blobs /><NextMarker /></EnumerationResults>"
WRITTEN = {"ETag": _MD5, "x-goog-generation": "1"}
WRITTEN_BLOB = {"ETag": '"0x8DC0000000000001"'}


class Bucket(http.server.BaseHTTPRequestHandler):
    """Answers every put and every listing in one way; as a proxy it refuses."""

    status: ClassVar[int] = 200
    body: ClassVar[bytes] = EMPTY
    more: ClassVar[dict[str, str]]
    seen: ClassVar[list[str]]

    def do_PUT(self) -> None:
        """Answer a put."""
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.do_GET()

    def do_GET(self) -> None:
        """Answer a listing."""
        self.seen.append(f"{self.command} {self.path.partition('?')[0]}")
        self.send_response_only(self.status)
        for name, text in {**WRITTEN, **self.more}.items():
            self.send_header(name, text)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def do_CONNECT(self) -> None:
        """Refuse to be a proxy."""
        self.seen.append(f"CONNECT {self.path}")
        self.send_response(407)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_given: object) -> None:
        """Say nothing."""


class Quiet(http.server.ThreadingHTTPServer):
    """Reports no connection that a client broke off."""

    daemon_threads = True

    def handle_error(self, *_given: object) -> None:
        """Say nothing."""


@contextmanager
def serving(
    certificate: trustme.LeafCert | None = None,
    status: int = 200,
    body: bytes = EMPTY,
    more: dict[str, str] | None = None,
) -> Iterator[tuple[int, list[str]]]:
    """Run a bucket, and yield its port and what it was asked."""
    seen: list[str] = []
    given = {"seen": seen, "status": status, "body": body, "more": more or {}}
    handler = type("Answer", (Bucket,), given)
    with Quiet(("127.0.0.1", 0), handler) as server:
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            certificate.configure_cert(context)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server.server_address[1], seen
        finally:
            server.shutdown()
            thread.join()


def surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set what a call needs, no proxies and no certificates, and give up at once."""
    for name in ("GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKID")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "unused")
    monkeypatch.setattr(cloud, "RETRY_TIMEOUT", timedelta(milliseconds=1))


class Way:
    """One use of the log in S3."""

    def __init__(self, done: str, seen: str, call: Callable[[Objects], object]) -> None:
        self.done, self.seen, self.call = done, seen, call

    def __call__(self) -> None:
        """Use the log."""
        self.call(open_log("s3://bucket"))

    def fail(self, *, with_: str = "") -> str:
        """Return the text of its error."""
        words = rf"the audit log s3://bucket can't be {self.done}.*{with_}"
        with pytest.raises(AuditUnavailable, match=words) as no:
            self()
        assert CANARY not in repr(no.value)
        assert no.value.__cause__ is None
        return str(no.value)


#: What writes to a bucket and what lists it are two clients. A listing is a run's first call.
WAYS = [
    Way("written", "PUT /bucket/log/x", lambda log: log.put_new("log/x", b"x")),
    Way("listed", "GET /bucket", lambda log: log.entries("log/")),
]
