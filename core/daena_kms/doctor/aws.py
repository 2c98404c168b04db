"""AWS: who we are, what the policies allow, and the state of the KMS key.

Permissions are tried by calls that can't take effect: a version that does not exist is read, a
label is moved to it, and a secret that does not exist is written to. AWS evaluates the policies
before it looks for the secret or the version, so only a caller who may make the call gets
ResourceNotFoundException. For the same reason, a refusal for a secret that does not exist proves
nothing: it has no tags, and a policy that asks for the tag ``daena.managed`` refuses it.
https://github.com/jenkinsci/aws-secrets-manager-credentials-provider-plugin/issues/65

The IAM policy simulator would answer without such a call, but it needs permissions that no rotator
should have, and it does not know the key policy of a KMS key.

https://docs.aws.amazon.com/IAM/latest/UserGuide/intro-structure.html
https://docs.aws.amazon.com/secretsmanager/latest/apireference/ lists each call's errors.
"""

import secrets
import string
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from daena_kms.doctor.base import Exam, ServerTime, server_time
from daena_kms.doctor.check import Check, Status, member
from daena_kms.doctor.function_url import FunctionUrl
from daena_kms.doctor.infrastructure import created_by
from daena_kms.doctor.kms_key import KmsKey
from daena_kms.doctor.permission import Permission, is_free, probe
from daena_kms.errors import DaenaKMSError, KeyNotFound
from daena_kms.rules.policy import MANAGED
from daena_kms.sdk.aws.client import AWS
from daena_kms.sdk.aws.errors import RefusedError

#: No key of ours has capitals in its name.
_LETTERS = string.ascii_uppercase + string.digits
#: Secrets Manager adds as many to a name in an ARN, so a policy for ``name-??????`` matches, too.
_ADDED = 6
_RECOVERY_DAYS = 30
#: No version has it.
_LABEL = "daena-doctor"
_SM, _WHO = "secretsmanager", "AWS"
_STACK = "aws:cloudformation:stack-name"


@dataclass(frozen=True, slots=True)
class _Subject:
    """What the calls name: a secret, and what is known of it now."""

    secret: str
    #: Whether it is there, so that a refusal is one for a key.
    there: bool
    #: Whether it also carries our tag at this moment: a listing may be minutes old.
    tagged: bool = False

    @property
    def shown(self) -> str:
        return self.secret if self.there else "a name that no key has"


