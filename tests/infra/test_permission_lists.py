"""Least privilege: what the roles may do is what is called, none missing and none unused."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from infra.local.aws.sim import ACCESS_KEY
from tests.functions.aws_world import FUNCTION_KEY
from tests.infra.built import ROOT
from tests.infra.template import load, resources, statements

#: What nobody calls by name, but Secrets Manager does in the caller's name under a KMS key.
#: docs.aws.amazon.com/secretsmanager/latest/userguide/security-encryption.html
INDIRECT = {"kms:Decrypt"}
#: What a test does to have something to test on, with a client that the adapter has too.
ARRANGED = {"kms:CreateKey"}
#: Of those suites, what runs on the simulated AWS; what depends on the pace proves nothing here.
SELECTION = "not (local or azure or gcp or ministack or seed or no_time_left)"
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


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, set[str]]]:
    """Run the contract suite on AWS, the handlers' tests and those of operations."""
    file = tmp_path_factory.mktemp("calls") / "calls.json"
    suites = ["contract", *(f"functions/test_handler_{n}.py" for n in ("scheduled", "http"))]
    suites += ["infra/aws_operations.py"]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.infra.recorder", "-n", "0"]
    command += ["-p", "no:cacheprovider", "-k", SELECTION]
    # A worker of this run's own must not be taken for one of that.
    surroundings = {name: v for name, v in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(
        [*command, *(f"tests/{name}" for name in suites)],
        cwd=ROOT,
        env={**surroundings, "DAENA_RECORD_CALLS": str(file)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    yield {key: set(called) for key, called in json.loads(file.read_text()).items()}
    file.unlink()


def test_what_the_functions_call_is_what_their_role_may_do(recorded: dict[str, set[str]]) -> None:
    """The handlers' own calls: none is missing from the list, none in it is unused."""
    allowed = listed("scheduled") - INDIRECT
    assert recorded[FUNCTION_KEY] - listed("http_changes") == allowed


def test_what_is_called_at_all_is_listed(recorded: dict[str, set[str]]) -> None:
    """Everything that any operation calls, people's included: none missing, none unused."""
    called = (recorded[ACCESS_KEY] | recorded[FUNCTION_KEY]) - ARRANGED
    assert called == listed("scheduled", "http_changes", "operator") - INDIRECT


def test_what_changes_over_http_need_beside_a_rotation(recorded: dict[str, set[str]]) -> None:
    """Hold, release and roll back: none missing, none unused."""
    assert recorded["AKIDCHANGES"] - listed("scheduled") == listed("http_changes")


@pytest.mark.parametrize(
    ("part", "document"),
    [
        ("scheduled", statements("RotatePolicy")),
        ("http_changes", statements("HttpChangesPolicy")),
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


def test_only_managed_keys_can_be_written_to() -> None:
    """What changes a secret, or reads its value, has a condition on the tag."""
    for name in ("RotatePolicy", "HttpChangesPolicy"):
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
    assert "secretsmanager:DeleteSecret" not in listed("scheduled", "http_changes", "platform")


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
