"""The service itself: :class:`KeyManagementService`, which :mod:`daena_kms.kms` offers."""

import hmac
import logging
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from daena_kms.cloud_kms import get_cloud_kms_adapter
from daena_kms.engine.policies import show_policy
from daena_kms.errors import ConfigError
from daena_kms.kms.attestor import Attestor, RotationRecord
from daena_kms.kms.manifests import (
    ChainReport,
    Manifest,
    Signer,
    compare_with_log,
    read_old,
    verify_chain,
    verify_manifest,
)
from daena_kms.kms.manifests.chain import ChainEntry
from daena_kms.kms.manifests.content import (
    check_metadata,
    check_operator,
    refuse_in_id,
    refuse_material,
)
from daena_kms.kms.manifests.verify import PublicKeys
from daena_kms.kms.places import Places
from daena_kms.kms.recording import Recording
from daena_kms.objects.base import Objects
from daena_kms.operations import Attestation
from daena_kms.rules.durations import MAX_DAYS, format_duration
from daena_kms.rules.names import check_key_id, check_material
from daena_kms.rules.policy import ROTATE_AFTER
from daena_kms.settings import Settings
from daena_kms.stores.adapter import CloudKMSAdapter

logger = logging.getLogger("daena_kms")

#: Whoever supplies a key's values decides when: no run replaces such a value with its own.
_NEW = {ROTATE_AFTER: format_duration(timedelta(days=MAX_DAYS))}


