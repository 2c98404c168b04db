"""The log's client goes the way of the store's: its certificates, proxies, endpoints, regions."""

import http.server
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import obstore.store
import pytest
import trustme
from botocore.credentials import Credentials
from daena_kms.audit import open_log
from daena_kms.errors import AuditUnavailable, ConfigError
from daena_kms.objects import cloud, failures
from daena_kms.objects.base import AUDIT
from daena_kms.objects.cloud import CloudObjects, Provider
from daena_kms.objects.s3 import s3_objects
from daena_kms.sdk.aws.endpoint import S3Endpoint

if TYPE_CHECKING:
    from obstore.store import S3Credential

CANARY = "c4naRy"


class Bucket(http.server.BaseHTTPRequestHandler):
    """Answers every put in one way; as a proxy it refuses."""

    status: ClassVar[int] = 200
    body: ClassVar[bytes] = b""
    seen: ClassVar[list[str]]

    def do_PUT(self) -> None:
        """Answer a put."""
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.seen.append(f"PUT {self.path}")
        self.send_response(self.status)
        self.send_header("ETag", '"x"')
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
    certificate: trustme.LeafCert | None = None, status: int = 200, body: bytes = b""
) -> Iterator[tuple[int, list[str]]]:
    """Run a bucket, and yield its port and what it was asked."""
    seen: list[str] = []
    handler = type("Answer", (Bucket,), {"seen": seen, "status": status, "body": body})
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


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Who vouches for the servers here."""
    return trustme.CA()


@pytest.fixture(autouse=True)
def _surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKID")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "unused")
    monkeypatch.setattr(cloud, "RETRY_TIMEOUT", timedelta(milliseconds=1))


def failure(put: Callable[[], object]) -> str:
    """Return the text of the error of a put."""
    with pytest.raises(AuditUnavailable, match=r"the audit log s3://bucket can't be written") as no:
        put()
    assert CANARY not in repr(no.value)
    return str(no.value)


def put() -> None:
    """Write to the log in S3."""
    open_log("s3://bucket").put_new("log/x", b"x")


@pytest.fixture
def bundle(authority: trustme.CA, tmp_path: Path) -> str:
    """A file with the authority's certificate, behind another."""
    file = tmp_path / "bundle.pem"
    file.write_bytes(trustme.CA().cert_pem.bytes() + authority.cert_pem.bytes())
    return str(file)


