"""The JSON forms of Key Vault's secrets, and the checks of what a request gives.

https://learn.microsoft.com/rest/api/keyvault/secrets/operation-groups
"""

import re
from collections.abc import Mapping

from infra.local.azure.documents import AzureError, Json, bad, epoch
from infra.local.azure.secrets_state import Deleted, Secret, Settings, Version

#: "a 1-127 character string … 0-9, a-z, A-Z, and -":
#: https://learn.microsoft.com/azure/key-vault/general/about-keys-secrets-certificates#object-identifiers
NAME = re.compile(r"[0-9a-zA-Z-]{1,127}", re.ASCII)
VERSION = re.compile(r"[0-9a-f]{32}", re.ASCII)
#: https://learn.microsoft.com/azure/key-vault/secrets/about-secrets: "a maximum size of 25 KB",
#: "The maximum length of this field is 255 characters", "up to 15 tags, each of which can have a
#: 512 character name and a 512 character value".
MAX_VALUE = 25 * 1024
MAX_CONTENT_TYPE = 255
MAX_TAGS = 15
MAX_TAG = 512
MEMBERS = {"tags", "contentType", "attributes"}
ATTRIBUTES = {"enabled", "nbf", "exp"}


class Forms:
    """Words answers for one vault address."""

    def __init__(self, base: str, settings: Settings) -> None:
        self._base = base
        self._settings = settings

    def bundle(self, secret: Secret, version: Version, *, value: bool) -> Json:
        """Return a version with its id, as all calls but the listings do."""
        found: Json = {"value": version.value} if value else {}
        return found | self._common(secret, version, f"{secret.name}/{version.id}")

    def item(self, secret: Secret, version: Version, *, with_id: bool) -> Json:
        """Return an entry of a listing; that of the secrets has no version in its ids."""
        path = f"{secret.name}/{version.id}" if with_id else secret.name
        return self._common(secret, version, path)

    def deleted(self, gone: Deleted, *, with_id: bool) -> Json:
        """Return a secret in the deleted state; a listing has no version in its ids."""
        secret = gone.secret
        return {
            "recoveryId": f"{self._base}/deletedsecrets/{secret.name}",
            "deletedDate": epoch(gone.deleted),
            "scheduledPurgeDate": epoch(gone.purge),
            **self.item(secret, secret.newest, with_id=with_id),
        }

    def _common(self, secret: Secret, version: Version, path: str) -> Json:
        settings = self._settings
        attributes: Json = {
            "enabled": version.enabled,
            "nbf": version.nbf,
            "exp": version.exp,
            "created": epoch(version.created),
            "updated": epoch(version.updated),
            "recoveryLevel": settings.recovery_level,
            # The reference says: 7 to 90 with soft delete, otherwise 0.
            "recoverableDays": settings.retention_days if settings.soft_delete else 0,
        }
        found: Json = {
            "id": f"{self._base}/secrets/{path}",
            "contentType": version.content_type,
            "attributes": {name: v for name, v in attributes.items() if v is not None},
            "tags": dict(version.tags) or None,
            "kid": secret.kid,
            "managed": True if secret.kid else None,
        }
        return {name: part for name, part in found.items() if part is not None}


def checked_name(name: str) -> str:
    """Return a name if it is one."""
    if NAME.fullmatch(name) is None:
        raise bad(f"The request URI contains an invalid name: {name[:200]}")
    return name


def checked_value(body: Json) -> str:
    """Return the value that a set gives."""
    value = body.get("value")
    if not isinstance(value, str):
        raise bad("Parameter secret value must be a string.")
    if len(value.encode()) > MAX_VALUE:
        raise bad(f"The secret value is longer than {MAX_VALUE} bytes.")
    return value


def checked_fields(body: Json, *, also: frozenset[str] = frozenset()) -> Json:
    """Return what a body gives of a :class:`Version`, by the fields' names."""
    # The cloud ignores what it does not know; to do so here would let a misspelt member pass.
    unknown = body.keys() - MEMBERS - also
    attributes = body.get("attributes")
    if attributes is None:
        attributes = {}
    if not isinstance(attributes, dict):
        raise bad("Parameter attributes must be an object.")
    unknown |= attributes.keys() - ATTRIBUTES
    if unknown:
        raise bad(f"Not modelled: {', '.join(sorted(unknown))}")
    found: Json = {}
    if body.get("tags") is not None:
        found["tags"] = _tags(body["tags"])
    content_type = body.get("contentType")
    if content_type is not None:
        if not isinstance(content_type, str) or len(content_type) > MAX_CONTENT_TYPE:
            raise bad(f"Parameter contentType must have at most {MAX_CONTENT_TYPE} characters.")
        found["content_type"] = content_type
    return found | _attributes(attributes)


def check_window(version: Version) -> None:
    """Refuse a version that expires before it is valid."""
    if version.nbf is not None and version.exp is not None and version.exp <= version.nbf:
        raise bad("Property exp must be after property nbf.")


def not_found(path: str) -> AzureError:
    """Return the error for a secret or version that is not there."""
    message = (
        f"A secret with (name/id) {path} was not found in this key vault. If you recently deleted "
        "this secret you may be able to recover it using the correct recovery command. For help "
        "resolving this issue, please see https://go.microsoft.com/fwlink/?linkid=2125182"
    )
    return AzureError(404, "SecretNotFound", message)


def _attributes(given: Mapping[str, object]) -> Json:
    found: Json = {}
    enabled = given.get("enabled")
    if enabled is not None:
        if not isinstance(enabled, bool):
            raise bad("Property enabled must be a boolean.")
        found["enabled"] = enabled
    for name in ("nbf", "exp"):
        moment = given.get(name)
        if moment is not None:
            if not isinstance(moment, int) or isinstance(moment, bool) or moment < 0:
                raise bad(f"Property {name} must be whole seconds since the epoch.")
            found[name] = moment
    return found


def _tags(tags: object) -> dict[str, str]:
    if not isinstance(tags, dict):
        raise bad("Parameter tags must be an object.")
    if len(tags) > MAX_TAGS:
        raise bad(f"Parameter tags has {len(tags)} tags; at most {MAX_TAGS} are allowed.")
    for name, value in tags.items():
        if not isinstance(value, str) or not name or max(len(name), len(value)) > MAX_TAG:
            raise bad(f"A tag's name and value must be strings of at most {MAX_TAG} characters.")
    return dict(tags)
