"""Ask Cloud Storage for the pages of a bucket's listing, by token."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from daena_kms.sdk.rest import Asker, Caller

_HOST = "https://storage.googleapis.com"


def asker(store: Any) -> Asker:
    """Return what asks for pages of the bucket of an obstore store.

    Permissions: ``storage.objects.list`` on the bucket.

    https://cloud.google.com/storage/docs/xml-api/get-bucket-list
    """
    from google.auth.exceptions import GoogleAuthError

    caller = Caller(store, {}, (GoogleAuthError,))

    def authorize(_url: str) -> Mapping[str, str]:
        known = caller.credential()
        return {"Authorization": f"Bearer {known['token']}"} if "token" in known else {}

    endpoint = str(store.config.get("base_url") or _HOST).rstrip("/")
    bucket = quote(str(store.config["bucket"]), safe="")
    return Asker(
        f"{endpoint}/{bucket}",
        authorize,
        bundle,
        store.client_options,
    )


def bundle() -> str:
    """Return where Google's library finds certificate authorities, for a Python without any."""
    from google.auth.transport import requests

    library: Any = requests
    return str(library.requests.certs.where())
