"""Certificates and proxies, as the SDKs find them, for the clients that are not theirs.

The log's client is another library than the store's. Both must go the same way: through the same
proxy, and trusting the same certificates.
"""

import functools
import os
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from daena_kms.errors import ConfigError

#: As requests reads them, which Azure's and Google's SDKs use, in its order.
#: https://requests.readthedocs.io/en/latest/user/advanced/#ssl-cert-verification
BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_BEGIN = b"-----BEGIN CERTIFICATE-----"
#: obstore speaks no SOCKS, and says so in the middle of a call alone; neither does botocore.
_PROXY = re.compile(r"https?://\S+", re.ASCII)


def read_bundle(path: str, setting: str) -> bytes:
    """Return the certificates in a PEM file, or in those of a folder.

    Args:
        path: The file or folder.
        setting: Where the path comes from, for the message.

    Raises:
        ConfigError: It can't be read, or holds no certificate. An SDK would say that nobody
            answered.
    """
    todo = "Name a file that can be read and that holds certificates in PEM"
    try:
        file = Path(path).expanduser()
        pem, usable = _read(str(file), file.stat().st_mtime_ns)
    except (OSError, RuntimeError, ValueError) as error:
        msg = f"the file that {setting} names can't be read ({type(error).__name__})"
        raise ConfigError(msg, todo=todo) from None
    if not usable:
        msg = f"the file that {setting} names holds no usable certificates"
        raise ConfigError(msg, todo=todo)
    return pem


@functools.lru_cache(maxsize=4)
def _read(path: str, _changed: int) -> tuple[bytes, bool]:
    """Read a file, and return whether all of its certificates can be used. A bundle has many."""
    import ssl

    place = Path(path)
    files = sorted(place.iterdir()) if place.is_dir() else [place]
    read = [file.read_bytes() for file in files if file.is_file() or not place.is_dir()]
    pem = b"\n".join(dict.fromkeys(text for text in read if not place.is_dir() or _BEGIN in text))
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=pem.decode("ascii", "ignore"))
    except (ssl.SSLError, ValueError):
        return pem, False
    return pem, True


def bundle_in(environ: Mapping[str, str], *names: str) -> bytes | None:
    """Return the certificates that the first of these variables names, or ``None``.

    Raises:
        ConfigError: The file can't be used.
    """
    named = next((name for name in names if environ.get(name)), None)
    return None if named is None else read_bundle(environ[named], named)


def proxy_for(url: str) -> dict[str, str]:
    """Return obstore's options for the proxy that the SDKs would use for a URL.

    They and we read it with Python's own rules: ``HTTPS_PROXY``, ``HTTP_PROXY``, ``ALL_PROXY`` and
    ``NO_PROXY`` in either case, where an empty one in lower case switches the other off.

    Args:
        url: Where the requests go.

    Raises:
        ConfigError: The proxy's address has another form. It is not quoted: it may hold a password.
    """
    from urllib.request import getproxies, proxy_bypass

    parts = urlsplit(url)
    proxies = getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    host = parts.hostname or ""
    if not any(value for name, value in os.environ.items() if name.lower().endswith("_proxy")):
        return {}
    if not proxy or proxy_bypass(host):
        # Told of no proxy, the library would look into the environment itself, by its own rules.
        return {"proxy_url": "http://unused.invalid", "proxy_excludes": host}
    address = proxy if "://" in proxy else f"http://{proxy}"
    try:
        fits = _PROXY.fullmatch(address) and urlsplit(address).hostname
        urlsplit(address).port  # noqa: B018 - raises for a malformed port
    except ValueError:
        fits = None
    if not fits:
        msg = "the address of the proxy in HTTPS_PROXY, HTTP_PROXY or ALL_PROXY is not one"
        raise ConfigError(msg, todo="Write http://host:port (not SOCKS), or unset it")
    return {"proxy_url": address}
