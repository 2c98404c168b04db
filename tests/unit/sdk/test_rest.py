"""The one GET of our own: through proxies, with certificates, on kept connections, as whom."""

import base64
import select
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError
from daena_kms.errors import ConfigError
from daena_kms.sdk.aws.bucket import asker as of_s3
from daena_kms.sdk.azure.container import asker as of_azure
from daena_kms.sdk.gcp.bucket import asker as of_gcs
from daena_kms.sdk.rest import Asker, Caller, NoAnswer, Why, seconds_of
from obstore.store import AzureStore, GCSStore, S3Store

from infra.local.azure.sim import AzureSimulator, certificates


class Recorder(BaseHTTPRequestHandler):
    """Answers every request, and remembers it."""

    protocol_version = "HTTP/1.1"
    server: Any

    def do_GET(self) -> None:
        """Answer."""
        self.server.seen.append((self.path, dict(self.headers.items()), self.client_address))
        body = b"<a/>"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        if self.server.closes:
            self.close_connection = True  # without saying so
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        """Answer with what came."""
        self.server.seen.append((self.path, dict(self.headers.items()), self.client_address))
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_CONNECT(self) -> None:
        """Refuse a tunnel."""
        self.server.seen.append((self.path, dict(self.headers.items()), self.client_address))
        self.send_error(403)

    def log_message(self, *_args: object) -> None:
        """Log nothing."""


@contextmanager
def recorder(*, closes: bool = False) -> Iterator[Any]:
    """Serve on a free port."""
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Recorder)
    server.seen, server.closes, server.daemon_threads = [], closes, True
    server.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def asker(address: str, options: dict[str, Any] | None = None) -> Asker:
    """Return what asks an address as somebody."""
    given = {"allow_http": "true", **(options or {})}
    return Asker(address, lambda _url: {"Authorization": "me"}, lambda: "", given)


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def test_a_connection_is_kept() -> None:
    """Pages come over one connection; the query's characters are all escaped."""
    with recorder() as server:
        ask = asker(f"{server.url}/bucket")
        for _ in range(3):
            assert ask({"prefix": "a/b c&d=%é"}).body == b"<a/>"
        assert {path for path, _, _ in server.seen} == {"/bucket?prefix=a%2Fb%20c%26d%3D%25%C3%A9"}
        assert len({address for _, _, address in server.seen}) == 1


def test_a_document_is_sent_by_post() -> None:
    """As JSON, to the address itself, with the same authorization, and over the same connection."""
    with recorder() as server:
        ask = asker(f"{server.url}/v1/key:sign")
        for _ in range(2):
            assert ask.post({"data": "é"}).body == b'{"data": "\\u00e9"}'
        ((path, headers, address), (_, _, again)) = server.seen
        assert (path, address) == ("/v1/key:sign", again)
        assert (headers["Authorization"], headers["Content-Type"]) == ("me", "application/json")
        ask({})
        assert server.seen[2][0] == "/v1/key:sign"


def test_a_connection_that_was_closed_is_replaced() -> None:
    """The service may have closed it in the meantime."""
    with recorder(closes=True) as server:
        ask = asker(server.url)
        for _ in range(3):
            assert ask({}).status == 200
            (idle,) = ask._way._idle
            select.select([idle.sock], [], [], 30)  # until the end of it has come
        assert len({address for _, _, address in server.seen}) == 3


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "all_proxy"])
@pytest.mark.parametrize("user", ["", "me:p%40ss@"])
def test_a_proxy_of_the_environment_is_used(
    monkeypatch: pytest.MonkeyPatch, name: str, user: str
) -> None:
    """As by the library that puts the objects; NO_PROXY names hosts that it is not for."""
    with recorder() as proxy:
        monkeypatch.setenv(name, proxy.url.replace("://", f"://{user}"))
        asker("http://storage.example/bucket")({"x": "1"})
        ((path, headers, _),) = proxy.seen
        assert path == "http://storage.example/bucket?x=1"
        told = f"Basic {base64.b64encode(b'me:p@ss').decode()}" if user else None
        assert headers.get("Proxy-Authorization") == told
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        with recorder() as direct:
            asker(direct.url)({})
            assert (len(direct.seen), len(proxy.seen)) == (1, 1)


def test_a_tunnel_leads_to_the_host() -> None:
    """TLS goes through the proxy that the store has, and never unencrypted."""
    with recorder() as proxy:
        with pytest.raises(NoAnswer) as refused:
            asker("https://storage.example/bucket", {"proxy_url": proxy.url})({})
        assert refused.value.why is Why.PROXY
        ((path, headers, _),) = proxy.seen
    assert path == "storage.example:443"
    assert "Authorization" not in headers


