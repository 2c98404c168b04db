"""Azure's clouds: each has domains of its own for logins, vaults and storage accounts.

https://learn.microsoft.com/azure/key-vault/general/about-keys-secrets-certificates#dns-suffixes
https://learn.microsoft.com/azure/storage/common/storage-powershell-independent-clouds
https://learn.microsoft.com/entra/identity-platform/authentication-national-cloud
"""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

_AUTHORITY = "AZURE_AUTHORITY_HOST"


@dataclass(frozen=True, slots=True)
class _Cloud:
    login: str
    vaults: str
    blobs: str


PUBLIC, CHINA, US_GOVERNMENT = "public", "china", "us government"
_CLOUDS: Mapping[str, _Cloud] = {
    PUBLIC: _Cloud("login.microsoftonline.com", "vault.azure.net", "blob.core.windows.net"),
    CHINA: _Cloud("login.chinacloudapi.cn", "vault.azure.cn", "blob.core.chinacloudapi.cn"),
    US_GOVERNMENT: _Cloud(
        "login.microsoftonline.us", "vault.usgovcloudapi.net", "blob.core.usgovcloudapi.net"
    ),
}
#: Another name of China's login, of which azure-identity's documents speak.
_LOGINS = {"login.partner.microsoftonline.cn": CHINA}


def cloud_of(host: str) -> str | None:
    """Return the cloud that a vault's, an account's or a login's host is in; ``None``: unknown."""
    name = host.lower().rstrip(".")
    if name in _LOGINS:
        return _LOGINS[name]
    for cloud, domains in _CLOUDS.items():
        suffixes = (f".{domains.vaults}", f".{domains.blobs}")
        if name == domains.login or name.endswith(suffixes):
            return cloud
    return None


def cloud_in(environ: Mapping[str, str], vault_host: str | None = None) -> str:
    """Return the cloud of the vault, else that of ``AZURE_AUTHORITY_HOST``, else the public one."""
    hosts = (vault_host or _host(environ.get("AZURE_KEY_VAULT_URL")), _host(_authority(environ)))
    return next((cloud for host in hosts if host and (cloud := cloud_of(host))), PUBLIC)


def login_host(cloud: str) -> str:
    """Return the host to log in at."""
    return _CLOUDS[cloud].login


def blob_host(account: str, cloud: str = PUBLIC) -> str:
    """Return the host of a storage account: the account itself, if it is a whole host."""
    return account if "." in account else f"{account}.{_CLOUDS[cloud].blobs}"


def _authority(environ: Mapping[str, str]) -> str | None:
    return environ.get(_AUTHORITY) or None


def _host(url: str | None) -> str | None:
    if not url:
        return None
    try:
        return urlsplit(url if "://" in url else f"https://{url}").hostname
    except ValueError:
        return None
