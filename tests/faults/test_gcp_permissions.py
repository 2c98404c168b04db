"""On Google Cloud: what the docstrings list is what is used, is enough, and one less is refused."""

import re
from collections.abc import Callable

import pytest
from daena_kms.errors import AccessDenied, AuditUnavailable
from daena_kms.objects.gcs import gcs_objects
from daena_kms.stores.gcp.store import GCPStore

from infra.local.faults import only
from infra.local.gcp.client import ROTATOR
from infra.local.gcp.grpc import methods
from infra.local.gcp.secrets import SecretOperations
from infra.local.gcp.storage import PERMISSIONS
from tests.faults.test_aws_permissions import KEY, live_a_life
from tests.worlds.base import CLAIMED, DAY, refused
from tests.worlds.gcp import GcpWorld

LATER = 91 * DAY
GONE = "gone-key"


def listed(text: str | None) -> list[str]:
    """Return the permissions in a docstring."""
    return sorted(set(re.findall(r"``((?:secretmanager|storage)\.\w+\.\w+)``", text or "")))


STORE, LOG = listed(GCPStore.__doc__), listed(gcs_objects.__doc__)


def used(world: GcpWorld) -> list[str]:
    """Return the permissions that the calls of the world took."""
    table = methods(SecretOperations(world.sim.secrets))
    names = {call.operation for call in world.sim.calls}
    return sorted({table[n].permission if n in table else PERMISSIONS[n] for n in names})


def allow_what_is_listed(world: GcpWorld, *, but: str = "") -> None:
    """Give what the docstrings list, but for one permission."""
    world.sim.set_role(ROTATOR, [name for name in (*STORE, *LOG) if name != but])


@pytest.mark.parametrize("permission_first", [False, True])
def test_what_is_listed_is_enough_and_all_used(gcp: GcpWorld, *, permission_first: bool) -> None:
    """With exactly the listed permissions all can be done, and each of them is used."""
    gcp.sim.storage.permission_first = permission_first
    allow_what_is_listed(gcp)
    gcp.sim.calls.clear()
    live_a_life(gcp)
    assert used(gcp) == sorted([*STORE, *LOG])
    refusals = {c.operation for c in gcp.sim.calls if "DENIED" in c.outcome.upper()}
    assert refusals == set()


def test_nothing_is_overwritten_or_deleted(gcp: GcpWorld) -> None:
    """Each object is put only if absent; no object and no secret is ever deleted."""
    live_a_life(gcp)
    puts = [call for call in gcp.sim.calls if call.operation == "InsertObject"]
    assert len(puts) > 20
    assert {call.params.get("ifGenerationMatch") for call in puts} == {"0"}
    assert not set(gcp.sim.calls.operations()) & {"DeleteObject", "DeleteSecret"}
    assert not {name for name in (*STORE, *LOG) if name.endswith(".delete")}


def _use_every_etag(world: GcpWorld) -> list[bool]:
    updates = [call for call in world.sim.calls if call.operation == "UpdateSecret"]
    found = []
    for call in updates:
        secret = call.params["secret"]
        assert isinstance(secret, dict)
        found.append(bool(secret.get("etag")))
    return found


def test_every_update_is_a_compare_and_swap(gcp: GcpWorld) -> None:
    """No update of a secret goes out without the etag that it was made on."""
    gcp.operations().create(KEY)
    gcp.sim.calls.clear()
    gcp.run(LATER)
    gcp.operations(LATER + DAY).rollback(KEY)
    gcp.operations(LATER + DAY).delete(KEY)
    gcp.operations(LATER + DAY).restore(KEY)
    etags = _use_every_etag(gcp)
    assert len(etags) >= 6
    assert all(etags)


def _rotate_after_a_crash(world: GcpWorld) -> None:
    store = world.adapter.store
    store.stage(store.describe(KEY), "never promoted", world.at(LATER))
    summary = world.run(LATER + CLAIMED, keys=[KEY])
    for error in summary.errors.values():
        raise error


def _run(world: GcpWorld, after_days: int) -> None:
    for error in world.run(after_days * DAY).errors.values():
        raise error


