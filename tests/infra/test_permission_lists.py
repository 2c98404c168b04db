"""Least privilege: what the roles may do is what is called, none missing and none unused."""

import json
import re
from typing import Any

import pytest
from daena_kms.cloud_kms import AWSKMSAdapter
from daena_kms.engine import run
from daena_kms.rules.fields import FIELDS

from infra.local.aws.sim import REGION
from tests.faults.permissions import INDIRECT, aws_used
from tests.infra import lives
from tests.infra.built import ROOT
from tests.infra.template import load, resources, statements
from tests.worlds.aws import AwsWorld
from tests.worlds.kinds import open_cloud

OLDER = "older-key"
PERMISSIONS = json.loads((ROOT / "infra" / "permissions" / "aws.json").read_text())
#: Where each resource of the list stands in the template: what its ARN contains.
NAMED = {
    "secrets": "secretsmanager:${AWS::Region}:${AWS::AccountId}:secret:${KeyPrefix}*",
    "kms": "Key",
    "audit-objects": "${AuditBucket.Arn}/${AuditPrefix}/log/*",
    "audit-bucket": "AuditBucket",
    "dead-letters": "DeadLetters",
    "scheduled-function": "Scheduled",
    "log-group": "Log}:log-stream:*",
    "any": "*",
}


def listed(*parts: str) -> set[str]:
    """Return the actions in parts of the machine-readable list."""
    return {a for part in parts for entry in PERMISSIONS[part] for a in entry["actions"]}


def actions(document: list[dict[str, Any]]) -> dict[str, list[str]]:
    """Return what statements allow: by action, the resources as text."""
    found: dict[str, list[str]] = {}
    for statement in document:
        assert statement["Effect"] == "Allow"
        named, on = statement["Action"], statement["Resource"]
        for action in [named] if isinstance(named, str) else named:
            found[action] = [json.dumps(r) for r in (on if isinstance(on, list) else [on])]
    return found


def inline(role: str) -> list[dict[str, Any]]:
    """Return the statements of a role's own policies."""
    policies = load()["Resources"][role]["Properties"]["Policies"]
    return [s for policy in policies for s in policy["PolicyDocument"]["Statement"]]


def _functions_run(world: AwsWorld) -> None:
    # Of a secret that others write, a listing may leave open how old its versions are.
    world.adapter.store.describe(OLDER, exact=True)
    lives.functions_run(world)


def _people_act(world: AwsWorld) -> None:
    lives.operate(world)
    lives.audit(world)
    # Without a KMS key of one's own, KMS makes random bytes.
    plain = AWSKMSAdapter(
        REGION, secrets_client=world.clients.secrets, kms_client=world.clients.kms
    )
    plain.create_key("plain-key")
    with pytest.MonkeyPatch.context() as patch:
        # Where the owner of the secrets has allowed it, an emergency denies the old version.
        patch.setenv("DAENA_KMS_AWS_BLOCK_COMPROMISED", "true")
        blocking = AWSKMSAdapter(
            REGION, secrets_client=world.clients.secrets, kms_client=world.clients.kms
        )
        done = run(blocking, world.log, keys=["plain-key"], compromised=True, reason="it leaked")
    assert done.revoked == ["plain-key"]


@pytest.fixture(scope="module")
def called() -> dict[str, set[str]]:
    """The actions that those who act take: the functions, the API's changes, people."""
    acts = {
        "functions": _functions_run,
        "changes": lives.changes,
        "policy": lives.change_policy,
        "people": _people_act,
    }
    found: dict[str, set[str]] = {"preparing": set()}
    for name, act in acts.items():
        with open_cloud("aws") as world:
            assert isinstance(world, AwsWorld)
            lives.prepare(world)
            world.foreign(OLDER, "x" * 43, lives.BY_TAG)
            world.secrets.tag_resource(SecretId=OLDER, Tags=[{"Key": "owner", "Value": "them"}])
            found["preparing"] |= aws_used(world)
            world.sim.calls.clear()
            act(world)
            found[name] = aws_used(world)
    return found


def test_what_the_functions_call_is_what_their_role_may_do(called: dict[str, set[str]]) -> None:
    """None is missing from the list, none in it is unused."""
    assert called["functions"] == listed("scheduled") - INDIRECT


