"""The simulated secrets by name and ARN, and the checks that every operation shares."""

import secrets as randomness
import string

from infra.local.aws.kms import Kms
from infra.local.aws.protocol import AwsError, Clock, Json, Params
from infra.local.aws.secrets_state import Secret

SUFFIX_LENGTH = 6


class SecretStore:
    """Holds the secrets in order of creation."""

    def __init__(self, clock: Clock, arn_prefix: str, kms: Kms) -> None:
        self.clock = clock
        self.secrets: dict[str, Secret] = {}
        self.arn_prefix = arn_prefix
        self._kms = kms
        self._made = 0
        # What secretsmanager:VersionStage holds: "the list of version stages in the request"
        # (Service Authorization Reference), or the "staging labels attached to the secret version
        # under evaluation" (auth-and-access_iam-policies): AWS's documents say both.
        self.stages_of_the_version = False

    def new(self, name: str) -> Secret:
        """Make a secret; it is not in the store until ``keep``."""
        # "Secrets Manager automatically adds a hyphen and six random characters after the secret
        # name at the end of the ARN" (API_CreateSecret).
        letters = string.ascii_letters + string.digits
        suffix = "".join(randomness.choice(letters) for _ in range(SUFFIX_LENGTH))
        now = self.clock()
        arn = f"{self.arn_prefix}{name}-{suffix}"
        return Secret(self._made + 1, name, arn, created=now, changed=now)

    def keep(self, secret: Secret) -> None:
        """Put a new secret into the store."""
        self._made = secret.sequence
        self.secrets[secret.name] = secret

    def lookup(self, secret_id: str) -> Secret | None:
        """Return a secret by name or complete ARN, also one scheduled for deletion."""
        name = secret_id
        if secret_id.startswith(self.arn_prefix):
            name = secret_id.removeprefix(self.arn_prefix)[: -SUFFIX_LENGTH - 1]
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
        return secret

    def usable(self, params: Params) -> Secret:
        """Return the secret that a call names, unless it is scheduled for deletion."""
        secret = self.find(params)
        if secret.delete_at is not None:
            message = "You can't perform this operation on the secret because it was marked for "
            raise AwsError("InvalidRequestException", message + "deletion.")
        return secret

    def own(self, params: Params) -> Secret:
        """Return a usable secret that no other service manages."""
        secret = self.usable(params)
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

    def need_key(self, key_id: str | None, error: str) -> None:
        """Fail unless the customer's KMS key, if there is one, can be used."""
        if key_id is None:
            return
        key = self._kms.find(key_id)
        if key is None or not key.enabled:
            message = "Check that the KMS key is available, enabled, and not in an invalid state."
            raise AwsError(error, message)


def not_found(what: str) -> AwsError:
    """Return the error for a secret or version that does not exist."""
    message = f"Secrets Manager can't find the specified {what}."
    return AwsError("ResourceNotFoundException", message)
