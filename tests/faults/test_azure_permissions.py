"""On Azure: what the docstrings list is what is used, is enough, and one less is refused."""

import re
from collections.abc import Callable

import pytest
from daena_kms.errors import AccessDenied, AuditUnavailable, DaenaKMSError, StoreUnavailable
from daena_kms.objects.azure import azure_objects
from daena_kms.stores.azure.store import AzureStore

from infra.local.azure.auth import (
    ADD_BLOB,
    DELETE_SECRET,
    GET_SECRET,
    OWNER,
    READ_BLOB,
    READ_METADATA,
    RECOVER_SECRET,
    SET_SECRET,
    UPDATE_SECRET,
    VAULT,
    container,
)
from tests.faults.test_aws_permissions import KEY, live_a_life
from tests.faults.worlds import CLAIMED, DAY, AzureWorld, refused

#: https://learn.microsoft.com/rest/api/storageservices/authorize-with-azure-active-directory
BLOB_ACTIONS = {
    "PutBlob": ADD_BLOB,
    "GetBlob": READ_BLOB,
    "HeadBlob": READ_BLOB,
    "ListBlobs": READ_BLOB,
}
CONTAINERS = ("audit", "claims")
LATER = 91 * DAY


def listed(text: str | None) -> set[str]:
    """Return the data actions in a docstring."""
    return set(re.findall(r"``(Microsoft\.[\w./]+)``", text or ""))


VAULT_ACTIONS = sorted(listed(AzureStore.__doc__))
LOG_ACTIONS = sorted(listed(azure_objects.__doc__))


def allow(world: AzureWorld, vault: set[str], blobs: dict[str, set[str]]) -> None:
    """Give the one who calls these actions on the vault and on each container, and no other."""
    world.sim.roles.revoke(OWNER)
    world.sim.roles.assign(OWNER, sorted(vault), VAULT)
    for name, actions in blobs.items():
        world.sim.roles.assign(OWNER, sorted(actions), container(name))


def allow_what_is_listed(world: AzureWorld, *, but: str = "", on: str = "") -> None:
    """Give what the docstrings list, but for one action, on one container or on the vault."""
    blobs = {name: set(LOG_ACTIONS) for name in CONTAINERS}
    if on:
        blobs[on].discard(but)
    allow(world, set(VAULT_ACTIONS) - ({but} if not on else set()), blobs)


@pytest.mark.parametrize("overwrite_checked_first", [False, True])
def test_what_is_listed_is_enough_and_all_used(
    azure: AzureWorld, *, overwrite_checked_first: bool
) -> None:
    """With exactly the listed actions all can be done, and each of them is used."""
    azure.sim.blobs.overwrite_checked_first = overwrite_checked_first
    allow_what_is_listed(azure)
    azure.sim.roles.used.clear()
    live_a_life(azure)
    used = {a for a in azure.sim.roles.used[OWNER] if a.startswith("Microsoft.KeyVault/")}
    assert sorted(used) == VAULT_ACTIONS
    for name in CONTAINERS:
        blobs = [c for c in azure.sim.calls if c.params.get("container") == name]
        assert sorted({BLOB_ACTIONS[call.operation] for call in blobs}) == LOG_ACTIONS
    denied = ("Forbidden", "AuthorizationPermissionMismatch")
    refusals = {c.outcome for c in azure.sim.calls if c.outcome.startswith(denied)}
    assert refusals == set()


def test_the_built_in_role_is_enough(azure: AzureWorld) -> None:
    """Key Vault Secrets Officer on the one vault covers what is listed, as the docs say."""
    azure.sim.roles.revoke(OWNER)
    azure.sim.roles.assign(OWNER, "Key Vault Secrets Officer", VAULT)
    for name in CONTAINERS:
        azure.sim.roles.assign(OWNER, LOG_ACTIONS, container(name))
    live_a_life(azure)


