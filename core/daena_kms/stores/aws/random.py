"""Randomness from KMS, for values that are random bytes."""

from daena_kms.sdk.aws.client import AWS


class KmsRandom:
    """Bytes of a data key under the customer's KMS key, or of KMS's own generator without one.

    A data key's plaintext is random; its encrypted copy is not kept.

    Permissions: ``kms:GenerateDataKey`` on the key, or ``kms:GenerateRandom`` on ``*``.

    https://docs.aws.amazon.com/kms/latest/APIReference/API_GenerateDataKey.html
    """

    def __init__(self, aws: AWS, key_id: str | None) -> None:
        self._aws = aws
        self._key_id = key_id

    def __call__(self, count: int) -> bytes:
        """Return ``count`` bytes, 1 to 1,024. Raises as every call to AWS."""
        if self._key_id is None:
            answer = self._aws.call("kms", "generate_random", None, NumberOfBytes=count)
        else:
            answer = self._aws.call(
                "kms", "generate_data_key", None, KeyId=self._key_id, NumberOfBytes=count
            )
        # An answer without them is one of no bytes, which the pool refuses.
        return bytes(answer.get("Plaintext") or b"")
