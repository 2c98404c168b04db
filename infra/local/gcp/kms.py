"""A simulated Cloud KMS, by its REST interface: public keys and true signatures.

https://cloud.google.com/kms/docs/reference/rest/v1/projects.locations.keyRings.cryptoKeys.cryptoKeyVersions
"""

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from infra.local.gcp.crc32c import crc32c
from infra.local.gcp.iam import Roles, allowed
from infra.local.gcp.names import PROJECT
from infra.local.http_server import Request, Response
from infra.local.server import Operation, Refusal

VIEW = "cloudkms.cryptoKeyVersions.viewPublicKey"
SIGN = "cloudkms.cryptoKeyVersions.useToSign"
ED25519, P256, SYMMETRIC = (
    "EC_SIGN_ED25519",
    "EC_SIGN_P256_SHA256",
    "GOOGLE_SYMMETRIC_ENCRYPTION",
)
ENABLED, DISABLED = "ENABLED", "DISABLED"
#: https://cloud.google.com/kms/docs/reference/rest/v1/…/asymmetricSign: "data"
_MOST = 64 * 1024
_PATH = re.compile(
    r"/v1/(projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+/cryptoKeyVersions/[^/:]+)"
    r"(/publicKey|:asymmetricSign)"
)
_OPERATIONS = {("GET", "/publicKey"): "GetPublicKey", ("POST", ":asymmetricSign"): "AsymmetricSign"}
_PERMISSIONS = {"GetPublicKey": VIEW, "AsymmetricSign": SIGN}
_CODES = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "RESOURCE_EXHAUSTED": 429,
    "INTERNAL": 500,
}

type Private = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey


class KmsError(Exception):
    """An error as the service answers it."""

    def __init__(self, status: str, message: str, *details: Mapping[str, Any]) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status
        self.message = message
        self.details = details


@dataclass
class KeyVersion:
    """A version of a key; ``private`` is ``None`` for a symmetric one."""

    algorithm: str = ED25519
    state: str = ENABLED
    private: Private | None = field(default=None, repr=False)


class CloudKms:
    """The service; ``versions`` is its state, by name. ``enabled`` is whether its API is on."""

    name: ClassVar[str] = "cloudkms"

    def __init__(self, roles: Roles) -> None:
        self._roles = roles
        self.enabled = True
        self.versions: dict[str, KeyVersion] = {}

    def create(self, key: str, algorithm: str = ED25519, location: str = "europe-west3") -> str:
        """Make a version of a key, and return its name."""
        parent = f"projects/{PROJECT}/locations/{location}/keyRings/seal/cryptoKeys/{key}"
        number = 1 + sum(name.startswith(f"{parent}/") for name in self.versions)
        made: dict[str, Private] = {
            ED25519: ed25519.Ed25519PrivateKey.generate(),
            P256: ec.generate_private_key(ec.SECP256R1()),
        }
        name = f"{parent}/cryptoKeyVersions/{number}"
        self.versions[name] = KeyVersion(algorithm, private=made.get(algorithm))
        return name

    def claim(self, request: Request) -> Operation | None:
        """Return the operation if the request is for this service."""
        found = _PATH.fullmatch(request.path)
        operation = _OPERATIONS.get((request.method, found[2])) if found is not None else None
        if found is None or operation is None:
            return None
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        caller = token if scheme == "Bearer" else ""
        return Operation(self.name, operation, {"name": found[1]}, caller=caller)

    def perform(self, operation: Operation, request: Request) -> Response:
        """Carry the operation out and word its result or error."""
        name = str(operation.params["name"])
        try:
            version = self._version(operation, name)
            if operation.name == "GetPublicKey":
                return _answer(200, _public_key(name, version))
            return _answer(200, _signed(name, version, request))
        except KmsError as error:
            return _error(error)

    def refuse(self, refusal: Refusal, operation: Operation) -> Response:
        """Return a general refusal."""
        match refusal:
            case Refusal.DENIED:
                return _error(_denied(_PERMISSIONS[operation.name], str(operation.params["name"])))
            case Refusal.THROTTLED:
                return _error(KmsError("RESOURCE_EXHAUSTED", "Quota exceeded for quota metric."))
            case Refusal.INTERNAL:
                return _error(KmsError("INTERNAL", "An internal error has occurred."))

    def _version(self, operation: Operation, name: str) -> KeyVersion:
        if not operation.caller:
            raise KmsError("UNAUTHENTICATED", "Request had invalid authentication credentials.")
        if not self.enabled:
            info = {
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": "SERVICE_DISABLED",
                "domain": "googleapis.com",
            }
            message = "Cloud Key Management Service (KMS) API has not been used before."
            raise KmsError("PERMISSION_DENIED", message, info)
        permission = _PERMISSIONS[operation.name]
        if not allowed(self._roles, operation.caller, [permission]):
            raise _denied(permission, name)
        version = self.versions.get(name)
        if version is None:
            raise KmsError("NOT_FOUND", f"CryptoKeyVersion {name} not found.")
        if version.state != ENABLED:
            # Recorded by users, in these words and with this type.
            missed = {"type": "KEY_DISABLED", "subject": name}
            detail = {
                "@type": "type.googleapis.com/google.rpc.PreconditionFailure",
                "violations": [missed],
            }
            message = f"{name} is not enabled, current state is: {version.state}."
            raise KmsError("FAILED_PRECONDITION", message, detail)
        return version


