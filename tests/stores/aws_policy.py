"""A secret's resource policy, as far as it denies reading one version or label."""

import json
from collections.abc import Mapping

from tests.stores.aws_json import AwsError

# docs.aws.amazon.com/service-authorization/latest/reference/list_awssecretsmanager.html
CONDITION_KEYS = {"secretsmanager:VersionId", "secretsmanager:VersionStage"}
OPERATORS = {"StringEquals", "ForAnyValue:StringEquals"}
ACTIONS = {"secretsmanager:GetSecretValue", "secretsmanager:*", "*"}


def check(policy: str) -> None:
    """Refuse what is no policy, and what ``denies`` would not understand."""
    for statement in _statements(policy):
        if statement.get("Effect") not in ("Allow", "Deny") or "Action" not in statement:
            raise _malformed()
        if "Principal" not in statement or "Resource" not in statement:
            raise _malformed()
        for operator, keys in _conditions(statement).items():
            if operator not in OPERATORS or not keys.keys() <= CONDITION_KEYS:
                raise _malformed()


def denies(policy: str, request: Mapping[str, str]) -> bool:
    """Say whether a Deny statement covers reading with these condition keys."""
    return any(
        statement["Effect"] == "Deny"
        and not ACTIONS.isdisjoint(_listed(statement["Action"]))
        and all(
            request.get(key) in _listed(values)
            for keys in _conditions(statement).values()
            for key, values in keys.items()
        )
        for statement in _statements(policy)
    )


def _statements(policy: str) -> list[dict[str, object]]:
    try:
        document = json.loads(policy)
    except ValueError:
        raise _malformed() from None
    statements = document.get("Statement") if isinstance(document, dict) else None
    if not isinstance(statements, list) or not all(isinstance(s, dict) for s in statements):
        raise _malformed()
    return statements


def _conditions(statement: Mapping[str, object]) -> dict[str, dict[str, object]]:
    conditions = statement.get("Condition", {})
    if not isinstance(conditions, dict) or not all(
        isinstance(keys, dict) for keys in conditions.values()
    ):
        raise _malformed()
    return conditions


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]


def _malformed() -> AwsError:
    return AwsError("MalformedPolicyDocumentException", "This policy is malformed or not modelled.")
