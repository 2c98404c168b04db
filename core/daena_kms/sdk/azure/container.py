"""Ask Blob Storage for the pages of a container's listing, by token or by the account's key."""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from daena_kms.sdk.rest import Asker, Caller

#: The version that obstore speaks. https://learn.microsoft.com/rest/api/storageservices/versioning-for-the-azure-storage-services
_VERSION = "2023-11-03"


def asker(store: Any) -> Asker:
    """Return what asks for pages of the container of an obstore store.

    Permissions: ``Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read`` on the
    container.

    https://learn.microsoft.com/rest/api/storageservices/list-blobs
    """
    from azure.core.exceptions import AzureError

    account = str(store.config["account_name"])
    container = store.config["container_name"]
    endpoint = str(store.config.get("endpoint") or f"https://{account}.blob.core.windows.net")
    caller = Caller(store, {"account_key": "access_key"}, (AzureError,))

    def authorize(url: str) -> Mapping[str, str]:
        known = caller.credential()
        sent = {
            "x-ms-date": format_datetime(datetime.now(UTC), usegmt=True),
            "x-ms-version": _VERSION,
        }
        if "access_key" in known:
            signed = _signature(account, str(known["access_key"]), url, sent)
            return {**sent, "Authorization": f"SharedKey {account}:{signed}"}
        return {**sent, "Authorization": f"Bearer {known['token']}"} if "token" in known else sent

    return Asker(
        f"{endpoint.rstrip('/')}/{container}",
        authorize,
        _bundle,
        store.client_options,
    )


def _bundle() -> str:
    from requests.utils import DEFAULT_CA_BUNDLE_PATH

    return DEFAULT_CA_BUNDLE_PATH


def _signature(account: str, key: str, url: str, headers: Mapping[str, str]) -> str:
    """Return the signature of a GET by an account's key, which only an emulator takes.

    https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key
    """
    parts = urlsplit(url)
    asked = sorted(parse_qsl(parts.query, keep_blank_values=True))
    lines = [
        # The method, and eleven headers that a GET of ours does not have.
        *("GET", *[""] * 11),
        *(f"{name}:{text}" for name, text in sorted(headers.items())),
        f"/{account}{parts.path}",
        *(f"{name.lower()}:{text}" for name, text in asked),
    ]
    secret = base64.b64decode(key)
    digest = hmac.new(secret, "\n".join(lines).encode(), hashlib.sha256).digest()
    return base64.b64encode(digest).decode()
