"""Versions of a secret as Key Vault's SDK shows them, for tests of what reads them."""

import secrets
from datetime import datetime, timedelta
from typing import Any

from azure.keyvault.secrets import SecretProperties
from daena_kms.rules.names import new_version_id
from daena_kms.stores.azure.order import NAME

from tests.unit.keys import DAY, NOW, SECOND

MANAGED = {"daena.managed": "true", "daena.spec": "token"}
MADE = NOW - 10 * DAY


class Attributes:
    """A version's attributes, as the SDK's own model has them."""

    def __init__(self, created: datetime | None, **given: Any) -> None:
        self.enabled = given.pop("enabled", True)
        self.created = created
        self.updated = given.pop("updated", created)
        self.expires = given.pop("expires", None)
        self.not_before = None
        self.recovery_level = given.pop("recovery_level", "Recoverable+Purgeable")
        self.recoverable_days = 90
        assert not given


def properties(
    created: datetime | None = MADE,
    tags: dict[str, str] | None = None,
    *,
    version: str | None = None,
    name: str = "key",
    managed: bool | None = None,
    content_type: str | None = None,
    **given: Any,
) -> SecretProperties:
    """Return a version as the SDK shows it; ``version`` of "" is an entry of a listing."""
    path = f"https://v.vault.azure.net/secrets/{name}"
    found = secrets.token_hex(16) if version is None else version
    made: Any = SecretProperties(
        Attributes(created, **given),
        f"{path}/{found}".rstrip("/"),
        tags=tags,
        managed=managed,
        content_type=content_type,
    )
    assert isinstance(made, SecretProperties)
    return made


def ours(
    base: str | None = None, made: datetime = MADE, *, late: timedelta = SECOND, **tags: str
) -> SecretProperties:
    """Return a version of ours, which the vault dates a second after its stamp."""
    named = {**MANAGED, NAME: new_version_id(base, made)}
    return properties(made + late, named | {t.replace("_", "-"): v for t, v in tags.items()})