#: To each permission what can't be done without it, and whether a call before it takes effect.
NEEDS: dict[str, Callable[[GcpWorld], object]] = {
    "secretmanager.secrets.list": lambda w: w.adapter.list_keys(),
    "secretmanager.secrets.get": lambda w: w.adapter.rotate_key(KEY),
    "secretmanager.secrets.update": lambda w: w.adapter.rotate_key(KEY),
    "secretmanager.secrets.create": lambda w: w.adapter.create_key("new-key"),
    "secretmanager.versions.access": lambda w: w.adapter.get_key(KEY),
    "secretmanager.versions.list": lambda w: w.look(KEY),
    "secretmanager.versions.disable": lambda w: _run(w, 99),
    "secretmanager.versions.destroy": lambda w: _run(w, 140),
    "secretmanager.versions.enable": lambda w: w.adapter.restore_key(GONE),
}


def prepared(world: GcpWorld) -> None:
    """Make a token with a version to retire and one to destroy, and a key that is deleted."""
    tags = {"daena.grace": "1d", "daena.destroy-after": "5d", "daena.rotate-after": "90d"}
    world.operations().create(KEY, spec="token", tags=tags)
    world.operations().create(GONE)
    world.operations().delete(GONE)


@pytest.mark.parametrize("permission", sorted(NEEDS))
def test_one_permission_less(gcp: GcpWorld, permission: str) -> None:
    """Without one of them AccessDenied names the call to allow, and nothing changes."""
    prepared(gcp)
    if permission.endswith(("disable", "destroy")):
        gcp.run(90 * DAY)
        gcp.run(95 * DAY, keys=[KEY])
    if permission.endswith("destroy"):
        gcp.run(130 * DAY)
    allow_what_is_listed(gcp, but=permission)
    with refused(gcp, AccessDenied, "Google Cloud refused .*Allow it in the caller's role"):
        NEEDS[permission](gcp)
    allow_what_is_listed(gcp)
    NEEDS[permission](gcp)


def test_without_adding_versions_a_claim_is_given_back(gcp: GcpWorld) -> None:
    """A refused addition takes its claim off again, so that the next run goes on at once."""
    prepared(gcp)
    allow_what_is_listed(gcp, but="secretmanager.versions.add")
    before = dict(gcp.sim.secrets[KEY].annotations)
    with pytest.raises(AccessDenied, match="Google Cloud refused add_secret_version"):
        gcp.adapter.rotate_key(KEY)
    assert dict(gcp.sim.secrets[KEY].annotations) == before
    assert gcp.adapter.get_key(KEY)
    allow_what_is_listed(gcp)
    assert gcp.run(LATER).rotated == [KEY]


def test_without_looking_at_versions_no_takeover(gcp: GcpWorld) -> None:
    """Who may not look at what a crash left does not go on; the current version stays."""
    prepared(gcp)
    value = gcp.adapter.get_key(KEY)
    allow_what_is_listed(gcp, but="secretmanager.versions.get")
    with pytest.raises(AccessDenied, match="Google Cloud refused get_secret_version"):
        _rotate_after_a_crash(gcp)
    assert gcp.adapter.get_key(KEY) == value
    assert gcp.sim.secrets[KEY].version_aliases == {"current": 1}
    allow_what_is_listed(gcp)
    assert gcp.run(LATER + 3 * CLAIMED).failed == []
    assert gcp.sim.secrets[KEY].version_aliases["previous"] == 1


def test_every_listed_permission_is_looked_at_here() -> None:
    """No permission of the store is without a test of its absence."""
    others = {"secretmanager.versions.add", "secretmanager.versions.get"}
    assert NEEDS.keys() | others == set(STORE)


@pytest.mark.parametrize("permission", LOG)
def test_one_permission_less_on_the_log(gcp: GcpWorld, permission: str) -> None:
    """Without one of them the run fails closed: nothing changes."""
    prepared(gcp)
    allow_what_is_listed(gcp, but=permission)
    with refused(gcp, AuditUnavailable, "the permissions on it"):
        gcp.run(LATER)
    allow_what_is_listed(gcp)
    assert gcp.run(LATER).rotated == [KEY]


def test_reading_alone_takes_one_permission(gcp: GcpWorld) -> None:
    """Who only reads the current value needs no more than that."""
    prepared(gcp)
    value = gcp.adapter.get_key(KEY)
    gcp.sim.set_role(ROTATOR, ["secretmanager.versions.access"])
    gcp.sim.calls.clear()
    assert gcp.adapter.get_key(KEY) == value
    assert [c.operation for c in gcp.sim.calls if only("secretmanager", None)(c.service, "")] == [
        "AccessSecretVersion"
    ]
