"""Sign with an Ed25519 key in Cloud KMS, by its REST interface.

Cloud KMS' client library is no dependency: two calls need neither it nor gRPC. They go the way of
the log's listings (:mod:`daena_kms.sdk.rest`), as the login of everything else. That follows no
redirect, so a token goes to no other host, and it logs nothing.
"""

import base64
import functools
import json
import os
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from daena_kms.errors import AccessDenied, ConfigError, DaenaKMSError, StoreUnavailable
from daena_kms.sdk.errors import Meaning, safe_word
from daena_kms.sdk.forms import check_url
from daena_kms.sdk.gcp.bucket import bundle
from daena_kms.sdk.gcp.login import CREDENTIALS, GcpLogin
from daena_kms.sdk.rest import Answer, Asker, NoAnswer, Why
from daena_kms.sdk.signatures import check_signature
from daena_kms.sdk.transport import BUNDLES, bundle_in

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

#: https://cloud.google.com/kms/docs/resource-hierarchy
_NAME = re.compile(
    r"projects/(?P<project>(?:[a-z0-9.-]+:)?[a-z0-9][a-z0-9-]{0,62})/(?P<rest>"
    r"locations/[a-z0-9-]{1,63}/keyRings/[A-Za-z0-9_-]{1,63}/"
    r"cryptoKeys/[A-Za-z0-9_-]{1,63}/cryptoKeyVersions/[1-9][0-9]{0,9})",
    re.ASCII,
)
_ALGORITHM = "EC_SIGN_ED25519"
_SETTING = "GCP_KMS_ENDPOINT"
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_TIMES = {"timeout": 15, "connect_timeout": 5}
_OK = 200
_NEXT_RUN = "the next run tries again"

#: What an error means, by the word for its status. https://cloud.google.com/apis/design/errors
_ERRORS: Mapping[str, Meaning] = {
    "NOT_FOUND": Meaning(
        ConfigError, "there is no such key version in Cloud KMS", "Check the key version's name"
    ),
    "PERMISSION_DENIED": Meaning(
        AccessDenied,
        "Google Cloud refused the key version, or it does not exist ({why})",
        "Allow cloudkms.cryptoKeyVersions.viewPublicKey and cloudkms.cryptoKeyVersions.useToSign "
        "on the key: the role Cloud KMS CryptoKey Public Key Viewer and the role Cloud KMS "
        "CryptoKey Signer",
        by_policy=True,
    ),
    "UNAUTHENTICATED": Meaning(AccessDenied, "Google Cloud does not know the caller", CREDENTIALS),
    "FAILED_PRECONDITION": Meaning(
        ConfigError,
        "the key version in Cloud KMS can't sign in its present state ({why})",
        f"Enable it. Its algorithm must be {_ALGORITHM}",
    ),
    "INVALID_ARGUMENT": Meaning(
        ConfigError,
        "Cloud KMS rejected the call ({why})",
        f"Check the key version: its algorithm must be {_ALGORITHM}",
    ),
    "RESOURCE_EXHAUSTED": Meaning(
        StoreUnavailable, "Cloud KMS throttled the call ({why})", _NEXT_RUN.capitalize()
    ),
}
#: The reason of a refusal that no permission changes.
_OFF = "SERVICE_DISABLED"
_NOT_ENABLED = Meaning(
    ConfigError,
    "the API of Cloud KMS is not enabled in the project",
    "Run: gcloud services enable cloudkms.googleapis.com",
)
_FAILED = Meaning(StoreUnavailable, "Cloud KMS failed ({why})", f"Try again, or wait: {_NEXT_RUN}")
_NO_GOOGLE = Meaning(
    StoreUnavailable,
    "the answer did not come from Cloud KMS ({why})",
    f"Check {_SETTING}, and any proxy in between; {_NEXT_RUN}",
)
_WHY: Mapping[Why, str] = {
    Why.NAME: "Check the name service, and the endpoint that is set",
    Why.CERTIFICATE: "Check REQUESTS_CA_BUNDLE, this machine's clock, and any proxy that opens TLS",
    Why.NO_TLS: "Check the endpoint's address and port, and any proxy in between",
    Why.PROXY: "Check HTTPS_PROXY and NO_PROXY",
}


