"""The package at work as the template deploys it: schedule, URL, roles, log, alarms."""

import json
import secrets
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest
from botocore.credentials import Credentials
from daena_kms.audit import open_log
from daena_kms.audit.verify import verify
from daena_kms.doctor import Status, examine

from infra.local.aws import lambda_functions
from tests.infra.built import ROOT, path
from tests.infra.stack import STACK, Stack, client, deployed, refused
from tests.worlds.aws import make_older
from tests.worlds.waiting import eventually

pytestmark = pytest.mark.xdist_group("stack")

#: ministack looks at schedules every ten seconds; the first firing is one interval after creation.
FIRES_WITHIN = 120


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Deploy once for all tests; the schedule's interval runs while the others do."""
    with deployed(tmp_path_factory.mktemp("stack")) as made:
        yield made


def test_a_run_of_the_deployed_package_rotates_and_the_log_verifies(stack: Stack) -> None:
    """Invoked as the schedule does: what is due is rotated under the function's own role."""
    old = stack.create_due("due-key")
    stack.adapter.create_key("fresh-key")
    came_to = lambda_functions.invoke(stack.aws.client("lambda"), f"{STACK}-scheduled", {})
    assert (came_to.error, came_to.payload["rotated"]) == (None, ["due-key"])
    assert stack.adapter.get_key("due-key") != old
    assert stack.adapter.get_key("due-key", "previous") == old
    report = verify(open_log(stack.outputs["AuditUrl"]))
    assert report.ok
    assert report.runs == 1


def test_the_url_refuses_who_does_not_sign_and_who_may_not_call(stack: Stack) -> None:
    """Unsigned and without the policy 403, with it 200.

    ministack hands no authorizer to the function, so that no caller counts as verified there: the
    plan answers 401 to whom IAM has let through, and the rotation over HTTP is a direct call below.
    """
    caller = stack.user("caller", stack.outputs["HttpCallerPolicyArn"])
    assert stack.ask("/v1/health", None) == 403
    assert stack.ask("/v1/health", stack.user("stranger")) == 403
    assert stack.ask("/v1/health", Credentials(caller.access_key, secrets.token_hex())) == 403
    assert stack.ask("/v1/health", caller) == 200
    assert stack.ask("/v1/plan", caller) == 401


def test_the_http_function_rotates_under_its_own_role(stack: Stack) -> None:
    """With the event that AWS makes of a signed request, and not before the least interval."""
    old = stack.adapter.create_key("asked-key")
    context = {
        "http": {"method": "POST"},
        "authorizer": {"iam": {"userArn": "arn:aws:iam::000000000000:user/operator"}},
    }
    event = {"rawPath": "/v1/keys/asked-key/rotate", "requestContext": context}
    early = lambda_functions.invoke(stack.aws.client("lambda"), f"{STACK}-http", event).payload
    assert early["statusCode"] == 429, early
    assert stack.adapter.get_key("asked-key") == old
    make_older(stack.adapter, "asked-key", 1)
    answer = lambda_functions.invoke(stack.aws.client("lambda"), f"{STACK}-http", event).payload
    assert answer["statusCode"] == 200, answer
    assert json.loads(answer["body"])["key"] == "asked-key"
    assert stack.adapter.get_key("asked-key") != old


