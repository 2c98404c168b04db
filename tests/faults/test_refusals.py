"""A store, a log or an SDK that refuses, hangs or is not there: told clearly, nothing changed."""

import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from daena_kms.audit import open_log
from daena_kms.cloud_kms import AWSKMSAdapter, AzureKeyVaultAdapter, GCPSecretManagerAdapter
from daena_kms.engine import run
from daena_kms.errors import (
    AccessDenied,
    AuditUnavailable,
    ConfigError,
    DaenaKMSError,
    RotationConflict,
    StoreUnavailable,
)
from daena_kms.objects.cloud import CloudObjects
from daena_kms.sdk.azure.client import BOUNDS
from daena_kms.stores.adapter import CloudKMSAdapter
from obstore.store import S3Store

from infra.local.aws.sim import ACCESS_KEY, BUCKET, REGION, clients
from infra.local.azure.blob import ACCOUNT
from infra.local.azure.sim import secrets_client
from infra.local.faults import only
from infra.local.gcp.client import connect
from infra.local.gcp.sim import PROJECT
from tests.worlds.aws import AwsWorld
from tests.worlds.azure import AzureWorld
from tests.worlds.base import CLAIMED, DAY, refused
from tests.worlds.gcp import GcpWorld
from tests.worlds.kinds import InCloud

type Call = Callable[[Any], object]

KEY, NEW = "app-key", "new-key"
LATER = 91 * DAY
MINUTE = timedelta(minutes=1)


@pytest.fixture
def wire() -> bool:
    """Who waits for an answer, or finds nobody, does so on a connection."""
    return True


@pytest.fixture
def made(cloud: InCloud) -> InCloud:
    """Give a cloud with one key."""
    cloud.operations().create(KEY)
    return cloud


#: What a call of ours can't do without an operation, by cloud.
NEEDS: dict[str, list[tuple[str, Call]]] = {
    "aws": [
        ("ListSecrets", lambda w: w.adapter.list_keys()),
        ("GetSecretValue", lambda w: w.adapter.get_key(KEY)),
        ("DescribeSecret", lambda w: w.adapter.rotate_key(KEY)),
        ("GenerateDataKey", lambda w: w.adapter.rotate_key(KEY)),
        ("PutSecretValue", lambda w: w.adapter.rotate_key(KEY)),
        ("DeleteSecret", lambda w: w.adapter.delete_key(KEY)),
        ("CreateSecret", lambda w: w.adapter.create_key(NEW)),
    ],
    "azure": [
        ("GetSecrets", lambda w: w.adapter.list_keys()),
        ("GetSecret", lambda w: w.adapter.get_key(KEY)),
        ("GetSecret", lambda w: w.adapter.rotate_key(KEY)),
        ("SetSecret", lambda w: w.adapter.rotate_key(KEY)),
        ("SetSecret", lambda w: w.adapter.create_key(NEW)),
        ("DeleteSecret", lambda w: w.adapter.delete_key(KEY)),
        ("UpdateSecret", lambda w: w.operations().adopt("their-key", spec="token")),
    ],
    "gcp": [
        ("ListSecrets", lambda w: w.adapter.list_keys()),
        ("AccessSecretVersion", lambda w: w.adapter.get_key(KEY)),
        ("GetSecret", lambda w: w.adapter.rotate_key(KEY)),
        ("UpdateSecret", lambda w: w.adapter.rotate_key(KEY)),
        ("CreateSecret", lambda w: w.adapter.create_key(NEW)),
        ("ListSecretVersions", lambda w: w.adapter.delete_key(KEY)),
        ("UpdateSecret", lambda w: w.adapter.delete_key(KEY)),
        ("AccessSecretVersion", lambda w: w.operations().adopt("their-key", spec="token")),
    ],
}
WORDS = {
    "aws": "AWS refused.*[Aa]llow it",
    "azure": "Key Vault refused.*Key Vault Secrets Officer",
    "gcp": "Google Cloud refused.*Allow it",
}
#: What a rotation ends half-way without: the value stays, and what was begun is given back.
HALF_WAY: dict[str, tuple[str, str]] = {
    "aws": ("UpdateSecretVersionStage", "AWS refused"),
    "azure": ("PutBlob", "claims.*permissions"),
    "gcp": ("AddSecretVersion", "refused add_secret_version"),
}


def test_access_denied_to_each_call(made: InCloud) -> None:
    """Whatever is refused is named, with the key and where to allow it; the state is as before."""
    made.foreign("their-key", "x" * 43)
    made.adapter.rotate_key(KEY)
    for operation, call in NEEDS[made.provider]:
        made.sim.faults.deny(operation)
        with refused(made, AccessDenied, WORDS[made.provider]):
            call(made)
        made.sim.faults.allow(operation)


