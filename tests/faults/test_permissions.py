"""What the docstrings list is what is used, is enough, and one less is refused."""

from collections.abc import Callable
from typing import Any

import pytest
from daena_kms.errors import AccessDenied, AuditUnavailable

from infra.local.azure.auth import (
    DELETE_SECRET,
    GET_SECRET,
    OWNER,
    READ_METADATA,
    RECOVER_SECRET,
    SET_SECRET,
    UPDATE_SECRET,
    VAULT,
)
from infra.local.gcp.client import ROTATOR
from tests.faults.permissions import (
    CONTAINERS,
    INDIRECT,
    KEY,
    LISTED,
    Permissions,
    allow,
    allow_what_is_listed,
    blobs_used,
    live_a_life,
    used,
)
from tests.worlds.aws import AwsWorld
from tests.worlds.azure import AzureWorld
from tests.worlds.base import DAY, FaultWorld, refused
from tests.worlds.gcp import GcpWorld
from tests.worlds.kinds import InCloud

LATER = 91 * DAY
GONE = "gone-key"
_DENIED = ("Forbidden", "AuthorizationPermissionMismatch", "PERMISSION_DENIED", "denied")


def _checked_first(world: InCloud) -> None:
    """Let a put that would overwrite be refused as such before it is looked at who may put."""
    if isinstance(world, AzureWorld):
        world.sim.blobs.overwrite_checked_first = True
    if isinstance(world, GcpWorld):
        world.sim.storage.permission_first = True


@pytest.mark.parametrize("other_order", [False, True])
def test_what_is_listed_is_enough_and_all_used(cloud: InCloud, *, other_order: bool) -> None:
    """With exactly what is listed all can be done, and each of it is used: none missing."""
    if other_order:
        _checked_first(cloud)
    allow_what_is_listed(cloud)
    if isinstance(cloud, AzureWorld):
        cloud.sim.roles.used.clear()
    cloud.sim.calls.clear()
    live_a_life(cloud)
    indirect = INDIRECT if isinstance(cloud, AwsWorld) else set[str]()
    listed = LISTED[cloud.provider]
    assert listed.store >= indirect
    assert used(cloud) == Permissions(listed.store - indirect, listed.log)
    if isinstance(cloud, AzureWorld):
        assert blobs_used(cloud, "claims") == listed.log
    assert [c.operation for c in cloud.sim.calls if any(w in c.outcome for w in _DENIED)] == []


#: How a put says that it makes something new, or else nothing.
IF_ABSENT = {
    "aws": ("IfNoneMatch", "*"),
    "azure": ("if-none-match", "*"),
    "gcp": ("ifGenerationMatch", "0"),
}


def test_nothing_is_overwritten_or_deleted(cloud: InCloud) -> None:
    """Each object is put only if absent; no object, no value and no deleted secret is erased."""
    live_a_life(cloud)
    puts = [call for call in cloud.sim.calls if call.operation == cloud.puts]
    assert len(puts) > 20
    header, text = IF_ABSENT[cloud.provider]
    assert {call.params.get(header) for call in puts} == {text}
    erasing = {"DeleteBlob", "PurgeDeletedSecret", "DeleteObject", "DeleteObjects"}
    erasing |= {"BackupSecret", "RestoreSecret"} if isinstance(cloud, AzureWorld) else set()
    erasing |= {"DeleteSecret"} if isinstance(cloud, GcpWorld) else set()
    assert not set(cloud.sim.calls.operations()) & erasing
    log = LISTED[cloud.provider].log
    assert not {a for a in log if "Delete" in a or a.endswith(("/write", "/delete", ".delete"))}
    assert not isinstance(cloud, GcpWorld) or not {
        name for name in LISTED["gcp"].store if name.endswith(".delete")
    }


def _run(world: FaultWorld, after_days: int) -> None:
    for error in world.run(after_days * DAY).errors.values():
        raise error


def _retirable(world: GcpWorld) -> None:
    world.run(90 * DAY)
    world.run(95 * DAY, keys=[KEY])


def _destroyable(world: GcpWorld) -> None:
    _retirable(world)
    world.run(130 * DAY)


