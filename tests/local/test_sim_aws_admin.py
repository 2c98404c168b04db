"""Secrets Manager's rules for listing, tags, deletion, rotation by others, and policies."""

import json
from collections.abc import Callable
from datetime import timedelta

import pytest
from botocore import xform_name

from infra.local.aws.secrets_state import APART
from infra.local.aws.sim import AwsSimulator, Clients
from tests.local.conftest import START, refused, value

DAY = 24 * 3600

type Create = Callable[[str], str]
type Put = Callable[..., str]


def listed(aws: Clients, **params: object) -> list[str]:
    """The names on all pages of a listing."""
    pages = aws.secrets.get_paginator("list_secrets").paginate(**params)  # type: ignore[arg-type]  # one helper for any params
    return [entry["Name"] for page in pages for entry in page["SecretList"]]


def test_a_description_shows_only_versions_with_a_label(
    sim: AwsSimulator, aws: Clients, create: Create, put: Put
) -> None:
    """DescribeSecret has the tags, dates and labelled versions, and no rotation flag at first."""
    first = create("key")
    sim.shift_clock(seconds=60)
    unlabelled = put("key", "AWSPENDING")
    pending = put("key", "AWSPENDING")
    shown = aws.secrets.describe_secret(SecretId="key")
    assert shown["VersionIdsToStages"] == {first: ["AWSCURRENT"], pending: ["AWSPENDING"]}
    assert shown["CreatedDate"] == START - APART
    assert shown["LastChangedDate"] == START + timedelta(seconds=60)
    assert shown["ARN"].startswith("arn:aws:secretsmanager:eu-central-1:123456789012:secret:key-")
    absent = {"RotationEnabled", "DeletedDate", "OwningService", "KmsKeyId", "Type", "Tags"}
    assert not (absent | {"PrimaryRegion", "ReplicationStatus"}) & shown.keys()
    versions = aws.secrets.list_secret_version_ids(SecretId="key")["Versions"]
    assert [v["VersionId"] for v in versions] == [first, pending]
    page = aws.secrets.list_secret_version_ids(SecretId="key", IncludeDeprecated=True, MaxResults=2)
    assert [v["CreatedDate"] for v in page["Versions"]] == [START, START + timedelta(seconds=60)]
    assert [v["VersionId"] for v in page["Versions"]] == [first, unlabelled]
    assert "VersionStages" not in page["Versions"][1]
    rest = aws.secrets.list_secret_version_ids(
        SecretId="key", IncludeDeprecated=True, NextToken=page["NextToken"]
    )
    assert [v["VersionId"] for v in rest["Versions"]] == [pending]
    assert "NextToken" not in rest


def test_a_listing_has_pages_of_at_most_100(sim: AwsSimulator, aws: Clients) -> None:
    """Every secret is on one page, in order of creation; a wrong token or size is refused."""
    for n in range(201):
        sim.secrets.run("CreateSecret", {"Name": f"key-{n}", "ClientRequestToken": "t" * 32})
    assert listed(aws) == [f"key-{n}" for n in range(201)]
    assert sim.calls.counts()["ListSecrets"] == 3
    assert len(listed(aws, PaginationConfig={"PageSize": 7})) == 201
    with refused("ValidationException"):
        aws.secrets.list_secrets(MaxResults=101)
    with refused("InvalidNextTokenException"):
        aws.secrets.list_secrets(NextToken="elsewhere")


def test_a_secret_deleted_between_pages_shifts_no_other(sim: AwsSimulator, aws: Clients) -> None:
    """A page goes on where the one before ended."""
    for n in range(5):
        sim.secrets.run("CreateSecret", {"Name": f"key-{n}", "ClientRequestToken": "t" * 32})
    page = aws.secrets.list_secrets(MaxResults=2)
    aws.secrets.delete_secret(SecretId="key-0", ForceDeleteWithoutRecovery=True)
    rest = aws.secrets.list_secrets(NextToken=page["NextToken"])
    assert [entry["Name"] for entry in rest["SecretList"]] == ["key-2", "key-3", "key-4"]


def test_filters_match_prefixes_and_all_must_match(aws: Clients) -> None:
    """Filters are prefix matches; their values are alternatives; a ``!`` negates one."""
    create = aws.secrets.create_secret
    create(Name="app-one", Tags=[{"Key": "daena.managed", "Value": "true"}])
    create(Name="app-two", Tags=[{"Key": "daena.managed", "Value": "false"}])
    create(Name="web", Description="A Shop", Tags=[{"Key": "team", "Value": "true"}])
    managed = {"Key": "tag-key", "Values": ["daena.man"]}
    assert listed(aws, Filters=[managed]) == ["app-one", "app-two"]
    assert listed(aws, Filters=[managed, {"Key": "tag-value", "Values": ["true"]}]) == ["app-one"]
    assert listed(aws, Filters=[{"Key": "name", "Values": ["web", "app-t"]}]) == ["app-two", "web"]
    assert listed(aws, Filters=[{"Key": "name", "Values": ["!app"]}]) == ["web"]
    assert listed(aws, Filters=[{"Key": "name", "Values": ["pp", "WEB"]}]) == []
    assert listed(aws, Filters=[{"Key": "description", "Values": ["a sh"]}]) == ["web"]
    with refused("InvalidParameterException", "not modelled"):
        listed(aws, Filters=[{"Key": "all", "Values": ["web"]}])


