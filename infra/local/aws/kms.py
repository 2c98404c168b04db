"""A simulated AWS KMS: keys, their states and rotation flags, data keys, randomness, signatures.

Nothing is encrypted here: a ciphertext blob is random bytes. Signatures are true ones.
"""

import base64
import re
import secrets
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from infra.local.aws import kms_signing
from infra.local.aws.kms_signing import Kind
from infra.local.aws.protocol import AwsError, Clock, Handler, Json, JsonService, Params, epoch

DATA_KEY_BYTES = {"AES_256": 32, "AES_128": 16}
MAX_BYTES = 1024


@dataclass
class KmsKey:
    """A symmetric key without its material, or an asymmetric one with it."""

    key_id: str
    arn: str
    description: str
    created: datetime
    enabled: bool = True
    rotation_days: int | None = None
    rotation_started: datetime | None = None
    deletion: datetime | None = None
    imported: bool = False
    """Its material is the customer's own, and no rotation can be switched on."""
    denied: frozenset[str] = frozenset()
    """The actions on it that nobody may use: its policy does not allow them."""
    kind: Kind = field(default_factory=Kind)

    @property
    def usable(self) -> bool:
        """Whether it encrypts and decrypts: enabled, and not waiting for its deletion."""
        return self.enabled and self.deletion is None


