"""Azure: each data action, credential and place that is missing is told by itself."""

import json
from datetime import timedelta

import pytest
from daena_kms.cloud_kms import get_cloud_kms_adapter
from daena_kms.doctor import Status
from daena_kms.doctor.factory import exam_of

from infra.local.azure import auth
from infra.local.http_server import Response
from tests.unit.doctor.worlds import KEY, NEVER, Patient, answer_everything

ALL = {
    *(auth.READ_METADATA, auth.GET_SECRET, auth.SET_SECRET, auth.UPDATE_SECRET),
    *(auth.DELETE_SECRET, auth.RECOVER_SECRET),
}


UNTRIED = {
    f"permission {name}" for name in (auth.SET_SECRET, auth.DELETE_SECRET, auth.RECOVER_SECRET)
}


def allow(azure: Patient, actions: set[str], scope: str = auth.VAULT) -> None:
    """Give these actions on the vault, and all that is needed on the containers."""
    azure.sim.roles.revoke(auth.OWNER)
    azure.sim.roles.assign(auth.OWNER, sorted(actions), scope)
    for container in ("audit", "claims"):
        every = (auth.ADD_BLOB, auth.READ_BLOB, auth.READ_CONTAINER)
        azure.sim.roles.assign(auth.OWNER, every, auth.container(container))


@pytest.mark.parametrize("action", [auth.GET_SECRET, auth.UPDATE_SECRET])
def test_an_action_that_every_rotation_needs(azure: Patient, action: str) -> None:
    """Without it that one check is wrong, and says what to allow."""
    allow(azure, ALL - {action})
    odd = azure.odd()
    wrong = {name for name, check in odd.items() if check.status is Status.WRONG}
    assert wrong == {f"permission {action}"}
    assert odd[f"permission {action}"].todo == f"Allow {action} in the caller's role"


def test_the_list(azure: Patient) -> None:
    """Without reading metadata neither the keys are known nor that action allowed."""
    allow(azure, ALL - {auth.READ_METADATA})
    odd = azure.odd()
    assert odd["keys: list"].status is Status.WRONG
    assert odd[f"permission {auth.READ_METADATA}"].status is Status.WRONG


@pytest.mark.parametrize("action", [auth.SET_SECRET, auth.DELETE_SECRET, auth.RECOVER_SECRET])
def test_an_action_that_can_t_be_tried(azure: Patient, action: str) -> None:
    """With it or without it, it is unknown, and it is said where to look."""
    for actions in (ALL, ALL - {action}):
        allow(azure, actions)
        azure.sim.calls.clear()
        found = azure.odd()[f"permission {action}"]
        assert found.status is Status.UNKNOWN
        assert "az role assignment list" in found.todo
        assert not azure.sim.calls.counts().keys() & {"DeleteSecret", "RecoverDeletedSecret"}


def test_roles_on_each_secret(azure: Patient) -> None:
    """Where a made-up name is refused altogether, deleting is not tried at all."""
    allow(azure, ALL, auth.secret(KEY))
    azure.sim.roles.assign(auth.OWNER, [auth.READ_METADATA], auth.VAULT)
    azure.sim.calls.clear()
    odd = azure.odd()
    assert {check.status for check in odd.values()} == {Status.UNKNOWN}
    assert "DeleteSecret" not in azure.sim.calls.operations()


def test_no_key_is_touched(azure: Patient) -> None:
    """No call names a version of a key that is there, but the dry run's own looks."""
    azure.sim.calls.clear()
    azure.checks()
    for call in azure.sim.calls:
        if call.operation in {"SetSecret", "DeleteSecret", "RecoverDeletedSecret"}:
            assert call.params["name"] != KEY
        if call.operation == "UpdateSecret":
            assert (call.params["name"], call.outcome) == (KEY, "SecretNotFound")
    assert "SetSecret" not in azure.sim.calls.operations()


CODES = [
    ("ForbiddenByRbac", Status.WRONG),
    ("AccessDenied", Status.WRONG),
    ("ForbiddenByFirewall", Status.UNKNOWN),
    ("ForbiddenByConnection", Status.UNKNOWN),
    ("SomethingNew", Status.UNKNOWN),
]


def test_a_refusal_that_is_not_about_the_caller(azure: Patient) -> None:
    """A firewall's says nothing about the roles."""
    exam = exam_of(get_cloud_kms_adapter("azure"), azure.now)
    for code, status in CODES:
        error = {"code": "Forbidden", "message": "no", "innererror": {"code": code}}
        body = json.dumps({"error": error}).encode()
        answer = Response(403, body, {"Content-Type": "application/json"})
        with pytest.MonkeyPatch.context() as patch:
            answer_everything(azure.sim, patch, answer)
            found = list(exam.permissions([KEY]))
        assert {c.status for c in found if c.name not in UNTRIED} == {status}, code


def test_without_any_key(azure: Patient) -> None:
    """An empty vault is told, and permissions are tried on names that are free."""
    get_cloud_kms_adapter().delete_key(KEY)
    odd = azure.odd()
    assert odd["keys"].status is Status.WARNING
    assert odd.keys() == {*NEVER["azure"], "keys"}


def test_no_credentials(azure: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a service principal is told, and nothing else of the store is asked."""
    monkeypatch.setenv("AZURE_CLIENT_SECRET", "half")
    monkeypatch.delenv("AZURE_TENANT_ID", raising=False)
    found = azure.checks()
    assert found["credentials"].status is Status.WRONG
    assert "Set all three" in found["credentials"].todo
    assert "half" not in str(found)
    assert "keys: list" not in found
    assert found["audit log: read"].status is Status.WRONG


def test_the_clock(azure: Patient) -> None:
    """The vault's own date counts, whatever it answers."""
    azure.shift = timedelta(minutes=-10)
    assert azure.checks()["clock"].status is Status.WRONG
    allow(azure, set())
    assert "behind the clock of the vault" in azure.checks()["clock"].found


def test_no_place_for_claims(azure: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    """A log elsewhere needs DAENA_KMS_CLAIMS_URL, and that is said."""
    monkeypatch.setenv("DAENA_KMS_CLAIMS_URL", "file:///tmp/claims")
    assert "which is not in Blob Storage" in azure.odd()["places"].found


def test_no_claim_yet(azure: Patient) -> None:
    """Before the first rotation there is nothing to try the claims' container on."""
    azure.sim.blobs.containers["claims"].clear()
    assert azure.odd()["claims: create if absent"].status is Status.UNKNOWN
