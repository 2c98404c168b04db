"""What keys in a cloud's KMS answer that is no signature and no public key."""

import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from daena_kms.errors import (
    AccessDenied,
    ConfigError,
    DaenaKMSError,
    StoreUnavailable,
)

from infra.local.gcp.crc32c import crc32c
from infra.local.http_server import Response
from tests.worlds.signing import Signing, always, changed, edited, editing, open_signing, verify

TEXT = b"log.example.org\n1\nAAAA\n"
PAGE = Response(200, b"<html>Please log in</html>", {"Content-Type": "text/html"})


@pytest.fixture(params=["aws", "azure", "gcp"])
def signing(request: pytest.FixtureRequest) -> Iterator[Signing]:
    """Give each cloud with a key."""
    with open_signing(request.param) as cloud:
        yield cloud


@pytest.fixture
def gcp() -> Iterator[Any]:
    """Give Google Cloud with a key."""
    with open_signing("gcp") as cloud:
        yield cloud


def pages() -> list[Response]:
    """What a proxy answers with, and documents that are none of the service's."""
    bodies = (b"", b"{}", b"[]", b"null", b"5", b'"ok"', b'{"status": "ok"}', b"\xff\xfe", b"{")
    return [PAGE, *(replace(PAGE, body=body) for body in bodies)]


@pytest.mark.parametrize("step", [0, 1])
def test_a_page_of_a_proxy_is_no_answer(signing: Signing, step: int) -> None:
    """Not for the public key, and not for a signature."""
    for page in pages():
        key = signing.key(changed(signing.operations[step], always(page)))
        with pytest.raises(StoreUnavailable) as caught:
            key.sign(TEXT)
        assert (caught.value.__cause__, caught.value.__context__) == (None, None)
        assert "Please log in" not in str(caught.value)


@pytest.mark.parametrize("step", [0, 1])
def test_an_error_of_something_else(signing: Signing, step: int) -> None:
    """A status with a page is no word of the service's, whatever status it is."""
    for status in (204, 302, 404, 502):
        page = replace(PAGE, status=status)
        key = signing.key(changed(signing.operations[step], always(page)))
        with pytest.raises(StoreUnavailable):
            key.sign(TEXT)


def refusals() -> Iterator[tuple[str, Response, type[DaenaKMSError], str]]:
    """Yield the cloud, its error, what that is to us, and a word that the message has."""
    for code, kind, word in (
        ("InvalidKeyUsageException", ConfigError, "SIGN_VERIFY"),
        ("ValidationException", ConfigError, "ECC_NIST_EDWARDS25519"),
        ("KMSInvalidStateException", ConfigError, "key that signs is not usable"),
        ("NotFoundException", ConfigError, "key that signs does not exist"),
        ("InvalidArnException", ConfigError, "rejects the ARN"),
        ("AccessDeniedException", AccessDenied, "kms:GetPublicKey and kms:Sign"),
        ("ExpiredTokenException", AccessDenied, "expired"),
        ("DependencyTimeoutException", StoreUnavailable, "sign failed"),
    ):
        document: dict[str, Any] = {"__type": code, "message": "SECRET"}
        yield "aws", Response(400, json.dumps(document).encode()), kind, word
    for status, code, inner, kind, word in (
        (403, "Forbidden", "KeyDisabled", ConfigError, "disabled"),
        (403, "Forbidden", "ForbiddenByRbac", AccessDenied, "Key Vault Crypto User"),
        (403, "Forbidden", "ForbiddenByFirewall", AccessDenied, "firewall"),
        (404, "KeyNotFound", None, ConfigError, "no such key or version"),
        (400, "BadParameter", None, ConfigError, "P-256"),
        (409, "Conflict", None, StoreUnavailable, "still changing"),
        (429, "Throttled", None, StoreUnavailable, "throttled"),
        (500, "InternalServerError", None, StoreUnavailable, "failed"),
    ):
        error: dict[str, Any] = {"code": code, "message": "SECRET", "innererror": {"code": inner}}
        yield "azure", Response(status, json.dumps({"error": error}).encode()), kind, word
    for status, code, kind, word in (
        (400, "INVALID_ARGUMENT", ConfigError, "EC_SIGN_ED25519"),
        (400, "FAILED_PRECONDITION", ConfigError, "EC_SIGN_ED25519"),
        (401, "UNAUTHENTICATED", AccessDenied, "does not know the caller"),
        (403, "PERMISSION_DENIED", AccessDenied, "cloudkms.cryptoKeyVersions.useToSign"),
        (404, "NOT_FOUND", ConfigError, "no such key version"),
        (429, "RESOURCE_EXHAUSTED", StoreUnavailable, "throttled"),
        (503, "UNAVAILABLE", StoreUnavailable, "failed"),
    ):
        told = {"error": {"code": status, "status": code, "message": "SECRET"}}
        yield "gcp", Response(status, json.dumps(told).encode()), kind, word


