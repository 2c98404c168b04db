"""The audit log in Blob Storage: whether its blobs can be deleted."""

from collections.abc import Callable, Iterator

from daena_kms.doctor.base import Needs, Place
from daena_kms.doctor.check import Check, Status, failed, unseen
from daena_kms.doctor.web import ask
from daena_kms.errors import StoreUnavailable
from daena_kms.objects.azure import SCOPE
from daena_kms.sdk.azure.clouds import blob_host
from daena_kms.sdk.azure.login import Login, fetch
from daena_kms.settings import Settings

_NAME = "audit log: deletion protection"
_BLOBS = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs"
#: https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes
NEEDS = Needs(
    f"{_BLOBS}/add/action",
    f"{_BLOBS}/read",
    overwrite_codes=frozenset({"UnauthorizedBlobOverwrite"}),
    write_codes=frozenset({"AuthorizationPermissionMismatch"}),
)
_VERSION = "2021-12-02"
_OK, _FORBIDDEN = 200, (401, 403)
_POLICY = "has-immutability-policy"
_READ = "Microsoft.Storage/storageAccounts/blobServices/containers/read"


class BlobPlace(Place):
    """The checks of one container.

    A permission that a rotation does not need:
    ``Microsoft.Storage/storageAccounts/blobServices/containers/read``, for Get Container
    Properties. It is an action, not a data action.
    https://learn.microsoft.com/rest/api/storageservices/get-container-properties
    """

    needs = NEEDS

    def __init__(self, login: Login, account: str, container: str, settings: Settings) -> None:
        self._login = login
        self._emulated = settings.get("AZURE_STORAGE_ACCOUNT_KEY") is not None
        endpoint = settings.get("AZURE_STORAGE_ENDPOINT")
        endpoint = endpoint or f"https://{blob_host(account, login.cloud)}"
        self._url = f"{endpoint.rstrip('/')}/{container}?restype=container"

    def protection(self, *, read: bool) -> Iterator[Check]:
        """Yield whether the container has an immutability policy or a legal hold."""
        del read
        if self._emulated:
            found = "an account key is set, as for an emulator: no policy is asked for"
            yield Check(_NAME, Status.UNKNOWN, found, "Unset AZURE_STORAGE_ACCOUNT_KEY")
            return
        token = fetch(self._login.credential(), SCOPE).token
        try:
            answer = ask(self._url, token, {"x-ms-version": _VERSION})
        except StoreUnavailable as error:
            yield failed(_NAME, error, Status.UNKNOWN)
            return
        if answer.status in _FORBIDDEN:
            yield unseen(_NAME, _READ)
        elif answer.status != _OK or f"x-ms-{_POLICY}" not in answer.headers:
            # Blob Storage says of each container whether it has one; a page of a proxy does not.
            found = f"the container's properties can't be read (status {answer.status})"
            yield Check(_NAME, Status.UNKNOWN, found, "Check the log's address, and any proxy")
        else:
            yield _finding(answer.headers.get)


def _finding(header: Callable[[str], str | None]) -> Check:
    def is_on(name: str) -> bool:
        return header(f"x-ms-{name}") == "true"

    if is_on(_POLICY):
        found = (
            "the container has an immutability policy; whether it is locked can't be seen from here"
        )
        return Check(_NAME, Status.OK, found, "Check that the policy is locked")
    if is_on("has-legal-hold"):
        found = "the container has a legal hold: nothing can be deleted until somebody lifts it"
        return Check(_NAME, Status.WARNING, found, "Set an immutability policy as well")
    if is_on("immutable-storage-with-versioning-enabled"):
        found = "each version may have its own policy, and the container has none for all of them"
        return Check(_NAME, Status.WARNING, found, "Set a policy for the container or the account")
    found = (
        "no immutability policy and no legal hold: anybody who may delete blobs can delete the log"
    )
    todo = "Set a time-based immutability policy on the container, and lock it"
    return Check(_NAME, Status.WRONG, found, todo)
