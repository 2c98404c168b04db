"""The append-only, chained audit log: one object for each record, created only if absent."""

from typing import TYPE_CHECKING

from daena_kms.objects.base import AUDIT, Objects
from daena_kms.settings import Settings

if TYPE_CHECKING:
    import boto3
    from botocore.session import Session

    from daena_kms.sdk.azure.login import Login
    from daena_kms.sdk.gcp.login import GcpLogin


def open_log(
    url: str | None = None,
    *,
    region: str | None = None,
    profile: str | None = None,
    session: "Session | boto3.Session | None" = None,
    login: "Login | GcpLogin | None" = None,
) -> Objects:
    """Return the audit log at ``url``; no call is made yet.

    Args:
        url: ``file:///folder``, ``s3://bucket/prefix``, ``az://account/container/prefix`` or
            ``gs://bucket/prefix``; by default ``DAENA_KMS_AUDIT_URL``.
        region: For S3; by default ``AWS_REGION``.
        profile: For S3, whose credentials are used; by default ``AWS_PROFILE``.
        session: For S3, a session of boto3 or botocore instead of ``profile`` and ``region``.
        login: For Azure and Google Cloud, an adapter's login; by default one from the environment.

    Raises:
        ConfigError: There is no address, or it is malformed; or ``session`` is no session.
    """
    from daena_kms.objects.address import Access, open_objects

    address = Settings.load().audit_url if url is None else url
    access = Access(region=region, profile=profile, session=session, login=login)
    return open_objects(address, AUDIT, access)
