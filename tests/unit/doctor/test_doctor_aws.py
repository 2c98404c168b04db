"""AWS: each permission, credential and state that is missing is told by itself, with its mend."""

from datetime import timedelta

import pytest
from botocore.exceptions import ClientError
from daena_kms.cloud_kms import get_cloud_kms_adapter
from daena_kms.doctor import Status
from daena_kms.doctor.check import is_missing
from daena_kms.doctor.factory import exam_of
from daena_kms.errors import DaenaKMSError
from daena_kms.sdk.aws.errors import mapped

from infra.local.aws import sts
from infra.local.aws.protocol import AwsError, Handler, Json, Params
from infra.local.aws.sim import AwsSimulator
from tests.unit.doctor.worlds import KEY, NEVER, Patient

#: Tried on a key,
ON_A_KEY = ("DescribeSecret", "ListSecretVersionIds", "UpdateSecretVersionStage")
#: and on a name that no key has.
ON_NONE = ("PutSecretValue", "TagResource", "UntagResource", "DeleteSecret", "RestoreSecret")


def test_a_permission_that_every_rotation_needs(aws: Patient) -> None:
    """Without it that one check is wrong, and says what to allow."""
    for action in ON_A_KEY:
        aws.sim.faults.deny(action)
        odd = aws.odd()
        name = f"permission secretsmanager:{action}"
        assert [n for n, check in odd.items() if check.status is Status.WRONG] == [name]
        assert odd[name].todo == f"Allow secretsmanager:{action} in the caller's role"
        aws.sim.faults.clear()


def test_a_permission_that_no_key_shows_to_be_wrong(aws: Patient) -> None:
    """Refused for a name that no key has, it is unknown; one for a command alone is a warning."""
    for action in ("GetSecretValue", *ON_NONE):
        aws.sim.faults.deny(action)
        odd = aws.odd()
        name = f"permission secretsmanager:{action}"
        assert odd.keys() == {*NEVER["aws"], name}
        warned = action == "GetSecretValue"
        assert odd[name].status is (Status.WARNING if warned else Status.UNKNOWN)
        words = "a role that only rotates" if warned else f"Look for secretsmanager:{action}"
        assert words in odd[name].todo
        aws.sim.faults.clear()


def test_the_list(aws: Patient) -> None:
    """Without ListSecrets the keys are not known, and all else is tried all the same."""
    aws.sim.faults.deny("ListSecrets")
    found = aws.checks()
    assert found["keys: list"].status is Status.WRONG
    assert "list_secrets" in found["keys: list"].found
    assert "keys" not in found
    assert found["permission secretsmanager:PutSecretValue"].status is Status.OK


def _name_each_key(sim: AwsSimulator) -> None:
    """Let a policy allow what names the one key, and refuse all other names."""

    def guarded(handler: Handler) -> Handler:
        def run(params: Params) -> Json:
            if params.required("SecretId") != KEY:
                raise AwsError("AccessDeniedException", "no policy allows it")
            return handler.run(params)

        return handler._replace(run=run)

    for name in (*ON_A_KEY, *ON_NONE, "GetSecretValue"):
        sim.secrets.operations[name] = guarded(sim.secrets.operations[name])


def test_a_policy_that_names_each_key(aws: Patient) -> None:
    """Where a made-up name is refused altogether, a refusal proves nothing and is not wrong."""
    _name_each_key(aws.sim)
    odd = aws.odd()
    assert {check.status for check in odd.values()} == {Status.UNKNOWN}
    assert odd.keys() == {*NEVER["aws"], *(f"permission secretsmanager:{name}" for name in ON_NONE)}
    assert odd["permission secretsmanager:DeleteSecret"].found.startswith("can't be tried")
    assert not aws.sim.calls.counts().keys() & {"DeleteSecret", "TagResource"}


def test_no_key_is_touched(aws: Patient) -> None:
    """No write but the move of a label to no version names a key, and no call reads a value."""
    aws.sim.calls.clear()
    aws.checks()
    for call in aws.sim.calls:
        if call.operation in {*ON_NONE, "UpdateSecretVersionStage", "GetSecretValue"}:
            assert call.outcome == "ResourceNotFoundException"
        if call.operation in ON_NONE:
            assert call.params["SecretId"] != KEY


