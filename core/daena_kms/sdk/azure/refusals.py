"""What a failed login to Azure means, by the number in Entra ID's or the vault's answer.

Microsoft says that numbers may be added and split at any time. So a number that is not in the
tables means a refused login, and nothing more.
https://learn.microsoft.com/entra/identity-platform/reference-error-codes
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from daena_kms.errors import AccessDenied, ConfigError, DaenaKMSError, StoreUnavailable
from daena_kms.sdk.errors import Meaning, read_date, wrong_clock

if TYPE_CHECKING:
    from azure.core.exceptions import ClientAuthenticationError

_TODO = (
    "Give the app a managed identity, set AZURE_TENANT_ID, AZURE_CLIENT_ID and "
    "AZURE_CLIENT_SECRET, or log in with az login"
)
#: The beginning of azure-identity's text for a refusal.
_REFUSED = "Authentication failed"
_NUMBER = re.compile(r"\b(?:AADSTS|AKV)([0-9]{3,9})\b", re.ASCII)
#: Entra ID ends each refusal with its own time.
_TIMESTAMP = re.compile(r"Timestamp: ([0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2})Z")

_AWAY = Meaning(
    StoreUnavailable,
    "Azure's login service does not answer",
    "Check the network; the next run tries again",
)
_BUSY = Meaning(
    StoreUnavailable,
    "Azure's login service can't answer now ({code})",
    "The next run tries again",
)
_NO_CREDENTIALS = Meaning(ConfigError, "no usable Azure credentials", _TODO)
NO_FILE = Meaning(
    ConfigError,
    "no usable Azure credentials: a file that they come from can't be read ({name})",
    "Check AZURE_FEDERATED_TOKEN_FILE and AZURE_CLIENT_CERTIFICATE_PATH",
)
NO_JSON = Meaning(
    ConfigError,
    "no usable Azure credentials: what they come from has not its form ({name})",
    "Check the token file and the certificate, or log in again with az login",
)
_LOGIN_REFUSED = Meaning(AccessDenied, "Azure refused the login", _TODO)
_TENANT = Meaning(
    AccessDenied,
    "Azure refused the login: there is no such tenant, or not in this cloud ({code})",
    "Check AZURE_TENANT_ID, and AZURE_AUTHORITY_HOST outside the public cloud",
)
_OTHER_TENANT = Meaning(
    AccessDenied,
    "Azure refused the login: the identity is not in the tenant that was asked ({code})",
    "Check AZURE_TENANT_ID: it must be the tenant of the vault and of the application",
)
_APPLICATION = Meaning(
    AccessDenied,
    "Azure refused the login: the tenant has no such application ({code})",
    "Check AZURE_CLIENT_ID and AZURE_TENANT_ID",
)
_SECRET = Meaning(
    AccessDenied,
    "Azure refused the login: the client secret or certificate is wrong or has expired ({code})",
    "Make a new one for the application, and set AZURE_CLIENT_SECRET to its value, not its id",
)
_FEDERATION = Meaning(
    AccessDenied,
    "Azure refused the login: no federated credential of the application fits the token ({code})",
    "Compare its issuer, subject and audience with the token in AZURE_FEDERATED_TOKEN_FILE",
)
_EXPIRED = Meaning(
    AccessDenied,
    "Azure refused the login: it has expired, or asks for more than a program can give ({code})",
    "Log in again with az login, or use a managed identity or a service principal",
)

_ENTRA: Mapping[Meaning, tuple[int, ...]] = {
    _TENANT: (90002, 900021, 900023, 50059, 50128, 500011),
    _OTHER_TENANT: (50020, 50034, 90072, 90099),
    _APPLICATION: (700016, 7000229, 700038, 90112),
    _SECRET: (7000215, 7000216, 7000218, 7000222, 700027, 50013),
    _FEDERATION: (70021, 700211, 700212, 700213),
    _EXPIRED: (
        *(50055, 50058, 50072, 50076, 50078, 50079, 50089, 50133, 50144, 50158, 50173),
        *(53000, 53003, 70008, 70043, 700082, 700084),
    ),
    _BUSY: (90006, 90012, 90033, 90055, 50196),
}
#: The times in an assertion are not around now.
_CLOCK = frozenset({700024, 500133})
#: What a vault says of a token of another tenant, and of one for another cloud.
_VAULT: Mapping[Meaning, tuple[int, ...]] = {_OTHER_TENANT: (10032,), _TENANT: (10022,)}
_NUMBERS: Mapping[str, Meaning] = {
    f"{kind}{number}": meaning
    for kind, table in (("AADSTS", _ENTRA), ("AKV", _VAULT))
    for meaning, numbers in table.items()
    for number in numbers
}


def refused(error: "ClientAuthenticationError") -> DaenaKMSError:
    """Return our error for a failed login, without the SDK's text, which may quote an answer."""
    from azure.core.exceptions import (
        ServiceRequestError,
        ServiceResponseError,
    )

    text = str(error.message)
    found = _NUMBER.search(text)
    if found is not None:
        return _numbered(error, found, text)
    if isinstance(error.__cause__, ServiceRequestError | ServiceResponseError):
        return _AWAY.about(None)
    # A service principal's error comes without the answer. A chain's error says that none of its
    # members had a credential.
    if error.response is None and not text.startswith(_REFUSED):
        return _NO_CREDENTIALS.about(None)
    return _LOGIN_REFUSED.about(None)


def _numbered(error: "ClientAuthenticationError", found: re.Match[str], text: str) -> DaenaKMSError:
    if found[0].startswith("AADSTS") and int(found[1]) in _CLOCK:
        return wrong_clock("Azure's login service", _time_in(error, text))
    return _NUMBERS.get(found[0], _LOGIN_REFUSED).about(None, code=f"error {found[1]}")


def _time_in(error: "ClientAuthenticationError", text: str) -> datetime | None:
    """Return the time of the login service: in its text, or in the answer's header."""
    found = _TIMESTAMP.search(text)
    if found is not None:
        try:
            return datetime.fromisoformat(found[1]).replace(tzinfo=UTC)
        except ValueError:
            return None
    headers = getattr(error.response, "headers", None)
    return read_date(headers.get("Date")) if isinstance(headers, Mapping) else None
