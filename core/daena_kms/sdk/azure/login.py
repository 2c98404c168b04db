"""Log in to Azure: one credential for the vault, the claims and the audit log."""

import os
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from daena_kms.errors import ConfigError
from daena_kms.sdk.azure.clouds import PUBLIC, cloud_in, login_host
from daena_kms.sdk.azure.refusals import NO_FILE, NO_JSON, refused
from daena_kms.sdk.errors import not_installed
from daena_kms.sdk.forms import check_entra_id
from daena_kms.sdk.quiet import quiet, watch
from daena_kms.sdk.transport import BUNDLES, bundle_in

__all__ = ["Login", "fetch", "refused"]

if TYPE_CHECKING:
    from azure.core.credentials import AccessToken, TokenCredential

#: Set by the platform wherever it offers a managed identity to an app or function.
#: https://learn.microsoft.com/azure/app-service/overview-managed-identity#rest-endpoint-reference
_IDENTITY = "IDENTITY_ENDPOINT"
#: Set in a function, whether it has an identity or not; on a developer's machine, with the latter.
#: https://learn.microsoft.com/azure/azure-functions/functions-app-settings
_FUNCTION, _WHERE, _LOCAL = "FUNCTIONS_WORKER_RUNTIME", "AZURE_FUNCTIONS_ENVIRONMENT", "Development"
_FEDERATED = "AZURE_FEDERATED_TOKEN_FILE"
_AUTHORITY = "AZURE_AUTHORITY_HOST"
#: With one of these set to nothing, azure-identity would still take them for a service principal.
_PRINCIPAL = (
    *("AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_CLIENT_SECRET"),
    *("AZURE_CLIENT_CERTIFICATE_PATH", "AZURE_USERNAME", "AZURE_PASSWORD"),
)
_COMPLETE = (
    "Check AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET, "
    "AZURE_FEDERATED_TOKEN_FILE and AZURE_TOKEN_CREDENTIALS"
)


class Login:
    """The credential of one process, made on first use.

    A service principal where a client secret is given; a managed identity in a function (the one
    in ``AZURE_CLIENT_ID``, or the system-assigned one), where asking anything else would only cost
    time; workload identity where the platform gives a federated token; otherwise
    azure-identity's default chain, which ends at the developer's login.

    The login is in the vault's cloud, unless ``AZURE_AUTHORITY_HOST`` says otherwise.

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
        vault_host: str | None = None,
    ) -> None:
        self._environ = environ
        #: Which of Azure's clouds the vault is in, or the account if there is no vault.
        self.cloud = cloud_in(environ, vault_host)
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
                except (ValueError, OSError):
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
        bundle_in(os.environ, *BUNDLES)  # the SDK would say that nobody answers
        if self._client_id is not None:
            check_entra_id(self._client_id, "AZURE_CLIENT_ID")
        at = self._authority()
        if self._client_secret is not None:
            if self._tenant_id is None or self._client_id is None:
                msg = "AZURE_CLIENT_SECRET is set without AZURE_TENANT_ID or AZURE_CLIENT_ID"
                raise ConfigError(msg, todo="Set all three for a service principal, or none")
            return identity.ClientSecretCredential(
                self._tenant_id, self._client_id, self._client_secret, **at
            )
        if self._environ.get(_FEDERATED):
            return identity.WorkloadIdentityCredential(
                tenant_id=self._tenant_id,
                client_id=self._client_id,
                token_file_path=self._environ[_FEDERATED],
                **at,
            )
        deployed = self._environ.get(_FUNCTION) and self._environ.get(_WHERE) != _LOCAL
        if self._environ.get(_IDENTITY) or deployed:
            return identity.ManagedIdentityCredential(client_id=self._client_id)
        return identity.DefaultAzureCredential(
            exclude_interactive_browser_credential=True,
            managed_identity_client_id=self._client_id,
            **at,
            **self._chain_without_empty(),
        )

    def _authority(self) -> dict[str, Any]:
        """Return where to log in, if the SDK would not find that by itself."""
        if self._environ.get(_AUTHORITY):
            return {}
        found = self.cloud != PUBLIC or _AUTHORITY in os.environ
        return {"authority": login_host(self.cloud)} if found else {}

    @staticmethod
    def _chain_without_empty() -> dict[str, Any]:
        """Leave the environment's principal out of the chain where it has an empty variable."""
        empty = any(os.environ.get(name) == "" for name in _PRINCIPAL)
        return {"exclude_environment_credential": True} if empty else {}


def fetch(credential: "TokenCredential", scope: str) -> "AccessToken":
    """Return a token for ``scope``, cached by the credential itself.

    Raises:
        AccessDenied: Entra ID refuses the credential.
        ConfigError: There is no credential, or its file can't be read.
        StoreUnavailable: Entra ID does not answer.
    """
    from azure.core.exceptions import AzureError, ClientAuthenticationError

    try:
        with quiet():
            return credential.get_token(scope)
    except ClientAuthenticationError as error:
        ours = refused(error)
    except AzureError as error:
        # The errors of a connection; imported here, as they import the errors of logins.
        from daena_kms.sdk.azure.errors import meaning_of

        ours = meaning_of(error).about(None, name=type(error).__name__)
    except OSError as error:
        ours = NO_FILE.about(None, name=type(error).__name__)
    except ValueError as error:
        ours = NO_JSON.about(None, name=type(error).__name__)
    raise ours
