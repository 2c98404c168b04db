"""Check what a key service sends as a signature: it must fit the text and the key.

So an answer that was made up, one about another text, and one of another key or algorithm never
count, whatever else they say.
"""

from typing import TYPE_CHECKING

from daena_kms.errors import StoreUnavailable

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


def check_signature(
    public: "Ed25519PublicKey | EllipticCurvePublicKey", signature: bytes, text: bytes, service: str
) -> bytes:
    """Return a signature that fits.

    Args:
        public: The public half of the key that was to sign.
        signature: What the service sent: 64 bytes for Ed25519, DER for ECDSA with SHA-256.
        text: What was to be signed.
        service: Who sent it, for the message.

    Raises:
        StoreUnavailable: It does not fit.
    """
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.hashes import SHA256

    try:
        if isinstance(public, ec.EllipticCurvePublicKey):
            public.verify(signature, text, ec.ECDSA(SHA256()))
        else:
            public.verify(signature, text)
    except InvalidSignature:
        msg = f"the signature from {service} does not fit the text and the key"
    else:
        return signature
    raise StoreUnavailable(msg, todo="Look for a proxy in between; the next run signs again")
