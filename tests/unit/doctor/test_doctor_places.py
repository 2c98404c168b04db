"""The places of the log: deletion protection, and what may be read and written there."""

import os

import pytest
from daena_kms.doctor import Status
from daena_kms.doctor.place_blob import BlobPlace
from daena_kms.doctor.place_folder import FolderPlace
from daena_kms.doctor.place_gcs import GcsPlace
from daena_kms.sdk.azure.login import Login
from daena_kms.sdk.gcp.login import GcpLogin
from daena_kms.settings import Settings
from google.oauth2.credentials import Credentials

from infra.local.azure import auth
from infra.local.azure.blob import VERSIONED
from tests.unit.doctor.worlds import NEVER, Patient, allow

PROTECTION, VERSIONING = "audit log: deletion protection", "audit log: versioning"
CREATE, READ = "audit log: create if absent", "audit log: read"


def test_a_folder_protects_nothing() -> None:
    """It is a warning that says where the log would be safe."""
    (found,) = FolderPlace().protection(read=True)
    assert found.status is Status.WARNING
    assert "a bucket with a lock" in found.todo


@pytest.mark.parametrize(
    ("lock", "status", "words"),
    [
        ("none", Status.WRONG, "no Object Lock"),
        (None, Status.WRONG, "without a default retention"),
        ({"Mode": "GOVERNANCE", "Days": 30}, Status.WARNING, "s3:BypassGovernanceRetention"),
        ({"Mode": "COMPLIANCE", "Years": 2}, Status.OK, "COMPLIANCE, 2 y: nobody can delete"),
    ],
)
def test_object_lock(aws: Patient, lock: object, status: Status, words: str) -> None:
    """Only compliance mode, by default for each new object, lets nobody delete."""
    if lock == "none":
        del aws.sim.s3.locks["audit"]
    else:
        aws.sim.s3.locks["audit"] = lock
    found = aws.checks()[PROTECTION]
    assert found.status is status
    assert words in found.found
    assert bool(found.todo) == (status is not Status.OK)


def test_versioning(aws: Patient) -> None:
    """Without it what is deleted is gone."""
    aws.sim.s3.versioned.clear()
    assert aws.odd()[VERSIONING].status is Status.WRONG


@pytest.mark.parametrize(
    ("operation", "name", "status", "words"),
    [
        ("GetBucketVersioning", VERSIONING, Status.UNKNOWN, "s3:GetBucketVersioning"),
        (
            "GetObjectLockConfiguration",
            PROTECTION,
            Status.UNKNOWN,
            "s3:GetBucketObjectLockConfiguration",
        ),
        ("PutObject", CREATE, Status.WRONG, "s3:PutObject"),
        ("ListObjectsV2", READ, Status.WRONG, "s3:ListBucket and s3:GetObject"),
        ("GetObject", READ, Status.WRONG, "s3:ListBucket and s3:GetObject"),
    ],
)
def test_a_permission_on_the_bucket(
    aws: Patient, operation: str, name: str, status: Status, words: str
) -> None:
    """What a run needs is wrong without it; what only the doctor needs is unknown."""
    aws.sim.faults.deny(operation)
    found = aws.odd()[name]
    assert found.status is status
    assert words in found.todo


