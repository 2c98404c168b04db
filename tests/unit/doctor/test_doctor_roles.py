"""The roles that this project deploys or recommends on AWS: nothing about them is called wrong.

The simulator evaluates their policies as AWS does, before it looks for a secret.
"""

import itertools

import pytest
from daena_kms.doctor import Check, Status

from infra.local.aws.sim import ACCESS_KEY
from tests.unit.doctor.roles import TAGGED, Statements, of_list, of_template, without
from tests.unit.doctor.worlds import Patient

SM = "permission secretsmanager:"
READ = {f"{SM}DescribeSecret", f"{SM}ListSecretVersionIds"}
PERSONAL = {f"{SM}{name}" for name in ("TagResource", "UntagResource", "DeleteSecret")}
MOVE, PUT, GET = f"{SM}UpdateSecretVersionStage", f"{SM}PutSecretValue", f"{SM}GetSecretValue"
#: What a policy that asks for the tag leaves open: a name that no key has carries none.
LEFT_OPEN = {PUT, f"{SM}RestoreSecret", *PERSONAL}
ROTATE, CHANGES, POLICY = "RotatePolicy", "HttpChangesPolicy", "HttpPolicyPolicy"


@pytest.fixture
def kms_key(aws: Patient) -> str:
    """The ARN of the KMS key."""
    return str(aws.sim.kms.keys[aws.kms_key].arn)


def seen_by(aws: Patient, role: Statements) -> dict[str, Check]:
    """Let the doctor look with the credentials of a role."""
    aws.sim.policies.attach(ACCESS_KEY, role)
    return aws.checks()


def of(found: dict[str, Check], status: Status) -> set[str]:
    """Return the names of the permissions with that status."""
    return {n for n, c in found.items() if c.status is status and n.startswith("permission")}


@pytest.mark.parametrize("prefix", ["", "app-"])
def test_the_roles_of_the_template(aws: Patient, kms_key: str, prefix: str) -> None:
    """They pass: what their conditions hide is unknown, and says how to find out."""
    for policies in ((ROTATE,), (ROTATE, CHANGES), (ROTATE, POLICY)):
        found = seen_by(aws, of_template(kms_key, *policies, prefix=prefix))
        reading = {GET} if CHANGES in policies else set()
        assert [n for n, check in found.items() if check.status is Status.WRONG] == []
        assert of(found, Status.OK) == {*READ, MOVE, "permission kms:GenerateDataKey", *reading}
        assert of(found, Status.WARNING) == {GET} - reading
        assert of(found, Status.UNKNOWN) >= LEFT_OPEN
        assert "docs/DOCTOR.md" in found[PUT].todo


def test_the_roles_of_the_guide(aws: Patient, kms_key: str) -> None:
    """So do a rotator and an operator by the list, whichever limits the guide names they have."""
    for named, tagged in itertools.product((False, True), repeat=2):
        role = of_list(kms_key, "scheduled", "operator", named=named, tagged=tagged)
        found = seen_by(aws, role)
        assert [n for n, check in found.items() if check.status is Status.WRONG] == []
        assert of(found, Status.WARNING) == set()
        assert of(found, Status.OK) >= {*READ, MOVE, GET}
        assert of(found, Status.UNKNOWN if tagged else Status.OK) >= LEFT_OPEN


def test_what_a_role_lacks_for_its_keys_is_wrong(aws: Patient, kms_key: str) -> None:
    """A refusal for a key that is there, and carries the tag, is evidence and names the key."""
    for name in (*READ, MOVE):
        role = without(of_template(kms_key, ROTATE), name.removeprefix("permission "))
        check = seen_by(aws, role)[name]
        assert check.status is Status.WRONG
        assert check.found.startswith("not allowed for app-key; ")


def test_a_tag_that_has_gone_proves_nothing(aws: Patient, kms_key: str) -> None:
    """A listing may be minutes old: without the tag, the policy is right to refuse."""
    aws.sim.freeze_listing()
    aws.sim.secrets.secret("app-key").tags.clear()
    found = seen_by(aws, of_template(kms_key, ROTATE))
    assert found[MOVE].status is Status.UNKNOWN
    assert of(found, Status.WRONG) == set()


def test_a_key_that_has_gone_proves_nothing(aws: Patient, kms_key: str) -> None:
    """Nor does a key that was erased since it was listed."""
    aws.sim.freeze_listing()
    del aws.sim.secrets.store.secrets["app-key"]
    found = seen_by(aws, of_template(kms_key, ROTATE))
    assert of(found, Status.WRONG) == set()
    assert found[f"{SM}DescribeSecret"].found == "allowed for a name that no key has"


def test_a_role_that_may_put_nothing_is_never_called_ok(aws: Patient, kms_key: str) -> None:
    """What is refused for a name that no key has is unknown, whatever the reason."""
    for role in (
        without(of_template(kms_key, ROTATE), "secretsmanager:PutSecretValue"),
        without(of_list(kms_key, "scheduled"), "secretsmanager:PutSecretValue"),
    ):
        assert seen_by(aws, role)[PUT].status is Status.UNKNOWN


def test_nothing_is_written_for_any_role(aws: Patient, kms_key: str) -> None:
    """No write takes effect, and none but one that can't names a key."""
    before = aws.sim.secrets.secret("app-key").as_json("stages")
    for tagged in (False, True):
        aws.sim.calls.clear()
        seen_by(aws, of_list(kms_key, "scheduled", "operator", tagged=tagged))
        writes = [c for c in aws.sim.calls if c.operation.startswith(("Put", "Update", "Tag"))]
        writes += [c for c in aws.sim.calls if c.operation.startswith(("Untag", "Del", "Res", "C"))]
        changed = {c.operation for c in writes if c.service == "secretsmanager"}
        assert changed <= {name.removeprefix(SM) for name in (*LEFT_OPEN, MOVE)}
        assert all(c.outcome != "ok" for c in writes if c.service == "secretsmanager")
        named = {c.operation for c in writes if c.params.get("SecretId") == "app-key"}
        assert named == {"UpdateSecretVersionStage"}
    assert aws.sim.secrets.secret("app-key").as_json("stages") == before


def test_the_guide_has_the_condition() -> None:
    """What is tried here as its recommendation is in it."""
    from tests.unit.doctor.roles import ROOT

    (key,) = TAGGED["StringEquals"]
    assert f"A condition on `{key}`" in (ROOT / "docs" / "AWS.md").read_text()
