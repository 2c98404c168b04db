"""Google Cloud: values in Secret Manager; a rotation claims the key in the secret itself."""

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from daena_kms.errors import ConfigError, DaenaKMSError, KeyNotFound, RotationConflict
from daena_kms.rules.durations import format_time
from daena_kms.rules.model import Capabilities, Key, Revoking, Version
from daena_kms.rules.policy import MANAGED
from daena_kms.sdk.gcp.client import SecretManager
from daena_kms.sdk.gcp.errors import Moved, Unanswered
from daena_kms.stores.base import Staged, Store, after_change
from daena_kms.stores.gcp.claim import Claims, OwnClaim
from daena_kms.stores.gcp.create import Creator
from daena_kms.stores.gcp.deleted import Deletion
from daena_kms.stores.gcp.secret import Secrets, with_record
from daena_kms.stores.gcp.state import (
    CLAIM,
    CURRENT,
    LABEL,
    MAX_VERSIONS,
    PENDING_MARK,
    VERSIONS,
    Record,
    is_scheduled,
    read_records,
    secret_of,
    to_key,
    with_mark,
    write_records,
)
from daena_kms.stores.gcp.values import material_of

if TYPE_CHECKING:
    from google.cloud.secretmanager_v1 import Secret

#: A retirement that was noted so recently is another run's, at the same moment.
_SAME = timedelta(minutes=1)
#: How often a key is looked at again that changed while it was looked at.
_TORN_LOOKS = 3
_LOST = (
    f"it has the label {LABEL} but no daena annotations, perhaps because a Terraform apply removed "
    "them: write them again, and let that tool ignore annotations"
)


