"""The adapters of the four stores, and the factory that chooses one."""

import functools
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from daena_kms.rules.due import regular_due
from daena_kms.rules.policy import Defaults, parse_policy
from daena_kms.settings import Settings, check_provider
from daena_kms.stores.adapter import CloudKMSAdapter

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential
    from azure.keyvault.secrets import SecretClient
    from botocore.client import BaseClient
    from google.auth.credentials import Credentials
    from google.cloud.secretmanager_v1 import SecretManagerServiceClient

    from daena_kms.stores.azure.claims import Claims

__all__ = [
    "AWSKMSAdapter",
    "AzureKeyVaultAdapter",
    "CloudKMSAdapter",
    "GCPSecretManagerAdapter",
    "LocalAdapter",
    "get_cloud_kms_adapter",
]


class AWSKMSAdapter(CloudKMSAdapter):
    """Keys in Secrets Manager under a KMS key. Permissions: :mod:`daena_kms.stores.aws.store`.

    ``region`` falls back to ``AWS_REGION`` and the SDK's own settings, ``key_id`` (a KMS key id,
    ARN or alias) to ``AWS_KMS_KEY_ID``, ``profile`` to ``AWS_PROFILE``. ``secrets_client`` and
    ``kms_client`` are boto3 clients of your own making. With
    ``DAENA_KMS_AWS_BLOCK_COMPROMISED=true`` the resource policy of a secret denies reading a
    version that was compromised.
    """

    def __init__(
        self,
        region: str | None = None,
        key_id: str | None = None,
        profile: str | None = None,
        *,
        secrets_client: "BaseClient | None" = None,
        kms_client: "BaseClient | None" = None,
        defaults: Defaults | None = None,
    ) -> None:
        from daena_kms.stores.aws.store import AWSStore

        settings = Settings.load()
        store = AWSStore(
            region or settings.get("AWS_REGION"),
            key_id or settings.get("AWS_KMS_KEY_ID"),
            profile or settings.get("AWS_PROFILE"),
            secrets_client=secrets_client,
            kms_client=kms_client,
            block_compromised=settings.flag("DAENA_KMS_AWS_BLOCK_COMPROMISED"),
        )
        super().__init__(store, defaults)
        #: The driver, whose session also serves the audit log.
        self.aws = store.aws


class AzureKeyVaultAdapter(CloudKMSAdapter):
    """Keys in Azure Key Vault; :mod:`daena_kms.stores.azure.store` lists permissions.

    ``vault_url`` falls back to ``AZURE_KEY_VAULT_URL``; ``tenant_id``, ``client_id`` and
    ``client_secret`` (a service principal) to ``AZURE_TENANT_ID``, ``AZURE_CLIENT_ID`` and
    ``AZURE_CLIENT_SECRET``, and without a secret to the identities that
    :class:`daena_kms.sdk.azure.login.Login` names. ``claims_url`` is where rotations are
    claimed: ``DAENA_KMS_CLAIMS_URL``, or the container ``claims`` in the audit log's account.
    ``secret_client`` and ``credential`` are ones of your own making. With
    ``DAENA_KMS_EXPIRE=true`` a version expires when it is due.
    """

    def __init__(
        self,
        vault_url: str | None = None,
        tenant_id: str | None = None,
        client_id: str | None = None,
        client_secret: str | None = None,
        *,
        secret_client: "SecretClient | None" = None,
        claims_url: str | None = None,
        credential: "TokenCredential | None" = None,
        defaults: Defaults | None = None,
    ) -> None:
        from daena_kms.sdk.azure.client import Vault
        from daena_kms.sdk.azure.login import Login
        from daena_kms.stores.azure.set import Setter
        from daena_kms.stores.azure.store import AzureStore

        settings = Settings.load()
        #: Who we are; the audit log is reached with the same credential.
        self.login = Login(
            settings.environ,
            tenant_id=tenant_id,
            client_id=client_id,
            client_secret=client_secret,
            credential=credential,
        )
        keyvault = Vault(
            vault_url or settings.get("AZURE_KEY_VAULT_URL"), self.login, secret_client
        )
        #: The driver, and the vault's name, as its events have it.
        self.keyvault, self.vault = keyvault, keyvault.name
        claims = functools.cache(lambda: self._claims(claims_url))
        expiry = self._due if settings.flag("DAENA_KMS_EXPIRE") else None
        setter = Setter(keyvault, claims, expiry=expiry)
        super().__init__(AzureStore(keyvault, setter), defaults)

    def _claims(self, url: str | None) -> "Claims":
        from daena_kms.objects.address import Access, open_objects
        from daena_kms.objects.base import CLAIMS
        from daena_kms.stores.azure.claims import Claims

        access = Access(login=self.login)
        return Claims(open_objects(url or Settings.load().claims_url, CLAIMS, access), self.vault)

    def _due(self, tags: Mapping[str, str], made: datetime) -> datetime:
        policy = parse_policy(tags, self.defaults, self.store.can)
        return regular_due(made, policy)


