"""What is listed is where the objects are put: the same address, proxy, certificates and caller."""

import contextlib
import http.server
import os
import re
import select
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import unquote, urlsplit

import pytest
import trustme
from azure.core.credentials import AccessToken
from daena_kms.objects import cloud
from daena_kms.objects.address import Access, open_objects
from daena_kms.objects.base import AUDIT
from daena_kms.sdk.azure.login import Login
from daena_kms.sdk.gcp.login import GcpLogin
from google.oauth2.credentials import Credentials

from tests.unit.objects.answers import EMPTY, EMPTY_BLOBS, WRITTEN, WRITTEN_BLOB

_SCOPE = re.compile(r"Credential=([^,]+)")


class Interceptor(http.server.BaseHTTPRequestHandler):
    """A proxy that is every host there is, by certificates that it makes itself."""

    protocol_version = "HTTP/1.1"
    server: Any
    contexts: ClassVar[dict[str, ssl.SSLContext]]
    authority: ClassVar[trustme.CA]
    seen: ClassVar[list[tuple[str, str, str, str]]]
    host: str = ""

    def do_CONNECT(self) -> None:
        """Become the host."""
        self.host = self.path.removesuffix(":443")
        if self.host not in self.contexts:
            made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.authority.issue_cert(self.host).configure_cert(made)
            self.contexts[self.host] = made
        self.send_response(200)
        self.end_headers()
        ours = self.connection
        if isinstance(ours, ssl.SSLSocket):
            ours, theirs = socket.socketpair()
            threading.Thread(target=passing, args=(self.connection, theirs), daemon=True).start()
        self.connection = self.contexts[self.host].wrap_socket(ours, server_side=True)
        self.rfile = self.connection.makefile("rb")
        self.wfile = self.connection.makefile("wb", 0)

    def finish(self) -> None:
        """Close the connection."""
        super().finish()
        self.connection.close()

    def do_PUT(self) -> None:
        """Take an object."""
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.answer(201)

    def do_GET(self) -> None:
        """List nothing."""
        self.answer(200)

    def answer(self, status: int) -> None:
        """Remember a request, and answer it."""
        url = urlsplit(self.path)
        host = self.host or url.netloc or self.headers["Host"]
        # A signature has its own key, time and headers; the caller and the region are the same.
        who = self.headers["Authorization"] or ""
        scope = _SCOPE.search(who)
        assert self.headers["Host"] == host
        self.seen.append((self.command, host, url.path, scope[1] if scope else who))
        azure = "x-ms-version" in self.headers
        body = b"" if self.command == "PUT" else EMPTY_BLOBS if azure else EMPTY
        self.send_response(status)
        for name, text in (WRITTEN_BLOB if azure else WRITTEN).items():
            self.send_header(name, text)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_given: object) -> None:
        """Say nothing."""


def passing(outer: ssl.SSLSocket, inner: socket.socket) -> None:
    """Pass on what comes in a connection and what goes out, as Python has no TLS in TLS."""
    with inner, contextlib.suppress(OSError):
        while True:
            ready = [outer] if outer.pending() else select.select([outer, inner], [], [])[0]
            for one, other in ((outer, inner), (inner, outer)):
                if one in ready:
                    data = one.recv(65536)
                    if not data:
                        return
                    other.sendall(data)


class Server(http.server.ThreadingHTTPServer):
    """Reports no connection that a client broke off."""

    daemon_threads = True

    def handle_error(self, *_given: object) -> None:
        """Say nothing."""


@contextmanager
def intercepting(
    authority: trustme.CA, scheme: str = "http"
) -> Iterator[tuple[str, list[tuple[str, str, str, str]]]]:
    """Run the proxy, and yield its address and what it sees."""
    seen: list[tuple[str, str, str, str]] = []
    given = {"authority": authority, "contexts": {}, "seen": seen}
    with Server(("127.0.0.1", 0), type("Handler", (Interceptor,), given)) as server:
        if scheme == "https":
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            authority.issue_cert("localhost").configure_cert(context)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"{scheme}://localhost:{server.server_address[1]}", seen
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def proxy(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[str, str, list[tuple[str, str, str, str]]]]:
    """Every host there is, the file with its certificate, and what it saw."""
    authority = trustme.CA()
    bundle = Path(tmp_path_factory.mktemp("ca"), "bundle.pem")
    comment = "# größte Zertifizierungsstelle\n".encode("latin-1")
    bundle.write_bytes(comment + trustme.CA().cert_pem.bytes() + authority.cert_pem.bytes())
    with intercepting(authority) as (url, seen):
        yield url, str(bundle), seen


