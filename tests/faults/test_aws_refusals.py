"""On AWS: a refusal says only that a call was refused. What is so already is seen by a look.

One code of Secrets Manager has many reasons: InvalidParameterException also stands for a change of
a replica, and ResourceNotFoundException also for a secret that was created a moment ago.
"""

from collections.abc import Callable, Mapping

import pytest
from daena_kms.errors import (
    AccessDenied,
    ConfigError,
    DaenaKMSError,
    KeyExists,
    KeyNotFound,
    NotManaged,
    StoreUnavailable,
)
from daena_kms.rules.plan import Outcome
from daena_kms.sdk.aws.errors import RefusedError

from infra.local.http_server import Response
from tests.faults.proxies import Proxy, refusal, with_member
from tests.worlds.aws import AwsWorld
from tests.worlds.base import DAY, value

KEY, NEW = "app-key", "new-key"
REPLICA = (
    "Operation not permitted on a replica secret. Call must be made in primary secret's region."
)
PRIMARY = {
    "PrimarySecretARN": "arn:aws:secretsmanager:eu-central-1:210987654321:secret:app-key-a1b2c3",
    "ReplicationStatus": "InSync",
}


@pytest.fixture
def proxy(aws: AwsWorld) -> Proxy:
    """Give a proxy that passes everything on."""
    found = Proxy(aws.sim)
    aws.adapter = aws.adapter_of(*found.clients())
    return found


@pytest.mark.parametrize(
    ("member", "shown", "words"),
    [
        ("CrossAccountPrimary", PRIMARY, "its primary in account 210987654321"),
        ("CrossAccountPrimary", {"ReplicationStatus": "Pending"}, "its primary in another account"),
        ("PrimaryRegion", "us-east-1", "its primary in us-east-1"),
        ("Type", "ACME", "the partner ACME"),
        ("OwningService", "rds", "the AWS service rds"),
        ("RotationEnabled", True, "Secrets Manager's own rotation"),
    ],
    ids=["another account's", "not yet replicated", "another region's", "partner", "rds", "own"],
)
def test_a_secret_that_others_own(
    aws: AwsWorld, proxy: Proxy, member: str, shown: object, words: str
) -> None:
    """No run, no person and no adoption changes it, though it carries our tags.

    docs.aws.amazon.com/secretsmanager/latest/userguide/cross-account-replicate-status.html: a
    replica of another account is in its primary's region, and shows only CrossAccountPrimary, in
    DescribeSecret alone.
    """
    aws.create(KEY)
    before = aws.state()
    proxy.answer("DescribeSecret", with_member(member, shown), times=20)
    changes: list[Callable[[], object]] = [
        lambda: aws.adapter.rotate_key(KEY),
        lambda: aws.adapter.delete_key(KEY),
        lambda: aws.operations().rollback(KEY, aws.current(KEY)),
        lambda: aws.operations().adopt(KEY, spec="token"),
    ]
    for change in changes:
        with pytest.raises(NotManaged, match=words):
            change()
    summary = aws.run(91 * DAY)
    assert (summary.rotated, summary.failed) == ([], [KEY])
    assert aws.state() == before


def test_the_primary_of_a_replica_is_ours(aws: AwsWorld, proxy: Proxy) -> None:
    """PrimaryRegion also stands in the primary itself, where it is the region that it is in."""
    aws.create(KEY)
    proxy.answer("DescribeSecret", with_member("PrimaryRegion", "eu-central-1"), times=9)
    assert aws.run(91 * DAY).rotated == [KEY]


def takes_off(asked: Mapping[str, object]) -> bool:
    """Whether a request takes a label off a version, and puts it on none."""
    return "MoveToVersionId" not in asked


@pytest.mark.parametrize("message", [REPLICA, "Something is not right with this parameter."])
def test_a_refused_retirement_is_not_done(aws: AwsWorld, proxy: Proxy, message: str) -> None:
    """A label that can't be taken off is not one that was taken off already."""
    aws.operations().create(KEY, spec="token")
    old = aws.current(KEY)
    aws.run(91 * DAY)
    no = refusal("InvalidParameterException", message)
    proxy.answer("UpdateSecretVersionStage", no, first=False, times=9, when=takes_off)
    summary = aws.run(99 * DAY)
    assert (summary.retired, summary.failed) == ([], [KEY])
    assert old in aws.readable(KEY)


def test_a_label_that_somebody_else_took_off(aws: AwsWorld, proxy: Proxy) -> None:
    """The refusal and a look together say that it is gone."""
    aws.operations().create(KEY, spec="token")
    aws.run(91 * DAY)
    no = refusal(
        "InvalidParameterException", "RemoveFromVersionId must be the version that has it."
    )
    proxy.answer("UpdateSecretVersionStage", no, times=9, when=takes_off)
    assert aws.run(99 * DAY).retired == [KEY]
    assert proxy.answered