def test_credentials_that_are_none(aws: Patient) -> None:
    """With credentials that AWS does not know nothing else is asked of the store."""
    aws.sim.sts.known = {"somebody else"}
    found = aws.checks()
    assert found["credentials"].status is Status.WRONG
    assert "InvalidClientTokenId" in found["credentials"].found
    assert not [name for name in found if name.startswith(("permission secrets", "KMS", "keys"))]


def test_no_region(aws: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    """A setting that is missing is named, and the log is looked at all the same."""
    monkeypatch.delenv("AWS_REGION")
    found = aws.checks()
    assert found["credentials"].todo == "Set AWS_REGION, or pass region"
    assert "settings: audit log" in found


@pytest.mark.parametrize(
    ("minutes", "status", "words"),
    [
        (4, Status.OK, "s ahead of the clock of AWS"),
        (6, Status.WRONG, "s ahead of the clock of AWS"),
        (-6, Status.WRONG, "s behind the clock of AWS"),
    ],
)
def test_the_clock(aws: Patient, minutes: int, status: Status, words: str) -> None:
    """Over five minutes beside the store's clock is wrong."""
    aws.shift = timedelta(minutes=minutes)
    clock = aws.checks()["clock"]
    assert clock.status is status
    assert words in clock.found
    assert bool(clock.todo) == (status is Status.WRONG)


def test_a_kms_key_that_does_not_rotate(aws: Patient) -> None:
    """Rotation that is off is wrong, and is mended by enable-key-rotation."""
    aws.sim.kms.keys[aws.kms_key].rotation_days = None
    odd = aws.odd()
    assert odd["KMS key rotation"].status is Status.WRONG
    assert "enable-key-rotation" in odd["KMS key rotation"].todo


def test_a_kms_key_of_imported_material(aws: Patient) -> None:
    """It can't rotate by itself, which is a warning."""
    aws.sim.kms.keys[aws.kms_key].imported = True
    assert aws.odd()["KMS key rotation"].status is Status.WARNING


STATES = [
    ("Disabled", Status.WRONG, "enable-key"),
    ("PendingDeletion", Status.WRONG, "cancel-key-deletion"),
    ("PendingReplicaDeletion", Status.WRONG, "cancel-key-deletion"),
    ("PendingImport", Status.WRONG, "import-key-material"),
    ("Unavailable", Status.WRONG, "connect-custom-key-store"),
    ("Creating", Status.UNKNOWN, "again in a minute"),
    ("Updating", Status.UNKNOWN, "again in a minute"),
]


def test_a_kms_key_out_of_use(aws: Patient) -> None:
    """Each state says what mends it; one that passes by itself is not wrong.

    https://docs.aws.amazon.com/kms/latest/developerguide/key-state.html
    """
    exam = exam_of(get_cloud_kms_adapter("aws"), aws.now)
    for state, status, words in STATES:
        described(aws, KeyState=state)
        found, _ = exam.encryption()
        assert (found.name, found.status, words in found.todo) == ("KMS key", status, True)


def test_a_kms_key_that_is_disabled_and_one_to_be_deleted(aws: Patient) -> None:
    """Their permissions are unknown, and the rotation of one that is to be deleted, too."""
    key = aws.sim.kms.keys[aws.kms_key]
    key.enabled = False
    names = ("permission kms:GenerateDataKey", "permission kms:Decrypt")
    assert {aws.odd()[name].status for name in names} == {Status.UNKNOWN}
    key.enabled, key.deletion = True, aws.sim.now() + timedelta(days=7)
    odd = aws.odd()
    assert odd["KMS key"].status is Status.WRONG
    assert "cancel-key-deletion" in odd["KMS key"].todo
    assert {odd[name].status for name in (*names, "KMS key rotation")} == {Status.UNKNOWN}


def test_a_kms_key_that_can_t_encrypt_secrets(aws: Patient) -> None:
    """A key for signing is enabled and wrong nevertheless."""
    described(aws, KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")
    assert aws.odd()["KMS key"].found.startswith("it is not a symmetric encryption key")


def described(aws: Patient, **metadata: str) -> None:
    """Let DescribeKey say this of the KMS key."""
    handler = aws.sim.kms.operations["DescribeKey"]

    def describe(params: Params) -> Json:
        found = handler.run(params)["KeyMetadata"]
        assert isinstance(found, dict)
        return {"KeyMetadata": found | metadata}

    aws.sim.kms.operations["DescribeKey"] = handler._replace(run=describe)


@pytest.mark.parametrize(
    ("code", "missing"),
    [
        *(("AccessDeniedException", True), ("AccessDenied", True)),
        *(("ThrottlingException", False), ("ExpiredTokenException", False)),
        *(("OptInRequired", False), ("InternalServiceError", False)),
        *(("LimitExceededException", False), ("DecryptionFailure", False), ("403", False)),
    ],
)
def test_only_a_policy_s_refusal_is_a_missing_permission(code: str, *, missing: bool) -> None:
    """Credentials that run out, throttling, a KMS key, a proxy: none says what a policy allows."""

    def refused() -> None:
        raise ClientError({"Error": {"Code": code, "Message": "no"}}, "DescribeSecret")

    with pytest.raises(DaenaKMSError) as caught:
        mapped(refused, "describe_secret", None)
    assert is_missing(caught.value) is missing


def test_what_is_refused_for_another_reason_is_unknown(aws: Patient) -> None:
    """Here because the credentials have run out meanwhile."""

    def refused(_params: Params) -> Json:
        raise AwsError("ExpiredTokenException", "not now")

    for service in (aws.sim.secrets, aws.sim.kms):
        for name, handler in service.operations.items():
            if name not in {"ListSecrets", "GenerateRandom"}:
                service.operations[name] = handler._replace(run=refused)
    found = aws.checks()
    asked = {n: c for n, c in found.items() if n.startswith(("permission", "KMS"))}
    assert {check.status for check in asked.values()} == {Status.UNKNOWN}


def test_a_kms_key_that_is_not_there(aws: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mistyped AWS_KMS_KEY_ID is told as such."""
    monkeypatch.setenv("AWS_KMS_KEY_ID", "alias/nobody")
    found = aws.checks()["KMS key"]
    assert found.status is Status.WRONG
    assert found.found == "the KMS key in AWS_KMS_KEY_ID does not exist"


@pytest.mark.parametrize(
    ("action", "name", "status"),
    [
        ("GenerateDataKey", "permission kms:GenerateDataKey", Status.WRONG),
        ("Decrypt", "permission kms:Decrypt", Status.UNKNOWN),
        ("GetKeyRotationStatus", "KMS key rotation", Status.UNKNOWN),
        ("DescribeKey", "KMS key", Status.UNKNOWN),
    ],
)
def test_a_permission_on_the_kms_key(aws: Patient, action: str, name: str, status: Status) -> None:
    """What a rotation needs is wrong without it; what only the doctor needs is unknown."""
    aws.sim.faults.deny(action)
    odd = aws.odd()
    assert odd[name].status is status
    assert f"kms:{action}" in odd[name].todo


def test_an_alias_that_can_t_be_resolved(aws: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rotation is asked by id alone, so without DescribeKey an alias leaves it unknown."""
    aws.sim.kms.aliases["alias/mine"] = aws.kms_key
    monkeypatch.setenv("AWS_KMS_KEY_ID", "alias/mine")
    assert aws.checks()["KMS key rotation"].status is Status.OK
    aws.sim.faults.deny("DescribeKey")
    odd = aws.odd()
    assert odd["KMS key rotation"].status is Status.UNKNOWN
    assert "kms:DescribeKey" in odd["KMS key rotation"].todo


def test_no_kms_key_of_one_s_own(aws: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS's own key rotates by itself, and values come from GenerateRandom."""
    monkeypatch.delenv("AWS_KMS_KEY_ID")
    found = aws.checks()
    assert found["KMS key"].status is Status.OK
    assert found["permission kms:GenerateRandom"].status is Status.OK
    aws.sim.faults.deny("GenerateRandom")
    assert aws.odd()["permission kms:GenerateRandom"].status is Status.WRONG


def test_a_lost_answer_proves_nothing(aws: Patient) -> None:
    """What a service could not answer is unknown, be it about a permission or the KMS key."""
    failing = ("Decrypt", "GetKeyRotationStatus", "GenerateDataKey")
    for name in failing:
        aws.sim.kms.operations[name] = Handler(_broken, "KeyId CiphertextBlob DryRun NumberOfBytes")
    aws.sim.secrets.operations["UntagResource"] = Handler(_broken, "SecretId TagKeys")
    odd = aws.odd()
    names = ("kms:GenerateDataKey", "kms:Decrypt", "secretsmanager:UntagResource")
    for name in (*(f"permission {name}" for name in names), "KMS key rotation"):
        assert odd[name].status is Status.UNKNOWN
        assert "LimitOfPatienceException" in odd[name].found


def _broken(_params: Params) -> Json:
    raise AwsError("LimitOfPatienceException", "nobody knows this one", 400)


def test_a_managed_kms_key_rotates_by_itself(aws: Patient) -> None:
    """AWS's own keys are not asked for their rotation."""
    described = aws.sim.kms.operations["DescribeKey"]

    def managed(params: Params) -> Json:
        answer = described.run(params)
        return {"KeyMetadata": answer["KeyMetadata"] | {"KeyManager": "AWS"}}

    aws.sim.kms.operations["DescribeKey"] = described._replace(run=managed)
    aws.sim.calls.clear()
    assert "AWS rotates by itself" in aws.checks()["KMS key rotation"].found
    assert "GetKeyRotationStatus" not in aws.sim.calls.operations()


def test_a_secret_in_the_way(aws: Patient) -> None:
    """A name that is taken is not written to; a call that a secret's state refuses was allowed."""

    def refused(_params: Params) -> Json:
        raise AwsError("InvalidRequestException", "it is marked for deletion")

    for name in ("GetSecretValue", "UpdateSecretVersionStage"):
        handler = aws.sim.secrets.operations[name]
        aws.sim.secrets.operations[name] = handler._replace(run=refused)
    aws.sim.secrets.operations["DescribeSecret"] = Handler(
        lambda asked: {"ARN": "x", "Name": asked.required("SecretId"), "CreatedDate": 1.0},
        "SecretId",
    )
    aws.sim.calls.clear()
    odd = aws.odd()
    assert odd.keys() == {*NEVER["aws"], *(f"permission secretsmanager:{name}" for name in ON_NONE)}
    assert odd["permission secretsmanager:DeleteSecret"].found.startswith("can't be tried")
    assert not aws.sim.calls.counts().keys() & set(ON_NONE)


def test_a_secret_of_a_stack(aws: Patient) -> None:
    """CloudFormation's own mark on a managed key is a warning; on other secrets it is nothing."""
    for number in range(5):
        aws.create(f"stack-key-{number}")
        secret = aws.sim.secrets.secret(f"stack-key-{number}")
        secret.tags["aws:cloudformation:stack-name"] = "theirs"
    odd = aws.odd()
    assert odd["infrastructure"].status is Status.WARNING
    named = "CloudFormation created stack-key-0, stack-key-1, stack-key-2 and 2 more"
    assert odd["infrastructure"].found.startswith(named)


def test_what_can_t_be_listed_is_told_once(aws: Patient) -> None:
    """Who made the keys is not asked then."""
    aws.sim.faults.deny("ListSecrets")
    wrong = {name for name, check in aws.odd().items() if check.status is Status.WRONG}
    assert wrong == {"keys: list"}


@pytest.mark.parametrize("minutes", [60, -60])
def test_a_refusal_for_the_clock_measures_it(
    aws: Patient, minutes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing else is asked of a store that refuses us, so the refusal itself is measured."""
    text = "Signature expired: c4naRy is now earlier than x"
    refusal = sts._error(AwsError("SignatureDoesNotMatch", text, 403))
    monkeypatch.setattr(aws.sim.sts, "perform", lambda *_given: refusal)
    aws.shift = timedelta(minutes=minutes)
    odd = aws.odd()
    side = "ahead of" if minutes > 0 else "behind"
    assert (odd["clock"].status, odd["clock"].todo) == (
        Status.WRONG,
        "Set this machine's clock by NTP",
    )
    assert f"s {side} the clock of the store" in odd["clock"].found
    assert odd["credentials"].status is Status.WRONG
    assert "this machine's clock is wrong" in odd["credentials"].found
    assert "permission secretsmanager:PutSecretValue" not in odd
