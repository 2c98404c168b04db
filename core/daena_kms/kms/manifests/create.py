"""Create a signed manifest of a rotation, and add it to a chain."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from daena_kms.kms.manifests.chain import Chain, ChainEntry, End
from daena_kms.kms.manifests.format import FORMAT, Manifest, hash_of
from daena_kms.kms.manifests.signing import Signer
from daena_kms.rules.durations import format_time


@dataclass(frozen=True, slots=True)
class Rotation:
    """What a manifest attests: one value of a key, where it is, and who made it current."""

    key_id: str
    #: ``None`` for an import, which attests no value.
    material: str | None = field(repr=False)
    kind: str
    at: datetime
    operator: str
    metadata: Mapping[str, Any]
    provider: str | None = None
    run: str | None = None
    version: str | None = None


def create_manifest(
    signer: Signer, rotation: Rotation, *, seq: int = 1, prev_manifest_hash: str | None = None
) -> Manifest:
    """Return a signed manifest, number ``seq`` of a chain; it is written nowhere."""
    return _sign(signer, rotation, seq, prev_manifest_hash, _new_id())


def attest(signer: Signer, chain: Chain, rotation: Rotation, end: End | None = None) -> ChainEntry:
    """Add the signed manifest of a rotation to a chain."""
    manifest_id = _new_id()
    return chain.append(lambda seq, prev: _sign(signer, rotation, seq, prev, manifest_id), end)


def _sign(
    signer: Signer, rotation: Rotation, seq: int, prev: str | None, manifest_id: str
) -> Manifest:
    raw: dict[str, Any] = {
        "v": FORMAT,
        "seq": seq,
        "manifest_id": manifest_id,
        "timestamp": format_time(rotation.at),
        "kind": rotation.kind,
        "key_id": rotation.key_id,
        "key_hash": _fingerprint(signer, rotation),
        "operator": rotation.operator,
        "provider": rotation.provider,
        "run": rotation.run,
        "version": rotation.version,
        "prev_manifest_hash": prev,
        "metadata": dict(rotation.metadata),
        "signed_by": signer.public_key,
    }
    hashed = hash_of(raw)
    return Manifest({**raw, "manifest_hash": hashed, "signature": signer.sign(hashed)})


def _fingerprint(signer: Signer, rotation: Rotation) -> str:
    if rotation.material is None:
        return ""
    return signer.fingerprint(rotation.key_id, rotation.material)


def _new_id() -> str:
    return secrets.token_hex(16)
