"""Azure: who we are, what the roles allow, and where rotations are claimed.

Data actions are tried by calls that change nothing: on a version, or a secret, that is not there.
The vault decides first whether the caller may ask at all, so 403 and 404 tell the two apart. To
set a secret can't be tried: whatever is set, is made.

https://learn.microsoft.com/azure/key-vault/general/rest-error-codes
"""

import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from daena_kms.cloud_kms import AzureKeyVaultAdapter
from daena_kms.doctor.base import Exam, Told, told
from daena_kms.doctor.check import Check, Permission, Status, failed, probe
from daena_kms.doctor.log import create_if_absent
from daena_kms.doctor.place_blob import NEEDS
from daena_kms.errors import DaenaKMSError, KeyNotFound
from daena_kms.objects.address import Access, open_objects
from daena_kms.objects.azure import SCOPE
from daena_kms.objects.base import CLAIMS, Objects
from daena_kms.sdk.azure.client import BOUNDS
from daena_kms.sdk.azure.login import fetch
from daena_kms.settings import Settings

if TYPE_CHECKING:
    from azure.keyvault.secrets import SecretClient

_ACTIONS = "Microsoft.KeyVault/vaults/secrets"
#: Of the form that version ids have; none is all zeros.
_NO_VERSION = "0" * 32
_SUFFIX_BYTES = 8


class AzureExam(Exam):
    """The questions for one Key Vault and the container of the claims."""

    def __init__(self, adapter: AzureKeyVaultAdapter, now: Callable[[], datetime]) -> None:
        self._login = adapter.login
        self._vault = adapter.keyvault
        self._now = now

    def credentials(self) -> Iterator[Check]:
        """Get a token, by the credential that all of it uses."""
        credential = self._login.credential()
        fetch(credential, SCOPE)
        found = f"{type(credential).__name__} gives tokens; the vault is {self._vault.host}"
        yield Check("credentials", Status.OK, found)

    def clock(self) -> Told | None:
        """Read the date of an answer of the vault's, whatever it says."""
        dates: list[str | None] = []

        def note(answer: Any) -> None:
            dates.append(answer.http_response.headers.get("Date"))

        try:
            self._call(lambda c: c.get_secret(_nobody(None), raw_response_hook=note, **BOUNDS))
        except DaenaKMSError:
            if not dates:
                raise
        return told("the vault", dates[-1], self._now())

    def permissions(self, keys: Sequence[str]) -> Iterator[Check]:
        """Try each data action on the vault."""
        key = keys[0] if keys else None
        nobody = _nobody(key)
        absent, trusted = self._look_for(nobody)
        for permission in self._permissions(key, nobody, absent=absent):
            yield probe(permission, trusted=trusted)

    def encryption(self) -> Iterator[Check]:
        """Key Vault's secrets are under Microsoft's keys, and no key of ours is beneath them."""
        found = "the vault encrypts by itself; there is no key of yours to rotate"
        yield Check("encryption", Status.OK, found)

    def places(self) -> Iterator[Check]:
        """Look at the claims' container, which needs what the log's needs, and no protection."""
        objects = open_objects(Settings.load().claims_url, CLAIMS, Access(login=self._login))
        try:
            sample = _sample(objects, f"{self._vault.name}/")
        except DaenaKMSError as error:
            found = failed("claims: read", error)
            yield replace(found, todo=f"{found.todo}. It takes {NEEDS.read}")
            return
        yield Check("claims: read", Status.OK, f"{objects.url} can be listed and read")
        yield create_if_absent(objects, sample, "claims", NEEDS)

    def _look_for(self, name: str) -> tuple[bool, bool]:
        """Say whether there certainly is no secret of a name, and if a refusal of it has meaning.

        It has none where roles are assigned for each secret.
        """
        try:
            self._call(lambda c: c.get_secret(name, **BOUNDS))
        except KeyNotFound:
            return True, True
        except DaenaKMSError:
            return False, False
        return False, False

    def _permissions(self, key: str | None, nobody: str, *, absent: bool) -> Iterator[Permission]:
        known, certain = key or nobody, key is not None

        def free(call: "Callable[[SecretClient], object]") -> Callable[[], object] | None:
            # Only on a name that is certainly free.
            return (lambda: self._call(call)) if absent else None

        yield Permission(
            f"{_ACTIONS}/readMetadata/action",
            "every run lists the vault",
            always=True,
            call=lambda: self._call(
                lambda c: next(c.list_properties_of_secret_versions(known, **BOUNDS), None)
            ),
            certain=certain,
        )
        # Of a version that is not there: no value is sent.
        yield Permission(
            f"{_ACTIONS}/getSecret/action",
            "every rotation looks at the key right before its change",
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
            call=free(lambda c: c.begin_delete_secret(nobody, **BOUNDS)),
            certain=False,
        )
        yield Permission(
            f"{_ACTIONS}/recover/action",
            "for restore",
            always=False,
            call=free(lambda c: c.begin_recover_deleted_secret(nobody, **BOUNDS)),
            certain=False,
        )

    def _call(self, call: "Callable[[SecretClient], object]") -> None:
        self._vault.call(None, call)


def _nobody(key: str | None) -> str:
    return f"{key or 'daena-kms-doctor'}-{secrets.token_hex(_SUFFIX_BYTES)}"[-127:]


def _sample(objects: Objects, prefix: str) -> str | None:
    """Return the name of one object, without listing all that there are."""
    for name in objects.children(prefix):
        found = objects.entries(f"{prefix}{name}/")
        if found:
            return found[-1].name
    return None
