"""The log's client goes the way of the store's: its certificates, proxies, endpoints, regions."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
import trustme
from botocore.credentials import Credentials
from daena_kms.errors import ConfigError
from daena_kms.objects.s3 import s3_objects
from daena_kms.sdk.aws.endpoint import S3Endpoint

from tests.unit.objects import answers
from tests.unit.objects.answers import CANARY, WAYS, Way, serving


@pytest.fixture(autouse=True)
def _surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    answers.surroundings(monkeypatch)


@pytest.fixture(params=WAYS, ids=lambda way: way.done)
def way(request: pytest.FixtureRequest) -> Way:
    """Each use of the log."""
    found: Way = request.param
    return found


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Who vouches for the servers here."""
    return trustme.CA()


@pytest.fixture
def certificates(authority: trustme.CA, tmp_path: Path) -> str:
    """A file with the authority's certificate, behind another."""
    file = tmp_path / "bundle.pem"
    file.write_bytes(trustme.CA().cert_pem.bytes() + authority.cert_pem.bytes())
    return str(file)


@pytest.mark.parametrize("how", ["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "profile"])
def test_certificates_are_those_of_the_store(
    how: str,
    authority: trustme.CA,
    certificates: str,
    tmp_path: Path,
    way: Way,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A private authority is trusted where the SDK trusts it, and only there."""
    with serving(authority.issue_cert("localhost")) as (port, seen):
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"https://localhost:{port}")
        text = way.fail()
        assert "the certificate of its endpoint is not trusted. Check AWS_CA_BUNDLE" in text
        assert seen == []
        if how == "profile":
            (tmp_path / "config").write_text(f"[default]\nca_bundle = {certificates}\n")
            monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
        else:
            monkeypatch.setenv(how, certificates)
        way()
        assert seen == [way.seen]


def test_a_certificate_that_is_wrong(
    authority: trustme.CA, certificates: str, way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Expired, or of another host: it is called a certificate."""
    monkeypatch.setenv("AWS_CA_BUNDLE", certificates)
    expired = authority.issue_cert("localhost", not_after=datetime(2020, 1, 1, tzinfo=UTC))
    for certificate in (expired, authority.issue_cert("elsewhere")):
        with serving(certificate) as (port, seen):
            monkeypatch.setenv("AWS_ENDPOINT_URL", f"https://localhost:{port}")
            assert "certificate of its endpoint is not trusted" in way.fail()
            assert seen == []


def test_an_endpoint_without_tls(way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not called the network."""
    with serving() as (port, _):
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"https://localhost:{port}")
        assert "its endpoint speaks no TLS" in way.fail()


def test_a_bucket_that_is_part_of_the_host() -> None:
    """Its name is then not part of the path as well."""
    with serving() as (port, seen):
        where = S3Endpoint(f"http://127.0.0.1:{port}", "eu-central-1", virtual=True)
        credentials = Credentials("AKID", "unused")
        log = s3_objects(
            *("s3://bucket/daena", "bucket", "daena"),
            region=None,
            credentials=lambda: credentials,
            endpoint=where,
        )
        log.put_new("log/x", b"x")
        assert list(log.entries("log/")) == []
        assert seen == ["PUT /daena/log/x", "GET /"]


def test_nobody_there(way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    """The network is blamed for the network alone."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    assert "it did not answer. Check the network" in way.fail()


def test_proxies_are_those_of_the_store(way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    """HTTPS_PROXY leads there, NO_PROXY does not; an empty one in lower case switches it off."""
    with serving() as (proxy, seen), serving() as (port, direct):
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"https://localhost:{port}")
        monkeypatch.setenv("HTTPS_PROXY", f"http://user:{CANARY}@127.0.0.1:{proxy}")
        assert "the proxy refuses the connection. Check HTTPS_PROXY" in way.fail()
        assert set(seen) == {f"CONNECT localhost:{port}"}
        before = len(seen)
        monkeypatch.setenv("NO_PROXY", "example.com,localhost")
        assert "its endpoint speaks no TLS" in way.fail()
        monkeypatch.delenv("NO_PROXY")
        monkeypatch.setenv("https_proxy", "")
        assert "its endpoint speaks no TLS" in way.fail()
        monkeypatch.setenv("HTTPS_PROXY", "")
        assert "its endpoint speaks no TLS" in way.fail()
        assert (len(seen), direct) == (before, [])


@pytest.mark.parametrize(
    "proxy",
    [
        *("http://", "http://a b", "ftp://x", "http://h:99999", "http://[x"),
        *("socks5://h:1", "socks5h://h", "socks4://h", "socks4a://h"),
    ],
)
def test_a_proxy_that_is_none(proxy: str, way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is a setting to mend, before any call, and not quoted."""
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://localhost:1")
    with pytest.raises(ConfigError, match=r"proxy in HTTPS_PROXY.*http://host:port"):
        way()
