"""The simulated AWS evaluates its callers' policies as IAM does, before it looks for a secret.

Source: https://github.com/jenkinsci/aws-secrets-manager-credentials-provider-plugin/issues/65, and
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
"""

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.local.aws.iam import Asked, Policies
from infra.local.aws.sim import ACCESS_KEY, ACCOUNT, OTHERS_KEY, REGION, AwsSimulator

SECRETS = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:"
TAGGED = {"StringEquals": {"aws:ResourceTag/daena.managed": "true"}}


@pytest.fixture
def sim() -> Iterator[AwsSimulator]:
    """Give an AWS with two secrets, one of which carries the tag."""
    with AwsSimulator() as started:
        root = started.clients(wire=False, access_key=OTHERS_KEY).secrets
        tags = [{"Key": "daena.managed", "Value": "true"}]
        root.create_secret(Name="app-key", SecretString="x", Tags=tags)  # type: ignore[arg-type] # the same dictionaries
        root.create_secret(Name="their-key", SecretString="x")
        yield started


def code(sim: AwsSimulator, operation: str, **given: Any) -> str:
    """Return the code of the answer to a call."""
    client = sim.clients(wire=False).secrets
    try:
        getattr(client, operation)(**given)
    except ClientError as error:
        return error.response["Error"]["Code"]
    return "ok"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("app-key", "ok"),
        ("their-key", "AccessDeniedException"),
        ("no-key", "AccessDeniedException"),
    ],
)
def test_a_condition_on_a_tag_refuses_what_has_none(
    sim: AwsSimulator, name: str, expected: str
) -> None:
    """Also a name that no secret has: it is refused, not said to be missing."""
    allowed = {"Effect": "Allow", "Action": "secretsmanager:PutSecretValue"}
    statement = {**allowed, "Resource": f"{SECRETS}*", "Condition": TAGGED}
    sim.policies.attach(ACCESS_KEY, [statement])
    given = {"SecretString": "y", "VersionStages": ["AWSPENDING"]}
    assert code(sim, "put_secret_value", SecretId=name, **given) == expected
    sim.policies.attach(ACCESS_KEY, [{**statement, "Condition": {}}])
    known = name != "no-key"
    expected = "ok" if known else "ResourceNotFoundException"
    assert code(sim, "put_secret_value", SecretId=name, **given) == expected


def test_whoever_has_no_policy_may_do_everything(sim: AwsSimulator) -> None:
    """As in tests that are not about permissions; an empty policy allows nothing."""
    assert code(sim, "describe_secret", SecretId="app-key") == "ok"
    sim.policies.attach(ACCESS_KEY, [])
    assert code(sim, "describe_secret", SecretId="app-key") == "AccessDeniedException"


@pytest.mark.parametrize(
    ("condition", "context", "holds"),
    [
        ({"StringEquals": {"k": "a"}}, {"k": ["a"]}, True),
        ({"StringEquals": {"k": ["a", "b"]}}, {"k": ["b"]}, True),
        ({"StringEquals": {"k": "a"}}, {}, False),
        ({"StringLike": {"k": "lo*"}}, {"k": ["log/x"]}, True),
        ({"Bool": {"k": "true"}}, {"k": ["true"]}, True),
        ({"Bool": {"k": "true"}}, {}, False),
        ({"Null": {"k": "true"}}, {}, True),
        ({"Null": {"k": "false"}}, {}, False),
        ({"ForAllValues:StringEquals": {"k": ["a", "b"]}}, {"k": ["a", "b"]}, True),
        ({"ForAllValues:StringEquals": {"k": ["a"]}}, {"k": ["a", "b"]}, False),
        ({"ForAllValues:StringEquals": {"k": ["a"]}}, {}, True),
        ({"ForAnyValue:StringEquals": {"k": ["a"]}}, {"k": ["a", "b"]}, True),
        ({"ForAnyValue:StringEquals": {"k": ["a"]}}, {}, False),
    ],
)
def test_conditions(condition: Any, context: dict[str, list[str]], *, holds: bool) -> None:
    """A key that is not there matches nothing, but for Null and ForAllValues."""
    policies = Policies()
    allow = {"Effect": "Allow", "Action": "s:*", "Resource": "*", "Condition": condition}
    policies.attach("key", [allow])
    assert policies.allow("key", Asked("s:Do", "arn:x", context)) is holds


def test_a_deny_decides() -> None:
    """Whatever else allows it; an action and a resource match by their wildcards."""
    policies = Policies()
    allow = {"Effect": "Allow", "Action": ["s:Get*"], "Resource": ["arn:a-??????"]}
    policies.attach("key", [allow])
    assert policies.allow("key", Asked("s:GetIt", "arn:a-123456"))
    assert not policies.allow("key", Asked("s:GetIt", "arn:a"))
    assert not policies.allow("key", Asked("s:PutIt", "arn:a-123456"))
    policies.attach("key", [allow, {"Effect": "Deny", "Action": "*", "Resource": "*"}])
    assert not policies.allow("key", Asked("s:GetIt", "arn:a-123456"))


def test_what_is_not_modelled_raises() -> None:
    """So that no test passes because something was ignored."""
    policies = Policies()
    dated = {"DateLessThan": {"k": "2026"}}
    for statement in (
        {"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": dated},
        {"Effect": "Allow", "NotAction": "*", "Resource": "*"},
    ):
        policies.attach("key", [statement])
        with pytest.raises(NotImplementedError):
            policies.allow("key", Asked("s:Do", "arn:x", {"k": ["2025"]}))
