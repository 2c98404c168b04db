"""Identity policies of the simulated AWS: whether a caller may make a call.

As on AWS, a policy is evaluated before a secret is looked for: a name that no secret has comes
with no tag, so a permission under a condition on a tag is refused there.
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html and
https://github.com/jenkinsci/aws-secrets-manager-credentials-provider-plugin/issues/65

A caller without a policy may do everything. What these functions do not model raises.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from infra.local.aws.kms import Kms
from infra.local.aws.secrets_store import SecretStore
from infra.local.http_server import Request, Response
from infra.local.server import Operation, Refusal, Service

type Context = Mapping[str, Sequence[str]]

_ANY, _ALL = "ForAnyValue:", "ForAllValues:"
#: S3's action for an operation, where it has another name.
_ACTIONS = {
    "HeadObject": "GetObject",
    "ListObjectsV2": "ListBucket",
    "GetObjectLockConfiguration": "GetBucketObjectLockConfiguration",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What a policy decides on: an action, a resource, and the values of condition keys."""

    action: str
    resource: str
    context: Context = field(default_factory=dict)


@dataclass
class Policies:
    """The statements that hold for each access key."""

    attached: dict[str, list[Mapping[str, Any]]] = field(default_factory=dict)

    def attach(self, access_key: str, statements: Iterable[Mapping[str, Any]]) -> None:
        """Let a caller do what these statements allow, and nothing else."""
        self.attached[access_key] = list(statements)

    def allow(self, access_key: str, asked: Asked) -> bool:
        """Say whether a caller may make a call: a deny decides, and then an allow."""
        statements = self.attached.get(access_key)
        if statements is None:
            return True
        effects = {s["Effect"] for s in statements if _covers(s, asked)}
        return "Allow" in effects and "Deny" not in effects


class Guarded:
    """A service behind the policies of its callers."""

    def __init__(
        self, service: Service, policies: Policies, kms: Kms, secrets: SecretStore
    ) -> None:
        self._service = service
        self._policies = policies
        self._kms = kms
        self._secrets = secrets

    def claim(self, request: Request) -> Operation | None:
        """Return the operation if the request is for this service."""
        return self._service.claim(request)

    def perform(self, operation: Operation, request: Request) -> Response:
        """Carry the operation out if its caller may make it."""
        caller = access_key(request)
        if caller in self._policies.attached:
            asked = self._asked(operation)
            if asked is not None and not self._policies.allow(caller, asked):
                return self._service.refuse(Refusal.DENIED, operation)
        return self._service.perform(operation, request)

    def refuse(self, refusal: Refusal, operation: Operation) -> Response:
        """Return the service's own form of a general refusal."""
        return self._service.refuse(refusal, operation)

    def _asked(self, operation: Operation) -> Asked | None:
        """Return what is asked; ``None`` if nobody needs a permission for it."""
        if operation.service == "s3":
            return _of_s3(operation)
        if operation.service == "sts":  # GetCallerIdentity: "No permissions are required"
            return None
        action = f"{operation.service}:{operation.name}"
        if operation.service == "kms":
            return Asked(action, self._kms_key(operation))
        return self._of_secrets(action, operation)

    def _kms_key(self, operation: Operation) -> str:
        key = self._kms.resource(operation.params)
        return "*" if key is None else key

    def _of_secrets(self, action: str, operation: Operation) -> Asked:
        params: Mapping[str, Any] = operation.params
        name = params.get("SecretId") or params.get("Name")
        if name is None:
            return Asked(action, "*")
        secret = self._secrets.lookup(str(name))
        resource = self._secrets.arn_prefix + str(name) if secret is None else secret.arn
        tags = {} if secret is None else secret.tags
        given = {pair["Key"]: pair["Value"] for pair in params.get("Tags", ())}
        names = [*given, *params.get("TagKeys", ())]
        context: dict[str, Sequence[str]] = {
            **{f"aws:ResourceTag/{tag}": [value] for tag, value in tags.items()},
            **{f"aws:RequestTag/{tag}": [value] for tag, value in given.items()},
        }
        return Asked(action, resource, context | ({"aws:TagKeys": names} if names else {}))


def access_key(request: Request) -> str:
    """Return the access key that signed a request. The signature is not checked."""
    match = re.search(r"Credential=([^/]+)/", request.headers.get("authorization", ""))
    return match[1] if match else ""


def _of_s3(operation: Operation) -> Asked:
    params: Mapping[str, Any] = operation.params
    action = f"s3:{_ACTIONS.get(operation.name, operation.name)}"
    bucket = f"arn:aws:s3:::{params['Bucket']}"
    if "Key" in params:
        return Asked(action, f"{bucket}/{params['Key']}")
    return Asked(action, bucket, {"s3:prefix": [str(params.get("Prefix", ""))]})


def _covers(statement: Mapping[str, Any], asked: Asked) -> bool:
    if not {"Effect", "Action", "Resource"} <= statement.keys():
        raise NotImplementedError(sorted(statement))
    actions = [pattern.lower() for pattern in _listed(statement["Action"])]
    return (
        any(fnmatchcase(asked.action.lower(), pattern) for pattern in actions)
        and any(fnmatchcase(asked.resource, p) for p in _listed(statement["Resource"]))
        and all(
            _holds(operator, asked.context.get(key), _listed(wanted))
            for operator, keys in statement.get("Condition", {}).items()
            for key, wanted in keys.items()
        )
    )


def _holds(operator: str, given: Sequence[str] | None, wanted: list[str]) -> bool:
    """Say whether a condition holds for the values of its key; ``None``: the key is not there.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
    """
    if operator == "Null":
        return (given is None) == (wanted == ["true"])
    if operator.startswith(_ALL):  # "true if there are no context keys in the request"
        return all(_one(operator.removeprefix(_ALL), value, wanted) for value in given or ())
    return any(_one(operator.removeprefix(_ANY), value, wanted) for value in given or ())


def _one(operator: str, value: str, wanted: list[str]) -> bool:
    if operator in {"StringEquals", "Bool"}:
        return value in wanted
    if operator == "StringLike":
        return any(fnmatchcase(value, pattern) for pattern in wanted)
    raise NotImplementedError(operator)


def _listed(value: Any) -> list[str]:
    return list(value) if isinstance(value, list) else [value]
