"""A simulated AWS Secrets Manager, as strict as its API reference.

Where a comment in these modules names API_…, it means a page of
docs.aws.amazon.com/secretsmanager/latest/apireference/.
"""

from infra.local.aws.kms import Kms
from infra.local.aws.protocol import Clock, Handler, Json, JsonService, Params
from infra.local.aws.secrets_admin import AdminOperations
from infra.local.aws.secrets_listing import Listing, list_versions
from infra.local.aws.secrets_state import Secret
from infra.local.aws.secrets_store import SecretStore
from infra.local.aws.secrets_values import ValueOperations

# A rate quota holds for all operations of a group together. The first group is documented as
# "Combined rate of PutSecretValue, …, UpdateSecret, and UpdateSecretVersionStage API requests":
# docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html
VALUES, TAGS, POLICIES, ROTATION = "values", "tags", "policies", "rotation"


class SecretsManager(JsonService):
    """The service: the table of its operations."""

    def __init__(self, clock: Clock, arn_prefix: str, kms: Kms) -> None:
        super().__init__(
            "secretsmanager",
            "secretsmanager",
            "InternalServiceError",
            frozenset({"SecretString", "SecretBinary"}),
        )
        self.store = store = SecretStore(clock, arn_prefix, kms)
        self.listing = Listing()
        values, admin = ValueOperations(store), AdminOperations(store)
        value = "ClientRequestToken SecretString SecretBinary"
        stage = "SecretId VersionStage MoveToVersionId RemoveFromVersionId"
        delete = "SecretId RecoveryWindowInDays ForceDeleteWithoutRecovery"
        rotate = "SecretId ClientRequestToken RotationLambdaARN RotationRules RotateImmediately"
        pages = "MaxResults NextToken"
        self.operations = {
            "CreateSecret": Handler(
                values.create, f"Name {value} Description KmsKeyId Tags", "create"
            ),
            "PutSecretValue": Handler(values.put, f"SecretId {value} VersionStages", VALUES),
            "UpdateSecretVersionStage": Handler(values.stage, stage, VALUES),
            "GetSecretValue": Handler(values.get, "SecretId VersionId VersionStage"),
            "DescribeSecret": Handler(admin.describe, "SecretId"),
            "ListSecrets": Handler(self._list, f"{pages} Filters IncludePlannedDeletion"),
            "ListSecretVersionIds": Handler(
                lambda params: list_versions(store.usable(params), params),
                f"SecretId {pages} IncludeDeprecated",
            ),
            "TagResource": Handler(admin.tag, "SecretId Tags", TAGS),
            "UntagResource": Handler(admin.untag, "SecretId TagKeys", TAGS),
            "DeleteSecret": Handler(admin.delete, delete, "delete"),
            "RestoreSecret": Handler(admin.restore, "SecretId", "restore"),
            "RotateSecret": Handler(admin.rotate, rotate, ROTATION),
            "CancelRotateSecret": Handler(admin.cancel_rotate, "SecretId", ROTATION),
            "PutResourcePolicy": Handler(admin.put_policy, "SecretId ResourcePolicy", POLICIES),
            "GetResourcePolicy": Handler(admin.get_policy, "SecretId", POLICIES),
            "DeleteResourcePolicy": Handler(admin.delete_policy, "SecretId", POLICIES),
        }

    def secret(self, name: str) -> Secret:
        """Return the state of a secret, for a test to look at or to change behind our back."""
        return self.store.secrets[name]

    def freeze_listing(self) -> None:
        """Answer ListSecrets from the secrets as they are now."""
        self.listing.freeze(self.store.secrets.values())

    def _list(self, params: Params) -> Json:
        return self.listing.page(self.store.secrets, params, self.store.clock())
