"""Rotations with a manifest: made through the audit log, or recorded as made elsewhere."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from daena_kms.audit.records import Context
from daena_kms.engine.clock import RunClock
from daena_kms.errors import AuditUnavailable, ConfigError
from daena_kms.kms.manifests import Rotation, attest
from daena_kms.kms.manifests.chain import ChainEntry, End
from daena_kms.kms.places import Places
from daena_kms.kms.recording import Recording, note
from daena_kms.notify import notify
from daena_kms.notify.events import of_operation
from daena_kms.operations import Attestation
from daena_kms.settings import Settings
from daena_kms.stores.adapter import CloudKMSAdapter

_TRIGGER = "kms"


@dataclass(frozen=True, slots=True)
class RotationRecord:
    """What was recorded of one rotation; it does not hold the value."""

    key_id: str
    #: What was done: ``rotate``, ``create``, ``rollback``, or ``record`` for one made elsewhere.
    kind: str
    #: The version under which the store holds the value; ``None``: it was not stored.
    version: str | None
    #: The run in the audit log; ``None``: there is no log.
    run: str | None
    manifest_id: str
    #: The manifest as ``name@sha256:…``; a copy kept elsewhere serves as ``since`` later.
    manifest: str
    time: datetime

    @classmethod
    def of(cls, entry: ChainEntry) -> "RotationRecord":
        """Return the record of what a manifest attests."""
        manifest = entry.manifest
        return cls(
            key_id=manifest.key_id,
            kind=manifest.kind or "",
            version=manifest.version,
            run=manifest.run,
            manifest_id=manifest.manifest_id,
            manifest=entry.ref,
            time=datetime.fromisoformat(manifest.timestamp),
        )


class Attestor:
    """Makes rotations with manifests, on one store and in one operator's name."""

    def __init__(
        self,
        places: Places,
        adapter: CloudKMSAdapter | None,
        operator: str,
        now: datetime | None,
    ) -> None:
        self._places = places
        self._adapter = adapter
        self._operator = operator
        self._now = now

    @property
    def adapter(self) -> CloudKMSAdapter:
        """The adapter. Raises :class:`ConfigError` when there is none."""
        if self._adapter is None:
            todo = "Set DAENA_CLOUD_KMS_PROVIDER, or pass cloud_kms_provider"
            raise ConfigError("no provider is set, so there is no store", todo=todo)
        return self._adapter

    def operations(self) -> Recording:
        """Return the audited operations. Raises :class:`ConfigError` when there is no log."""
        return Recording(
            self.adapter,
            self._places.needed_log,
            now=self._now,
            trigger=_TRIGGER,
            principal=self._operator,
        )

    def through_log(
        self, metadata: Mapping[str, Any], change: Callable[[Recording, Attestation], object]
    ) -> ChainEntry:
        """Change a store through the log, and attest the version that became current.

        The manifest is written between the change and the log's row of it, which names it.
        """
        operations, provider = self.operations(), self.adapter.store.provider
        end = self._ready()
        clock = RunClock(self._now)
        entries: list[ChainEntry] = []

        def write_manifest(run: str, row: Mapping[str, Any], material: str) -> Mapping[str, Any]:
            version = str(row["new_version"])
            rotation = Rotation(
                key_id=str(row["key"]),
                material=material,
                kind=str(row["kind"]),
                at=clock(),
                operator=self._operator,
                metadata=metadata,
                provider=provider,
                run=run,
                version=version,
            )
            try:
                entries.append(attest(self._places.signer, self._places.chain, rotation, end))
            except AuditUnavailable as error:
                msg = f"its version {version} is current, but has no manifest: {error.what}"
                raise AuditUnavailable(msg, key_id=rotation.key_id, todo=error.todo) from None
            return {"manifest": entries[0].ref}

        change(operations, write_manifest)
        return entries[0]

    def elsewhere(
        self, kind: str, key_id: str, material: str | None, metadata: Mapping[str, Any]
    ) -> ChainEntry:
        """Attest what was done elsewhere, and note it in the log if there is one."""
        end = self._ready()
        clock = RunClock(self._now)
        entries: list[ChainEntry] = []

        def write_manifest(run: str | None) -> Mapping[str, Any]:
            rotation = Rotation(key_id, material, kind, clock(), self._operator, metadata, run=run)
            entries.append(attest(self._places.signer, self._places.chain, rotation, end))
            return {"manifest": entries[0].ref}

        log = self._places.log
        if log is None:
            write_manifest(None)
        else:
            note(log, self._context(), clock, {"key": key_id, "kind": kind}, write_manifest)
        return entries[0]

    def notify_endpoint(self, entry: ChainEntry) -> None:
        """Send the endpoint, if there is one, the event that no operation on a store sends it.

        That is the event of a rotation made elsewhere, or of a key's first value.
        """
        manifest = entry.manifest
        if manifest.kind in {"record", "create"}:
            events = of_operation(
                "record",
                manifest.key_id,
                manifest.run or manifest.manifest_id,
                self._context(),
                datetime.fromisoformat(manifest.timestamp),
                new_version=manifest.version,
            )
            notify(events, Settings.load())

    def _context(self) -> Context:
        provider = self._adapter.store.provider if self._adapter is not None else "none"
        return Context(provider, _TRIGGER, self._operator, None)

    def _ready(self) -> End:
        """Return where the chain ends.

        Raises now, before the change, what would otherwise be found only after it.
        """
        _ = self._places.signer
        return self._places.chain.end()
