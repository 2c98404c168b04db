"""Enable, disable and destroy one version, and leave alone a destruction that somebody asked for.

With the secret's ``version_destroy_ttl``, destroying a version disables it and schedules its end.
Until then enabling it, **and disabling it, cancels its destruction**
(https://cloud.google.com/secret-manager/docs/delay-destruction-of-secret-versions). So no version
is switched without knowing its state: by an etag of a look that showed it. A version's etag moves
with each of its changes, and with nothing else.
"""

import contextlib
from typing import TYPE_CHECKING

from daena_kms.sdk.gcp.client import SecretManager
from daena_kms.sdk.gcp.errors import Moved
from daena_kms.stores.gcp.answers import switched_version, whole_version
from daena_kms.stores.gcp.state import is_scheduled

if TYPE_CHECKING:
    from google.cloud.secretmanager_v1 import SecretVersion

#: How often a version is looked at that changes all the time.
_TRIES = 10
_GONE = {"DESTROYED"}
#: The states in which a version is after a switch; one that is to be destroyed is disabled first.
_AFTER = {
    "enable": {"ENABLED"},
    "disable": {"DISABLED"},
    "destroy": {"DESTROYED", "DISABLED"},
}


class Switches:
    """The state of a project's versions. A version is named by its number."""

    def __init__(self, manager: SecretManager) -> None:
        self._manager = manager

    def get_version(self, key_id: str, version: str) -> "SecretVersion":
        """Return a version's state and times, without its value."""
        name = self._manager.version(key_id, version)
        shown = self._manager.read("get_secret_version", key_id, name=name)
        return whole_version(shown, name, key_id)

    def disable(self, key_id: str, version: str, etag: str = "") -> "SecretVersion":
        """Disable a version, unless it is destroyed or to be destroyed.

        One that a look shows as disabled is disabled again, by the etag of that look: looks may
        lag, and so it is certain that nobody can read it.

        Args:
            key_id: The secret.
            version: The version's number.
            etag: The version's etag from when it was enabled. If it is still the same, one call
                disables the version. Without it, the version is looked at first.

        Returns:
            The version as it then is.
        """
        return self._switch("disable", _GONE, key_id, version, etag)

    def enable(self, key_id: str, version: str, etag: str = "") -> "SecretVersion":
        """Enable a version, unless it is destroyed or to be destroyed.

        Args:
            key_id: The secret.
            version: The version's number.
            etag: The version's etag from when it was disabled, and not to be destroyed.

        Returns:
            The version as it then is: enabled, destroyed, or to be destroyed.
        """
        return self._switch("enable", _GONE, key_id, version, etag)

    def enable_unchanged(self, key_id: str, version: str, etag: str) -> None:
        """Enable a version if nobody has changed it since it had this etag."""
        name = self._manager.version(key_id, version)
        with contextlib.suppress(Moved):
            enabled = self._manager.write("enable_secret_version", key_id, name=name, etag=etag)
            switched_version(enabled, name, key_id, _AFTER["enable"])

    def destroy(self, key_id: str, version: str) -> "SecretVersion":
        """Destroy a version that is disabled, at once or after the secret's delay.

        Returns:
            The version as it then is: destroyed or to be destroyed, or enabled because somebody
            enabled it again.
        """
        return self._switch("destroy", _GONE | {"ENABLED"}, key_id, version)

    def _switch(
        self, verb: str, leave: set[str], key_id: str, version: str, etag: str = ""
    ) -> "SecretVersion":
        """Switch a version, unless it is in one of the states ``leave``, and return it."""
        name = self._manager.version(key_id, version)
        tries = 0
        while True:
            if not etag:
                shown = self.get_version(key_id, version)
                if shown.state.name in leave or is_scheduled(shown):
                    return shown
                etag = shown.etag
            try:
                switched = self._manager.write(
                    f"{verb}_secret_version", key_id, name=name, etag=etag
                )
            except Moved:
                tries += 1
                if tries == _TRIES:
                    raise
                etag = ""
            else:
                return switched_version(switched, name, key_id, _AFTER[verb])