def test_a_frozen_listing_is_stale_while_all_else_is_live(
    sim: AwsSimulator, aws: Clients, create: Create, put: Put
) -> None:
    """ListSecrets answers from the snapshot, with its tags and labels, until it is unfrozen."""
    first = create("old")
    sim.freeze_listing()
    second = put("old", "AWSCURRENT")
    aws.secrets.tag_resource(SecretId="old", Tags=[{"Key": "daena.hold", "Value": "true"}])
    create("new")
    (entry,) = aws.secrets.list_secrets()["SecretList"]
    assert (entry["Name"], "Tags" in entry) == ("old", False)
    assert entry["SecretVersionsToStages"] == {first: ["AWSCURRENT"]}
    assert second in aws.secrets.describe_secret(SecretId="old")["VersionIdsToStages"]
    sim.unfreeze_listing()
    assert listed(aws) == ["old", "new"]
    (entry, _) = aws.secrets.list_secrets()["SecretList"]
    assert second in entry["SecretVersionsToStages"]
    assert entry["Tags"] == [{"Key": "daena.hold", "Value": "true"}]


def test_a_secret_has_at_most_50_tags(aws: Clients, create: Create) -> None:
    """Tags add up and overwrite by key; a request past the limit changes none."""
    create("key")
    tag, untag = aws.secrets.tag_resource, aws.secrets.untag_resource
    tag(SecretId="key", Tags=[{"Key": f"k{n}", "Value": "v"} for n in range(50)])
    with refused("InvalidParameterException"):
        tag(SecretId="key", Tags=[{"Key": "k0", "Value": "w"}, {"Key": "k50", "Value": "v"}])
    tag(SecretId="key", Tags=[{"Key": "k1", "Value": "w"}])
    untag(SecretId="key", TagKeys=["k2", "absent"])
    shown = {t["Key"]: t["Value"] for t in aws.secrets.describe_secret(SecretId="key")["Tags"]}
    assert len(shown) == 49
    assert (shown["k0"], shown["k1"]) == ("v", "w")
    with refused("InvalidParameterException"):
        tag(SecretId="key", Tags=[{"Key": "aws:mine", "Value": "v"}])
    with refused("InvalidParameterException"):
        tag(SecretId="key", Tags=[{"Key": "a", "Value": "v"}, {"Key": "a", "Value": "w"}])


def test_a_deleted_secret_can_only_be_described_listed_and_restored(
    sim: AwsSimulator, aws: Clients, create: Create
) -> None:
    """Every other operation is refused until RestoreSecret, and so is a new one of its name."""
    version = create("key")
    gone = aws.secrets.delete_secret(SecretId="key")
    assert gone["DeletionDate"] == START - 2 * APART + timedelta(days=30)
    others: dict[str, dict[str, object]] = {
        "GetSecretValue": {},
        "PutSecretValue": {"SecretString": value(), "ClientRequestToken": "t" * 32},
        "UpdateSecretVersionStage": {"VersionStage": "mine", "MoveToVersionId": version},
        "ListSecretVersionIds": {},
        "TagResource": {"Tags": [{"Key": "a", "Value": "b"}]},
        "UntagResource": {"TagKeys": ["a"]},
        "DeleteSecret": {},
        "RotateSecret": {"RotationLambdaARN": "arn:aws:lambda:eu-central-1:1:function:f"},
        "CancelRotateSecret": {},
        "PutResourcePolicy": {"ResourcePolicy": "{}"},
        "GetResourcePolicy": {},
        "DeleteResourcePolicy": {},
    }
    never = {"DescribeSecret", "RestoreSecret", "ListSecrets", "CreateSecret"}
    assert others.keys() | never == sim.secrets.operations.keys()
    for operation, params in others.items():
        with refused("InvalidRequestException", "marked for deletion"):
            getattr(aws.secrets, xform_name(operation))(SecretId="key", **params)
    with refused("InvalidRequestException", "scheduled for deletion"):
        create("key")
    assert aws.secrets.describe_secret(SecretId="key")["DeletedDate"] == START - APART
    assert listed(aws) == []
    assert listed(aws, IncludePlannedDeletion=True) == ["key"]
    aws.secrets.restore_secret(SecretId="key")
    assert aws.secrets.get_secret_value(SecretId="key")["VersionId"] == version


def test_a_secret_is_gone_when_its_recovery_window_ends(
    sim: AwsSimulator, aws: Clients, create: Create
) -> None:
    """One second before the end it can be restored; at the end its name is free."""
    create("one")
    create("two")
    for name in ("one", "two"):
        aws.secrets.delete_secret(SecretId=name, RecoveryWindowInDays=7)
    sim.shift_clock(seconds=7 * DAY - 1)
    aws.secrets.restore_secret(SecretId="one")
    sim.shift_clock(seconds=1)
    assert listed(aws, IncludePlannedDeletion=True) == ["one"]
    with refused("ResourceNotFoundException"):
        aws.secrets.restore_secret(SecretId="two")
    create("two")


