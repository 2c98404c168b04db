"""Log in to Azure: one credential for the vault, the claims and the audit log."""

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING

from daena_kms.errors import AccessDenied, ConfigError, DaenaKMSError, StoreUnavailable
from daena_kms.sdk.errors import Meaning, not_installed
from daena_kms.sdk.quiet import quiet, watch

if TYPE_CHECKING:
    from azure.core.credentials import AccessToken, TokenCredential
    from azure.core.exceptions import ClientAuthenticationError

#: Set by the platform wherever it offers a managed identity to an app or function.
#: https://learn.microsoft.com/azure/app-service/overview-managed-identity#rest-endpoint-reference
_IDENTITY = "IDENTITY_ENDPOINT"
#: Set in a function, whether it has an identity or not; on a developer's machine, with the latter.
#: https://learn.microsoft.com/azure/azure-functions/functions-app-settings
_FUNCTION, _WHERE, _LOCAL = "FUNCTIONS_WORKER_RUNTIME", "AZURE_FUNCTIONS_ENVIRONMENT", "Development"
_FEDERATED = "AZURE_FEDERATED_TOKEN_FILE"
_TODO = (
    "Give the app a managed identity, set AZURE_TENANT_ID, AZURE_CLIENT_ID and "
    "AZURE_CLIENT_SECRET, or log in with az login"
)
_COMPLETE = (
    "Check AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET, "
    "AZURE_FEDERATED_TOKEN_FILE and AZURE_TOKEN_CREDENTIALS"
)
#: The beginning of azure-identity's text for a refusal.
_REFUSED = "Authentication failed"

#: What a failed login means.
_AWAY = Meaning(
    StoreUnavailable,
    "Azure's login service does not answer",
    "Check the network; the next run tries again",
)
_NO_CREDENTIALS = Meaning(ConfigError, "no usable Azure credentials", _TODO)
_LOGIN_REFUSED = Meaning(AccessDenied, "Azure refused the login", _TODO)


class Login:
    """The credential of one process, made on first use.

    A service principal where a client secret is given; a managed identity in a function (the one
    in ``AZURE_CLIENT_ID``, or the system-assigned one), where asking anything else would only cost
    time; workload identity where the platform gives a federated token; otherwise
    azure-identity's default chain, which ends at the developer's login.

    https://learn.microsoft.com/azure/developer/python/sdk/authentication/credential-chains
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        *,
        tenant_id: str | None = None,
        client_id: str | None = None,
        client_secret: str | None = None,
        credential: "TokenCredential | None" = None,
    ) -> None:
        self._environ = environ
        self._tenant_id = tenant_id or environ.get("AZURE_TENANT_ID") or None
        self._client_id = client_id or environ.get("AZURE_CLIENT_ID") or None
        self._client_secret = client_secret or environ.get("AZURE_CLIENT_SECRET") or None
        self._credential = credential
        self._lock = threading.Lock()

    def credential(self) -> "TokenCredential":
        """Return the credential. Raises :class:`ConfigError` for half a service principal."""
        with self._lock:
            if self._credential is None:
                try:
                    with quiet():
                        self._credential = self._make()
                except ValueError:
                    # Its text may quote the rejected value.
                    msg = "the Azure SDK rejects the credentials as they are set"
                    raise ConfigError(msg, todo=_COMPLETE) from None
                watch("azure", "msal", "urllib3")
        return self._credential

    def _make(self) -> "TokenCredential":
        try:
            from azure import identity
        except ImportError:
            raise not_installed("the Azure SDK", "azure") from None
        if self._client_secret is not None:
            if self._tenant_id is None or self._client_id is None:
                msg = "AZURE_CLIENT_SECRET is set without AZURE_TENANT_ID or AZURE_CLIENT_ID"
                raise ConfigError(msg, todo="Set all three for a service principal, or none")
            return identity.ClientSecretCredential(
                self._tenant_id, self._client_id, self._client_secret
            )
        if self._environ.get(_FEDERATED):
            return identity.WorkloadIdentityCredential(
                tenant_id=self._tenant_id, client_id=self._client_id
            )
        deployed = self._environ.get(_FUNCTION) and self._environ.get(_WHERE) != _LOCAL
        if self._environ.get(_IDENTITY) or deployed:
            return identity.ManagedIdentityCredential(client_id=self._client_id)
        return identity.DefaultAzureCredential(
            exclude_interactive_browser_credential=True,
            managed_identity_client_id=self._client_id,
        )


def fetch(credential: "TokenCredential", scope: str) -> "AccessToken":
    """Return a token for ``scope``, cached by the credential itself.

    Raises:
        AccessDenied: Entra ID refuses the credential.
        ConfigError: There is no credential.
        StoreUnavailable: Entra ID does not answer.
    """
    from azure.core.exceptions import ClientAuthenticationError

    try:
        with quiet():
            return credential.get_token(scope)
    except ClientAuthenticationError as error:
        raise refused(error) from None


def refused(error: "ClientAuthenticationError") -> DaenaKMSError:
    """Return our error for a failed login, without the SDK's text, which may quote an answer."""
    from azure.core.exceptions import (
        ServiceRequestError,
        ServiceResponseError,
    )

    if isinstance(error.__cause__, ServiceRequestError | ServiceResponseError):
        return _AWAY.about(None)
    # A service principal's error comes without the answer. A chain's error says that none of its
    # members had a credential.
    if error.response is None and not str(error.message).startswith(_REFUSED):
        return _NO_CREDENTIALS.about(None)
    return _LOGIN_REFUSED.about(None)
