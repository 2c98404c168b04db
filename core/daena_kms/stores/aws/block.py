"""Deny reading compromised versions in the secret's own resource policy.

Two statements of ours stand beside those of others, which stay unchanged. One denies reading by
version id, the other by the labels of ours that end in the version's mark. AWS's references
describe ``secretsmanager:VersionId`` as the id in the request, and ``VersionStage`` as a list: of
the stages in the request in one place, of the labels on the version in another. With a set
operator the statement on labels holds in both readings; a request by id alone is the first one's.
``BatchGetSecretValue`` takes no version and no label, so it can reach the current version alone.

https://docs.aws.amazon.com/service-authorization/latest/reference/list_awssecretsmanager.html
https://docs.aws.amazon.com/secretsmanager/latest/userguide/auth-and-access_iam-policies.html
https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_PutResourcePolicy.html
"""

import json
import threading
from typing import Any

from daena_kms.errors import ConfigError, StoreUnavailable
from daena_kms.rules.names import mark
from daena_kms.sdk.aws.client import AWS

BY_ID, BY_LABEL = "DaenaCompromisedIds", "DaenaCompromisedLabels"
MAX_POLICY = 20_480
_TRIES = 10
_READ = "secretsmanager:GetSecretValue"
#: By statement, the condition that it denies reading on.
_CONDITIONS = {
    BY_ID: ("StringEquals", "secretsmanager:VersionId"),
    BY_LABEL: ("ForAnyValue:StringLike", "secretsmanager:VersionStage"),
}


class Blocks:
    """Denies reading versions of one account's secrets."""

    def __init__(self, aws: AWS) -> None:
        self._aws = aws
        # PutResourcePolicy has no precondition: of two at once, one would undo the other.
        self._lock = threading.Lock()

    def block(self, key_id: str, version: str) -> None:
        """Deny reading a version, then check that it is denied. Idempotent.

        The check notices another process that writes the policy at the same moment, unless it
        writes after the check: AWS offers no precondition that would refuse that.
        """
        with self._lock:
            for _ in range(_TRIES):
                answer = self._call("get_resource_policy", key_id)
                text = answer.get("ResourcePolicy")
                wanted = blocked(text, version, key_id)
                if wanted is None:
                    return
                self._call("put_resource_policy", key_id, ResourcePolicy=wanted)
        msg = f"its resource policy does not deny the version after {_TRIES} attempts to write it"
        todo = "Find out what else writes the policy; the next run tries again"
        raise StoreUnavailable(msg, key_id=key_id, todo=todo)

    def _call(self, operation: str, key_id: str, **arguments: object) -> Any:
        return self._aws.call("secretsmanager", operation, key_id, SecretId=key_id, **arguments)


def blocked(text: str | None, version: str, key_id: str) -> str | None:
    """Return the policy that also denies reading ``version``; ``None`` if this one does.

    Raises:
        ConfigError: The policy is malformed, or would be too long.
    """
    policy = _parsed(text, key_id)
    stated = policy["Statement"]
    statements: list[Any] = list(stated) if isinstance(stated, list) else [stated]
    wanted = {BY_ID: version, BY_LABEL: f"daena-*-{mark(version)}"}
    ours = {sid: [s for s in statements if _is(s, sid)] for sid in wanted}
    if all(_denies(ours[sid], sid, value) for sid, value in wanted.items()):
        return None
    kept = [s for s in statements if not any(_is(s, sid) for sid in wanted)]
    new = [_statement(sid, [*_values(ours[sid], sid), v]) for sid, v in wanted.items()]
    after = json.dumps({**policy, "Statement": [*kept, *new]}, separators=(",", ":"))
    if len(after) > MAX_POLICY:
        msg = f"its resource policy would be longer than {MAX_POLICY} characters"
        todo = "Remove statements from it, or versions that no longer exist"
        raise ConfigError(msg, key_id=key_id, todo=todo)
    return after


def _parsed(text: str | None, key_id: str) -> dict[str, Any]:
    if not text:
        return {"Version": "2012-10-17", "Statement": []}
    try:
        policy = json.loads(text)
    except (ValueError, RecursionError):
        policy = None
    if not isinstance(policy, dict) or not isinstance(policy.get("Statement"), (list, dict)):
        msg = "its resource policy is malformed, so no statement can be added to it"
        todo = "Look at it with aws secretsmanager get-resource-policy"
        raise ConfigError(msg, key_id=key_id, todo=todo)
    return policy


def _statement(sid: str, values: list[str]) -> dict[str, Any]:
    operator, name = _CONDITIONS[sid]
    return {
        "Sid": sid,
        "Effect": "Deny",
        "Principal": "*",
        "Action": _READ,
        "Resource": "*",
        "Condition": {operator: {name: list(dict.fromkeys(values))}},
    }


def _is(statement: object, sid: str) -> bool:
    return isinstance(statement, dict) and statement.get("Sid") == sid


def _denies(statements: list[dict[str, Any]], sid: str, value: str) -> bool:
    """Whether a statement is still as we write it, and holds the value."""
    values = _values(statements, sid)
    return value in values and statements == [_statement(sid, values)]


def _values(statements: list[dict[str, Any]], sid: str) -> list[str]:
    """Return what statements of ours deny; one that somebody has rewritten denies nothing."""
    operator, name = _CONDITIONS[sid]
    denied: list[str] = []
    for statement in statements:  # somebody may have copied it
        conditions = statement.get("Condition")
        keys = conditions.get(operator) if isinstance(conditions, dict) else None
        values = keys.get(name) if isinstance(keys, dict) else None
        listed = values if isinstance(values, list) else [values]
        denied += [value for value in listed if isinstance(value, str)]
    return denied