class AwsExam(Exam):
    """The checks of Secrets Manager and KMS.

    Permissions that a rotation does not need: ``kms:DescribeKey`` and ``kms:GetKeyRotationStatus``
    on the KMS key. GetCallerIdentity needs none.

    https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html
    """

    def __init__(
        self,
        aws: AWS,
        kms_key: str | None,
        now: Callable[[], datetime],
        function_url: str | None = None,
    ) -> None:
        self._aws = aws
        self._url = FunctionUrl(aws, function_url)
        self._kms = KmsKey(aws, kms_key)
        self._now = now

    def credentials(self) -> Iterator[Check]:
        """Yield the caller's ARN and the region."""
        found = f"{member(self._caller(), 'Arn', _WHO)}, in {self._aws.region}"
        yield Check("credentials", Status.OK, found)

    def clock(self) -> ServerTime | None:
        """Return the time in an answer of STS."""
        answer = self._caller()
        member(answer, "Arn", _WHO)
        date = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
        return server_time(_WHO, date, self._now())

    def permissions(self, keys: Sequence[str]) -> Iterator[Check]:
        """Yield one check for each action on secrets, on the KMS key, and on the function's URL."""
        key = self._subject(keys)
        name = _made_up_name(key.secret if key is not None else None)
        made_up = _Subject(name, there=False)
        free = is_free(lambda: self._described(name))
        for permission in self._reading(key or made_up):
            yield probe(permission)
        for permission in self._writing(key, made_up, free=free):
            yield probe(permission)
        yield from self._kms.permissions()
        yield from self._url.permissions()

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
            for entry in member(page, "SecretList", _WHO)
            if {MANAGED, _STACK} <= {tag["Key"] for tag in entry.get("Tags", ())}
        )
        risk = "an update of its stack may reset the tags and the value to those in the template"
        todo = "Add the daena.* tags to the template, and do not change its value properties"
        yield from created_by("CloudFormation", keys, risk, todo)

    def _caller(self) -> Any:
        return self._aws.call("sts", "get_caller_identity", None)

    def _subject(self, keys: Sequence[str]) -> _Subject | None:
        """Return the first key as it is now; ``None`` if there is none, or it is gone."""
        if not keys:
            return None
        try:
            tags = self._described(keys[0]).get("Tags", ())
        except KeyNotFound:
            return None
        except DaenaKMSError:
            return _Subject(keys[0], there=True)
        tagged = {"Key": MANAGED, "Value": "true"} in tags
        return _Subject(keys[0], there=True, tagged=tagged)

    def _reading(self, on: _Subject) -> Iterator[Permission]:
        def permission(
            action: str, use: str, call: Callable[[], object], **more: Any
        ) -> Permission:
            given = {"always": True, "certain": on.there, "answered": True, **more}
            return Permission(f"{_SM}:{action}", use, call=call, on=on.shown, **given)

        use = "every rotation needs it"
        yield permission("DescribeSecret", use, lambda: self._described(on.secret))
        yield permission("ListSecretVersionIds", use, lambda: self._versions(on.secret))
        # A version that does not exist: no value is read.
        yield permission(
            "GetSecretValue",
            "for show --reveal, adopt and rollback",
            lambda: self._call("get_secret_value", on.secret, VersionId=_no_version()),
            always=False,
            certain=on.tagged,
            answered=False,
        )

    def _writing(
        self, key: _Subject | None, made_up: _Subject, *, free: bool
    ) -> Iterator[Permission]:
        every = "every rotation needs it"

        def permission(
            action: str, use: str, call: str, on: _Subject = made_up, **given: Any
        ) -> Permission:
            return Permission(
                f"{_SM}:{action}",
                use,
                always=use is every,
                # On a name that is not certainly free, it could take effect.
                call=(lambda: self._call(call, on.secret, **given)) if on.there or free else None,
                on=on.shown,
                certain=on.tagged,
                find=f"Look for {_SM}:{action} in the role, or ask IAM as docs/DOCTOR.md says",
            )

        tag = {"Key": MANAGED, "Value": "true"}
        # It can't be tried on a key: any value that is put makes a version.
        yield permission(
            "PutSecretValue",
            every,
            "put_secret_value",
            ClientRequestToken=_no_version(),
            SecretString="daena-kms doctor",
            VersionStages=["AWSPENDING"],
        )
        # No label can be moved to a version that does not exist.
        yield permission(
            "UpdateSecretVersionStage",
            every,
            "update_secret_version_stage",
            key or made_up,
            VersionStage=_LABEL,
            MoveToVersionId=_no_version(),
        )
        yield Permission(f"{_SM}:CreateSecret", "for create", always=False)
        yield permission("TagResource", "for create, adopt and hold", "tag_resource", Tags=[tag])
        yield permission("UntagResource", "for release", "untag_resource", TagKeys=["daena.hold"])
        yield permission(
            "DeleteSecret", "for delete", "delete_secret", RecoveryWindowInDays=_RECOVERY_DAYS
        )
        yield permission("RestoreSecret", "for restore", "restore_secret")

    def _described(self, name: str) -> Mapping[str, Any]:
        answer = self._aws.call(_SM, "describe_secret", None, SecretId=name)
        member(answer, "ARN", _WHO)
        described: Mapping[str, Any] = answer
        return described

    def _versions(self, name: str) -> None:
        member(self._call("list_secret_version_ids", name), "Versions", _WHO)

    def _call(self, operation: str, name: str, **given: Any) -> Any:
        """Call Secrets Manager.

        Raises:
            KeyNotFound: there is no such secret or version, or it is in a state that refuses the
                call. Either is said only to a caller who may make it.
        """
        try:
            return self._aws.call(_SM, operation, None, SecretId=name, **given)
        except RefusedError as error:
            if error.reason != "InvalidRequestException":
                raise
            state = KeyNotFound(error.what, todo=error.todo)
        raise state


def _no_version() -> str:
    return str(uuid.uuid4())


def _made_up_name(key: str | None) -> str:
    end = "".join(secrets.choice(_LETTERS) for _ in range(_ADDED))
    return f"{key or 'daena-kms-doctor'}-{end}"
