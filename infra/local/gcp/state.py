"""What a simulated secret is made of: metadata with an etag, and versions in their states."""

import itertools
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from google.cloud.secretmanager_v1.types import (
    CustomerManagedEncryption,
    CustomerManagedEncryptionStatus,
    Replication,
    ReplicationStatus,
    Rotation,
    SecretVersion,
    Topic,
)
from google.cloud.secretmanager_v1.types import Secret as SecretMessage

State = SecretVersion.State
# By value, because the client declares its enums' members as plain numbers.
ENABLED, DISABLED, DESTROYED = State(1), State(2), State(3)


_changes = itertools.count(time.time_ns() // 1000)


def new_etag() -> str:
    """Return an etag like no other.

    "The etag string includes quotes, i.e. a valid etag string is "123", not 123" (etags). The
    digits are a time in microseconds and a bit above it (cloud-custodian, flights
    ``gcp-secret-query`` and ``gcp-secret-set-label``: a secret that was not changed since has its
    ``createTime`` in its etag). Ours only count on from such a time.
    """
    return f'"{1 << 52 | next(_changes):x}"'


@dataclass
class Version:
    """One version; its data is gone once it is destroyed."""

    number: int
    data: bytes = field(repr=False)
    crc32c: int
    checked: bool
    """Whether the client had given a checksum."""
    create_time: datetime
    kms_keys: dict[str, str] = field(default_factory=dict)
    """The keys that encrypted it, by location of the replica."""
    state: State = ENABLED
    destroy_time: datetime | None = None
    scheduled_destroy_time: datetime | None = None
    etag: str = field(default_factory=new_etag)

    def become(self, state: State, now: datetime) -> None:
        """Enter a state; also when it is the present one, that changes the etag.

        "Even when an update doesn't change a resource's state, it still updates the resource ETag"
        (etags).
        """
        self.state, self.scheduled_destroy_time = state, None
        self.etag = new_etag()
        if state is DESTROYED:
            self.destroy_time, self.data = now, b""

    def schedule(self, when: datetime) -> None:
        """Disable the version and let it be destroyed at a time."""
        self.state, self.scheduled_destroy_time = DISABLED, when
        self.etag = new_etag()

    def settle(self, now: datetime) -> None:
        """Let what time brings come to pass."""
        scheduled = self.scheduled_destroy_time
        if scheduled is not None and scheduled <= now:
            self.become(DESTROYED, scheduled)


@dataclass
class Secret:
    """A secret. A test that changes it behind our back calls ``touch`` for a new etag."""

    name: str
    sequence: int
    create_time: datetime
    replication: Replication | None = None
    cmek: str | None = None
    """A regional secret's key; a global one's are in the replication."""
    labels: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)
    version_aliases: dict[str, int] = field(default_factory=dict)
    topics: list[str] = field(default_factory=list)
    expire_time: datetime | None = None
    version_destroy_ttl: timedelta | None = None
    next_rotation_time: datetime | None = None
    rotation_period: timedelta | None = None
    versions: dict[int, Version] = field(default_factory=dict)
    etag: str = field(default_factory=new_etag)

    @property
    def secret_id(self) -> str:
        """The last part of the name."""
        return self.name.rpartition("/")[2]

    @property
    def latest(self) -> int | None:
        """The number of the version created most recently, whatever its state."""
        return max(self.versions, default=None)

    def touch(self) -> None:
        """Change the etag, as every change of the metadata does."""
        self.etag = new_etag()

    def settle(self, now: datetime) -> None:
        """Let what time brings come to pass, but for the secret's own end."""
        for version in self.versions.values():
            version.settle(now)
        # "next_rotation_time will be advanced by this period when the service automatically sends
        # rotation notifications" (the types, Rotation).
        while self.next_rotation_time is not None and self.next_rotation_time <= now:
            period = self.rotation_period
            self.next_rotation_time = self.next_rotation_time + period if period else None
            self.touch()

    def kms_keys(self) -> dict[str, str]:
        """Return the keys that would encrypt a version added now, by location."""
        if self.cmek is not None:
            return {"": self.cmek}
        if self.replication is None:
            return {}
        if "automatic" in self.replication:
            key = self.replication.automatic.customer_managed_encryption.kms_key_name
            return {"": key} if key else {}
        return {
            replica.location: replica.customer_managed_encryption.kms_key_name
            for replica in self.replication.user_managed.replicas
            if replica.customer_managed_encryption.kms_key_name
        }

    def message(self) -> SecretMessage:
        """Return the metadata as every answer shows it."""
        rotates = self.next_rotation_time is not None or self.rotation_period is not None
        rotation = Rotation(
            next_rotation_time=self.next_rotation_time, rotation_period=self.rotation_period
        )
        return SecretMessage(
            name=self.name,
            replication=self.replication,
            create_time=self.create_time,
            labels=self.labels,
            topics=[Topic(name=topic) for topic in self.topics],
            expire_time=self.expire_time,
            etag=self.etag,
            rotation=rotation if rotates else None,
            version_aliases=self.version_aliases,
            annotations=self.annotations,
            version_destroy_ttl=self.version_destroy_ttl,
            customer_managed_encryption=(
                CustomerManagedEncryption(kms_key_name=self.cmek) if self.cmek else None
            ),
        )

    def version_message(self, version: Version) -> SecretVersion:
        """Return a version's metadata as every answer shows it."""
        regional = self.replication is None
        return SecretVersion(
            name=f"{self.name}/versions/{version.number}",
            create_time=version.create_time,
            destroy_time=version.destroy_time,
            state=version.state,
            replication_status=None if regional else self._replication_status(version),
            etag=version.etag,
            client_specified_payload_checksum=version.checked,
            scheduled_destroy_time=version.scheduled_destroy_time,
            customer_managed_encryption=_encryption(version, "") if regional else None,
        )

    def _replication_status(self, version: Version) -> ReplicationStatus:
        if self.replication is None or "automatic" in self.replication:
            automatic = ReplicationStatus.AutomaticStatus(
                customer_managed_encryption=_encryption(version, "")
            )
            return ReplicationStatus(automatic=automatic)
        replicas = [
            ReplicationStatus.UserManagedStatus.ReplicaStatus(
                location=replica.location,
                customer_managed_encryption=_encryption(version, replica.location),
            )
            for replica in self.replication.user_managed.replicas
        ]
        return ReplicationStatus(
            user_managed=ReplicationStatus.UserManagedStatus(replicas=replicas)
        )


def _encryption(version: Version, location: str) -> CustomerManagedEncryptionStatus | None:
    key = version.kms_keys.get(location)
    if key is None:
        return None
    return CustomerManagedEncryptionStatus(kms_key_version_name=f"{key}/cryptoKeyVersions/1")