class GCPStore(Store):
    """Keys as secrets of one project, global or of one location.

    Permissions, on the project or on its secrets: ``secretmanager.secrets.list``,
    ``secretmanager.secrets.get``, ``secretmanager.secrets.update``,
    ``secretmanager.versions.add``, ``secretmanager.versions.get``,
    ``secretmanager.versions.list``, ``secretmanager.versions.disable``,
    ``secretmanager.versions.destroy``; ``secretmanager.versions.access`` for reading, rolling
    back and adopting; ``secretmanager.secrets.create`` and ``secretmanager.versions.enable`` for
    the commands create and restore.

    https://cloud.google.com/secret-manager/docs/access-control
    """

    provider: ClassVar[str] = "gcp"
    title: ClassVar[str] = "Secret Manager"
    version_form: ClassVar[re.Pattern[str]] = re.compile(r"[1-9][0-9]{0,9}", re.ASCII)
    version_word: ClassVar[str] = "a number"
    can: ClassVar[Capabilities] = Capabilities(
        retired_readable=None,
        destroys_version=True,
        destroy_means="erased for good, at once or after the secret's delay (version_destroy_ttl)",
        restores_key=True,
        delete_means="all its versions are disabled; nothing is erased until somebody purges it",
        # https://cloud.google.com/secret-manager/docs/reference/consistency
        revoking=Revoking(
            means="it is disabled in Secret Manager",
            readable=(
                "readers that the change has not reached: within minutes, "
                "and it may take a few hours"
            ),
            breaks=(
                "reading it by its number or as previous; and, for as long, reading current or "
                "latest where the alias still leads to it"
            ),
            undo="enable it with gcloud secrets versions enable VERSION --secret=KEY",
        ),
        max_versions=MAX_VERSIONS,
        counts_retired=True,
        max_keep=MAX_VERSIONS,
        fenced=True,
        lists_versions=False,
        adopt_note=(
            "Readers of versions/latest see a version before it is current: "
            "let every consumer read versions/current"
        ),
    )

    def __init__(self, manager: SecretManager, new: Mapping[str, Any]) -> None:
        self._secrets = Secrets(manager)
        self._claims = Claims(self._secrets)
        self._deletion = Deletion(self._secrets)
        self._creator = Creator(self._secrets, self._claims, new)

    def scan(self) -> Iterator[Key]:
        """Yield the secrets that carry ``daena.managed``; one call per 250 secrets."""
        for secret in self._secrets.list_all():
            key = to_key(secret)
            if key.deleted is not None:
                continue
            if MANAGED in key.tags:
                try:
                    yield self._certain(key)
                except KeyNotFound:
                    continue  # the listing lags behind its deletion
                except DaenaKMSError as error:
                    yield replace(key, versions=(), trouble=error.what)
            elif secret.labels.get(LABEL) == "true":
                # The label outlives an apply that removes the annotations.
                lost = {MANAGED: "true"}
                yield replace(key, tags=lost, versions=(), trouble=_LOST, enrolled=True)

    def describe(self, key_id: str, *, exact: bool = False) -> Key:
        """Return the secret; ``exact`` also lists its versions."""
        secret = self._secrets.get(key_id)
        if not exact:
            return self._certain(to_key(secret))
        key = to_key(secret, self._secrets.list_versions(key_id))
        for _ in range(_TORN_LOOKS):
            if key.current is not None:
                break
            # Two calls are not one moment: between them another rotation may have moved the alias
            # and disabled the version that it was on.
            before, secret = secret, self._secrets.get(key_id)
            if secret.etag == before.etag:
                break
            key = to_key(secret, self._secrets.list_versions(key_id))
        return key

    def read(self, key_id: str, version: str | None = None) -> str:
        """Return a value after checking its checksum. A disabled version can't be read."""
        try:
            payload = self._secrets.access(key_id, version or CURRENT)
        except Moved:
            raise self._why_unreadable(key_id, version or CURRENT) from None
        return material_of(payload, key_id)

    def _why_unreadable(self, key_id: str, version: str) -> DaenaKMSError:
        """Return the error for a version that Secret Manager refuses to read as it is now.

        It refuses one that is not enabled as it refuses one whose KMS key can't be used.
        """
        shown = None
        with contextlib.suppress(DaenaKMSError):  # who may only read values can't look
            shown = self._secrets.get_version(key_id, version)
        if shown is not None and shown.state.name == "ENABLED":
            msg = "that version is enabled, and Secret Manager can't decrypt it"
            todo = "Check the state of its KMS key, and that Secret Manager's agent may use it"
            return ConfigError(msg, key_id=key_id, todo=todo)
        msg = "that version is retired, disabled or destroyed"
        todo = "Name another version, or enable it; if the key is deleted, restore it"
        if shown is None:
            msg += ", or its KMS key can't be used"
        elif is_scheduled(shown):
            msg = f"that version is to be destroyed at {format_time(shown.scheduled_destroy_time)}"
        return KeyNotFound(msg, key_id=key_id, todo=todo)

    def create(self, key_id: str, material: str, tags: Mapping[str, str], now: datetime) -> str:
        """Create the secret, or resume the creation of one of ours that never got a version."""
        own = self._creator.create(key_id, tags, now)
        self._claims.add(own, material)
        return self._claims.promote(own, None, now)

    def stage(self, key: Key, material: str, now: datetime) -> Staged:
        """Claim the key by its etag, then add a version; readers of ``current`` see no change."""
        current = key.current
        if current is None:
            msg = "it has no current version"
            raise KeyNotFound(msg, key_id=key.id, todo="Give it a value first")
        own = self._claims.take(secret_of(key), key.id, now)
        # A version that others made, and made current, gets its record now.
        own.records.setdefault(current.id, Record(at=current.created))
        version = self._claims.add(own, material)
        return Staged(version, current.ref, now, material, own)

    def promote(self, key: Key, staged: Staged, now: datetime) -> str:
        """Move the aliases by the claim's etag: the store's own compare-and-swap."""
        del key
        return self._claims.promote(_own_claim(staged), staged.base, now)

    def abandon(self, key: Key, staged: Staged) -> None:
        """Disable the version that lost its race, so that nobody begins to use it."""
        del key
        self._claims.disable_added(_own_claim(staged))

    def mark_compromised(self, key: Key, version: str, now: datetime) -> Key:
        """Mark the version in an annotation of its own, by the etag of the look."""
        del now
        known = key.version(version)
        if known is not None and known.to_revoke:
            return key
        secret = secret_of(key)
        annotations = with_mark(dict(secret.annotations), version, PENDING_MARK)
        try:
            after = self._secrets.update(secret, key.id, {"annotations": annotations})
        except Moved:
            msg = "it was changed meanwhile"
            todo = "Read it again; nothing was lost"
            raise RotationConflict(msg, key_id=key.id, todo=todo, undecided=True) from None
        except Unanswered as error:
            after = self._secrets.get(key.id)
            same = dict(after.version_aliases) == dict(secret.version_aliases)
            if dict(after.annotations) != annotations or not same:
                raise error from None
        marked = (
            replace(v, compromised=True, revoked=False) if v.id == version else v
            for v in key.versions
        )
        return replace(key, versions=tuple(marked), handle=after)

    def retire(self, key: Key, version: str, now: datetime) -> None:
        """Disable a version, then note it.

        One that somebody wants destroyed is disabled already: it is only noted, because disabling
        it again would cancel its destruction.
        """
        self._retire(key, version, now)

    def retire_before_rotating(self, key: Key, version: str, now: datetime) -> Key:
        """Disable a version, and leave the note to the rotation, whose claim is written anyway.

        If that rotation does not come about, the next run notes the retirement.
        """
        secret = secret_of(key)
        self._disable(key, version)
        noted = with_record(dict(secret.annotations), version, _retired(now))
        after = type(secret)(secret)  # a copy
        after.annotations = noted
        return to_key(after)

    def revoke(self, key: Key, version: str, now: datetime) -> None:
        """Disable a compromised version, then note it, and that it is revoked."""
        self._retire(key, version, now, revoked=True)

    def _retire(self, key: Key, version: str, now: datetime, *, revoked: bool = False) -> None:
        self._disable(key, version)
        with after_change(key.id):
            self._secrets.change_record(
                key.id, version, _retired(now), revoked=revoked, look=secret_of(key)
            )

    def _disable(self, key: Key, version: str) -> None:
        """Disable a version, in one call if nobody has changed it since we added it."""
        record = read_records(dict(secret_of(key).annotations)).get(version)
        etag = f'"{record.etag}"' if record is not None and record.etag else ""
        self._secrets.disable(key.id, version, etag)

    def destroy(self, key: Key, version: str, now: datetime) -> None:
        """Destroy a version, at once or after the secret's own delay, then drop its record.

        One that is destroyed, or is to be, stays as it is. Raises
        :class:`~daena_kms.errors.RotationConflict` for one that somebody enabled again.
        """
        look = secret_of(key)
        if self._secrets.destroy(key.id, version).state.name == "ENABLED":
            self._secrets.change_record(
                key.id, version, lambda record: replace(record, retired=None, until=now), look=look
            )
            msg = f"its version {version} was enabled again"
            raise RotationConflict(msg, key_id=key.id, todo="It is retired again after its grace")
        with after_change(key.id):
            self._secrets.change_record(key.id, version, lambda _: None, look=look)

    def tag(self, key: Key, tags: Mapping[str, str | None]) -> None:
        """Change annotations; what somebody else changes at the same moment stays."""

        def change(secret: "Secret") -> dict[str, object]:
            wanted = {**dict(secret.annotations), **tags}
            return {"annotations": {n: t for n, t in wanted.items() if t is not None}}

        self._secrets.change(key.id, change)

    def adopt(self, key: Key, tags: Mapping[str, str | None], now: datetime) -> None:
        """Tag the secret, and name its newest enabled version ``current`` if nothing does."""
        current = key.current
        if secret_of(key).expire_time:
            msg = "the whole secret expires, and is then deleted"
            raise ConfigError(msg, key_id=key.id, todo="Remove its expiration first")
        if current is None:
            msg = "it has no version that can be read"
            raise KeyNotFound(msg, key_id=key.id, todo="Give it a value first")
        del now
        self._enrol(key, current, tags, once=False)

    def enrol(self, key: Key, tags: Mapping[str, str | None], now: datetime) -> None:
        """Do the same, if nobody was faster: the records of its versions show who enrolled it."""
        current = key.current
        if current is None:
            msg = "it has no version that can be read"
            raise KeyNotFound(msg, key_id=key.id, todo="Give it a value first")
        del now
        self._enrol(key, current, tags, once=True)

    def _enrol(
        self, key: Key, current: Version, tags: Mapping[str, str | None], *, once: bool
    ) -> None:
        def change(secret: "Secret") -> dict[str, object]:
            annotations = dict(secret.annotations)
            if once and (read_records(annotations) or annotations.get(MANAGED) != "true"):
                msg = "another run has enrolled it, or its tag was removed"
                raise RotationConflict(msg, key_id=key.id, todo="Read it again")
            if secret.version_aliases.get(CURRENT, int(current.id)) != int(current.id):
                raise RotationConflict(
                    "its alias current was moved meanwhile", key_id=key.id, todo="Adopt it again"
                )
            wanted: dict[str, str | None] = {**dict(secret.annotations), CLAIM: None, **tags}
            wanted[VERSIONS] = write_records(_known(annotations, current))
            return {
                "annotations": {n: t for n, t in wanted.items() if t is not None},
                "labels": {**dict(secret.labels), LABEL: "true"},
                "version_aliases": {**dict(secret.version_aliases), CURRENT: int(current.id)},
            }

        self._secrets.change(key.id, change)

    def delete(self, key: Key, now: datetime) -> None:
        """Mark the secret and disable its versions; see :class:`Deletion`."""
        self._deletion.delete(key, now)

    def restore(self, key: Key) -> str | None:
        """Enable what the deletion disabled, and remove its mark; see :class:`Deletion`."""
        return self._deletion.restore(key)

    def _certain(self, key: Key) -> Key:
        """Return the key; where others made its current version, its date is looked up."""
        current = key.current
        if current is None or (current.created_earliest is None and current.retired is None):
            return key
        return to_key(secret_of(key), self._secrets.list_versions(key.id))


def _known(annotations: Mapping[str, str], current: Version) -> dict[str, Record]:
    """Return the records of a key that is taken over: what was ours before keeps its own."""
    known: dict[str, Record] = {}
    with contextlib.suppress(ConfigError):  # what nobody can read is begun anew
        known = dict(read_records(annotations))
    made = known.get(current.id, Record(at=current.created))
    return {**known, current.id: replace(made, until=None, retired=None, orphan=False)}


def _retired(now: datetime) -> Callable[[Record], Record]:
    """Return what notes a retirement in a version's record."""

    def retired(record: Record) -> Record:
        before = record.retired
        return record if before and abs(now - before) < _SAME else replace(record, retired=now)

    return retired


def _own_claim(staged: Staged) -> OwnClaim:
    if not isinstance(staged.handle, OwnClaim):
        msg = "the rotation was not begun by this store"
        raise TypeError(msg)
    return staged.handle
