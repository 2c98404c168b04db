"""Objects in Google Cloud Storage."""

import os
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from daena_kms.errors import ConfigError
from daena_kms.objects.base import AUDIT, Use
from daena_kms.objects.cloud import CloudObjects, bounded

if TYPE_CHECKING:
    from obstore.store import GCSCredential


def gcs_objects(
    url: str,
    bucket: str,
    prefix: str,
    *,
    token: Callable[[], tuple[str, datetime]],
    environ: Mapping[str, str] = os.environ,
    use: Use = AUDIT,
) -> CloudObjects:
    """Return the objects in a bucket.

    Permissions, on the bucket (a custom role; none overwrites or deletes):
    ``storage.objects.create``, ``storage.objects.get`` and ``storage.objects.list``.

    https://cloud.google.com/storage/docs/access-control/iam-xml

    Args:
        url: The address, for messages.
        bucket: The bucket's name.
        prefix: The beginning of every object's name; it may be empty.
        token: Returns an access token and the time at which it expires.
        environ: ``GCP_STORAGE_ENDPOINT`` in it leads to an emulator instead.
        use: What the objects are kept for.

    Raises:
        ConfigError: obstore is not installed.
    """
    try:
        from obstore.store import GCSStore
    except ModuleNotFoundError:
        msg = f"obstore is not installed, and it is needed to write {use.label} to Cloud Storage"
        raise ConfigError(msg, todo="Run: pip install 'daena-kms[gcp]'") from None

    def provide() -> "GCSCredential":
        # obstore's own chain refuses federated credentials.
        value, ends = token()
        return {"token": value, "expires_at": ends}

    endpoint = environ.get("GCP_STORAGE_ENDPOINT")
    store = GCSStore(
        bucket,
        prefix=prefix or None,
        config={"base_url": endpoint} if endpoint else {},
        **bounded(endpoint),
        credential_provider=provide,
    )
    return CloudObjects(store, url, use)
