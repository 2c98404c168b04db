"""The operations on EC keys, as Key Vault's REST reference has them; signatures are true ones.

https://learn.microsoft.com/rest/api/keyvault/keys/operation-groups
"""

import base64
import secrets
from dataclasses import dataclass, field, replace
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, SHA384

from infra.local.azure.documents import AzureError, Clock, Json, bad, epoch, parsed
from infra.local.azure.secrets import Asked
from infra.local.azure.secrets_documents import VERSION, checked_name

#: A key may be used for these by default; an EC key can't do more.
OPERATIONS = ["sign", "verify"]
#: By curve: the algorithm that alone goes with it, its hash, and the bytes of a coordinate.
#: https://learn.microsoft.com/azure/key-vault/keys/about-keys-details#signverify
CURVES = {
    "P-256": ("ES256", ec.SECP256R1(), SHA256(), 32),
    "P-384": ("ES384", ec.SECP384R1(), SHA384(), 48),
}
_MEMBERS = {"kty", "crv", "key_ops", "attributes"}


@dataclass(frozen=True)
class KeyVersion:
    """One version of an EC key."""

    name: str
    version: str
    curve: str
    private: ec.EllipticCurvePrivateKey = field(repr=False)
    operations: tuple[str, ...]
    created: datetime
    updated: datetime
    enabled: bool = True
    expires: int | None = None


class Keys:
    """Create, get, update and sign. ``versions`` holds each key's, oldest first.

    ``disabled_readable`` says whether a disabled key can be read. Reports differ: lowkey-vault
    (issue 467) has seen GET refused, notaryproject/ratify (pull request 1474) has seen it answered.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.versions: dict[str, list[KeyVersion]] = {}
        self.disabled_readable = False

    def create(self, asked: Asked) -> Json:
        """Make a version, and with it the key."""
        body = parsed(asked.request)
        unknown = body.keys() - _MEMBERS
        if unknown:
            raise bad(f"Not modelled: {', '.join(sorted(unknown))}")
        curve, kind = body.get("crv", "P-256"), body.get("kty")
        if kind not in {"EC", "EC-HSM"} or curve not in CURVES:
            raise bad("Not modelled: another key than an EC key on P-256 or P-384")
        operations = body.get("key_ops", OPERATIONS)
        if not isinstance(operations, list) or not set(operations) <= set(OPERATIONS):
            raise bad("The key operations are not those of an EC key.")
        name, now = checked_name(asked.name), self._clock()
        _, group, _, _ = CURVES[str(curve)]
        private = ec.generate_private_key(group)
        version = secrets.token_hex(16)
        made = KeyVersion(name, version, str(curve), private, tuple(operations), now, now)
        self.versions.setdefault(name.lower(), []).append(_with(made, body))
        return _bundle(asked, self.versions[name.lower()][-1])

    def get(self, asked: Asked) -> Json:
        """Return a version's public half; without a version the newest."""
        found = self._find(asked)
        if not found.enabled and not self.disabled_readable:
            raise _disabled("get")
        return _bundle(asked, found)

    def update(self, asked: Asked) -> Json:
        """Change the attributes that are given."""
        found = self._find(asked)
        changed = replace(_with(found, parsed(asked.request)), updated=self._clock())
        all_of_it = self.versions[asked.name.lower()]
        all_of_it[all_of_it.index(found)] = changed
        return _bundle(asked, changed)

    def sign(self, asked: Asked) -> Json:
        """Return the signature of a digest: the two numbers one after the other (RFC 7518, 3.4)."""
        found = self._find(asked)
        body = parsed(asked.request)
        if not found.enabled:
            raise _disabled("sign")
        if found.expires is not None and found.expires <= epoch(self._clock()):
            # "will work for decrypt, unwrap, and verify": about-keys-details. The inner code of the
            # refusal of others is not documented.
            raise AzureError(403, "Forbidden", "Operation sign is not allowed on an expired key.")
        if "sign" not in found.operations:
            raise AzureError(403, "Forbidden", "Operation sign is not permitted on this key.")
        algorithm, _, algorithm_hash, size = CURVES[found.curve]
        if body.get("alg") != algorithm:
            message = (
                "Key and signing algorithm are incompatible. "
                f"Key {_kid(asked, found)} uses curve '{found.curve}', and algorithm "
                f"'{body.get('alg')}' can only be used with another curve."
            )
            raise bad(message)
        digest = _decoded(body.get("value"))
        if len(digest) != algorithm_hash.digest_size:
            raise bad("Invalid length of 'value'.")
        signature = found.private.sign(digest, ec.ECDSA(Prehashed(algorithm_hash)))
        halves = [number.to_bytes(size) for number in decode_dss_signature(signature)]
        return {"kid": _kid(asked, found), "value": _encoded(b"".join(halves))}

    def _find(self, asked: Asked) -> KeyVersion:
        if asked.version and VERSION.fullmatch(asked.version) is None:
            raise bad(f"The request URI contains an invalid version: {asked.version[:200]}")
        versions = self.versions.get(asked.name.lower(), [])
        if not asked.version:
            found = versions[-1] if versions else None
        else:
            found = next((each for each in versions if each.version == asked.version), None)
        if found is None:
            path = f"{asked.name}/{asked.version}".rstrip("/")
            message = f"A key with (name/id) {path} was not found in this key vault."
            raise AzureError(404, "KeyNotFound", message)
        return found


def _with(version: KeyVersion, body: Json) -> KeyVersion:
    """Return a version with the attributes that a body gives."""
    attributes = body.get("attributes") or {}
    if not isinstance(attributes, dict) or not attributes.keys() <= {"enabled", "exp"}:
        raise bad("Not modelled: other attributes than enabled and exp")
    enabled = attributes.get("enabled", version.enabled)
    return replace(version, enabled=enabled, expires=attributes.get("exp", version.expires))


def _bundle(asked: Asked, version: KeyVersion) -> Json:
    size = CURVES[version.curve][3]
    public = version.private.public_key().public_numbers()
    attributes: Json = {
        "enabled": version.enabled,
        "created": epoch(version.created),
        "updated": epoch(version.updated),
        **({} if version.expires is None else {"exp": version.expires}),
    }
    key: Json = {
        "kid": _kid(asked, version),
        "kty": "EC",
        "key_ops": list(version.operations),
        "crv": version.curve,
        "x": _encoded(public.x.to_bytes(size)),
        "y": _encoded(public.y.to_bytes(size)),
    }
    return {"key": key, "attributes": attributes}


def _kid(asked: Asked, version: KeyVersion) -> str:
    return f"{asked.base}/keys/{version.name}/{version.version}"


def _disabled(operation: str) -> AzureError:
    message = f"Operation {operation} is not allowed on a disabled key."
    return AzureError(403, "Forbidden", message, "KeyDisabled")


def _encoded(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def _decoded(text: object) -> bytes:
    try:
        return base64.urlsafe_b64decode(f"{text}==") if isinstance(text, str) else b""
    except ValueError:
        return b""