class Kms(JsonService):
    """The service; ``find`` is also how Secrets Manager resolves a ``KmsKeyId``."""

    def __init__(self, clock: Clock, arn_prefix: str) -> None:
        super().__init__("kms", "TrentService", "KMSInternalException")
        self._clock = clock
        self._arn_prefix = arn_prefix
        self.keys: dict[str, KmsKey] = {}
        self.aliases: dict[str, str] = {}
        self._sealed: dict[str, str] = {}
        """The blobs that were given out, and the keys that they are under."""
        self.operations = {
            "CreateKey": Handler(self._create_key, "Description KeySpec KeyUsage"),
            "CreateAlias": Handler(self._create_alias, "AliasName TargetKeyId"),
            "DescribeKey": Handler(lambda p: {"KeyMetadata": _metadata(self._key(p))}, "KeyId"),
            "EnableKey": Handler(self._enable_key, "KeyId"),
            "DisableKey": Handler(self._disable_key, "KeyId"),
            "EnableKeyRotation": Handler(self._enable_rotation, "KeyId RotationPeriodInDays"),
            "GetKeyRotationStatus": Handler(self._rotation_status, "KeyId"),
            "GenerateDataKey": Handler(
                self._generate_data_key, "KeyId KeySpec NumberOfBytes EncryptionContext DryRun"
            ),
            "Decrypt": Handler(self._decrypt, "CiphertextBlob DryRun"),
            "ScheduleKeyDeletion": Handler(self._schedule_deletion, "KeyId PendingWindowInDays"),
            "GenerateRandom": Handler(self._generate_random, "NumberOfBytes"),
            "GetPublicKey": Handler(self._get_public_key, "KeyId"),
            "Sign": Handler(self._sign, "KeyId Message MessageType SigningAlgorithm"),
        }

    def find(self, reference: str) -> KmsKey | None:
        """Resolve a key id, key ARN, alias name or alias ARN."""
        reference = reference.removeprefix(self._arn_prefix)
        if reference.startswith("arn:"):  # of another account or region
            return next((key for key in self.keys.values() if key.arn == reference), None)
        if reference.startswith("alias/"):
            reference = self.aliases.get(reference, "")
        return self.keys.get(reference.removeprefix("key/"))

    def resource(self, params: Mapping[str, object]) -> str | None:
        """Return the ARN that a policy decides on for a call; ``None`` if it names no key."""
        blob, reference = params.get("CiphertextBlob"), params.get("KeyId")
        if reference is None and blob is None:
            return None
        key = self.find(str(reference if reference is not None else self._sealed.get(str(blob))))
        return f"{self._arn_prefix}key/{reference}" if key is None else key.arn

    def _key(self, params: Params, name: str = "KeyId") -> KmsKey:
        reference = params.required(name)
        key = self.find(reference)
        if key is None:
            # Recorded by localstack, test_get_key_invalid_uuid.
            if "/" not in reference and not _is_uuid(reference):
                raise AwsError("NotFoundException", f"Invalid keyId '{reference}'")
            what = "Alias" if "alias/" in reference else "Key"
            raise AwsError("NotFoundException", f"{what} '{reference}' does not exist")
        return key

    def _usable(self, params: Params, action: str) -> KmsKey:
        key = self._key(params)
        _check_use(key, action)
        return key

    def _create_key(self, params: Params) -> Json:
        key_id = str(uuid.uuid4())
        key = KmsKey(
            key_id,
            f"{self._arn_prefix}key/{key_id}",
            params.text("Description", 0, 8192) or "",
            self._clock(),
            kind=kms_signing.new_kind(params),
        )
        self.keys[key_id] = key
        return {"KeyMetadata": _metadata(key)}

    def _create_alias(self, params: Params) -> Json:
        alias = params.required("AliasName", 256)
        if not alias.startswith("alias/") or alias.startswith("alias/aws/"):
            raise AwsError("InvalidAliasNameException", "The alias name is not valid.")
        if alias in self.aliases:
            raise AwsError("AlreadyExistsException", f"An alias named {alias} already exists")
        self.aliases[alias] = self._key(params, "TargetKeyId").key_id
        return {}

    def _enable_key(self, params: Params) -> Json:
        self._key(params).enabled = True
        return {}

    def _disable_key(self, params: Params) -> Json:
        self._key(params).enabled = False
        return {}

    def _enable_rotation(self, params: Params) -> Json:
        days = params.number("RotationPeriodInDays", 90, 2560) or 365
        key = self._usable(params, "EnableKeyRotation")
        _check_symmetric(key)
        key.rotation_days, key.rotation_started = days, self._clock()
        return {}

    def _rotation_status(self, params: Params) -> Json:
        # "Specify the key ID or key ARN of the KMS key" (API_GetKeyRotationStatus): no alias.
        if "alias/" in params.required("KeyId"):
            raise AwsError("NotFoundException", "Invalid keyId: an alias is none.")
        key = self._key(params)
        _check_symmetric(key)
        if key.imported:
            message = f"{key.arn} origin is EXTERNAL which is not valid for this operation."
            raise AwsError("UnsupportedOperationException", message)
        if key.rotation_days is None or key.rotation_started is None:
            return {"KeyId": key.arn, "KeyRotationEnabled": False}
        return {
            "KeyId": key.arn,
            "KeyRotationEnabled": True,
            "RotationPeriodInDays": key.rotation_days,
            "NextRotationDate": epoch(key.rotation_started + timedelta(days=key.rotation_days)),
        }

    def _generate_data_key(self, params: Params) -> Json:
        spec, count = params.text("KeySpec"), params.number("NumberOfBytes", 1, MAX_BYTES)
        # "You must specify either the KeySpec or the NumberOfBytes parameter (but not both)":
        # docs.aws.amazon.com/kms/latest/APIReference/API_GenerateDataKey.html
        if (spec is None) == (count is None):
            message = "Please specify either number of bytes or key spec."
            raise AwsError("ValidationException", message)
        if spec is not None:
            count = DATA_KEY_BYTES.get(spec)
        if count is None:
            raise AwsError("ValidationException", "KeySpec must be AES_256 or AES_128")
        key, blob = self._usable(params, "GenerateDataKey"), _random(count + 152)
        if key.kind.usage != kms_signing.ENCRYPT:
            message = f"{key.arn} key usage is {key.kind.usage} which is not valid for this call."
            raise AwsError("InvalidKeyUsageException", message)
        _check_dry_run(params)
        self._sealed[blob] = key.key_id
        return {"KeyId": key.arn, "Plaintext": _random(count), "CiphertextBlob": blob}

    def _decrypt(self, params: Params) -> Json:
        """Only tried, never done: nothing was encrypted."""
        key = self.keys.get(self._sealed.get(params.required("CiphertextBlob", 8192), ""))
        if key is None:
            raise AwsError("InvalidCiphertextException", "")
        _check_use(key, "Decrypt")
        _check_dry_run(params)
        raise AwsError("ValidationException", "Decrypt without DryRun is not modelled")

    def _schedule_deletion(self, params: Params) -> Json:
        days = params.number("PendingWindowInDays", 7, 30) or 30
        key = self._usable(params, "ScheduleKeyDeletion")
        key.deletion = self._clock() + timedelta(days=days)
        return {"KeyId": key.arn, "DeletionDate": epoch(key.deletion), "KeyState": _state(key)}

    def _generate_random(self, params: Params) -> Json:
        count = params.number("NumberOfBytes", 1, MAX_BYTES)
        if count is None:
            # Recorded by localstack, test_generate_random_invalid_number_of_bytes.
            raise AwsError("ValidationException", "NumberOfBytes is required.")
        return {"Plaintext": _random(count)}

    def _get_public_key(self, params: Params) -> Json:
        # A disabled key refuses this as well: developerguide/key-state.html, the table.
        key = self._usable(params, "GetPublicKey")
        return {
            "KeyId": key.arn,
            "PublicKey": base64.b64encode(key.kind.public_der()).decode(),
            "CustomerMasterKeySpec": key.kind.spec,
            **_kind(key),
        }

    def _sign(self, params: Params) -> Json:
        key = self._usable(params, "Sign")
        signature = kms_signing.sign(key.kind, params)
        return {
            "KeyId": key.arn,
            "Signature": base64.b64encode(signature).decode(),
            "SigningAlgorithm": params.required("SigningAlgorithm"),
        }


