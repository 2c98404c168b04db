"""Deleting, recovering and purging secrets, and backups, as Key Vault's REST reference has them.

https://learn.microsoft.com/azure/key-vault/general/soft-delete-overview
"""

import base64
import secrets

from infra.local.azure.documents import AzureError, Json, bad, parsed
from infra.local.azure.secrets import Asked, Secrets, disabled, page, refuse_managed
from infra.local.azure.secrets_state import Deleted, Names, SecretsState


class DeletedSecrets:
    """What can be done with a whole secret, and with one that is deleted."""

    def __init__(self, state: SecretsState, live: Secrets) -> None:
        self._state = state
        self._live = live

    def delete(self, asked: Asked) -> Json:
        """Delete a secret with all its versions; a deletion of one version does not exist."""
        secret = self._live.live(asked.name)
        refuse_managed(secret, "delete")
        gone = self._state.delete(secret)
        if gone is None:
            return asked.forms.bundle(secret, secret.newest, value=False)
        return asked.forms.deleted(gone, with_id=True)

    def get(self, asked: Asked) -> Json:
        """Return what is deleted, once it is: 404 while the deletion is under way.

        A secret whose newest version is disabled is refused here as well:
        https://github.com/nagyesta/lowkey-vault/issues/467
        """
        gone = self._deleted(asked, "get")
        if self._state.under_way(asked.name):
            raise _not_deleted(asked.name)
        if not gone.secret.newest.enabled:
            raise disabled()
        return asked.forms.deleted(gone, with_id=True)

    def list(self, asked: Asked) -> Json:
        """Return a page of what is deleted."""
        self._enabled("list")
        held = self._state.deleted
        return page(
            asked,
            Names(sorted(held)).after,
            lambda name: asked.forms.deleted(held[name], with_id=False),
        )

    def recover(self, asked: Asked) -> Json:
        """Bring a secret back with all its versions."""
        gone = self._settled(asked, "recover")
        self._state.recover(gone)
        return asked.forms.bundle(gone.secret, gone.secret.newest, value=False)

    def purge(self, asked: Asked) -> None:
        """Erase a deleted secret."""
        gone = self._settled(asked, "purge")
        if self._state.settings.purge_protection:
            message = (
                'Operation "purge" is not allowed because purge protection is enabled for this '
                "vault. Key Vault service will automatically purge it after the retention period "
                "has passed."
            )
            raise AzureError(403, "Forbidden", message)
        self._state.purge(gone.secret.name)

    def backup(self, asked: Asked) -> Json:
        """Return all versions of a secret in a form that only this vault can read."""
        secret = self._live.live(asked.name)
        # Real backups are encrypted; this is the number of one that the vault keeps.
        blob = base64.urlsafe_b64encode(secrets.token_bytes(48)).decode()
        self._state.backups[blob] = secret
        return {"value": blob}

    def restore(self, asked: Asked) -> Json:
        """Bring back what a backup holds, if nothing has its name, not even a deleted secret."""
        blob = parsed(asked.request).get("value")
        if not isinstance(blob, str):
            raise bad("Parameter value must be a backup.")
        # base64url has padding or not.
        secret = self._state.backups.get(blob + "=" * (-len(blob) % 4))
        if secret is None:
            raise bad("Cannot decrypt backup blob.")
        self._state.check_writable(secret.name)
        if secret.name.lower() in self._state.live:
            message = f"Secret {secret.name} already exists."
            raise AzureError(409, "Conflict", message)
        self._state.put(secret)
        return asked.forms.bundle(secret, secret.newest, value=False)

    def _settled(self, asked: Asked, operation: str) -> Deleted:
        gone = self._deleted(asked, operation)
        if self._state.under_way(asked.name):
            message = f"Secret {asked.name} is currently being deleted."
            raise AzureError(409, "Conflict", message, "ObjectIsBeingDeleted")
        return gone

    def _deleted(self, asked: Asked, operation: str) -> Deleted:
        self._enabled(operation)
        gone = self._state.deleted.get(asked.name.lower())
        if gone is None:
            raise _not_deleted(asked.name)
        return gone

    def _enabled(self, operation: str) -> None:
        if not self._state.settings.soft_delete:
            message = f'Operation "{operation}" is not enabled for this vault.'
            raise AzureError(400, "NotSupported", message)


def _not_deleted(name: str) -> AzureError:
    return AzureError(404, "SecretNotFound", f"Deleted Secret not found: {name}")
