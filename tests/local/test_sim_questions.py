"""What the simulators answer to questions about callers, permissions and protections."""

import json
from collections.abc import Callable
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import botocore.session
import pytest
from botocore.config import Config
from google.api_core.exceptions import InvalidArgument

from infra.local.aws.sim import ACCESS_KEY, ACCOUNT, BUCKET, REGION, AwsSimulator, Clients
from infra.local.azure import auth
from infra.local.azure.blob import VERSIONED
from infra.local.azure.sim import AzureSimulator
from infra.local.gcp.sim import PROJECT
from tests.local.azure_wire import code, to_blobs, token
from tests.local.conftest import refused
from tests.local.gcp_calls import Gcp, gcp, name

__all__ = ["gcp"]

GET, ADD = "secretmanager.secrets.get", "secretmanager.versions.add"


@pytest.fixture
def client(sim: AwsSimulator) -> Callable[[str], Any]:
    """Clients of services that the other tests have none of."""

    def make(service: str) -> Any:
        return botocore.session.Session().create_client(
            service,
            region_name=REGION,
            endpoint_url=sim.url,
            config=Config(retries={"total_max_attempts": 1}),
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=ACCESS_KEY,
        )

    return make


def test_sts_says_who_signed(sim: AwsSimulator, client: Callable[[str], Any]) -> None:
    """A known key is somebody, an unknown one nobody; nothing else is modelled."""
    sts = client("sts")
    answer = sts.get_caller_identity()
    assert answer["Arn"] == f"arn:aws:iam::{ACCOUNT}:user/{ACCESS_KEY}"
    assert (answer["Account"], answer["UserId"]) == (ACCOUNT, ACCESS_KEY)
    assert answer["ResponseMetadata"]["HTTPHeaders"]["date"].endswith("GMT")
    with refused("InvalidAction"):
        sts.get_session_token()
    sim.sts.known = {"another"}
    with refused("InvalidClientTokenId"):
        sts.get_caller_identity()


def test_sts_throttles_and_fails(sim: AwsSimulator, client: Callable[[str], Any]) -> None:
    """It refuses in its own form."""
    sim.faults.throttle(1)
    with refused("Throttling"):
        client("sts").get_caller_identity()
    sim.faults.fail_before(how="error")
    with refused("InternalFailure"):
        client("sts").get_caller_identity()


def test_kms_tries_without_doing(sim: AwsSimulator, aws: Clients) -> None:
    """DryRun says what would be: allowed, disabled, unknown; and no data key is made by it."""
    key = aws.kms.create_key()["KeyMetadata"]["KeyId"]
    blob = aws.kms.generate_data_key(KeyId=key, NumberOfBytes=32)["CiphertextBlob"]
    with refused("DryRunOperationException"):
        aws.kms.generate_data_key(KeyId=key, NumberOfBytes=32, DryRun=True)
    with refused("DryRunOperationException"):
        aws.kms.decrypt(CiphertextBlob=blob, DryRun=True)
    with refused("ValidationException", "not modelled"):
        aws.kms.decrypt(CiphertextBlob=blob)
    with refused("InvalidCiphertextException"):
        aws.kms.decrypt(CiphertextBlob=b"something else", DryRun=True)
    sim.kms.keys[key].enabled = False
    for call in (
        lambda: aws.kms.generate_data_key(KeyId=key, NumberOfBytes=32, DryRun=True),
        lambda: aws.kms.decrypt(CiphertextBlob=blob, DryRun=True),
    ):
        with refused("DisabledException"):
            call()


def test_a_kms_key_to_be_deleted(aws: Clients) -> None:
    """It says when, and can't be used."""
    key = aws.kms.create_key()["KeyMetadata"]["KeyId"]
    date = aws.kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)["DeletionDate"]
    described = aws.kms.describe_key(KeyId=key)["KeyMetadata"]
    assert (described["KeyState"], described["DeletionDate"]) == ("PendingDeletion", date)
    assert described["Enabled"] is False
    with refused("KMSInvalidStateException"):
        aws.kms.generate_data_key(KeyId=key, NumberOfBytes=32)


def test_kms_rotation_is_asked_by_id(sim: AwsSimulator, aws: Clients) -> None:
    """Not by alias; and imported material has none."""
    key = aws.kms.create_key()["KeyMetadata"]["KeyId"]
    aws.kms.create_alias(AliasName="alias/mine", TargetKeyId=key)
    assert aws.kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"] is False
    with refused("NotFoundException"):
        aws.kms.get_key_rotation_status(KeyId="alias/mine")
    sim.kms.keys[key].imported = True
    with refused("UnsupportedOperationException"):
        aws.kms.get_key_rotation_status(KeyId=key)


