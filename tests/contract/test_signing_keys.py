"""Keys in a cloud's KMS that sign a text: the same for the three clouds, over their protocols."""

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from azure.core.rest import HttpRequest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from daena_kms.errors import AccessDenied, ConfigError, DaenaKMSError, StoreUnavailable
from daena_kms.sdk.aws.signing import KmsKey as AwsKey
from daena_kms.seal.notes import VerifierKey
from daena_kms.seal.signers import RemoteSigner, open_signers
from daena_kms.settings import Settings

from infra.local.aws.kms_signing import EDWARDS, ENCRYPT, SIGN, SYMMETRIC
from infra.local.faults import How, only
from infra.local.gcp import kms as gcp_kms
from tests.unit.seal.sealed import ORIGIN, SealedLog, new_signer
from tests.worlds.signing import (
    READ_KEY,
    SIGN_TEXT,
    AwsSigning,
    AzureSigning,
    GcpSigning,
    Signing,
    open_signing,
    verify,
)

TEXT = b"log.example.org\n1234567\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"


@pytest.fixture(params=["aws", "azure", "gcp"])
def signing(request: pytest.FixtureRequest) -> Iterator[Signing]:
    """Give each cloud with a key."""
    with open_signing(request.param) as cloud:
        yield cloud


@pytest.fixture
def aws() -> Iterator[Any]:
    """Give AWS with a key."""
    with open_signing("aws") as cloud:
        yield cloud


@pytest.fixture
def azure() -> Iterator[Any]:
    """Give Azure with a key."""
    with open_signing("azure") as cloud:
        yield cloud


@pytest.fixture
def gcp() -> Iterator[Any]:
    """Give Google Cloud with a key."""
    with open_signing("gcp") as cloud:
        yield cloud


def refused(kind: type[DaenaKMSError], call: Any) -> str:
    """Return the error's text; nothing of an SDK hangs on it."""
    with pytest.raises(DaenaKMSError) as caught:
        call()
    error = caught.value
    assert type(error) is kind or (kind is StoreUnavailable and isinstance(error, kind)), error
    assert (error.__cause__, error.__context__) == (None, None)
    assert error.todo
    return str(error)


def test_a_signature_is_verified_by_anybody(signing: Signing) -> None:
    """It is plain Ed25519 of 64 bytes, or ECDSA with SHA-256 in DER, over the text itself."""
    key = signing.key()
    public, signature = key.public_key(), key.sign(TEXT)
    verify(public, signature, TEXT)
    if isinstance(public, Ed25519PublicKey):
        assert len(signature) == 64
        assert key.sign(TEXT) == signature
    else:
        assert isinstance(public, EllipticCurvePublicKey)
        assert signature[0] == 0x30
    with pytest.raises(InvalidSignature):
        verify(public, signature, TEXT + b"x")


def test_the_public_key_is_fetched_once(signing: Signing) -> None:
    """Two signatures take three calls, and nothing is called before."""
    signing.forget_calls()
    key = signing.key()
    assert signing.sim.calls.operations() == []
    key.sign(TEXT)
    key.sign(TEXT + b"2")
    key.public_key()
    read, sign = signing.operations
    assert signing.sim.calls.operations() == [read, sign, sign]


def test_two_permissions_are_enough(signing: Signing) -> None:
    """They are those that the docstrings name, on this key alone."""
    signing.allow(READ_KEY, SIGN_TEXT)
    verify(signing.key().public_key(), signing.key().sign(TEXT), TEXT)


@pytest.mark.parametrize("left", [(), (READ_KEY,), (SIGN_TEXT,)])
def test_a_refused_permission(signing: Signing, left: tuple[str, ...]) -> None:
    """Without one of them it is refused by a policy, and the error names both."""
    signing.allow(*left)
    text = refused(AccessDenied, lambda: signing.key().sign(TEXT))
    if READ_KEY in left:
        signing.key().public_key()
    for name in ("key", "sign"):
        assert name in text.lower()
    with pytest.raises(AccessDenied) as caught:
        signing.key().sign(TEXT)
    assert caught.value.by_policy


def test_a_disabled_key(signing: Signing) -> None:
    """Both calls say that it is not enabled, also where the public key is known already."""
    known = signing.key()
    known.public_key()
    signing.disable()
    for key in (signing.key(), known):
        text = refused(ConfigError, lambda key=key: key.sign(TEXT))
        assert "disabled" in text.lower()
        assert "Enable it" in text or "aws kms enable-key" in text


def test_a_key_of_another_kind(signing: Signing) -> None:
    """The error names what the key is and what is needed; nothing is signed."""
    key = signing.of_another_kind()
    signing.forget_calls()
    text = refused(ConfigError, lambda: key.sign(TEXT))
    for word in signing.another:
        assert word in text
    assert signing.sim.calls.operations() == [signing.operations[0]]


