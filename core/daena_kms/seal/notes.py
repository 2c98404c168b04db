"""Signed notes and checkpoints: a text, and who signed it.

https://c2sp.org/signed-note and https://c2sp.org/tlog-checkpoint. Ed25519 (type 1) and ECDSA on
P-256 with DER (type 2), whose key id is the hash of the public key alone.
"""

import base64
import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from daena_kms.errors import ConfigError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

ED25519, ECDSA = 1, 2
#: In bytes. A note with more signatures than that holds is none of ours.
MAX_NOTE = 65_536
_ID = 4
_RAW = 32
_DASH = "\u2014"
_NAME = re.compile(r"[^\s+]+")
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)


class NotANote(Exception):
    """A text is not a signed note or no checkpoint, or its signature is wrong; says which."""


def unbased(text: str) -> bytes:
    """Return what base64 stands for, in its one right form. Raises :class:`ValueError`."""
    data = base64.b64decode(text, validate=True)
    if base64.b64encode(data).decode() != text:
        raise ValueError(text)
    return data


def is_key_name(name: str) -> bool:
    """Whether a key may be called so: no spaces, no plus, nothing that can't be printed."""
    return _NAME.fullmatch(name) is not None and name.isprintable()


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key, and the name under which it signs."""

    name: str
    kind: int
    public: "Ed25519PublicKey | EllipticCurvePublicKey"

    @property
    def encoded(self) -> bytes:
        """The public key as a vkey holds it: raw for Ed25519, a DER SubjectPublicKeyInfo else."""
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        if self.kind == ED25519:
            return self.public.public_bytes(Encoding.Raw, PublicFormat.Raw)
        return self.public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    @property
    def key_id(self) -> bytes:
        """The four bytes that stand before each of its signatures."""
        hashed = self.encoded
        if self.kind == ED25519:
            hashed = self.name.encode() + b"\n" + bytes([self.kind]) + hashed
        return hashlib.sha256(hashed).digest()[:_ID]

    @property
    def text(self) -> str:
        """The key as a vkey: its name, its id and itself."""
        data = base64.b64encode(bytes([self.kind]) + self.encoded).decode()
        return f"{self.name}+{self.key_id.hex()}+{data}"

    @classmethod
    def of(cls, name: str, public: object) -> "VerifierKey":
        """Return the key with that name.

        Raises:
            ConfigError: It is neither Ed25519 nor on the curve P-256.
        """
        from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        if isinstance(public, Ed25519PublicKey):
            return cls(name, ED25519, public)
        if isinstance(public, EllipticCurvePublicKey) and isinstance(public.curve, SECP256R1):
            return cls(name, ECDSA, public)
        raise ConfigError(
            "a key that seals is neither Ed25519 nor on the curve P-256",
            todo="Make an Ed25519 key, or on Azure one on P-256",
        )

    @classmethod
    def parse(cls, text: str) -> "VerifierKey":
        """Return the key in a vkey.

        Raises:
            ConfigError: It is none, or its id does not belong to its key.
        """
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
        from cryptography.hazmat.primitives.serialization import load_der_public_key

        todo = "Give NAME+HEX+BASE64 as audit key prints it"
        name, _, rest = text.partition("+")
        shown_id, _, data = rest.partition("+")
        key: VerifierKey | None = None
        try:
            raw = unbased(data)
            if raw[:1] == bytes([ED25519]) and len(raw) == 1 + _RAW:
                key = cls.of(name, Ed25519PublicKey.from_public_bytes(raw[1:]))
            elif raw[:1] == bytes([ECDSA]):
                key = cls.of(name, load_der_public_key(raw[1:]))
        except (ValueError, TypeError, UnsupportedAlgorithm):
            key = None
        if key is None or not is_key_name(name):
            raise ConfigError(f"{text[:80]!r} is not a verifier's key", todo=todo)
        if key.key_id.hex() != shown_id:
            msg = f"the id in the verifier's key of {name[:80]!r} belongs to another key"
            raise ConfigError(msg, todo=todo)
        return key

    def verifies(self, text: bytes, signature: bytes) -> bool:
        """Whether this is this key's signature of that text."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ec import ECDSA as SCHEME
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
        from cryptography.hazmat.primitives.hashes import SHA256

        try:
            if isinstance(self.public, Ed25519PublicKey):
                self.public.verify(signature, text)
            else:
                self.public.verify(signature, text, SCHEME(SHA256()))
        except InvalidSignature:
            return False
        return True


class NoteSigner(Protocol):
    """A private key that signs notes, wherever it is."""

    @property
    def key(self) -> VerifierKey:
        """Its public half."""

    def sign(self, text: bytes) -> bytes:
        """Return the signature of a text, in the form of the key's type."""


@dataclass(frozen=True, slots=True)
class Note:
    """A signed text."""

    text: bytes
    #: For each signature the key's name, the key's id, and the signature.
    signatures: tuple[tuple[str, bytes, bytes], ...]

    def check(self, keys: Iterable[VerifierKey]) -> list[VerifierKey]:
        """Return the keys that signed it.

        Raises:
            NotANote: One of the keys seems to have signed it, and the signature is not its.
        """
        found: list[VerifierKey] = []
        for key in keys:
            mine = [s for name, i, s in self.signatures if (name, i) == (key.name, key.key_id)]
            if not all(key.verifies(self.text, signature) for signature in mine):
                raise NotANote(f"has a wrong signature in the name of {key.name}")
            found += [key] * bool(mine)
        return found


def sign_note(text: bytes, signers: Sequence[NoteSigner]) -> bytes:
    """Return the note that all of them sign."""
    lines = [
        f"{_DASH} {signer.key.name} "
        f"{base64.b64encode(signer.key.key_id + signer.sign(text)).decode()}\n"
        for signer in signers
    ]
    return text + b"\n" + "".join(lines).encode()


def read_note(data: bytes) -> Note:
    """Return a signed note. Raises :class:`NotANote`."""
    if len(data) > MAX_NOTE:
        raise NotANote("is larger than a note")
    head, found, tail = data.rpartition(b"\n\n")
    try:
        text, lines = head.decode() + "\n", tail.decode()
    except UnicodeDecodeError:
        raise NotANote("is not UTF-8") from None
    if not found or not lines.endswith("\n"):
        raise NotANote("is not a text and its signatures")
    if any(character < " " and character != "\n" for character in text + lines):
        raise NotANote("holds a control character")
    return Note(text.encode(), tuple(_signature(line) for line in lines[:-1].split("\n")))


def _signature(line: str) -> tuple[str, bytes, bytes]:
    dash, _, rest = line.partition(" ")
    name, _, encoded = rest.partition(" ")
    try:
        data = unbased(encoded)
    except ValueError:
        data = b""
    if dash != _DASH or _NAME.fullmatch(name) is None or len(data) <= _ID:
        raise NotANote("has a line that is no signature")
    return name, data[:_ID], data[_ID:]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a log is at one size."""

    origin: str
    size: int
    root: bytes

    def text(self) -> bytes:
        """Return what is signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n".encode()


def read_checkpoint(note: Note) -> Checkpoint:
    """Return the checkpoint in a note; lines of others behind it are left to others.

    Raises:
        NotANote: It is none.
    """
    lines = note.text.decode().split("\n")
    try:
        origin, size, encoded, *more = lines
        root = unbased(encoded)
    except ValueError:
        raise NotANote("is not a checkpoint") from None
    whole = more[-1:] == [""] and "" not in more[:-1]
    if not (whole and origin and _SIZE.fullmatch(size) and len(root) == _RAW):
        raise NotANote("is not a checkpoint")
    return Checkpoint(origin, int(size), root)
