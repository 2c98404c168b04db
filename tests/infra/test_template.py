"""The SAM template as data: what it protects, bounds and explains, on AWS as on a local one."""

import json
import re
from typing import Any

import pytest

from tests.infra.template import (
    NOT_HERE,
    PATH,
    for_this_machine,
    load,
    resources,
    statements,
)

TEMPLATE = load()
ALARMS = resources("AWS::CloudWatch::Alarm")
BUCKET = TEMPLATE["Resources"]["AuditBucket"]["Properties"]


def bucket_statement(sid: str) -> dict[str, Any]:
    """Return a statement of the bucket's policy."""
    return next(s for s in statements("AuditBucketPolicy") if s["Sid"] == sid)


def test_the_audit_bucket_keeps_what_is_written() -> None:
    """Versioned, locked for the time of a parameter, encrypted, closed to the public, retained."""
    assert BUCKET["VersioningConfiguration"] == {"Status": "Enabled"}
    rule = BUCKET["ObjectLockConfiguration"]["Rule"]["DefaultRetention"]
    assert rule == {"Mode": {"Ref": "ObjectLockMode"}, "Days": {"Ref": "AuditRetentionDays"}}
    assert set(BUCKET["PublicAccessBlockConfiguration"].values()) == {True}
    assert len(BUCKET["PublicAccessBlockConfiguration"]) == 4
    assert TEMPLATE["Parameters"]["ObjectLockMode"]["AllowedValues"] == ["GOVERNANCE", "COMPLIANCE"]
    for name in ("AuditBucket", "AuditBucketPolicy", "Key"):
        assert TEMPLATE["Resources"][name]["DeletionPolicy"] == "Retain"
        assert TEMPLATE["Resources"][name]["UpdateReplacePolicy"] == "Retain"


def test_the_bucket_refuses_an_unconditional_put() -> None:
    """In the form that AWS documents, with parts of a multipart upload excepted."""
    denied = bucket_statement("CreateIfAbsentOnly")
    assert (denied["Effect"], denied["Principal"], denied["Action"]) == (
        "Deny",
        "*",
        "s3:PutObject",
    )
    assert denied["Condition"] == {
        "Null": {"s3:if-none-match": "true"},
        "Bool": {"s3:ObjectCreationOperation": "true"},
    }