def test_a_key_that_does_not_exist(signing: Signing) -> None:
    """It is a setting that is wrong, not a key of ours that is gone."""
    text = refused(ConfigError, lambda: signing.missing().public_key())
    assert "exist" in text or "no such key" in text


def test_no_credential_is_logged(signing: Signing, caplog: pytest.LogCaptureFixture) -> None:
    """Neither the token nor the header that carries it, at any level."""
    caplog.set_level(logging.DEBUG)
    key = signing.key()
    key.sign(TEXT)
    signing.sim.faults.deny(signing.operations[1])
    refused(AccessDenied, lambda: key.sign(TEXT))
    for word in ("Bearer", "Authorization:", "AKIDSIMULATED"):
        assert word not in caplog.text


def test_a_lost_answer_is_worth_another_try(aws: AwsSigning, gcp: GcpSigning) -> None:
    """Nothing came back, or an error of the service's own."""
    for signing in (aws, gcp):
        key = signing.key()
        key.public_key()
        for how in How:
            signing.sim.faults.fail_after(when=only(None, signing.operations[1]), how=how)
            refused(StoreUnavailable, lambda key=key: key.sign(TEXT))
        signing.sim.faults.throttle(1)
        refused(StoreUnavailable, lambda key=key: key.sign(TEXT))
        verify(key.public_key(), key.sign(TEXT), TEXT)


def test_a_service_that_never_answers(gcp: GcpSigning, monkeypatch: pytest.MonkeyPatch) -> None:
    """Waiting has an end."""
    monkeypatch.setattr("daena_kms.sdk.gcp.signing._TIMES", {"timeout": 0.1, "connect_timeout": 5})
    gcp.sim.faults.hang()
    assert "did not answer (TimeoutError)" in refused(StoreUnavailable, gcp.key().public_key)


def test_a_key_of_another_account_and_region(aws: AwsSigning) -> None:
    """It is called in its own region, whatever the environment's is."""
    made = aws.sim.kms.keys[aws.id]
    made.arn = made.arn.replace("eu-central-1:123456789012", "us-west-2:210987654321")
    key = AwsKey(made.arn)
    verify(key.public_key(), key.sign(TEXT), TEXT)
    assert key._aws.client("kms").meta.region_name == "us-west-2"


def test_an_alias(aws: AwsSigning) -> None:
    """It leads to its key; once it leads to another, nothing more is signed."""
    aws.own.create_alias(AliasName="alias/seal", TargetKeyId=aws.id)
    key = AwsKey(aws.arn.replace(f"key/{aws.id}", "alias/seal"))
    verify(aws.key().public_key(), key.sign(TEXT), TEXT)
    aws.sim.kms.aliases["alias/seal"] = aws.make()
    assert "leads to another KMS key" in refused(ConfigError, lambda: key.sign(TEXT))


def test_a_symmetric_key(aws: AwsSigning, gcp: GcpSigning) -> None:
    """It has no public key."""
    made = aws.sim.kms.keys[aws.make(SYMMETRIC, ENCRYPT)]
    text = refused(ConfigError, lambda: AwsKey(made.arn).sign(TEXT))
    assert "UnsupportedOperationException" in text
    assert "ECC_NIST_EDWARDS25519 with the usage SIGN_VERIFY" in text
    name = gcp.sim.kms.create("symmetric", gcp_kms.SYMMETRIC)
    assert "must be EC_SIGN_ED25519" in refused(ConfigError, lambda: gcp.at(name).sign(TEXT))


def test_a_key_that_may_not_sign(azure: AzureSigning) -> None:
    """Its key operations say so before anything is asked of it."""
    url = azure.make("reader", key_ops=["verify"])
    text = refused(ConfigError, lambda: azure.at(url).sign(TEXT))
    assert "may be used for verify alone" in text


def test_another_version_is_another_key(azure: AzureSigning) -> None:
    """A rotation in the vault changes nothing for the version that is named."""
    first = azure.key().public_key()
    assert azure.make("seal") != azure.url
    assert azure.key().public_key() == first


def test_a_disabled_key_that_can_be_read(azure: AzureSigning) -> None:
    """Where the vault shows it, its attributes say so."""
    azure.sim.secrets.keys.disabled_readable = True
    azure.disable()
    assert "is disabled" in refused(ConfigError, azure.key().public_key)


def test_an_expired_key(azure: AzureSigning) -> None:
    """It can still be read; the refusal points to its dates."""
    azure.update(exp=1)
    key = azure.key()
    key.public_key()
    assert "within its dates" in refused(AccessDenied, lambda: key.sign(TEXT))


def test_a_caller_whom_nobody_knows(azure: AzureSigning, gcp: GcpSigning) -> None:
    """A token that is no good is a refused login."""
    azure.key().public_key()
    key = azure.key()
    key._vault._login = type(key._vault._login)({}, credential=azure.sim.credential(lifetime=-60))
    assert "refused the login" in refused(AccessDenied, key.public_key)
    gcp.sim.kms.enabled = False
    assert "gcloud services enable" in refused(ConfigError, gcp.key().public_key)


