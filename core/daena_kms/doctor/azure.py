"""Azure: who we are, what the roles allow, and the state of the container of the claims.

Data actions are tried by calls that change nothing: on a version, or a secret, that does not exist.
The vault first decides whether the caller may ask at all, so the answers 403 and 404 tell the two
apart. Setting a secret can't be tried: whatever is set is created.

https://learn.microsoft.com/azure/key-vault/general/rest-error-codes
"""

import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from daena_kms.cloud_kms import AzureKeyVaultAdapter
from daena_kms.doctor.base import Exam, ServerTime, server_time
from daena_kms.doctor.check import Check, Status, failed
from daena_kms.doctor.log import create_if_absent
from daena_kms.doctor.permission import Look, Permission, look, probe
from daena_kms.doctor.place_blob import NEEDS
from daena_kms.errors import DaenaKMSError
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
        dates: list[str | None] = []

        def note(answer: Any) -> None:
            dates.append(answer.http_response.headers.get("Date"))

        try:
            self._call(
                lambda c: c.get_secret(_made_up_name(None), raw_response_hook=note, **BOUNDS)
            )
        except DaenaKMSError:
            if not dates:
                raise
        return server_time("the vault", dates[-1], self._now())

    def permissions(self, keys: Sequence[str]) -> Iterator[Check]:
        """Yield one check for each data action on the vault."""
        key = keys[0] if keys else None
        made_up = _made_up_name(key)
        seen = look(lambda: self._call(lambda c: c.get_secret(made_up, **BOUNDS)))
        for permission in self._permissions(key, made_up, seen):
            yield probe(permission, trusted=seen.trusted)

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
            check = failed("claims: read", error)
            yield replace(check, todo=f"{check.todo}. This needs {NEEDS.read}")
            return
        yield Check("claims: read", Status.OK, f"{objects.url} can be listed and read")
        yield create_if_absent(objects, sample, "claims", NEEDS)

    def _permissions(self, key: str | None, made_up: str, seen: Look) -> Iterator[Permission]:
        known, certain = key or made_up, key is not None

        def free(call: "Callable[[SecretClient], object]") -> Callable[[], object] | None:
            # Only on a name that is certainly free.
            return (lambda: self._call(call)) if seen.free else None

        yield Permission(
            f"{_ACTIONS}/readMetadata/action",
            "every run lists the vault",
            always=True,
            call=lambda: next(
                self._vault.pages(
                    None, lambda c: c.list_properties_of_secret_versions(known, **BOUNDS)
                ),
                None,
            ),
            certain=certain,
        )
        # Of a version that does not exist: no value is sent.
        yield Permission(
            f"{_ACTIONS}/getSecret/action",
            "every rotation looks at the key right before it changes it",
            always=True,
            call=lambda: self._call(lambda c: c.get_secret(known, _NO_VERSION, **BOUNDS)),
            certain=certain,
        )
        yield Permission(f"{_ACTIONS}/setSecret/action", "every rotation needs it", always=True)
        yield Permission(
            f"{_ACTIONS}/update/action",
            "retiring, hold and adopt need it",
            always=True,
            call=lambda: self._call(
                lambda c: c.update_secret_properties(known, _NO_VERSION, **BOUNDS)
            ),
            certain=certain,
        )
        yield Permission(
            f"{_ACTIONS}/delete",
            "for delete",
            always=False,
            call=free(lambda c: c.begin_delete_secret(made_up, **BOUNDS)),
            certain=False,
        )
        yield Permission(
            f"{_ACTIONS}/recover/action",
            "for restore",
            always=False,
            call=free(lambda c: c.begin_recover_deleted_secret(made_up, **BOUNDS)),
            certain=False,
        )

    def _call(self, call: "Callable[[SecretClient], object]") -> None:
        self._vault.call(None, call)


def _made_up_name(key: str | None) -> str:
    return f"{key or 'daena-kms-doctor'}-{secrets.token_hex(_SUFFIX_BYTES)}"[-127:]


def _sample(objects: Objects, prefix: str) -> str | None:
    """Return the name of one object, without listing all of them."""
    for name in objects.children(prefix):
        entries = objects.entries(f"{prefix}{name}/")
        if entries:
            return entries[-1].name
    return None