@pytest.fixture
def seen(
    proxy: tuple[str, str, list[tuple[str, str, str, str]]], monkeypatch: pytest.MonkeyPatch
) -> list[tuple[str, str, str, str]]:
    """What was asked of anybody."""
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name in ("GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", "CURL_CA_BUNDLE", "AWS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    url, bundle, seen = proxy
    monkeypatch.setenv("HTTPS_PROXY", url)
    monkeypatch.setenv("HTTP_PROXY", url)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", bundle)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKID")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "unused")
    monkeypatch.setattr(cloud, "RETRY_TIMEOUT", timedelta(seconds=5))
    seen.clear()
    return seen


class Nobody:
    """Has a token for whatever it is asked for."""

    def get_token(self, *_scopes: str, **_options: object) -> AccessToken:
        """Return it."""
        return AccessToken("token", 4_000_000_000)


def login_for(address: str) -> Any:
    """Return somebody to ask as."""
    if address.startswith("gs"):
        credentials = Credentials(token="token")  # type: ignore[no-untyped-call] # noqa: S106
        return GcpLogin(os.environ, project_id="project", credentials=credentials)
    if address.startswith("az"):
        return Login(os.environ, credential=Nobody())
    return None


S3 = "eu-west-3/s3/aws4_request"
FIPS, DUAL = "AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT"
#: The address, what is set, the host that both ask, and the path of the place there.
WAYS: dict[str, tuple[str, dict[str, str], str, str]] = {
    "s3": ("s3://my-log/p", {}, "my-log.s3.eu-west-3.amazonaws.com", ""),
    "s3 with dots": ("s3://my.log", {}, "s3.eu-west-3.amazonaws.com", "/my.log"),
    "s3 in another region": (
        *("s3://my-log", {"AWS_REGION": "us-east-1"}),
        *("my-log.s3.us-east-1.amazonaws.com", ""),
    ),
    "s3 in China": (
        *("s3://my-log", {"AWS_REGION": "cn-northwest-1"}),
        *("my-log.s3.cn-northwest-1.amazonaws.com.cn", ""),
    ),
    "s3 in the EU's sovereign cloud": (
        *("s3://my-log/p", {"AWS_REGION": "eusc-de-east-1"}),
        *("my-log.s3.eusc-de-east-1.amazonaws.eu", ""),
    ),
    "s3 in GovCloud": (
        *("s3://my-log", {"AWS_REGION": "us-gov-west-1"}),
        *("my-log.s3.us-gov-west-1.amazonaws.com", ""),
    ),
    "s3 in an isolated partition": (
        *("s3://my-log", {"AWS_REGION": "us-iso-east-1"}),
        *("my-log.s3.us-iso-east-1.c2s.ic.gov", ""),
    ),
    "s3 with FIPS": (
        *("s3://my-log", {FIPS: "true", "AWS_REGION": "us-gov-east-1"}),
        *("my-log.s3-fips.us-gov-east-1.amazonaws.com", ""),
    ),
    "s3 with dual stack": (
        *("s3://my-log", {DUAL: "true"}),
        *("my-log.s3.dualstack.eu-west-3.amazonaws.com", ""),
    ),
    "s3 with both, and dots": (
        *("s3://my.log", {FIPS: "true", DUAL: "true", "AWS_REGION": "us-east-2"}),
        *("s3-fips.dualstack.us-east-2.amazonaws.com", "/my.log"),
    ),
    "an endpoint for s3": (
        *("s3://my-log/p", {"AWS_ENDPOINT_URL_S3": "https://s3.example"}),
        *("s3.example", "/my-log"),
    ),
    "an endpoint for all of AWS": (
        *("s3://my-log", {"AWS_ENDPOINT_URL": "https://aws.example/"}),
        *("aws.example", "/my-log"),
    ),
    "an endpoint with a path and a port": (
        *("s3://my-log/a/b", {"AWS_ENDPOINT_URL_S3": "http://s3.example:8080/gate/way/"}),
        *("s3.example:8080", "/gate/way/my-log"),
    ),
    "azure": ("az://account/audit/p", {}, "account.blob.core.windows.net", "/audit"),
    "azure in China": (
        *("az://account/audit", {"AZURE_KEY_VAULT_URL": "https://v.vault.azure.cn"}),
        *("account.blob.core.chinacloudapi.cn", "/audit"),
    ),
    "azure for the US Government": (
        *("az://account/audit", {"AZURE_AUTHORITY_HOST": "login.microsoftonline.us"}),
        *("account.blob.core.usgovcloudapi.net", "/audit"),
    ),
    "azure, a whole host": (
        *("az://account.z12.blob.storage.azure.net/audit", {}),
        *("account.z12.blob.storage.azure.net", "/audit"),
    ),
    "an endpoint for azure": (
        *("az://account/audit/p", {"AZURE_STORAGE_ENDPOINT": "http://blob.example:10000/account/"}),
        *("blob.example:10000", "/account/audit"),
    ),
    "google": ("gs://my_log/p", {}, "storage.googleapis.com", "/my_log"),
    "google in another universe": (
        *("gs://my.log", {"GOOGLE_CLOUD_UNIVERSE_DOMAIN": "apis-example.goog"}),
        *("storage.apis-example.goog", "/my.log"),
    ),
    "an endpoint for google": (
        *("gs://my-log", {"GCP_STORAGE_ENDPOINT": "https://storage.private.example/x/"}),
        *("storage.private.example", "/x/my-log"),
    ),
    # What the library alone would go by.
    "what only obstore reads, on AWS": (
        *("s3://my-log", {"AWS_ENDPOINT": "http://127.0.0.1:1", "AWS_S3_EXPRESS": "true"}),
        *("my-log.s3.eu-west-3.amazonaws.com", ""),
    ),
    "obstore's endpoint for azure": (
        *("az://account/audit", {"AZURE_ENDPOINT": "http://127.0.0.1:1"}),
        *("account.blob.core.windows.net", "/audit"),
    ),
    "obstore's emulator": (
        *("az://account/audit", {"AZURE_STORAGE_USE_EMULATOR": "true"}),
        *("account.blob.core.windows.net", "/audit"),
    ),
    "obstore's fabric": (
        *("az://account/audit", {"AZURE_USE_FABRIC_ENDPOINT": "true"}),
        *("account.blob.core.windows.net", "/audit"),
    ),
    "obstore's anonymous azure": (
        *("az://account/audit", {"AZURE_SKIP_SIGNATURE": "true"}),
        *("account.blob.core.windows.net", "/audit"),
    ),
    "obstore's endpoint for google": (
        *("gs://my-log", {"GOOGLE_BASE_URL": "http://127.0.0.1:1"}),
        *("storage.googleapis.com", "/my-log"),
    ),
    "obstore's anonymous google": (
        *("gs://my-log", {"GOOGLE_SKIP_SIGNATURE": "true"}),
        *("storage.googleapis.com", "/my-log"),
    ),
}