def test_the_scheduled_role_is_denied_all_else(stack: Stack) -> None:
    """Its own few actions work; values, others' secrets, deletion and other services don't."""
    stack.adapter.create_key("held-key")
    root = stack.aws.client("secretsmanager")
    root.create_secret(Name="their-secret", SecretString=secrets.token_hex())
    own = stack.role(f"{STACK}-scheduled")
    names = ("secretsmanager", "kms", "s3", "iam", "lambda", "sqs", "logs")
    store, kms, s3, iam, functions, queue, logs = (client(stack, n, own) for n in names)
    key, bucket, log = stack.outputs["KmsKeyArn"], stack.bucket, "daena/log/2026/x"
    new = {"SecretString": "x" * 44, "VersionStages": ["AWSPENDING"]}
    dead = stack.outputs["DeadLetterQueueUrl"]
    allowed: list[Callable[[], object]] = [
        store.list_secrets,
        lambda: store.describe_secret(SecretId="held-key"),
        lambda: store.list_secret_version_ids(SecretId="held-key"),
        lambda: store.put_secret_value(SecretId="held-key", **new),
        lambda: kms.generate_data_key(KeyId=key, NumberOfBytes=32),
        lambda: s3.put_object(Bucket=bucket, Key=log, Body=b"{}", IfNoneMatch="*"),
        lambda: s3.get_object(Bucket=bucket, Key=log),
        lambda: s3.list_objects_v2(Bucket=bucket, Prefix="daena/log/"),
        lambda: queue.send_message(QueueUrl=dead, MessageBody="{}"),
    ]
    denied: list[Callable[[], object]] = [
        lambda: store.get_secret_value(SecretId="held-key"),
        lambda: store.put_secret_value(SecretId="their-secret", **new),
        lambda: store.create_secret(Name="new-key", SecretString="x" * 44),
        lambda: store.delete_secret(SecretId="held-key"),
        lambda: store.update_secret(SecretId="held-key", SecretString="x" * 44),
        lambda: store.tag_resource(SecretId="held-key", Tags=[{"Key": "a", "Value": "b"}]),
        lambda: store.untag_resource(SecretId="held-key", TagKeys=["daena.managed"]),
        lambda: kms.encrypt(KeyId=key, Plaintext=b"x"),
        lambda: kms.generate_random(NumberOfBytes=32),
        lambda: kms.disable_key(KeyId=key),
        lambda: kms.schedule_key_deletion(KeyId=key),
        lambda: s3.put_object(Bucket=bucket, Key="elsewhere", Body=b"", IfNoneMatch="*"),
        lambda: s3.get_object(Bucket=bucket, Key="elsewhere"),
        lambda: s3.delete_object(Bucket=bucket, Key=log),
        lambda: s3.list_objects_v2(Bucket=bucket),
        s3.list_buckets,
        lambda: s3.put_bucket_policy(Bucket=bucket, Policy="{}"),
        iam.list_roles,
        lambda: functions.invoke(FunctionName=f"{STACK}-http"),
        lambda: queue.receive_message(QueueUrl=dead),
        lambda: logs.delete_log_group(logGroupName=f"/aws/lambda/{STACK}-scheduled"),
    ]
    assert [number for number, call in enumerate(allowed) if refused(call)] == []
    # What the log's own verification would stumble over; the account's root is asked for nothing.
    stack.aws.client("s3").delete_object(Bucket=bucket, Key=log)
    assert [number for number, call in enumerate(denied) if not refused(call)] == []


def test_the_http_role_may_hold_and_roll_back_and_nothing_beside(stack: Stack) -> None:
    """With the parameter set: values of managed keys, and the tag of a hold alone."""
    stack.adapter.create_key("http-key")
    root = stack.aws.client("secretsmanager")
    root.create_secret(Name="another-secret", SecretString=secrets.token_hex())
    store = client(stack, "secretsmanager", stack.role(f"{STACK}-http"))
    hold = [{"Key": "daena.hold", "Value": "true"}]
    store.tag_resource(SecretId="http-key", Tags=hold)
    store.untag_resource(SecretId="http-key", TagKeys=["daena.hold"])
    assert store.get_secret_value(SecretId="http-key")["SecretString"]
    policy = [{"Key": "daena.grace", "Value": "24h"}]
    assert refused(lambda: store.tag_resource(SecretId="http-key", Tags=policy))
    assert refused(lambda: store.untag_resource(SecretId="http-key", TagKeys=["daena.managed"]))
    assert refused(lambda: store.get_secret_value(SecretId="another-secret"))
    assert refused(lambda: store.delete_secret(SecretId="http-key"))


