"""The simulated secrets by name and ARN, and the checks that every operation shares."""

import secrets as randomness
import string

from infra.local.aws.kms import Kms
from infra.local.aws.protocol import AwsError, Clock, Json, Params
from infra.local.aws.secrets_state import APART, Secret

SUFFIX_LENGTH = 6


class SecretStore:
    """Holds the secrets in order of creation."""

    def __init__(self, clock: Clock, arn_prefix: str, kms: Kms) -> None:
        self.clock = clock
        self.secrets: dict[str, Secret] = {}
        self._arn_prefix = arn_prefix
        self._kms = kms
        self._made = 0
        # What secretsmanager:VersionStage holds: "the list of version stages in the request"
        # (Service Authorization Reference), or the "staging labels attached to the secret version
        # under evaluation" (auth-and-access_iam-policies): AWS's documents say both.
        self.stages_of_the_version = False
        # How many calls do not find a secret that was just created: "All Secrets Manager
        # operations are eventually consistent" (API_ListSecrets);
        # https://github.com/hashicorp/terraform-provider-aws/issues/18406 met it in DescribeSecret.
        self.unseen_at_first = 0

    def new(self, name: str) -> Secret:
        """Make a secret; it is not in the store until ``keep``."""
        now = self.clock()
        return Secret(self._made + 1, name, self.arn(name), created=now - APART, changed=now)

    def arn(self, name: str) -> str:
        """Return a new ARN for a name."""
        # "Secrets Manager automatically adds a hyphen and six random characters after the secret
        # name at the end of the ARN" (API_CreateSecret).
        letters = string.ascii_letters + string.digits
        suffix = "".join(randomness.choice(letters) for _ in range(SUFFIX_LENGTH))
        return f"{self._arn_prefix}{name}-{suffix}"

    def keep(self, secret: Secret) -> None:
        """Put a new secret into the store."""
        self._made, secret.unseen = secret.sequence, self.unseen_at_first
        self.secrets[secret.name] = secret

    def lookup(self, secret_id: str) -> Secret | None:
        """Return a secret by name or complete ARN, also one scheduled for deletion."""
        name = secret_id
        if secret_id.startswith(self._arn_prefix):
            name = secret_id.removeprefix(self._arn_prefix)[: -SUFFIX_LENGTH - 1]
        secret = self.secrets.get(name)
        if secret is None or secret_id not in (secret.name, secret.arn):
            return None
        if secret.delete_at is not None and secret.delete_at <= self.clock():
            del self.secrets[name]
            return None
        return secret

    def find(self, params: Params) -> Secret:
        """Return the secret that a call names, also one scheduled for deletion."""
        secret = self.lookup(params.required("SecretId"))
        if secret is None:
            raise not_found("secret")
        if secret.unseen:
            secret.unseen -= 1
            raise not_found("secret")
        return secret

    def usable(self, params: Params) -> Secret:
        """Return the secret that a call names, unless it is scheduled for deletion."""
        secret = self.find(params)
        if secret.delete_at is not None:
            message = "You can't perform this operation on the secret because it was marked for "
            raise AwsError("InvalidRequestException", message + "deletion.")
        return secret

    def writable(self, params: Params) -> Secret:
        """Return a usable secret that is no replica."""
        secret = self.usable(params)
        # https://github.com/gruntwork-io/cloud-nuke/issues/435 has it of DeleteSecret, and
        # https://github.com/lgallard/terraform-aws-secrets-manager/issues/188 of PutResourcePolicy.
        if secret.primary_region is not None:
            raise _replica()
        return secret

    def own(self, params: Params) -> Secret:
        """Return a writable secret whose versions are nobody else's."""
        secret = self.writable(params)
        # That a replica of another account refuses this too, and in these words, is inferred.
        if secret.cross_account_primary is not None:
            raise _replica()
        # "The secret is managed by another service, and you must use that service to update it"
        # (InvalidRequestException in API_PutSecretValue).
        if secret.owning_service is not None:
            message = f"The secret is managed by {secret.owning_service}."
            raise AwsError("InvalidRequestException", message)
        return secret

    def changed(self, secret: Secret) -> Json:
        """Note a change, and return what most operations answer."""
        secret.changed = self.clock()
        return {"ARN": secret.arn, "Name": secret.name}

    def need_key(self, key_id: str | None, action: str, error: str) -> None:
        """Fail unless the customer's KMS key, if there is one, can be used by the caller.

        The caller's own permissions on the key count:
        https://github.com/awsdocs/aws-kms-developer-guide/pull/36 shows code and text.
        """
        if key_id is None:
            return
        key = self._kms.find(key_id)
        if key is not None and action in key.denied:
            raise AwsError("AccessDeniedException", "Access to KMS is not allowed")
        if key is None or not key.usable:
            message = "Check that the KMS key is available, enabled, and not in an invalid state."
            raise AwsError(error, message)


def _replica() -> AwsError:
    message = "Operation not permitted on a replica secret. Call must be made in primary secret's "
    return AwsError("InvalidParameterException", message + "region.")


def not_found(what: str) -> AwsError:
    """Return the error for a secret or version that does not exist."""
    message = f"Secrets Manager can't find the specified {what}."
    return AwsError("ResourceNotFoundException", message)


def need_token(params: Params, error: str) -> None:
    """Fail unless a ClientRequestToken was sent, which an SDK makes by itself.

    Recorded by localstack, test_no_client_request_token: the code differs by operation.
    """
    if "ClientRequestToken" not in params:
        message = "You must provide a ClientRequestToken value. We recommend a UUID-type value."
        raise AwsError(error, message)
