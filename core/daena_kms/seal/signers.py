"""Who signs checkpoints: a key in a PEM file, or one in a cloud's KMS that never leaves it."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from daena_kms.errors import ConfigError
from daena_kms.objects.base import AlreadyExists, Use
from daena_kms.objects.files import FileObjects
from daena_kms.objects.private import check_folder, read_private
from daena_kms.seal.notes import NoteSigner, VerifierKey
from daena_kms.settings import Settings

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

VARIABLE = "DAENA_KMS_SEAL_KEY"
#: The local store's own key, in its home.
FILE = "seal.pem"
_PLACE = Use("the sealing key's folder", ConfigError)
_FORMS = (
    f"Set {VARIABLE} to the path of an Ed25519 key in PEM, awskms:ARN, azurekms:KEY-URL or "
    "gcpkms:KEY-VERSION-NAME; several are separated by spaces"
)
_MAKE = "Make one: openssl genpkey -algorithm ed25519"


class PemSigner:
    """An Ed25519 key in a file."""

    def __init__(self, name: str, key: "Ed25519PrivateKey") -> None:
        self._key = key
        self.key = VerifierKey.of(name, key.public_key())

    def __repr__(self) -> str:
        return f"PemSigner({self.key.text!r})"

    def sign(self, text: bytes) -> bytes:
        """Return the signature of a text."""
        return self._key.sign(text)

    @classmethod
    def read(cls, name: str, path: Path) -> "PemSigner":
        """Return the signer whose key is in a file.

        Args:
            name: The name under which it signs.
            path: The file, which nobody else may read.

        Raises:
            ConfigError: There is no such file, others may read it, or it holds another kind of key.
        """
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        try:
            check_folder(path.resolve(strict=True).parent)
            pem = read_private(path)
        except OSError as error:
            msg = f"the sealing key {path} can't be read: {error.strerror}"
            raise ConfigError(msg, todo=_FORMS) from error
        key: object = None
        try:
            key = load_pem_private_key(pem, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            key = None
        # Raised out here: the context of ours would be an error that has seen the key.
        if not isinstance(key, Ed25519PrivateKey):
            raise ConfigError(f"{path} is not an Ed25519 private key in PEM", todo=_MAKE)
        return cls(name, key)


class Remote(Protocol):
    """A key in a cloud's KMS."""

    def public_key(self) -> object:
        """Return its public half, as ``cryptography`` has it."""

    def sign(self, text: bytes) -> bytes:
        """Return its signature of a text: raw for Ed25519, DER over SHA-256 for P-256."""


class RemoteSigner:
    """A key that stays in a cloud's KMS.

    Args:
        name: The name under which it signs.
        remote: The key.

    Raises:
        ConfigError: It is of a kind that does not seal.
        DaenaKMSError: The KMS refuses, or does not answer.
    """

    def __init__(self, name: str, remote: Remote) -> None:
        self._remote = remote
        self.key = VerifierKey.of(name, remote.public_key())

    def __repr__(self) -> str:
        return f"RemoteSigner({self.key.text!r})"

    def sign(self, text: bytes) -> bytes:
        """Return the signature of a text; the key has checked that it is its own."""
        return self._remote.sign(text)


def open_signers(settings: Settings, origin: str, *, sealed: bool) -> Sequence[NoteSigner]:
    """Return who signs, by ``DAENA_KMS_SEAL_KEY``.

    For a local store it is by default ``seal.pem`` in its home, which is made where nothing was
    sealed yet: a missing key is not replaced by another one.

    Args:
        settings: The environment's.
        origin: The log's name, which is the keys' name, too.
        sealed: Whether there are seals already.

    Raises:
        ConfigError: No key is set, or one that is set is malformed, missing or of another kind.
        DaenaKMSError: A cloud's KMS refuses, or does not answer.
    """
    keys = settings.seal_keys
    if keys:
        return [_signer(key, origin, settings) for key in keys]
    if settings.get("DAENA_KMS_HOME") is None:
        raise ConfigError("no key is set to sign with", todo=_FORMS)
    path = settings.home / FILE
    if not path.exists():
        if sealed:
            msg = f"this log was sealed, and {path} is missing"
            todo = (
                f"Bring that key back, or set {VARIABLE}; a new key would be taken for a forger's"
            )
            raise ConfigError(msg, todo=todo)
        _make(settings.home)
    return [PemSigner.read(origin, path)]


def _signer(key: str, origin: str, settings: Settings) -> NoteSigner:
    scheme, colon, name = key.partition(":")
    if colon and scheme == "awskms":
        from daena_kms.sdk.aws.signing import KmsKey as AwsKey

        return RemoteSigner(origin, AwsKey(name))
    if colon and scheme == "azurekms":
        from daena_kms.sdk.azure.signing import VaultKey

        return RemoteSigner(origin, VaultKey(name, settings.environ))
    if colon and scheme == "gcpkms":
        from daena_kms.sdk.gcp.signing import KmsKey as GcpKey

        return RemoteSigner(origin, GcpKey(name, settings.environ))
    if colon and "/" not in scheme:
        raise ConfigError(f"{key[:80]!r} in {VARIABLE} is of no kind that seals", todo=_FORMS)
    return PemSigner.read(origin, Path(key).expanduser())


def _make(home: Path) -> None:
    """Make the file whole or not at all; of several processes at once one wins."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    pem = Ed25519PrivateKey.generate().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        FileObjects(home, _PLACE, private=True).put_new(FILE, pem)
    except AlreadyExists:
        return
    except OSError as error:
        msg = f"no sealing key can be made in {home}: {error.strerror}"
        raise ConfigError(msg, todo=_FORMS) from error