@pytest.mark.parametrize("function", ["scheduled", "http"])
def test_the_doctor_passes_the_roles(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    """Nothing about their permissions is wrong; the tag that they ask for leaves some unknown."""
    stack.adapter.create_key(f"{function}-doctor-key")
    monkeypatch.setenv("AWS_KMS_KEY_ID", stack.outputs["KmsKeyArn"])
    monkeypatch.setenv("DAENA_KMS_AUDIT_URL", stack.outputs["AuditUrl"])
    for name, text in stack.role(f"{STACK}-{function}").items():
        monkeypatch.setenv(name.upper(), text)
    found = {check.name: check for check in examine("aws")}
    permissions = {n.rpartition(":")[2]: c for n, c in found.items() if n.startswith("permission")}
    by_status = {n: c.status for n, c in permissions.items() if c.status is not Status.OK}
    assert Status.WRONG not in by_status.values()
    assert by_status["PutSecretValue"] is Status.UNKNOWN
    assert {"DescribeSecret", "UpdateSecretVersionStage", "GenerateDataKey"}.isdisjoint(by_status)
    assert found["keys: list"].status is Status.OK


def test_the_doctor_calls_the_url(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has the policy of callers may, and whoever has not may not."""
    ids = {"caller": stack.outputs["HttpCallerPolicyArn"], "stranger": ""}
    host = urlsplit(stack.outputs["HttpUrl"]).hostname or ""
    url = f"{stack.aws.url}/_aws/lambda-url/{host.partition('.')[0]}"
    for who, policy in ids.items():
        made = stack.user(f"doctor-{who}", *filter(None, [policy]))
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", made.access_key)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", made.secret_key)
        found = {check.name: check.status for check in examine("aws", function_url=url)}
        allowed = found["permission lambda:InvokeFunctionUrl"]
        assert allowed is (Status.OK if policy else Status.UNKNOWN)
        assert found["function URL"] is (Status.OK if policy else Status.WRONG)


def test_what_is_deployed_is_what_was_built(stack: Stack) -> None:
    """Lambda has the package byte for byte."""
    deployed = stack.aws.client("lambda").get_function(FunctionName=f"{STACK}-scheduled")
    size = path("aws/daena-kms-x86_64.zip").stat().st_size
    assert deployed["Configuration"]["CodeSize"] == size
    assert deployed["Configuration"]["Handler"] == "handler.scheduled"


def test_what_is_watched_is_there(stack: Stack) -> None:
    """Every alarm of the document, the dashboard, and logs that end."""
    alarms = stack.aws.client("cloudwatch").describe_alarms()["MetricAlarms"]
    names = {alarm["AlarmName"].removeprefix(f"{STACK}-") for alarm in alarms}
    documented = (ROOT / "docs" / "ALARMS.md").read_text().partition("## AWS")[2]
    assert {name for name in names if f"`{name}`" in documented} == names
    assert len(names) == 10
    groups = stack.aws.client("logs").describe_log_groups()["logGroups"]
    assert {group["retentionInDays"] for group in groups} == {365}


def test_what_the_schedule_can_t_deliver_is_kept(stack: Stack) -> None:
    """Its events are tried again, and then handed to the queue; a failed run's too."""
    schedules = stack.aws.client("scheduler")
    target = schedules.get_schedule(GroupName=STACK, Name=f"{STACK}-rotation")["Target"]
    assert target["RetryPolicy"] == {"MaximumEventAgeInSeconds": 3600, "MaximumRetryAttempts": 10}
    assert target["DeadLetterConfig"]["Arn"].endswith(f":{STACK}-dead-letters")
    config = stack.aws.client("lambda").get_function_event_invoke_config(
        FunctionName=f"{STACK}-scheduled", Qualifier="$LATEST"
    )
    assert config["DestinationConfig"]["OnFailure"]["Destination"].endswith("-dead-letters")


def test_the_schedule_fires(stack: Stack) -> None:
    """Nobody invokes the function, and the due key is rotated all the same."""
    stack.create_due("later-key")
    before = len(stack.adapter.store.describe("later-key").versions)

    def rotated() -> bool:
        return len(stack.adapter.store.describe("later-key").versions) > before

    assert eventually(rotated, seconds=FIRES_WITHIN)
    assert verify(open_log(stack.outputs["AuditUrl"])).ok