class KeyManagementService:
    """Record rotations, read keys, and keep a signed chain of manifests.

    ``cloud_kms_provider`` falls back to the environment; where that names none, nothing is stored
    and the log and the manifests are all there is. A store is changed only through an audit log:
    ``DAENA_KMS_AUDIT_URL``, or the folder ``audit`` in ``DAENA_KMS_HOME`` (``~/.daena-kms``), which
    other machines do not see. The manifests are with the log.

    For tests and for people who make their own: ``adapter``, ``log``, ``manifests`` (a folder,
    where there is no log), ``signing_key`` (PEM, a path, or a
    :class:`~daena_kms.kms.manifests.signing.Signer`), ``operator`` (``DAENA_OPERATOR``) and
    ``now``. Raises :class:`~daena_kms.errors.ConfigError`. Nothing is called or opened yet.
    """

    def __init__(
        self,
        cloud_kms_provider: str | None = None,
        *,
        adapter: CloudKMSAdapter | None = None,
        log: Objects | None = None,
        manifests: str | Path | None = None,
        signing_key: Signer | str | Path | None = None,
        operator: str | None = None,
        now: datetime | None = None,
    ) -> None:
        settings = Settings.load()
        provider = cloud_kms_provider
        if provider is None and adapter is None:
            provider = settings.provider_if_any
        self._operator = check_operator(operator or settings.operator)
        if adapter is None and provider is not None:
            adapter = get_cloud_kms_adapter(provider)
        self._adapter = adapter
        self._places = Places(
            log=log, local=provider == "local", folder=manifests, signing_key=signing_key
        )
        self._attestor = Attestor(self._places, adapter, self._operator, now)

    def __repr__(self) -> str:
        return f"KeyManagementService({self._adapter!r})"

    @property
    def public_key(self) -> str:
        """What verifiers of the manifests need, as ``ed25519:…``."""
        return self._places.signer.public_key

    def record_rotation(
        self,
        key_material: str,
        key_id: str,
        metadata: Mapping[str, Any] | None = None,
        store_in_cloud: bool = True,  # noqa: FBT001, FBT002 - the names are fixed
    ) -> RotationRecord:
        """Make the caller's value a key's current version, attest it, and return the record.

        A key that does not exist is created as a managed key. Its tag ``daena.rotate-after`` is so
        long that no run rotates it. With ``store_in_cloud=False``, and where there is no provider,
        no store is changed: the rotation counts as made elsewhere. ``metadata`` is plain JSON of
        up to 4,096 bytes. Raises ``RotationConflict`` when another rotation was
        faster or the key is on hold, ``NotManaged``, ``InvalidKeyId``, ``ConfigError``,
        ``AccessDenied``, ``StoreUnavailable`` (it may have been stored), and ``AuditUnavailable``.
        """
        given = self._checked(key_material, key_id, metadata)
        if store_in_cloud and self._adapter is not None:

            def store(operations: Recording, write_manifest: Attestation) -> str:
                return operations.store(
                    key_id, key_material, new_tags=_NEW, attestation=write_manifest
                )

            return self._done(self._attestor.through_log(given, store))
        if store_in_cloud:
            logger.warning("no provider is set: the value of %s is not stored", key_id)
        return self._done(self._attestor.elsewhere("record", key_id, key_material, given))

    def create_manifest(
        self, key_material: str, key_id: str, metadata: Mapping[str, Any] | None = None
    ) -> Manifest:
        """Attest a rotation that was made elsewhere, and return its manifest."""
        given = self._checked(key_material, key_id, metadata)
        entry = self._attestor.elsewhere("record", key_id, key_material, given)
        self._done(entry)
        return entry.manifest

    def get_key_from_cloud(self, key_id: str, version: str | None = None) -> str:
        """Return a key's current value, or that of ``version``: an id, or ``previous``.

        Raises what :meth:`~daena_kms.stores.adapter.CloudKMSAdapter.get_key` raises.
        """
        return self._attestor.adapter.get_key(key_id, version)

    def rollback_key(self, key_id: str, version: str = "previous") -> RotationRecord:
        """Make an older version's value current again, as a new version, and attest it."""

        def roll_back(operations: Recording, write_manifest: Attestation) -> str:
            return operations.rollback(key_id, version, attestation=write_manifest)

        return self._done(self._attestor.through_log({}, roll_back))

    def delete_key(self, key_id: str) -> str:
        """Delete a key, recoverably, and return for how long it can be restored, in words."""
        return self._attestor.operations().delete(key_id)

    def restore_key(self, key_id: str) -> str | None:
        """Bring a deleted key back, and return what was not brought back, in words, or ``None``."""
        return self._attestor.operations().restore(key_id)

    def show_policy(self, key_id: str) -> dict[str, Any]:
        """Return a managed key's policy: each field, where it comes from, and what it leads to.

        :func:`daena_kms.engine.policies.policy_document` says what is in it. Raises
        ``InvalidKeyId``, ``KeyNotFound``, ``NotManaged``, ``AccessDenied``, ``StoreUnavailable``.
        """
        return show_policy(self._attestor.adapter, key_id)

    def set_policy(self, key_id: str, changes: Mapping[str, object]) -> dict[str, Any]:
        """Change a managed key's policy through the audit log, and return the old and the new one.

        ``changes`` holds, by field (``spec``, ``rotate_after``, ``grace``, ``destroy_after``,
        ``keep``, ``first_due``), the new value as a tag holds it, or ``None`` to remove the tag.
        Nothing is rotated, and a hold stays. Raises ``ConfigError`` for a policy that is refused,
        ``RotationConflict`` when somebody else changed it at the same time, and what
        :meth:`show_policy` raises; ``AuditUnavailable`` and ``Paused`` before any change.
        """
        return self._attestor.operations().set_policy(key_id, changes).to_dict()

    def iter_manifests(self) -> Iterator[Manifest]:
        """Yield the manifests, oldest first. They are not verified."""
        return self._places.chain.manifests()

    def load_last_manifest(self) -> Manifest | None:
        """Return the newest manifest, or ``None`` while there is none."""
        return self._places.chain.end().manifest

    def verify_manifest(
        self,
        manifest: Manifest | Mapping[str, Any],
        *,
        public_key: PublicKeys | None = None,
        hmac_key: str | bytes | None = None,
    ) -> bool:
        """Return ``True`` for a manifest that is as it was signed; raise for any other.

        By default it must be signed by this service's own key.
        """
        trusted = self.public_key if public_key is None else public_key
        return verify_manifest(manifest, public_key=trusted, hmac_key=hmac_key)

    def verify_chain(
        self,
        *,
        public_key: PublicKeys | None = None,
        hmac_key: str | bytes | None = None,
        since: str | None = None,
    ) -> ChainReport:
        """Check all manifests, against the audit log too, and return what is wrong, in order.

        The report counts as true when nothing is wrong. ``since`` is a manifest kept elsewhere.
        """
        trusted = self.public_key if public_key is None else public_key
        chain, log = self._places.chain, self._places.log
        report = verify_chain(chain, public_key=trusted, hmac_key=hmac_key, since=since)
        if log is not None:
            compare_with_log(chain, log, report)
        return report

    def matches(self, manifest: Manifest, key_material: str) -> bool:
        """Return whether a value is the one that a manifest attests.

        Raises:
            ConfigError: The service's signing key is not the one that signed the manifest.
        """
        signer = self._places.signer
        if manifest.signed_by != signer.public_key:
            msg = f"the manifest {manifest.manifest_id} was signed with another key"
            raise ConfigError(msg, key_id=manifest.key_id, todo="Pass that key as signing_key")
        fingerprint = signer.fingerprint(
            manifest.key_id, check_material(key_material, manifest.key_id)
        )
        return hmac.compare_digest(fingerprint.encode(), manifest.key_hash.encode())

    def import_manifests(self, folder: str | Path, hmac_key: str | bytes) -> int:
        """Begin the chain with the older system's manifests, and sign for them.

        Returns how many there are. Raises :class:`~daena_kms.errors.ManifestInvalid` that names
        the first one that is wrong, and ``ConfigError`` when the chain has begun already.
        """
        old = read_old(Path(folder), hmac_key)
        _ = self._places.signer  # a bad signing key raises before anything is written
        self._places.chain.fill(old)
        covered = {"imported": len(old), "last": old[-1].manifest_hash}
        self._done(self._attestor.elsewhere("import", "", None, covered))
        return len(old)

    def _checked(self, material: object, key_id: object, metadata: object) -> dict[str, Any]:
        named = check_key_id(key_id)
        checked = check_material(material, named)
        refuse_in_id(checked, named)
        given = check_metadata(metadata, named)
        refuse_material(checked, named, metadata=given, operator=self._operator)
        return given

    def _done(self, entry: ChainEntry) -> RotationRecord:
        """Return the record of a rotation, after logging it and notifying the endpoint."""
        record = RotationRecord.of(entry)
        logger.info(
            "%s of %s: version %s, manifest %s",
            record.kind,
            record.key_id,
            record.version,
            record.manifest,
        )
        self._attestor.notify_endpoint(entry)
        return record