def test_the_bucket_refuses_deletion_to_everybody_and_plain_http() -> None:
    """Whatever a role may do elsewhere."""
    denied = bucket_statement("NobodyDeletes")
    assert (denied["Effect"], denied["Principal"]) == ("Deny", "*")
    assert {"s3:DeleteObject", "s3:DeleteObjectVersion"} <= set(denied["Action"])
    assert "s3:BypassGovernanceRetention" in denied["Action"]
    tls = bucket_statement("TlsOnly")
    assert (tls["Effect"], tls["Action"]) == ("Deny", "s3:*")
    assert tls["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_the_kms_key_rotates_and_is_slow_to_go() -> None:
    """A year's rotation is KMS's own, and a deletion can be undone for 30 days."""
    key = TEMPLATE["Resources"]["Key"]["Properties"]
    assert key["EnableKeyRotation"] is True
    assert key["PendingWindowInDays"] == 30


def test_who_may_assume_a_role_on_a_schedule_is_named() -> None:
    """The scheduler's role serves this account's schedule group alone, the log these two rules."""
    trust = TEMPLATE["Resources"]["SchedulerRole"]["Properties"]["AssumeRolePolicyDocument"]
    condition = trust["Statement"][0]["Condition"]["StringEquals"]
    assert set(condition) == {"aws:SourceAccount", "aws:SourceArn"}
    assert "schedule-group/" in json.dumps(condition["aws:SourceArn"])
    policy = TEMPLATE["Resources"]["WatchLogPolicy"]["Properties"]["PolicyDocument"]["Fn::Sub"]
    written = json.loads(re.sub(r"\$\{[^}]+\}", "x", policy))
    stream, write = written["Statement"]
    assert (stream["Action"], write["Action"]) == ("logs:CreateLogStream", "logs:PutLogEvents")
    # A rule's ARN comes with what is written, and not when a stream is made.
    assert "Condition" not in stream
    assert {key for test in write["Condition"].values() for key in test} == {
        "aws:SourceAccount",
        "aws:SourceArn",
    }


@pytest.mark.parametrize("name", TEMPLATE["Parameters"])
def test_every_parameter_is_described_and_bounded(name: str) -> None:
    """It has a default, a description, and a pattern, a list or limits."""
    parameter = TEMPLATE["Parameters"][name]
    assert parameter["Description"].endswith(".")
    assert "Default" in parameter
    assert {"AllowedPattern", "AllowedValues", "MinValue"} & set(parameter)
    if "AllowedPattern" in parameter:
        assert re.fullmatch(parameter["AllowedPattern"], parameter["Default"])
        assert "ConstraintDescription" in parameter


@pytest.mark.parametrize(
    ("name", "refused"),
    [
        ("KeyPrefix", ["*", "Orders", "a*", "x" * 70]),
        ("ScheduleExpression", ["at(2026-01-01T00:00:00)", "rate(0 minutes)", "hourly"]),
        ("RotateAfter", ["never", "90", "0d"]),
        ("AuditPrefix", ["", "a/b", "*"]),
        ("AlarmTopicArn", ["arn:aws:sqs:eu-west-1:123456789012:q", "topic"]),
    ],
)
def test_what_a_parameter_refuses(name: str, refused: list[str]) -> None:
    """Wildcards, other forms, and what would never rotate."""
    pattern = TEMPLATE["Parameters"][name]["AllowedPattern"]
    assert [text for text in refused if re.fullmatch(pattern, text)] == []


def test_every_output_is_described_and_holds_no_value() -> None:
    """Names and addresses only."""
    assert all(output["Description"].endswith(".") for output in TEMPLATE["Outputs"].values())
    assert "SecretString" not in json.dumps(TEMPLATE)


def test_every_alarm_notifies_and_says_what_it_means() -> None:
    """The topic where there is one; that nothing came is an alarm for the runs alone."""
    topic = {"Fn::If": ["HasAlarmTopic", {"Ref": "AlarmTopicArn"}, {"Ref": "AWS::NoValue"}]}
    for name, alarm in ALARMS.items():
        assert alarm["AlarmActions"] == [topic]
        assert alarm["AlarmDescription"].endswith(".")
        missing = "breaching" if name == "NoRunAlarm" else "notBreaching"
        assert alarm["TreatMissingData"] == missing
    body = TEMPLATE["Resources"]["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    widgets = json.loads(body)["widgets"]
    drawn = [
        metric[1] for w in widgets for metric in w["properties"].get("metrics", []) if metric[1:]
    ]
    assert all(name in drawn for name in ("rotated", "failed", "overdue", "lateness", "duration"))
    assert all(f"${{{name}.Arn}}" in body for name in ALARMS)


def test_the_key_s_changes_are_watched_by_its_id_and_arn() -> None:
    """KMS takes either in the calls that disable or delete it."""
    pattern = TEMPLATE["Resources"]["KeyChangeRule"]["Properties"]["EventPattern"]["detail"]
    assert {"DisableKey", "ScheduleKeyDeletion"} <= set(pattern["eventName"])
    assert pattern["requestParameters"]["keyId"] == [
        {"Ref": "Key"},
        {"Fn::GetAtt": ["Key", "Arn"]},
    ]


def test_logs_end_and_functions_stop() -> None:
    """Each log group has a retention, each function a limit."""
    groups = resources("AWS::Logs::LogGroup").values()
    assert all(group["RetentionInDays"] == {"Ref": "LogRetentionDays"} for group in groups)
    functions = resources("AWS::Serverless::Function")
    assert {name: f["Timeout"] for name, f in functions.items()} == {"Scheduled": 900, "Http": 200}
    assert functions["Http"]["FunctionUrlConfig"] == {"AuthType": "AWS_IAM"}


def test_the_copy_for_a_local_aws_leaves_out_what_is_named_alone() -> None:
    """Two statements of the bucket's policy, and the queue's policy, which is such a one."""
    lines, copied = (t.splitlines() for t in (PATH.read_text(), for_this_machine()))
    gone = [line for line in lines if line not in copied and "CodeUri" not in line]
    text = "\n".join(gone)
    assert all(sid in text for sid in NOT_HERE)
    assert len(lines) - len(copied) < 40
    assert "NobodyDeletes" in for_this_machine()


@pytest.mark.parametrize("check", re.findall(r"id: (CKV_\w+), comment: (.*)\}", PATH.read_text()))
def test_every_exception_of_checkov_has_its_reason(check: tuple[str, str]) -> None:
    """Beside it, in words."""
    assert len(check[1]) > 8