@pytest.mark.parametrize(
    ("algorithm", "message_type", "code"),
    [
        ("ECDSA_SHA_256", "RAW", "InvalidKeyUsageException"),
        ("ED25519_SHA_512", "DIGEST", "ValidationException"),
        ("ED25519_PH_SHA_512", "RAW", "ValidationException"),
    ],
)
def test_kms_refuses_another_algorithm(
    aws: AwsSigning, algorithm: Any, message_type: Any, code: str
) -> None:
    """One that is not the key's, and plain Ed25519 over anything but the text."""
    with pytest.raises(aws.own.exceptions.ClientError) as caught:
        aws.own.sign(
            KeyId=aws.id, Message=TEXT, MessageType=message_type, SigningAlgorithm=algorithm
        )
    assert caught.value.response["Error"]["Code"] == code


def test_a_key_for_another_use_is_no_key_for_data(aws: AwsSigning) -> None:
    """A key that signs makes no data keys and is never rotated, nor does it sign as another."""
    refusals: list[tuple[str, Any]] = [
        (
            "InvalidKeyUsageException",
            lambda: aws.own.generate_data_key(KeyId=aws.id, NumberOfBytes=8),
        ),
        ("UnsupportedOperationException", lambda: aws.own.enable_key_rotation(KeyId=aws.id)),
        ("UnsupportedOperationException", lambda: aws.own.get_key_rotation_status(KeyId=aws.id)),
        ("ValidationException", lambda: aws.make(EDWARDS, ENCRYPT)),
    ]
    for code, call in refusals:
        with pytest.raises(aws.own.exceptions.ClientError) as caught:
            call()
        assert caught.value.response["Error"]["Code"] == code
    described = aws.own.describe_key(KeyId=aws.id)["KeyMetadata"]
    assert (described["KeySpec"], described["KeyUsage"]) == (EDWARDS, SIGN)
    assert "ED25519_SHA_512" in described["SigningAlgorithms"]


@pytest.mark.parametrize(
    "document",
    [{"alg": "ES384", "value": "A" * 43}, {"alg": "ES256", "value": "AAAA"}, {"alg": "ES256"}],
)
def test_the_vault_refuses_another_algorithm(azure: AzureSigning, document: Any) -> None:
    """Each curve has one, and that has one length of a digest."""
    asked = HttpRequest("POST", f"{azure.url}/sign", json=document)
    answer = azure.own.send_request(asked)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "BadParameter")


def test_cloud_kms_refuses_a_damaged_text(gcp: GcpSigning) -> None:
    """A checksum that is another text's; without one it says that it checked none."""
    key = gcp.key()
    answer = key._signer.post({"data": "AAAA", "dataCrc32c": "1"})
    assert (answer.status, b"INVALID_ARGUMENT" in answer.body) == (400, True)
    answer = key._signer.post({"data": "AAAA"})
    assert (answer.status, b"verifiedDataCrc32c" in answer.body) == (200, False)


def test_a_log_is_sealed_by_the_clouds_key_and_one_in_a_file(signing: Signing) -> None:
    """Both sign each checkpoint; the cloud's is asked once, and its note verifies by its vkey."""
    sealed = SealedLog()
    remote = RemoteSigner(ORIGIN, signing.key())
    sealed.signers = (remote, new_signer())
    sealed.runs(2)
    signing.forget_calls()

    assert sealed.seal().size == 6

    assert sealed.verify([VerifierKey.parse(remote.key.text)]).problems == []
    assert sealed.verify().problems == []


def test_a_log_is_not_signed_by_a_key_that_refuses(signing: Signing) -> None:
    """What was sealed stays sealed, and is signed by the next sealer who may."""
    sealed = SealedLog()
    sealed.signers = (RemoteSigner(ORIGIN, signing.key()),)
    sealed.runs(2)
    signing.allow(READ_KEY)
    with pytest.raises(AccessDenied):
        sealed.seal()
    assert not any(name.startswith("checkpoint/") for name in sealed.place.stored)
    signing.allow(READ_KEY, SIGN_TEXT)
    assert sealed.seal().size == 6
    assert sealed.verify().problems == []


def test_a_clouds_key_of_another_kind_seals_nothing(signing: Signing) -> None:
    """It is refused before anything is written."""
    with pytest.raises(ConfigError):
        RemoteSigner(ORIGIN, signing.of_another_kind())


def test_keys_are_named_by_their_schemes() -> None:
    """A malformed name is refused before any call, and names what is allowed."""
    for key in ("awskms:x", "azurekms:x", "gcpkms:x"):
        settings = Settings.load({"DAENA_KMS_SEAL_KEY": key})
        with pytest.raises(ConfigError):
            open_signers(settings, ORIGIN, sealed=False)
