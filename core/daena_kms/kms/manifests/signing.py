"""Who signs manifests, and what checks a signature: Ed25519, and HMAC for the older system's.

The signing key is one Ed25519 private key. The key of the fingerprints is derived from it, so that
somebody who only verifies manifests, with the public key, can't test guessed values against them.
"""

import base64
import hashlib
import hmac
from pathlib import Path
from typing import TYPE_CHECKING

from daena_kms.errors import ConfigError
from daena_kms.objects.base import AlreadyExists, Use
from daena_kms.objects.files import FileObjects
from daena_kms.objects.private import check_folder, read_private

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

SIGNED = "ed25519:"
FINGERPRINT = "hmac-sha256:"
#: What a signature is over: these words, then the manifest's hash in hexadecimal.
CONTEXT = b"daena-kms manifest\n"
FILE = "signing.key"
#: The variable that holds the private key, or the path of its file.
VARIABLE = "DAENA_KMS_SIGNING_KEY"

_PLACE = Use("the signing key's folder", ConfigError)
_TODO = "Make one: openssl genpkey -algorithm ed25519"


class Signer:
    """An Ed25519 private key that signs manifests and keys their fingerprints."""

    def __init__(self, key: "Ed25519PrivateKey") -> None:
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF

        self._key = key
        derive = HKDF(SHA256(), 32, salt=None, info=b"daena-kms fingerprint")
        self._fingerprints = derive.derive(key.private_bytes_raw())

    def __repr__(self) -> str:
        return f"Signer({self.public_key!r})"

    @classmethod
    def from_pem(cls, pem: str, name: str = "the signing key") -> "Signer":
        """Return the signer of a PKCS#8 PEM. Raises :class:`ConfigError` that names ``name``."""
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.ed25519 import (
            Ed25519PrivateKey,
        )
        from cryptography.hazmat.primitives.serialization import (
            load_pem_private_key,
        )

        key: object = None
        try:
            key = load_pem_private_key(pem.encode(), password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            key = None
        # Raised out here: the context of ours would be an error that has seen the key.
        if not isinstance(key, Ed25519PrivateKey):
            raise ConfigError(f"{name} is not an Ed25519 private key in PEM", todo=_TODO)
        return cls(key)

    @property
    def public_key(self) -> str:
        """What a verifier needs, as ``ed25519:`` and base64."""
        return SIGNED + _text(self._key.public_key().public_bytes_raw())

    def sign(self, manifest_hash: str) -> str:
        """Return the signature of a manifest's hash."""
        return SIGNED + _text(self._key.sign(CONTEXT + manifest_hash.encode()))

    def fingerprint(self, key_id: str, material: str) -> str:
        """Return the keyed fingerprint of a key's value: the same for the same value of a key."""
        message = key_id.encode() + b"\0" + material.encode()
        return FINGERPRINT + hmac.new(self._fingerprints, message, hashlib.sha256).hexdigest()


def load_signer(given: str | None, home: Path | None) -> Signer:
    """Return the signer: ``given`` is a PEM or the path of one; else it is a file in ``home``.

    The file in ``home`` is made on first use, with mode 0600. Raises :class:`ConfigError` for a
    key that is malformed or readable by others, and when nothing says where it is.
    """
    if given is not None and given.lstrip().startswith("-----"):
        return Signer.from_pem(given, VARIABLE)
    if given is not None:
        return _given_file(given)
    if home is None:
        msg = "manifests must be signed, but no signing key is set"
        todo = f"Set {VARIABLE} to an Ed25519 key (PEM or a path), or DAENA_KMS_HOME to a folder"
        raise ConfigError(msg, todo=todo)
    path = home / FILE
    try:
        missing = not path.exists()
    except OSError:
        missing = False  # reading it says what is wrong
    if missing:
        _make(home)
    return _from_file(path)


def _given_file(given: str) -> Signer:
    """Return the signer in the file at that path.

    The path is quoted only once it is known to be one: it may be the key itself, in quotes or
    without its first line.
    """
    why = None
    path = Path()
    try:
        path = Path(given).expanduser()
        path.stat()
    except OSError as error:
        why = error.strerror
    except (ValueError, RuntimeError):  # a NUL in it, or no such user's home
        why = "it is not a path"
    # Raised out here: the context of ours would be an error that quotes it.
    if why is not None:
        msg = f"the signing key is neither PEM nor a file that can be read: {why}"
        raise ConfigError(msg, todo=f"Set {VARIABLE} to PEM or to the path of a PEM file. {_TODO}")
    return _from_file(path)


def _from_file(path: Path) -> Signer:
    try:
        check_folder(path.resolve(strict=True).parent)
        pem = read_private(path).decode("ascii", "replace")
    except OSError as error:
        msg = f"the signing key {path} can't be read: {error.strerror}"
        raise ConfigError(msg, todo=f"{_TODO}, or check the path and its permissions") from error
    return Signer.from_pem(pem, str(path))


def _make(home: Path) -> None:
    """Make the file whole or not at all; of several processes at once one wins."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ed25519

    pem = ed25519.Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        msg = f"the folder {home} can't be created: {error.strerror}"
        raise ConfigError(msg, todo="Set DAENA_KMS_HOME to a folder of your own") from error
    try:
        FileObjects(home.absolute(), _PLACE, private=True).put_new(FILE, pem)
    except AlreadyExists:
        return


def checks(public_key: str, manifest_hash: str, signature: str) -> bool:
    """Whether a signature of ours is that of this hash by this key. Raises ConfigError."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PublicKey,
    )

    key = Ed25519PublicKey.from_public_bytes(_bytes(normalized(public_key)))
    try:
        raw = _bytes(signature)
        key.verify(raw, CONTEXT + manifest_hash.encode())
    except (InvalidSignature, ValueError):
        return False
    # Nothing else covers the text of a signature, and other texts are the same bytes.
    return signature == SIGNED + _text(raw)


def normalized(public_key: object) -> str:
    """Return a public key as ``ed25519:…``, from that or from PEM. Raises ConfigError."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PublicKey,
    )
    from cryptography.hazmat.primitives.serialization import (
        load_pem_public_key,
    )

    try:
        if isinstance(public_key, str) and public_key.startswith(SIGNED):
            key: object = Ed25519PublicKey.from_public_bytes(_bytes(public_key))
        else:
            key = load_pem_public_key(str(public_key).encode())
    except ValueError:
        key = None
    if not isinstance(key, Ed25519PublicKey):
        # Not quoted: somebody may have passed the private one.
        msg = "the public key is not an Ed25519 public key"
        raise ConfigError(msg, todo="Pass ed25519:… as the service's public_key says, or PEM")
    return SIGNED + _text(key.public_bytes_raw())


def old_signature(hmac_key: str | bytes, manifest_hash: str) -> str:
    """Return what the older system signed a hash with: HMAC-SHA256, base64 without padding.

    Raises :class:`ConfigError` for an empty key, which is everybody's.
    """
    key = hmac_key.encode() if isinstance(hmac_key, str) else hmac_key
    if not key:
        raise ConfigError("the HMAC key is empty", todo="Pass the older system's signing secret")
    return _text(hmac.new(key, manifest_hash.encode(), hashlib.sha256).digest())


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    """Return what follows ``ed25519:``. Raises ``ValueError`` for anything else."""
    if not text.startswith(SIGNED):
        raise ValueError(SIGNED)
    inner = text.removeprefix(SIGNED)
    return base64.b64decode(inner + "=" * (-len(inner) % 4), altchars="-_", validate=True)
