"""Secrets Manager's operations on a whole secret: tags, deletion, rotation flag, policy."""

from datetime import timedelta

from infra.local.aws import policy as aws_policy
from infra.local.aws.protocol import AwsError, Json, Params, epoch
from infra.local.aws.secrets_state import APART
from infra.local.aws.secrets_store import SecretStore, need_token
from infra.local.aws.secrets_tags import read_tags

RECOVERY_DAYS = (7, 30)


class AdminOperations:
    """The operations that see no value."""

    def __init__(self, store: SecretStore) -> None:
        self._store = store

    def describe(self, params: Params) -> Json:
        """DescribeSecret; also of a secret scheduled for deletion."""
        return self._store.find(params).as_json("VersionIdsToStages")

    def tag(self, params: Params) -> Json:
        """TagResource: "appends tags to the existing list"; a key that is there is overwritten."""
        secret = self._store.writable(params)
        secret.tags, secret.tagged = read_tags(params, secret.tags), True
        self._store.changed(secret)
        return {}

    def untag(self, params: Params) -> Json:
        """UntagResource: "This operation is idempotent", an absent key is no error."""
        secret = self._store.writable(params)
        secret.tagged = secret.tagged or bool(secret.tags)
        for key in params.texts("TagKeys") or []:
            secret.tags.pop(key, None)
        self._store.changed(secret)
        return {}

    def delete(self, params: Params) -> Json:
        """DeleteSecret."""
        days = params.number("RecoveryWindowInDays", -(2**63), 2**63 - 1)
        now = self._store.clock()
        if params.flag("ForceDeleteWithoutRecovery"):
            if days is not None:
                message = "You can't use ForceDeleteWithoutRecovery with RecoveryWindowInDays."
                raise AwsError("InvalidParameterException", message)
            return self._delete_at_once(params)
        least, most = RECOVERY_DAYS
        days = most if days is None else days
        if not least <= days <= most:
            message = f"The RecoveryWindowInDays value must be between {least} and {most} days."
            raise AwsError("InvalidParameterException", message)
        secret = self._store.own(params)
        # API_DeleteSecret: "You can't delete a primary secret that is replicated to other Regions".
        # https://github.com/gruntwork-io/cloud-nuke/issues/435 shows the code and the text.
        if secret.replicas:
            regions = ", ".join(secret.replicas)
            message = (
                f"You can't delete secret {secret.arn} that still has replica regions [{regions}]."
            )
            raise AwsError("InvalidParameterException", message)
        secret.deleted, secret.delete_at = now - APART, now - 2 * APART + timedelta(days=days)
        return self._store.changed(secret) | {"DeletionDate": epoch(secret.delete_at)}

    def restore(self, params: Params) -> Json:
        """RestoreSecret; of a secret that is not scheduled for deletion it does nothing."""
        secret = self._store.find(params)
        secret.deleted = secret.delete_at = None
        return self._store.changed(secret)

    def rotate(self, params: Params) -> Json:
        """RotateSecret, which here only turns rotation on: no function is called."""
        need_token(params, "InvalidParameterException")
        secret = self._store.writable(params)
        function = params.text("RotationLambdaARN", 0) or secret.rotation_lambda
        # InvalidRequestException: "You tried to enable rotation on a secret that doesn't already
        # have a Lambda function ARN configured and you didn't include such an ARN" (API_Rotate…).
        if function is None:
            message = "No Lambda rotation function ARN is associated with this secret."
            raise AwsError("InvalidRequestException", message)
        secret.rotation_lambda, secret.rotation_enabled = function, True
        return self._store.changed(secret)

    def cancel_rotate(self, params: Params) -> Json:
        """CancelRotateSecret."""
        secret = self._store.writable(params)
        if secret.rotation_enabled is not None:
            secret.rotation_enabled = False
        return self._store.changed(secret)

    def put_policy(self, params: Params) -> Json:
        """PutResourcePolicy."""
        policy = params.required("ResourcePolicy", 20480)
        secret = self._store.writable(params)
        aws_policy.check(policy)
        secret.policy = policy
        return self._store.changed(secret)

    def get_policy(self, params: Params) -> Json:
        """GetResourcePolicy."""
        secret = self._store.usable(params)
        answer: Json = {"ARN": secret.arn, "Name": secret.name}
        return answer | ({"ResourcePolicy": secret.policy} if secret.policy is not None else {})

    def delete_policy(self, params: Params) -> Json:
        """DeleteResourcePolicy."""
        secret = self._store.writable(params)
        secret.policy = None
        return self._store.changed(secret)

    def _delete_at_once(self, params: Params) -> Json:
        # "If you forcibly delete an already deleted or nonexistent secret, the operation does not
        # return ResourceNotFoundException" (API_DeleteSecret). It has an ARN: localstack,
        # test_delete_non_existent_secret_returns_as_if_secret_exists.
        secret_id, date = params.required("SecretId"), epoch(self._store.clock())
        secret = self._store.lookup(secret_id)
        if secret is None:
            return {"ARN": self._store.arn(secret_id), "Name": secret_id, "DeletionDate": date}
        if secret.delete_at is None:
            self._store.own(params)
        del self._store.secrets[secret.name]
        return {"ARN": secret.arn, "Name": secret.name, "DeletionDate": date}
