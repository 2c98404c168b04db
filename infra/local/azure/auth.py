"""Who calls a simulated Azure service, and what they may do there.

Tokens are signed for one certificate authority, so for the simulators of one process; a process
that knows the authority's file can make them, too. Times in tokens are real, whatever the
simulated time is: the SDK compares them with its own clock.
"""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from azure.core.credentials import AccessToken, AccessTokenInfo, TokenRequestOptions

TENANT = "00000000-0000-0000-0000-00000000da7a"
AUTHORITY = f"https://login.microsoftonline.com/{TENANT}"
VAULT_AUDIENCE = "https://vault.azure.net"
BLOB_AUDIENCE = "https://storage.azure.com"
#: The one to whom everything is allowed, unless a test takes it away.
OWNER = "rotator"

VAULT = "vault"
_SECRETS = "Microsoft.KeyVault/vaults/secrets"
_KEYS = "Microsoft.KeyVault/vaults/keys"
_BLOBS = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs"
READ_METADATA = f"{_SECRETS}/readMetadata/action"
GET_SECRET = f"{_SECRETS}/getSecret/action"
SET_SECRET = f"{_SECRETS}/setSecret/action"
UPDATE_SECRET = f"{_SECRETS}/update/action"
DELETE_SECRET = f"{_SECRETS}/delete"
RECOVER_SECRET = f"{_SECRETS}/recover/action"
PURGE_SECRET = f"{_SECRETS}/purge/action"
BACKUP_SECRET = f"{_SECRETS}/backup/action"
RESTORE_SECRET = f"{_SECRETS}/restore/action"
READ_KEY, SIGN_KEY = f"{_KEYS}/read", f"{_KEYS}/sign/action"
CREATE_KEY, UPDATE_KEY = f"{_KEYS}/create/action", f"{_KEYS}/update/action"
READ_BLOB, WRITE_BLOB = f"{_BLOBS}/read", f"{_BLOBS}/write"
#: An action of the control plane, which Get Container Properties takes with a token.
READ_CONTAINER = "Microsoft.Storage/storageAccounts/blobServices/containers/read"
ADD_BLOB, DELETE_BLOB = f"{_BLOBS}/add/action", f"{_BLOBS}/delete"

#: The data actions of some built-in roles, as far as they are modelled here.
#: https://learn.microsoft.com/azure/role-based-access-control/built-in-roles/security
#: https://learn.microsoft.com/azure/role-based-access-control/built-in-roles/storage
ROLES = {
    "Key Vault Secrets Officer": (f"{_SECRETS}/*",),
    "Key Vault Secrets User": (GET_SECRET, READ_METADATA),
    "Key Vault Reader": (READ_METADATA, READ_KEY),
    "Key Vault Crypto Officer": (f"{_KEYS}/*",),
    "Key Vault Crypto User": (READ_KEY, UPDATE_KEY, SIGN_KEY),
    "Storage Blob Data Contributor": (READ_BLOB, WRITE_BLOB, ADD_BLOB, DELETE_BLOB, READ_CONTAINER),
    "Storage Blob Data Reader": (READ_BLOB, READ_CONTAINER),
}


def container(name: str) -> str:
    """Return the scope of a container of blobs."""
    return f"container/{name}"


def secret(name: str) -> str:
    """Return the scope of one secret."""
    return f"{VAULT}/secrets/{name.lower()}"


def key(name: str) -> str:
    """Return the scope of one key."""
    return f"{VAULT}/keys/{name.lower()}"


@dataclass
class Roles:
    """Role assignments: to whom, which data actions, on which scope and all below it."""

    assigned: list[tuple[str, str, str]] = field(default_factory=list)
    """Principal, pattern of actions, scope; an empty scope is everything."""
    used: dict[str, set[str]] = field(default_factory=dict)
    """The actions that each principal's calls needed, allowed or not."""

    def assign(self, principal: str, role: str | Iterable[str], scope: str = "") -> None:
        """Give a principal a built-in role, or some actions, on a scope."""
        actions = ROLES[role] if isinstance(role, str) else role
        self.assigned += [(principal, action, scope) for action in actions]

    def revoke(self, principal: str) -> None:
        """Take everything from a principal."""
        self.assigned = [given for given in self.assigned if given[0] != principal]

    def allow(self, principal: str, action: str, scope: str) -> bool:
        """Note that a call needs an action, and say whether it is allowed."""
        self.used.setdefault(principal, set()).add(action)
        return any(
            whom == principal
            and fnmatchcase(action.lower(), pattern.lower())
            and (where in {"", scope} or scope.startswith(where + "/"))
            for whom, pattern, where in self.assigned
        )


class Tokens:
    """Makes bearer tokens for one certificate authority, and checks them."""

    def __init__(self, ca_file: str) -> None:
        self._key = hashlib.sha256(Path(ca_file).read_bytes()).digest()
        # What was signed right once stays so, and a client shows one token for an hour.
        self._read: dict[str, dict[str, Any]] = {}

    def make(self, principal: str, audience: str, expires: float) -> str:
        """Return a token of this principal for the service that the audience names."""
        claims = {"sub": principal, "aud": audience, "exp": int(expires), "iss": AUTHORITY}
        body = _encode(json.dumps(claims).encode())
        return f"{body}.{self._sign(body)}"

    def check(self, token: str, audience: str) -> str:
        """Return whose token it is. Raises :class:`ValueError`, saying what is wrong with it."""
        claims = self._read.get(token)
        if claims is None:
            body, _, signature = token.partition(".")
            if not hmac.compare_digest(signature.encode(), self._sign(body).encode()):
                raise ValueError("Signature validation failed.")
            claims = self._read[token] = json.loads(base64.urlsafe_b64decode(body + "=="))
        if claims["aud"] != audience:
            raise ValueError("Audience validation failed. Audience did not match.")
        if claims["exp"] <= time.time():
            raise ValueError("Lifetime validation failed. The token is expired.")
        return str(claims["sub"])

    def _sign(self, body: str) -> str:
        return _encode(hmac.digest(self._key, body.encode(), "sha256"))


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class SimulatedCredential:
    """A credential of azure-identity's form; ``asked`` holds the scopes it was asked for."""

    def __init__(self, ca_file: str, principal: str = OWNER, *, lifetime: float = 3600) -> None:
        self._tokens = Tokens(ca_file)
        self._principal = principal
        self._lifetime = lifetime
        self.asked: list[str] = []

    def get_token(
        self,
        *scopes: str,
        claims: str | None = None,
        tenant_id: str | None = None,
        enable_cae: bool = False,
        **_options: Any,
    ) -> AccessToken:
        """Return a token for a scope, such as ``https://vault.azure.net/.default``."""
        del claims, tenant_id, enable_cae
        return AccessToken(*self._made(scopes))

    def get_token_info(
        self, *scopes: str, options: TokenRequestOptions | None = None
    ) -> AccessTokenInfo:
        """Return the same, as the SDK asks for it."""
        del options
        return AccessTokenInfo(*self._made(scopes))

    def close(self) -> None:
        """Nothing is open."""

    def _made(self, scopes: tuple[str, ...]) -> tuple[str, int]:
        (scope,) = scopes
        self.asked.append(scope)
        expires = int(time.time() + self._lifetime)
        audience = scope.removesuffix("/.default").removesuffix("/")
        return self._tokens.make(self._principal, audience, expires), expires
