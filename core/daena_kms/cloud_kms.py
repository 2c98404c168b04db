"""The adapters of the four stores, and the factory that chooses one."""

import functools
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from daena_kms.errors import ConfigError
from daena_kms.rules.due import regular_due
from daena_kms.rules.policy import Defaults, parse_policy
from daena_kms.settings import Settings, check_provider, expand_home
from daena_kms.stores.adapter import CloudKMSAdapter

if TYPE_CHECKING:
    import boto3
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

    With ``DAENA_KMS_AWS_BLOCK_COMPROMISED=true`` the resource policy of a secret denies reading a
    compromised version.

    A ``session`` brings its own region, profile, credentials and endpoint settings. Where it sets
    a region, ``AWS_REGION`` does not count, and ``AWS_PROFILE`` never does. Calls go through the
    botocore session beneath it, never through boto3 itself: the functions ship botocore alone, for
    the cold start.

    Args:
        region: By default the session's, then ``AWS_REGION``, then the SDK's own settings.
        key_id: A KMS key id, ARN or alias; by default ``AWS_KMS_KEY_ID``.
        profile: By default ``AWS_PROFILE``. Not together with ``session``, which has its own.
        session: A ``boto3.Session`` that you made yourself. A client that is given goes first; the
            session then serves the other service and, by ``self.aws.session()``, the audit log.
        secrets_client: A boto3 client that you made yourself.
        kms_client: A boto3 client that you made yourself.
        defaults: The policy of keys whose tags say nothing; by default the environment's.

    Raises:
        ConfigError: ``session`` is no ``boto3.Session``, or ``profile`` is given beside it.
    """

    def __init__(
        self,
        region: str | None = None,
        key_id: str | None = None,
        profile: str | None = None,
        *,
        session: "boto3.Session | None" = None,
        secrets_client: "BaseClient | None" = None,
        kms_client: "BaseClient | None" = None,
        defaults: Defaults | None = None,
    ) -> None:
        from daena_kms.sdk.aws.sessions import beneath
        from daena_kms.sdk.forms import check_kms_key
        from daena_kms.stores.aws.store import AWSStore

        settings = Settings.load()
        own = None if session is None else beneath(session)
        if own is not None and profile is not None:
            msg = "session and profile are both given, and a session has its own profile"
            raise ConfigError(msg, todo="Pass session=boto3.Session(profile_name=…) alone")
        kms_key = key_id or settings.get("AWS_KMS_KEY_ID")
        store = AWSStore(
            region or (own and own.get_config_variable("region")) or settings.get("AWS_REGION"),
            None if kms_key is None else check_kms_key(kms_key),
            profile or settings.get("AWS_PROFILE"),
            secrets_client=secrets_client,
            kms_client=kms_client,
            session=own,
            block_compromised=settings.flag("DAENA_KMS_AWS_BLOCK_COMPROMISED"),
        )
        super().__init__(store, defaults)
        #: The clients of AWS; their session also serves the audit log.
        self.aws = store.aws


class AzureKeyVaultAdapter(CloudKMSAdapter):
    """Keys in Azure Key Vault; :mod:`daena_kms.stores.azure.store` lists permissions.

    With ``DAENA_KMS_EXPIRE=true`` a version expires when it is due. Without a client secret, the
    identities that :class:`daena_kms.sdk.azure.login.Login` names are tried.

    Args:
        vault_url: By default ``AZURE_KEY_VAULT_URL``.
        tenant_id: Of a service principal; by default ``AZURE_TENANT_ID``.
        client_id: Of a service principal; by default ``AZURE_CLIENT_ID``.
        client_secret: Of a service principal; by default ``AZURE_CLIENT_SECRET``.
        secret_client: An ``azure.keyvault.secrets.SecretClient`` that you made yourself.
        claims_url: Where rotations are claimed; by default ``DAENA_KMS_CLAIMS_URL``, or the
            container ``claims`` in the audit log's account.
        credential: A credential of ``azure.identity`` that you made yourself.
        defaults: The policy of keys whose tags say nothing; by default the environment's.
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
        from daena_kms.sdk.azure.client import Vault, check_url
        from daena_kms.sdk.azure.login import Login
        from daena_kms.stores.azure.set import Setter
        from daena_kms.stores.azure.store import AzureStore

        settings = Settings.load()
        address = vault_url or settings.get("AZURE_KEY_VAULT_URL")
        url = check_url(address) if secret_client is None else secret_client.vault_url
        #: The caller's identity; the audit log is reached with the same credential.
        self.login = Login(
            settings.environ,
            vault_host=urlsplit(url).hostname,
            tenant_id=tenant_id,
            client_id=client_id,
            client_secret=client_secret,
            credential=credential,
        )
        keyvault = Vault(address, self.login, secret_client)
        #: The client of the vault, and the vault's name as its events show it.
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

    :func:`daena_kms.stores.gcp.replication.new_secret` says how new secrets are replicated.

    Args:
        project_id: By default ``GCP_PROJECT_ID``, then the project that this code runs in.
        credentials_path: By default ``GOOGLE_APPLICATION_CREDENTIALS``, then Application Default
            Credentials.
        client: A ``SecretManagerServiceClient`` that you made yourself.
        location: The location of regional secrets; by default ``GCP_LOCATION``, then none.
        credentials: Credentials of ``google.auth`` that you made yourself.
        defaults: The policy of keys whose tags say nothing; by default the environment's.
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
        #: The caller's identity; the audit log is reached with the same credentials.
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
        #: The client of Secret Manager.
        self.manager = manager
        new = new_secret(settings.environ, regional=manager.regional)
        super().__init__(GCPStore(manager, new), defaults)


class LocalAdapter(CloudKMSAdapter):
    """Keys in a folder. The master key is in the folder, or in ``DAENA_KMS_MASTER_KEY``.

    Args:
        home: The folder; by default ``DAENA_KMS_HOME``.
        defaults: The policy of keys whose tags say nothing; by default the environment's.
    """

    def __init__(self, home: str | Path | None = None, *, defaults: Defaults | None = None) -> None:
        from daena_kms.stores.local.store import LocalStore

        settings = Settings.load()
        folder = settings.home if home is None else expand_home(home, "home")
        super().__init__(LocalStore(folder, settings.get("DAENA_KMS_MASTER_KEY")), defaults)


#: One for each of :data:`daena_kms.settings.PROVIDERS`.
_ADAPTERS: Mapping[str, Callable[[], CloudKMSAdapter]] = {
    "aws": AWSKMSAdapter,
    "azure": AzureKeyVaultAdapter,
    "gcp": GCPSecretManagerAdapter,
    "local": LocalAdapter,
}


def get_cloud_kms_adapter(provider: str | None = None) -> CloudKMSAdapter:
    """Return the adapter of a provider.

    Args:
        provider: ``aws``, ``azure``, ``gcp`` or ``local``; by default the one that the
            environment names or points to.

    Raises:
        ConfigError: The provider is unknown, or a setting is missing.
    """
    name = Settings.load().provider if provider is None else check_provider(provider)
    return _ADAPTERS[name]()