@pytest.mark.parametrize("cloud", ["aws", "azure", "gcp"])
def test_a_refusal_to_sign(cloud: str) -> None:
    """Each code of the service has our error, and the service's text is in none."""
    with open_signing(cloud) as signing:
        for whose, answer, kind, word in refusals():
            if whose == cloud:
                key = signing.key(changed(signing.operations[1], always(answer)))
                with pytest.raises(DaenaKMSError) as caught:
                    key.sign(TEXT)
                assert isinstance(caught.value, kind), answer
                assert word in str(caught.value)
                assert "SECRET" not in str(caught.value)


def true_answer(signing: Signing, text: bytes) -> Response:
    """Return the answer with a text's signature."""
    kept: list[Response] = []

    def keep(answer: Response) -> Response:
        kept.append(answer)
        return answer

    signing.key(changed(signing.operations[1], keep)).sign(text)
    return kept[0]


def wrong(text: Any) -> list[object]:
    """Return what a member must not be, starting from what it is."""
    raw = base64.urlsafe_b64decode(text.replace("+", "-").replace("/", "_") + "==")
    octets = (raw[:-1], raw + raw[:1], raw[:1] + raw, bytes(len(raw)), raw[::-1], raw[:-1] + b"!")
    if "=" in text:
        others = [base64.b64encode(each).decode() for each in octets]
    else:
        others = [base64.urlsafe_b64encode(each).decode().rstrip("=") for each in octets]
    return [None, "", 5, [], {}, "%%%", text[:-4], *others]


def test_a_signature_that_does_not_fit(signing: Signing) -> None:
    """One that is missing, malformed, of another length, or of another text."""
    member, _ = signing.members
    operation = signing.operations[1]
    for other in wrong(json.loads(true_answer(signing, TEXT).body)[member]):

        def put(document: dict[str, Any], other: object = other) -> None:
            document[member] = other
            _sum(document)

        key = signing.key(changed(operation, editing(put)))
        with pytest.raises(StoreUnavailable):
            key.sign(TEXT)


def test_a_signature_of_another_text(signing: Signing) -> None:
    """It is a true one, and yet none of this text."""
    other = true_answer(signing, b"another text")
    key = signing.key(changed(signing.operations[1], always(other)))
    with pytest.raises(StoreUnavailable, match="does not fit the text and the key"):
        key.sign(TEXT)
    verify(key.public_key(), signing.key().sign(TEXT), TEXT)


@pytest.mark.parametrize("step", [0, 1])
def test_an_answer_about_another_key(signing: Signing, step: int) -> None:
    """Its name is not that of the key that was asked for."""
    _, member = signing.members

    def rename(document: dict[str, Any]) -> None:
        holder = document.get("key", document)
        holder[member] = holder[member][:-1] + ("0" if holder[member][-1] != "0" else "2")

    def drop(document: dict[str, Any]) -> None:
        del document.get("key", document)[member]

    for edit in (rename, drop):
        key = signing.key(changed(signing.operations[step], editing(edit)))
        with pytest.raises(StoreUnavailable):
            key.sign(TEXT)


#: The members of an answer with a public key, which all must be there.
PUBLIC = {
    "GetPublicKey": ("PublicKey", "KeySpec", "KeyUsage", "pem", "pemCrc32c", "algorithm"),
    "GetKey": ("kty", "key_ops", "x", "y"),
}


