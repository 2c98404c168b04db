"""Asymmetric keys of the simulated KMS that sign: true signatures, by ``cryptography``.

https://docs.aws.amazon.com/kms/latest/developerguide/symm-asymm-choose-key-spec.html
"""

import base64
from dataclasses import dataclass, field
from typing import Literal

from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from infra.local.aws.protocol import AwsError, Params

SYMMETRIC, EDWARDS, P256 = "SYMMETRIC_DEFAULT", "ECC_NIST_EDWARDS25519", "ECC_NIST_P256"
ENCRYPT, SIGN, AGREE = "ENCRYPT_DECRYPT", "SIGN_VERIFY", "KEY_AGREEMENT"
#: CreateKey, KeyUsage: what a key of a spec may be for.
USAGES = {SYMMETRIC: {ENCRYPT}, EDWARDS: {SIGN}, P256: {SIGN, AGREE}}
#: ED25519_PH_SHA_512 is refused as not modelled.
ALGORITHMS = {EDWARDS: ["ED25519_SHA_512", "ED25519_PH_SHA_512"], P256: ["ECDSA_SHA_256"]}
MAX_MESSAGE = 4096

type Private = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey


@dataclass(frozen=True)
class Kind:
    """What a key is, and its private half if it has one."""

    spec: str = SYMMETRIC
    usage: str = ENCRYPT
    private: Private | None = field(default=None, repr=False)

    @property
    def algorithms(self) -> list[str]:
        """What it signs with."""
        return ALGORITHMS.get(self.spec, []) if self.usage == SIGN else []

    def public_der(self) -> bytes:
        """Return the public key as KMS exports it: a SubjectPublicKeyInfo."""
        if self.private is None:
            raise AwsError("UnsupportedOperationException", f"{self.spec} keys have no public key.")
        public = self.private.public_key()
        return public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def new_kind(params: Params) -> Kind:
    """Return what CreateKey asks for.

    "You must specify a KeyUsage value for asymmetric KMS keys": API_CreateKey.
    """
    spec = params.text("KeySpec") or SYMMETRIC
    usage = params.text("KeyUsage") or ENCRYPT
    if spec not in USAGES:
        raise AwsError("ValidationException", f"not modelled: the KeySpec {spec}")
    if usage not in USAGES[spec]:
        message = f"KeyUsage {usage} is not compatible with KeySpec {spec}"
        raise AwsError("ValidationException", message)
    made: dict[str, Private] = {
        EDWARDS: ed25519.Ed25519PrivateKey.generate(),
        P256: ec.generate_private_key(ec.SECP256R1()),
    }
    return Kind(spec, usage, made.get(spec))


def sign(kind: Kind, params: Params) -> bytes:
    """Return a signature as Sign does. Raises the service's errors.

    API_Sign: "ED25519_SHA_512 signing algorithm requires KMS MessageType:RAW". The words for
    another are those of floci, which took them from the service.
    """
    algorithm = params.required("SigningAlgorithm")
    message = _message(params)
    message_type = params.text("MessageType") or "RAW"
    if kind.usage != SIGN or kind.private is None:
        text = f"key usage is {kind.usage} which is not valid for Sign."
        raise AwsError("InvalidKeyUsageException", text)
    if algorithm not in kind.algorithms:
        text = f"Algorithm {algorithm} is incompatible with key spec {kind.spec}."
        raise AwsError("InvalidKeyUsageException", text)
    wanted: Literal["RAW", "DIGEST"] = "DIGEST" if "_PH_" in algorithm else "RAW"
    if kind.spec == EDWARDS and message_type != wanted:
        text = f"Message type {message_type} is incompatible with algorithm {algorithm}."
        raise AwsError("ValidationException", text)
    if message_type != "RAW":
        raise AwsError("ValidationException", "not modelled: another MessageType than RAW")
    if isinstance(kind.private, ed25519.Ed25519PrivateKey):
        return kind.private.sign(message)
    return kind.private.sign(message, ec.ECDSA(SHA256()))


def _message(params: Params) -> bytes:
    try:
        message = base64.b64decode(params.required("Message", 2 * MAX_MESSAGE), validate=True)
    except ValueError:
        raise AwsError("SerializationException", "Message is not base64") from None
    if not 1 <= len(message) <= MAX_MESSAGE:
        text = f"Member must have length less than or equal to {MAX_MESSAGE}"
        raise AwsError("ValidationException", text)
    return message
