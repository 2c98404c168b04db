"""The KMS key that encrypts the secrets: permissions on it, its state, and its own rotation."""

from collections.abc import Iterator, Mapping
from typing import Any

from daena_kms.doctor.check import Check, Status, failed, is_missing, member, unseen
from daena_kms.doctor.permission import Permission, probe
from daena_kms.errors import ConfigError, DaenaKMSError
from daena_kms.sdk.aws.client import AWS
from daena_kms.sdk.aws.errors import FailedError

_NAME, _ROTATION, _WHO = "KMS key", "KMS key rotation", "KMS"
#: The error of a call with DryRun that would have succeeded.
_WOULD = "DryRunOperationException"
_BYTES = 32
_DELETED = "PendingDeletion"
#: What to do about a state in which the key can't be used.
#: https://docs.aws.amazon.com/kms/latest/developerguide/key-state.html
_UNUSABLE: Mapping[str, str] = {
    "Disabled": "Run: aws kms enable-key, with the key's id",
    _DELETED: "Run: aws kms cancel-key-deletion, then aws kms enable-key, with the key's id",
    "PendingReplicaDeletion": "Its replicas are deleted first, then the key. Stop that with: "
    "aws kms cancel-key-deletion, with the key's id",
    "PendingImport": "Import its key material: aws kms import-key-material",
    "Unavailable": "Connect its custom key store: aws kms connect-custom-key-store",
}


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
                    call=lambda: member(
                        self._call("generate_random", NumberOfBytes=1), "Plaintext", _WHO
                    ),
                    answered=True,
                )
            )
            return
        yield probe(
            Permission(
                "kms:GenerateDataKey",
                "it generates new values, and Secrets Manager encrypts with it",
                always=True,
                call=self._generate,
                answered=True,
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
            described = member(self._call("describe_key", KeyId=self._key), "KeyMetadata", _WHO)
            yield _state(described)
        except DaenaKMSError as error:
            if not is_missing(error):
                wrong = isinstance(error, ConfigError)
                yield failed(_NAME, error, Status.WRONG if wrong else Status.UNKNOWN)
                return
            yield unseen(_NAME, "kms:DescribeKey")
            # The rotation can be asked for by an id or an ARN, but not by an alias.
            if "alias/" in self._key:
                yield unseen(_ROTATION, "kms:DescribeKey, which finds the key of an alias")
                return
            described = {"Arn": self._key}
        yield self._rotation(described)

    def _generate(self) -> None:
        try:
            answer = self._call(
                "generate_data_key", KeyId=self._key, NumberOfBytes=_BYTES, DryRun=True
            )
        except FailedError as error:
            if error.reason != _WOULD:
                raise
        else:
            member(answer, "CiphertextBlob", _WHO)

    def _decrypt(self) -> Check:
        """Try to decrypt a data key that is generated for this and thrown away."""
        name = "permission kms:Decrypt"
        try:
            data_key = self._call("generate_data_key", KeyId=self._key, NumberOfBytes=_BYTES)
            blob = member(data_key, "CiphertextBlob", _WHO)
        except DaenaKMSError as error:
            found = f"there is no data key to try it on: {error.what}"
            return Check(name, Status.UNKNOWN, found, "Mend kms:GenerateDataKey first")
        try:
            answer = self._call("decrypt", CiphertextBlob=blob, DryRun=True)
            member(answer, "KeyId", _WHO)
        except DaenaKMSError as error:
            if is_missing(error):
                found = (
                    "refused for a direct call, which is right if the policy allows it only "
                    "through Secrets Manager (kms:ViaService)"
                )
                todo = "Look for kms:Decrypt in the role and the key's policy"
                return Check(name, Status.UNKNOWN, found, todo)
            if getattr(error, "reason", "") != _WOULD:
                return failed(name, error, Status.UNKNOWN)
        return Check(name, Status.OK, "allowed")

    def _rotation(self, described: Mapping[str, Any]) -> Check:
        if described.get("KeyManager") == "AWS":
            return Check(_ROTATION, Status.OK, "an AWS managed key, which AWS rotates by itself")
        # "While a KMS key is pending deletion, its key rotation status is false", whatever it was:
        # https://docs.aws.amazon.com/kms/latest/APIReference/API_GetKeyRotationStatus.html
        if described.get("KeyState") == _DELETED:
            found = "KMS does not say how it was set before the key's deletion was scheduled"
            return Check(_ROTATION, Status.UNKNOWN, found, "Cancel the deletion, and look again")
        try:
            answer = self._call("get_key_rotation_status", KeyId=member(described, "Arn", _WHO))
            return _rotates(answer)
        except DaenaKMSError as error:
            if is_missing(error):
                return unseen(_ROTATION, "kms:GetKeyRotationStatus")
            if getattr(error, "reason", "") != "UnsupportedOperationException":
                return failed(_ROTATION, error, Status.UNKNOWN)
            found = "KMS can't rotate this key (imported material, or a custom key store)"
            todo = "Rotate it by hand: make a new key, and point an alias to it"
            return Check(_ROTATION, Status.WARNING, found, todo)

    def _call(self, operation: str, **given: Any) -> Any:
        return self._aws.call("kms", operation, None, **given)


def _rotates(answer: Mapping[str, Any]) -> Check:
    if member(answer, "KeyRotationEnabled", _WHO):
        days = answer.get("RotationPeriodInDays")
        every = f" every {days} d" if days else ""
        return Check(_ROTATION, Status.OK, f"on{every}")
    todo = "Run: aws kms enable-key-rotation --key-id, with the key's id"
    return Check(_ROTATION, Status.WRONG, "off", todo)


def _state(described: Mapping[str, Any]) -> Check:
    state = str(member(described, "KeyState", _WHO))
    if described.get("KeySpec", "SYMMETRIC_DEFAULT") != "SYMMETRIC_DEFAULT":
        found = "it is not a symmetric encryption key: Secrets Manager can't encrypt with it"
        todo = "Set AWS_KMS_KEY_ID to a symmetric encryption key"
        return Check(_NAME, Status.WRONG, found, todo)
    if state == "Enabled":
        return Check(_NAME, Status.OK, "enabled")
    if state not in _UNUSABLE:
        found = f"its state is {state}, which passes"
        return Check(_NAME, Status.UNKNOWN, found, "Run doctor again in a minute")
    if state == _DELETED:
        when = described.get("DeletionDate")
        found = f"will be deleted at {when}: then no value that it encrypts can be read"
        return Check(_NAME, Status.WRONG, found, _UNUSABLE[state])
    found = f"its state is {state}: no value that it encrypts can be read or written"
    return Check(_NAME, Status.WRONG, found, _UNUSABLE[state])
