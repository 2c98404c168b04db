"""Signed notes and checkpoints: the specifications' own examples, others', and what is none."""

import base64

import aics_tlog
import pytest
from aics_tlog import checkpoint as others
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from daena_kms.errors import ConfigError
from daena_kms.seal.notes import (
    MAX_NOTE,
    Checkpoint,
    NotANote,
    VerifierKey,
    read_checkpoint,
    read_note,
    sign_note,
)

from tests.unit.seal.sealed import ORIGIN, new_signer

#: https://c2sp.org/signed-note, "Example".
VKEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
NOTE = """This is an example message.

— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=
"""  # noqa: E501 - the specification's example
ROOT = bytes(range(32))


class P256Signer:
    """A key as Key Vault has it: its signatures are DER."""

    def __init__(self, name: str = ORIGIN) -> None:
        self._private = ec.generate_private_key(ec.SECP256R1())
        self.key = VerifierKey.of(name, self._private.public_key())

    def sign(self, text: bytes) -> bytes:
        """Sign."""
        return self._private.sign(text, ec.ECDSA(SHA256()))


def test_the_specifications_example() -> None:
    """Its key verifies its note, and is written as it was read."""
    key = VerifierKey.parse(VKEY)
    note = read_note(NOTE.encode())

    assert key.text == VKEY
    assert note.text == b"This is an example message.\n"
    assert note.check([key]) == [key]
    assert note.check([new_signer().key]) == []


def test_a_note_is_what_another_implementation_reads() -> None:
    """Its signature verifies there, by the key as it is printed here."""
    signer = new_signer()
    data = sign_note(Checkpoint(ORIGIN, 7, ROOT).text(), [signer])

    key = aics_tlog.parse_vkey(signer.key.text)
    found = others.verify_checkpoint(aics_tlog.parse_note(data), key, expected_origin=ORIGIN)

    assert found.log_ok


def test_a_key_on_p256_by_hand() -> None:
    """Type 2: DER, and an id that is the hash of the public key alone."""
    signer = P256Signer()
    text = Checkpoint(ORIGIN, 7, ROOT).text()
    note = read_note(sign_note(text, [signer, new_signer()]))

    name, key_id, signature = note.signatures[0]
    assert (name, key_id) == (ORIGIN, signer.key.key_id)
    public = signer.key.public
    assert isinstance(public, ec.EllipticCurvePublicKey)
    public.verify(signature, text, ec.ECDSA(SHA256()))
    _, shown, data = signer.key.text.split("+", 2)
    raw = base64.b64decode(data)
    digest = SHA256()
    from cryptography.hazmat.primitives.hashes import Hash

    hashed = Hash(digest)
    hashed.update(raw[1:])
    assert (raw[0], shown) == (2, hashed.finalize()[:4].hex())
    assert VerifierKey.parse(signer.key.text) == signer.key
    assert note.check([signer.key]) == [signer.key]


def test_a_wrong_signature_of_a_known_key_refuses_the_note() -> None:
    """Even if another one is right."""
    signer, other = new_signer(), new_signer()
    data = sign_note(b"text\n", [signer, other])
    changed = read_note(data.replace(b"text", b"Text"))

    with pytest.raises(NotANote, match="wrong signature"):
        changed.check([signer.key, other.key])


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("\n\n", "\n", "not a text and its signatures"),
        ("\n\n", "\n\x07\n\n", "control character"),
        ("— ", "- ", "no signature"),
        ("Uw2Q", "Uw2*", "no signature"),
        ("aQM=\n", "aQM=", "not a text and its signatures"),
        ("aQM=\n", "aQN=\n", "no signature"),
        ("foo U", "f+o U", "no signature"),
    ],
)
def test_what_is_no_note(old: str, new: str, what: str) -> None:
    """One line of it, one character, or its end."""
    with pytest.raises(NotANote, match=what):
        read_note(NOTE.replace(old, new).encode())


def test_a_note_is_text_of_bounded_size() -> None:
    """Neither bytes of another kind, nor megabytes."""
    with pytest.raises(NotANote, match="UTF-8"):
        read_note(b"\xff\n\n" + NOTE.encode())
    with pytest.raises(NotANote, match="larger"):
        read_note(b"x" * (MAX_NOTE + 1))


@pytest.mark.parametrize(
    "text",
    [
        "origin\n7\n",
        "\n7\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
        "origin\n07\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
        "origin\n-7\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
        "origin\n7\nAAAA\n",
        "origin\n7\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB=\n",
        "origin\n7\nnot base64\n",
    ],
)
def test_what_is_no_checkpoint(text: str) -> None:
    """A note whose lines are not an origin, a size and a root."""
    note = read_note(sign_note(text.encode(), [new_signer()]))
    with pytest.raises(NotANote, match="not a checkpoint"):
        read_checkpoint(note)


def test_lines_of_others_behind_a_checkpoint_are_theirs() -> None:
    """Extension lines are not read."""
    text = Checkpoint(ORIGIN, 7, ROOT).text() + b"more\n"
    note = read_note(sign_note(text, [new_signer()]))
    assert read_checkpoint(note) == Checkpoint(ORIGIN, 7, ROOT)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "name",
        "name+530d903a",
        VKEY.replace("530d903a", "530d903b"),
        VKEY.replace("example.com/foo", "example.com foo"),
        VKEY.replace("example.com/foo", ""),
        VKEY.replace("+Ae", "+A"),
        VKEY.replace("+Ae", "+De"),
        VKEY + "AAAA",
        VKEY[:-1] + "l",
    ],
)
def test_what_is_no_verifiers_key(text: str) -> None:
    """Another id, another name, another type, another length."""
    with pytest.raises(ConfigError, match="verifier's key"):
        VerifierKey.parse(text)


def test_keys_of_other_kinds_do_not_seal() -> None:
    """RSA, and another curve."""
    for private in (
        rsa.generate_private_key(65537, 2048),
        ec.generate_private_key(ec.SECP384R1()),
    ):
        with pytest.raises(ConfigError, match="neither Ed25519 nor on the curve P-256"):
            VerifierKey.of(ORIGIN, private.public_key())


def test_no_signer_shows_its_key() -> None:
    """What is printed of it is public."""
    private = ed25519.Ed25519PrivateKey.generate()
    from daena_kms.seal.signers import PemSigner

    secret = private.private_bytes_raw()
    assert base64.b64encode(secret).decode() not in repr(PemSigner(ORIGIN, private))
