"""From an address to the objects there: ``file://``, ``s3://``, ``az://``, ``gs://``.

An address has one spelling. Whatever a library might read as another place than the person meant
is refused before any call: otherwise there would soon be a second log beside the first.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, unquote, urlsplit

from daena_kms.errors import ConfigError
from daena_kms.objects.base import Objects, Use
from daena_kms.settings import Settings

if TYPE_CHECKING:
    import boto3
    from botocore.session import Session

    from daena_kms.sdk.azure.login import Login
    from daena_kms.sdk.gcp.login import GcpLogin

FORMS = (
    "Use file:///folder, s3://bucket/prefix, az://account/container/prefix or gs://bucket/prefix"
)
_PARTS = "the parts of a path are letters, digits and !$&'()+,-.:;=@_, none of them . or .."
#: What stands for itself in an object's name, in each cloud and in the library.
_PART = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9!$&'()+,.:;=@_-]+", re.ASCII)
_MAX_PREFIX, _MAX_ADDRESS = 500, 1_000
#: https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
_S3_BUCKET = re.compile(
    r"(?=.{3,63}$)(?!xn--)(?!(?:[0-9]{1,3}\.){3}[0-9]{1,3}$)[a-z0-9]+(?:(?:\.|-+)[a-z0-9]+)*",
    re.ASCII,
)
_S3_FORM = "A bucket has 3 to 63 lower-case letters, digits, hyphens and dots"
#: https://cloud.google.com/storage/docs/buckets#naming
_GS_BUCKET = re.compile(
    r"(?=.{3,222}$)(?!(?:[0-9]{1,3}\.){3}[0-9]{1,3}$)"
    r"[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?)*",
    re.ASCII,
)
_GS_FORM = "A bucket has 3 to 63 lower-case letters, digits, hyphens, underscores and dots"
#: In a folder's address: an encoding that is none, or one of a slash or of a character that can't
#: be in a path.
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})|%2[Ff]|%[01][0-9A-Fa-f]|%7[Ff]")
_FOLDER = (
    "Write three slashes and a full path without empty parts, . and ..: "
    "file:///var/log/daena; a space in it is %20"
)


@dataclass(frozen=True, slots=True)
class Access:
    """Whose credentials are used; for a member that is ``None``, the environment's."""

    region: str | None = None
    profile: str | None = None
    session: "Session | boto3.Session | None" = None
    login: "Login | GcpLogin | None" = None


def split_address(address: str, use: Use) -> SplitResult:
    """Return the parts of an address.

    Raises:
        ConfigError: It is malformed, or has a query, a fragment or credentials. The message never
            quotes those.
    """
    if address.startswith("file://") and " " in address:
        raise ConfigError(_no_address(address, use).what, todo=_FOLDER)
    odd = any(character.isspace() or not character.isprintable() for character in address)
    if odd or len(address) > _MAX_ADDRESS:
        raise _no_address(address, use)
    try:
        parts = urlsplit(address)
        parts.port  # noqa: B018 - raises for a malformed port
    except ValueError:
        raise _no_address(address, use) from None
    if set("?#") & set(address) or "@" in parts.netloc:
        msg = f"the address of {use.label} has a query, a fragment or credentials"
        raise ConfigError(msg, todo=FORMS)
    if not address.startswith(f"{parts.scheme}://"):  # another spelling of the scheme
        raise _no_address(address, use)
    return parts


def open_objects(address: str, use: Use, access: Access) -> Objects:
    """Return the objects at ``address``; no call is made yet. Raises :class:`ConfigError`."""
    parts = split_address(address, use)
    if parts.scheme == "file":
        from daena_kms.objects.files import FileObjects

        return FileObjects(_folder(address, parts.netloc, parts.path), use)
    path = parts.path.removesuffix("/")
    url = f"{parts.scheme}://{parts.netloc}{path}"
    if parts.scheme == "s3" and parts.netloc:
        _check_bucket(parts.netloc, _S3_BUCKET, _S3_FORM)
        return _s3(url, parts.netloc, _prefix(address, path, use), use, access)
    if parts.scheme == "az" and parts.netloc and path.strip("/"):
        container, _, prefix = path[1:].partition("/")
        below = _prefix(address, f"/{prefix}" if "/" in path[1:] else "", use)
        return _azure(url, parts.netloc, container, below, use, access)
    if parts.scheme == "gs" and parts.netloc:
        _check_bucket(parts.netloc, _GS_BUCKET, _GS_FORM)
        return _gcs(url, parts.netloc, _prefix(address, path, use), use, access)
    raise _no_address(address, use)


