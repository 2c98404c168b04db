"""What an answer of Key Vault must contain before anything is believed because of it.

The SDK fills its models with ``None`` where an answer lacks a member, and takes a page without
``value`` for one without items. So a proxy's ``{}`` would be a change that was made, a key that is
deleted, or a vault without keys. These functions raise :class:`ValueError` or
:class:`TypeError` for such an answer; within a call of ours that means that it did not come from a
vault
(:data:`daena_kms.sdk.azure.errors.CLASSES`).
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from azure.keyvault.secrets import DeletedSecret, SecretProperties

_VERSION = re.compile(r"[0-9a-f]{32}", re.ASCII)
_OK = 200


def version_of(
    properties: "SecretProperties",
    key_id: str,
    version: str | None = None,
    *,
    enabled: bool | None = None,
    tags: Mapping[str, str] | None = None,
) -> "SecretProperties":
    """Return what an answer shows, if it is a version of that secret.

    Args:
        properties: The answer.
        key_id: The name that was asked for.
        version: The version that was asked for; ``None``: any.
        enabled: Whether it must be enabled; ``None``: either.
        tags: The tags that it must have; ``None``: any.
    """
    _check_secret(properties, key_id)
    found = properties.version or ""
    if _VERSION.fullmatch(found) is None or version not in {None, found}:
        msg = "another version"
        raise ValueError(msg)
    if enabled not in {None, properties.enabled} or tags not in (None, properties.tags or {}):
        msg = "not as it was asked for"
        raise ValueError(msg)
    return properties


def recovered(properties: "SecretProperties", key_id: str) -> "SecretProperties":
    """Return what an answer to a recovery shows, if it is that secret."""
    return _check_secret(properties, key_id)


def deleted(secret: "DeletedSecret", key_id: str) -> "DeletedSecret":
    """Return what an answer shows, if it is that secret, deleted."""
    _check_secret(secret.properties, key_id)
    if not isinstance(secret.deleted_date, datetime) or not secret.recovery_id:
        msg = "not deleted"
        raise ValueError(msg)
    return secret


def check_item(properties: "SecretProperties") -> None:
    """Check an item of a listing."""
    _check_secret(properties, str(properties.name).lower())


def check_page(response: Any) -> None:
    """Check a page of a listing before the SDK takes it apart: its ``raw_response_hook``."""
    answer = response.http_response
    if answer.status_code != _OK:
        return
    page = answer.json()
    if not isinstance(page, dict) or not isinstance(page.get("value"), list):
        msg = "no page of a listing"
        raise TypeError(msg)


def _check_secret(properties: "SecretProperties", key_id: str) -> "SecretProperties":
    name = properties.name
    if not isinstance(name, str) or name.lower() != key_id:
        msg = "another secret"
        raise ValueError(msg)
    # Every secret has both. A date may be of a form that the SDK passes through.
    if not isinstance(properties.enabled, bool) or properties.created_on is None:
        msg = "no secret"
        raise ValueError(msg)
    return properties
