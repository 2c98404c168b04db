"""An emergency on AWS where the operator lets us deny reading the old version."""

import json
from collections.abc import Iterator

import pytest
from botocore.exceptions import ClientError
from daena_kms.errors import AccessDenied, StoreUnavailable
from daena_kms.rules.model import VersionState

from infra.local.aws.sim import AwsSimulator
from tests.faults import test_matrix as matrix
from tests.faults.at_once import at_once
from tests.faults.operations_emergency import Compromised, lived
from tests.faults.permissions import S3_ACTIONS
from tests.worlds.aws import AwsWorld
from tests.worlds.base import DAY
from tests.worlds.seam import Effect

KEY = "app-key"
WHY = "seen in a public log"
THEIRS = {
    "Sid": "Theirs",
    "Effect": "Deny",
    "Principal": "*",
    "Action": "secretsmanager:GetSecretValue",
    "Resource": "*",
    "Condition": {"StringEquals": {"secretsmanager:VersionId": "nobody-s-version-id"}},
}


@pytest.fixture
def blocking(monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsWorld]:
    """Give an AWS where the operator said so."""
    monkeypatch.setenv("DAENA_KMS_AWS_BLOCK_COMPROMISED", "true")
    with AwsSimulator() as sim:
        yield AwsWorld(sim)


def emergency(world: AwsWorld) -> str:
    """Rotate away from a version that leaked, and return its id."""
    old = world.current(KEY)
    summary = world.run(DAY, keys=[KEY], compromised=True, reason=WHY)
    assert summary.revoked_versions == {KEY: [old]}, summary.errors
    return old


def policy(world: AwsWorld) -> dict[str, object]:
    """Return the secret's resource policy."""
    found = world.secrets.get_resource_policy(SecretId=KEY).get("ResourcePolicy", "{}")
    parsed: dict[str, object] = json.loads(found)
    return parsed


@pytest.mark.parametrize("of_the_version", [False, True])
def test_nobody_reads_it_by_id_or_by_a_label_of_ours(
    blocking: AwsWorld, *, of_the_version: bool
) -> None:
    """In both readings that AWS's documents allow; the current version and those before it read."""
    blocking.operations().create(KEY)
    first = blocking.current(KEY)
    blocking.run(keys=[KEY])
    blocking.secrets.put_resource_policy(
        SecretId=KEY, ResourcePolicy=json.dumps({"Version": "2012-10-17", "Statement": [THEIRS]})
    )
    old = emergency(blocking)
    blocking.sim.secrets.store.stages_of_the_version = of_the_version
    labels = blocking.sim.secrets.secret(KEY).stages()[old]
    assert [label.startswith("daena-retired-") for label in labels] == [True]
    for which in ({"VersionId": old}, {"VersionStage": labels[0]}):
        with pytest.raises(ClientError, match="AccessDenied"):
            blocking.secrets.get_secret_value(SecretId=KEY, **which)
    with pytest.raises(ClientError, match="ResourceNotFound"):
        blocking.secrets.get_secret_value(SecretId=KEY, VersionStage="AWSPREVIOUS")
    now = blocking.secrets.get_secret_value(SecretId=KEY)
    assert now["VersionId"] == blocking.current(KEY)
    for version in (blocking.current(KEY), first):
        assert blocking.secrets.get_secret_value(SecretId=KEY, VersionId=version)["SecretString"]
    statements = policy(blocking)["Statement"]
    assert isinstance(statements, list)
    assert statements[0] == THEIRS


def test_who_lets_it_be_read_again_reads_it(blocking: AwsWorld) -> None:
    """As the answer says: without our statements it reads by its id, and no run undoes that."""
    blocking.operations().create(KEY)
    value = blocking.adapter.get_key(KEY)
    old = emergency(blocking)
    with pytest.raises(AccessDenied):
        blocking.operations(DAY).rollback(KEY, old)
    blocking.secrets.delete_resource_policy(SecretId=KEY)
    assert blocking.run(2 * DAY).actions == []
    assert blocking.adapter.get_key(KEY, old) == value
    blocking.operations(2 * DAY).rollback(KEY, old)
    assert blocking.adapter.get_key(KEY) == value


