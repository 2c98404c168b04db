"""Sign with a P-256 key in Key Vault.

The requests go through the client of azure-keyvault-secrets: its pipeline has the login by the
vault's challenge, the retries and the limits that keys need as well, and each package of a
function has a budget. What azure-keyvault-keys adds to that is models of the answers.
"""

import base64
import hashlib
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from daena_kms.errors import AccessDenied, ConfigError, StoreUnavailable
from daena_kms.sdk.azure.client import BOUNDS, Vault, check_url
from daena_kms.sdk.azure.errors import BY_POLICY, code_of
from daena_kms.sdk.azure.login import Login
from daena_kms.sdk.errors import Meaning, safe_word
from daena_kms.sdk.signatures import check_signature

if TYPE_CHECKING:
    from azure.core.rest import HttpResponse
    from azure.keyvault.secrets import SecretClient
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

_URL = re.compile(
    r"(?P<vault>https://[^/?#]+)/keys/(?P<name>[0-9A-Za-z-]{1,127})(?:/(?P<version>[0-9a-f]{32}))?",
    re.ASCII | re.IGNORECASE,
)
_API_VERSION = "7.4"
_OK, _UNAUTHORIZED, _FORBIDDEN = 200, 401, 403
_CURVE, _ALGORITHM, _SIGN = "P-256", "ES256", "sign"
_TYPES = frozenset({"EC", "EC-HSM"})
#: Bytes of each of the two numbers in a signature, and of each coordinate.
_HALF = 32
_BASE64URL = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
#: By the innermost code of an error. https://learn.microsoft.com/azure/key-vault/general/rest-error-codes
_ERRORS: Mapping[str, Meaning] = {
    "KeyNotFound": Meaning(
        ConfigError, "there is no such key or version in the Key Vault", "Check the key's URL"
    ),
    "KeyDisabled": Meaning(
        ConfigError, "the key in Key Vault is disabled", "Enable it, if it may be used again"
    ),
    "Conflict": Meaning(
        StoreUnavailable,
        "Key Vault is still changing, deleting or recovering the key",
        "Try again in a minute",
    ),
    "BadParameter": Meaning(
        ConfigError,
        "Key Vault rejected the call ({code})",
        "Check the key: it must be an EC key on the curve P-256",
    ),
}
_DENIED = Meaning(
    AccessDenied,
    "Key Vault refused the call ({code})",
    "Allow keys get and sign on this key: the role Key Vault Crypto User, or one with "
    "Microsoft.KeyVault/vaults/keys/read and keys/sign/action. Check the vault's firewall, and "
    "that the key is within its dates",
)