def _check_dry_run(params: Params) -> None:
    """Refuse what would have succeeded, where it was only to be tried.

    docs.aws.amazon.com/kms/latest/developerguide/testing-permissions.html; the status and the words
    are those that localstack recorded, test_generate_data_key_pair_dry_run.
    """
    if params.flag("DryRun"):
        message = "The request would have succeeded, but the DryRun option is set."
        raise AwsError("DryRunOperationException", message)


def _check_use(key: KmsKey, action: str) -> None:
    if action in key.denied:
        message = f"User is not authorized to perform: kms:{action} on resource: {key.arn}"
        raise AwsError("AccessDeniedException", message)
    if key.deletion is not None:
        raise AwsError("KMSInvalidStateException", f"{key.arn} is pending deletion.")
    if not key.enabled:
        raise AwsError("DisabledException", f"{key.arn} is disabled.")


def _check_symmetric(key: KmsKey) -> None:
    """Refuse what is for symmetric keys alone: API_EnableKeyRotation, API_GetKeyRotationStatus."""
    if key.kind.spec != kms_signing.SYMMETRIC:
        raise AwsError("UnsupportedOperationException", f"{key.arn} is an asymmetric key.")


def _kind(key: KmsKey) -> Json:
    signs = {"SigningAlgorithms": key.kind.algorithms} if key.kind.algorithms else {}
    return {"KeySpec": key.kind.spec, "KeyUsage": key.kind.usage, **signs}


def _is_uuid(text: str) -> bool:
    return re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", text) is not None


def _state(key: KmsKey) -> str:
    if key.deletion is not None:
        return "PendingDeletion"
    return "Enabled" if key.enabled else "Disabled"


def _random(count: int) -> str:
    return base64.b64encode(secrets.token_bytes(count)).decode()


def _metadata(key: KmsKey) -> Json:
    return {
        "KeyId": key.key_id,
        "Arn": key.arn,
        "Description": key.description,
        "CreationDate": epoch(key.created),
        "Enabled": key.enabled and key.deletion is None,
        "KeyState": _state(key),
        **({} if key.deletion is None else {"DeletionDate": epoch(key.deletion)}),
        **_kind(key),
        "KeyManager": "CUSTOMER",
        "Origin": "EXTERNAL" if key.imported else "AWS_KMS",
        "MultiRegion": False,
    }
