"""What AWS was seen to answer is what its simulator answers; each test names its source.

``rec`` is a recording of real traffic: localstack's snapshots in tests/aws/services, moto's tests
that are marked aws_verified, cloud-custodian's files in tests/data/placebo. ``doc`` is a document
of AWS, ``rep`` a report. docs/SEEN.md is the same list for readers.
"""

import json
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from http.client import HTTPConnection

import pytest

from infra.local.aws.sim import AwsSimulator, Clients
from tests.local.conftest import START, refused, token, value

DAY = 24 * 3600
KEY = "key"

type Create = Callable[[str], str]
type Put = Callable[..., str]
type Stages = Callable[[str], dict[str, str]]


@pytest.fixture
def aws(sim: AwsSimulator) -> Iterator[Clients]:
    """Clients that call it in this process."""
    made = sim.clients(wire=False)
    yield made
    made.secrets.close()
    made.kms.close()


def flip(aws: Clients, new: str, base: str) -> None:
    """Move AWSCURRENT, as a rotation does."""
    aws.secrets.update_secret_version_stage(
        SecretId=KEY, VersionStage="AWSCURRENT", MoveToVersionId=new, RemoveFromVersionId=base
    )


# Labels.


def test_a_move_without_its_holder_is_refused(aws: Clients, create: Create, put: Put) -> None:
    """rec: moto test_update_secret_version_stage_dont_specify_current_stage."""
    base, new = create(KEY), put(KEY, "AWSPENDING")
    words = (
        "The parameter RemoveFromVersionId can't be empty. Staging label AWSCURRENT is currently "
        f"attached to version {base}, so you must explicitly reference that version in "
        "RemoveFromVersionId."
    )
    with refused("InvalidParameterException", words):
        aws.secrets.update_secret_version_stage(
            SecretId=KEY, VersionStage="AWSCURRENT", MoveToVersionId=new
        )


def test_pending_stays_on_what_was_promoted(
    aws: Clients, create: Create, put: Put, stages: Stages
) -> None:
    """rec: localstack ..._current_pending_cycle_custom_stages_1; labels of one's own stay, too."""
    one = create(KEY)
    two = put(KEY, "AWSPENDING", "OWN")
    flip(aws, two, one)
    assert stages(KEY) == {"AWSCURRENT": two, "AWSPENDING": two, "OWN": two, "AWSPREVIOUS": one}
    three = put(KEY, "AWSPENDING")
    assert stages(KEY) == {"AWSCURRENT": two, "OWN": two, "AWSPREVIOUS": one, "AWSPENDING": three}
    flip(aws, three, two)
    assert stages(KEY) == {
        "AWSCURRENT": three,
        "AWSPENDING": three,
        "AWSPREVIOUS": two,
        "OWN": two,
    }


def test_a_plain_put_takes_pending_off_what_it_demotes(
    aws: Clients, create: Create, put: Put, stages: Stages
) -> None:
    """rec: localstack test_update_secret_version_stages_current_pending."""
    one = create(KEY)
    two = put(KEY, "AWSPENDING", "OWN")
    flip(aws, two, one)
    three = aws.secrets.put_secret_value(SecretId=KEY, SecretString=value())["VersionId"]
    assert stages(KEY) == {"AWSCURRENT": three, "AWSPREVIOUS": two, "OWN": two}


def test_a_plain_put_leaves_another_version_s_pending(
    aws: Clients, create: Create, put: Put, stages: Stages
) -> None:
    """rec: the same snapshot has it removed from the demoted version alone."""
    one = create(KEY)
    two = put(KEY, "AWSPENDING")
    three = aws.secrets.put_secret_value(SecretId=KEY, SecretString=value())["VersionId"]
    assert stages(KEY) == {"AWSCURRENT": three, "AWSPREVIOUS": one, "AWSPENDING": two}


def test_a_version_without_a_label_is_listed_only_as_deprecated(
    aws: Clients, create: Create, put: Put
) -> None:
    """rec: localstack test_deprecated_secret_version_stage; it stays readable by its id."""
    first = create(KEY)
    for _ in range(3):
        put(KEY, "AWSCURRENT")
    listed = aws.secrets.list_secret_version_ids(SecretId=KEY)["Versions"]
    assert first not in [v["VersionId"] for v in listed]
    listed = aws.secrets.list_secret_version_ids(SecretId=KEY, IncludeDeprecated=True)["Versions"]
    assert len(listed) == 4
    (found,) = (v for v in listed if v["VersionId"] == first)
    assert "VersionStages" not in found
    assert aws.secrets.get_secret_value(SecretId=KEY, VersionId=first)["VersionStages"] == []


# Tokens.