class VaultKey:
    """One version of an EC key on the curve P-256. Nothing is called before it is used.

    Permissions: ``Microsoft.KeyVault/vaults/keys/read`` and
    ``Microsoft.KeyVault/vaults/keys/sign/action`` on the key, which the role Key Vault Crypto User
    has among others; by an access policy, keys ``get`` and ``sign``.

    Args:
        url: ``https://VAULT-HOST/keys/NAME/VERSION``. The version is required, so that a rotation
            of the key in the vault changes no signature unasked.
        environ: The environment's settings, for the login.
        login: The login to use; by default one for the vault's cloud.

    Raises:
        ConfigError: ``url`` has another form.

    https://learn.microsoft.com/rest/api/keyvault/keys/sign/sign
    """

    def __init__(self, url: str, environ: Mapping[str, str], login: Login | None = None) -> None:
        found = _URL.fullmatch(url)
        form = "Write https://VAULT-HOST/keys/NAME/VERSION, with a version of 32 digits"
        if found is None:
            msg = "the address of the key in Key Vault is not that of one version of a key"
            raise ConfigError(msg, todo=form)
        if found["version"] is None:
            msg = f"the address of the key {found['name']!r} in Key Vault names no version"
            raise ConfigError(msg, todo=form)
        vault = check_url(found["vault"])
        self.url = f"{vault}/keys/{found['name']}/{found['version'].lower()}"
        host = urlsplit(vault).hostname
        self._vault = Vault(vault, login or Login(environ, vault_host=host))
        self._public: EllipticCurvePublicKey | None = None

    def public_key(self) -> "EllipticCurvePublicKey":
        """Return the public key. It is fetched once.

        Permissions: keys ``get``.

        Raises:
            AccessDenied: Entra ID or the vault refuses the caller.
            ConfigError: The key is of another kind, does not exist or is not enabled, or there are
                no credentials.
            StoreUnavailable: The vault did not answer, or what came was no answer of a vault.
        """
        if self._public is None:
            self._public = self._vault.call(None, self._fetched)
        return self._public

    def sign(self, text: bytes) -> bytes:
        """Return the ECDSA signature of a text's SHA-256, in DER; it was verified.

        Permissions: keys ``get`` and ``sign``.

        Raises:
            AccessDenied, ConfigError, StoreUnavailable: As for the public key.
        """
        from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

        public = self.public_key()
        document = {"alg": _ALGORITHM, "value": _encoded(hashlib.sha256(text).digest())}
        raw = self._vault.call(None, lambda client: self._signed(client, document))
        first, second = (int.from_bytes(half, "big") for half in (raw[:_HALF], raw[_HALF:]))
        signature = encode_dss_signature(first, second)
        return check_signature(public, signature, text, "Key Vault")

    def _fetched(self, client: "SecretClient") -> "EllipticCurvePublicKey":
        """Return the public key of a key that can sign. An odd answer ends in a ``ValueError``."""
        from cryptography.hazmat.primitives.asymmetric import ec

        bundle = self._ask(client, "GET", self.url)
        key, attributes = bundle["key"], bundle["attributes"]
        self._check_name(key["kid"])
        kind, curve = safe_word(key["kty"]), safe_word(key.get("crv", ""))
        if kind not in _TYPES or curve != _CURVE:
            msg = f"the key {self.url} is of the type {kind}{curve and f' on the curve {curve}'}"
            raise ConfigError(msg, todo=f"Use an EC key on the curve {_CURVE}")
        if _SIGN not in key["key_ops"]:
            allowed = ", ".join(filter(None, map(safe_word, key["key_ops"]))) or "nothing"
            msg = f"the key {self.url} may be used for {allowed} alone"
            raise ConfigError(msg, todo=f"Use a key with {_SIGN} among its key operations")
        if attributes["enabled"] is not True:
            raise _ERRORS["KeyDisabled"].about(None)
        halves = [_decoded(key[name], _HALF) for name in ("x", "y")]
        x, y = (int.from_bytes(half, "big") for half in halves)
        return ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()

    def _signed(self, client: "SecretClient", document: Mapping[str, str]) -> bytes:
        answer = self._ask(client, "POST", f"{self.url}/sign", document)
        self._check_name(answer["kid"])
        return _decoded(answer["value"], 2 * _HALF)

    def _check_name(self, kid: str) -> None:
        """Check that an answer is about this version; a vault may write names in either case."""
        theirs, ours = urlsplit(kid.lower()), urlsplit(self.url.lower())
        if (theirs.hostname, theirs.path) != (ours.hostname, ours.path):
            msg = "another key"
            raise ValueError(msg)

    @staticmethod
    def _ask(
        client: "SecretClient", method: str, url: str, document: Mapping[str, str] | None = None
    ) -> Any:
        from azure.core.rest import HttpRequest

        asked = HttpRequest(method, f"{url}?api-version={_API_VERSION}", json=document)
        answer = client.send_request(asked, **BOUNDS)
        if answer.status_code != _OK:
            _refuse(answer)
        return answer.json()


def _refuse(answer: "HttpResponse") -> None:
    """Raise our error for a refusal that is about keys, and the SDK's for any other."""
    from azure.core.exceptions import ClientAuthenticationError, HttpResponseError

    if answer.status_code == _UNAUTHORIZED:
        raise ClientAuthenticationError(response=answer)
    error = HttpResponseError(response=answer)
    code = code_of(error)
    meaning = _ERRORS.get(code) or (_DENIED if answer.status_code == _FORBIDDEN else None)
    if meaning is None:
        raise error
    ours = meaning.about(None, code=code)
    if isinstance(ours, AccessDenied):
        ours.by_policy = code in BY_POLICY
    raise ours


def _encoded(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def _decoded(text: str, length: int) -> bytes:
    """Return so many bytes from base64url without padding. Raises ``ValueError`` for others."""
    found = base64.urlsafe_b64decode(text + "==") if _BASE64URL.fullmatch(text) else b""
    if len(found) != length:
        msg = "another length"
        raise ValueError(msg)
    return found
