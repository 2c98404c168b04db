"""Calls on one project's secrets: look at one, change it by its etag, add and switch versions."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from daena_kms.errors import KeyNotFound
from daena_kms.sdk.gcp.client import SecretManager
from daena_kms.sdk.gcp.errors import Moved
from daena_kms.stores.gcp.state import (
    REVOKED_MARK,
    VERSIONS,
    Record,
    number,
    payload,
    read_records,
    to_key,
    with_mark,
    write_records,
)

if TYPE_CHECKING:
    from google.cloud.secretmanager_v1 import Secret, SecretPayload, SecretVersion

_PAGE = 250
_TRIES = 10


class Secrets:
    """The secrets of one project, or of one location of it.

    A version is named by its number, or by an alias where it is only read.
    """

    def __init__(self, manager: SecretManager) -> None:
        self._manager = manager

    def list_all(self) -> "Iterator[Secret]":
        """Yield all secrets; one call per 250 of them."""
        parent = self._manager.parent
        return self._manager.pages("list_secrets", None, parent=parent, page_size=_PAGE)

    def get(self, key_id: str) -> "Secret":
        """Return the secret as it is now."""
        secret: Secret = self._manager.read("get_secret", key_id, name=self._manager.secret(key_id))
        return secret

    def create(self, key_id: str, secret: Mapping[str, object]) -> "Secret":
        """Create a secret without a version. Raises :class:`~daena_kms.errors.KeyExists`."""
        parent = self._manager.parent
        created: Secret = self._manager.write(
            "create_secret", key_id, parent=parent, secret_id=key_id, secret=dict(secret)
        )
        return created

    def update(self, secret: "Secret", key_id: str, changes: Mapping[str, object]) -> "Secret":
        """Change these fields of a secret if its etag is still the same. Raises :class:`Moved`."""
        wanted = {"name": self._manager.secret(key_id), "etag": secret.etag, **changes}
        updated: Secret = self._manager.write(
            "update_secret", key_id, secret=wanted, update_mask={"paths": sorted(changes)}
        )
        return updated

    def change(self, key_id: str, change: "Callable[[Secret], dict[str, object]]") -> None:
        """Change fields of a secret, and begin again when somebody else was faster.

        ``change`` gets the secret and returns the fields with their new values. Where it returns
        none, nothing is written: somebody else has made the change.
        """
        for left in reversed(range(_TRIES)):
            secret = self.get(key_id)
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
    ) -> None:
        """Change what the annotations say of a version.

        Args:
            key_id: The secret.
            version: The version's number.
            change: Gets the version's record, and returns the new one; ``None`` drops it.
            revoked: Also mark the version as compromised and revoked.
        """

        def changed(secret: "Secret") -> dict[str, object]:
            annotations = dict(secret.annotations)
            wanted = with_mark(annotations, version, REVOKED_MARK) if revoked else annotations
            records = read_records(annotations)
            before = records.pop(version, None)
            after = change(before) if before is not None else None
            if after != before:
                records |= {version: after} if after is not None else {}
                wanted = {**wanted, VERSIONS: write_records(records)}
            return {"annotations": wanted} if wanted != annotations else {}

        self.change(key_id, changed)

    def list_versions(self, key_id: str) -> "Iterator[SecretVersion]":
        """Yield a secret's versions, as the listing shows them; it may lag."""
        parent = self._manager.secret(key_id)
        return self._manager.pages("list_secret_versions", key_id, parent=parent, page_size=_PAGE)

    def list_enabled(self, key_id: str) -> list[str]:
        """Return the enabled versions; what a lagging listing lacks is looked up by number."""
        listed = {number(v.name): v for v in self.list_versions(key_id)}
        secret = self.get(key_id)
        known = {v.id for v in to_key(secret).versions} | set(
            map(str, secret.version_aliases.values())
        )
        for version in known - listed.keys():
            with contextlib.suppress(KeyNotFound):
                listed[version] = self.get_version(key_id, version)
        return [version for version, v in listed.items() if v.state.name == "ENABLED"]

    def get_version(self, key_id: str, version: str) -> "SecretVersion":
        """Return a version's state and times, without its value."""
        name = self._manager.version(key_id, version)
        shown: SecretVersion = self._manager.read("get_secret_version", key_id, name=name)
        return shown

    def access(self, key_id: str, version: str) -> "SecretPayload":
        """Return a version's value. Raises :class:`Moved` for one that is not enabled."""
        name = self._manager.version(key_id, version)
        answer = self._manager.read("access_secret_version", key_id, name=name)
        content: SecretPayload = answer.payload
        return content

    def add_version(self, key_id: str, data: bytes) -> str:
        """Add a version and return its number."""
        parent = self._manager.secret(key_id)
        added = self._manager.write(
            "add_secret_version", key_id, parent=parent, payload=payload(data)
        )
        return number(added.name)

    def disable(self, key_id: str, version: str) -> None:
        """Disable a version. Raises :class:`Moved` for one that is destroyed."""
        self._switch("disable", key_id, version)

    def enable(self, key_id: str, version: str) -> None:
        """Enable a version. Raises :class:`Moved` for one that is destroyed."""
        self._switch("enable", key_id, version)

    def destroy(self, key_id: str, version: str) -> None:
        """Destroy a version. Raises :class:`Moved` for one that is destroyed already."""
        self._switch("destroy", key_id, version)

    def _switch(self, verb: str, key_id: str, version: str) -> None:
        name = self._manager.version(key_id, version)
        self._manager.write(f"{verb}_secret_version", key_id, name=name)