def test_a_bucket_that_is_not_there(aws: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mistyped address is wrong, and its protection is not guessed at."""
    monkeypatch.setenv("DAENA_KMS_AUDIT_URL", "s3://nobody/log")
    odd = aws.odd()
    assert odd[READ].status is Status.WRONG
    assert odd[PROTECTION].status is Status.UNKNOWN


@pytest.mark.parametrize(
    ("protection", "status", "words"),
    [
        ("has-legal-hold", Status.WARNING, "a legal hold"),
        (VERSIONED, Status.WARNING, "its own policy"),
        ("nothing", Status.WRONG, "no immutability policy"),
    ],
)
def test_immutability(azure: Patient, protection: str, status: Status, words: str) -> None:
    """Without an immutability policy on the container the log can be deleted some day."""
    azure.sim.blobs.protections["audit"] = {protection}
    found = azure.checks()[PROTECTION]
    assert found.status is status
    assert words in found.found


LACKING = [
    (auth.ADD_BLOB, "audit", CREATE, Status.WRONG),
    (auth.READ_BLOB, "audit", READ, Status.WRONG),
    (auth.READ_CONTAINER, "audit", PROTECTION, Status.UNKNOWN),
    (auth.ADD_BLOB, "claims", "claims: create if absent", Status.WRONG),
    (auth.READ_BLOB, "claims", "claims: read", Status.WRONG),
]


@pytest.mark.parametrize("overwrite_checked_first", [False, True])
def test_an_action_on_a_container(azure: Patient, *, overwrite_checked_first: bool) -> None:
    """One action less is told by itself, whichever way Blob Storage refuses an overwrite."""
    azure.sim.blobs.overwrite_checked_first = overwrite_checked_first
    every = {auth.ADD_BLOB, auth.READ_BLOB, auth.READ_CONTAINER}
    for action, where, name, status in LACKING:
        azure.sim.roles.revoke(auth.OWNER)
        azure.sim.roles.assign(auth.OWNER, "Key Vault Secrets Officer", auth.VAULT)
        for container in ("audit", "claims"):
            lacking = {action} if container == where else set()
            actions = sorted(every - lacking)
            azure.sim.roles.assign(auth.OWNER, actions, auth.container(container))
        odd = azure.odd()
        assert odd.keys() == {*NEVER["azure"], name}
        assert odd[name].status is status
        assert action in odd[name].todo


def test_a_container_that_is_not_there(azure: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its protection is not guessed at."""
    monkeypatch.setenv("DAENA_KMS_AUDIT_URL", "az://devaccount/nobody")
    found = azure.checks()[PROTECTION]
    assert found.status is Status.UNKNOWN
    assert "status 404" in found.found


@pytest.mark.parametrize(
    ("policy", "status", "words"),
    [
        ({"retentionPolicy": {"retentionPeriod": "60"}}, Status.WARNING, "not locked"),
        (
            {"retentionPolicy": {"retentionPeriod": "3600", "isLocked": True}},
            Status.WARNING,
            "nobody can delete an object for 1 h",
        ),
        (
            {"softDeletePolicy": {"retentionDurationSeconds": "604800"}},
            Status.WRONG,
            "for some time",
        ),
        ({"versioning": {"enabled": True}}, Status.WRONG, "for some time"),
        ({}, Status.WRONG, "who may delete objects can delete the log"),
    ],
)
def test_retention(gcp: Patient, policy: dict[str, object], status: Status, words: str) -> None:
    """Only a locked retention policy lets nobody delete."""
    gcp.sim.policies.policies["audit"] = policy
    found = gcp.checks()[PROTECTION]
    assert found.status is status
    assert words in found.found
    assert "retention policy" in found.todo


def test_who_rotates_and_no_more(gcp: Patient) -> None:
    """With the permissions of the guide alone only the bucket's policy can't be seen."""
    allow(gcp.sim, _ALL)
    odd = gcp.odd()
    assert odd.keys() == {PROTECTION}
    assert odd[PROTECTION].status is Status.UNKNOWN
    assert "storage.buckets.get" in odd[PROTECTION].todo


_ALL = [
    *(f"secretmanager.secrets.{name}" for name in ("list", "get", "update", "create")),
    *(f"secretmanager.versions.{name}" for name in ("add", "get", "list", "access")),
    *(f"secretmanager.versions.{name}" for name in ("enable", "disable", "destroy")),
    *(f"storage.objects.{name}" for name in ("create", "get", "list")),
]


@pytest.mark.parametrize("name", ["create", "get", "list"])
def test_a_permission_on_the_objects(gcp: Patient, name: str) -> None:
    """One permission less on the bucket is wrong, and named."""
    allow(gcp.sim, [p for p in _ALL if p != f"storage.objects.{name}"])
    odd = gcp.odd()
    missing = odd[f"permission storage.objects.{name}"]
    assert missing.status is Status.WRONG
    assert f"Allow storage.objects.{name}" in missing.todo


def test_a_gcs_bucket_that_is_not_there(gcp: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither its permissions nor its policy are guessed at."""
    monkeypatch.setenv("DAENA_KMS_AUDIT_URL", "gs://nobody")
    odd = gcp.odd()
    assert odd["permission storage.objects.*"].status is Status.UNKNOWN
    assert odd[PROTECTION].status is Status.UNKNOWN


@pytest.mark.parametrize("variable", ["AZURE_STORAGE_ENDPOINT", "GCP_STORAGE_ENDPOINT"])
def test_a_place_that_is_away(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its protection is unknown, as nobody answers."""
    monkeypatch.setenv(variable, "http://127.0.0.1:1")
    settings = Settings.load()
    credentials = Credentials("token")  # type: ignore[no-untyped-call]  # as it is declared
    login = Login({}, credential=auth.SimulatedCredential(os.devnull))
    places = {
        "AZURE_STORAGE_ENDPOINT": BlobPlace(login, "devaccount", "audit", settings),
        "GCP_STORAGE_ENDPOINT": GcsPlace(GcpLogin({}, credentials=credentials), "audit", settings),
    }
    (found,) = places[variable].protection(read=True)
    assert (found.name, found.status) == (PROTECTION, Status.UNKNOWN)
    assert found.found.startswith("127.0.0.1 did not answer")


def test_an_emulator(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reached by an account key it is asked for no policy."""
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", "a2V5")
    (found,) = BlobPlace(Login({}), "devaccount", "audit", Settings.load()).protection(read=True)
    assert found.status is Status.UNKNOWN
