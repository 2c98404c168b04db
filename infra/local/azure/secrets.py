"""The operations on live secrets, as Key Vault's REST reference has them."""

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from infra.local.azure.documents import AzureError, Json, bad, parsed
from infra.local.azure.secrets_documents import (
    VERSION,
    Forms,
    check_window,
    checked_fields,
    checked_name,
    checked_value,
    not_found,
)
from infra.local.azure.secrets_state import Names, Secret, SecretsState, View
from infra.local.http_server import Request

#: "If not specified the service will return up to 25 results", and at most that many:
#: https://learn.microsoft.com/rest/api/keyvault/secrets/get-secrets/get-secrets#uri-parameters
PAGE = 25


@dataclass(frozen=True)
class Asked:
    """A request, taken apart."""

    name: str
    version: str
    request: Request
    forms: Forms
    base: str
    stale: bool = False


class Secrets:
    """Get, list, set and update, live or from a moment that a test froze."""

    def __init__(self, state: SecretsState) -> None:
        self._state = state
        self.frozen_listing: View | None = None
        self.frozen_reads: View | None = None

    def get(self, asked: Asked) -> Json:
        """Return a version with its value; without a version the newest, whatever it is."""
        secret = self._read(asked)
        path = f"{asked.name}/{asked.version}".rstrip("/")
        if secret is None:
            raise not_found(path)
        version = secret.newest
        if asked.version:
            if VERSION.fullmatch(asked.version) is None:
                raise bad(f"The request URI contains an invalid version: {asked.version[:200]}")
            if asked.version not in secret.versions:
                raise not_found(path)
            version = secret.versions[asked.version]
        if not version.enabled:
            raise disabled()
        return asked.forms.bundle(secret, version, value=True)

    def list(self, asked: Asked) -> Json:
        """Return a page of the secrets, each with its newest version's attributes and tags."""
        view = self.frozen_listing or View(self._state.live, self._state.names())
        if asked.stale:
            view = self._as_before(view)
        return page(
            asked,
            view.names.after,
            lambda name: asked.forms.item(
                view.secrets[name], view.secrets[name].newest, with_id=False
            ),
        )

    def list_versions(self, asked: Asked) -> Json:
        """Return a page of a secret's versions, in the order of their ids, which means nothing.

        A secret that is not there has no versions; nothing documents a 404.
        """
        secret = self._read(asked)
        versions = secret.versions if secret is not None else {}
        return page(
            asked,
            Names(sorted(versions)).after,
            lambda version: asked.forms.item(
                secret or Secret(asked.name, {}), versions[version], with_id=True
            ),
        )

    def set(self, asked: Asked) -> Json:
        """Make a version, and with it the secret; it is the newest at once.

        Nothing of the version before it is kept: what is not given is not set.
        """
        body = parsed(asked.request)
        value = checked_value(body)
        fields = checked_fields(body, also=frozenset({"value"}))
        held = self._state.live.get(asked.name.lower())
        if held is not None:
            refuse_managed(held, "set")
        self._state.check_writable(asked.name)
        version = self._state.make_version(value, **fields)
        check_window(version)
        made = (held or Secret(checked_name(asked.name), {})).with_version(version)
        self._state.put(made)
        return asked.forms.bundle(made, version, value=True)

    def update(self, asked: Asked) -> Json:
        """Change the attributes that are given, and all tags if any are; never the value."""
        fields = checked_fields(parsed(asked.request))
        secret = self.live(asked.name)
        refuse_managed(secret, "update")
        version = secret.newest
        if asked.version:
            if asked.version not in secret.versions:
                raise not_found(f"{asked.name}/{asked.version}")
            version = secret.versions[asked.version]
        changed = replace(version, updated=self._state.now(), **fields)  # type: ignore[arg-type]  # checked above
        check_window(changed)
        self._state.put(secret.with_version(changed))
        return asked.forms.bundle(secret, changed, value=False)

    def live(self, name: str) -> Secret:
        """Return a secret that is neither deleted nor on its way back."""
        secret = self._state.live.get(name.lower())
        if secret is None or self._state.under_way(name):
            raise not_found(name)
        return secret

    def _read(self, asked: Asked) -> Secret | None:
        key = asked.name.lower()
        if self.frozen_reads is not None:
            return self.frozen_reads.secrets.get(key)
        if asked.stale and key in self._state.before:
            return self._state.before[key]
        if key in self._state.live and self._state.under_way(key):
            return None
        return self._state.live.get(key)

    def _as_before(self, view: View) -> View:
        """Return a listing without the last write."""
        last = next(reversed(self._state.before), None)
        if last is None:
            return view
        shown: dict[str, Secret] = {k: s for k, s in view.secrets.items() if k != last}
        before = self._state.before[last]
        if before is not None:
            shown[last] = before
        return View(shown, Names(sorted(shown)))


def page(
    asked: Asked, after: Callable[[str, int], Sequence[str]], item: Callable[[str], Json]
) -> Json:
    """Return one page of a listing, with the address of the next if there is more."""
    query = asked.request.query
    size = _size(query)
    names = after(_position(query), size + 1)
    answer: Json = {"value": [item(name) for name in names[:size]], "nextLink": None}
    if len(names) > size:
        token = base64.urlsafe_b64encode(names[size - 1].encode()).rstrip(b"=").decode()
        version = query["api-version"]
        path = asked.request.path.rstrip("/")
        answer["nextLink"] = (
            f"{asked.base}{path}?api-version={version}&$skiptoken={token}&maxresults={size}"
        )
    return answer


def disabled() -> AzureError:
    """Return the error for a read of a disabled version."""
    message = "Operation get is not allowed on a disabled secret."
    return AzureError(403, "Forbidden", message, "SecretDisabled")


def refuse_managed(secret: Secret, operation: str) -> None:
    """Refuse to change what belongs to a certificate."""
    if secret.kid:
        message = (
            f'Operation "{operation}" is not allowed as this object\'s lifetime is managed by '
            "Key Vault."
        )
        raise AzureError(403, "Forbidden", message, "SecretManagedByKeyVault")


def _size(query: Mapping[str, str]) -> int:
    size = query.get("maxresults", str(PAGE))
    if not size.isdecimal() or not 1 <= int(size) <= PAGE:
        raise bad(f"Parameter maxresults must be from 1 to {PAGE}.")
    return int(size)


def _position(query: Mapping[str, str]) -> str:
    token = query.get("$skiptoken", "")
    try:
        return base64.urlsafe_b64decode(token + "==").decode()
    except ValueError:
        raise bad("Parameter $skiptoken is invalid.") from None
