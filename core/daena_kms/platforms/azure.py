"""What the platforms' own events and headers say, taken apart without trusting them."""

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from daena_kms.errors import ConfigError, InvalidKeyId
from daena_kms.rules.names import check_key_id

if TYPE_CHECKING:
    from daena_kms.api.messages import Request

logger = logging.getLogger("daena_kms")

#: https://learn.microsoft.com/azure/event-grid/event-schema-key-vault
_NEAR_EXPIRY = "Microsoft.KeyVault.SecretNearExpiry"


def expiring_secret(event_type: str, data: object, vault: str) -> str | None:
    """Return the key id in Key Vault's event, or ``None`` for a secret that can't be a key.

    Raises :class:`ConfigError` for an event of another type or of another vault than ``vault``:
    the subscription sends what it should not.
    """
    from daena_kms.api.messages import dig

    todo = f"Subscribe to {_NEAR_EXPIRY} of the vault that this app rotates, and to nothing else"
    if event_type != _NEAR_EXPIRY:
        msg = f"the event is of type {event_type[:80]!r}"
        raise ConfigError(msg, todo=todo)
    named, secret = dig(data, "VaultName"), dig(data, "ObjectName")
    if named is None or secret is None:
        raise ConfigError("the event names no vault and no secret", todo=todo)
    if named.lower() != vault:
        msg = f"the event is of another vault, {named[:80]!r}"
        raise ConfigError(msg, todo=todo)
    try:
        return check_key_id(secret.lower())
    except InvalidKeyId:
        logger.info("an event of a secret that is no key of ours was passed over")
        return None


def function_app_request(
    request: Any,
    invocation: str,
    environ: Mapping[str, str] | None = None,
) -> "Request":
    """Return what a request to a Function App asks; with ``environ``, who asks, too.

    The catch-all route gives the path, and nothing where that is empty; the address of the health
    function is its own, and needs no caller.
    """
    from daena_kms.api.messages import Request

    address = urlsplit(request.url)
    path = "health" if environ is None else request.route_params.get("path", "")
    return Request(
        request.method,
        f"/v1/{path}",
        request.get_body(),
        None if environ is None else function_app_caller(request.headers, environ),
        query=address.query,
        headers={name.lower(): text for name, text in request.headers.items()},
        request_id=invocation,
    )


def function_app_caller(headers: Mapping[str, str], environ: Mapping[str, str]) -> str:
    """Return who calls a function that the platform has let a caller through to.

    With App Service authentication switched on, the platform sets and guards the headers that
    name the caller; without it anybody can send them, and only the function's key was verified.
    https://learn.microsoft.com/azure/app-service/configure-authentication-user-identities
    """
    if environ.get("WEBSITE_AUTH_ENABLED", "").lower() == "true":
        found = headers.get("X-MS-CLIENT-PRINCIPAL-ID") or headers.get("x-ms-client-principal-id")
        if found:
            return f"entra {found[:200]}"
    return "function key"