def test_a_used_token_names_the_secret(aws: Clients) -> None:
    """rec: moto test_{create_different_secret,put_different_secret_value}_with_same_token."""
    chosen, text = token(), value()
    made = aws.secrets.create_secret(Name=KEY, SecretString=text, ClientRequestToken=chosen)
    words = (
        f"You can't use ClientRequestToken {chosen} because that value is already in use for a "
        f"version of secret {made['ARN']}."
    )
    with refused("ResourceExistsException", words):
        aws.secrets.create_secret(Name=KEY, SecretString=value(), ClientRequestToken=chosen)
    with refused("ResourceExistsException", words):
        aws.secrets.put_secret_value(SecretId=KEY, SecretString=value(), ClientRequestToken=chosen)
    put = aws.secrets.put_secret_value(SecretId=KEY, SecretString=text, ClientRequestToken=chosen)
    assert (put["VersionId"], put["VersionStages"]) == (chosen, ["AWSCURRENT"])


@pytest.mark.parametrize(
    ("operation", "code"),
    [
        ("CreateSecret", "InvalidRequestException"),
        ("PutSecretValue", "InvalidRequestException"),
        ("RotateSecret", "InvalidParameterException"),
    ],
)
def test_a_token_must_be_sent(sim: AwsSimulator, create: Create, operation: str, code: str) -> None:
    """rec: localstack test_no_client_request_token, with the member's name as it is written."""
    create(KEY)
    body = {"Name": "new", "SecretId": KEY, "SecretString": value()}
    names = sim.secrets.operations[operation].accepts.split()
    connection = HTTPConnection(sim.url.removeprefix("http://"), timeout=10)
    sent = json.dumps({name: text for name, text in body.items() if name in names})
    connection.request("POST", "/", sent, {"X-Amz-Target": f"secretsmanager.{operation}"})
    answer = connection.getresponse()
    told = json.loads(answer.read())
    connection.close()
    words = "You must provide a ClientRequestToken value. We recommend a UUID-type value."
    assert (answer.status, told) == (400, {"__type": code, "Message": words})


# What is shown.


def test_tags_are_shown_from_the_first_one_on(aws: Clients, create: Create) -> None:
    """rec: localstack test_secret_tags: no member before, an empty list after the last one."""
    create(KEY)
    describe = aws.secrets.describe_secret
    assert "Tags" not in describe(SecretId=KEY)
    aws.secrets.tag_resource(SecretId=KEY, Tags=[{"Key": "a", "Value": "b"}])
    aws.secrets.untag_resource(SecretId=KEY, TagKeys=["a"])
    assert describe(SecretId=KEY)["Tags"] == []


def test_a_secret_without_a_value_shows_no_versions(aws: Clients) -> None:
    """rec: localstack test_create_secret_version_from_empty_secret."""
    aws.secrets.create_secret(Name=KEY)
    assert "VersionIdsToStages" not in aws.secrets.describe_secret(SecretId=KEY)
    (entry,) = aws.secrets.list_secrets()["SecretList"]
    assert "SecretVersionsToStages" not in entry


def test_reading_is_dated_by_the_day(sim: AwsSimulator, aws: Clients, create: Create) -> None:
    """rec: localstack test_last_accessed_date, cloud-custodian's LastAccessedDate: midnight in UTC.

    doc: API_SecretVersionsListEntry has it for each version.
    """
    create(KEY)
    versions = aws.secrets.list_secret_version_ids
    assert "LastAccessedDate" not in aws.secrets.describe_secret(SecretId=KEY)
    assert "LastAccessedDate" not in versions(SecretId=KEY)["Versions"][0]
    before = sim.secrets.secret(KEY).changed
    aws.secrets.get_secret_value(SecretId=KEY)
    sim.shift_clock(seconds=3600)
    aws.secrets.get_secret_value(SecretId=KEY)
    midnight = START.replace(hour=0)
    assert aws.secrets.describe_secret(SecretId=KEY)["LastAccessedDate"] == midnight
    assert versions(SecretId=KEY)["Versions"][0]["LastAccessedDate"] == midnight
    assert sim.secrets.secret(KEY).changed == before
    sim.shift_clock(seconds=DAY)
    aws.secrets.get_secret_value(SecretId=KEY)
    after = aws.secrets.list_secrets()["SecretList"][0]["LastAccessedDate"]
    assert after == midnight + timedelta(days=1)


