"""The doctor on the local AWS of the demonstration, which nobody here wrote.

Its answers share none of our misreadings of the API. It knows no ``DryRun``, and allows everything.
"""

import secrets

import pytest
from daena_kms.doctor import Status

from infra.local.aws.ministack import REGION, LocalAws
from tests.unit.doctor.worlds import NEVER, Patient

# One local AWS serves all of it.
pytestmark = pytest.mark.xdist_group("ministack")


@pytest.fixture
def patient(local_aws: LocalAws, monkeypatch: pytest.MonkeyPatch) -> Patient:
    """A key of a name of its own, and a log in a bucket of its own, without any protection."""
    bucket, key = f"doctor-{secrets.token_hex(8)}", f"doctor-{secrets.token_hex(8)}"
    where = {"LocationConstraint": REGION} if REGION != "us-east-1" else {}
    given = {"CreateBucketConfiguration": where} if where else {}
    local_aws.client("s3").create_bucket(Bucket=bucket, **given)
    kms_key = local_aws.client("kms").create_key()["KeyMetadata"]["KeyId"]
    environment = local_aws.environment | {
        "AWS_KMS_KEY_ID": kms_key,
        "DAENA_KMS_AUDIT_URL": f"s3://{bucket}/log",
        "DAENA_OPERATOR": "tester",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    made = Patient("aws", kms_key=kms_key)
    made.create(key)
    made.schedule()
    return made


def test_what_is_wrong_there(patient: Patient) -> None:
    """The bucket protects nothing and the KMS key does not rotate; all else is in order."""
    odd = patient.odd()
    wrong = {name for name, check in odd.items() if check.status is Status.WRONG}
    assert wrong == {
        *("audit log: versioning", "audit log: deletion protection", "KMS key rotation"),
    }
    assert not [
        n
        for n in odd
        if n.startswith("permission") and n not in {*NEVER["aws"], "permission kms:Decrypt"}
    ]


def test_after_it_was_mended(patient: Patient, local_aws: LocalAws) -> None:
    """What the advice says to do is what mends it."""
    local_aws.client("kms").enable_key_rotation(KeyId=patient.kms_key)
    assert "KMS key rotation" not in patient.odd()


def test_no_secret_is_made(patient: Patient, local_aws: LocalAws) -> None:
    """The names that were tried are not there afterwards."""

    def names() -> set[str]:
        pages = (
            local_aws.client("secretsmanager")
            .get_paginator("list_secrets")
            .paginate(IncludePlannedDeletion=True)
        )
        return {entry["Name"] for page in pages for entry in page["SecretList"]}

    before = names()
    patient.checks()
    assert names() == before