def test_a_public_key_that_lacks_something(signing: Signing) -> None:
    """Without a member it is none, and so it is with a strange one."""
    for member in PUBLIC[signing.operations[0]]:
        for strange in (None, 5, "%%%"):

            def edit(
                document: dict[str, Any], member: str = member, strange: object = strange
            ) -> None:
                holder = document.get("key", document)
                if member in holder:
                    holder[member] = strange
                else:
                    holder.clear()

            key = signing.key(changed(signing.operations[0], editing(edit)))
            with pytest.raises((StoreUnavailable, ConfigError)):
                key.public_key()


def test_a_public_key_that_is_of_another_kind_than_it_says(signing: Signing) -> None:
    """The bytes count, and not the word beside them."""
    p256 = ec.generate_private_key(ec.SECP256R1()).public_key()
    der = p256.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    pem = p256.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def edit(document: dict[str, Any]) -> None:
        if "PublicKey" in document:
            document["PublicKey"] = base64.b64encode(der).decode()
        elif "pem" in document:
            document |= {"pem": pem.decode(), "pemCrc32c": str(crc32c(pem))}
        else:
            document["key"]["x"], document["key"]["y"] = "A" * 42 + "E", "A" * 42 + "E"

    key = signing.key(changed(signing.operations[0], editing(edit)))
    with pytest.raises(StoreUnavailable):
        key.public_key()


def test_a_signature_by_another_key(signing: Signing) -> None:
    """The public key is another one's than the key that signs, and so nothing is signed."""
    other = ed25519.Ed25519PrivateKey.generate().public_key()
    raw = other.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    pem = other.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    point = ec.generate_private_key(ec.SECP256R1()).public_key().public_numbers()

    def edit(document: dict[str, Any]) -> None:
        if "PublicKey" in document:
            document["PublicKey"] = base64.b64encode(raw).decode()
        elif "pem" in document:
            document |= {"pem": pem.decode(), "pemCrc32c": str(crc32c(pem))}
        else:
            halves = (number.to_bytes(32) for number in (point.x, point.y))
            x, y = (base64.urlsafe_b64encode(half).rstrip(b"=").decode() for half in halves)
            document["key"] |= {"x": x, "y": y}

    key = signing.key(changed(signing.operations[0], editing(edit)))
    with pytest.raises(StoreUnavailable, match="does not fit"):
        key.sign(TEXT)


@pytest.mark.parametrize(
    ("operation", "member"),
    [
        ("GetPublicKey", "pemCrc32c"),
        ("AsymmetricSign", "signatureCrc32c"),
        ("AsymmetricSign", "verifiedDataCrc32c"),
    ],
)
@pytest.mark.parametrize("other", ["1", None, False, "true", 4294967296])
def test_a_wrong_checksum(gcp: Any, operation: str, member: str, other: object) -> None:
    """What was damaged on its way is discarded, and so is a text that the service did not check."""

    def edit(document: dict[str, Any]) -> None:
        document[member] = other

    key = gcp.key(changed(operation, editing(edit)))
    with pytest.raises(StoreUnavailable, match="checksum"):
        key.sign(TEXT)


def test_a_project_s_number(gcp: Any) -> None:
    """The answer may name the project by its id where its number was asked for."""
    numbered = gcp.name.replace("simulated-project", "123456789012")
    gcp.sim.kms.versions[numbered] = gcp.sim.kms.versions[gcp.name]
    key = gcp.at(numbered)
    reader, signer = key._reader, key._signer
    gcp.name = numbered
    key = gcp.key(
        lambda _operation, answer: edited(
            answer, lambda d: d.update(name=numbered.replace("123456789012", "simulated-project"))
        )
    )
    verify(key.public_key(), key.sign(TEXT), TEXT)
    assert (reader, signer) != (key._reader, key._signer)


def test_a_person_s_login_names_the_project_of_its_quota(gcp: Any) -> None:
    """Cloud KMS refuses a login of gcloud's without it."""
    key = gcp.key()
    assert key._authorize("") == {"Authorization": "Bearer rotator"}
    key._login._credentials = key._login.credentials().with_quota_project("billed")
    assert key._authorize("")["x-goog-user-project"] == "billed"


def _sum(document: dict[str, Any]) -> None:
    """Make a changed signature's checksum right again, as far as it has octets."""
    if "signatureCrc32c" in document:
        try:
            octets = base64.b64decode(document["signature"], validate=True)
        except (ValueError, TypeError):
            octets = b""
        document["signatureCrc32c"] = str(crc32c(octets))
