"""Secrets Manager's operations on values, versions and labels: create, put, get, move a label."""

import base64
import binascii
import re
from datetime import UTC

from infra.local.aws import policy as aws_policy
from infra.local.aws.protocol import AwsError, Json, Params, epoch
from infra.local.aws.secrets_state import CURRENT, MAX_LABELS, PENDING, Secret, Value, Version
from infra.local.aws.secrets_store import SecretStore, need_token, not_found
from infra.local.aws.secrets_tags import read_tags

MAX_VALUE_BYTES = 65_536
TOKEN_LENGTHS = (32, 64)
NAME = re.compile(r"[A-Za-z0-9/_+=.@!-]{1,512}")


class ValueOperations:
    """The operations that see or move versions."""

    def __init__(self, store: SecretStore) -> None:
        self._store = store

    def create(self, params: Params) -> Json:
        """CreateSecret."""
        name = params.required("Name", 512)
        if not NAME.fullmatch(name):
            message = "Invalid name. Must be a valid name containing alphanumeric characters, or "
            raise AwsError("ValidationException", message + "any of the following: -/_+=.@!")
        value, version_id = _value(params), _token(params)
        existing = self._store.lookup(name)
        if existing is not None:
            return _create_again(existing, value, version_id)
        secret = self._store.new(name)
        secret.description = params.text("Description", 0)
        secret.kms_key_id = params.text("KmsKeyId", 0) or None
        secret.tags = read_tags(params, {})
        secret.tagged = bool(secret.tags)
        answer: Json = {"ARN": secret.arn, "Name": name}
        if value is not None:
            self._add(secret, version_id, value, [CURRENT])
            answer["VersionId"] = version_id
        self._store.keep(secret)
        return answer

    def put(self, params: Params) -> Json:
        """PutSecretValue."""
        value, version_id = _value(params), _token(params)
        labels = params.texts("VersionStages")
        if value is None:
            message = "You must provide either SecretString or SecretBinary."
            raise AwsError("InvalidParameterException", message)
        if labels is not None and not 1 <= len(labels) <= MAX_LABELS:
            message = f"VersionStages must have 1 to {MAX_LABELS} members"
            raise AwsError("ValidationException", message)
        secret = self._store.own(params)
        known = secret.versions.get(version_id)
        if known is not None and known.value != value:
            raise _used(version_id, secret)
        # The same token and value: "the operation succeeds but does nothing" (API_PutSecretValue),
        # so the labels in the request don't move either.
        if known is None:
            wanted = labels or [CURRENT]
            # "If this operation creates the first version for the secret, then Secrets Manager
            # automatically attaches the staging label AWSCURRENT to it" (API_PutSecretValue).
            if not secret.versions and CURRENT not in wanted:
                wanted = [*wanted, CURRENT]
            demoted = secret.labels.get(CURRENT)
            self._add(secret, version_id, value, wanted)
            # Recorded by localstack, test_update_secret_version_stages_current_pending: a put
            # without stages leaves AWSPREVIOUS alone on the version that also had AWSPENDING.
            if labels is None and demoted is not None and secret.labels.get(PENDING) == demoted:
                del secret.labels[PENDING]
        return {
            "ARN": secret.arn,
            "Name": secret.name,
            "VersionId": version_id,
            "VersionStages": secret.stages().get(version_id, []),
        }

    def stage(self, params: Params) -> Json:
        """UpdateSecretVersionStage."""
        label = params.required("VersionStage", 256)
        target = params.text("MoveToVersionId", *TOKEN_LENGTHS)
        source = params.text("RemoveFromVersionId", *TOKEN_LENGTHS)
        secret = self._store.own(params)
        if target is not None and target not in secret.versions:
            raise not_found("secret version")
        _check_move(label, secret.labels.get(label), target, source)
        if target is None:
            del secret.labels[label]
        else:
            secret.labels = secret.with_labels([label], target)
        return self._store.changed(secret)

    def get(self, params: Params) -> Json:
        """GetSecretValue."""
        version_id = params.text("VersionId", *TOKEN_LENGTHS)
        stage = params.text("VersionStage", 1, 256)
        if version_id is None and stage is None:
            stage = CURRENT
        secret = self._store.usable(params)
        stages = [stage] if stage is not None else []
        if self._store.stages_of_the_version:
            chosen = version_id or secret.labels.get(stage or "", "")
            stages = secret.stages().get(chosen, [])
        request = {
            "secretsmanager:VersionId": [version_id] if version_id is not None else [],
            "secretsmanager:VersionStage": stages,
        }
        if secret.policy is not None and aws_policy.denies(secret.policy, request):
            message = "not authorized: explicit deny in a resource-based policy"
            raise AwsError("AccessDeniedException", message)
        version = _chosen(secret, version_id, stage)
        self._store.need_key(version.kms_key_id, "Decrypt", "DecryptionFailure")
        # By the day, recorded in cloud-custodian's placebo files: midnight in UTC.
        secret.read[version.version_id] = self._store.clock().astimezone(UTC).date()
        return {
            "ARN": secret.arn,
            "Name": secret.name,
            "VersionId": version.version_id,
            "VersionStages": secret.stages().get(version.version_id, []),
            "CreatedDate": epoch(version.created),
            **version.value.as_json(),
        }

    def _add(self, secret: Secret, version_id: str, value: Value, labels: list[str]) -> None:
        self._store.need_key(secret.kms_key_id, "GenerateDataKey", "EncryptionFailure")
        version = Version(version_id, value, self._store.clock(), secret.kms_key_id)
        secret.add(version, labels)
        self._store.changed(secret)


