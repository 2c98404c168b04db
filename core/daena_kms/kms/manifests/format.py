"""The form of a manifest: what it says, its hash, its bytes; of ours and of the older system's.

A manifest attests one rotation. Its hash is the SHA-256 of its JSON, with sorted keys and Python's
default separators, without the fields ``manifest_hash`` and ``signature``; each names the hash of
the one before it. The older system had the same rule: its manifests have nine of the fields, ours
have more.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from daena_kms.errors import ManifestInvalid

FORMAT = 2
#: Larger than any manifest: its metadata is bounded, and so are ids and names.
MAX_BYTES = 65_536

_UNHASHED = {"manifest_hash", "signature"}
_NONE = type(None)
#: What the older system's first manifest may name as the one before it.
_NOTHING = {None, "", "0" * 64}
_OLD: dict[str, type | tuple[type, ...]] = {
    "manifest_id": str,
    "timestamp": (str, int, float),
    "key_id": str,
    "key_hash": str,
    "operator": (str, _NONE),
    "prev_manifest_hash": (str, _NONE),
    "metadata": (dict, _NONE),
    "manifest_hash": str,
    "signature": (str, _NONE),
}
_OURS: dict[str, type | tuple[type, ...]] = {
    **_OLD,
    "timestamp": str,
    "operator": str,
    "metadata": dict,
    "signature": str,
    "v": int,
    "seq": int,
    "kind": str,
    "provider": (str, _NONE),
    "run": (str, _NONE),
    "version": (str, _NONE),
    "signed_by": str,
}


@dataclass(frozen=True, slots=True)
class Manifest:
    """One signed manifest. It holds a keyed fingerprint of the value, never the value."""

    #: The fields as they stand in its JSON.
    raw: Mapping[str, Any] = field(repr=False)

    @property
    def old(self) -> bool:
        """Whether it has the older system's form: nine fields, signed with HMAC or not at all."""
        return "v" not in self.raw

    @property
    def manifest_id(self) -> str:
        """Its own id."""
        return str(self.raw["manifest_id"])

    @property
    def timestamp(self) -> str:
        """When it was made."""
        return str(self.raw["timestamp"])

    @property
    def key_id(self) -> str:
        """The key that was rotated."""
        return str(self.raw["key_id"])

    @property
    def key_hash(self) -> str:
        """The keyed fingerprint of the value; only who holds the signing key can compare it."""
        return str(self.raw["key_hash"])

    @property
    def operator(self) -> str | None:
        """Who rotated it."""
        operator: str | None = self.raw["operator"]
        return operator

    @property
    def metadata(self) -> dict[str, Any]:
        """What the caller added."""
        return dict(self.raw["metadata"] or {})

    @property
    def prev_manifest_hash(self) -> str | None:
        """The hash of the manifest before it; ``None`` for the first."""
        before: str | None = self.raw["prev_manifest_hash"]
        return None if self.old and before in _NOTHING else before or None

    @property
    def manifest_hash(self) -> str:
        """Its hash, in hexadecimal."""
        return str(self.raw["manifest_hash"])

    @property
    def signature(self) -> str:
        """Its signature."""
        return str(self.raw["signature"] or "")

    @property
    def seq(self) -> int | None:
        """Its number in the chain, from 1; the older system's have none."""
        return self.raw.get("seq")

    @property
    def kind(self) -> str | None:
        """What was done: ``rotate``, ``create``, ``rollback``, ``record`` or ``import``."""
        return self.raw.get("kind")

    @property
    def run(self) -> str | None:
        """The run of the audit log that it belongs to, where there is a log."""
        return self.raw.get("run")

    @property
    def version(self) -> str | None:
        """The version that the store holds the value as, where it was stored."""
        return self.raw.get("version")

    @property
    def signed_by(self) -> str | None:
        """The public key that checks it, as ``ed25519:…``: a claim until that key is trusted."""
        return self.raw.get("signed_by")

    def __repr__(self) -> str:
        return f"Manifest({self.manifest_id!r}, key_id={self.key_id!r}, seq={self.seq!r})"

    def to_dict(self) -> dict[str, Any]:
        """Return its fields as plain data, for JSON."""
        return dict(self.raw)


def hash_of(raw: Mapping[str, Any]) -> str:
    """Return what a manifest's hash must be, in hexadecimal."""
    return _sha256(json.dumps(_hashed(raw), sort_keys=True))


def hash_fits(manifest: Manifest) -> bool:
    """Whether a manifest's hash is that of its fields.

    The older system's may be spaced and escaped in any of the usual ways.
    """
    if not manifest.old:
        return manifest.manifest_hash == hash_of(manifest.raw)
    fields = _hashed(manifest.raw)
    spellings = (
        json.dumps(fields, sort_keys=True, separators=separators, ensure_ascii=ascii_)
        for separators in ((", ", ": "), (",", ":"))
        for ascii_ in (True, False)
    )
    return manifest.manifest_hash in map(_sha256, spellings)


def _hashed(raw: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in raw.items() if name not in _UNHASHED}


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def encode(manifest: Manifest) -> bytes:
    """Return a manifest as it is kept: one line of ASCII with sorted keys and no spaces."""
    return json.dumps(dict(manifest.raw), sort_keys=True, separators=(",", ":")).encode() + b"\n"


def parse(raw: object) -> Manifest:
    """Return the manifest in a JSON object. Raises :class:`ManifestInvalid` if it is not one.

    Its form alone is checked: :mod:`daena_kms.kms.manifests.verify` checks hash and signature.
    """
    shape = _OURS if isinstance(raw, Mapping) and "v" in raw else _OLD
    if isinstance(raw, Mapping) and raw.keys() == shape.keys() and _fits(raw, shape):
        return Manifest(dict(raw))
    raise ManifestInvalid("it is not a manifest", todo="Pass exactly the fields of a manifest")


def decode(data: bytes) -> Manifest:
    """Return the manifest in some bytes, however spaced. Raises :class:`ManifestInvalid`."""
    raw: object = None
    if len(data) <= MAX_BYTES:
        try:
            raw = json.loads(data, parse_constant=_refuse)
        except (ValueError, RecursionError):
            raw = None
    return parse(raw)


def _fits(raw: Mapping[str, Any], shape: Mapping[str, type | tuple[type, ...]]) -> bool:
    if not all(
        isinstance(raw[name], kind) and not isinstance(raw[name], bool)
        for name, kind in shape.items()
    ):
        return False
    return shape is _OLD or (raw["v"] == FORMAT and raw["seq"] >= 1 and _is_time(raw["timestamp"]))


def _is_time(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def _refuse(word: str) -> object:
    # JSON has no NaN and no Infinity; Python reads them all the same.
    raise ValueError(word)
