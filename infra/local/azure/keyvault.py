"""A simulated vault: Key Vault's REST protocol for secrets and keys, as strict as its reference.

A request without a token is told how to get one, before anything of it is looked at, and is no
call in the log. https://learn.microsoft.com/azure/key-vault/general/authentication-requests-and-responses
"""

import json
import re
import time
from collections.abc import Callable
from typing import ClassVar, NamedTuple

from infra.local.azure import auth
from infra.local.azure.auth import Roles, Tokens
from infra.local.azure.documents import REDACTED, AzureError, Clock, Json, answer, bad, error_answer
from infra.local.azure.keys import Keys
from infra.local.azure.secrets import Asked, Secrets
from infra.local.azure.secrets_deleted import DeletedSecrets
from infra.local.azure.secrets_documents import Forms, checked_name
from infra.local.azure.secrets_state import SecretsState
from infra.local.http_server import Request, Response
from infra.local.server import Operation, Refusal

SERVICE = "keyvault"
NOT_MODELLED = "NotModelled"
API_VERSION = re.compile(r"7\.\d|\d{4}-\d\d-\d\d")
#: The quota "Secret CREATE secret: 300" in 10 s; all others share a far higher one.
#: https://learn.microsoft.com/azure/key-vault/general/service-limits
CREATE = "create"
#: The first that fits: a word in the path comes before a version.
PATHS = tuple(
    (method, re.compile(path.replace("*", "(?P<name>[^/]+)") + "/?"), operation)
    for method, path, operation in (
        ("GET", "/secrets", "GetSecrets"),
        ("GET", "/secrets/*/versions", "GetSecretVersions"),
        ("GET", "/secrets/*(/(?P<version>[^/]+))?", "GetSecret"),
        ("PUT", "/secrets/*", "SetSecret"),
        ("PATCH", "/secrets/*(/(?P<version>[^/]+))?", "UpdateSecret"),
        ("DELETE", "/secrets/*", "DeleteSecret"),
        ("POST", "/secrets/restore", "RestoreSecret"),
        ("POST", "/secrets/*/backup", "BackupSecret"),
        ("GET", "/deletedsecrets", "GetDeletedSecrets"),
        ("GET", "/deletedsecrets/*", "GetDeletedSecret"),
        ("DELETE", "/deletedsecrets/*", "PurgeDeletedSecret"),
        ("POST", "/deletedsecrets/*/recover", "RecoverDeletedSecret"),
        ("POST", "/keys/*/create", "CreateKey"),
        ("GET", "/keys/*(/(?P<version>[^/]+))?", "GetKey"),
        ("PATCH", "/keys/*(/(?P<version>[^/]+))?", "UpdateKey"),
        ("POST", "/keys/*/(?P<version>[^/]+)/sign", "Sign"),
    )
)
_MISSING = "AKV10000: Request is missing a Bearer or PoP token."


class Route(NamedTuple):
    """One operation: what carries it out, the permission it takes, whether it writes."""

    run: Callable[[Asked], Json | None]
    action: str
    writes: bool = False