@pytest.mark.parametrize(("address", "environ", "host", "place"), WAYS.values(), ids=list(WAYS))
def test_both_go_one_way(
    address: str,
    environ: dict[str, str],
    host: str,
    place: str,
    seen: list[tuple[str, str, str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Through the same proxy, trusting the same certificates, as the same caller."""
    monkeypatch.setenv("AWS_REGION", "eu-west-3")
    for name, text in environ.items():
        monkeypatch.setenv(name, text)
    log = open_objects(address, AUDIT, Access(login=login_for(address)))
    log.put_new("log/x", b"x")
    assert list(log.entries("log/")) == []
    (put, whither, path, who), (get, listed, folder, as_whom) = seen
    assert (put, get) == ("PUT", "GET")
    assert (whither, listed) == (host, host)
    prefix = urlsplit(address).path.removeprefix("/audit").strip("/")
    assert unquote(path) == f"{place}/{prefix}/log/x".replace("//", "/")
    assert folder.rstrip("/") == place
    assert who == as_whom
    assert who


def test_a_host_that_needs_no_proxy(
    seen: list[tuple[str, str, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither goes through the proxy, nor looks for another one."""
    with intercepting(trustme.CA()) as (direct, asked):
        monkeypatch.setenv("AWS_REGION", "eu-west-3")
        monkeypatch.setenv("AWS_ENDPOINT_URL", direct)
        monkeypatch.setenv("NO_PROXY", "localhost")
        log = open_objects("s3://my-log", AUDIT, Access())
        log.put_new("log/x", b"x")
        assert list(log.entries("log/")) == []
        assert [(method, path) for method, _, path, _ in asked] == [
            ("PUT", "/my-log/log/x"),
            ("GET", "/my-log"),
        ]
    assert seen == []


@pytest.mark.parametrize("endpoint", ["https://s3.example", "http://s3.example"])
@pytest.mark.usefixtures("seen")
def test_a_proxy_that_is_reached_by_tls(
    endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both speak TLS to it, and in that to the host."""
    authority = trustme.CA()
    (tmp_path / "ca.pem").write_bytes(authority.cert_pem.bytes())
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "ca.pem"))
    monkeypatch.setenv("AWS_REGION", "eu-west-3")
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    with intercepting(authority, "https") as (url, asked):
        monkeypatch.setenv("HTTPS_PROXY", url)
        monkeypatch.setenv("HTTP_PROXY", url)
        log = open_objects("s3://my-log", AUDIT, Access())
        log.put_new("log/x", b"x")
        for _ in range(2):
            assert list(log.entries("log/")) == []
    paths = ["/my-log/log/x", "/my-log", "/my-log"]
    assert [(host, path) for _, host, path, _ in asked] == [("s3.example", path) for path in paths]