def test_s3_tells_a_bucket_s_protection(sim: AwsSimulator, client: Callable[[str], Any]) -> None:
    """Versioning and Object Lock, in the forms that the SDK reads."""
    s3 = client("s3")
    lock = s3.get_object_lock_configuration(Bucket=BUCKET)["ObjectLockConfiguration"]
    retention = {"Mode": "COMPLIANCE", "Days": 365}
    assert lock == {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": retention}}
    assert s3.get_bucket_versioning(Bucket=BUCKET)["Status"] == "Enabled"
    sim.s3.locks[BUCKET] = None
    lock = s3.get_object_lock_configuration(Bucket=BUCKET)["ObjectLockConfiguration"]
    assert lock == {"ObjectLockEnabled": "Enabled"}
    del sim.s3.locks[BUCKET]
    sim.s3.versioned.clear()
    assert "Status" not in s3.get_bucket_versioning(Bucket=BUCKET)
    with refused("ObjectLockConfigurationNotFoundError"):
        s3.get_object_lock_configuration(Bucket=BUCKET)
    with refused("NoSuchBucket"):
        s3.get_bucket_versioning(Bucket="nobody")


def test_a_container_s_properties(azure: AzureSimulator) -> None:
    """They tell what protects it, to who has an action of the control plane."""
    azure.blobs.protections["audit"] = {VERSIONED}
    answer = to_blobs(azure, "GET", "/audit?restype=container")
    assert answer.status == 200
    assert answer.headers["x-ms-has-immutability-policy"] == "false"
    assert answer.headers[f"x-ms-{VERSIONED}"] == "true"
    azure.roles.assign("reader", {auth.READ_BLOB}, auth.container("audit"))
    who = token(azure, auth.BLOB_AUDIENCE, "reader")
    denied = to_blobs(azure, "GET", "/audit?restype=container", headers=who)
    assert (denied.status, code(denied)) == (403, "AuthorizationPermissionMismatch")
    assert to_blobs(azure, "GET", "/nobody?restype=container").status == 404


def test_a_secret_says_what_is_allowed(gcp: Gcp) -> None:
    """Of what was asked; nothing of a secret that is not there, and no wildcards."""
    gcp.create("key")
    gcp.sim.set_role("rotator", [GET])
    ask = gcp.client.test_iam_permissions
    wanted = {"resource": name("key"), "permissions": [GET, ADD]}
    assert list(ask(request=wanted).permissions) == [GET]
    gcp.sim.set_role("rotator", None)
    assert list(ask(request=wanted).permissions) == [GET, ADD]
    assert list(ask(request={**wanted, "resource": name("other")}).permissions) == []
    with pytest.raises(InvalidArgument, match="wildcards"):
        ask(request={**wanted, "permissions": ["secretmanager.*"]})
    assert gcp.sim.calls.counts()["TestIamPermissions"] == 4


def http(gcp: Gcp, method: str, path: str, body: object = None, who: str = "rotator") -> Any:
    """Ask over HTTP; the status, and the document."""
    connection = HTTPConnection(urlsplit(gcp.sim.url).netloc, timeout=10)
    try:
        headers = {"Authorization": f"Bearer {who}"} if who else {}
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def test_a_project_says_what_is_allowed(gcp: Gcp) -> None:
    """To everybody with a token, if the API is on."""
    path, asked = f"/v1/projects/{PROJECT}:testIamPermissions", {"permissions": [GET, ADD]}
    gcp.sim.set_role("rotator", [GET])
    assert http(gcp, "POST", path, asked) == (200, {"permissions": [GET]})
    assert http(gcp, "POST", path, asked, who="")[0] == 401
    assert http(gcp, "POST", path.replace(PROJECT, "other"), asked)[0] == 403
    assert http(gcp, "POST", path, {"permissions": ["*"]})[0] == 400
    gcp.sim.projects.inherited = False
    assert http(gcp, "POST", path, asked) == (200, {})
    gcp.sim.projects.enabled = False
    assert http(gcp, "POST", path, asked)[0] == 403
    gcp.sim.faults.throttle(1)
    assert http(gcp, "POST", path, asked)[0] == 429


def test_a_bucket_says_what_is_allowed(gcp: Gcp) -> None:
    """And its policies to who may see them, as far as they were asked for."""
    bucket = "/storage/v1/b/audit"
    get, create = "storage.objects.get", "storage.objects.create"
    query = f"?permissions={get}&permissions={create}"
    gcp.sim.set_role("rotator", [get])
    assert http(gcp, "GET", f"{bucket}/iam/testPermissions{query}") == (200, {"permissions": [get]})
    wrong = f"{bucket}/iam/testPermissions?permissions=storage.buckets.list"
    assert http(gcp, "GET", wrong)[0] == 400
    assert http(gcp, "GET", f"{bucket}?fields=retentionPolicy")[0] == 403
    gcp.sim.set_role("rotator", ["storage.buckets.get"])
    status, found = http(gcp, "GET", f"{bucket}?fields=retentionPolicy")
    assert (status, found["retentionPolicy"]["isLocked"]) == (200, True)
    assert http(gcp, "GET", f"{bucket}?fields=versioning") == (200, {})
    assert http(gcp, "GET", "/storage/v1/b/nobody")[0] == 404
    assert http(gcp, "GET", bucket, who="")[0] == 401
    gcp.sim.faults.throttle(1)
    assert http(gcp, "GET", bucket)[0] == 429
