"""AWS: who we are, what the policies allow, and how the KMS key is.

Permissions are tried by calls that change nothing: reads of a version that is not there, and
writes to a secret that is not there. A request is carried out only after it was authorised, so
that ResourceNotFoundException is said to who may make the call. The IAM policy simulator would
answer without a call, but takes permissions of its own that nobody who rotates should have, and
knows no KMS key's policy.

https://docs.aws.amazon.com/IAM/latest/UserGuide/intro-structure.html
https://docs.aws.amazon.com/secretsmanager/latest/apireference/ lists each call's errors.
"""

import secrets
import string
import uuid
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any

from daena_kms.doctor.base import Exam, Told, told
from daena_kms.doctor.check import Check, Permission, Status, probe
from daena_kms.doctor.kms_key import KmsKey
from daena_kms.doctor.owners import owned
from daena_kms.errors import DaenaKMSError, KeyNotFound
from daena_kms.rules.policy import MANAGED
from daena_kms.sdk.aws.client import AWS
from daena_kms.sdk.aws.errors import RefusedError

#: No key of ours has capitals in its name.
_LETTERS = string.ascii_uppercase + string.digits
#: As many as Secrets Manager adds to a name in an ARN, so that a policy for ``name-??????`` fits.
_ADDED = 6
_RECOVERY_DAYS = 30
_SM = "secretsmanager"
_STACK = "aws:cloudformation:stack-name"


class AwsExam(Exam):
    """The questions for Secrets Manager and KMS.

    Permissions of its own, none of which a rotation needs: ``kms:DescribeKey`` and
    ``kms:GetKeyRotationStatus`` on the KMS key. GetCallerIdentity needs none.

    https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html
    """

    def __init__(self, aws: AWS, kms_key: str | None, now: Callable[[], datetime]) -> None:
        self._aws = aws
        self._kms = KmsKey(aws, kms_key)
        self._now = now

    def credentials(self) -> Iterator[Check]:
        """Ask who the caller is."""
        answer = self._aws.call("sts", "get_caller_identity", None)
        found = f"{answer['Arn']}, in {self._aws.region}"
        yield Check("credentials", Status.OK, found)

    def clock(self) -> Told | None:
        """Read the date of an answer of STS."""
        answer = self._aws.call("sts", "get_caller_identity", None)
        date = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
        return told("AWS", date, self._now())

    def permissions(self, keys: Sequence[str]) -> Iterator[Check]:
        """Try each action on secrets, and those of KMS."""
        key = keys[0] if keys else None
        nobody = _free_name(key)
        absent, trusted = self._look_for(nobody)
        for permission in self._permissions(key, nobody, absent=absent):
            yield probe(permission, trusted=trusted)
        yield from self._kms.permissions()

    def encryption(self) -> Iterator[Check]:
        """Look at the KMS key's state and rotation."""
        return self._kms.checks()

    def places(self) -> Iterator[Check]:
        """Look for keys of CloudFormation's stacks, which it marks; Terraform leaves no mark.

        https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-properties-resource-tags.html
        """
        filters = [{"Key": "tag-key", "Values": [MANAGED]}]
        pages = self._aws.pages(_SM, "list_secrets", Filters=filters, MaxResults=100)
        found = (
            str(entry["Name"])
            for page in pages
            for entry in page["SecretList"]
            if {MANAGED, _STACK} <= {tag["Key"] for tag in entry.get("Tags", ())}
        )
        means = "an update of its stack may set the tags and the value as the template has them"
        todo = (
            "Write the daena.* tags into the template too, and leave its value's properties alone"
        )
        yield from owned(found, "CloudFormation", means, todo)

    def _look_for(self, name: str) -> tuple[bool, bool]:
        """Say whether there certainly is no secret of a name, and if a refusal of it has meaning.

        It has none where policies name each secret or ask for its tags.
        """
        try:
            self._call("describe_secret", SecretId=name)
        except KeyNotFound:
            return True, True
        except DaenaKMSError:
            return False, False
        return False, False

    def _permissions(self, key: str | None, nobody: str, *, absent: bool) -> Iterator[Permission]:
        known, certain = key or nobody, key is not None
        version = str(uuid.uuid4())

        def rotating(action: str, call: str, *, there: bool, **given: Any) -> Permission:
            name = known if there else nobody
            return Permission(
                f"{_SM}:{action}",
                "every rotation needs it",
                always=True,
                call=lambda: self._call(call, SecretId=name, **given),
                certain=there and certain,
            )

        def personal(action: str, commands: str, call: str, **given: Any) -> Permission:
            return Permission(
                f"{_SM}:{action}",
                f"for {commands}",
                always=False,
                # Only on a name that is certainly free.
                call=(lambda: self._call(call, SecretId=nobody, **given)) if absent else None,
                certain=False,
            )

        yield rotating("DescribeSecret", "describe_secret", there=True)
        yield rotating("ListSecretVersionIds", "list_secret_version_ids", there=True)
        yield rotating(
            "PutSecretValue",
            "put_secret_value",
            there=False,
            ClientRequestToken=version,
            SecretString="daena-kms doctor",
            VersionStages=["AWSPENDING"],
        )
        yield rotating(
            "UpdateSecretVersionStage",
            "update_secret_version_stage",
            there=False,
            VersionStage="AWSPENDING",
            MoveToVersionId=version,
        )
        # A version that is not there: no value is read.
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
        """Call Secrets Manager; that it makes no sense in a secret's state is an answer, too."""
        try:
            self._aws.call(_SM, operation, None, **given)
        except RefusedError as error:
            if error.reason != "InvalidRequestException":
                raise


def _free_name(key: str | None) -> str:
    end = "".join(secrets.choice(_LETTERS) for _ in range(_ADDED))
    return f"{key or 'daena-kms-doctor'}-{end}"