#: To each permission what can't be done without it: nothing before it takes effect.
NEEDS: dict[str, dict[str, Callable[[Any], object]]] = {
    "azure": {
        READ_METADATA: lambda w: w.adapter.list_keys(),
        GET_SECRET: lambda w: w.adapter.get_key(KEY),
        SET_SECRET: lambda w: w.adapter.rotate_key(KEY),
        UPDATE_SECRET: lambda w: w.adapter.store.tag(w.look(KEY), {"daena.hold": "true"}),
        DELETE_SECRET: lambda w: w.adapter.delete_key(KEY),
        RECOVER_SECRET: lambda w: w.adapter.restore_key(GONE),
    },
    "gcp": {
        "secretmanager.secrets.list": lambda w: w.adapter.list_keys(),
        "secretmanager.secrets.get": lambda w: w.adapter.rotate_key(KEY),
        "secretmanager.secrets.update": lambda w: w.adapter.rotate_key(KEY),
        "secretmanager.secrets.create": lambda w: w.adapter.create_key("new-key"),
        "secretmanager.versions.access": lambda w: w.adapter.get_key(KEY),
        "secretmanager.versions.list": lambda w: w.look(KEY),
        "secretmanager.versions.disable": lambda w: _run(w, 99),
        "secretmanager.versions.destroy": lambda w: _run(w, 140),
        "secretmanager.versions.enable": lambda w: w.adapter.restore_key(GONE),
    },
}
#: What must be there for that.
FIRST: dict[str, Callable[[GcpWorld], None]] = {
    "secretmanager.versions.disable": _retirable,
    "secretmanager.versions.destroy": _destroyable,
}
#: Those without which a rotation ends half-way, each in a test of its own.
HALF_WAY = {"secretmanager.versions.add", "secretmanager.versions.get"}
WORDS = {
    "azure": "Allow it: the role Key Vault Secrets Officer",
    "gcp": "Google Cloud refused .*Allow it in the caller's role",
}


def prepared(world: FaultWorld) -> None:
    """Make a token, of which a version is to be retired and one destroyed."""
    tags = {"daena.grace": "1d", "daena.rotate-after": "90d"}
    if world.adapter.store.can.destroy_means is not None:
        tags["daena.destroy-after"] = "5d"
    world.operations().create(KEY, spec="token", tags=tags)


def test_every_listed_permission_is_looked_at_here() -> None:
    """No permission of the store is without a test of its absence."""
    assert NEEDS["azure"].keys() == LISTED["azure"].store
    assert NEEDS["gcp"].keys() | HALF_WAY == LISTED["gcp"].store


@pytest.mark.parametrize(
    ("cloud", "permission"),
    [(kind, permission) for kind, needs in NEEDS.items() for permission in needs],
    indirect=["cloud"],
)
def test_one_permission_less(cloud: AzureWorld | GcpWorld, permission: str) -> None:
    """Without one of them AccessDenied says what to allow, and nothing changes."""
    prepared(cloud)
    cloud.operations().create(GONE)
    cloud.operations().delete(GONE)
    if permission in FIRST:
        assert isinstance(cloud, GcpWorld)
        FIRST[permission](cloud)
    allow_what_is_listed(cloud, but=permission)
    with refused(cloud, AccessDenied, WORDS[cloud.provider]):
        NEEDS[cloud.provider][permission](cloud)
    allow_what_is_listed(cloud)
    NEEDS[cloud.provider][permission](cloud)


@pytest.mark.parametrize(
    ("cloud", "permission"),
    [(kind, permission) for kind in NEEDS for permission in sorted(LISTED[kind].log)],
    indirect=["cloud"],
)
def test_one_permission_less_on_the_log(cloud: AzureWorld | GcpWorld, permission: str) -> None:
    """Without one of them the run fails closed: nothing changes."""
    prepared(cloud)
    allow_what_is_listed(cloud, but=permission, on="audit")
    with refused(cloud, AuditUnavailable, "the permissions on it"):
        cloud.run(LATER)
    allow_what_is_listed(cloud)
    assert cloud.run(LATER).rotated == [KEY]


def _allow_alone(world: AzureWorld | GcpWorld, *permissions: str) -> None:
    if isinstance(world, AzureWorld):
        allow(world, set(permissions), {})
    else:
        world.sim.set_role(ROTATOR, list(permissions))


READING = {
    "azure": (GET_SECRET, "GetSecret", "Key Vault refused the call"),
    "gcp": ("secretmanager.versions.access", "AccessSecretVersion", "Google Cloud refused"),
}


@pytest.mark.parametrize("cloud", READING, indirect=True)
def test_reading_alone_takes_one_permission(cloud: AzureWorld | GcpWorld) -> None:
    """Who only reads the current value needs no more than that."""
    prepared(cloud)
    value = cloud.adapter.get_key(KEY)
    permission, operation, words = READING[cloud.provider]
    _allow_alone(cloud, permission)
    cloud.sim.calls.clear()
    assert cloud.adapter.get_key(KEY) == value
    assert cloud.store_calls() == [operation]
    _allow_alone(cloud)
    with refused(cloud, AccessDenied, words):
        cloud.adapter.get_key(KEY)


def test_the_built_in_role_is_enough(azure: AzureWorld) -> None:
    """Key Vault Secrets Officer on the one vault covers what is listed, as the docs say."""
    allow(azure, set(), dict.fromkeys(CONTAINERS, LISTED["azure"].log))
    azure.sim.roles.assign(OWNER, "Key Vault Secrets Officer", VAULT)
    live_a_life(azure)
