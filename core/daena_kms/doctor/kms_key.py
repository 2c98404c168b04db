"""The KMS key that encrypts the secrets: permissions on it, its state, and its own rotation."""

from collections.abc import Iterator
from typing import Any

from daena_kms.doctor.check import Check, Status, failed, unseen
from daena_kms.doctor.permission import Permission, probe
from daena_kms.errors import AccessDenied, DaenaKMSError
from daena_kms.sdk.aws.client import AWS
from daena_kms.sdk.aws.errors import FailedError

_NAME, _ROTATION = "KMS key", "KMS key rotation"
#: The error of a call with DryRun that would have succeeded.
_WOULD = "DryRunOperationException"
_BYTES = 32


class KmsKey:
    """The checks of the key that ``AWS_KMS_KEY_ID`` names, or of none.

    ``DryRun`` tests a permission, the key's policy and its state together, and exactly.
    https://docs.aws.amazon.com/kms/latest/developerguide/testing-permissions.html
    """

    def __init__(self, aws: AWS, key: str | None) -> None:
        self._aws = aws
        self._key = key

    def permissions(self) -> Iterator[Check]:
        """Yield whether a rotation may use the key."""
        if self._key is None:
            yield probe(
                Permission(
                    "kms:GenerateRandom",
                    "it generates new values if no KMS key of your own is set",
                    always=True,
                    call=lambda: self._aws.call("kms", "generate_random", None, NumberOfBytes=1),
                )
            )
            return
        yield probe(
            Permission(
                "kms:GenerateDataKey",
                "it generates new values, and Secrets Manager encrypts with it",
                always=True,
                call=self._generate,
            )
        )
        yield self._decrypt()

    def checks(self) -> Iterator[Check]:
        """Yield the key's state and its own rotation."""
        if self._key is None:
            found = (
                "not your own, but the account's aws/secretsmanager, which AWS rotates by itself"
            )
            yield Check(_NAME, Status.OK, found)
            return
        try:
            described = self._aws.call("kms", "describe_key", None, KeyId=self._key)["KeyMetadata"]
        except AccessDenied:
            yield unseen(_NAME, "kms:DescribeKey")
            # The rotation can be asked for by an id or an ARN, but not by an alias.
            if "alias/" in self._key:
                yield unseen(_ROTATION, "kms:DescribeKey, which finds the key of an alias")
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
        """Try to decrypt a data key that is generated for this and thrown away."""
        name = "permission kms:Decrypt"
        try:
            data_key = self._aws.call(
                "kms", "generate_data_key", None, KeyId=self._key, NumberOfBytes=_BYTES
            )
            blob = data_key["CiphertextBlob"]
            self._aws.call("kms", "decrypt", None, CiphertextBlob=blob, DryRun=True)
        except FailedError as error:
            if error.reason == _WOULD:
                return Check(name, Status.OK, "allowed")
            return failed(name, error, Status.UNKNOWN)
        except AccessDenied:
            found = (
                "refused for a direct call, which is right if the policy allows it only through "
                "Secrets Manager (kms:ViaService)"
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
            return unseen(_ROTATION, "kms:GetKeyRotationStatus")
        except DaenaKMSError as error:
            if getattr(error, "reason", "") != "UnsupportedOperationException":
                return failed(_ROTATION, error, Status.UNKNOWN)
            found = "KMS can't rotate this key (imported material, or a custom key store)"
            todo = "Rotate it by hand: make a new key, and point an alias to it"
            return Check(_ROTATION, Status.WARNING, found, todo)
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
        found = f"will be deleted at {when}: then no value that it encrypts can be read"
        todo = "Run: aws kms cancel-key-deletion, then aws kms enable-key, with the key's id"
        return Check(_NAME, Status.WRONG, found, todo)
    found = f"its state is {state}: no value that it encrypts can be read or written"
    return Check(_NAME, Status.WRONG, found, "Run: aws kms enable-key, with the key's id")