def _no_address(address: str, use: Use) -> ConfigError:
    # What may hold a signature or a password is not quoted.
    shown = "what is set" if set("?#@") & set(address) else repr(address[:80])
    return ConfigError(f"{shown} is not an address of {use.label}", todo=FORMS)


def _check_bucket(name: str, form: re.Pattern[str], todo: str) -> None:
    if form.fullmatch(name) is None:
        shown = repr(name[:80]) if name.isprintable() else "what is set"
        raise ConfigError(f"{shown} is not a bucket's name", todo=todo)


def _prefix(address: str, path: str, use: Use) -> str:
    """Return the beginning of every object's name, from a path that begins with a slash."""
    prefix = path.removeprefix("/")
    if not path:
        return ""
    if len(prefix) > _MAX_PREFIX or not all(map(_PART.fullmatch, prefix.split("/"))):
        error = _no_address(address, use)
        raise ConfigError(error.what, todo=f"{FORMS}; {_PARTS}")
    return prefix


def _folder(address: str, host: str, path: str) -> Path:
    try:
        names = unquote(path.removesuffix("/"), errors="strict").split("/")[1:]
    except UnicodeDecodeError:
        names = []
    odd = (name in {"", ".", ".."} or name != name.strip() for name in names)
    if host not in {"", "localhost"} or not names or _BAD_ESCAPE.search(path) or any(odd):
        msg = f"{address[:80]!r} does not name a folder of this machine"
        raise ConfigError(msg, todo=_FOLDER)
    return Path("/", *names)


def _s3(url: str, bucket: str, prefix: str, use: Use, access: Access) -> Objects:
    from daena_kms.objects.s3 import s3_objects
    from daena_kms.sdk.aws.client import AWS, credentials_of
    from daena_kms.sdk.aws.endpoint import s3_endpoint
    from daena_kms.sdk.aws.sessions import settled

    settings = Settings.load()
    given, region = access.session, access.region
    if given is None:
        used = AWS(None, access.profile or settings.get("AWS_PROFILE"), {}).session()
    else:
        used, region = settled(given, region)
    region = region or settings.get("AWS_REGION") or used.get_config_variable("region")
    where = s3_endpoint(used, region, bucket)
    return s3_objects(
        url,
        bucket,
        prefix,
        region=where.region,
        credentials=lambda: credentials_of(used),
        endpoint=where,
        use=use,
    )


def _azure(
    url: str, account: str, container: str, prefix: str, use: Use, access: Access
) -> Objects:
    from daena_kms.objects.azure import azure_objects
    from daena_kms.sdk.azure.login import Login

    environ = Settings.load().environ
    # A whole host says which of Azure's clouds it is in, and so where to log in.
    host = account if "." in account else None
    login = access.login if isinstance(access.login, Login) else Login(environ, vault_host=host)
    return azure_objects(
        url,
        account,
        container,
        prefix,
        credential=login.credential,
        cloud=login.cloud,
        environ=environ,
        use=use,
    )


def _gcs(url: str, bucket: str, prefix: str, use: Use, access: Access) -> Objects:
    from daena_kms.objects.gcs import gcs_objects
    from daena_kms.sdk.gcp.login import GcpLogin

    environ = Settings.load().environ
    login = access.login if isinstance(access.login, GcpLogin) else GcpLogin(environ)
    universe = login.universe
    return gcs_objects(
        url, bucket, prefix, token=login.token, universe=universe, environ=environ, use=use
    )
