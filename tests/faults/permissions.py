"""What the docstrings list as permissions, and what a life's calls took of them, by cloud."""

import re
from datetime import timedelta
from typing import NamedTuple

import pytest
from daena_kms.api.messages import Request
from daena_kms.api.router import respond
from daena_kms.audit.verify import verify
from daena_kms.cloud_kms import AWSKMSAdapter
from daena_kms.engine import run
from daena_kms.objects.azure import azure_objects
from daena_kms.objects.gcs import gcs_objects
from daena_kms.objects.s3 import s3_objects
from daena_kms.stores.aws.store import AWSStore
from daena_kms.stores.azure.store import AzureStore
from daena_kms.stores.gcp.store import GCPStore

from infra.local.aws.sim import ACCESS_KEY, REGION
from infra.local.azure.auth import ADD_BLOB, OWNER, READ_BLOB, VAULT, container
from infra.local.gcp.client import ROTATOR
from infra.local.gcp.grpc import methods
from infra.local.gcp.secrets import SecretOperations
from infra.local.gcp.storage import PERMISSIONS
from tests.faults.at_once import at_once
from tests.worlds.aws import AwsWorld
from tests.worlds.azure import AzureWorld
from tests.worlds.base import CLAIMED, DAY, World
from tests.worlds.gcp import GcpWorld
from tests.worlds.kinds import InCloud

KEY = "app-key"
#: What nobody calls by name, but Secrets Manager does in our name under a KMS key of one's own.
INDIRECT = {"kms:Decrypt"}
#: docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html
S3_ACTIONS = {"ListObjectsV2": "s3:ListBucket", "HeadObject": "s3:GetObject"}
#: https://learn.microsoft.com/rest/api/storageservices/authorize-with-azure-active-directory
BLOB_ACTIONS = {
    "PutBlob": ADD_BLOB,
    "GetBlob": READ_BLOB,
    "HeadBlob": READ_BLOB,
    "ListBlobs": READ_BLOB,
}
CONTAINERS = ("audit", "claims")


class Permissions(NamedTuple):
    """On the store, and on the log."""

    store: set[str]
    log: set[str]


def _aws_actions(text: str | None) -> set[str]:
    """Return the actions in a docstring; a name without a service is of the one named before."""
    found, service = set(), ""
    permissions = (text or "").partition("Permissions")[2].partition("https://")[0]
    for name in re.findall(r"``([a-z0-9]*:?[A-Z][A-Za-z]+)``", permissions):
        before, colon, action = name.rpartition(":")
        service = before if colon else service
        found.add(f"{service}:{action}")
    return found


def _azure_actions(text: str | None) -> set[str]:
    return set(re.findall(r"``(Microsoft\.[\w./]+)``", text or ""))


def _gcp_permissions(text: str | None) -> set[str]:
    return set(re.findall(r"``((?:secretmanager|storage)\.\w+\.\w+)``", text or ""))


LISTED = {
    "aws": Permissions(_aws_actions(AWSStore.__doc__), _aws_actions(s3_objects.__doc__)),
    "azure": Permissions(_azure_actions(AzureStore.__doc__), _azure_actions(azure_objects.__doc__)),
    "gcp": Permissions(_gcp_permissions(GCPStore.__doc__), _gcp_permissions(gcs_objects.__doc__)),
}


def aws_used(world: AwsWorld) -> set[str]:
    """Return the actions that our own calls took; one that was refused proves no need."""
    ours = [c for c in world.sim.calls if c.outcome == "ok" and c.access_key == ACCESS_KEY]
    calls = {(c.service, c.operation) for c in ours}
    return {S3_ACTIONS.get(name, f"{service}:{name}") for service, name in calls}


def azure_used(world: AzureWorld) -> set[str]:
    """Return the actions on the vault that the calls took."""
    return {a for a in world.sim.roles.used[OWNER] if a.startswith("Microsoft.KeyVault/")}


def blobs_used(world: AzureWorld, name: str) -> set[str]:
    """Return the actions on a container that the calls took."""
    calls = [call for call in world.sim.calls if call.params.get("container") == name]
    return {BLOB_ACTIONS[call.operation] for call in calls}


def gcp_used(world: GcpWorld) -> set[str]:
    """Return the permissions that the calls took."""
    table = methods(SecretOperations(world.sim.secrets))
    names = {call.operation for call in world.sim.calls}
    return {table[n].permission if n in table else PERMISSIONS[n] for n in names}


