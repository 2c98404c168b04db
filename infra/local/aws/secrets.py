"""A simulated AWS Secrets Manager, as strict as its API reference.

Where a comment in these modules names API_…, it means a page of
docs.aws.amazon.com/secretsmanager/latest/apireference/.
"""

from dataclasses import dataclass

from infra.local.aws.kms import Kms
from infra.local.aws.protocol import AwsError, Clock, Handler, Json, JsonService, Params
from infra.local.aws.secrets_admin import AdminOperations
from infra.local.aws.secrets_listing import Listing, list_versions
from infra.local.aws.secrets_state import Secret
from infra.local.aws.secrets_store import SecretStore
from infra.local.aws.secrets_values import ValueOperations
from infra.local.http_server import Request, Response
from infra.local.server import Operation, access_key

# A rate quota holds for all operations of a group together. The first group is documented as
# "Combined rate of PutSecretValue, …, UpdateSecret, and UpdateSecretVersionStage API requests":
# docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html
VALUES, TAGS, POLICIES, ROTATION = "values", "tags", "policies", "rotation"


@dataclass(frozen=True, slots=True)
class TagCondition:
    """A permission that holds only for secrets with a tag, by ``aws:ResourceTag``."""

    caller: str
    """The access key of whoever has the permission."""
    operations: frozenset[str]
    tag: str
    value: str


class SecretsManager(JsonService):
    """The service: the table of its operations."""

    def __init__(self, clock: Clock, arn_prefix: str, kms: Kms) -> None:
        super().__init__(
            "secretsmanager",
            "secretsmanager",
            "InternalServiceError",
            frozenset({"SecretString", "SecretBinary"}),
            # Recorded by localstack, test_no_client_request_token, which reads the body itself.
            "Message",
        )
        self.conditions: list[TagCondition] = []
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

    def perform(self, operation: Operation, request: Request) -> Response:
        """Carry an operation out, if its caller's permission covers the secret.

        Policies are evaluated before the secret is looked for, and one that is not there has no
        tag: https://github.com/jenkinsci/aws-secrets-manager-credentials-provider-plugin/pull/65
        """
        for condition in self.conditions:
            if operation.name not in condition.operations:
                continue
            named = str(operation.params.get("SecretId", ""))
            secret = self.store.lookup(named)
            covered = secret is not None and secret.tags.get(condition.tag) == condition.value
            if condition.caller == access_key(request) and not covered:
                action = f"{self.name}:{operation.name}"
                message = f"User is not authorized to perform: {action} on resource: {named} "
                message += f"because no identity-based policy allows the {action} action"
                return self._error(AwsError("AccessDeniedException", message))
        return super().perform(operation, request)

    def secret(self, name: str) -> Secret:
        """Return the state of a secret, for a test to look at or to change behind our back."""
        return self.store.secrets[name]

    def freeze_listing(self) -> None:
        """Answer ListSecrets from the secrets as they are now."""
        self.listing.freeze(self.store.secrets.values())

    def _list(self, params: Params) -> Json:
        return self.listing.page(self.store.secrets, params, self.store.clock())
