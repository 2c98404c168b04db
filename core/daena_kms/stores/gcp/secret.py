"""Calls on one project's secrets: look at one, change it by its etag, add and read versions."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from daena_kms.errors import KeyNotFound
from daena_kms.sdk.gcp.client import SecretManager
from daena_kms.sdk.gcp.errors import Moved
from daena_kms.stores.gcp.answers import (
    changed_secret,
    listed_secret,
    whole_payload,
    whole_secret,
    whole_version,
)
from daena_kms.stores.gcp.state import (
    REVOKED_MARK,
    VERSIONS,
    Record,
    number,
    read_records,
    to_key,
    with_mark,
    write_records,
)
from daena_kms.stores.gcp.switch import Switches
from daena_kms.stores.gcp.values import payload

if TYPE_CHECKING:
    from google.cloud.secretmanager_v1 import Secret, SecretPayload, SecretVersion

_PAGE = 250
_TRIES = 10


class Secrets(Switches):
    """The secrets of one project, or of one location of it.

    A version is named by its number, or by an alias where it is only read. Every answer is checked
    (:mod:`~daena_kms.stores.gcp.answers`): each method may raise
    :class:`~daena_kms.sdk.gcp.errors.Unanswered` for one that says nothing.
    """

    def __init__(self, manager: SecretManager) -> None:
        super().__init__(manager)
        self._manager = manager

    def list_all(self) -> "Iterator[Secret]":
        """Yield all secrets; one call per 250 of them."""
        parent = self._manager.parent
        for secret in self._manager.pages("list_secrets", None, parent=parent, page_size=_PAGE):
            yield listed_secret(secret, parent)

    def get(self, key_id: str) -> "Secret":
        """Return the secret as it is now."""
        name = self._manager.secret(key_id)
        return whole_secret(self._manager.read("get_secret", key_id, name=name), name, key_id)

    def create(self, key_id: str, secret: Mapping[str, object]) -> "Secret":
        """Create a secret without a version. Raises :class:`~daena_kms.errors.KeyExists`."""
        parent, wanted = self._manager.parent, dict(secret)
        created = self._manager.write(
            "create_secret", key_id, parent=parent, secret_id=key_id, secret=wanted
        )
        written = {n: part for n, part in wanted.items() if n in {"annotations", "labels"}}
        return changed_secret(created, self._manager.secret(key_id), key_id, written)

    def update(self, secret: "Secret", key_id: str, changes: Mapping[str, object]) -> "Secret":
        """Change these fields of a secret if its etag is still the same. Raises :class:`Moved`."""
        name = self._manager.secret(key_id)
        updated = self._manager.write(
            "update_secret",
            key_id,
            secret={"name": name, "etag": secret.etag, **changes},
            update_mask={"paths": sorted(changes)},
        )
        return changed_secret(updated, name, key_id, changes)

    def change(
        self,
        key_id: str,
        change: "Callable[[Secret], dict[str, object]]",
        look: "Secret | None" = None,
    ) -> None:
        """Change fields of a secret, and begin again when somebody else was faster.

        Args:
            key_id: The secret.
            change: Gets the secret and returns the fields with their new values. Where it returns
                none, nothing is written: somebody else has made the change.
            look: The secret as a look showed it, to begin from; without it, it is looked at first.
        """
        for left in reversed(range(_TRIES)):
            secret = self.get(key_id) if look is None else look
            look = None
            wanted = change(secret)
            if not wanted:
                return
            try:
                self.update(secret, key_id, wanted)
            except Moved:
                if not left:
                    raise
            else:
                return

    def change_record(
        self,
        key_id: str,
        version: str,
        change: Callable[[Record], Record | None],
        *,
        revoked: bool = False,
        look: "Secret | None" = None,
    ) -> None:
        """Change what the annotations say of a version.

        Args:
            key_id: The secret.
            version: The version's number.
            change: Gets the version's record, and returns the new one; ``None`` drops it.
            revoked: Also mark the version as compromised and revoked.
            look: The secret as a look showed it, to begin from.
        """

        def changed(secret: "Secret") -> dict[str, object]:
            annotations = dict(secret.annotations)
            wanted = with_record(annotations, version, change)
            if revoked:
                wanted = with_mark(wanted, version, REVOKED_MARK)
            return {"annotations": wanted} if wanted != annotations else {}

        self.change(key_id, changed, look)

    def list_versions(self, key_id: str) -> "Iterator[SecretVersion]":
        """Yield a secret's versions, as the listing shows them; it may lag."""
        name = self._manager.secret(key_id)
        for version in self._manager.pages(
            "list_secret_versions", key_id, parent=name, page_size=_PAGE
        ):
            yield whole_version(version, f"{name}/versions/", key_id)

    def list_enabled(self, key_id: str) -> dict[str, str]:
        """Return the enabled versions and their etags, by number.

        What a lagging listing lacks is looked up by number.
        """
        listed = {number(v.name): v for v in self.list_versions(key_id)}
        secret = self.get(key_id)
        known = {v.id for v in to_key(secret).versions} | set(
            map(str, secret.version_aliases.values())
        )
        for version in known - listed.keys():
            with contextlib.suppress(KeyNotFound):
                listed[version] = self.get_version(key_id, version)
        return {version: v.etag for version, v in listed.items() if v.state.name == "ENABLED"}

    def access(self, key_id: str, version: str) -> "SecretPayload":
        """Return a version's value.

        Raises :class:`Moved` for one that is not enabled, or whose KMS key can't be used.
        """
        name = self._manager.version(key_id, version)
        answer = self._manager.read("access_secret_version", key_id, name=name)
        return whole_payload(answer, name, key_id)

    def add_version(self, key_id: str, data: bytes) -> "SecretVersion":
        """Add a version and return it, without its value."""
        name = self._manager.secret(key_id)
        added = self._manager.write(
            "add_secret_version", key_id, parent=name, payload=payload(data)
        )
        return whole_version(added, f"{name}/versions/", key_id)


def with_record(
    annotations: Mapping[str, str], version: str, change: Callable[[Record], Record | None]
) -> dict[str, str]:
    """Return the annotations with what they say of one version changed; ``None`` drops it."""
    records = read_records(annotations)
    before = records.pop(version, None)
    after = change(before) if before is not None else None
    if after == before:
        return dict(annotations)
    records |= {version: after} if after is not None else {}
    return {**annotations, VERSIONS: write_records(records)}
