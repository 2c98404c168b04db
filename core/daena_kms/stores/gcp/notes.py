"""What the annotations say of a secret's versions: looked up and changed by the secret's etag."""

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from daena_kms.errors import KeyNotFound
from daena_kms.sdk.gcp.client import SecretManager
from daena_kms.sdk.gcp.errors import Moved
from daena_kms.stores.gcp.claim import Lease
from daena_kms.stores.gcp.state import (
    VERSIONS,
    Record,
    number,
    read_records,
    to_key,
    write_records,
)

if TYPE_CHECKING:
    from google.cloud.secretmanager_v1 import Secret, SecretVersion

PAGE = 250
_TRIES = 10


class Notes:
    """Annotations of one project's secrets."""

    def __init__(self, manager: SecretManager, lease: Lease) -> None:
        self._manager = manager
        self._lease = lease

    def versions(self, key_id: str) -> "Iterator[SecretVersion]":
        """Yield a secret's versions, as the listing has them."""
        parent = self._manager.secret(key_id)
        return self._manager.pages("list_secret_versions", key_id, parent=parent, page_size=PAGE)

    def enabled(self, key_id: str) -> list[str]:
        """Return the enabled versions; what a lagging listing lacks is asked for by number."""
        listed = {number(v.name): v for v in self.versions(key_id)}
        secret = self._manager.read("get_secret", key_id, name=self._manager.secret(key_id))
        known = {v.id for v in to_key(secret).versions} | set(
            map(str, secret.version_aliases.values())
        )
        for name in known - listed.keys():
            with contextlib.suppress(KeyNotFound):
                listed[name] = self._manager.read(
                    "get_secret_version", key_id, name=self._manager.version(key_id, name)
                )
        return [name for name, v in listed.items() if v.state.name == "ENABLED"]

    def record(self, key_id: str, version: str, change: Callable[[Record], Record | None]) -> None:
        """Change or drop what the annotations say of a version."""

        def changed(secret: "Secret") -> dict[str, object]:
            known = dict(secret.annotations)
            records = read_records(known)
            if version not in records:
                return {}
            before = records.pop(version)
            after = change(before)
            if after == before:
                return {}
            records |= {version: after} if after is not None else {}
            return {"annotations": {**known, VERSIONS: write_records(records)}}

        self.change(key_id, changed)

    def change(self, key_id: str, change: "Callable[[Secret], dict[str, object]]") -> None:
        """Update a secret by its etag, again from anew when somebody else was faster.

        Nothing is written where ``change`` returns nothing: somebody else has done it.
        """
        for left in reversed(range(_TRIES)):
            secret = self._manager.read("get_secret", key_id, name=self._manager.secret(key_id))
            wanted = change(secret)
            if not wanted:
                return
            try:
                self._lease.update(secret, key_id, wanted)
            except Moved:
                if not left:
                    raise
            else:
                return
