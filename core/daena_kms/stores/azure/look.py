"""Look at the secrets of one Key Vault: list, describe, and find again what was set."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from daena_kms.errors import ConfigError, KeyExists, KeyNotFound, RotationConflict
from daena_kms.rules.model import Key
from daena_kms.rules.names import mark
from daena_kms.rules.policy import MANAGED
from daena_kms.sdk.azure.client import BOUNDS, Vault
from daena_kms.sdk.azure.errors import Disabled
from daena_kms.stores.azure.notes import NAME, look_of, same
from daena_kms.stores.azure.state import deleted_key, newest_of, to_key

if TYPE_CHECKING:
    from azure.keyvault.secrets import SecretProperties

_PAGE = 25


class Looker:
    """Reads one vault, and changes nothing."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def scan(self) -> Iterator[Key]:
        """Yield the secrets that carry ``daena.managed``."""
        pages = self._vault.pages(
            None, lambda c: c.list_properties_of_secrets(max_page_size=_PAGE, **BOUNDS)
        )
        return (to_key(found) for found in pages if MANAGED in (found.tags or {}))

    def describe(self, key_id: str, *, exact: bool = False) -> Key:
        """Return the secret, deleted or not, with all its versions if ``exact``."""
        try:
            newest: SecretProperties = self._vault.call(
                key_id, lambda c: c.get_secret(key_id, **BOUNDS).properties
            )
        except Disabled as disabled:
            versions = self._versions(key_id)
            if not versions:  # deleted meanwhile
                return self.deleted(key_id, disabled)
            return to_key(newest_of(versions), versions)
        except KeyNotFound as missing:
            return self.deleted(key_id, missing)
        return to_key(newest, self._versions(key_id) if exact else None)

    def made(self, key_id: str, name: str) -> str | None:
        """Return the version that we set under this name, also when another is newest by now."""
        key = self.describe(key_id, exact=True)
        if key.deleted is not None:
            return None
        tags = look_of(key).all_tags
        # In the order in which they were made: a later one may carry copied tags.
        return next((v.id for v in key.versions if tags.get(v.id, {}).get(NAME) == name), None)

    def check_same(self, key: Key) -> None:
        """Raise unless the key's newest version and its tags are those of this look."""
        again = self.describe(key.id)
        if again.deleted is not None or not same(look_of(again), look_of(key)):
            msg = "it was changed meanwhile"
            raise RotationConflict(
                msg, key_id=key.id, todo="Read it again; the next run looks anew", undecided=True
            )

    def check_absent(self, key_id: str) -> None:
        """Raise :class:`KeyExists` if a secret of that name is there, deleted or not."""
        try:
            found = self.describe(key_id)
        except KeyNotFound:
            return
        if found.deleted is None:
            raise KeyExists("it exists already", key_id=key_id, todo="Use it, or another id")
        msg = "a deleted key of that name is in the vault still"
        todo = "restore brings it back; or purge it in the vault, if nobody needs it"
        raise KeyExists(msg, key_id=key_id, todo=todo)

    def check_unmoved(self, key_id: str, base: str) -> None:
        """Raise if a version was made from ``base``, or another one is current by now."""
        again = self.describe(key_id, exact=True)
        made = any(version.base == mark(base) for version in again.versions)
        if made or again.current is None or again.current.id != base:
            msg = "an earlier rotation of it was completed"
            raise RotationConflict(msg, key_id=key_id, todo="Read it again; nothing was lost")

    def deleted(self, key_id: str, missing: KeyNotFound) -> Key:
        """Return the deleted secret of that name. Raises ``missing`` when there is none."""
        try:
            found = self._vault.call(key_id, lambda c: c.get_deleted_secret(key_id, **BOUNDS))
        except (KeyNotFound, ConfigError):  # in a vault without soft delete nothing can be deleted
            raise missing from None
        return deleted_key(found)

    def _versions(self, key_id: str) -> "list[SecretProperties]":
        pages = self._vault.pages(
            key_id,
            lambda c: c.list_properties_of_secret_versions(key_id, max_page_size=_PAGE, **BOUNDS),
        )
        return list(pages)