def test_a_rotation_that_is_refused_half_way(made: InCloud) -> None:
    """The current value stays, and the next rotation goes on at once."""
    operation, words = HALF_WAY[made.provider]
    value = made.adapter.get_key(KEY)
    made.sim.faults.deny(operation)
    with pytest.raises(DaenaKMSError, match=words) as caught:
        made.adapter.rotate_key(KEY)
    if isinstance(made, AzureWorld):
        with refused(made, DaenaKMSError, words):
            made.adapter.create_key(NEW)
    else:
        assert isinstance(caught.value, AccessDenied)
    assert made.adapter.get_key(KEY) == value
    made.sim.faults.allow(operation)
    assert made.adapter.rotate_key(KEY) != value
    assert made.adapter.create_key(NEW)


#: What a store that says nothing is told as, what it is asked, listed and told to write.
SILENT = {
    "aws": ("AWS did not answer", "secretsmanager", "DescribeSecret", "ListSecrets"),
    "azure": ("Key Vault did not answer", "keyvault", "GetSecret", "GetSecrets"),
    "gcp": ("Secret Manager did not answer", "secretmanager", "GetSecret", "ListSecrets"),
}
WRITES = {"aws": "PutSecretValue", "azure": "SetSecret", "gcp": "AddSecretVersion"}


@contextmanager
def patience(world: InCloud, seconds: float) -> Iterator[None]:
    """Let the clients of the world's adapter wait so long for an answer, and try nothing again."""
    adapter = world.adapter
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(BOUNDS, "read_timeout", seconds)
        patch.setattr("daena_kms.sdk.gcp.client._TIMEOUT", seconds)
        patch.setattr("daena_kms.sdk.gcp.client._DEADLINE", 0.0)
        if isinstance(world, AwsWorld):
            world.adapter = world.adapter_of(*clients(world.sim.url, read_timeout=seconds))
        yield
    world.adapter = adapter


#: Where other calls come first, which a busy machine may not answer at once.
SHORT, LONG = 0.2, 2.0


def test_a_store_that_hangs(made: InCloud) -> None:
    """A call without an answer ends with the client's own patience, as worth trying again."""
    words, service, looked, listed = SILENT[made.provider]
    faults, value = made.sim.faults, made.adapter.get_key(KEY)
    with patience(made, SHORT):
        for _ in range(2):
            faults.hang(when=only(service, looked))
            with refused(made, StoreUnavailable, words):
                made.adapter.rotate_key(KEY)
        faults.hang(when=only(service, listed))
        with refused(made, StoreUnavailable, words):
            made.run(LATER)
    faults.clear()
    made.at()
    faults.hang(when=only(service, WRITES[made.provider]))
    with patience(made, LONG), pytest.raises(StoreUnavailable, match=words):
        made.adapter.rotate_key(KEY)
    if isinstance(made, AzureWorld):
        # A set of which nobody knows keeps its claim.
        with refused(made, RotationConflict, "another rotation has claimed it"):
            made.adapter.rotate_key(KEY)
    assert made.adapter.get_key(KEY) == value
    faults.clear()
    assert made.run(LATER + CLAIMED).rotated == [KEY]


@pytest.fixture
def nowhere() -> Iterator[int]:
    """Give a port at which nobody listens, and nobody will."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield int(taken.getsockname()[1])


@pytest.fixture
def lost(made: InCloud, nowhere: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[CloudKMSAdapter]:
    """Give an adapter whose client asks where nobody is."""
    monkeypatch.setattr("daena_kms.sdk.gcp.client._DEADLINE", 0.0)
    match made:
        case AwsWorld():
            yield made.adapter_of(*clients(f"http://127.0.0.1:{nowhere}"))
        case AzureWorld():
            with secrets_client(f"https://localhost:{nowhere}", made.sim.ca_file) as client:
                claims = f"az://{ACCOUNT}/claims"
                yield AzureKeyVaultAdapter(
                    secret_client=client, claims_url=claims, credential=made.sim.credential()
                )
        case GcpWorld():
            channel = connect(f"127.0.0.1:{nowhere}")
            yield GCPSecretManagerAdapter(PROJECT, client=channel)
            channel.transport.close()  # type: ignore[no-untyped-call] # as it is declared


NOT_THERE = {
    "aws": "AWS did not answer|AWS can't be reached",
    "azure": "Key Vault can't be reached.*network",
    "gcp": "Secret Manager did not answer.*network",
}


def test_a_store_that_is_not_there(made: InCloud, lost: CloudKMSAdapter) -> None:
    """A store that can't be reached is told as one, and worth trying again."""
    calls: list[Callable[[], object]] = [
        lost.list_keys,
        lambda: lost.rotate_key(KEY),
        lambda: lost.create_key(NEW),
    ]
    for call in calls:
        with refused(made, StoreUnavailable, NOT_THERE[made.provider]):
            call()