@pytest.mark.parametrize("denied", ["GetResourcePolicy", "PutResourcePolicy"])
def test_what_can_t_be_blocked_is_owed(blocking: AwsWorld, denied: str) -> None:
    """No name leads to it any more, it is told as a failure, and any run goes on until it is done.

    It does not count as retired in between, and the new version is current at once.
    """
    blocking.operations().create(KEY)
    old = blocking.current(KEY)
    blocking.sim.faults.deny(denied)
    for summary in (
        blocking.run(DAY, keys=[KEY], compromised=True, reason=WHY),
        blocking.run(2 * DAY),
        blocking.run(3 * DAY),
    ):
        assert (summary.failed, summary.revoked) == ([KEY], [])
        assert isinstance(summary.errors[KEY], AccessDenied)
        assert [v.state for v in lived(blocking)] == [VersionState.PREVIOUS, VersionState.CURRENT]
        assert "AWSPREVIOUS" not in blocking.sim.secrets.secret(KEY).labels
    blocking.sim.faults.allow(denied)
    summary = blocking.run(4 * DAY)
    assert (summary.revoked_versions, summary.failed) == ({KEY: [old]}, [])
    with pytest.raises(ClientError, match="AccessDenied"):
        blocking.secrets.get_secret_value(SecretId=KEY, VersionId=old)
    assert blocking.run(5 * DAY).actions == []


def test_it_needs_two_actions_more_and_no_other(blocking: AwsWorld) -> None:
    """Without the setting an emergency takes only what a rotation and a retirement take."""
    actions = []
    for block in (True, False):
        world = blocking
        if not block:
            world.adapter.store._blocks = None  # type: ignore[attr-defined] # as set up without it
        key_id = f"key-{block}".lower()
        world.operations().create(key_id)
        world.sim.calls.clear()
        summary = world.run(DAY, keys=[key_id], compromised=True, reason=WHY)
        assert summary.revoked == [key_id]
        calls = {(c.service, c.operation) for c in world.sim.calls}
        actions.append({S3_ACTIONS.get(name, f"{service}:{name}") for service, name in calls})
    with_it, without = actions
    two = {"secretsmanager:GetResourcePolicy", "secretsmanager:PutResourcePolicy"}
    assert with_it - without == two
    assert without == {
        "kms:GenerateDataKey",
        "s3:GetObject",
        "s3:ListBucket",
        "s3:PutObject",
        "secretsmanager:DescribeSecret",
        "secretsmanager:PutSecretValue",
        "secretsmanager:UpdateSecretVersionStage",
    }


def test_the_answer_says_what_still_reads_it(blocking: AwsWorld) -> None:
    """Blocked or not, in the words for that."""
    blocking.operations().create(KEY)
    blocked = blocking.adapter.store.revoking
    emergency(blocking)
    assert "resource policy denies" in blocked.means
    assert blocked != blocking.adapter.store.can.revoking
    assert "by its version id" in str(blocking.adapter.store.can.revoking.readable)


def test_many_threads_block_what_each_retires(blocking: AwsWorld) -> None:
    """Of blocks at the same moment in one process none undoes another."""
    blocking.operations().create(KEY)
    store, key = blocking.adapter.store, blocking.look(KEY)
    versions = [f"{number:032}" for number in range(20)]
    blocks = store._blocks  # type: ignore[attr-defined] # what every retirement calls
    answers = at_once([lambda v=version: blocks.block(key.id, v) for version in versions])  # type: ignore[misc] # mypy infers no default
    assert answers == [None] * 20
    text = json.dumps(policy(blocking))
    assert all(version in text for version in versions)


def test_a_policy_that_does_not_stay_is_told(
    blocking: AwsWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody who puts the old policy back each time is noticed, and the retirement is owed."""
    blocking.operations().create(KEY)
    aws = blocking.adapter.store.aws  # type: ignore[attr-defined] # of this store
    call = aws.call

    def undone(service: str, operation: str, key_id: str | None, **arguments: object) -> object:
        answer: object = call(service, operation, key_id, **arguments)
        if operation == "put_resource_policy":
            blocking.secrets.delete_resource_policy(SecretId=KEY)
        return answer

    with monkeypatch.context() as patch:
        patch.setattr(aws, "call", undone)
        summary = blocking.run(DAY, keys=[KEY], compromised=True, reason=WHY)
        assert isinstance(summary.errors[KEY], StoreUnavailable)
        assert "does not deny the version after 10 attempts to write it" in str(summary.errors[KEY])
    assert blocking.run(DAY).revoked == [KEY]


@pytest.mark.parametrize("effect", matrix.EFFECTS)
def test_it_comes_right(blocking: AwsWorld, effect: Effect) -> None:
    """After a fault at any call, those on the policy included, as in the matrix of all faults."""
    matrix.test_it_comes_right(blocking, Compromised, effect)
