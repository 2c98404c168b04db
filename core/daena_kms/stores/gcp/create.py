"""Make a secret on Google Cloud: empty, then its first version, then the alias to it."""

import secrets
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from daena_kms.errors import KeyExists, KeyNotFound, RotationConflict
from daena_kms.sdk.gcp.client import SecretManager
from daena_kms.sdk.gcp.errors import Moved, Unanswered
from daena_kms.stores.gcp.claim import HELD, Lease, Leased, claim_id
from daena_kms.stores.gcp.state import (
    CLAIM,
    CURRENT,
    DELETED,
    LABEL,
    VERSIONS,
    Claim,
    read_claim,
    write_claim,
)

if TYPE_CHECKING:
    from google.cloud.secretmanager_v1 import Secret


class Maker:
    """Makes secrets in one project; ``new`` is what each of them has."""

    def __init__(self, manager: SecretManager, lease: Lease, new: Mapping[str, Any]) -> None:
        self._manager = manager
        self._lease = lease
        self._new = dict(new)

    def create(self, key_id: str, tags: Mapping[str, str], now: datetime) -> Leased:
        """Make an empty secret under a claim, or take over one whose creator is gone.

        Raises :class:`KeyExists`.
        """
        claim = Claim(secrets.token_hex(8), 0, now, now + HELD)
        given = {**tags, CLAIM: write_claim(claim)}
        secret = {"annotations": given, "labels": {LABEL: "true"}, **self._new}
        try:
            made = self._manager.write(
                "create_secret",
                key_id,
                parent=self._manager.parent,
                secret_id=key_id,
                secret=secret,
            )
            return Leased(claim, made, {})
        except (KeyExists, Unanswered) as error:
            found = (
                self._lease.look(key_id) if isinstance(error, KeyExists) else self._found(key_id)
            )
            if found is None:
                raise
            if claim_id(found) == claim.id:
                return Leased(claim, found, {})
            return self._resume(found, key_id, tags, claim)

    def finish(
        self, leased: Leased, key_id: str, material: str, base: str | None, now: datetime
    ) -> str:
        """Add a version and promote it at once."""
        self._lease.add(leased, key_id, material)
        return self._lease.promote(leased, key_id, base, now)

    def _resume(
        self, found: "Secret", key_id: str, tags: Mapping[str, str], claim: Claim
    ) -> Leased:
        known = dict(found.annotations)
        before = read_claim(known)
        ours = before is not None and before.highest == 0 and CURRENT not in found.version_aliases
        if before is None or not ours or VERSIONS in known:
            msg = "it exists already" if DELETED not in known else "it exists already, deleted"
            todo = "Use it, or another id" if DELETED not in known else "Restore it"
            raise KeyExists(msg, key_id=key_id, todo=todo)
        claim = replace(claim, since=before.since or before.at)
        try:
            self._lease.check_over(before, key_id, claim.at)
            theirs = {n: t for n, t in known.items() if not n.startswith("daena")}
            given = {**theirs, **tags, CLAIM: write_claim(claim)}
            after = self._lease.update(found, key_id, {"annotations": given})
        except (Moved, RotationConflict):
            msg = "another process is creating it"
            raise KeyExists(msg, key_id=key_id, todo="Use it, or another id") from None
        leased = Leased(claim, after, {})
        self._lease.note_orphans(leased, before, key_id, claim.at)
        return leased

    def _found(self, key_id: str) -> "Secret | None":
        try:
            return self._lease.look(key_id)
        except KeyNotFound:
            return None
