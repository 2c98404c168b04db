"""Azure: values in Key Vault, claims in Blob Storage."""

import contextlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from daena_kms.errors import ConfigError, DaenaKMSError, KeyNotFound
from daena_kms.rules.durations import format_time
from daena_kms.rules.model import Capabilities, Key, Revoking
from daena_kms.sdk.azure import answers
from daena_kms.sdk.azure.client import BOUNDS, ONCE, Vault
from daena_kms.sdk.azure.errors import Disabled, Unanswered
from daena_kms.stores.azure.claims import SET_BY
from daena_kms.stores.azure.look import (
    COMPROMISED,
    OPEN,
    PENDING_MARK,
    RETIRED,
    REVOKED_MARK,
    Looker,
    look_of,
    mark_text,
)
from daena_kms.stores.azure.order import NAME
from daena_kms.stores.azure.set import (
    MAX_TAGS,
    OWN,
    NextVersion,
    Setter,
    checked,
    oldest_readable,
    open_note,
    to_revoke,
)
from daena_kms.stores.azure.transit import Transit
from daena_kms.stores.base import Staged, Store, after_change

if TYPE_CHECKING:
    from azure.keyvault.secrets import SecretClient


class AzureStore(Store):
    """Keys as secrets of one Key Vault.

    Permissions, as data actions on the vault, all of them in the role Key Vault Secrets Officer:
    ``Microsoft.KeyVault/vaults/secrets/readMetadata/action``,
    ``Microsoft.KeyVault/vaults/secrets/getSecret/action``,
    ``Microsoft.KeyVault/vaults/secrets/setSecret/action``,
    ``Microsoft.KeyVault/vaults/secrets/update/action``; for the commands delete and restore
    ``Microsoft.KeyVault/vaults/secrets/delete`` and
    ``Microsoft.KeyVault/vaults/secrets/recover/action``. On the claims' container those of
    :func:`daena_kms.objects.azure.azure_objects`.

    https://learn.microsoft.com/azure/role-based-access-control/permissions/security
    """

    provider: ClassVar[str] = "azure"
    title: ClassVar[str] = "Key Vault"
    version_form: ClassVar[re.Pattern[str]] = re.compile(r"[0-9a-f]{32}", re.ASCII)
    can: ClassVar[Capabilities] = Capabilities(
        retired_readable=None,
        destroys_version=False,
        destroy_means=None,
        restores_key=True,
        delete_means="kept as long as the vault keeps deleted keys: 7 to 90 days",
        revoking=Revoking(
            means="it is disabled in the vault",
            readable=None,
            breaks="reading it by its id, which gives 403; reading the current version still works",
            undo=(
                "enable it with az keyvault secret set-attributes "
                "--vault-name VAULT --name KEY --version VERSION --enabled true"
            ),
        ),
        lists_versions=False,
    )

    def __init__(self, vault: Vault, setter: Setter) -> None:
        self._vault = vault
        self._looker = Looker(vault)
        self._transit = Transit(vault, self._looker)
        self._setter = setter

    def scan(self) -> Iterator[Key]:
        """Yield the secrets that carry ``daena.managed``; one call per 25 secrets of the vault."""
        return self._looker.scan()

    def describe(self, key_id: str, *, exact: bool = False) -> Key:
        """Return the secret; ``exact`` lists its versions, one call per 25 of them.

        Without ``exact``, and where the list does not say which version is the newest, one call
        reads the newest version. It also returns the value, which is dropped.
        """
        return self._looker.describe(key_id, exact=exact)

    def probe(self) -> None:
        """List a page of the vault and the claims' container."""
        super().probe()
        self._setter.probe()

    def read(self, key_id: str, version: str | None = None) -> str:
        """Return a value. Retired versions are disabled and can't be read."""
        try:
            value = self._vault.call(key_id, lambda c: self._value(c, key_id, version))
        except Disabled:
            raise
        except KeyNotFound:
            if not self._looker.is_deleted(key_id):
                raise
            msg = "it is deleted"
            raise KeyNotFound(msg, key_id=key_id, todo="Restore it first") from None
        if value is None:
            msg = "it has no value"
            raise ConfigError(msg, key_id=key_id, todo="Look at it in the vault")
        return value

    @staticmethod
    def _value(client: "SecretClient", key_id: str, version: str | None) -> str | None:
        secret = client.get_secret(key_id, version, **BOUNDS)
        answers.version_of(secret.properties, key_id, version)
        value: object = secret.value
        if value is not None and not isinstance(value, str):
            msg = "no text"
            raise TypeError(msg)
        return value

    def create(self, key_id: str, material: str, tags: Mapping[str, str], now: datetime) -> str:
        """Create the secret. Only the creator that holds the claim on its first version sets it.

        The claim is not given back: a look may not show the new key at once.
        """
        new = self._setter.claim_first(key_id, tags, now)
        return self._setter.set(new, material, SET_BY)

    def stage(self, key: Key, material: str, now: datetime) -> Staged:
        """Claim the version after the current one; nothing is written to the vault."""
        new = self._setter.claim_next(key, now)
        return Staged("", key.current_ref or "", now, material, new)

    def promote(self, key: Key, staged: Staged, now: datetime) -> str:
        """Set the new version, which makes it current; the vault checks no precondition."""
        del key
        return self._setter.set(_new_version(staged), staged.material, SET_BY - (now - staged.at))

    def abandon(self, key: Key, staged: Staged) -> None:
        """Give the claim back, unless a set of ours may still be under way."""
        del key
        self._setter.give_back(_new_version(staged))

    def mark_compromised(self, key: Key, version: str, now: datetime) -> Key:
        """Tag the version, which is the newest one; its other tags stay."""
        del now
        look, known = look_of(key), key.version(version)
        if known is not None and known.to_revoke:
            return key
        tags = {**look.tags, COMPROMISED: mark_text(PENDING_MARK, version)}
        if len(tags) > MAX_TAGS:
            tags.pop(OPEN, None)  # a version that is marked gets a closer look anyway
        self._update(key, version, tags=checked(tags, key.id))
        marked = (
            replace(v, compromised=True, revoked=False) if v.id == version else v
            for v in key.versions
        )
        return replace(key, versions=tuple(marked), handle=replace(look, tags=tags))

    def retire(self, key: Key, version: str, now: datetime) -> None:
        """Disable a version, and note on the newest one which older ones are still readable."""
        self._retire(key, version, {RETIRED: format_time(now)})

    def revoke(self, key: Key, version: str, now: datetime) -> None:
        """Disable a compromised version, and note that it is revoked."""
        marked = {COMPROMISED: mark_text(REVOKED_MARK, version)}
        self._retire(key, version, {**marked, RETIRED: format_time(now)})

    def _retire(self, key: Key, version: str, notes: Mapping[str, str]) -> None:
        look = look_of(key)
        if version == look.version:
            msg = "its newest version can't be retired"
            raise ConfigError(msg, key_id=key.id, todo="Rotate it first")
        before = look.all_tags.get(version, {})
        tags = dict(before)
        for name, text in notes.items():
            # Where there is no room for the time, the date of the change serves.
            if name in tags or len(tags) < MAX_TAGS:
                tags[name] = text
        self._update(key, version, enabled=False, tags=tags if tags != before else None)
        with after_change(key.id):
            # With its tags as they are now: an operator may have changed one.
            newest = self.describe(key.id)
            if newest.deleted is None and look_of(newest).version == look.version:
                since = oldest_readable(key, without=version)
                self._note(newest, since, revoke=to_revoke(key, without=version))

    def destroy(self, key: Key, version: str, now: datetime) -> None:
        """Raise :class:`ConfigError`: Key Vault erases whole secrets only."""
        del version, now
        msg = "Key Vault can't destroy a single version"
        raise ConfigError(msg, key_id=key.id, todo="Purge the whole key if nobody needs it")

    def tag(self, key: Key, tags: Mapping[str, str | None]) -> None:
        """Change tags of the newest version, and again if a rotation was faster than the change."""
        while True:
            if key.deleted is not None:
                raise KeyNotFound("it is deleted", key_id=key.id, todo="Restore it first")
            look = look_of(key)
            given = {**look.tags, **tags}
            wanted = {name: text for name, text in given.items() if text is not None}
            self._update(key, str(look.version), tags=checked(wanted, key.id))
            with after_change(key.id):
                again = self.describe(key.id)
            if again.deleted is None and look_of(again).version == look.version:
                return
            key = again

    def adopt(self, key: Key, tags: Mapping[str, str | None], now: datetime) -> None:
        """Tag the newest version, also with since when older ones are readable."""
        del now
        self.tag(key, self._adoption(key, tags))

    def enrol(self, key: Key, tags: Mapping[str, str | None], now: datetime) -> None:
        """Do the same to the version that was looked at, and to no other."""
        del now
        look = look_of(key)
        wanted = {**look.tags, **self._adoption(key, tags)}
        kept = {name: text for name, text in wanted.items() if text is not None}
        self._update(key, str(look.version), tags=kept)

    def _adoption(self, key: Key, tags: Mapping[str, str | None]) -> dict[str, str | None]:
        """Return what an adoption changes of the newest version's tags."""
        # A name of ours stays: the tag ``daena-open`` refers to the age that the name gives.
        # So does a mark: what it says of the version is true for whoever enrols the key.
        kept = {NAME, COMPROMISED}
        stale = {name: None for name in OWN if name not in kept and name in look_of(key).tags}
        noted = {OPEN: open_note(key.current, oldest_readable(key), revoke=to_revoke(key))}
        wanted = {**look_of(key).tags, **stale, **noted, **tags}
        # The first rotation adds one more tag.
        checked({n: t for n, t in {**wanted, NAME: ""}.items() if t is not None}, key.id)
        return {**stale, **noted, **tags}

    def delete(self, key: Key, now: datetime) -> None:
        """Delete the secret. Raises :class:`ConfigError` where the vault would not keep it."""
        del now
        if key.deleted is not None:
            return
        if not look_of(key).recoverable:
            msg = "its vault has soft delete switched off, so its deletion would be final"
            raise ConfigError(msg, key_id=key.id, todo="Switch soft delete on in the vault")
        self._transit.delete(key)

    def restore(self, key: Key) -> None:
        """Recover the secret with all its versions."""
        if key.deleted is not None:
            self._transit.restore(key)

    def _update(
        self,
        key: Key,
        version: str,
        *,
        enabled: bool | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Change a version. If the answer is lost, a look shows whether it was changed."""
        wanted: dict[str, Any] = {"enabled": enabled, "tags": tags}

        def change(client: "SecretClient") -> object:
            changed = client.update_secret_properties(key.id, version, **wanted, **ONCE)
            return answers.version_of(changed, key.id, version, **wanted)

        try:
            self._vault.change(key.id, change, lambda: self._looker.check_same(key))
        except Unanswered:
            with contextlib.suppress(DaenaKMSError):
                if self._looker.shows(key.id, version, **wanted):
                    return
            raise

    def _note(self, newest: Key, since: datetime | None, *, revoke: bool) -> None:
        """Note on the newest version since when older ones are readable, or that none is."""
        look = look_of(newest)
        noted = {**look.tags, OPEN: open_note(newest.current, since, revoke=revoke)}
        # Without the tag, a run takes a closer look at the key.
        if noted != look.tags and len(noted) <= MAX_TAGS:
            self._update(newest, str(look.version), tags=noted)


def _new_version(staged: Staged) -> NextVersion:
    if not isinstance(staged.handle, NextVersion):
        msg = "the rotation was not begun by this store"
        raise TypeError(msg)
    return staged.handle