def test_what_is_called_at_all_is_listed(called: dict[str, set[str]]) -> None:
    """Everything that any operation calls, people's included: none missing, none unused."""
    everything = set().union(*called.values())
    assert everything == listed("scheduled", "http_changes", "http_policy", "operator") - INDIRECT


def test_what_changes_over_http_need_beside_a_rotation(called: dict[str, set[str]]) -> None:
    """Hold, release and roll back, and policies: none missing, none unused."""
    assert called["changes"] - listed("scheduled") == listed("http_changes")
    assert called["policy"] - listed("scheduled") == listed("http_policy")


@pytest.mark.parametrize(
    ("part", "document"),
    [
        ("scheduled", statements("RotatePolicy")),
        ("http_changes", statements("HttpChangesPolicy")),
        ("http_policy", statements("HttpPolicyPolicy")),
        ("platform", inline("ScheduledRole")),
        ("scheduler", inline("SchedulerRole")),
    ],
)
def test_the_template_allows_what_is_listed(part: str, document: list[dict[str, Any]]) -> None:
    """Each action on its resource by name; on any only where the action takes none."""
    allowed = actions(document)
    assert set(allowed) == listed(part)
    for entry in PERMISSIONS[part]:
        for action in entry["actions"]:
            assert all(NAMED[entry["resource"]] in resource for resource in allowed[action])
            assert (allowed[action] == ['"*"']) == (entry["resource"] == "any")


def test_the_http_role_is_the_scheduled_one_without_its_queue() -> None:
    """Both have the same policy on the keys; only the parameter gives one of them more."""
    roles = resources("AWS::IAM::Role")
    assert roles["HttpRole"]["ManagedPolicyArns"] == roles["ScheduledRole"]["ManagedPolicyArns"]
    assert set(actions(inline("HttpRole"))) == listed("platform") - {"sqs:SendMessage"}
    changes = load()["Resources"]["HttpChangesPolicy"]
    assert changes["Condition"] == "ChangesOverHttp"
    assert changes["Properties"]["Roles"] == [{"Ref": "HttpRole"}]
    assert load()["Parameters"]["AllowChangesOverHttp"]["Default"] == "false"
    policy = load()["Resources"]["HttpPolicyPolicy"]
    assert (policy["Condition"], policy["Properties"]["Roles"]) == (
        "PolicyOverHttp",
        [{"Ref": "HttpRole"}],
    )
    assert load()["Parameters"]["HttpPolicy"]["Default"] == "false"


def test_over_http_only_the_tags_of_a_policy_are_set() -> None:
    """Each of them, and neither the one that enrols a key nor the one that holds it."""
    (statement,) = statements("HttpPolicyPolicy")
    assert sorted(statement["Condition"]["ForAllValues:StringEquals"]["aws:TagKeys"]) == sorted(
        FIELDS.values()
    )


def test_only_managed_keys_can_be_written_to() -> None:
    """What changes a secret, or reads its value, has a condition on the tag."""
    for name in ("RotatePolicy", "HttpChangesPolicy", "HttpPolicyPolicy"):
        for statement in statements(name):
            reads = {"secretsmanager:DescribeSecret", "secretsmanager:ListSecretVersionIds"}
            reads |= {"secretsmanager:ListSecrets"}
            named = set(actions([statement]))
            if any(a.startswith("secretsmanager:") for a in named) and not named <= reads:
                tag = statement["Condition"]["StringEquals"]
                assert tag == {"aws:ResourceTag/daena.managed": "true"}


def test_nothing_is_allowed_to_delete() -> None:
    """No role has an action that deletes, and the bucket refuses those to everybody."""
    text = json.dumps(PERMISSIONS)
    deleting = set(re.findall(r"[a-z0-9]+:Delete\w+", text))
    assert deleting == {"secretsmanager:DeleteSecret"}
    functions = listed("scheduled", "http_changes", "http_policy", "platform")
    assert "secretsmanager:DeleteSecret" not in functions


def test_the_document_lists_the_same_actions() -> None:
    """docs/AWS.md names the actions of the functions and of people."""
    text = (ROOT / "docs" / "AWS.md").read_text()
    section = text.partition("## Permissions")[2].partition("\n## ")[0]
    found, service = set(), ""
    for word in re.findall(r"`([a-z0-9]*:?[A-Z][A-Za-z]+)`", section):
        before, colon, action = word.rpartition(":")
        service = before if colon else service
        found.add(f"{service}:{action}")
    assert found == listed("scheduled", "http_changes", "operator")
