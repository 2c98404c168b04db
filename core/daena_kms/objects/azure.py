"""Objects in Azure Blob Storage."""

import os
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from daena_kms.errors import ConfigError
from daena_kms.objects.base import AUDIT, Use
from daena_kms.objects.cloud import CloudObjects, Provider, bounded
from daena_kms.objects.failures import made
from daena_kms.sdk.azure.clouds import PUBLIC, blob_host
from daena_kms.sdk.forms import check_url
from daena_kms.sdk.transport import BUNDLES, bundle_in

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential
    from obstore.store import AzureCredential

#: The same in every Azure cloud.
#: https://learn.microsoft.com/azure/storage/blobs/authorize-access-azure-active-directory
SCOPE = "https://storage.azure.com/.default"
#: A name, or the whole host, whose first part it is; then the last part is not a number.
_ACCOUNT = re.compile(
    r"(?=.{3,253}$)([a-z0-9]{3,24})((\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+(?<!\.)(?<![0-9]))?", re.ASCII
)
_CONTAINER = re.compile(r"(?=.{3,63}$)[a-z0-9]+(-[a-z0-9]+)*")


def azure_objects(
    url: str,
    account: str,
    container: str,
    prefix: str,
    *,
    credential: "Callable[[], TokenCredential]",
    cloud: str = PUBLIC,
    environ: Mapping[str, str] = os.environ,
    use: Use = AUDIT,
) -> CloudObjects:
    """Return the objects in a container.

    Permissions, as data actions on the container (a custom role; none overwrites or deletes):
    ``Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read`` and
    ``Microsoft.Storage/storageAccounts/blobServices/containers/blobs/add/action``.

    https://learn.microsoft.com/rest/api/storageservices/put-blob#authorization

    Args:
        url: The address, for messages.
        account: A storage account's name, or its whole host, such as
            ``account.blob.core.usgovcloudapi.net``.
        container: The container's name.
        prefix: The beginning of every object's name; it may be empty.
        credential: Returns a credential of azure-identity.
        cloud: In which of Azure's clouds an account is that is given by its name alone.
        environ: ``AZURE_STORAGE_ENDPOINT`` and ``AZURE_STORAGE_ACCOUNT_KEY`` in it lead to an
            emulator instead.
        use: What the objects are kept for.

    Raises:
        ConfigError: Azure does not allow such names, or obstore is not installed or rejects the
            settings.
    """
    name = account.partition(".")[0]
    if _ACCOUNT.fullmatch(account) is None:
        msg = f"{account[:80]!r} is not a storage account"
        raise ConfigError(msg, todo="Write az://account/container/prefix")
    if _CONTAINER.fullmatch(container) is None:
        msg = f"{container[:80]!r} is not a container's name"
        todo = "Use 3 to 63 lower-case letters, digits and single hyphens"
        raise ConfigError(msg, todo=todo)
    try:
        from obstore.store import AzureStore
    except ModuleNotFoundError:
        msg = f"obstore is not installed, and it is needed to write {use.label} to Azure"
        raise ConfigError(msg, todo="Run: pip install 'daena-kms[azure]'") from None

    key = environ.get("AZURE_STORAGE_ACCOUNT_KEY")
    host = blob_host(account, cloud)
    endpoint = environ.get("AZURE_STORAGE_ENDPOINT") or None
    if endpoint is not None:
        check_url(endpoint, "AZURE_STORAGE_ENDPOINT")
        endpoint = endpoint.rstrip("/")
    where = endpoint or f"https://{host}"
    # Whatever is not given, the library takes from the environment by rules of its own.
    config: dict[str, Any] = {
        "account_name": name,
        "endpoint": where,
        "use_emulator": False,
        "use_fabric_endpoint": False,
        "skip_signature": False,
    }

    def provide() -> "AzureCredential":
        if key:
            return {"access_key": key, "expires_at": None}
        # obstore's own chain finds other credentials than azure-identity's chain does.
        from daena_kms.sdk.azure.login import fetch

        token = fetch(credential(), SCOPE)
        expires = datetime.fromtimestamp(token.expires_on, UTC)
        return {"token": token.token, "expires_at": expires}

    provider = Provider(provide)
    store = made(
        lambda: AzureStore(
            container,
            prefix=prefix or None,
            config=config,  # type: ignore[arg-type] # a TypedDict
            **bounded(where, bundle_in(environ, *BUNDLES)),
            credential_provider=provider,
        ),
        url,
        use,
    )
    return CloudObjects(store, url, use, provider)