class KeyVault(SecretsState):
    """The service and its state: secrets, and apart from them ``keys``. ``roles`` says who may."""

    name: ClassVar[str] = SERVICE

    def __init__(
        self,
        clock: Clock,
        tokens: Tokens,
        roles: Roles,
        elapsed: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(clock, elapsed)
        self._tokens = tokens
        self._roles = roles
        self.challenges = 0
        """How often a request without a token was told to get one."""
        self.reading = live = Secrets(self)
        gone = DeletedSecrets(self, live)
        self.keys = keys = Keys(clock)
        self._routes = {
            "GetSecret": Route(live.get, auth.GET_SECRET),
            "GetSecrets": Route(live.list, auth.READ_METADATA),
            "GetSecretVersions": Route(live.list_versions, auth.READ_METADATA),
            "SetSecret": Route(live.set, auth.SET_SECRET, writes=True),
            "UpdateSecret": Route(live.update, auth.UPDATE_SECRET, writes=True),
            "DeleteSecret": Route(gone.delete, auth.DELETE_SECRET, writes=True),
            "GetDeletedSecret": Route(gone.get, auth.READ_METADATA),
            "GetDeletedSecrets": Route(gone.list, auth.READ_METADATA),
            "RecoverDeletedSecret": Route(gone.recover, auth.RECOVER_SECRET, writes=True),
            "PurgeDeletedSecret": Route(gone.purge, auth.PURGE_SECRET, writes=True),
            "BackupSecret": Route(gone.backup, auth.BACKUP_SECRET),
            "RestoreSecret": Route(gone.restore, auth.RESTORE_SECRET),
            "CreateKey": Route(keys.create, auth.CREATE_KEY),
            "GetKey": Route(keys.get, auth.READ_KEY),
            "UpdateKey": Route(keys.update, auth.UPDATE_KEY),
            "Sign": Route(keys.sign, auth.SIGN_KEY),
        }

    def claim(self, request: Request) -> Operation | None:
        """Return the operation; every request over TLS is for the vault."""
        if not request.secure:
            return None
        if "authorization" not in request.headers:
            return Operation(SERVICE, "Challenge", {}, challenge=True)
        operation, name, version = _named(request)
        given: Json = {"name": name, "version": version}
        given["maxresults"] = request.query.get("maxresults", "")
        params = {key: value for key, value in given.items() if value} | _recorded(request)
        route = self._routes.get(operation)
        return Operation(
            SERVICE,
            operation,
            params,
            group=CREATE if operation == "SetSecret" else None,
            caller=self._caller(request),
            writes=f"{SERVICE}/{name.lower()}" if route is not None and route.writes else None,
        )

    def perform(self, operation: Operation, request: Request) -> Response:
        """Carry the operation out and word its result or error."""
        try:
            return self._perform(operation, request)
        except AzureError as error:
            return error_answer(request, error)

    def refuse(self, refusal: Refusal, operation: Operation) -> Response:
        """Return Key Vault's form of a general refusal."""
        match refusal:
            case Refusal.DENIED:
                return _error(_forbidden(operation.caller or "", operation.name, ""))
            case Refusal.THROTTLED:
                message = (
                    "Request was not processed because too many requests were received. "
                    "Reason: VaultRequestTypeLimitReached"
                )
                return _error(AzureError(429, "Throttled", message))
            case Refusal.INTERNAL:
                return _error(AzureError(500, "InternalServerError", "An internal error occurred."))

    def _perform(self, operation: Operation, request: Request) -> Response:
        if operation.challenge:
            self.challenges += 1
            raise _unauthorized(_MISSING)
        caller = self._authenticated(request)
        if API_VERSION.fullmatch(request.query.get("api-version", "")) is None:
            raise bad("api-version must be specified, and one that is supported.")
        name, version = _named(request)[1:]
        route = self._routes.get(operation.name)
        if route is None:
            raise AzureError(405, "MethodNotAllowed", "This request is not modelled.")
        scope = _scope(request, name)
        if not self._roles.allow(caller, route.action, scope):
            if operation.name == "GetDeletedSecret" and name.lower() not in self.deleted:
                # Of deleted secrets existence comes first: azure-keyvault-secrets, _polling.py.
                raise AzureError(404, "SecretNotFound", f"Deleted Secret not found: {name}")
            raise _forbidden(caller, route.action, scope)
        if name:
            checked_name(name)
        if operation.clash and not self.settings.parallel_writes:
            message = (
                f"There was a conflict while changing the secret '{name}'. This can happen when "
                "multiple operations are performed in parallel against the secret. To avoid this "
                "error, perform operations against the secret in a sequential manner."
            )
            raise AzureError(409, "Conflict", message)
        self.purge_expired()
        base = f"https://{request.headers.get('host', '')}"
        forms = Forms(base, self.settings)
        result = route.run(Asked(name, version, request, forms, base, operation.stale))
        return answer(request, 204 if result is None else 200, result)

    def _authenticated(self, request: Request) -> str:
        """Return whose token it is."""
        scheme, _, token = request.headers["authorization"].partition(" ")
        if scheme.lower() != "bearer":
            raise _unauthorized(_MISSING)
        try:
            return self._tokens.check(token.strip(), auth.VAULT_AUDIENCE)
        except ValueError as error:
            raise _unauthorized(f"AKV10032: {error}", error="invalid_token") from None

    def _caller(self, request: Request) -> str:
        try:
            return self._authenticated(request)
        except AzureError:
            return ""


def _named(request: Request) -> tuple[str, str, str]:
    """Return the operation, and the name and version in the path."""
    for method, path, operation in PATHS:
        found = path.fullmatch(request.path) if method == request.method else None
        if found is not None:
            parts = found.groupdict(default="")
            return operation, parts.get("name", ""), parts.get("version", "")
    return NOT_MODELLED, "", ""


def _scope(request: Request, name: str) -> str:
    """Return what a role must cover: a secret, a key, or the vault."""
    if not name:
        return auth.VAULT
    return auth.key(name) if request.path.startswith("/keys/") else auth.secret(name)


def _recorded(request: Request) -> Json:
    """Return the body's members without the value."""
    try:
        body = json.loads(request.body or b"{}")
    except ValueError:
        return {}
    if not isinstance(body, dict):
        return {}
    return {key: REDACTED if key == "value" else body[key] for key in body}


def _error(error: AzureError) -> Response:
    return error_answer(Request("", "", {}, {}, b""), error)


def _unauthorized(message: str, **more: str) -> AzureError:
    words = {"authorization": auth.AUTHORITY, "resource": auth.VAULT_AUDIENCE, **more}
    challenge = ", ".join(f'{name}="{value}"' for name, value in words.items())
    headers = {"WWW-Authenticate": f"Bearer {challenge}"}
    return AzureError(401, "Unauthorized", message, headers=headers)


def _forbidden(caller: str, action: str, scope: str) -> AzureError:
    message = (
        "Caller is not authorized to perform action on resource.\r\nIf role assignments, deny "
        "assignments or role definitions were changed recently, please observe propagation time."
        f"\r\nCaller: appid={caller}\r\nAction: '{action}'\r\nResource: '{scope}'\r\n"
        "Assignment: (not found)\r\nDecisionReason: 'DeniedWithNoValidRBAC'\r\n"
    )
    return AzureError(403, "Forbidden", message, "ForbiddenByRbac")
