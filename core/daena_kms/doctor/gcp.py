"""Google Cloud: who we are, what IAM allows, and which key encrypts the values.

IAM itself says which permissions the caller has: first on the project, from which every secret
inherits, then, for a permission that is missing there, on one secret. Google says that such an
answer "may fail open": it is meant for tools like this one, not for authorization. A secret that
does not exist has an empty set of permissions, so that counts only for a secret that is listed.

https://cloud.google.com/secret-manager/docs/reference/rest/v1/projects.secrets/testIamPermissions
https://cloud.google.com/resource-manager/reference/rest/v1/projects/testIamPermissions
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any

from daena_kms.cloud_kms import GCPSecretManagerAdapter
from daena_kms.doctor.base import Exam, ServerTime, server_time
from daena_kms.doctor.check import Check, Status
from daena_kms.doctor.infrastructure import created_by
from daena_kms.doctor.permission import Permission, refused
from daena_kms.doctor.web import Answer, allowed_in, ask
from daena_kms.errors import DaenaKMSError
from daena_kms.rules.policy import MANAGED
from daena_kms.sdk.forms import check_url
from daena_kms.settings import Settings

_PROJECTS = "https://cloudresourcemanager."
_TERRAFORM = "goog-terraform-provisioned"
_ROTATING = {
    "secrets.list": "every run lists the secrets",
    "secrets.get": "every rotation looks at the key",
    "secrets.update": "every rotation writes claims, aliases and annotations",
    "versions.add": "every rotation needs it",
    "versions.get": "a run looks at the version that an interrupted one left",
    "versions.list": "after an interrupted run, and for audit verify",
    "versions.disable": "retiring needs it",
    "versions.destroy": "destroying needs it",
}
_PERSONAL = {
    "versions.access": "for show --reveal, adopt and rollback",
    "secrets.create": "for create",
    "versions.enable": "for restore",
}
_LIST = "secretmanager.secrets.list"
#: Permissions that have no meaning on one secret.
_PROJECT_ALONE = {_LIST, "secretmanager.secrets.create"}


class GcpExam(Exam):
    """The checks of the secrets of one project. They need no permission of their own."""

    def __init__(
        self, adapter: GCPSecretManagerAdapter, settings: Settings, now: Callable[[], datetime]
    ) -> None:
        self._login = adapter.login
        self._manager = adapter.manager
        self._kms_keys = settings.get("GCP_KMS_KEY_NAMES")
        self._now = now
        self._host = settings.get("GCP_RESOURCE_MANAGER_ENDPOINT")
        if self._host is not None:
            check_url(self._host, "GCP_RESOURCE_MANAGER_ENDPOINT")

    def credentials(self) -> Iterator[Check]:
        """Yield the caller and the project; a token is fetched to try it."""
        self._login.token()
        who: Any = getattr(self._login.credentials(), "service_account_email", None)
        found = f"{who or 'a user, or a federated identity'}, in the project {self._login.project}"
        yield Check("credentials", Status.OK, found)

    def clock(self) -> ServerTime | None:
        """Return the time in an answer over HTTP: an answer over gRPC has none."""
        answer = self._ask([])
        # A page of a proxy has a date as well.
        date = answer.headers.get("date") if answer.document is not None else None
        return server_time("Google Cloud", date, self._now())

    def permissions(self, keys: Sequence[str]) -> Iterator[Check]:
        """Yield what IAM says about each permission."""
        wanted = [
            *(Permission(f"secretmanager.{n}", use, always=True) for n, use in _ROTATING.items()),
            *(Permission(f"secretmanager.{n}", use, always=False) for n, use in _PERSONAL.items()),
        ]
        names = [permission.name for permission in wanted]
        try:
            on_project = allowed_in(self._ask(names), names)
        except DaenaKMSError:
            on_project = None
        on_secret = self._on(keys[0], names) if keys else None
        for permission in wanted:
            if permission.name == _LIST and keys:
                yield Check(f"permission {_LIST}", Status.OK, "the secrets have just been listed")
            else:
                yield _finding(permission, on_project, on_secret)

    def encryption(self) -> Iterator[Check]:
        """Yield which key encrypts new secrets."""
        if self._kms_keys is None:
            found = "Google's own keys encrypt new secrets, and Google rotates them"
            yield Check("encryption", Status.OK, found)
            return
        found = (
            "your own Cloud KMS keys encrypt new secrets; their rotation can't be checked from here"
        )
        todo = f"Run: gcloud kms keys describe {self._kms_keys.split(',')[0]}"
        yield Check("encryption", Status.UNKNOWN, found, todo)

    def infrastructure(self) -> Iterator[Check]:
        """Yield which keys Terraform created: its provider labels them since version 6.0.

        https://github.com/hashicorp/terraform-provider-google/issues/18300
        """
        pages = self._manager.pages(
            "list_secrets", None, parent=self._manager.parent, filter=f"labels.{_TERRAFORM}=true"
        )
        keys = (secret.name.rpartition("/")[2] for secret in pages if MANAGED in secret.annotations)
        risk = "an apply removes aliases and annotations, unless it is told to ignore them"
        todo = "Write lifecycle { ignore_changes = [annotations, version_aliases, labels] }"
        yield from created_by("Terraform", keys, risk, todo)

    def _ask(self, names: Sequence[str]) -> Answer:
        token, _ = self._login.token()
        host = self._host or f"{_PROJECTS}{self._login.universe}"
        url = f"{host.rstrip('/')}/v1/projects/{self._login.project}:testIamPermissions"
        return ask(url, token, body={"permissions": list(names)})

    def _on(self, key: str, names: Sequence[str]) -> set[str] | None:
        """Return what is allowed on a secret; ``None`` if it does not say."""
        asked = [name for name in names if name not in _PROJECT_ALONE]
        try:
            answer = self._manager.read(
                "test_iam_permissions", key, resource=self._manager.secret(key), permissions=asked
            )
            allowed = set(answer.permissions)
            return allowed if allowed or self._is_listed(key) else None
        except DaenaKMSError:
            return None

    def _is_listed(self, key: str) -> bool:
        pages = self._manager.pages(
            "list_secrets", None, parent=self._manager.parent, filter=f"name:{key}"
        )
        return any(secret.name.rpartition("/")[2] == key for secret in pages)


def _finding(
    permission: Permission, on_project: set[str] | None, on_secret: set[str] | None
) -> Check:
    """Return the finding on one permission.

    Args:
        permission: the permission.
        on_project: what is allowed on the project; ``None`` if it could not be asked.
        on_secret: what is allowed on one secret; ``None`` if there is none to ask.
    """
    name = f"permission {permission.name}"
    if on_project is not None and permission.name in on_project:
        return Check(name, Status.OK, "allowed on the project")
    if on_secret is not None and permission.name in on_secret:
        return Check(name, Status.OK, "allowed on the first secret, if not on the project")
    if (on_project if permission.name in _PROJECT_ALONE else on_secret) is not None:
        return refused(permission)
    found = "neither the project nor a secret says what is allowed"
    if on_project is not None:
        found = "not allowed on the project, and there is no secret to ask"
    todo = f"Look for {permission.name} in the role, or enable the Cloud Resource Manager API"
    return Check(name, Status.UNKNOWN, f"{found}; {permission.use}", todo)
