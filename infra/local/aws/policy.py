"""A secret's resource policy, as far as it denies reading one version or label."""

import json
import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from infra.local.aws.protocol import AwsError

# docs.aws.amazon.com/service-authorization/latest/reference/list_awssecretsmanager.html
CONDITION_KEYS = {"secretsmanager:VersionId", "secretsmanager:VersionStage"}
OPERATORS = {"StringEquals", "ForAnyValue:StringEquals", "ForAnyValue:StringLike"}
# "The Sid element supports ASCII uppercase letters (A-Z), lowercase letters (a-z), and numbers
# (0-9)", and "must be unique within a JSON policy":
# docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_sid.html
SID = re.compile(r"[A-Za-z0-9]+", re.ASCII)
ACTIONS = {"secretsmanager:GetSecretValue", "secretsmanager:*", "*"}


def check(policy: str) -> None:
    """Refuse what is no policy, and what ``denies`` would not understand."""
    statements = _statements(policy)
    sids = [sid for statement in statements if (sid := statement.get("Sid")) is not None]
    if len(set(map(str, sids))) < len(sids) or not all(SID.fullmatch(str(sid)) for sid in sids):
        raise _malformed()
    for statement in statements:
        if statement.get("Effect") not in ("Allow", "Deny") or "Action" not in statement:
            raise _malformed()
        if "Principal" not in statement or "Resource" not in statement:
            raise _malformed()
        for operator, keys in _conditions(statement).items():
            if operator not in OPERATORS or not keys.keys() <= CONDITION_KEYS:
                raise _malformed()


def denies(policy: str, request: Mapping[str, Sequence[str]]) -> bool:
    """Say whether a Deny statement covers reading with these values of condition keys."""
    return any(
        statement["Effect"] == "Deny"
        and not ACTIONS.isdisjoint(_listed(statement["Action"]))
        and all(
            _matches(operator, request.get(key, ()), _listed(wanted))
            for operator, keys in _conditions(statement).items()
            for key, wanted in keys.items()
        )
        for statement in _statements(policy)
    )


def _matches(operator: str, given: Sequence[str], wanted: list[object]) -> bool:
    """Say whether any of the given values is wanted; a key that is not there matches nothing."""
    if not operator.startswith("ForAnyValue:") and len(given) > 1:
        return False  # "don't use" it with several values: what AWS does then is not documented
    if operator.endswith("StringLike"):
        return any(fnmatchcase(value, str(pattern)) for value in given for pattern in wanted)
    return any(value in wanted for value in given)


def _statements(policy: str) -> list[dict[str, object]]:
    try:
        document = json.loads(policy)
    except ValueError:
        raise _malformed() from None
    statements = document.get("Statement") if isinstance(document, dict) else None
    # One statement may stand without a list: IAM/latest/UserGuide/reference_policies_grammar.html
    statements = [statements] if isinstance(statements, dict) else statements
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