def _create_again(existing: Secret, value: Value | None, version_id: str) -> Json:
    if existing.delete_at is not None:
        message = "You can't create this secret because a secret with this name is already "
        raise AwsError("InvalidRequestException", message + "scheduled for deletion.")
    known = existing.versions.get(version_id)
    # "If a version with this value already exists and the version SecretString and SecretBinary
    # values are the same as those in the request, then the request is ignored" (API_CreateSecret).
    if known is not None and known.value == value:
        return {"ARN": existing.arn, "Name": existing.name, "VersionId": version_id}
    if known is not None:
        raise _used(version_id, existing)
    message = f"The operation failed because the secret {existing.name} already exists."
    raise AwsError("ResourceExistsException", message)


def _check_move(label: str, holder: str | None, target: str | None, source: str | None) -> None:
    """Refuse a move that does not name the label's holder.

    "If the label is attached and you either do not specify this parameter, or the version ID does
    not match, then the operation fails" (API_UpdateSecretVersionStage). So a move that is repeated
    after its answer was lost fails: the label is on the target by then, not on the source.
    """
    if target is None and source is None:
        message = "You must provide MoveToVersionId or RemoveFromVersionId."
        raise AwsError("InvalidParameterException", message)
    if source is not None and source != holder:
        message = f"RemoveFromVersionId must be the version that has the staging label {label}."
        raise AwsError("InvalidParameterException", message)
    if source is None and holder not in (None, target):
        # Word for word as moto's test_update_secret_version_stage_dont_specify_current_stage, which
        # was run against AWS.
        message = f"The parameter RemoveFromVersionId can't be empty. Staging label {label} is "
        message += f"currently attached to version {holder}, so you must explicitly reference that "
        message += "version in RemoveFromVersionId."
        raise AwsError("InvalidParameterException", message)
    # Not in the API reference; it is what the service answers, as the Terraform provider notes
    # (hashicorp/terraform-provider-aws, resource aws_secretsmanager_secret_version).
    if target is None and label == CURRENT:
        message = f"You can only move staging label {CURRENT} to a different secret version. "
        raise AwsError("InvalidParameterException", message + "It can't be completely removed.")


def _chosen(secret: Secret, version_id: str | None, stage: str | None) -> Version:
    """Return the version that both selectors mean: they "must refer to the same" one."""
    labelled = secret.labels.get(stage) if stage is not None else None
    version = secret.versions.get(version_id or labelled or "")
    if version is None:
        which = f"VersionId: {version_id}" if version_id else f"staging label: {stage}"
        raise not_found(f"secret value for {which}")
    if stage is not None and labelled != version.version_id:
        message = "You provided a VersionStage that is not associated to the provided VersionId."
        raise AwsError("InvalidRequestException", message)
    return version


def _used(version_id: str, secret: Secret) -> AwsError:
    """Return the error for a token of another value, as moto's tests have it that ran on AWS."""
    message = f"You can't use ClientRequestToken {version_id} because that value is already in use "
    return AwsError("ResourceExistsException", f"{message}for a version of secret {secret.arn}.")


def _token(params: Params) -> str:
    need_token(params, "InvalidRequestException")
    token = params.text("ClientRequestToken", 0)
    least, most = TOKEN_LENGTHS
    if token is None or not least <= len(token) <= most:
        message = f"ClientRequestToken must be {least}-{most} characters long."
        raise AwsError("InvalidParameterException", message)
    return token


def _value(params: Params) -> Value | None:
    text = params.text("SecretString", 1, MAX_VALUE_BYTES)
    # Base64 is a third longer than what it encodes.
    binary = params.text("SecretBinary", 1, MAX_VALUE_BYTES * 2)
    if text is not None and binary is not None:
        message = "You can't specify both a binary secret value and a string secret value."
        raise AwsError("InvalidParameterException", message)
    if text is None and binary is None:
        return None
    try:
        size = len((text or "").encode()) or len(base64.b64decode(binary or "", validate=True))
    except binascii.Error:
        raise AwsError("SerializationException", "SecretBinary is not base64.") from None
    if size > MAX_VALUE_BYTES:
        message = f"The secret value must have at most {MAX_VALUE_BYTES} bytes"
        raise AwsError("ValidationException", message)
    return Value(text, binary)
