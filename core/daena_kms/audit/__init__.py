"""The append-only, chained audit log: one object for each record, created only if absent."""

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from daena_kms.audit.objects import FileObjects, Objects
from daena_kms.errors import ConfigError
from daena_kms.settings import Settings

if TYPE_CHECKING:
    from botocore.session import Session

_TODO = "Use file:///folder or s3://bucket/prefix"
_LATER = ("az", "gs")


def open_log(
    url: str | None = None,
    *,
    region: str | None = None,
    profile: str | None = None,
    session: "Session | None" = None,
) -> Objects:
    """Return the audit log at ``url``, by default ``DAENA_KMS_AUDIT_URL``. Nothing is called.

    ``file:///folder`` and ``s3://bucket/prefix`` are known. For S3, ``session`` (botocore), or
    ``profile`` and ``region``, say whose credentials are used; they fall back to ``AWS_PROFILE``
    and ``AWS_REGION``. Raises :class:`ConfigError`.
    """
    settings = Settings.load()
    address = settings.audit_url if url is None else url
    try:
        parts = urlsplit(address)
    except ValueError:
        msg = f"{address[:80]!r} is no address of an audit log"
        raise ConfigError(msg, todo=_TODO) from None
    if parts.query or parts.fragment or parts.username or parts.password:
        msg = "the audit log's address has a query, a fragment or credentials"
        raise ConfigError(msg, todo=_TODO)
    if parts.scheme == "file":
        return FileObjects(_folder(address, parts.netloc, parts.path))
    if parts.scheme == "s3" and parts.netloc:
        return _s3(address, parts.netloc, parts.path, region, profile, session)
    if parts.scheme in _LATER:
        msg = f"this version keeps no audit log at {parts.scheme}:// yet"
        raise ConfigError(msg, todo=_TODO)
    msg = f"{address[:80]!r} is no address of an audit log"
    raise ConfigError(msg, todo=_TODO)


def _folder(address: str, host: str, path: str) -> Path:
    folder = Path(unquote(path))
    if host not in {"", "localhost"} or not folder.is_absolute() or folder == Path("/"):
        msg = f"{address[:80]!r} names no folder of this machine"
        raise ConfigError(msg, todo="Write three slashes and a full path: file:///var/log/daena")
    return folder


def _s3(  # noqa: PLR0913, PLR0917 - one address and whose credentials
    address: str,
    bucket: str,
    path: str,
    region: str | None,
    profile: str | None,
    session: "Session | None",
) -> Objects:
    from daena_kms.audit.cloud_objects import s3_objects  # noqa: PLC0415 - only where S3 is used
    from daena_kms.stores.aws_client import AWS  # noqa: PLC0415 - as above

    settings = Settings.load()
    aws = AWS(region or settings.get("AWS_REGION"), profile or settings.get("AWS_PROFILE"), {})
    used = aws.session() if session is None else session
    return s3_objects(
        address,
        bucket,
        path.strip("/"),
        region=aws.region,
        credentials=lambda: _credentials(used),
    )


def _credentials(session: "Session") -> object:
    found = session.get_credentials()
    if found is None:
        msg = "no AWS credentials for the audit log"
        todo = "Check what the AWS SDK finds: environment, profile or role"
        raise ConfigError(msg, todo=todo)
    return found
