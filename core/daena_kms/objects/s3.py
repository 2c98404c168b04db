"""Objects in S3."""

import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from daena_kms.errors import ConfigError
from daena_kms.objects.base import AUDIT, Use
from daena_kms.objects.cloud import CloudObjects, Provider, bounded
from daena_kms.objects.failures import made
from daena_kms.sdk.aws.endpoint import S3Endpoint
from daena_kms.sdk.forms import check_url

if TYPE_CHECKING:
    from obstore.store import S3Credential

_CREDENTIALS_LIVE = timedelta(minutes=10)


def s3_objects(
    url: str,
    bucket: str,
    prefix: str,
    *,
    region: str | None,
    credentials: Callable[[], Any],
    endpoint: S3Endpoint | None = None,
    environ: Mapping[str, str] = os.environ,
    use: Use = AUDIT,
) -> CloudObjects:
    """Return the objects in a bucket.

    Permissions: ``s3:PutObject``, ``s3:GetObject`` on ``prefix/log/*`` and ``s3:ListBucket`` on
    the bucket. A bucket with default retention refuses a put without a checksum, so each put has
    one: https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock-managing.html

    Args:
        url: The address, for messages.
        bucket: The bucket's name.
        prefix: The beginning of every object's name; it may be empty.
        region: The bucket's region, if it is set.
        credentials: Returns botocore credentials.
        endpoint: Where the bucket is, by the SDK's settings and rules.
        environ: Without an ``endpoint``, ``AWS_ENDPOINT_URL_S3`` or ``AWS_ENDPOINT_URL`` in it
            leads to an emulator.
        use: What the objects are kept for.

    Raises:
        ConfigError: obstore is not installed, or rejects the settings.
    """
    try:
        from obstore.store import S3Store
    except ModuleNotFoundError:
        msg = f"obstore is not installed, and it is needed to write {use.label} to S3"
        raise ConfigError(msg, todo="Run: pip install 'daena-kms[aws]'") from None

    def provide() -> "S3Credential":
        # obstore by itself ignores AWS profiles, and its own bridge to boto3 imports all of boto3.
        frozen = credentials().get_frozen_credentials()
        return {
            "access_key_id": frozen.access_key,
            "secret_access_key": frozen.secret_key,
            "token": frozen.token,
            "expires_at": datetime.now(UTC) + _CREDENTIALS_LIVE,
        }

    where = endpoint or _emulator(environ, region)
    # Whatever is not given, the library takes from the environment by rules of its own.
    given: dict[str, Any] = {
        "checksum_algorithm": "SHA256",
        "conditional_put": "etag",
        "skip_signature": False,
        "s3_express": False,
        "region": where.region,
        "endpoint": where.url,
        "aws_endpoint_url_s3": where.url,
        "virtual_hosted_style_request": where.virtual,
    }
    provider = Provider(provide)
    store = made(
        lambda: S3Store(
            bucket,
            prefix=prefix or None,
            config=given,  # type: ignore[arg-type] # a TypedDict
            **bounded(where.url, where.certificates),
            credential_provider=provider,
        ),
        url,
        use,
    )
    return CloudObjects(store, url, use, provider)


def _emulator(environ: Mapping[str, str], region: str | None) -> S3Endpoint:
    name = "AWS_ENDPOINT_URL_S3" if environ.get("AWS_ENDPOINT_URL_S3") else "AWS_ENDPOINT_URL"
    where = environ.get(name) or f"https://s3.{region or 'us-east-1'}.amazonaws.com"
    check_url(where, name)
    return S3Endpoint(where.rstrip("/"), region or "us-east-1", virtual=False)