@pytest.mark.parametrize(
    "answered",
    [
        refusal("ResourceNotFoundException", "Secrets Manager can't find the specified secret."),
        Response(200, b"<html></html>"),
        refusal("InternalServiceError", "An error occurred on the server side.", 500),
        refusal("AccessDeniedException", "User is not authorized to perform this."),
        refusal("InvalidRequestException", "You can't perform this operation on the secret."),
    ],
    ids=["not found yet", "a page", "an error", "denied", "refused"],
)
def test_a_secret_that_is_not_found_yet(aws: AwsWorld, proxy: Proxy, answered: Response) -> None:
    """What follows a creation can't undo it: the caller gets the value, and a rotation pins it.

    hashicorp/terraform-provider-aws#18406: a read right after a creation may not find the secret.
    A role may be without the permission, or have it only where AWS already shows the tag.
    """
    proxy.answer("UpdateSecretVersionStage", answered, first=False)
    given = value()
    assert aws.adapter.create_key(KEY, given) == given
    assert aws.adapter.get_key(KEY) == given
    proxy.answer("UpdateSecretVersionStage", answered, first=False)
    aws.operations().create(NEW)
    [row] = [row for record in aws.records() for row in record.get("results", ())]
    assert row["result"] == Outcome.DONE
    old = aws.current(NEW)
    aws.create("another-key")
    assert aws.look(NEW).enrolled
    summary = aws.run(91 * DAY, keys=[KEY, NEW])
    assert sorted(summary.rotated) == [KEY, NEW]
    labels = aws.sim.secrets.secret(NEW).stages()[old]
    assert any(label.startswith("daena-keep-") for label in labels)
    assert old in aws.readable(NEW)


def test_creating_what_is_deleted(aws: AwsWorld, proxy: Proxy) -> None:
    """Only a look that shows it deleted says so; the code alone stands for more."""
    aws.create(KEY)
    aws.adapter.delete_key(KEY)
    with pytest.raises(KeyExists, match="deleted but recoverable"):
        aws.adapter.create_key(KEY)
    proxy.answer("CreateSecret", refusal("InvalidRequestException", "Something else."), first=False)
    with pytest.raises(RefusedError, match="InvalidRequestException"):
        aws.adapter.create_key(NEW)


def test_creating_one_secret_too_many(aws: AwsWorld, proxy: Proxy) -> None:
    """That limit is the account's, and no label of a secret is in the way."""
    proxy.answer("CreateSecret", refusal("LimitExceededException", "Too many."), first=False)
    with pytest.raises(StoreUnavailable, match=r"as many secrets as.*allows in a region"):
        aws.adapter.create_key(NEW)
    assert proxy.answered == ["CreateSecret"]


@pytest.mark.parametrize("code", ["AccessDeniedException", "ResourceNotFoundException"])
def test_a_refusal_after_which_nothing_can_be_seen(aws: AwsWorld, proxy: Proxy, code: str) -> None:
    """It may be that of the SDK's own repetition: unknown, and later done; never failed."""
    aws.operations().create(KEY)

    def blind(_theirs: Response) -> Response:
        proxy.answer("DescribeSecret", refusal(code, "No."), first=False)
        return refusal("InvalidRequestException", "It is scheduled for deletion.")

    proxy.answer("DeleteSecret", blind)
    with pytest.raises(StoreUnavailable, match="can't be seen"):
        aws.operations().delete(KEY)
    aws.run()
    rows = [row for record in aws.records() for row in record.get("results", ())]
    found = sorted(row["result"] for row in rows if row["kind"] == "delete")
    assert found == [Outcome.DONE, Outcome.UNKNOWN]


def test_a_deletion_that_is_made_already(aws: AwsWorld, proxy: Proxy) -> None:
    """The refusal and a look together say that it is made; the refusal alone does not.

    The SDK repeats a call whose answer was lost, and gets this refusal.
    """
    aws.create(KEY)
    no = refusal("InvalidRequestException", "It was marked for deletion.")
    proxy.answer("DeleteSecret", no, first=False)
    with pytest.raises(RefusedError):
        aws.operations().delete(KEY)
    proxy.answer("DeleteSecret", no)
    aws.operations().delete(KEY)
    assert aws.look(KEY).deleted is not None
    proxy.answer("RestoreSecret", no, first=False)
    with pytest.raises(RefusedError):
        aws.operations().restore(KEY)
    proxy.answer("RestoreSecret", no)
    aws.operations().restore(KEY)
    assert aws.look(KEY).deleted is None


