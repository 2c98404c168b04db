"""On AWS: what the module's policies allow is what is called: none missing, none unused."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from daena_kms.doctor import Status, examine

from infra.local.aws.sim import ACCESS_KEY, ACCOUNT, BUCKET, AwsSimulator
from tests.faults.permissions import INDIRECT, aws_used
from tests.infra import lives
from tests.infra.deployed import Plans, Tree, listed, of_type
from tests.worlds.aws import AwsWorld

OLDER = "older-key"
#: The account of the mocked provider.
MOCKED = "111122223333"
Policies = dict[str, list[dict[str, Any]]]

#: How the module's statements name what the list for machines names in words.
PLACES = {
    "ListSecrets": "any",
    "LookAtSecrets": "secrets",
    "RotateManagedSecrets": "secrets",
    "RollBackManagedSecrets": "secrets",
    "HoldAndReleaseManagedSecrets": "secrets",
    "SetPoliciesOfManagedSecrets": "secrets",
    "GenerateDataKeys": "kms",
    "DecryptThroughSecretsManager": "kms",
    "AddToTheAuditLog": "audit-objects",
    "ListTheAuditLog": "audit-bucket",
    "Log": "log-group",
    "DeadLetters": "dead-letters",
    "StartTheRun": "scheduled-function",
}


def _policies(planned: list[dict[str, Any]]) -> Policies:
    found = of_type(planned, "aws_iam_role_policy")
    return {role["name"]: json.loads(role["policy"])["Statement"] for _, role in found}


@pytest.fixture(scope="module")
def plans(tmp_path_factory: pytest.TempPathFactory) -> Plans:
    """What Terraform plans, by the run of the module's test."""
    return Tree.copied(tmp_path_factory.mktemp("terraform") / "tree").permissions("aws")


@pytest.fixture(scope="module")
def plain(plans: Plans) -> Policies:
    """The statements of each role's policy, as Terraform plans them by default."""
    return _policies(plans["rotator"])


@pytest.fixture(scope="module")
def more(plans: Plans) -> Policies:
    """The same, where the API may change keys."""
    return _policies(plans["http_changes"])


@pytest.fixture(scope="module")
def policy(plans: Plans) -> Policies:
    """The same, where the API may change policies, and nothing else beside."""
    return _policies(plans["http_policy"])


@pytest.fixture
def aws() -> Iterator[AwsWorld]:
    """Give an AWS with the keys of an operator."""
    with AwsSimulator() as sim:
        world = AwsWorld(sim)
        lives.prepare(world)
        # Of a secret that others write, a listing may leave open how old its versions are.
        world.foreign(OLDER, "x" * 43, lives.BY_TAG)
        world.secrets.tag_resource(SecretId=OLDER, Tags=[{"Key": "owner", "Value": "them"}])
        yield world


def _pairs(statements: list[dict[str, Any]]) -> set[tuple[str, str]]:
    return {(action, PLACES[s["Sid"]]) for s in statements for action in s["Action"]}


def _actions(statements: list[dict[str, Any]]) -> set[str]:
    return {action for action, _ in _pairs(statements)}


def calls_of(world: AwsWorld, life: Callable[[AwsWorld], None]) -> set[str]:
    """Return the actions that a life's calls took."""
    world.sim.calls.clear()
    life(world)
    return aws_used(world)


def _functions_run(world: AwsWorld) -> None:
    world.adapter.store.describe(OLDER, exact=True)
    lives.functions_run(world)


def test_the_lists_say_what_is_deployed(plain: Policies, more: Policies, policy: Policies) -> None:
    """infra/permissions/aws.json names, place by place, what the policies allow."""
    platform = listed("aws", "platform")
    log = {pair for pair in platform if pair[1] == "log-group"}
    assert _pairs(plain["scheduled"]) == listed("aws", "scheduled") | platform
    assert _pairs(plain["http"]) == listed("aws", "scheduled") | log
    assert _pairs(more["http"]) == listed("aws", "scheduled", "http_changes") | log
    assert _pairs(policy["http"]) == listed("aws", "scheduled", "http_policy") | log
    assert policy["scheduled"] == plain["scheduled"]
    assert _pairs(plain["scheduler"]) == listed("aws", "scheduler")
    assert more["scheduled"] == plain["scheduled"]


def test_the_functions_call_what_they_may(aws: AwsWorld, plain: Policies) -> None:
    """A run and the API take exactly what the scheduled function may, but for the platform's."""
    allowed = _actions(plain["scheduled"]) - {action for action, _ in listed("aws", "platform")}
    assert calls_of(aws, _functions_run) == allowed - INDIRECT
    assert allowed >= INDIRECT


def test_the_api_reads_values_only_where_it_may(
    aws: AwsWorld, plain: Policies, more: Policies
) -> None:
    """Hold, release and rolling back take what `http_changes` gives, and nothing else."""
    changes = _actions(more["http"]) - _actions(plain["http"])
    assert calls_of(aws, lives.changes) - _actions(plain["http"]) == changes
    assert changes == {action for action, _ in listed("aws", "http_changes")}


def test_the_api_changes_policies_only_where_it_may(
    aws: AwsWorld, plain: Policies, policy: Policies
) -> None:
    """A change of a policy takes what `http_policy` gives, and nothing else."""
    more = _actions(policy["http"]) - _actions(plain["http"])
    assert calls_of(aws, lives.change_policy) - _actions(plain["http"]) == more
    assert more == {action for action, _ in listed("aws", "http_policy")}


def test_the_doctor_finds_nothing_wrong_with_the_roles(
    aws: AwsWorld,
    monkeypatch: pytest.MonkeyPatch,
    plain: Policies,
    more: Policies,
    policy: Policies,
) -> None:
    """What it can't tell for the condition on the tag is unknown."""
    aws.lead(monkeypatch, DAENA_OPERATOR="tester")
    monkeypatch.setenv("DAENA_KMS_AUDIT_URL", f"s3://{BUCKET}")
    unchanged = aws.state()
    for role in (plain["scheduled"], plain["http"], more["http"], policy["http"]):
        aws.sim.policies.attach(ACCESS_KEY, _here(role, aws.kms_key))
        found = {c.name: c for c in examine("aws") if c.name.startswith(("permission", "audit"))}
        assert [c for c in found.values() if c.status is Status.WRONG] == []
        assert found["permission secretsmanager:PutSecretValue"].status is Status.UNKNOWN
        assert found["permission secretsmanager:UpdateSecretVersionStage"].status is Status.OK
    assert aws.state() == unchanged


def _here(role: list[dict[str, Any]], kms_key: str) -> list[dict[str, Any]]:
    """Return a role's statements for the simulator's account, key and bucket."""
    text = json.dumps(role)
    for theirs, ours in (
        (f"daena-kms-audit-{MOCKED}-eu-central-1", BUCKET),
        ("1234abcd-12ab-34cd-56ef-1234567890ab", kms_key),
        (MOCKED, ACCOUNT),
    ):
        assert theirs in text
        text = text.replace(theirs, ours)
    statements: list[dict[str, Any]] = json.loads(text)
    return statements
