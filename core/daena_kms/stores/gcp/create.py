"""Create a secret on Google Cloud under a claim, or take over an interrupted creation.

A secret is created without a version. Then :class:`~daena_kms.stores.gcp.claim.Claims` adds the
first version and promotes it.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from daena_kms.errors import KeyExists, KeyNotFound, RotationConflict, StoreUnavailable
from daena_kms.sdk.gcp.errors import Moved, Unanswered
from daena_kms.stores.gcp.claim import Claims, OwnClaim, has_claim, new_claim
from daena_kms.stores.gcp.secret import Secrets
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


class Creator:
    """Creates secrets in one project; ``fields`` are what each new one has."""

    def __init__(self, secrets: Secrets, claims: Claims, fields: Mapping[str, Any]) -> None:
        self._secrets = secrets
        self._claims = claims
        self._fields = dict(fields)

    def create(self, key_id: str, tags: Mapping[str, str], now: datetime) -> OwnClaim:
        """Create an empty secret with our claim, or take over an interrupted creation.

        Raises:
            KeyExists: There is a secret of that name, or another process is creating it.
        """
        claim = new_claim(0, now)
        annotations = {**tags, CLAIM: write_claim(claim)}
        secret = {"annotations": annotations, "labels": {LABEL: "true"}, **self._fields}
        try:
            return OwnClaim(key_id, claim, self._secrets.create(key_id, secret), {})
        except (KeyExists, Unanswered) as error:
            standing = self._standing(key_id, error)
            if has_claim(standing, claim):
                return OwnClaim(key_id, claim, standing, {})
            return self._resume(standing, key_id, tags, claim)

    def _standing(self, key_id: str, error: KeyExists | Unanswered) -> "Secret":
        """Return the secret of that name. Raises ``error`` if the creation made none."""
        try:
            return self._secrets.get(key_id)
        except KeyNotFound:
            if isinstance(error, Unanswered):
                raise error from None
        # Only access by a version's number is immediate.
        # https://cloud.google.com/secret-manager/docs/reference/consistency
        msg = "it exists already, and Secret Manager does not show it yet"
        raise StoreUnavailable(msg, key_id=key_id, todo="Look again in a few minutes")

    def _resume(
        self, standing: "Secret", key_id: str, tags: Mapping[str, str], claim: Claim
    ) -> OwnClaim:
        """Claim a secret of ours that never got a current version. Raises :class:`KeyExists`."""
        annotations = dict(standing.annotations)
        before = read_claim(annotations)
        ours = (
            before is not None and before.highest == 0 and CURRENT not in standing.version_aliases
        )
        if before is None or not ours or VERSIONS in annotations:
            deleted = DELETED in annotations
            msg = "it exists already" + (", deleted but recoverable" if deleted else "")
            todo = "Restore it" if deleted else "Use it, or another id"
            raise KeyExists(msg, key_id=key_id, todo=todo)
        claim = replace(claim, since=before.since or before.at)
        try:
            self._claims.check_over(before, key_id, claim.at)
            theirs = {n: t for n, t in annotations.items() if not n.startswith("daena")}
            changes = {"annotations": {**theirs, **tags, CLAIM: write_claim(claim)}}
            after = self._secrets.update(standing, key_id, changes)
        except (Moved, RotationConflict):
            msg = "another process is creating it"
            raise KeyExists(msg, key_id=key_id, todo="Use it, or another id") from None
        aliased = {str(number) for number in after.version_aliases.values()}
        orphans = self._claims.find_orphans(before, key_id, aliased, claim.at)
        return OwnClaim(key_id, claim, after, orphans)
