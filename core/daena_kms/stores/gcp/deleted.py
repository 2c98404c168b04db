"""Delete a key so that it can be brought back, which Secret Manager itself does not offer.

Every enabled version is disabled, and annotations say so. Neither side takes more than one call at
a time, so a deletion and a restoration may overlap. Each looks once more when it is done: whichever
comes last puts right what the other one undid.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING

from daena_kms.errors import RotationConflict
from daena_kms.rules.durations import format_time
from daena_kms.rules.model import Key
from daena_kms.stores.gcp.secret import Secrets
from daena_kms.stores.gcp.state import CURRENT, DELETED, is_scheduled, retired_in

if TYPE_CHECKING:
    from google.cloud.secretmanager_v1 import Secret, SecretVersion

#: The annotation that lists the versions that a deletion disabled, and that restoring enables.
_DISABLED = "daena-disabled"


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
            return {"annotations": annotations}

        self._secrets.change(key.id, change)
        for version, etag in enabled.items():
            self._secrets.disable(key.id, version, etag)
        after = self._secrets.get(key.id)
        if DELETED not in after.annotations:
            self._enable(key.id, enabled, after)
            msg = "it was restored while it was being deleted"
            raise RotationConflict(msg, key_id=key.id, todo="Delete it again if it is to go")

    def restore(self, key: Key) -> str | None:
        """Enable the versions that the deletion disabled, then remove the mark.

        One that a run has retired or revoked since stays so. One whose destruction somebody has
        asked for meanwhile stays as it is, and the result says so: to enable it would cancel that.

        Raises:
            RotationConflict: Somebody deleted it again meanwhile.
        """
        secret = self._secrets.get(key.id)
        disabled = _disabled(secret)
        self._enable(key.id, disabled, secret)

        def change(secret: "Secret") -> dict[str, object]:
            kept = dict(secret.annotations)
            # A deletion may have begun since the first look.
            disabled.update(_disabled(secret))
            if not {DELETED, _DISABLED} & kept.keys():
                return {}
            return {"annotations": {n: t for n, t in kept.items() if n not in {DELETED, _DISABLED}}}

        self._secrets.change(key.id, change)
        if not disabled:
            return None
        # A deletion that was still under way may have disabled them once more.
        after = self._secrets.get(key.id)
        if DELETED in after.annotations:
            msg = "it was deleted while it was being restored"
            raise RotationConflict(msg, key_id=key.id, todo="Restore it again if it is to stay")
        return "; ".join(self._enable(key.id, disabled, after)) or None

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
