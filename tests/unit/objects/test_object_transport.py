"""The log's client goes the way of the store's: its certificates, proxies, endpoints, regions."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import obstore.store
import pytest
import trustme
from daena_kms.cloud_kms import AzureKeyVaultAdapter
from daena_kms.errors import ConfigError, DaenaKMSError
from daena_kms.objects.address import Access, open_objects
from daena_kms.objects.base import AUDIT
from daena_kms.sdk.azure.login import Login
from daena_kms.sdk.gcp.login import GcpLogin

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
def bundle(authority: trustme.CA, tmp_path: Path) -> str:
    """A file with the authority's certificate, behind another."""
    file = tmp_path / "bundle.pem"
    file.write_bytes(trustme.CA().cert_pem.bytes() + authority.cert_pem.bytes())
    return str(file)


@pytest.mark.parametrize("how", ["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "profile"])
def test_certificates_are_those_of_the_store(
    how: str,
    authority: trustme.CA,
    bundle: str,
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
            (tmp_path / "config").write_text(f"[default]\nca_bundle = {bundle}\n")
            monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
        else:
            monkeypatch.setenv(how, bundle)
        way()
        assert seen == [way.seen]


def test_a_certificate_that_is_wrong(
    authority: trustme.CA, bundle: str, way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Expired, or of another host: it is called a certificate."""
    monkeypatch.setenv("AWS_CA_BUNDLE", bundle)
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
    "proxy", ["http://", "http://a b", "ftp://x", "http://h:99999", "http://[x"]
)
def test_a_proxy_that_is_none(proxy: str, way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is a setting to mend, before any call, and not quoted."""
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://localhost:1")
    with pytest.raises(ConfigError, match=r"proxy in HTTPS_PROXY.*http://host:port"):
        way()


@pytest.mark.parametrize(
    ("vault", "environ", "host"),
    [
        ("https://v.vault.azure.net", {}, "https://account.blob.core.windows.net"),
        ("https://v.vault.azure.cn", {}, "https://account.blob.core.chinacloudapi.cn"),
        (
            *("https://v.vault.usgovcloudapi.net:443", {}),
            "https://account.blob.core.usgovcloudapi.net",
        ),
        (
            "https://v.private.example",
            {"AZURE_AUTHORITY_HOST": "login.microsoftonline.us"},
            "https://account.blob.core.usgovcloudapi.net",
        ),
    ],
)
def test_azures_clouds(
    vault: str, environ: dict[str, str], host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An account that is given by its name alone is in the vault's cloud."""
    given: list[dict[str, Any]] = []
    monkeypatch.setattr(obstore.store, "AzureStore", lambda _name, **options: given.append(options))
    for name, text in environ.items():
        monkeypatch.setenv(name, text)
    login = AzureKeyVaultAdapter(vault).login
    open_objects("az://account/audit", AUDIT, Access(login=login))
    monkeypatch.setenv("AZURE_KEY_VAULT_URL", vault)
    open_objects("az://account/audit", AUDIT, Access())
    assert [options["config"].get("endpoint") for options in given] == [host, host]


def test_googles_universe(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a sovereign cloud of Google's, storage is under that cloud's domain."""
    given: list[dict[str, Any]] = []
    monkeypatch.setattr(obstore.store, "GCSStore", lambda _name, **options: given.append(options))
    login = GcpLogin({"GOOGLE_CLOUD_UNIVERSE_DOMAIN": "apis-example.goog"})
    open_objects("gs://bucket", AUDIT, Access(login=login))
    monkeypatch.setenv("GCP_STORAGE_ENDPOINT", "https://storage.private.example/")
    open_objects("gs://bucket", AUDIT, Access(login=login))
    found = [options["config"].get("base_url") for options in given]
    assert found == ["https://storage.apis-example.goog", "https://storage.private.example"]
    with pytest.raises(ConfigError, match="GOOGLE_CLOUD_UNIVERSE_DOMAIN is not a domain"):
        GcpLogin({"GOOGLE_CLOUD_UNIVERSE_DOMAIN": "https://x"})


@pytest.mark.parametrize(
    ("variable", "address"),
    [
        ("AZURE_STORAGE_ENDPOINT", "az://account/audit"),
        ("GCP_STORAGE_ENDPOINT", "gs://bucket"),
        ("AWS_ENDPOINT_URL_S3", "s3://bucket"),
    ],
)
@pytest.mark.parametrize(
    "url", ["host", "http://h h", f"https://u:{CANARY}@h", "https://h?x", "ftp://h"]
)
def test_endpoints_that_are_none(
    variable: str, address: str, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are refused by the variable's name before any call, and not quoted."""
    monkeypatch.setenv(variable, url)
    login: Any = GcpLogin({}) if address.startswith("gs") else Login({})
    with pytest.raises(DaenaKMSError, match=f"{variable} is not the URL") as refused:
        open_objects(address, AUDIT, Access(login=login))
    assert type(refused.value) is ConfigError
    assert CANARY not in str(refused.value)


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
@pytest.mark.parametrize("address", ["az://account/audit", "gs://bucket"])
def test_a_bundle_that_is_not_there(
    name: str, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is named; the SDKs would say that nobody answers."""
    monkeypatch.setenv(name, "/no/such/file.pem")
    login: Any = GcpLogin({}) if address.startswith("gs") else Login({})
    with pytest.raises(ConfigError, match=f"the file that {name} names can't be read"):
        open_objects(address, AUDIT, Access(login=login))
