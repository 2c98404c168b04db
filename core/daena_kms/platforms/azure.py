"""Reads Azure's events and requests; nothing in them is trusted but what the platform verified."""

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
#: What App Service authentication calls Entra ID.
_ENTRA = "aad"


def type_of_event(event: object) -> str | None:
    """Return the type of an event, in the schema of Event Grid or of CloudEvents.

    Without a type, or with one that is not text, it is ``None``. So it is if the host's library
    knows only the schema of Event Grid, and the subscription sends CloudEvents.

    https://learn.microsoft.com/azure/event-grid/cloud-event-schema
    """
    for name in ("event_type", "type"):
        kind = getattr(event, name, None)
        if isinstance(kind, str):
            return kind
    return None


def expiring_secret(event_type: str | None, data: object, vault: str) -> str | None:
    """Return the key id in an event of Key Vault, or ``None`` for a secret that can't be a key.

    Args:
        event_type: the type in the event, if it has one.
        data: the data of the event.
        vault: the name of the vault that this app rotates.

    Raises:
        ConfigError: the event has another type or is about another vault, so the subscription is
            wrong.
    """
    from daena_kms.api.messages import dig

    todo = f"Subscribe to {_NEAR_EXPIRY} of the vault that this app rotates, and to nothing else"
    if event_type is None:
        raise ConfigError("the event has no type", todo=todo)
    if event_type != _NEAR_EXPIRY:
        msg = f"the event has the type {event_type[:80]!r}"
        raise ConfigError(msg, todo=todo)
    named, secret = dig(data, "VaultName"), dig(data, "ObjectName")
    if named is None or secret is None:
        raise ConfigError("the event does not name a vault and a secret", todo=todo)
    if named.lower() != vault:
        msg = f"the event is about another vault, {named[:80]!r}"
        raise ConfigError(msg, todo=todo)
    try:
        return check_key_id(secret.lower())
    except InvalidKeyId:
        logger.info("ignored an event about a secret that is not a managed key")
        return None


def function_app_request(
    request: Any,
    invocation: str,
    environ: Mapping[str, str] | None = None,
) -> "Request":
    """Return the request to a Function App.

    Args:
        request: the host's request.
        invocation: the id of the invocation.
        environ: the environment, which says how callers are verified. Without it this is a request
            to the health function, which has its own path and needs no caller.
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
    """Return the caller of a function that the platform has let through.

    If App Service authentication is enabled, the platform sets and guards the headers that name the
    caller and the identity provider, to which the caller's id belongs. Otherwise anybody can send
    them, and only the function's key has been verified.

    https://learn.microsoft.com/azure/app-service/configure-authentication-user-identities
    """
    if environ.get("WEBSITE_AUTH_ENABLED", "").lower() == "true":
        given = {name.lower(): text for name, text in headers.items()}
        caller = given.get("x-ms-client-principal-id")
        provider = given.get("x-ms-client-principal-idp") or _ENTRA
        if caller:
            return f"{'entra' if provider == _ENTRA else provider[:40]} {caller[:200]}"
    return "function key"
