"""Sign with an Ed25519 key in AWS KMS, which may be in another account and region."""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from daena_kms.errors import ConfigError
from daena_kms.sdk.aws.answers import no_answer
from daena_kms.sdk.aws.client import AWS
from daena_kms.sdk.aws.sessions import settled
from daena_kms.sdk.errors import safe_word
from daena_kms.sdk.forms import check_region
from daena_kms.sdk.signatures import check_signature

if TYPE_CHECKING:
    import boto3
    from botocore.session import Session
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

_SPEC, _USAGE = "ECC_NIST_EDWARDS25519", "SIGN_VERIFY"
#: Ed25519 as RFC 8032 has it, over the text itself; KMS takes it with RAW alone. The other one,
#: ED25519_PH_SHA_512, is Ed25519ph, which signs a hash and which nothing verifies as Ed25519.
_ALGORITHM, _MESSAGE_TYPE = "ED25519_SHA_512", "RAW"
_MOST = 4096
_OWNER = r"arn:[a-z0-9-]+:kms:(?P<region>[a-z0-9-]+):[0-9]{12}"
_KEY = r"key/(?:mrk-[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"
_ALIAS = r"alias/[A-Za-z0-9/_-]{1,250}"
_ARN = re.compile(rf"(?P<owner>{_OWNER}):(?:(?P<key>{_KEY})|{_ALIAS})", re.ASCII)
_KEY_ARN = re.compile(rf"(?P<owner>{_OWNER}):{_KEY}", re.ASCII)


class KmsKey:
    """A KMS key of the spec ``ECC_NIST_EDWARDS25519``. Nothing is called before it is used.

    Permissions: ``kms:GetPublicKey`` and ``kms:Sign`` on the key. For a key of another account
    both its key policy and the caller's own policy must allow them. ``kms:DescribeKey`` only adds
    the key's state to an error.

    Args:
        arn: The ARN of the key or of an alias. Its region is the one that is called. An alias must
            lead to the same key for as long as this object is used.
        session: A session of boto3 or botocore; by default the SDK's own settings.

    Raises:
        ConfigError: ``arn`` has another form, or ``session`` is none.

    https://docs.aws.amazon.com/kms/latest/APIReference/API_Sign.html
    https://docs.aws.amazon.com/kms/latest/developerguide/symm-asymm-choose-key-spec.html
    """

    def __init__(self, arn: str, session: "boto3.Session | Session | None" = None) -> None:
        found = _ARN.fullmatch(arn)
        if found is None:
            msg = f"{arn[:120]!r} is not the full ARN of a KMS key or of an alias"
            todo = (
                "Write arn:aws:kms:REGION:ACCOUNT:key/ID or arn:aws:kms:REGION:ACCOUNT:alias/NAME"
            )
            raise ConfigError(msg, todo=todo)
        region = check_region(found["region"], "the region in the KMS key's ARN")
        own = None if session is None else settled(session, region)[0]
        self.arn = arn
        self._owner = found["owner"]
        self._key = arn if found["key"] else None
        self._aws = AWS(region, None, {}, own)
        self._public: Ed25519PublicKey | None = None

    def public_key(self) -> "Ed25519PublicKey":
        """Return the public key. It is fetched once.

        Permissions: ``kms:GetPublicKey``.

        Raises:
            AccessDenied: AWS refuses the caller.
            ConfigError: The key is of another kind, does not exist or is not enabled, or the
                settings of the SDK are wrong.
            StoreUnavailable: AWS did not answer, or what came was no answer of AWS.
        """
        if self._public is None:
            self._public = self._fetched()
        return self._public

    def sign(self, text: bytes) -> bytes:
        """Return the signature of a text, 64 bytes; it was verified by the public key.

        Permissions: ``kms:GetPublicKey`` and ``kms:Sign``.

        Args:
            text: What is signed, 1 to 4,096 bytes.

        Raises:
            AccessDenied, ConfigError, StoreUnavailable: As for the public key.
        """
        if not 0 < len(text) <= _MOST:
            msg = f"a text of {len(text):,} bytes can't be signed by AWS KMS"
            raise ConfigError(msg, todo=f"Sign a text of 1 to {_MOST:,} bytes")
        public = self.public_key()
        answer = self._ask(
            "sign", Message=text, MessageType=_MESSAGE_TYPE, SigningAlgorithm=_ALGORITHM
        )
        return check_signature(public, answer["Signature"], text, "AWS KMS")

    def _fetched(self) -> "Ed25519PublicKey":
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
        from cryptography.hazmat.primitives.serialization import load_der_public_key

        answer = self._ask("get_public_key")
        if (answer["KeySpec"], answer["KeyUsage"]) != (_SPEC, _USAGE):
            spec, usage = safe_word(answer["KeySpec"]), safe_word(answer["KeyUsage"])
            msg = f"the KMS key {self.arn} has the spec {spec} and the usage {usage}"
            todo = f"Use a key of the spec {_SPEC} with the usage {_USAGE}"
            raise ConfigError(msg, todo=todo)
        try:
            public = load_der_public_key(answer["PublicKey"])
        except (ValueError, UnsupportedAlgorithm):
            public = None
        if not isinstance(public, Ed25519PublicKey):
            raise no_answer("get_public_key", None)
        return public

    def _ask(self, operation: str, **arguments: object) -> Mapping[str, Any]:
        answer: Mapping[str, Any] = self._aws.call(
            "kms", operation, None, KeyId=self.arn, **arguments
        )
        # KMS names the key itself, also where it was asked for by an alias.
        named = answer["KeyId"]
        found = _KEY_ARN.fullmatch(named)
        if found is None or found["owner"] != self._owner:
            raise no_answer(operation, None)
        if self._key is None:
            self._key = named
        elif self._key != named:
            if self._key == self.arn:
                raise no_answer(operation, None)
            msg = f"the alias {self.arn} leads to another KMS key than before"
            todo = "Name the key by its own ARN, or let the alias lead to the same key"
            raise ConfigError(msg, todo=todo)
        return answer
