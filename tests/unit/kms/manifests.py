"""Signers, chains and manifests for tests."""

import base64
import functools
import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from daena_kms.kms.manifests import Chain, Manifest, Rotation, Signer, attest
from daena_kms.kms.manifests.format import parse

from tests.worlds.memory import MemoryObjects

NOW = datetime(2026, 11, 24, 15, 50, tzinfo=UTC)


def signer() -> Signer:
    """Return a new signer."""
    return Signer(Ed25519PrivateKey.generate())


@functools.cache
def one_signer() -> Signer:
    """Return the one signer of this process, for tests that need no other."""
    return signer()


def pem(key: Ed25519PrivateKey | None = None) -> str:
    """Return a private key as PEM."""
    made = Ed25519PrivateKey.generate() if key is None else key
    return made.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


def public_pem(of: Signer) -> str:
    """Return a signer's public key as PEM."""
    return (
        of._key.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )


def rotation(**changes: Any) -> Rotation:
    """Return what a manifest may attest."""
    given: dict[str, Any] = {
        "key_id": "some-key",
        "material": secrets.token_urlsafe(),
        "kind": "record",
        "at": NOW,
        "operator": "alice",
        "metadata": {},
    }
    return Rotation(**{**given, **changes})


def chain_of(count: int, by: Signer | None = None) -> tuple[Chain, MemoryObjects]:
    """Return a chain of some manifests in memory, and the objects that hold it."""
    objects = MemoryObjects()
    chain = Chain(objects)
    for number in range(count):
        attest(by or one_signer(), chain, rotation(metadata={"number": number}))
    return chain, objects


def old_manifest(
    hmac_key: str,
    prev: str | None = None,
    *,
    separators: tuple[str, str] | None = None,
    **changes: object,
) -> Manifest:
    """Return a manifest as the older system made them, by its rule and none of our code."""
    raw: dict[str, Any] = {
        "manifest_id": secrets.token_hex(8),
        "timestamp": "2025-01-05T12:00:00Z",
        "key_id": "daena-key",
        "key_hash": hashlib.sha256(secrets.token_bytes(8)).hexdigest(),
        "operator": "bob",
        "prev_manifest_hash": prev,
        "metadata": {"reason": "yearly"},
        **changes,
    }
    text = json.dumps(raw, sort_keys=True, separators=separators)
    hashed = hashlib.sha256(text.encode()).hexdigest()
    mac = hmac.new(hmac_key.encode(), hashed.encode(), hashlib.sha256).digest()
    signature = base64.urlsafe_b64encode(mac).decode().rstrip("=")
    return parse({**raw, "manifest_hash": hashed, "signature": signature})


def old_chain(hmac_key: str, count: int) -> list[Manifest]:
    """Return some manifests of the older system, one after another."""
    found: list[Manifest] = []
    for _ in range(count):
        found.append(old_manifest(hmac_key, found[-1].manifest_hash if found else None))
    return found


def write_old(folder: Path, manifests: list[Manifest]) -> None:
    """Write manifests as the older system kept them; their names say nothing of their order."""
    folder.mkdir(exist_ok=True)
    for manifest in manifests:
        path = folder / f"{manifest.manifest_id}.json"
        path.write_text(json.dumps(manifest.to_dict(), indent=2))


def resigned(raw: Mapping[str, Any], by: Signer, **changes: object) -> Manifest:
    """Return a manifest with other content, signed anew, as a thief of the key would."""
    from daena_kms.kms.manifests.format import hash_of

    changed = {**raw, **changes}
    hashed = hash_of(changed)
    return Manifest({**changed, "manifest_hash": hashed, "signature": by.sign(hashed)})