class KmsKey:
    """One version of a key for EC_SIGN_ED25519. Nothing is called before it is used.

    Permissions: ``cloudkms.cryptoKeyVersions.viewPublicKey`` and
    ``cloudkms.cryptoKeyVersions.useToSign`` on the key.

    Args:
        name: ``projects/P/locations/L/keyRings/R/cryptoKeys/K/cryptoKeyVersions/V``.
        environ: The environment's settings; by default the process's.
        login: The login to use; by default the environment's.

    Raises:
        ConfigError: ``name``, or the endpoint in ``GCP_KMS_ENDPOINT``, has another form.

    https://cloud.google.com/kms/docs/reference/rest/v1/projects.locations.keyRings.cryptoKeys.cryptoKeyVersions
    """

    def __init__(
        self,
        name: str,
        environ: Mapping[str, str] | None = None,
        login: GcpLogin | None = None,
    ) -> None:
        found = _NAME.fullmatch(name)
        if found is None:
            msg = f"{name[:200]!r} is not the name of a key version in Cloud KMS"
            todo = "Write projects/P/locations/L/keyRings/R/cryptoKeys/K/cryptoKeyVersions/V"
            raise ConfigError(msg, todo=todo)
        settings = os.environ if environ is None else environ
        self.name = name
        self._project, self._rest = found["project"], found["rest"]
        self._endpoint = _checked(settings.get(_SETTING) or None)
        self._login = login or GcpLogin(settings)
        self._public: Ed25519PublicKey | None = None

    def public_key(self) -> "Ed25519PublicKey":
        """Return the public key. It is fetched once.

        Permissions: ``cloudkms.cryptoKeyVersions.viewPublicKey``.

        Raises:
            AccessDenied: Google Cloud refuses the caller.
            ConfigError: The key is of another kind, does not exist or is not enabled, or there are
                no credentials.
            StoreUnavailable: Cloud KMS did not answer, or what came was no answer of it.
        """
        if self._public is None:
            self._public = self._fetched()
        return self._public

    def sign(self, text: bytes) -> bytes:
        """Return the signature of a text, 64 bytes; it was verified by the public key.

        Permissions: ``cloudkms.cryptoKeyVersions.viewPublicKey`` and
        ``cloudkms.cryptoKeyVersions.useToSign``.

        Raises:
            AccessDenied, ConfigError, StoreUnavailable: As for the public key.
        """
        public = self.public_key()
        asked = {"data": base64.b64encode(text).decode(), "dataCrc32c": _crc32c(text)}
        answer = self._asked(lambda: self._signer.post(asked))
        signature = _decoded(answer.get("signature"))
        # What it checked tells that the text arrived, and the other sum that the signature did.
        if answer.get("verifiedDataCrc32c") is not True:
            raise _NO_GOOGLE.about(None, why="the text's checksum was not looked at")
        if not signature or answer.get("signatureCrc32c") != _crc32c(signature):
            raise _NO_GOOGLE.about(None, why="the signature's checksum is wrong")
        return check_signature(public, signature, text, "Cloud KMS")

    def _fetched(self) -> "Ed25519PublicKey":
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
        from cryptography.hazmat.primitives.serialization import load_pem_public_key

        answer = self._asked(lambda: self._reader({}))
        algorithm = safe_word(answer.get("algorithm"))
        if not algorithm:
            raise _NO_GOOGLE.about(None, why="no public key")
        if algorithm != _ALGORITHM:
            msg = f"the key version {self.name} has the algorithm {algorithm}"
            raise ConfigError(msg, todo=f"Use a key version with the algorithm {_ALGORITHM}")
        given = answer.get("pem")
        pem = given.encode() if isinstance(given, str) else b""
        if answer.get("pemCrc32c") != _crc32c(pem):
            raise _NO_GOOGLE.about(None, why="the public key's checksum is wrong")
        try:
            public = load_pem_public_key(pem)
        except (ValueError, UnsupportedAlgorithm):
            public = None
        if not isinstance(public, Ed25519PublicKey):
            raise _NO_GOOGLE.about(None, why="no public key")
        return public

    def _asked(self, ask: Callable[[], Answer]) -> Mapping[str, Any]:
        """Return the document of an answer that is one, and about this key version."""
        try:
            answer = ask()
        except NoAnswer as error:
            ours = _unanswered(error)
        else:
            document = _document(answer)
            if answer.status != _OK:
                raise _refusal(answer.status, document)
            if not self._is_ours(str(document.get("name"))):
                raise _NO_GOOGLE.about(None, why="it is about another key")
            return document
        raise ours

    def _is_ours(self, name: str) -> bool:
        """Say whether a name is this one; for a project's number the answer may have its id."""
        found = _NAME.fullmatch(name)
        if found is None or found["rest"] != self._rest:
            return False
        return found["project"] == self._project or self._project.isdecimal()

    @functools.cached_property
    def _reader(self) -> Asker:
        return self._asker("/publicKey")

    @functools.cached_property
    def _signer(self) -> Asker:
        return self._asker(":asymmetricSign")

    def _asker(self, method: str) -> Asker:
        host = self._endpoint or f"https://cloudkms.{self._login.universe}"
        options: dict[str, Any] = {**_TIMES, "allow_http": self._endpoint is not None}
        trusted = bundle_in(os.environ, *BUNDLES)
        if trusted is not None:
            options["root_certificate"] = trusted
        return Asker(f"{host}/v1/{self.name}{method}", self._authorize, bundle, options)

    def _authorize(self, _url: str) -> Mapping[str, str]:
        token, _ = self._login.token()
        # A person's own login names the project whose quota it uses.
        # https://cloud.google.com/docs/quotas/set-quota-project
        quota = getattr(self._login.credentials(), "quota_project_id", None)
        billed = {"x-goog-user-project": str(quota)} if quota else {}
        return {"Authorization": f"Bearer {token}", **billed}