def used(world: InCloud) -> Permissions:
    """Return what the calls took, on the store and on the log."""
    if isinstance(world, AzureWorld):
        return Permissions(azure_used(world), blobs_used(world, "audit"))
    taken = aws_used(world) if isinstance(world, AwsWorld) else gcp_used(world)
    log = {action for action in taken if action.startswith(("s3:", "storage."))}
    return Permissions(taken - log, log)


def allow(world: AzureWorld, vault: set[str], blobs: dict[str, set[str]]) -> None:
    """Give the one who calls these actions on the vault and on each container, and no other."""
    world.sim.roles.revoke(OWNER)
    world.sim.roles.assign(OWNER, sorted(vault), VAULT)
    for name, actions in blobs.items():
        world.sim.roles.assign(OWNER, sorted(actions), container(name))


def allow_what_is_listed(world: InCloud, *, but: str = "", on: str = "") -> None:
    """Give what the docstrings list, but for one; on Azure, on one container or on the vault."""
    match world:
        case AzureWorld():
            store, log = LISTED["azure"]
            blobs = {name: set(log) for name in CONTAINERS}
            if on:
                blobs[on].discard(but)
            allow(world, store - ({but} if not on else set()), blobs)
        case GcpWorld():
            store, log = LISTED["gcp"]
            world.sim.set_role(ROTATOR, sorted((store | log) - {but}))
        case AwsWorld():
            assert not but, "this simulator has no policies of identities"


def live_a_life(world: World) -> None:
    """Do everything that an adapter, the operations, the engine and HTTP can do."""
    operations, destroys = world.operations(), world.adapter.store.can.destroy_means is not None
    operations.create(KEY)
    tags = {"daena.destroy-after": "30d"} if destroys else {}
    operations.create("api-token", spec="token", tags=tags)
    world.foreign("their-key", "x" * 43)
    world.foreign("old-key", "x" * 43, {"daena.managed": "true", "daena.spec": "token"})
    operations.adopt("their-key", spec="token")
    adapter = world.adapter
    adapter.create_key("made-key")
    adapter.rotate_key("made-key")
    adapter.rollback_key("made-key")
    adapter.get_key("made-key", "previous")
    adapter.store.tag(adapter.store.describe("made-key"), {"daena.hold": "true"})
    adapter.store.tag(adapter.store.describe("made-key"), {"daena.hold": None})
    adapter.list_keys()
    for method, path in (("GET", "/v1/health"), ("POST", "/v1/keys/made-key/rotate")):
        answer = respond(Request(method, path, None, "tester"), lambda: (adapter, world.log))
        assert answer.status < 300, answer.body
    for days in (92, 100, 140, 190, 240):
        world.run(days * DAY)
    world.run(240 * DAY, dry_run=True)
    at_once([lambda: world.run(240 * DAY, keys=[KEY]) for _ in range(4)])
    key = adapter.store.describe("made-key")
    adapter.store.stage(key, "never promoted", world.at(241 * DAY))
    world.run(241 * DAY + CLAIMED, keys=["made-key"])
    world.operations(242 * DAY).rollback(KEY)
    world.run(242 * DAY, keys=["their-key"], compromised=True, reason="it leaked")
    world.operations(242 * DAY).delete(KEY)
    world.operations(242 * DAY).restore(KEY)
    verify(world.log, adapter.store.inventory())
    if isinstance(world, AwsWorld):
        _live_on(world)


def _live_on(aws: AwsWorld) -> None:
    """Do what depends on the settings, or on how AWS dates what others wrote."""
    aws.foreign("older-key", "x" * 43, {"daena.managed": "true", "daena.spec": "token"})
    # Changed after it was made, so that its age is a bound.
    aws.wait(timedelta(seconds=1))
    aws.retag("older-key", {"owner": "them"})
    aws.adapter.store.describe("older-key", exact=True)
    ours, kms = aws.clients
    AWSKMSAdapter(REGION, secrets_client=ours, kms_client=kms).create_key("plain-key")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAENA_KMS_AWS_BLOCK_COMPROMISED", "true")
        blocking = AWSKMSAdapter(REGION, secrets_client=ours, kms_client=kms)
        leaked = run(blocking, aws.log, keys=["plain-key"], compromised=True, reason="it leaked")
    assert leaked.revoked == ["plain-key"]
    aws.run(300 * DAY + timedelta(hours=1))