def test_nothing_is_overwritten_or_deleted(azure: AzureWorld) -> None:
    """Each object is put only if absent; no blob, no value and no deleted secret is erased."""
    live_a_life(azure)
    puts = [call for call in azure.sim.calls if call.operation == "PutBlob"]
    assert len(puts) > 20
    assert {call.params.get("if-none-match") for call in puts} == {"*"}
    operations = set(azure.sim.calls.operations())
    assert not operations & {"DeleteBlob", "PurgeDeletedSecret", "BackupSecret", "RestoreSecret"}
    assert not {action for action in LOG_ACTIONS if action.endswith(("/write", "/delete"))}


#: To each action what can't be done without it.
NEEDS: dict[str, Callable[[AzureWorld], object]] = {
    READ_METADATA: lambda w: w.adapter.list_keys(),
    GET_SECRET: lambda w: w.adapter.get_key(KEY),
    SET_SECRET: lambda w: w.adapter.rotate_key(KEY),
    UPDATE_SECRET: lambda w: w.adapter.store.tag(w.look(KEY), {"daena.hold": "true"}),
    DELETE_SECRET: lambda w: w.adapter.delete_key(KEY),
    RECOVER_SECRET: lambda w: w.adapter.restore_key("gone-key"),
}


@pytest.mark.parametrize("action", VAULT_ACTIONS)
def test_one_action_less_on_the_vault(azure: AzureWorld, action: str) -> None:
    """Without one of them AccessDenied says what to allow, and nothing changes."""
    for key_id in (KEY, "gone-key"):
        azure.operations().create(key_id)
    azure.operations().delete("gone-key")
    allow_what_is_listed(azure, but=action)
    with refused(azure, AccessDenied, "Allow it: the role Key Vault Secrets Officer"):
        NEEDS[action](azure)
    allow_what_is_listed(azure)
    NEEDS[action](azure)


@pytest.mark.parametrize("action", [GET_SECRET, SET_SECRET])
def test_a_run_without_it_fails_each_key(azure: AzureWorld, action: str) -> None:
    """A scheduled run reports each key with what to allow; with it the next run goes on at once."""
    azure.operations().create(KEY)
    allow_what_is_listed(azure, but=action)
    before = azure.state()
    summary = azure.run(LATER)
    assert summary.failed == [KEY]
    assert isinstance(summary.errors[KEY], AccessDenied)
    assert azure.state() == before
    allow_what_is_listed(azure)
    assert azure.run(LATER).rotated == [KEY]


@pytest.mark.parametrize("action", LOG_ACTIONS)
def test_one_action_less_on_the_log(azure: AzureWorld, action: str) -> None:
    """Without one of them the run fails closed: nothing changes."""
    azure.operations().create(KEY)
    allow_what_is_listed(azure, but=action, on="audit")
    with refused(azure, AuditUnavailable, "the permissions on it"):
        azure.run(LATER)
    allow_what_is_listed(azure)
    assert azure.run(LATER).rotated == [KEY]


def _rotate_after_a_crash(world: AzureWorld) -> None:
    store = world.adapter.store
    store.stage(store.describe(KEY), "never set", world.at(LATER))
    summary = world.run(LATER + CLAIMED)
    for error in summary.errors.values():
        raise error


@pytest.mark.parametrize("action", LOG_ACTIONS)
def test_one_action_less_on_the_claims(azure: AzureWorld, action: str) -> None:
    """Without one of them no claim is taken, or none taken over, and nothing is set."""
    azure.operations().create(KEY)
    allow_what_is_listed(azure, but=action, on="claims")
    error: type[DaenaKMSError] = StoreUnavailable
    with refused(azure, error, "the place for claims .*the permissions on it"):
        _rotate_after_a_crash(azure)
    allow_what_is_listed(azure)
    assert azure.run(LATER + 3 * CLAIMED).failed == []
    assert len(azure.readable(KEY)) == 2


def test_reading_alone_takes_one_action(azure: AzureWorld) -> None:
    """Who only reads the current value needs no more than that."""
    azure.operations().create(KEY)
    value = azure.adapter.get_key(KEY)
    allow(azure, {GET_SECRET}, {})
    assert azure.adapter.get_key(KEY) == value
    allow(azure, set(), {})
    with refused(azure, AccessDenied, "Key Vault refused the call"):
        azure.adapter.get_key(KEY)
