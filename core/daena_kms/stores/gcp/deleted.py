"""Delete a key so that it can be brought back, which Secret Manager itself does not offer.

Every enabled version is disabled, and annotations say so. A deletion and a restoration may overlap.
The restoration removes the mark only if nobody has changed the secret since it looked, and else
begins again. The deletion changes the secret once more when it is done: either that makes the
restoration begin again, or it finds the mark gone and takes back what it did itself. Nothing is
enabled in a key that is live but by the etag of that very disabling: a run may retire a version in
the same moment.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING

from daena_kms.errors import RotationConflict
from daena_kms.rules.durations import format_time
from daena_kms.rules.model import Key
from daena_kms.sdk.gcp.errors import Moved
from daena_kms.stores.base import after_change
from daena_kms.stores.gcp.secret import Secrets
from daena_kms.stores.gcp.state import CURRENT, DELETED, is_scheduled, retired_in

if TYPE_CHECKING:
    from google.cloud.secretmanager_v1 import Secret, SecretVersion

#: The annotation that lists the versions that a deletion disabled, and that restoring enables.
_DISABLED = "daena-disabled"
#: The annotation that a deletion removes when it is done.
_DELETING = "daena-deleting"
_OURS = frozenset({DELETED, _DELETING, _DISABLED})
#: How often a restoration begins again.
_TRIES = 10


class Deletion:
    """Deletes and restores the keys of one project.

    Permissions: ``secretmanager.secrets.get``, ``secretmanager.secrets.update``,
    ``secretmanager.versions.get``, ``secretmanager.versions.list``,
    ``secretmanager.versions.disable`` and ``secretmanager.versions.enable``.
    """

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets

    def delete(self, key: Key, now: datetime) -> None:
        """Mark the secret, then disable its versions; Secret Manager's own deletion is final.

        Raises:
            RotationConflict: Somebody restored it meanwhile, and it is restored.
        """
        enabled = self._secrets.list_enabled(key.id)
        if key.deleted is not None and not enabled:
            return

        def change(secret: "Secret") -> dict[str, object]:
            annotations = dict(secret.annotations)
            disabled = {**_disabled(secret), **enabled}
            annotations[DELETED] = annotations.get(DELETED) or format_time(now)
            annotations[_DISABLED] = " ".join(sorted(disabled, key=int))
            annotations[_DELETING] = format_time(now)
            return {"annotations": annotations}

        self._secrets.change(key.id, change)
        done = {v: self._secrets.disable(key.id, v, etag) for v, etag in enabled.items()}
        restored = False

        def end(secret: "Secret") -> dict[str, object]:
            nonlocal restored
            annotations = dict(secret.annotations)
            restored = DELETED not in annotations
            ended = annotations.pop(_DELETING, None)
            return {} if restored or ended is None else {"annotations": annotations}

        with after_change(key.id):
            self._secrets.change(key.id, end)
        if restored:
            for version, shown in done.items():
                if shown.state.name == "DISABLED" and not is_scheduled(shown):
                    self._secrets.enable_unchanged(key.id, version, shown.etag)
            msg = "it was restored while it was being deleted"
            raise RotationConflict(msg, key_id=key.id, todo="Delete it again if it is to go")

    def restore(self, key: Key) -> str | None:
        """Enable the versions that the deletion disabled, then remove the mark.

        One that a run has retired or revoked since stays so. One whose destruction somebody has
        asked for meanwhile stays as it is, and the result says so: to enable it would cancel that.

        Raises:
            Moved: Somebody else changes the secret all the time.
        """
        stays: list[str] = []
        for left in reversed(range(_TRIES)):
            secret = self._secrets.get(key.id)
            stays = self._enable(key.id, _disabled(secret), secret)
            kept = {n: t for n, t in secret.annotations.items() if n not in _OURS}
            if len(kept) == len(secret.annotations):
                break
            try:
                self._secrets.update(secret, key.id, {"annotations": kept})
            except Moved:
                if not left:
                    raise
            else:
                break
        return "; ".join(stays) or None

    def _enable(self, key_id: str, versions: Iterable[str], secret: "Secret") -> list[str]:
        """Enable versions, and return in words for people which of them stay as they are."""
        over = retired_in(secret)
        left = []
        for version in versions:
            if version in over:  # a run retired it while the key was being deleted
                continue
            shown = self._secrets.enable(key_id, version)
            if shown.state.name != "ENABLED":
                left.append(_left(key_id, version, shown, secret))
        return left


def _disabled(secret: "Secret") -> dict[str, None]:
    """Return the versions that a deletion disabled, in their order."""
    return dict.fromkeys(secret.annotations.get(_DISABLED, "").split())


def _left(key_id: str, version: str, shown: "SecretVersion", secret: "Secret") -> str:
    """Return, in words for people, why a version was not enabled."""
    word = "current version" if secret.version_aliases.get(CURRENT) == int(version) else "version"
    if not is_scheduled(shown):
        return f"its {word} {version} is destroyed"
    return (
        f"its {word} {version} stays disabled, because somebody has asked for its destruction, "
        f"at {format_time(shown.scheduled_destroy_time)}: to keep it, run gcloud secrets versions "
        f"enable {version} --secret={key_id}"
    )
