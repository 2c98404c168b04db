"""On Azure: what the deployed roles hold is what is called: none missing, none unused."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from daena_kms.errors import AccessDenied

from infra.local.azure.auth import READ_METADATA
from tests.faults.permissions import CONTAINERS, allow, azure_used, blobs_used
from tests.infra import lives
from tests.infra.deployed import Tree, listed, of_type
from tests.worlds.azure import AzureWorld
from tests.worlds.kinds import open_world

Roles = dict[str, set[str]]


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Roles:
    """The data actions of each custom role, as Terraform plans them."""
    tree = Tree.copied(tmp_path_factory.mktemp("terraform") / "tree")
    planned = tree.permissions("azure")["roles"]
    roles = of_type(planned, "azurerm_role_definition")
    return {name: set(role["permissions"][0]["data_actions"]) for name, role in roles}


@pytest.fixture
def azure(tmp_path: Path) -> Iterator[AzureWorld]:
    """Give an Azure with the keys of an operator."""
    with open_world("azure", tmp_path) as opened:
        assert isinstance(opened, AzureWorld)
        lives.prepare(opened)
        yield opened


def calls_of(
    world: AzureWorld,
    life: Callable[[AzureWorld], None],
    vault: set[str],
    blobs: dict[str, set[str]],
) -> tuple[set[str], dict[str, set[str]]]:
    """Live with these actions alone, and return those that were used, on vault and containers."""
    allow(world, vault, blobs)
    world.sim.roles.used.clear()
    world.sim.calls.clear()
    life(world)
    return azure_used(world), {name: blobs_used(world, name) for name in blobs}


def on_both(actions: set[str]) -> dict[str, set[str]]:
    """The same actions on the log's container and on the claims'."""
    return dict.fromkeys(CONTAINERS, actions)


def test_the_lists_say_what_is_deployed(deployed: Roles) -> None:
    """infra/permissions/azure.json names, place by place, what the roles hold."""
    rotator = {(action, "vault") for action in deployed["rotate"]}
    for place in ("audit-container", "claims-container"):
        rotator |= {(action, place) for action in deployed["log"]}
    assert rotator == listed("azure", "scheduled")
    assert {(action, "vault") for action in deployed["operate"]} == listed("azure", "operator")
    audit = {(action, "audit-container") for action in deployed["audit_log"]}
    assert audit == listed("azure", "auditor")


def test_the_functions_call_what_they_may(azure: AzureWorld, deployed: Roles) -> None:
    """A run, the API and the events take exactly the rotator's actions, on each place."""
    vault, blobs = deployed["rotate"], on_both(deployed["log"])
    assert calls_of(azure, lives.functions_run, vault, blobs) == (vault, blobs)


def test_the_api_needs_no_more(azure: AzureWorld, deployed: Roles) -> None:
    """Hold, release, rolling back and changing policies take nothing that a run does not."""
    assert listed("azure", "http_changes", "http_policy") == set()
    for life in (lives.changes, lives.change_policy):
        used, blobs = calls_of(azure, life, deployed["rotate"], on_both(deployed["log"]))
        assert used <= deployed["rotate"]
        assert all(actions <= deployed["log"] for actions in blobs.values())


def test_people_take_what_is_listed_for_them(azure: AzureWorld, deployed: Roles) -> None:
    """The command line takes what the operator's role holds beside the rotator's."""
    lives.functions_run(azure)
    vault = deployed["rotate"] | deployed["operate"]
    used, _ = calls_of(azure, lives.operate, vault, on_both(deployed["log"]))
    assert used - deployed["rotate"] == deployed["operate"]
    allow(azure, deployed["rotate"], on_both(deployed["log"]))
    with pytest.raises(AccessDenied):
        azure.adapter.delete_key(lives.KEY)


def test_the_auditor_calls_what_it_may(azure: AzureWorld, deployed: Roles) -> None:
    """Verifying the log takes exactly the auditor's action; to see the vault may take a value.

    It does where a key has versions that were made by others in the same moment.
    """
    lives.functions_run(azure)
    blobs = {"audit": deployed["audit_log"]}
    assert calls_of(azure, lives.audit_log_only, set(), blobs) == (set(), blobs)
    assert calls_of(azure, lives.audit, {READ_METADATA}, blobs) == ({READ_METADATA}, blobs)
    for _ in range(2):
        azure.foreign("by-hand", "x" * 43, {"daena.managed": "true"})
    with pytest.raises(AccessDenied):
        calls_of(azure, lives.audit, {READ_METADATA}, blobs)