@pytest.mark.parametrize("how", ["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "profile"])
def test_certificates_are_those_of_the_store(
    how: str, authority: trustme.CA, bundle: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A private authority is trusted where the SDK trusts it, and only there."""
    with serving(authority.issue_cert("localhost")) as (port, seen):
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"https://localhost:{port}")
        text = failure(put)
        assert "the certificate of its endpoint is not trusted. Check AWS_CA_BUNDLE" in text
        assert seen == []
        if how == "profile":
            (tmp_path / "config").write_text(f"[default]\nca_bundle = {bundle}\n")
            monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
        else:
            monkeypatch.setenv(how, bundle)
        put()
        assert seen == ["PUT /bucket/log/x"]


def test_a_certificate_that_is_wrong(
    authority: trustme.CA, bundle: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Expired, or of another host: it is called a certificate."""
    monkeypatch.setenv("AWS_CA_BUNDLE", bundle)
    expired = authority.issue_cert("localhost", not_after=datetime(2020, 1, 1, tzinfo=UTC))
    for certificate in (expired, authority.issue_cert("elsewhere")):
        with serving(certificate) as (port, seen):
            monkeypatch.setenv("AWS_ENDPOINT_URL", f"https://localhost:{port}")
            assert "certificate of its endpoint is not trusted" in failure(put)
            assert seen == []


def test_an_endpoint_without_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not called the network."""
    with serving() as (port, _):
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"https://localhost:{port}")
        assert "its endpoint speaks no TLS" in failure(put)


def test_a_bucket_that_is_part_of_the_host() -> None:
    """Its name is then not part of the path as well."""
    with serving() as (port, seen):
        where = S3Endpoint(f"http://127.0.0.1:{port}", "eu-central-1", virtual=True)
        credentials = Credentials("AKID", "unused")
        s3_objects(
            *("s3://bucket/daena", "bucket", "daena"),
            region=None,
            credentials=lambda: credentials,
            endpoint=where,
        ).put_new("log/x", b"x")
        assert seen == ["PUT /daena/log/x"]


def test_nobody_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """The network is blamed for the network alone."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    assert "it did not answer. Check the network" in failure(put)


def test_proxies_are_those_of_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    """HTTPS_PROXY leads there, NO_PROXY does not; an empty one in lower case switches it off."""
    with serving() as (proxy, seen), serving() as (port, direct):
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"https://localhost:{port}")
        monkeypatch.setenv("HTTPS_PROXY", f"http://user:{CANARY}@127.0.0.1:{proxy}")
        assert "the proxy refuses the connection. Check HTTPS_PROXY" in failure(put)
        assert seen == [f"CONNECT localhost:{port}"]
        monkeypatch.setenv("NO_PROXY", "example.com,localhost")
        assert "its endpoint speaks no TLS" in failure(put)
        monkeypatch.delenv("NO_PROXY")
        monkeypatch.setenv("https_proxy", "")
        assert "its endpoint speaks no TLS" in failure(put)
        monkeypatch.setenv("HTTPS_PROXY", "")
        assert "its endpoint speaks no TLS" in failure(put)
        assert (len(seen), direct) == (1, [])


@pytest.mark.parametrize(
    "proxy", ["http://", "http://a b", "ftp://x", "http://h:99999", "http://[x"]
)
def test_a_proxy_that_is_none(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is a setting to mend, before any call, and not quoted."""
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://localhost:1")
    with pytest.raises(ConfigError, match=r"proxy in HTTPS_PROXY.*http://host:port"):
        put()


ANSWERS = {
    "another region, named": (
        *(400, "AuthorizationHeaderMalformed", "<Region>eu-west-3</Region>"),
        r"in another region \(eu-west-3\)\. Set AWS_REGION to eu-west-3",
    ),
    "another region": (301, "PermanentRedirect", "", "in another region. Set AWS_REGION"),
    "another region, without a word": (301, "", "", "in another region. Set AWS_REGION"),
    "a constraint": (400, "IllegalLocationConstraintException", "", "in another region"),
    "a clock": (
        *(403, "RequestTimeTooSkewed", "<ServerTime>2020-01-01T00:00:00Z</ServerTime>"),
        r"this machine's clock is wrong: it is \d+ s ahead of theirs\. Set this machine's clock",
    ),
    "a clock, without a time": (403, "RequestTimeTooSkewed", "", "clock is wrong. Set"),
    "credentials": (403, "InvalidAccessKeyId", "", "credentials are not accepted"),
    "an expired login": (400, "ExpiredToken", "", "credentials are not accepted"),
    "permission": (403, "AccessDenied", "", "the caller is refused.*permissions"),
    "no bucket": (404, "NoSuchBucket", "", "it does not exist"),
    "no create-if-absent": (501, "NotImplemented", "", "the service refused the request"),
    "a busy service": (503, "SlowDown", "", "busy or failed by itself"),
}


@pytest.mark.parametrize(("status", "code", "more", "words"), ANSWERS.values(), ids=list(ANSWERS))
def test_answers(
    status: int, code: str, more: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is called what it is; of the answer's text nothing is shown, nor the network blamed."""
    text = f"<Error><Code>{code}</Code><Message>{CANARY} InvalidCertificate( dns</Message>{more}"
    body = f"{text}</Error>".encode() if code else b""
    monkeypatch.setattr(cloud, "RETRY_TIMEOUT", timedelta(milliseconds=1))
    with serving(status=status, body=body) as (port, _):
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        with pytest.raises(AuditUnavailable, match=words) as no:
            put()
    assert CANARY not in repr(no.value)
    assert "the network" not in str(no.value)


def test_a_panic_does_not_escape(monkeypatch: pytest.MonkeyPatch) -> None:
    """A defect of the library is a BaseException, which would end a run without its records."""
    panic = type("PanicException", (BaseException,), {"__module__": "pyo3_runtime"})

    class Broken:
        def __getattr__(self, name: str) -> object:
            raise panic(CANARY)

    store: Any = Broken()
    for name in ("put", "get", "list", "list_with_delimiter"):
        monkeypatch.setattr(obstore, name, lambda store, *_given, **_named: store.x)
    log = CloudObjects(store, "s3://bucket")
    calls: dict[str, Callable[[], object]] = {
        "written": lambda: log.put_new("x", b""),
        "read": lambda: log.get("x"),
        "listed": lambda: log.entries("log/"),
        "listed ": lambda: log.children("log/"),
    }
    for what, call in calls.items():
        with pytest.raises(AuditUnavailable, match=f"can't be {what.strip()}") as no:
            call()
        assert CANARY not in repr(no.value)

    def make() -> object:
        raise panic(CANARY)

    with pytest.raises(ConfigError, match="can't be reached with these settings") as refused:
        failures.made(make, "s3://bucket", AUDIT)
    assert CANARY not in repr(refused.value)


def test_a_real_panic_is_ours() -> None:
    """The library's own, which its form checks would have kept away."""

    def provide() -> "S3Credential":
        return {"access_key_id": "a", "secret_access_key": "b", "expires_at": None}

    store = obstore.store.S3Store(
        "bucket",
        config={"endpoint": "http://127.0.0.1:1 ", "region": "x"},
        client_options={"allow_http": True},
        credential_provider=provide,
    )
    with pytest.raises(AuditUnavailable, match=r"\(PanicException\): the library that reaches it"):
        CloudObjects(store, "s3://bucket").put_new("x", b"")


def test_interrupts_and_defects_stay_what_they_are() -> None:
    """Ctrl-C in the middle of a call, and while credentials are found, ends the program."""

    def interrupted() -> object:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        failures.made(interrupted, "s3://bucket", AUDIT)
    provider: Provider[Any] = Provider(interrupted)
    store = obstore.store.S3Store(
        "bucket",
        config={"endpoint": "http://127.0.0.1:1", "region": "x"},
        client_options={"allow_http": True},
        credential_provider=provider,
    )
    log = CloudObjects(store, "s3://bucket", AUDIT, provider)
    with pytest.raises(KeyboardInterrupt):
        log.put_new("x", b"")


def test_why_there_are_no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library's error would hide it, and say that the address is wrong."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    assert "no usable AWS credentials (NoCredentialsError). Check" in failure(put)
