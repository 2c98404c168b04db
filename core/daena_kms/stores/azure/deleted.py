"""Look at the deleted secrets of one Key Vault."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from daena_kms.errors import KeyNotFound
from daena_kms.rules.model import Key
from daena_kms.rules.policy import PREFIX
from daena_kms.sdk.azure import answers
from daena_kms.sdk.azure.client import BOUNDS, PAGED, Vault
from daena_kms.sdk.azure.errors import Disabled, InTransit, NoSoftDelete

if TYPE_CHECKING:
    from azure.keyvault.secrets import DeletedSecret


class DeletedSecrets:
    """Reads what one vault keeps of deleted secrets, and changes nothing."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def find(self, key_id: str) -> Key | None:
        """Return the deleted secret of that name, or ``None`` if the vault shows none.

        A secret whose newest version is disabled is refused like a read of that version. Then the
        list of all deleted secrets shows its tags; one call per 25 of them.
        """
        try:
            found = self._vault.call(
                key_id, lambda c: answers.deleted(c.get_deleted_secret(key_id, **BOUNDS), key_id)
            )
        except Disabled:
            return self._listed(key_id)
        except (KeyNotFound, NoSoftDelete):
            return None
        return deleted_key(found)

    def _listed(self, key_id: str) -> Key:
        secrets = self._vault.pages(
            key_id,
            lambda c: c.list_deleted_secrets(**PAGED),
            lambda deleted: answers.check_item(deleted.properties),
        )
        for secret in secrets:
            if str(secret.name).lower() == key_id:
                return deleted_key(secret)
        msg = "it is deleted, but the vault's list of deleted secrets does not show it"
        raise InTransit(msg, key_id=key_id, todo="Try again in two minutes")


def deleted_key(deleted: "DeletedSecret") -> Key:
    """Return a deleted key; its versions can't be seen."""
    tags = deleted.properties.tags or {}
    return Key(
        id=str(deleted.name).lower(),
        tags={name: text for name, text in tags.items() if name.startswith(PREFIX)},
        versions=(),
        deleted=deleted.deleted_date or datetime.now(UTC),
    )