class GCPSecretManagerAdapter(CloudKMSAdapter):
    """Keys in Secret Manager of one project; :mod:`daena_kms.stores.gcp.store` lists permissions.

    ``project_id`` falls back to ``GCP_PROJECT_ID`` and the project that we run in,
    ``credentials_path`` to ``GOOGLE_APPLICATION_CREDENTIALS`` and Application Default
    Credentials. ``client`` and ``credentials`` are ones of your own making; ``location`` (or
    ``GCP_LOCATION``) means regional secrets. New secrets are replicated as
    :func:`daena_kms.stores.gcp.replication.new_secret` says.
    """

    def __init__(
        self,
        project_id: str | None = None,
        credentials_path: str | None = None,
        *,
        client: "SecretManagerServiceClient | None" = None,
        location: str | None = None,
        credentials: "Credentials | None" = None,
        defaults: Defaults | None = None,
    ) -> None:
        from daena_kms.sdk.gcp.client import SecretManager
        from daena_kms.sdk.gcp.login import GcpLogin
        from daena_kms.stores.gcp.replication import new_secret
        from daena_kms.stores.gcp.store import GCPStore

        settings = Settings.load()
        #: Who we are; the audit log is reached with the same credentials.
        self.login = GcpLogin(
            settings.environ,
            project_id=project_id,
            credentials_path=credentials_path,
            credentials=credentials,
        )
        manager = SecretManager(
            self.login,
            location or settings.get("GCP_LOCATION"),
            client,
            writes_per_minute=settings.number("GCP_WRITES_PER_MINUTE"),
        )
        #: The driver.
        self.manager = manager
        new = new_secret(settings.environ, regional=manager.regional)
        super().__init__(GCPStore(manager, new), defaults)


class LocalAdapter(CloudKMSAdapter):
    """Keys in a folder: ``home``, or ``DAENA_KMS_HOME``.

    The master key is in the folder, or in ``DAENA_KMS_MASTER_KEY``.
    """

    def __init__(self, home: str | Path | None = None, *, defaults: Defaults | None = None) -> None:
        from daena_kms.stores.local.store import LocalStore

        settings = Settings.load()
        folder = settings.home if home is None else Path(home).expanduser()
        super().__init__(LocalStore(folder, settings.get("DAENA_KMS_MASTER_KEY")), defaults)


def get_cloud_kms_adapter(provider: str | None = None) -> CloudKMSAdapter:
    """Return the adapter for ``provider``, or for the one that the environment points to.

    Raises :class:`ConfigError` for an unknown provider or missing settings.
    """
    name = Settings.load().provider if provider is None else check_provider(provider)
    if name == "aws":
        return AWSKMSAdapter()
    if name == "azure":
        return AzureKeyVaultAdapter()
    if name == "gcp":
        return GCPSecretManagerAdapter()
    return LocalAdapter()
