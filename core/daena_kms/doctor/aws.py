"""AWS: who we are, what the policies allow, and the state of the KMS key.

Permissions are tried by calls that change nothing: reads of a version that does not exist, and
writes to a secret that does not exist. AWS authorises a request before it looks for the secret, so
only a caller who may make the call gets ResourceNotFoundException. The IAM policy simulator would
answer without such a call, but it needs permissions that no rotator should have, and it does not
know the key policy of a KMS key.

https://docs.aws.amazon.com/IAM/latest/UserGuide/intro-structure.html
https://docs.aws.amazon.com/secretsmanager/latest/apireference/ lists each call's errors.
"""

import secrets
import string
import uuid
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any

from daena_kms.doctor.base import Exam, ServerTime, server_time
from daena_kms.doctor.check import Check, Status
from daena_kms.doctor.infrastructure import created_by
from daena_kms.doctor.kms_key import KmsKey
from daena_kms.doctor.permission import Look, Permission, look, probe
from daena_kms.rules.policy import MANAGED
from daena_kms.sdk.aws.client import AWS
from daena_kms.sdk.aws.errors import RefusedError

#: No key of ours has capitals in its name.
_LETTERS = string.ascii_uppercase + string.digits
#: Secrets Manager adds as many to a name in an ARN, so a policy for ``name-??????`` matches, too.
_ADDED = 6
_RECOVERY_DAYS = 30
_SM = "secretsmanager"
_STACK = "aws:cloudformation:stack-name"


class AwsExam(Exam):
    """The checks of Secrets Manager and KMS.

    Permissions that a rotation does not need: ``kms:DescribeKey`` and ``kms:GetKeyRotationStatus``
    on the KMS key. GetCallerIdentity needs none.

    https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html
    """

    def __init__(self, aws: AWS, kms_key: str | None, now: Callable[[], datetime]) -> None:
        self._aws = aws
        self._kms = KmsKey(aws, kms_key)
        self._now = now

    def credentials(self) -> Iterator[Check]:
        """Yield the caller's ARN and the region."""
        answer = self._aws.call("sts", "get_caller_identity", None)
        found = f"{answer['Arn']}, in {self._aws.region}"
        yield Check("credentials", Status.OK, found)

    def clock(self) -> ServerTime | None:
        """Return the time in an answer of STS."""
        answer = self._aws.call("sts", "get_caller_identity", None)
        date = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
        return server_time("AWS", date, self._now())

    def permissions(self, keys: Sequence[str]) -> Iterator[Check]:
        """Yield one check for each action on secrets, and for those on the KMS key."""
        key = keys[0] if keys else None
        made_up = _made_up_name(key)
        seen = look(lambda: self._call("describe_secret", SecretId=made_up))
        for permission in self._permissions(key, made_up, seen):
            yield probe(permission, trusted=seen.trusted)
        yield from self._kms.permissions()

    def encryption(self) -> Iterator[Check]:
        """Yield the KMS key's state and rotation."""
        return self._kms.checks()

    def infrastructure(self) -> Iterator[Check]:
        """Yield which keys CloudFormation created: it tags them. Terraform leaves no mark.

        https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-properties-resource-tags.html
        """
        filters = [{"Key": "tag-key", "Values": [MANAGED]}]
        pages = self._aws.pages(_SM, "list_secrets", Filters=filters, MaxResults=100)
        keys = (
            str(entry["Name"])
            for page in pages
            for entry in page["SecretList"]
            if {MANAGED, _STACK} <= {tag["Key"] for tag in entry.get("Tags", ())}
        )
        risk = "an update of its stack may reset the tags and the value to those in the template"
        todo = "Add the daena.* tags to the template, and do not change its value properties"
        yield from created_by("CloudFormation", keys, risk, todo)

    def _permissions(self, key: str | None, made_up: str, seen: Look) -> Iterator[Permission]:
        known, certain = key or made_up, key is not None
        version = str(uuid.uuid4())

        def rotating(action: str, call: str, *, reads: bool, **given: Any) -> Permission:
            name = known if reads else made_up
            return Permission(
                f"{_SM}:{action}",
                "every rotation needs it",
                always=True,
                call=lambda: self._call(call, SecretId=name, **given),
                certain=reads and certain,
            )

        def personal(action: str, commands: str, call: str, **given: Any) -> Permission:
            return Permission(
                f"{_SM}:{action}",
                f"for {commands}",
                always=False,
                # Only on a name that is certainly free.
                call=(lambda: self._call(call, SecretId=made_up, **given)) if seen.free else None,
                certain=False,
            )

        yield rotating("DescribeSecret", "describe_secret", reads=True)
        yield rotating("ListSecretVersionIds", "list_secret_version_ids", reads=True)
        yield rotating(
            "PutSecretValue",
            "put_secret_value",
            reads=False,
            ClientRequestToken=version,
            SecretString="daena-kms doctor",
            VersionStages=["AWSPENDING"],
        )
        yield rotating(
            "UpdateSecretVersionStage",
            "update_secret_version_stage",
            reads=False,
            VersionStage="AWSPENDING",
            MoveToVersionId=version,
        )
        # A version that does not exist: no value is read.
        yield Permission(
            f"{_SM}:GetSecretValue",
            "for show --reveal, adopt and rollback",
            always=False,
            call=lambda: self._call("get_secret_value", SecretId=known, VersionId=version),
            certain=certain,
        )
        tag = {"Key": "daena.managed", "Value": "true"}
        yield Permission(f"{_SM}:CreateSecret", "for create", always=False)
        yield personal("TagResource", "create, adopt and hold", "tag_resource", Tags=[tag])
        yield personal("UntagResource", "release", "untag_resource", TagKeys=["daena.hold"])
        yield personal(
            "DeleteSecret", "delete", "delete_secret", RecoveryWindowInDays=_RECOVERY_DAYS
        )
        yield personal("RestoreSecret", "restore", "restore_secret")

    def _call(self, operation: str, **given: Any) -> None:
        """Call Secrets Manager; a refusal for the secret's state also proves the permission."""
        try:
            self._aws.call(_SM, operation, None, **given)
        except RefusedError as error:
            if error.reason != "InvalidRequestException":
                raise


def _made_up_name(key: str | None) -> str:
    end = "".join(secrets.choice(_LETTERS) for _ in range(_ADDED))
    return f"{key or 'daena-kms-doctor'}-{end}"