@pytest.mark.parametrize("days", [6, 31])
def test_a_recovery_window_has_7_to_30_days(aws: Clients, create: Create, days: int) -> None:
    """Any other number of days is refused, and the secret stays."""
    create("key")
    with refused("InvalidParameterException"):
        aws.secrets.delete_secret(SecretId="key", RecoveryWindowInDays=days)
    assert listed(aws) == ["key"]


def test_deleting_at_once_takes_no_window_and_no_secret(aws: Clients, create: Create) -> None:
    """ForceDeleteWithoutRecovery excludes a window, and succeeds for a name that is not there."""
    create("key")
    with refused("InvalidParameterException"):
        aws.secrets.delete_secret(
            SecretId="key", RecoveryWindowInDays=7, ForceDeleteWithoutRecovery=True
        )
    aws.secrets.delete_secret(SecretId="key", ForceDeleteWithoutRecovery=True)
    aws.secrets.delete_secret(SecretId="key", ForceDeleteWithoutRecovery=True)
    with refused("ResourceNotFoundException"):
        aws.secrets.describe_secret(SecretId="key")
    create("key")


def test_turning_rotation_on_needs_a_function(aws: Clients, create: Create) -> None:
    """RotateSecret sets the flag that tells others to keep away, and calls nothing."""
    version = create("key")
    with refused("InvalidRequestException"):
        aws.secrets.rotate_secret(SecretId="key")
    function = "arn:aws:lambda:eu-central-1:123456789012:function:rotate"
    aws.secrets.rotate_secret(SecretId="key", RotationLambdaARN=function)
    shown = aws.secrets.describe_secret(SecretId="key")
    assert (shown["RotationEnabled"], shown["RotationLambdaARN"]) == (True, function)
    assert shown["VersionIdsToStages"] == {version: ["AWSCURRENT"]}
    aws.secrets.cancel_rotate_secret(SecretId="key")
    assert aws.secrets.describe_secret(SecretId="key")["RotationEnabled"] is False


def test_a_secret_of_another_service_is_updated_there_only(
    sim: AwsSimulator, aws: Clients, create: Create, put: Put
) -> None:
    """The owner shows, and nobody else writes, moves labels or deletes."""
    version = create("key")
    sim.secrets.secret("key").owning_service = "rds"
    assert aws.secrets.describe_secret(SecretId="key")["OwningService"] == "rds"
    with refused("InvalidRequestException", "rds"):
        put("key", "AWSPENDING")
    with refused("InvalidRequestException", "rds"):
        aws.secrets.update_secret_version_stage(
            SecretId="key", VersionStage="mine", MoveToVersionId=version
        )
    with refused("InvalidRequestException", "rds"):
        aws.secrets.delete_secret(SecretId="key")
    with refused("InvalidRequestException", "rds"):
        aws.secrets.delete_secret(SecretId="key", ForceDeleteWithoutRecovery=True)


def test_a_policy_can_deny_one_version_and_one_label(
    aws: Clients, create: Create, put: Put
) -> None:
    """What the policy denies can't be read by id or label; the current version still can."""
    old = create("key")
    put("key", "AWSCURRENT")
    keys = {"secretsmanager:VersionId": old}, {"secretsmanager:VersionStage": ["AWSPREVIOUS"]}
    statements = [
        {
            "Effect": "Deny",
            "Principal": "*",
            "Action": "secretsmanager:GetSecretValue",
            "Resource": "*",
            "Condition": {"StringEquals": condition},
        }
        for condition in keys
    ]
    policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
    assert "ResourcePolicy" not in aws.secrets.get_resource_policy(SecretId="key")
    aws.secrets.put_resource_policy(SecretId="key", ResourcePolicy=policy)
    assert aws.secrets.get_resource_policy(SecretId="key")["ResourcePolicy"] == policy
    read = aws.secrets.get_secret_value
    with refused("AccessDeniedException"):
        read(SecretId="key", VersionId=old)
    with refused("AccessDeniedException"):
        read(SecretId="key", VersionStage="AWSPREVIOUS")
    read(SecretId="key")
    aws.secrets.delete_resource_policy(SecretId="key")
    read(SecretId="key", VersionId=old)


@pytest.mark.parametrize("policy", ["no json", "[]", "{}", '{"Statement":[{"Effect":"Deny"}]}'])
def test_a_malformed_policy_is_refused(aws: Clients, create: Create, policy: str) -> None:
    """A policy that is none leaves the one before."""
    create("key")
    with refused("MalformedPolicyDocumentException"):
        aws.secrets.put_resource_policy(SecretId="key", ResourcePolicy=policy)


def test_what_is_not_modelled_is_refused(aws: Clients, create: Create) -> None:
    """An unknown operation or param is an error: to ignore it would make the simulator lax."""
    create("key")
    with refused("UnknownOperationException"):
        aws.secrets.update_secret(SecretId="key", Description="x")
    with refused("ValidationException", "not modelled: SortOrder"):
        aws.secrets.list_secrets(SortOrder="desc")
