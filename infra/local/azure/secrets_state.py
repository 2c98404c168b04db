"""What a simulated vault holds: secrets, their versions, and what is deleted.

Everything that is held is immutable; a write puts a new object in its place. So what was before
a write, or at some moment, can be kept by reference and answered from.
"""

import secrets
import time
from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from infra.local.azure.documents import AzureError, Clock


@dataclass(frozen=True, slots=True)
class Version:
    """One version; ``nbf`` and ``exp`` are seconds since the epoch."""

    id: str
    value: str = field(repr=False)
    created: datetime
    updated: datetime
    enabled: bool = True
    nbf: int | None = None
    exp: int | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    content_type: str | None = None


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret under the name it was first given; ``versions`` are in order of creation."""

    name: str
    versions: dict[str, Version]
    kid: str | None = None
    """The key of the certificate that this secret backs; then Key Vault manages it."""

    @property
    def newest(self) -> Version:
        """The version that a call without a version gets."""
        return next(reversed(self.versions.values()))

    def with_version(self, version: Version) -> "Secret":
        """Return the secret with a version added, or changed in its place."""
        return replace(self, versions={**self.versions, version.id: version})


@dataclass(frozen=True, slots=True)
class Deleted:
    """A secret in the deleted state, which can be recovered until it is purged."""

    secret: Secret
    deleted: datetime
    purge: datetime


@dataclass
class Settings:
    """What may differ from vault to vault."""

    soft_delete: bool = True
    purge_protection: bool = False
    retention_days: int = 90
    settle_polls: int = 1
    """How many calls still find a deletion, recovery or purge under way. In every recording the
    first look after a deletion or recovery finds nothing (azure-sdk-for-go, ``azsecrets``)."""
    settle_seconds: float = 0.0
    """For how long they find it besides. Recorded are up to 120 s for a deletion and 60 s for a
    recovery (``TestBeginRecoverDeletedSecret.json``), reported are 5 s for a purge."""
    parallel_writes: bool = False
    """Let two writes to one secret that overlap both take effect. The cloud answers 409 to one
    of them where it notices, and makes two versions where it does not."""

    @property
    def recovery_level(self) -> str:
        """The word for what deleting means.

        https://learn.microsoft.com/rest/api/keyvault/secrets/get-secret/get-secret#deletionrecoverylevel
        """
        if not self.soft_delete:
            return "Purgeable"
        level = "Recoverable" if self.retention_days == 90 else "CustomizedRecoverable"
        return level if self.purge_protection else level + "+Purgeable"


@dataclass
class Settling:
    """A name that is being deleted, recovered or purged."""

    #: How many calls still find it so, and until when every call does, in seconds.
    left: int
    until: float
    #: How many sets are still refused once the name is seen again.
    sets: int = 0


@dataclass
class Names:
    """Names in order, so that a page is found without looking at all of them."""

    held: list[str] = field(default_factory=list)

    def after(self, name: str, count: int) -> list[str]:
        """Return up to this many names after one."""
        start = bisect_right(self.held, name)
        return self.held[start : start + count]


@dataclass
class View:
    """Some secrets by their names in lower case, with the order that a listing shows them in."""

    secrets: Mapping[str, Secret]
    names: Names


class SecretsState:
    """The state of one vault; keys of its mappings are names in lower case."""

    def __init__(self, clock: Clock, elapsed: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._elapsed = elapsed
        self.settings = Settings()
        self.live: dict[str, Secret] = {}
        self.deleted: dict[str, Deleted] = {}
        self.before: dict[str, Secret | None] = {}
        """Each secret as it was before the last write to it."""
        self.settling: dict[str, Settling] = {}
        """What is being deleted, recovered or purged."""
        self.backups: dict[str, Secret] = {}
        self._names: Names | None = None

    def now(self) -> datetime:
        """Return the simulated time in whole seconds, rounded up.

        A version's date was recorded up to a second after the ``Date`` of the answer that made it.
        """
        now = self._clock()
        whole = now.replace(microsecond=0)
        return whole if whole == now else whole + timedelta(seconds=1)

    def secret(self, name: str) -> Secret:
        """Return a live secret. For tests: raises :class:`KeyError`."""
        return self.live[name.lower()]

    def version(self, name: str, version_id: str | None = None) -> Version:
        """Return a version, the newest by default. For tests: raises :class:`KeyError`."""
        held = self.secret(name)
        return held.newest if version_id is None else held.versions[version_id]

    def versions(self, name: str) -> list[Version]:
        """Return a secret's versions, oldest first. For tests: raises :class:`KeyError`."""
        return list(self.secret(name).versions.values())

    def view(self) -> View:
        """Return what is live now; it stays as it is while the state goes on."""
        return View(dict(self.live), self.names())

    def names(self) -> Names:
        """Return the names of what is live, in order."""
        if self._names is None:
            self._names = Names(sorted(self.live))
        return self._names

    def put(self, secret: Secret) -> None:
        """Hold a secret, new or changed."""
        key = secret.name.lower()
        self._note(key)
        if key not in self.live:
            self._names = None
        self.live[key] = secret

    def remove(self, name: str) -> None:
        """Hold a secret no longer."""
        key = name.lower()
        self._note(key)
        del self.live[key]
        self._names = None

    def make_version(self, value: str, **given: object) -> Version:
        """Return a fresh version with what is given of a :class:`Version`; nothing holds it yet."""
        now = self.now()
        fields = {"id": secrets.token_hex(16), "created": now, "updated": now, **given}
        return Version(value=value, **fields)  # type: ignore[arg-type]  # checked by the callers

    def add_version(self, name: str, value: str, **given: object) -> Version:
        """Add a version to a secret, new or not, without a call; for tests."""
        version = self.make_version(value, **given)
        held = self.live.get(name.lower()) or Secret(name, {})
        self.put(held.with_version(version))
        return version

    def delete(self, secret: Secret) -> Deleted | None:
        """Delete a secret; None: there is no soft delete, and it is gone."""
        self.remove(secret.name)
        if not self.settings.soft_delete:
            return None
        now = self.now()
        gone = Deleted(secret, now, now + timedelta(days=self.settings.retention_days))
        self.deleted[secret.name.lower()] = gone
        self._settle(secret.name)
        return gone

    def recover(self, gone: Deleted) -> None:
        """Make a deleted secret live again."""
        del self.deleted[gone.secret.name.lower()]
        self.put(gone.secret)
        self._settle(gone.secret.name, sets=self.settings.settle_polls)

    def purge_expired(self) -> None:
        """Purge what was deleted and is kept no longer."""
        now = self.now()
        for key in [key for key, gone in self.deleted.items() if gone.purge <= now]:
            self.purge(key)

    def purge(self, name: str) -> None:
        """Erase a deleted secret."""
        del self.deleted[name.lower()]
        self._settle(name)

    def under_way(self, name: str) -> bool:
        """Count a call against what is being deleted or recovered; say whether it still is."""
        settling = self.settling.get(name.lower())
        if settling is None:
            return False
        if settling.left:
            settling.left -= 1
            return True
        return self._elapsed() < settling.until

    def settle(self) -> None:
        """Let all that is being deleted, recovered or purged be so at once, for tests."""
        self.settling.clear()

    def check_writable(self, name: str) -> None:
        """Refuse to make a version of what is deleted, or being deleted, recovered or purged."""
        if name.lower() in self.deleted:
            if self.under_way(name):
                raise _conflict(name, "being deleted", "ObjectIsBeingDeleted")
            message = (
                f"Secret {name} is currently in a deleted but recoverable state, and its name "
                "cannot be reused; in this state, the secret can only be recovered or purged."
            )
            raise AzureError(409, "Conflict", message, "ObjectIsDeletedButRecoverable")
        settling = self.settling.get(name.lower())
        if name.lower() not in self.live:
            # For some seconds after a purge: https://github.com/Azure/azure-sdk-for-net/issues/26027
            if self.under_way(name):
                raise _conflict(name, "being deleted", "ObjectIsBeingDeleted")
        elif self.under_way(name):
            raise _conflict(name, "being recovered", "ObjectIsBeingRecovered")
        elif settling is not None and settling.sets:
            # Also once it can be read: https://github.com/Azure/azure-sdk-for-net/issues/31581
            settling.sets -= 1
            raise _conflict(name, "being recovered", "ObjectIsBeingRecovered")

    def _note(self, key: str) -> None:
        # What is written last is the last in the mapping.
        self.before.pop(key, None)
        self.before[key] = self.live.get(key)

    def _settle(self, name: str, *, sets: int = 0) -> None:
        until = self._elapsed() + self.settings.settle_seconds
        self.settling[name.lower()] = Settling(self.settings.settle_polls, until, sets)


def _conflict(name: str, what: str, inner: str) -> AzureError:
    message = f"Secret {name} is currently {what} and cannot be re-created; retry later."
    return AzureError(409, "Conflict", message, inner)