def _public_key(name: str, version: KeyVersion) -> Mapping[str, Any]:
    private = _private(name, version)
    public = private.public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return {
        "pem": pem.decode(),
        "algorithm": version.algorithm,
        "pemCrc32c": str(crc32c(pem)),
        "name": name,
        "protectionLevel": "SOFTWARE",
    }


def _signed(name: str, version: KeyVersion, request: Request) -> Mapping[str, Any]:
    private = _private(name, version)
    try:
        body = json.loads(request.body)
        data = base64.b64decode(body["data"], validate=True)
    except (ValueError, KeyError, TypeError):
        raise KmsError("INVALID_ARGUMENT", "Invalid request: not modelled without data.") from None
    unknown = body.keys() - {"data", "dataCrc32c"}
    if unknown or len(data) > _MOST:
        raise KmsError("INVALID_ARGUMENT", f"Not modelled, or too long: {sorted(unknown)}")
    given = body.get("dataCrc32c")
    if given is not None and given != str(crc32c(data)):
        raise KmsError("INVALID_ARGUMENT", "The checksum in field data_crc32c did not match.")
    if isinstance(private, ed25519.Ed25519PrivateKey):
        signature = private.sign(data)
    else:
        signature = private.sign(data, ec.ECDSA(SHA256()))
    return {
        "signature": base64.b64encode(signature).decode(),
        "signatureCrc32c": str(crc32c(signature)),
        # What is false is left out.
        **({} if given is None else {"verifiedDataCrc32c": True}),
        "name": name,
        "protectionLevel": "SOFTWARE",
    }


def _private(name: str, version: KeyVersion) -> Private:
    """Return the private key. Which error a symmetric one ends in is not documented."""
    if version.private is None:
        message = f"The purpose of {name} is not ASYMMETRIC_SIGN."
        raise KmsError("FAILED_PRECONDITION", message)
    return version.private


def _denied(permission: str, name: str) -> KmsError:
    message = f"Permission '{permission}' denied on resource '{name}' (or it may not exist)."
    return KmsError("PERMISSION_DENIED", message)


def _error(error: KmsError) -> Response:
    code = _CODES[error.status]
    told: dict[str, Any] = {"code": code, "message": error.message, "status": error.status}
    if error.details:
        told["details"] = list(error.details)
    return _answer(code, {"error": told}, error.status)


def _answer(status: int, document: Mapping[str, Any], error: str = "") -> Response:
    headers = {"Content-Type": "application/json; charset=UTF-8"}
    return Response(status, json.dumps(document).encode(), headers, error)
