"""From an address to the objects there: ``file://``, ``s3://``, ``az://``, ``gs://``."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, unquote, urlsplit

from daena_kms.errors import ConfigError
from daena_kms.objects.base import Objects, Use
from daena_kms.settings import Settings

if TYPE_CHECKING:
    from botocore.session import Session

    from daena_kms.sdk.azure.login import Login
    from daena_kms.sdk.gcp.login import GcpLogin

FORMS = (
    "Use file:///folder, s3://bucket/prefix, az://account/container/prefix or gs://bucket/prefix"
)


@dataclass(frozen=True, slots=True)
class Access:
    """Whose credentials are used; for a member that is ``None``, the environment's."""

    region: str | None = None
    profile: str | None = None
    session: "Session | None" = None
    login: "Login | GcpLogin | None" = None


def split_address(address: str, use: Use) -> SplitResult:
    """Return the parts of an address.

    Raises:
        ConfigError: It is malformed, or has a query, a fragment or credentials. The message never
            quotes those.
    """
    try:
        parts = urlsplit(address)
    except ValueError:
        raise _no_address(address, use) from None
    if parts.query or parts.fragment or parts.username or parts.password:
        msg = f"the address of {use.label} has a query, a fragment or credentials"
        raise ConfigError(msg, todo=FORMS)
    return parts


def open_objects(address: str, use: Use, access: Access) -> Objects:
    """Return the objects at ``address``; no call is made yet. Raises :class:`ConfigError`."""
    parts = split_address(address, use)
    if parts.scheme == "file":
        from daena_kms.objects.files import FileObjects

        return FileObjects(_folder(address, parts.netloc, parts.path), use)
    if parts.scheme == "s3" and parts.netloc:
        return _s3(address, parts, use, access)
    if parts.scheme == "az" and parts.netloc and parts.path.strip("/"):
        return _azure(address, parts, use, access)
    if parts.scheme == "gs" and parts.netloc:
        return _gcs(address, parts, use, access)
    raise _no_address(address, use)


def _no_address(address: str, use: Use) -> ConfigError:
    return ConfigError(f"{address[:80]!r} is not an address of {use.label}", todo=FORMS)


def _folder(address: str, host: str, path: str) -> Path:
    folder = Path(unquote(path))
    if host not in {"", "localhost"} or not folder.is_absolute() or folder == Path("/"):
        msg = f"{address[:80]!r} does not name a folder of this machine"
        raise ConfigError(msg, todo="Write three slashes and a full path: file:///var/log/daena")
    return folder


def _s3(address: str, parts: SplitResult, use: Use, access: Access) -> Objects:
    from daena_kms.objects.s3 import s3_objects
    from daena_kms.sdk.aws.client import AWS

    settings = Settings.load()
    region = access.region or settings.get("AWS_REGION")
    aws = AWS(region, access.profile or settings.get("AWS_PROFILE"), {})
    used = aws.session() if access.session is None else access.session
    return s3_objects(
        address,
        parts.netloc,
        parts.path.strip("/"),
        region=aws.region,
        credentials=lambda: _credentials(used, use),
        use=use,
    )


def _credentials(session: "Session", use: Use) -> object:
    found = session.get_credentials()
    if found is None:
        msg = f"there are no AWS credentials for {use.label}"
        todo = "Check what the AWS SDK finds: environment, profile or role"
        raise ConfigError(msg, todo=todo)
    return found


def _azure(address: str, parts: SplitResult, use: Use, access: Access) -> Objects:
    from daena_kms.objects.azure import azure_objects
    from daena_kms.sdk.azure.login import Login

    container, _, prefix = parts.path.strip("/").partition("/")
    given = access.login
    login = given if isinstance(given, Login) else Login(Settings.load().environ)
    return azure_objects(
        address, parts.netloc, container, prefix.strip("/"), credential=login.credential, use=use
    )


def _gcs(address: str, parts: SplitResult, use: Use, access: Access) -> Objects:
    from daena_kms.objects.gcs import gcs_objects
    from daena_kms.sdk.gcp.login import GcpLogin

    given = access.login
    login = given if isinstance(given, GcpLogin) else GcpLogin(Settings.load().environ)
    return gcs_objects(address, parts.netloc, parts.path.strip("/"), token=login.token, use=use)
