"""Azure: who we are, what the roles allow, and the state of the container of the claims.

Data actions are tried by calls that change nothing: on a version, or a secret, that does not exist.

- A refusal (403) for a key that is there proves that an action is missing.
- Where a secret is read, the vault decides whether the caller may ask before it looks for it: 403
  was reported for names that no secret had, under roles and under access policies. So 404 proves
  the action. https://github.com/hashicorp/terraform-provider-azurerm/issues/9107
- For a change no document and no report says which comes first. Of deleted secrets the existence
  seems to: a caller who may not read them gets 404 until there is one (azure-keyvault-secrets,
  ``_shared/_polling.py``). So 404 proves nothing there.
- Setting a secret can't be tried: whatever is set is created. Nor are deleting and restoring: on a
  key they could take effect, and on a name that no key has they prove nothing.

https://learn.microsoft.com/azure/key-vault/general/rest-error-codes
"""

import json
import secrets
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from daena_kms.cloud_kms import AzureKeyVaultAdapter
from daena_kms.doctor.base import Exam, ServerTime, server_time
from daena_kms.doctor.check import Check, Status, failed
from daena_kms.doctor.log import create_if_absent, needing
from daena_kms.doctor.permission import Permission, probe
from daena_kms.doctor.place_blob import NEEDS
from daena_kms.errors import DaenaKMSError, KeyNotFound, StoreUnavailable
from daena_kms.objects.address import Access, open_objects
from daena_kms.objects.azure import SCOPE
from daena_kms.objects.base import CLAIMS, Objects
from daena_kms.sdk.azure.client import BOUNDS
from daena_kms.sdk.azure.login import fetch
from daena_kms.settings import Settings

if TYPE_CHECKING:
    from azure.keyvault.secrets import SecretClient

_ACTIONS = "Microsoft.KeyVault/vaults/secrets"
#: It has the form of a version id, but no version has it.
_NO_VERSION = "0" * 32
_SUFFIX_BYTES = 8


class AzureExam(Exam):
    """The checks of one Key Vault and the container of the claims.

    They need no permission of their own.
    """

    def __init__(
        self, adapter: AzureKeyVaultAdapter, settings: Settings, now: Callable[[], datetime]
    ) -> None:
        self._login = adapter.login
        self._vault = adapter.keyvault
        self._settings = settings
        self._now = now

    def credentials(self) -> Iterator[Check]:
        """Yield the kind of credential, and the vault; a token is fetched to try it."""
        credential = self._login.credential()
        fetch(credential, SCOPE)
        found = f"{type(credential).__name__} gives tokens; the vault is {self._vault.host}"
        yield Check("credentials", Status.OK, found)

    def clock(self) -> ServerTime | None:
        """Return the time in an answer of the vault, whatever the answer is."""
        date: str | None = None

        def note(answer: Any) -> None:
            nonlocal date
            # A page of a proxy has a date as well.
            date = answer.http_response.headers.get("Date") if _is_vaults(answer) else None

        name = _made_up_name(None)
        try:
            self._vault.call(None, lambda c: c.get_secret(name, raw_response_hook=note, **BOUNDS))
        except DaenaKMSError:
            if date is None:
                raise
        return server_time("the vault", date, self._now())

    def permissions(self, keys: Sequence[str]) -> Iterator[Check]:
        """Yield one check for each data action on the vault."""
        key = keys[0] if keys else None
        for permission in self._permissions(key, key or _made_up_name(None)):
            yield probe(permission)

    def encryption(self) -> Iterator[Check]:
        """Yield that the vault encrypts: no key of the user is involved."""
        found = "the vault encrypts with its own keys; there is no key of yours to rotate"
        yield Check("encryption", Status.OK, found)

    def claims(self) -> Iterator[Check]:
        """Yield the state of the claims' container: as the log's, but it needs no protection."""
        objects = open_objects(self._settings.claims_url, CLAIMS, Access(login=self._login))
        try:
            sample = _sample(objects, f"{self._vault.name}/")
        except DaenaKMSError as error:
            yield needing(failed("claims: read", error), NEEDS.read)
            return
        yield Check("claims: read", Status.OK, f"{objects.url} can be listed and read")
        yield create_if_absent(objects, sample, "claims", NEEDS)

    def _permissions(self, key: str | None, known: str) -> Iterator[Permission]:
        def permission(
            action: str, use: str, call: Callable[[], object] | None = None, **more: Any
        ) -> Permission:
            on = key or "a name that no key has"
            given = {"always": True, "certain": key is not None, "on": on, **more}
            return Permission(
                f"{_ACTIONS}/{action}",
                use,
                call=call,
                find=f"Look for {_ACTIONS}/{action}: az role assignment list --scope, with the "
                "vault's resource id",
                **given,
            )

        yield permission(
            "readMetadata/action",
            "every run lists the vault",
            self._listed,
            on="the vault",
            certain=True,
            telling=False,
            answered=True,
        )
        # Of a version that does not exist: no value is sent.
        yield permission(
            "getSecret/action",
            "every rotation looks at the key right before it changes it",
            lambda: self._call(lambda c, given: c.get_secret(known, _NO_VERSION, **given)),
        )
        yield permission("setSecret/action", "every rotation needs it")
        yield permission(
            "update/action",
            "retiring, hold and adopt need it",
            lambda: self._call(
                lambda c, given: c.update_secret_properties(known, _NO_VERSION, **given)
            ),
            telling=False,
        )
        # Whatever such a call would answer for a name that no key has proves nothing.
        yield permission("delete", "for delete", always=False)
        yield permission("recover/action", "for restore", always=False)

    def _listed(self) -> None:
        def first(client: "SecretClient", given: dict[str, Any]) -> None:
            # One page: a listing that never ends would never end here either.
            list(next(client.list_properties_of_secrets(**given).by_page(), ()))

        self._call(first)

    def _call(self, call: "Callable[[SecretClient, dict[str, Any]], object]") -> None:
        """Make a call that can't take effect.

        Raises:
            KeyNotFound: the vault says that there is no such secret or version.
            StoreUnavailable: what answered is not a vault, or nothing did.
        """
        vault = False

        def note(answer: Any) -> None:
            nonlocal vault
            vault = _is_vaults(answer)

        try:
            self._vault.call(None, lambda c: call(c, {**BOUNDS, "raw_response_hook": note}))
        except KeyNotFound:
            if vault:
                raise
        if not vault:
            msg = "the answer did not come from a Key Vault"
            todo = "Check the vault's address, and any proxy in between"
            raise StoreUnavailable(msg, todo=todo)


def _is_vaults(answer: Any) -> bool:
    """Return whether an answer has the form of one of Key Vault's: a secret, a page, or an error.

    The SDK reads other documents as a secret or a page with nothing in it.
    """
    try:
        document = json.loads(answer.http_response.text())
    except (ValueError, RecursionError):
        return False
    if not isinstance(document, dict):
        return False
    error = document.get("error")
    code = error.get("code") if isinstance(error, dict) else None
    return any(isinstance(found, str | list) for found in (code, document.get("value")))


def _made_up_name(key: str | None) -> str:
    return f"{key or 'daena-kms-doctor'}-{secrets.token_hex(_SUFFIX_BYTES)}"[-127:]


def _sample(objects: Objects, prefix: str) -> str | None:
    """Return the name of one object, without listing all of them."""
    for name in objects.children(prefix):
        entries = objects.entries(f"{prefix}{name}/")
        if entries:
            return entries[-1].name
    return None