def test_the_dates_of_one_call_are_milliseconds_apart(aws: Clients, create: Create) -> None:
    """rec: cloud-custodian test_secrets_manager_delete; none of them is in the future."""
    create(KEY)
    made = aws.secrets.describe_secret(SecretId=KEY)
    assert timedelta() < made["LastChangedDate"] - made["CreatedDate"] < timedelta(seconds=1)
    ends = aws.secrets.delete_secret(SecretId=KEY, RecoveryWindowInDays=7)["DeletionDate"]
    gone = aws.secrets.describe_secret(SecretId=KEY)
    assert ends - timedelta(days=7) < gone["DeletedDate"] < gone["LastChangedDate"] == START


def test_the_date_of_a_deletion_is_that_of_the_call(aws: Clients, create: Create) -> None:
    """rec: cloud-custodian test_secrets_manager_delete: DeletionDate is the end of the window.

    The API reference says of DeletedDate that it is "the date the secret is scheduled for
    deletion", which can be read both ways.
    """
    create(KEY)
    ends = aws.secrets.delete_secret(SecretId=KEY)["DeletionDate"]
    called = aws.secrets.describe_secret(SecretId=KEY)["DeletedDate"]
    assert timedelta(days=29) < ends - called < timedelta(days=30)
    (entry,) = aws.secrets.list_secrets(IncludePlannedDeletion=True)["SecretList"]
    assert entry["DeletedDate"] == called


def test_a_page_may_be_empty_and_not_the_last(sim: AwsSimulator, aws: Clients) -> None:
    """doc: NextToken, "even when the response includes no values at all"; filters come after."""
    for n in range(7):
        given = {"Name": f"key-{n}", "ClientRequestToken": "t" * 32}
        tags = [{"Key": "daena.managed", "Value": "true"}] if n == 6 else []
        sim.secrets.run("CreateSecret", {**given, "Tags": tags})
    filters = [{"Key": "tag-key", "Values": ["daena.managed"]}]
    pages = aws.secrets.get_paginator("list_secrets").paginate(
        Filters=filters,  # type: ignore[arg-type]  # the same dictionaries
        PaginationConfig={"PageSize": 3},
    )
    assert [[e["Name"] for e in page["SecretList"]] for page in pages] == [[], [], ["key-6"]]


def test_a_filter_is_a_prefix_and_knows_case(aws: Clients) -> None:
    """doc: API_Filter of names and tags; rec: localstack test_list_secrets_filtering of words."""
    for name, text in (("/one", "a secret"), ("two", "an Secret"), ("three", "thesecret")):
        tags = [{"Key": f"daena.Managed-{name.strip('/')}", "Value": "true"}]
        aws.secrets.create_secret(Name=name, Description=text, Tags=tags)  # type: ignore[arg-type]  # the same dictionaries

    def found(key: str, text: str) -> list[str]:
        filters = [{"Key": key, "Values": [text]}]
        listed = aws.secrets.list_secrets(Filters=filters)["SecretList"]  # type: ignore[arg-type]  # the same dictionaries
        return [entry["Name"] for entry in listed]

    assert found("name", "/") == ["/one"]
    assert found("name", "!/") == ["two", "three"]
    assert found("name", "ne") == []
    assert found("tag-key", "daena.Managed") == ["/one", "two", "three"]
    assert found("tag-key", "daena.managed") == []
    assert found("description", "a secret") == ["/one", "two"]
    assert found("description", "!a") == ["three"]


# Whose it is.


@pytest.fixture
def replica(sim: AwsSimulator, create: Create) -> None:
    """A replica of a secret in another region."""
    create(KEY)
    sim.secrets.secret(KEY).primary_region = "us-east-1"


@pytest.mark.usefixtures("replica")
@pytest.mark.parametrize(
    ("operation", "given"),
    [
        ("put_secret_value", {"SecretString": "x"}),
        ("update_secret_version_stage", {"VersionStage": "own"}),
        ("tag_resource", {"Tags": [{"Key": "a", "Value": "b"}]}),
        ("untag_resource", {"TagKeys": ["a"]}),
        ("delete_secret", {}),
        ("put_resource_policy", {"ResourcePolicy": "{}"}),
        ("delete_resource_policy", {}),
        ("rotate_secret", {}),
        ("cancel_rotate_secret", {}),
    ],
)
def test_a_replica_refuses_every_write(
    aws: Clients, operation: str, given: dict[str, object]
) -> None:
    """rep: cloud-nuke#435 (DeleteSecret), terraform-aws-secrets-manager#188 (PutResourcePolicy).

    doc: "A replica secret can't be updated independently from its primary secret, except for its
    encryption key" (standalone-secret). It is read as any other.
    """
    words = "Operation not permitted on a replica secret. Call must be made in primary secret's "
    with refused("InvalidParameterException", f"{words}region."):
        getattr(aws.secrets, operation)(SecretId=KEY, **given)
    assert "SecretString" in aws.secrets.get_secret_value(SecretId=KEY)
    (entry,) = aws.secrets.list_secrets()["SecretList"]
    assert entry["PrimaryRegion"] == "us-east-1"
    assert aws.secrets.describe_secret(SecretId=KEY)["PrimaryRegion"] == "us-east-1"


