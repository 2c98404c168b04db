"""Google Cloud: each permission that is missing is told by itself, wherever it is asked."""

from datetime import timedelta

import pytest
from daena_kms.cloud_kms import get_cloud_kms_adapter
from daena_kms.doctor import Status
from daena_kms.doctor.factory import exam_of
from google.oauth2.credentials import Credentials

from infra.local.http_server import Response
from tests.unit.doctor.worlds import KEY, Patient, allow

ROTATING = (
    *("secrets.get", "secrets.update", "versions.add", "versions.get", "versions.list"),
    *("versions.disable", "versions.destroy"),
)
PERSONAL = ("versions.access", "secrets.create", "versions.enable")
ALL = [
    *(f"secretmanager.{name}" for name in ("secrets.list", *ROTATING, *PERSONAL)),
    *(f"storage.objects.{name}" for name in ("create", "get", "list")),
    "storage.buckets.get",
]


def without(gcp: Patient, name: str) -> str:
    """Allow everything but one permission, and return its name."""
    allow(gcp.sim, [permission for permission in ALL if permission != f"secretmanager.{name}"])
    return f"permission secretmanager.{name}"


@pytest.mark.parametrize("how", ["project", "secret", "no project"])
def test_a_permission_that_every_rotation_needs(gcp: Patient, how: str) -> None:
    """Without it that one check is wrong, be the rest granted on the project or on the secrets."""
    gcp.sim.projects.inherited = how == "project"
    gcp.sim.projects.enabled = how != "no project"
    for name in ROTATING:
        missing = without(gcp, name)
        odd = gcp.odd()
        assert odd[missing].status is Status.WRONG
        assert odd[missing].todo == f"Allow secretmanager.{name} in the caller's role"
        assert {n for n, check in odd.items() if check.status is Status.WRONG} == {missing}


def test_a_permission_that_a_command_needs(gcp: Patient) -> None:
    """Without it there is a warning."""
    for name in PERSONAL:
        missing = without(gcp, name)
        odd = gcp.odd()
        assert odd.keys() == {missing}
        assert odd[missing].status is Status.WARNING


def test_the_list(gcp: Patient) -> None:
    """Without it neither the keys are known nor that permission allowed."""
    missing = without(gcp, "secrets.list")
    odd = gcp.odd()
    assert odd["keys: list"].status is Status.WRONG
    assert odd[missing].status is Status.WRONG


def test_neither_project_nor_secret(gcp: Patient) -> None:
    """With no key, and no answer for the project, permissions are unknown, and it is said why."""
    gcp.sim.secrets.by_name.clear()
    gcp.sim.projects.enabled = False
    odd = gcp.odd()
    found = odd["permission secretmanager.versions.add"]
    assert found.status is Status.UNKNOWN
    assert "enable the Cloud Resource Manager API" in found.todo


def test_a_secret_that_has_gone_since_it_was_listed(gcp: Patient) -> None:
    """IAM then names no permission, and no error, which proves nothing."""
    gcp.sim.projects.enabled = False
    exam = exam_of(get_cloud_kms_adapter("gcp"), gcp.now)
    found = {check.name: check.status for check in exam.permissions(["no-such-key"])}
    assert found["permission secretmanager.versions.add"] is Status.UNKNOWN
    assert Status.WRONG not in found.values()


def test_a_secret_that_does_not_answer(gcp: Patient) -> None:
    """So does one that is asked in vain; what the project gives is known all the same."""
    gcp.sim.faults.deny("TestIamPermissions")
    gcp.sim.projects.inherited = False
    found = gcp.checks()
    assert found["permission secretmanager.versions.add"].status is Status.UNKNOWN
    assert found["permission secretmanager.secrets.list"].status is Status.OK


def test_the_project_does_not_answer(gcp: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then the secret is asked alone, and the clock is unknown."""
    monkeypatch.setenv("GCP_RESOURCE_MANAGER_ENDPOINT", "http://127.0.0.1:1")
    found = gcp.checks()
    assert found["clock"].status is Status.UNKNOWN
    assert found["permission secretmanager.versions.add"].status is Status.OK
    assert found["permission secretmanager.secrets.create"].status is Status.UNKNOWN


def test_the_clock(gcp: Patient) -> None:
    """The date of an answer over HTTP counts."""
    gcp.shift = timedelta(minutes=10)
    assert gcp.checks()["clock"].status is Status.WRONG


def test_keys_of_one_s_own(gcp: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Cloud KMS key's rotation is not seen from here, and the command that shows it is named."""
    name = "projects/p/locations/global/keyRings/r/cryptoKeys/k"
    monkeypatch.setenv("GCP_KMS_KEY_NAMES", name)
    found = gcp.odd()["encryption"]
    assert found.status is Status.UNKNOWN
    assert found.todo == f"Run: gcloud kms keys describe {name}"


def test_no_credentials(gcp: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    """A credentials file that is none is told, and nothing else of the store is asked."""
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere.json")
    found = gcp.checks()
    assert found["credentials"].status is Status.WRONG
    assert "keys: list" not in found


def test_no_permission_is_needed_to_ask(gcp: Patient) -> None:
    """Who may do nothing is told so; what the secrets themselves may allow is unknown."""
    allow(gcp.sim, [])
    odd = gcp.odd()
    wrong = {name for name, check in odd.items() if check.status is Status.WRONG}
    on_the_log = {f"permission storage.objects.{name}" for name in ("create", "get", "list")}
    assert wrong >= {"permission secretmanager.secrets.list", *on_the_log}
    found = odd["permission secretmanager.versions.add"]
    assert found.status is Status.UNKNOWN
    assert found.found.startswith("not allowed on the project, and there is no secret to ask")


def test_a_condition_on_the_objects(gcp: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the log can be read although the bucket allows nothing, that is no evidence."""
    names = {f"permission storage.objects.{name}" for name in ("get", "list")}
    answer = Response(200, b"{}", {"Content-Type": "application/json"})
    real = gcp.sim.policies.perform
    monkeypatch.setattr(
        gcp.sim.policies,
        "perform",
        lambda asked, request: real(asked, request) if asked.name == "GetBucket" else answer,
    )
    found = gcp.checks()
    assert {found[name].status for name in names} == {Status.OK}
    create = found["permission storage.objects.create"]
    assert create.status is Status.UNKNOWN
    assert "right if a condition names the objects" in create.found


def test_no_project(gcp: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where neither the environment nor the credentials name one, that is a finding like others."""
    monkeypatch.delenv("GCP_PROJECT_ID")
    credentials = Credentials("token")  # type: ignore[no-untyped-call]  # as it is declared
    monkeypatch.setattr("google.auth.default", lambda **_: (credentials, None))
    found = gcp.checks()["credentials"]
    assert (found.status, found.todo) == (Status.WRONG, "Set GCP_PROJECT_ID")


def test_a_secret_of_terraform_s(gcp: Patient) -> None:
    """The mark of Terraform's provider on a managed key is a warning that names what to ignore."""
    gcp.sim.secrets[KEY].labels["goog-terraform-provisioned"] = "true"
    odd = gcp.odd()
    assert odd["infrastructure"].found.startswith(f"Terraform created {KEY}: an apply removes")
    assert "version_aliases" in odd["infrastructure"].todo
    gcp.sim.secrets[KEY].annotations.clear()
    assert "infrastructure" not in gcp.odd()
