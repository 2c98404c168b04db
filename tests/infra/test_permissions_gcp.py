"""On Google Cloud: what the deployed roles hold is what is called: none missing, none unused."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from daena_kms.errors import AccessDenied

from infra.local.gcp.client import ROTATOR
from tests.faults.permissions import gcp_used
from tests.infra import lives
from tests.infra.deployed import Tree, listed, of_type
from tests.worlds.base import DAY
from tests.worlds.gcp import GcpWorld
from tests.worlds.kinds import open_world

Roles = dict[str, set[str]]


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Give what Terraform plans."""
    tree = Tree.copied(tmp_path_factory.mktemp("terraform") / "tree")
    return tree.permissions("gcp")["roles"]


@pytest.fixture(scope="module")
def deployed(planned: list[dict[str, Any]]) -> Roles:
    """The permissions of each custom role, as Terraform plans them."""
    roles = of_type(planned, "google_project_iam_custom_role")
    return {name: set(role["permissions"]) for name, role in roles}


@pytest.fixture
def gcp(tmp_path: Path) -> Iterator[GcpWorld]:
    """Give a Google Cloud with the keys of an operator."""
    with open_world("gcp", tmp_path) as opened:
        assert isinstance(opened, GcpWorld)
        lives.prepare(opened)
        opened.sim.calls.clear()
        yield opened


def calls_of(world: GcpWorld, life: Callable[[GcpWorld], None], allowed: set[str]) -> set[str]:
    """Live with these permissions alone, and return those that the calls took."""
    world.sim.calls.clear()
    world.sim.set_role(ROTATOR, sorted(allowed))
    life(world)
    world.sim.set_role(ROTATOR, None)
    return gcp_used(world)


def rotator(roles: Roles) -> set[str]:
    """Return what the scheduled function may do."""
    return roles["list"] | roles["rotate"] | roles["destroy"] | roles["log"]


def test_the_lists_say_what_is_deployed(deployed: Roles) -> None:
    """infra/permissions/gcp.json names, place by place, what the roles hold."""
    places = {"list": "project", "rotate": "secrets", "destroy": "secrets", "log": "audit-bucket"}
    scheduled = {(action, place) for role, place in places.items() for action in deployed[role]}
    assert scheduled == listed("gcp", "scheduled")
    assert {(action, "secrets") for action in deployed["change"]} == listed("gcp", "http_changes")
    audit = {(action, "project") for action in deployed["audit_secrets"]}
    audit |= {(action, "audit-bucket") for action in deployed["audit_log"]}
    assert audit == listed("gcp", "auditor")


def test_who_acts_gets_none_of_google_s_roles_on_the_project(
    planned: list[dict[str, Any]],
) -> None:
    """Those are wider than what is called; an event of a topic takes none. Builds have their own.

    cloud.google.com/eventarc/docs/roles-permissions
    cloud.google.com/functions/docs/securing/build-custom-sa
    """
    given = [member["role"] for _, member in of_type(planned, "google_project_iam_member")]
    assert len(given) >= 5
    assert [role for role in given if not role.startswith("projects/")] == [
        "roles/cloudbuild.builds.builder"
    ]


def test_the_functions_call_what_they_may(gcp: GcpWorld, deployed: Roles) -> None:
    """A run, the API and the events take exactly the rotator's permissions."""
    allowed = rotator(deployed)
    assert calls_of(gcp, lives.functions_run, allowed) == allowed


def test_the_api_reads_values_only_where_it_may(gcp: GcpWorld, deployed: Roles) -> None:
    """Hold and release take no more than a run does, rolling back what `http_changes` gives."""
    allowed = rotator(deployed) - deployed["destroy"]
    with pytest.raises(AssertionError, match="access_secret_version"):
        calls_of(gcp, lives.changes, allowed)
    gcp.sim.set_role(ROTATOR, None)
    more = calls_of(gcp, lives.changes, allowed | deployed["change"])
    assert more - allowed == deployed["change"]


def test_a_run_through_the_api_can_t_destroy(gcp: GcpWorld, deployed: Roles) -> None:
    """A version whose time is over waits for the schedule; everything else is done."""
    for days in (92, 100, 190):
        gcp.run(days * DAY)
    gcp.sim.set_role(ROTATOR, sorted(rotator(deployed) - deployed["destroy"]))
    asked = gcp.run(200 * DAY)
    assert isinstance(asked.errors[lives.TOKEN], AccessDenied)
    assert (asked.retired, asked.destroyed) == ([lives.TOKEN, lives.THEIRS], [])
    gcp.sim.set_role(ROTATOR, sorted(rotator(deployed)))
    assert gcp.run(201 * DAY).destroyed == [lives.TOKEN]


def test_the_api_changes_policies_as_a_run_changes_keys(gcp: GcpWorld, deployed: Roles) -> None:
    """Whoever may change a secret may change its annotations: `http_policy` gives no right."""
    allowed = rotator(deployed) - deployed["destroy"]
    assert calls_of(gcp, lives.change_policy, allowed) <= allowed
    assert listed("gcp", "http_policy") == set()


def test_people_take_what_is_listed_for_them(gcp: GcpWorld, deployed: Roles) -> None:
    """The command line takes what is listed for an operator beside the rotator's."""
    lives.functions_run(gcp)
    allowed = rotator(deployed)
    operator = {action for action, _ in listed("gcp", "operator")}
    assert calls_of(gcp, lives.operate, allowed | operator) - allowed == operator


def test_the_auditor_calls_what_it_may(gcp: GcpWorld, deployed: Roles) -> None:
    """Verifying the log against the store takes exactly the auditor's permissions."""
    lives.functions_run(gcp)
    allowed = deployed["audit_secrets"] | deployed["audit_log"]
    assert calls_of(gcp, lives.audit, allowed) == allowed
