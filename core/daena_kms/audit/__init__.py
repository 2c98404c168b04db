"""The append-only, chained audit log: one object for each record, created only if absent."""

from typing import TYPE_CHECKING

from daena_kms.objects.base import AUDIT, Objects
from daena_kms.settings import Settings

if TYPE_CHECKING:
    from botocore.session import Session

    from daena_kms.sdk.azure.login import Login
    from daena_kms.sdk.gcp.login import GcpLogin


def open_log(
    url: str | None = None,
    *,
    region: str | None = None,
    profile: str | None = None,
    session: "Session | None" = None,
    login: "Login | GcpLogin | None" = None,
) -> Objects:
    """Return the audit log at ``url``, by default ``DAENA_KMS_AUDIT_URL``. Nothing is called.

    ``file:///folder``, ``s3://bucket/prefix``, ``az://account/container/prefix`` and
    ``gs://bucket/prefix`` are known. For S3, ``session`` (botocore), or ``profile`` and
    ``region``, say whose credentials are used; they fall back to ``AWS_PROFILE`` and
    ``AWS_REGION``. For Azure and Google Cloud it is ``login``, an adapter's or by default one
    from the environment. Raises :class:`~daena_kms.errors.ConfigError`.
    """
    from daena_kms.objects.address import (
        Access,
        open_objects,
    )

    address = Settings.load().audit_url if url is None else url
    access = Access(region=region, profile=profile, session=session, login=login)
    return open_objects(address, AUDIT, access)