@pytest.mark.parametrize("allowed", ["false", False, None])
def test_nobody_s_token_goes_without_tls(allowed: object) -> None:
    """Only where the store may do without: that is an emulator's."""
    with recorder() as server:
        with pytest.raises(NoAnswer, match="not https"):
            asker(server.url, {"allow_http": allowed})({})
        assert server.seen == []


@pytest.mark.parametrize("form", [str, str.encode])
def test_a_certificate_is_trusted_as_the_store_trusts_it(form: Callable[[str], Any]) -> None:
    """An authority that is given counts; without it the error says what is wrong."""
    with AzureSimulator() as sim:
        address = f"https://localhost:{sim.tls_port}/"
        pem = form(Path(certificates().ca_file).read_text())
        assert asker(address, {"root_certificate": pem})({}).status in {400, 401, 404}
        with pytest.raises(NoAnswer, match="SSLCertVerificationError") as refused:
            asker(address)({})
        assert refused.value.why is Why.CERTIFICATE


@pytest.mark.parametrize(
    ("span", "seconds"),
    [
        (timedelta(seconds=1.5), 1.5),
        (3, 3.0),
        ("10s", 10.0),
        ("200ms", 0.2),
        ("1m 1s 500ms", 61.5),
        ("1h 1m 40s", 3700.0),
        ("500us", 0.0005),
    ],
)
def test_times_are_read_as_the_library_writes_them(span: object, seconds: float) -> None:
    """Its options come back as text."""
    assert seconds_of(span) == pytest.approx(seconds)
    if isinstance(span, timedelta):
        written = S3Store("b", client_options={"timeout": span}).client_options or {}
        assert seconds_of(written["timeout"]) == pytest.approx(seconds)


def test_a_credential_is_kept_until_shortly_before_its_end() -> None:
    """A listing of many pages asks for one."""
    asked: list[int] = []

    def provide() -> dict[str, Any]:
        asked.append(1)
        left = timedelta(hours=1) if len(asked) > 1 else timedelta(seconds=30)
        return {"token": len(asked), "expires_at": datetime.now(UTC) + left}

    caller = Caller(SimpleNamespace(credential_provider=provide, config={}), {}, ())
    assert [caller.credential()["token"] for _ in range(4)] == [1, 2, 2, 2]


@pytest.mark.parametrize(
    "error", [BotoCoreError(), OSError("c4nary"), ValueError("c4nary"), KeyError("c4nary")]
)
def test_a_login_that_fails_is_named_by_its_kind(error: Exception) -> None:
    """Its text may quote an answer, or a file with a key."""

    def provide() -> None:
        raise error

    caller = Caller(SimpleNamespace(credential_provider=provide, config={}), {}, (BotoCoreError,))
    with pytest.raises(NoAnswer, match=type(error).__name__) as caught:
        caller.credential()
    assert caught.value.__cause__ is caught.value.__context__ is None
    error = ConfigError("ours", todo="Log in")
    with pytest.raises(ConfigError, match="ours"):
        caller.credential()


@pytest.mark.parametrize(
    ("store", "address"),
    [
        (S3Store("b.c", region="eu-west-1"), "https://s3.eu-west-1.amazonaws.com/b.c"),
        (S3Store("b"), "https://s3.us-east-1.amazonaws.com/b"),
        (
            S3Store("b", endpoint="https://s3.cn-north-1.amazonaws.com.cn/"),
            "https://s3.cn-north-1.amazonaws.com.cn/b",
        ),
        (
            S3Store("b", region="eu-west-1", virtual_hosted_style_request=True),
            "https://b.s3.eu-west-1.amazonaws.com",
        ),
        (
            S3Store("b", endpoint="https://b.x.example", virtual_hosted_style_request=True),
            "https://b.x.example",
        ),
        (AzureStore("c", account_name="a"), "https://a.blob.core.windows.net/c"),
        (
            AzureStore("c", account_name="a", endpoint="https://a.blob.core.usgovcloudapi.net"),
            "https://a.blob.core.usgovcloudapi.net/c",
        ),
        (GCSStore("b"), "https://storage.googleapis.com/b"),
        (
            GCSStore("b", base_url="https://storage-x.p.googleapis.com"),
            "https://storage-x.p.googleapis.com/b",
        ),
    ],
)
def test_the_address_is_the_store_s(store: Any, address: str) -> None:
    """What is listed is where the objects are put."""
    made = {"S3Store": of_s3, "AzureStore": of_azure, "GCSStore": of_gcs}[type(store).__name__](
        store
    )
    assert made._address == address


@pytest.mark.parametrize(
    "address", ["http://[", "http://host:port/", "http://host:99999/", "http:///x"]
)
def test_an_address_that_is_none_is_no_panic(address: str) -> None:
    """Whoever made the store says what is wrong with it; here nothing is asked."""
    with pytest.raises(NoAnswer):
        asker(address)({})
