"""Objects in Google Cloud Storage."""

import os
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from daena_kms.errors import ConfigError
from daena_kms.objects.base import AUDIT, Use
from daena_kms.objects.cloud import CloudObjects, Provider, bounded
from daena_kms.objects.failures import made
from daena_kms.sdk.forms import check_url
from daena_kms.sdk.gcp.login import GOOGLE
from daena_kms.sdk.transport import BUNDLES, bundle_in

if TYPE_CHECKING:
    from obstore.store import GCSCredential

#: gRPC, by which the secrets are reached, has a variable of its own.
_BUNDLES = ("GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", *BUNDLES)


def gcs_objects(
    url: str,
    bucket: str,
    prefix: str,
    *,
    token: Callable[[], tuple[str, datetime]],
    universe: str = GOOGLE,
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
        universe: The domain of Google's services: another one in a sovereign cloud.
        environ: ``GCP_STORAGE_ENDPOINT`` in it leads to an emulator or a private
            endpoint instead.
        use: What the objects are kept for.

    Raises:
        ConfigError: obstore is not installed, or rejects the settings.
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

    where = environ.get("GCP_STORAGE_ENDPOINT") or f"https://storage.{universe}"
    check_url(where, "GCP_STORAGE_ENDPOINT")
    where = where.rstrip("/")
    provider = Provider(provide)
    store = made(
        lambda: GCSStore(
            bucket,
            prefix=prefix or None,
            # Whatever is not given, the library takes from the environment by rules of its own.
            config={"base_url": where, "skip_signature": False},
            **bounded(where, bundle_in(environ, *_BUNDLES)),
            credential_provider=provider,
        ),
        url,
        use,
    )
    return CloudObjects(store, url, use, provider)