MODULES = {
    "azure": ["azure.identity", "azure.keyvault.secrets", "obstore.store"],
    "gcp": ["google.auth", "google.cloud.secretmanager_v1"],
}


def _by_itself(world: InCloud, module: str, patch: pytest.MonkeyPatch) -> CloudKMSAdapter:
    """Return an adapter that has to make its client yet; it needs the module for that."""
    if isinstance(world, AzureWorld):
        patch.setenv("REQUESTS_CA_BUNDLE", world.sim.ca_file)
        credential = world.sim.credential() if module != "azure.identity" else None
        return AzureKeyVaultAdapter(
            world.sim.vault_url, claims_url=f"az://{ACCOUNT}/claims", credential=credential
        )
    assert isinstance(world, GcpWorld)
    if module != "google.auth":
        patch.setenv("GCP_SECRET_MANAGER_ENDPOINT", world.sim.target)
    return GCPSecretManagerAdapter(PROJECT)


@pytest.mark.parametrize(
    ("cloud", "module"),
    [(kind, module) for kind, modules in MODULES.items() for module in modules],
    indirect=["cloud"],
)
def test_an_sdk_that_is_not_installed(
    made: InCloud, monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    """Without the SDK, or a part of it, it is said what to install; nothing is changed."""
    adapter = _by_itself(made, module, monkeypatch)
    parent, _, name = module.rpartition(".")
    monkeypatch.delattr(sys.modules[parent], name, raising=False)
    monkeypatch.setitem(sys.modules, module, None)
    calls: list[Callable[[], object]] = [adapter.list_keys, lambda: adapter.rotate_key(KEY)]
    # The claims alone take obstore.
    for call in calls[module == "obstore.store" :]:
        words = rf"not installed.*pip install 'daena-kms\[{made.provider}\]'"
        with refused(made, ConfigError, words):
            call()


def test_a_time_that_is_not_now(made: InCloud) -> None:
    """A run dated back does nothing that its time does not ask for."""
    before = made.state()
    summary = made.run(-4 * MINUTE)
    assert (summary.rotated, summary.failed) == ([], [])
    assert made.state() == before


def test_a_kms_key_that_can_t_be_used(aws: AwsWorld) -> None:
    """A KMS key that is not there, or is disabled, is named; values under it stay as they are."""
    aws.operations().create(KEY)
    gone = AWSKMSAdapter(REGION, "alias/gone", secrets_client=aws.secrets, kms_client=aws.kms)
    with refused(aws, ConfigError, "KMS key in AWS_KMS_KEY_ID does not exist"):
        gone.rotate_key(KEY)
    aws.kms.disable_key(KeyId=aws.kms_key)
    with refused(aws, ConfigError, "KMS key is disabled"):
        aws.adapter.rotate_key(KEY)
    with refused(aws, AccessDenied, "KMS key can't decrypt it"):
        aws.adapter.get_key(KEY)
    with refused(aws, AccessDenied, "KMS key can't encrypt it"):
        aws.adapter.create_key("new-key", "a value of one's own")
    aws.kms.enable_key(KeyId=aws.kms_key)
    assert aws.run(LATER).rotated == [KEY]


def test_a_log_that_hangs_fails_closed(aws: AwsWorld) -> None:
    """A log that does not answer within its time stops the run before any change."""
    aws.operations().create(KEY)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        config = {"endpoint": address, "access_key_id": "x", "secret_access_key": "x"}
        store = S3Store(
            BUCKET,
            config={**config, "region": REGION},  # type: ignore[arg-type] # as obstore reads it
            client_options={"allow_http": True, "timeout": "200ms"},
            retry_config={"max_retries": 0},
        )
        log = CloudObjects(store, "s3://silent")
        with refused(aws, AuditUnavailable, "s3://silent can't be listed"):
            run(aws.adapter, log, now=aws.began + LATER)


@pytest.mark.parametrize("bucket", ["no-such-bucket", BUCKET])
def test_a_log_that_refuses_fails_closed(
    aws: AwsWorld, monkeypatch: pytest.MonkeyPatch, bucket: str
) -> None:
    """A bucket that is not there, or that refuses, stops the run before any change."""
    aws.operations().create(KEY)
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws.sim.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", ACCESS_KEY)
    aws.sim.faults.deny("PutObject")
    with refused(aws, AuditUnavailable, "s3://"):
        run(aws.adapter, open_log(f"s3://{bucket}/x", region=REGION), now=aws.began + LATER)
