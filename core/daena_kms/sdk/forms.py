"""Forms of the settings that are handed to SDKs: regions, URLs, tenants, KMS keys, projects.

An SDK would take a malformed one as it is: into a host's name, a header or a signature. At best the
call fails later and looks like a network that is down. So each form is checked before any call.
Pure: nothing is looked up.
"""

import re
from urllib.parse import SplitResult, urlsplit

from daena_kms.errors import ConfigError

_REGION = re.compile(r"(?=.{1,63}$)(?![0-9]+$)[a-z0-9]+(-[a-z0-9]+)*", re.ASCII)
#: A host's name, an IPv4 address, or an IPv6 address in brackets; then perhaps a port and a path.
_URL = re.compile(
    r"https?://(?:[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]{2,45}\])"
    r"(?::[0-9]{1,5})?(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~-]+)*/?",
    re.ASCII,
)
_MAX_URL, _MAX_PORT = 1_000, 65_535
#: https://docs.aws.amazon.com/kms/latest/APIReference/API_GenerateDataKey.html: an id, an alias or
#: the ARN of either.
_KMS_KEY = re.compile(
    r"(?=.{1,2048}$)(?:arn:[a-z0-9-]+:kms:[a-z0-9-]+:[0-9]{12}:)?[A-Za-z0-9][A-Za-z0-9/_-]*",
    re.ASCII,
)
#: A directory's id or one of its domains; an application's id.
_ENTRA_ID = re.compile(r"(?=.{1,253}$)[A-Za-z0-9]+([.-][A-Za-z0-9]+)*", re.ASCII)


def check_region(region: str, setting: str = "AWS_REGION, or the profile's region,") -> str:
    """Return a region's name. Raises :class:`ConfigError`; ``setting`` says where it comes from."""
    if _REGION.fullmatch(region) is None:
        msg = f"{setting} is {region[:40]!r}, which is not a region"
        raise ConfigError(msg, todo="Write one such as eu-central-1, in lower case")
    return region


def check_kms_key(key: str) -> str:
    """Return a KMS key's id, alias or ARN. Raises :class:`ConfigError`."""
    if _KMS_KEY.fullmatch(key) is None:
        msg = f"{key[:80]!r} is not a KMS key's id, alias or ARN"
        raise ConfigError(msg, todo="Set AWS_KMS_KEY_ID to an id, alias/NAME, or an ARN of either")
    return key


def check_entra_id(text: str, setting: str) -> str:
    """Return a tenant's or an application's id. Raises :class:`ConfigError`, without quoting it.

    Somebody may have mixed it up with the client secret, which stands beside it.
    """
    if _ENTRA_ID.fullmatch(text) is None:
        msg = f"{setting} is not of the form of an id"
        todo = "Write it as 00000000-0000-0000-0000-000000000000, or a tenant as its domain"
        raise ConfigError(msg, todo=todo)
    return text


def check_url(url: str, setting: str) -> SplitResult:
    """Return the parts of an endpoint's URL: a scheme, a host, perhaps a port and a path.

    Args:
        url: The URL.
        setting: Where it comes from, for the message.

    Raises:
        ConfigError: It has another form. The message never quotes it: it may hold a password.
    """
    try:
        parts = urlsplit(url) if _URL.fullmatch(url) and len(url) <= _MAX_URL else None
        port = parts.port if parts is not None else None
        if parts is not None and parts.hostname and (port is None or 0 < port <= _MAX_PORT):
            return parts
    except ValueError:  # an IPv6 address that is none, a port out of range
        pass
    msg = f"{setting} is not the URL of an endpoint"
    todo = "Write https://host, https://host:port or https://host/path, and nothing else"
    raise ConfigError(msg, todo=todo)