def test_a_primary_shows_its_region_and_its_replicas(
    sim: AwsSimulator, aws: Clients, create: Create
) -> None:
    """rec: cloud-custodian test_secrets_manager_delete; rep: aws-nuke#1127."""
    create(KEY)
    sim.secrets.secret(KEY).replicas = ("us-east-1",)
    (entry,) = aws.secrets.list_secrets()["SecretList"]
    assert (entry["PrimaryRegion"], "ReplicationStatus" in entry) == ("eu-central-1", False)
    shown = aws.secrets.describe_secret(SecretId=KEY)
    assert [each["Region"] for each in shown["ReplicationStatus"]] == ["us-east-1"]
    with refused("InvalidParameterException", "that still has replica regions [us-east-1]."):
        aws.secrets.delete_secret(SecretId=KEY)


def test_a_replica_of_another_account_shows_in_its_description_alone(
    sim: AwsSimulator, aws: Clients, create: Create
) -> None:
    """doc: CrossAccountPrimary in API_DescribeSecret, newer than the SDK that is locked here.

    That its versions can't be changed is inferred: "Secrets Manager propagates the new value".
    """
    version = create(KEY)
    secret = sim.secrets.secret(KEY)
    secret.cross_account_primary = (
        "arn:aws:secretsmanager:eu-central-1:210987654321:secret:k-AbCdEf"
    )
    described = sim.secrets.run("DescribeSecret", {"SecretId": KEY})
    assert described["CrossAccountPrimary"] == {
        "PrimarySecretArn": secret.cross_account_primary,
        "ReplicationStatus": "InSync",
    }
    listed = json.dumps(sim.secrets.run("ListSecrets", {}))
    assert "CrossAccountPrimary" not in listed
    assert "PrimaryRegion" not in listed
    with refused("InvalidParameterException", "replica"):
        aws.secrets.update_secret_version_stage(
            SecretId=KEY, VersionStage="own", MoveToVersionId=version
        )


def test_a_partner_s_secret_has_a_type(sim: AwsSimulator, aws: Clients, create: Create) -> None:
    """doc: API_DescribeSecret, Type; the listing has it as well."""
    create(KEY)
    sim.secrets.secret(KEY).kind = "SalesforceClientSecret"
    (entry,) = aws.secrets.list_secrets()["SecretList"]
    assert entry["Type"] == "SalesforceClientSecret"
    assert aws.secrets.describe_secret(SecretId=KEY)["Type"] == "SalesforceClientSecret"


# Deletion, creation.


def test_a_secret_that_is_deleted_is_not_created_again(aws: Clients, create: Create) -> None:
    """rec: localstack test_exp_raised_on_creation_of_secret_scheduled_for_deletion."""
    create(KEY)
    aws.secrets.delete_secret(SecretId=KEY)
    words = "You can't create this secret because a secret with this name is already scheduled for "
    with refused("InvalidRequestException", f"{words}deletion."):
        create(KEY)
    words = "You can't perform this operation on the secret because it was marked for deletion."
    with refused("InvalidRequestException", words):
        aws.secrets.tag_resource(SecretId=KEY, Tags=[{"Key": "a", "Value": "b"}])
    with refused("InvalidRequestException", words):
        aws.secrets.untag_resource(SecretId=KEY, TagKeys=["a"])


def test_a_name_that_is_not_there_is_deleted_at_once(aws: Clients) -> None:
    """rec: localstack test_delete_non_existent_secret_returns_as_if_secret_exists: with an ARN."""
    gone = aws.secrets.delete_secret(SecretId=KEY, ForceDeleteWithoutRecovery=True)
    assert gone["Name"] == KEY
    assert f":secret:{KEY}-" in gone["ARN"]
    assert isinstance(gone["DeletionDate"], datetime)


def test_what_was_just_created_may_not_be_found(
    sim: AwsSimulator, aws: Clients, create: Create
) -> None:
    """rep: terraform-provider-aws#18406: as many calls as a test wants do not find it."""
    sim.secrets.store.unseen_at_first = 2
    version = create(KEY)
    with refused("ResourceNotFoundException"):
        aws.secrets.describe_secret(SecretId=KEY)
    with refused("ResourceNotFoundException"):
        aws.secrets.get_secret_value(SecretId=KEY)
    assert aws.secrets.get_secret_value(SecretId=KEY)["VersionId"] == version
