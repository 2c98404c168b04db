"""The KMS key beneath the secrets: what may be done with it, its state, and its own rotation."""

from collections.abc import Iterator
from typing import Any

from daena_kms.doctor.check import Check, Permission, Status, failed, probe
from daena_kms.errors import AccessDenied, DaenaKMSError
from daena_kms.sdk.aws.client import AWS
from daena_kms.sdk.aws.errors import FailedError

_NAME, _ROTATION = "KMS key", "KMS key rotation"
#: What a call with DryRun answers when it would have succeeded.
_WOULD = "DryRunOperationException"
_BYTES = 32


class KmsKey:
    """One key, as ``AWS_KMS_KEY_ID`` names it, or none.

    ``DryRun`` tries a permission, the key's policy and its state together, exactly.
    https://docs.aws.amazon.com/kms/latest/developerguide/testing-permissions.html
    """

    def __init__(self, aws: AWS, key: str | None) -> None:
        self._aws = aws
        self._key = key

    def permissions(self) -> Iterator[Check]:
        """Try what a rotation does with it."""
        if self._key is None:
            yield probe(
                Permission(
                    "kms:GenerateRandom",
                    "new values come from it where there is no KMS key of one's own",
                    always=True,
                    call=lambda: self._aws.call("kms", "generate_random", None, NumberOfBytes=1),
                )
            )
            return
        yield probe(
            Permission(
                "kms:GenerateDataKey",
                "new values come from it, and Secrets Manager encrypts by it",
                always=True,
                call=self._generate,
            )
        )
        yield self._decrypt()

    def checks(self) -> Iterator[Check]:
        """Yield its state and its rotation."""
        if self._key is None:
            found = (
                "none of your own: the account's aws/secretsmanager, which AWS rotates by itself"
            )
            yield Check(_NAME, Status.OK, found)
            return
        try:
            described = self._aws.call("kms", "describe_key", None, KeyId=self._key)["KeyMetadata"]
        except AccessDenied:
            yield _unseen(_NAME, "kms:DescribeKey")
            # An id or ARN serves as well; an alias does not.
            if "alias/" in self._key:
                yield _unseen(_ROTATION, "kms:DescribeKey, as an alias alone does not do")
                return
            described = {"Arn": self._key}
        except DaenaKMSError as error:
            yield failed(_NAME, error)
            return
        else:
            yield _state(described)
        yield self._rotation(described)

    def _generate(self) -> None:
        try:
            self._aws.call(
                "kms",
                "generate_data_key",
                None,
                KeyId=self._key,
                NumberOfBytes=_BYTES,
                DryRun=True,
            )
        except FailedError as error:
            if error.reason != _WOULD:
                raise

    def _decrypt(self) -> Check:
        """Try to decrypt a data key of our own, of which nothing is kept."""
        name = "permission kms:Decrypt"
        try:
            made = self._aws.call(
                "kms", "generate_data_key", None, KeyId=self._key, NumberOfBytes=_BYTES
            )
            blob = made["CiphertextBlob"]
            self._aws.call("kms", "decrypt", None, CiphertextBlob=blob, DryRun=True)
        except FailedError as error:
            if error.reason == _WOULD:
                return Check(name, Status.OK, "allowed")
            return failed(name, error, Status.UNKNOWN)
        except AccessDenied:
            found = (
                "refused when asked directly, which is right for who may use it by way of "
                "Secrets Manager alone (kms:ViaService)"
            )
            todo = "Look for kms:Decrypt in the role and the key's policy"
            return Check(name, Status.UNKNOWN, found, todo)
        except DaenaKMSError as error:
            return failed(name, error, Status.UNKNOWN)
        return Check(name, Status.OK, "allowed")

    def _rotation(self, described: dict[str, Any]) -> Check:
        if described.get("KeyManager") == "AWS":
            return Check(_ROTATION, Status.OK, "an AWS managed key, which AWS rotates by itself")
        try:
            answer = self._aws.call("kms", "get_key_rotation_status", None, KeyId=described["Arn"])
        except AccessDenied:
            return _unseen(_ROTATION, "kms:GetKeyRotationStatus")
        except DaenaKMSError as error:
            if getattr(error, "reason", "") != "UnsupportedOperationException":
                return failed(_ROTATION, error, Status.UNKNOWN)
            found = (
                "this key can't rotate by itself (imported material, or a key store of one's own)"
            )
            return Check(_ROTATION, Status.WARNING, found, "Rotate it by hand, by an alias")
        if answer["KeyRotationEnabled"]:
            days = answer.get("RotationPeriodInDays")
            every = f" every {days} d" if days else ""
            return Check(_ROTATION, Status.OK, f"on{every}")
        todo = "Run: aws kms enable-key-rotation --key-id, with the key's id"
        return Check(_ROTATION, Status.WRONG, "off", todo)


def _state(described: dict[str, Any]) -> Check:
    state = str(described["KeyState"])
    if state == "Enabled":
        return Check(_NAME, Status.OK, "enabled")
    if state == "PendingDeletion":
        when = described.get("DeletionDate")
        found = f"to be deleted at {when}: then no value under it can be read any more"
        todo = "Run: aws kms cancel-key-deletion, then enable-key"
        return Check(_NAME, Status.WRONG, found, todo)
    found = f"its state is {state}: no value under it can be read or written"
    return Check(_NAME, Status.WRONG, found, "Run: aws kms enable-key, with the key's id")


def _unseen(name: str, permission: str) -> Check:
    found = "can't be seen by these credentials"
    return Check(name, Status.UNKNOWN, found, f"Allow {permission}, to see it from here")
