"""One rotation and its manifest: made through the audit log, or noted as made elsewhere."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from daena_kms.audit.records import Context
from daena_kms.engine.clock import RunClock
from daena_kms.errors import AuditUnavailable, ConfigError
from daena_kms.kms.manifests import Rotation, attest
from daena_kms.kms.manifests.chain import End, Held
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
    """What was recorded; the value is not in here."""

    key_id: str
    #: What was done: ``rotate``, ``create``, ``rollback``, or ``record`` for one made elsewhere.
    kind: str
    #: The version that the store holds the value as; ``None``: it was not stored.
    version: str | None
    #: The run in the audit log; ``None``: there is no log.
    run: str | None
    manifest_id: str
    #: The manifest as ``name@sha256:…``: kept elsewhere, it is what ``since`` asks for.
    manifest: str
    time: datetime

    @classmethod
    def of(cls, held: Held) -> "RotationRecord":
        """Return the record of what a manifest attests."""
        found = held.manifest
        return cls(
            key_id=found.key_id,
            kind=found.kind or "",
            version=found.version,
            run=found.run,
            manifest_id=found.manifest_id,
            manifest=held.ref,
            time=datetime.fromisoformat(found.timestamp),
        )


class Attestor:
    """Whoever makes rotations with manifests: where to, on which store, and in whose name."""

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
            raise ConfigError("no provider is set, and so there is no store", todo=todo)
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
    ) -> Held:
        """Change a store through the log, and attest what has become current.

        The manifest is written between the change and the log's row of it, which names it.
        """
        operations, provider = self.operations(), self.adapter.store.provider
        end = self._ready()
        clock = RunClock(self._now)
        made: list[Held] = []

        def attestation(run: str, row: Mapping[str, Any], material: str) -> Mapping[str, Any]:
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
                made.append(attest(self._places.signer, self._places.chain, rotation, end))
            except AuditUnavailable as error:
                msg = f"its version {version} is current, and has no manifest: {error.what}"
                raise AuditUnavailable(msg, key_id=rotation.key_id, todo=error.todo) from None
            return {"manifest": made[0].ref}

        change(operations, attestation)
        return made[0]

    def elsewhere(
        self, kind: str, key_id: str, material: str | None, metadata: Mapping[str, Any]
    ) -> Held:
        """Attest what was done elsewhere, and note it in the log if there is one."""
        end = self._ready()
        clock = RunClock(self._now)
        made: list[Held] = []

        def attestation(run: str | None) -> Mapping[str, Any]:
            rotation = Rotation(key_id, material, kind, clock(), self._operator, metadata, run=run)
            made.append(attest(self._places.signer, self._places.chain, rotation, end))
            return {"manifest": made[0].ref}

        log = self._places.log
        if log is None:
            attestation(None)
        else:
            note(log, self._context(), clock, {"key": key_id, "kind": kind}, attestation)
        return made[0]

    def tell(self, held: Held) -> None:
        """Tell the endpoint, if there is one, of what no operation on a store tells it.

        That is a rotation made elsewhere, and the first value of a key.
        """
        manifest = held.manifest
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
        """Return where the chain ends; raises what would only be found after the change."""
        _ = self._places.signer
        return self._places.chain.end()
