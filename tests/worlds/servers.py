"""The servers that several folders of tests share: one of each kind for a test process.

``tests/conftest.py`` loads this module as a plugin, so its fixtures are there for every test. Never
import a fixture: pytest takes each import for another fixture, and starts another server for it.

State stays between tests: give every secret, function, bucket and container a name of its own, or
call ``local_aws.reset()`` first.

How obstore is configured for Blob Storage: ``endpoint`` is :attr:`LocalBlobs.blob_url`, which has
the account in its path; ``account_name`` always; ``account_key`` or a ``credential_provider``;
``allow_http`` among the client options, or ``root_certificate`` with TLS. Not ``use_emulator``,
which overrides the endpoint by port 10000.
"""

import base64
import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trustme
from obstore.store import AzureStore

from infra.local.aws.ministack import LocalAws
from infra.local.azure.azurite import Azurite, Tls
from infra.local.gcp.fake_gcs_server import FakeGcs
from infra.local.gcp.sim import BUCKET
from infra.local.process import HOST, ROOT
from infra.packages import lambda_bundle, packing

if TYPE_CHECKING:
    from obstore.store import AzureBearerToken, AzureConfig, ClientConfig

#: What a token of Microsoft Entra ID for storage is for, and where it is from.
AUDIENCE = "https://storage.azure.com"
ISSUER = "https://sts.windows.net/00000000-0000-0000-0000-000000000000/"
_LIFE = 3600


@dataclass(frozen=True, slots=True)
class LocalBlobs:
    """A running azurite, and the authority that its certificate is from if it speaks TLS."""

    server: Azurite
    authority: str | None

    @property
    def blob_url(self) -> str:
        """The account's endpoint."""
        return self.server.url

    @property
    def account(self) -> str:
        """The account's name."""
        return self.server.account

    @property
    def key(self) -> str:
        """The account's key."""
        return self.server.key

    @property
    def client_options(self) -> "ClientConfig":
        """How obstore's client comes to talk to it."""
        if self.authority is None:
            return {"allow_http": True}
        return {"root_certificate": self.authority}

    def create_container(self, name: str) -> None:
        """Create an empty container."""
        self.server.create_container(name)

    def store(self, container: str, **further: Any) -> AzureStore:
        """Open a container by the account's key, or by a ``credential_provider`` of the caller."""
        config: AzureConfig = {"account_name": self.account, "endpoint": self.blob_url}
        if "credential_provider" not in further:
            config["account_key"] = self.key
        return AzureStore(container, config=config, client_options=self.client_options, **further)


def bearer(**claims: object) -> "AzureBearerToken":
    """Make a token as Entra ID's are, with other claims where given; azurite needs no signature."""
    now = int(time.time())
    life = {"iat": now, "nbf": now - 60, "exp": now + _LIFE}
    parts = [{"alg": "none"}, {"aud": AUDIENCE, "iss": ISSUER, **life, **claims}]
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode() for part in parts]
    token = ".".join([*(part.rstrip("=") for part in encoded), ""])
    return {"token": token, "expires_at": datetime.fromtimestamp(now + _LIFE, UTC)}


@contextmanager
def azurite(*, oauth: bool = False) -> Iterator[LocalBlobs]:
    """Run azurite on a free port: plain HTTP and a key, or TLS and tokens as well."""
    if not oauth:
        with Azurite() as server:
            yield LocalBlobs(server, None)
        return
    authority = trustme.CA()
    issued = authority.issue_cert(HOST)
    with tempfile.TemporaryDirectory(prefix="daena-azurite-tls-") as name:
        tls = Tls(Path(name, "chain.pem"), Path(name, "key.pem"))
        tls.certificate.write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))
        issued.private_key_pem.write_to_path(str(tls.private_key))
        with Azurite(tls) as server:
            yield LocalBlobs(server, authority.cert_pem.bytes().decode())


@pytest.fixture(scope="session")
def local_aws() -> Iterator[LocalAws]:
    """Give a local AWS in which functions see their own bundle and no more."""
    with LocalAws() as aws:
        yield aws


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Pack the Lambda functions and all they need, as they run in the local AWS."""
    folder = tmp_path_factory.mktemp("bundle") / "code"
    lambda_bundle.build(folder, ROOT / "functions_aws" / "handler.py")
    return packing.pack(folder)


@pytest.fixture(scope="session")
def local_gcs() -> Iterator[FakeGcs]:
    """Give Cloud Storage as fake-gcs-server has it: name objects apart."""
    with FakeGcs(BUCKET) as server:
        yield server


@pytest.fixture(scope="session")
def local_blobs() -> Iterator[LocalBlobs]:
    """Give Blob Storage by HTTP and key."""
    with azurite() as blobs:
        yield blobs


@pytest.fixture(scope="session")
def local_blobs_tls() -> Iterator[LocalBlobs]:
    """Give Blob Storage by TLS and token."""
    with azurite(oauth=True) as blobs:
        yield blobs