def _checked(endpoint: str | None) -> str | None:
    """Return an endpoint to which a token may be sent: by TLS, or on this machine."""
    if endpoint is None:
        return None
    parts = check_url(endpoint, _SETTING)
    if parts.scheme != "https" and parts.hostname not in _LOOPBACK:
        msg = f"{_SETTING} is not https://"
        raise ConfigError(msg, todo="Write an https:// address, or unset it")
    return endpoint.rstrip("/")


def _crc32c(octets: bytes) -> str:
    """Return a checksum as the interface writes it: a 64-bit number is text in JSON."""
    import google_crc32c

    return str(int(google_crc32c.value(octets)))


def _decoded(text: object) -> bytes:
    try:
        return base64.b64decode(text, validate=True) if isinstance(text, str) else b""
    except ValueError:
        return b""


def _document(answer: Answer) -> Mapping[str, Any]:
    try:
        read = json.loads(answer.body)
    except (ValueError, RecursionError):
        read = None
    if not isinstance(read, dict):
        raise _NO_GOOGLE.about(None, why=f"status {answer.status}, and no document")
    return read


def _refusal(status: int, document: Mapping[str, Any]) -> DaenaKMSError:
    """Return our error for an error of the service, without its text."""
    told = document.get("error")
    word = safe_word(told.get("status")) if isinstance(told, dict) else ""
    if not isinstance(told, dict) or not word:
        return _NO_GOOGLE.about(None, why=f"status {status}")
    reasons = _reasons(told.get("details"))
    if _OFF in reasons:
        return _NOT_ENABLED.about(None)
    return _ERRORS.get(word, _FAILED).about(None, why=" ".join([word, *reasons]))


def _reasons(details: object) -> list[str]:
    """Return the words that say more than the status: reasons, and what a precondition missed."""
    entries = _objects(details)
    missed = [each for entry in entries for each in _objects(entry.get("violations"))]
    words = [*(entry.get("reason") for entry in entries), *(each.get("type") for each in missed)]
    return [found for word in words if (found := safe_word(word))]


def _objects(listed: object) -> list[dict[str, Any]]:
    return [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []


def _unanswered(error: NoAnswer) -> DaenaKMSError:
    if error.why is Why.SETTING:
        msg = f"Cloud KMS can't be asked ({error})"
        return ConfigError(msg, todo=f"Check {_SETTING} and the proxies that are set")
    todo = _WHY.get(error.why, "Check the network")
    return StoreUnavailable(f"Cloud KMS did not answer ({error})", todo=f"{todo}; {_NEXT_RUN}")
