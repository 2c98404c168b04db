"""Places of a log in which anybody may put objects under any name: simulated and emulated."""

import base64
import hashlib
import hmac
import secrets
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from daena_kms.objects.address import Access, open_objects
from daena_kms.objects.base import AUDIT, Objects
from daena_kms.sdk.azure.login import Login
from daena_kms.sdk.gcp.login import GcpLogin
from google.oauth2.credentials import Credentials

from infra.local.aws import sim as aws
from infra.local.aws.s3 import Stored
from infra.local.azure.blob import ACCOUNT, Blob
from infra.local.azure.sim import AzureSimulator
from infra.local.gcp import sim as gcp
from infra.local.gcp.client import ROTATOR
from infra.local.gcp.fake_gcs_server import FakeGcs
from tests.worlds.servers import LocalBlobs

PREFIX = "some/where/"


@dataclass(frozen=True, slots=True)
class Place:
    """A log, and how somebody else puts an object into it; what is refused is not there."""

    log: Objects
    #: Takes the name below the address. Returns whether the service took it.
    put: Callable[[str], bool]
    #: Names that the emulator takes and then can't list itself.
    unable: frozenset[str] = frozenset()


@contextmanager
def simulated_s3(patch: pytest.MonkeyPatch) -> Iterator[Place]:
    """S3 as we simulate it."""
    with aws.AwsSimulator() as sim:
        _aws_settings(patch, sim.url, aws.REGION)

        def put(name: str) -> bool:
            sim.s3.buckets[aws.BUCKET][PREFIX + name] = Stored(b"x", sim.now())
            return True

        yield Place(open_objects(f"s3://{aws.BUCKET}/{PREFIX}", AUDIT, Access()), put)


@contextmanager
def simulated_blobs(patch: pytest.MonkeyPatch) -> Iterator[Place]:
    """Blob Storage as we simulate it."""
    with AzureSimulator() as sim:
        patch.setenv("AZURE_STORAGE_ENDPOINT", sim.blob_url)

        def put(name: str) -> bool:
            sim.blobs.containers["audit"][PREFIX + name] = Blob(b"x", sim.now(), '"0x8DC1"')
            return True

        access = Access(login=Login({}, credential=sim.credential()))
        yield Place(open_objects(f"az://{ACCOUNT}/audit/{PREFIX}", AUDIT, access), put)


@contextmanager
def simulated_gcs(patch: pytest.MonkeyPatch) -> Iterator[Place]:
    """Cloud Storage as we simulate it."""
    with gcp.GcpSimulator() as sim:
        patch.setenv("GCP_STORAGE_ENDPOINT", sim.url)

        def put(name: str) -> bool:
            sim.storage.store(gcp.BUCKET, PREFIX + name, b"x")
            return True

        yield Place(_gcs(), put)


def ministack(client: Any, url: str, patch: pytest.MonkeyPatch) -> Place:
    """S3 as ministack emulates it; the SDK puts the objects."""
    bucket = f"b{secrets.token_hex(8)}"
    region = client.meta.region_name
    client.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": region})
    _aws_settings(patch, url, region)

    def put(name: str) -> bool:
        client.put_object(Bucket=bucket, Key=PREFIX + name, Body=b"x")
        return True

    return Place(open_objects(f"s3://{bucket}/{PREFIX}", AUDIT, Access()), put)


def azurite(blobs: LocalBlobs, patch: pytest.MonkeyPatch) -> Place:
    """Blob Storage as azurite emulates it; each put is signed by hand."""
    container = f"c{secrets.token_hex(8)}"
    blobs.create_container(container)
    patch.setenv("AZURE_STORAGE_ENDPOINT", blobs.blob_url)
    patch.setenv("AZURE_STORAGE_ACCOUNT_KEY", blobs.key)

    def put(name: str) -> bool:
        url = f"{blobs.blob_url}/{container}/{quote(PREFIX + name, safe='')}"
        sent = {
            "x-ms-blob-type": "BlockBlob",
            "x-ms-date": format_datetime(datetime.now(UTC), usegmt=True),
            "x-ms-version": "2023-11-03",
        }
        lines = ["PUT", "", "", "1", "", "application/octet-stream", "", "", "", "", "", ""]
        lines += [f"{header}:{text}" for header, text in sorted(sent.items())]
        lines.append(f"/{blobs.account}{urlsplit(url).path}")
        key = base64.b64decode(blobs.key)
        signed = hmac.new(key, "\n".join(lines).encode(), hashlib.sha256).digest()
        sent["Authorization"] = f"SharedKey {blobs.account}:{base64.b64encode(signed).decode()}"
        sent["Content-Type"] = "application/octet-stream"
        return _sent(urllib.request.Request(url, b"x", sent, method="PUT"))

    address = f"az://{blobs.account}/{container}/{PREFIX}"
    # Its listings answer 500 for what XML can't hold. Blob Storage refuses controls, and encodes
    # the other two.
    unable = frozenset({"log/\x01", "log/\x1b[2J\x1b[31m", "log/\ufffe", "log/\uffff"})
    return Place(open_objects(address, AUDIT, Access(login=Login({}))), put, unable)


def fake_gcs(server: FakeGcs, patch: pytest.MonkeyPatch) -> Place:
    """Cloud Storage as fake-gcs-server emulates it; its own JSON API takes the objects."""
    patch.setenv("GCP_STORAGE_ENDPOINT", server.xml_url)
    prefix = f"{secrets.token_hex(8)}/"  # its bucket is every test's

    def put(name: str) -> bool:
        query = f"uploadType=media&name={quote(prefix + name, safe='')}"
        url = f"{server.url}/upload/storage/v1/b/{gcp.BUCKET}/o?{query}"
        return _sent(urllib.request.Request(url, b"x", {"Content-Type": "text/plain"}))

    return Place(_gcs(prefix), put)


def _gcs(prefix: str = PREFIX) -> Objects:
    credentials = Credentials(token=ROTATOR)  # type: ignore[no-untyped-call] # as it is declared
    login = GcpLogin({"GCP_PROJECT_ID": gcp.PROJECT}, credentials=credentials)
    return open_objects(f"gs://{gcp.BUCKET}/{prefix}", AUDIT, Access(login=login))


def _aws_settings(patch: pytest.MonkeyPatch, url: str, region: str) -> None:
    patch.setenv("AWS_ENDPOINT_URL", url)
    patch.setenv("AWS_REGION", region)
    patch.setenv("AWS_ACCESS_KEY_ID", "AKIDENVIRONMENT")
    patch.setenv("AWS_SECRET_ACCESS_KEY", "unused")


def _sent(request: urllib.request.Request) -> bool:
    try:
        with urllib.request.urlopen(request, timeout=10):
            return True
    except urllib.error.HTTPError as error:
        with error:
            return False
