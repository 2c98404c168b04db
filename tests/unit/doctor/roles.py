"""The policies that this project deploys or recommends on AWS, as IAM would have them."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infra.local.aws.sim import ACCOUNT, BUCKET, REGION
from tests.infra.template import statements

ROOT = Path(__file__).parents[3]
_LIST = ROOT / "infra" / "permissions" / "aws.json"
_SUBSTITUTED = re.compile(r"\$\{([^}]+)\}")
_SECRETS = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:"
_AUDIT = f"arn:aws:s3:::{BUCKET}"
#: docs/AWS.md: "A condition on aws:ResourceTag/daena.managed can limit writing".
TAGGED = {"StringEquals": {"aws:ResourceTag/daena.managed": "true"}}
#: What the list for machines calls these, for a secret whose name begins with ``app-``.
_PLACES = {
    "any": "*",
    "secrets": f"{_SECRETS}app-*",
    "audit-objects": f"{_AUDIT}/daena/log/*",
    "audit-bucket": _AUDIT,
}
#: Actions that change a secret.
_WRITES = tuple(
    f"secretsmanager:{verb}" for verb in ("Put", "Update", "Tag", "Untag", "Delete", "Restore")
)

type Statements = list[dict[str, Any]]


def of_template(kms_key: str, *policies: str, prefix: str = "") -> Statements:
    """Return the statements of policies in the SAM template."""
    known = {
        "AWS::Partition": "aws",
        "AWS::Region": REGION,
        "AWS::AccountId": ACCOUNT,
        "AWS::URLSuffix": "amazonaws.com",
        "KeyPrefix": prefix,
        "AuditPrefix": "daena",
        "Key.Arn": kms_key,
        "AuditBucket.Arn": _AUDIT,
        "Http.Arn": HTTP,
    }
    return [_resolved(statement, known) for name in policies for statement in statements(name)]


#: The function that answers the HTTP API.
HTTP = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:daena-http"


def of_list(kms_key: str, *parts: str, named: bool = False, tagged: bool = False) -> Statements:
    """Return what the list for machines says, with a condition that the guide recommends.

    Args:
        kms_key: the ARN of the KMS key.
        parts: who acts.
        named: whether the policy names each secret, with the six characters of its ARN.
        tagged: whether writing takes the tag.
    """
    table = json.loads(_LIST.read_text())
    places = _PLACES | {"kms": kms_key}
    if named:
        places["secrets"] = f"{_SECRETS}app-key-??????"
    found: Statements = []
    for row in (row for part in parts for row in table[part]):
        for action in row["actions"]:
            statement = {"Effect": "Allow", "Action": action, "Resource": places[row["resource"]]}
            if tagged and action.startswith(_WRITES):
                statement["Condition"] = TAGGED
            found.append(statement)
    return found


def without(policy: Statements, action: str) -> Statements:
    """Return the same policy, in which one action is denied to everything."""
    return [*policy, {"Effect": "Deny", "Action": action, "Resource": "*"}]


def _resolved(value: Any, known: Mapping[str, str]) -> Any:
    """Return a part of the template with CloudFormation's functions carried out."""
    if isinstance(value, list):
        return [_resolved(each, known) for each in value]
    if not isinstance(value, dict):
        return value
    match list(value.items()):
        case [("Fn::Sub", text)]:
            return _SUBSTITUTED.sub(lambda found: known[found[1]], text)
        case [("Fn::GetAtt" | "Ref", name)]:
            return known[name if isinstance(name, str) else ".".join(name)]
    return {name: _resolved(each, known) for name, each in value.items()}