def test_reading_with_a_parameter_that_is_refused(aws: AwsWorld, proxy: Proxy) -> None:
    """Not every refusal of a read says that there is nothing."""
    aws.create(KEY)
    proxy.answer("GetSecretValue", refusal("InvalidParameterException", "Something else."))
    with pytest.raises(RefusedError):
        aws.adapter.get_key(KEY)
    proxy.answer("GetSecretValue", refusal("InvalidRequestException", "It is deleted."))
    with pytest.raises(KeyNotFound, match="it is deleted, or has no such version"):
        aws.adapter.get_key(KEY)


# What a KMS key that can't be used does to the secrets under it.


def broken(aws: AwsWorld, state: str) -> None:
    """Make the KMS key of the secrets unusable."""
    key = aws.sim.kms.keys[aws.kms_key]
    key.enabled = False
    if state == "PendingDeletion":
        key.deletion = aws.began + 7 * DAY


CALLS: dict[str, Callable[[AwsWorld], object]] = {
    "rotate": lambda w: w.adapter.rotate_key(KEY),
    "rotate a password": lambda w: w.adapter.rotate_key("a-password", value()),
    "create": lambda w: w.adapter.create_key(NEW, value()),
    "read": lambda w: w.adapter.get_key(KEY),
}
STATES = {
    "Disabled": ("is disabled", "aws kms enable-key --key-id"),
    "PendingDeletion": ("is pending deletion, on 20", "aws kms cancel-key-deletion --key-id"),
}


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("call", CALLS)
def test_a_kms_key_that_can_not_be_used(aws: AwsWorld, proxy: Proxy, call: str, state: str) -> None:
    """The error names the key and its state, and what mends that."""
    aws.create(KEY, "a-password")
    broken(aws, state)
    with pytest.raises((AccessDenied, ConfigError)) as caught:
        CALLS[call](aws)
    words, todo = STATES[state]
    assert f"KMS key {aws.kms_key} {words}" in str(caught.value)
    assert f"(state {state})" in str(caught.value)
    assert f"{todo} {aws.kms_key}" in str(caught.value)
    assert proxy.answered == []


@pytest.mark.parametrize("call", CALLS)
def test_without_the_permission_to_look(aws: AwsWorld, proxy: Proxy, call: str) -> None:
    """The key is named, and how to look; nothing else fails, and it is asked for once."""
    aws.create(KEY, "a-password")
    broken(aws, "Disabled")
    aws.sim.faults.deny("DescribeKey")
    for _ in range(3):
        with pytest.raises((AccessDenied, ConfigError)) as caught:
            CALLS[call](aws)
        assert f"aws kms describe-key --key-id {aws.kms_key} shows its state" in str(caught.value)
    assert aws.sim.calls.counts()["DescribeKey"] == 1
    assert proxy.answered == []


def test_a_run_asks_for_the_state_once(aws: AwsWorld, proxy: Proxy) -> None:
    """However many keys fail, and each says why."""
    keys = [f"password-{number}" for number in range(5)]
    for key_id in keys:
        aws.adapter.create_key(key_id, spec="password")
    broken(aws, "Disabled")
    aws.sim.calls.clear()
    summary = aws.run(91 * DAY, workers=4)
    assert sorted(summary.failed) == keys
    counts = aws.sim.calls.counts()
    assert counts["DescribeKey"] == 1
    assert counts["DescribeSecret"] == len(keys)
    told = {r["message"] for record in aws.records() for r in record.get("results", ())}
    assert all(f"KMS key {aws.kms_key} is disabled" in message for message in told)
    assert proxy.answered == []


def test_no_access_to_kms(aws: AwsWorld, proxy: Proxy) -> None:
    """Secrets Manager says that as a missing permission, of which only the text tells.

    aws-samples/aws-secrets-manager-rotation-lambdas#53.
    """
    aws.create(KEY)
    proxy.answer("GetSecretValue", refusal("AccessDeniedException", "Access to KMS is not allowed"))
    with pytest.raises(AccessDenied, match="may not use its KMS key for this caller") as caught:
        aws.adapter.get_key(KEY)
    assert f"KMS key {aws.kms_key} is enabled" in str(caught.value)
    assert "Allow kms:GenerateDataKey and kms:Decrypt" in str(caught.value)


def test_an_error_of_the_service_names_the_key_and_asks_nothing(
    aws: AwsWorld, proxy: Proxy
) -> None:
    """Its reason may be the key; a service that fails gets no further calls."""
    aws.create(KEY)
    aws.look(KEY)
    aws.sim.calls.clear()
    proxy.answer("GetSecretValue", refusal("InternalServiceError", "", 500), first=False)
    with pytest.raises(DaenaKMSError, match=f"describe-key --key-id {aws.kms_key}"):
        aws.adapter.get_key(KEY)
    assert aws.sim.calls.operations() == []
