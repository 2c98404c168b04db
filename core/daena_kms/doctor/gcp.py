"""Google Cloud: who we are, what IAM allows, and which key the values are under.

IAM itself is asked which of the permissions the caller has: first on the project, from which every
secret inherits, then, for what is missing there, on a secret. Such an answer "may fail open", as
Google says: it is for tools like this one, not for authorisation.

https://cloud.google.com/secret-manager/docs/reference/rest/v1/projects.secrets/testIamPermissions
https://cloud.google.com/resource-manager/reference/rest/v1/projects/testIamPermissions
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any

from daena_kms.cloud_kms import GCPSecretManagerAdapter
from daena_kms.doctor.base import Exam, Told, told
from daena_kms.doctor.check import Check, Permission, Status, refused
from daena_kms.doctor.owners import owned
from daena_kms.doctor.web import Answer, ask
from daena_kms.errors import DaenaKMSError
from daena_kms.rules.policy import MANAGED
from daena_kms.settings import Settings

_PROJECTS = "https://cloudresourcemanager.googleapis.com"
_TERRAFORM = "goog-terraform-provisioned"
_OK = 200
_ROTATING = {
    "secrets.list": "every run lists the secrets",
    "secrets.get": "every rotation looks at the key",
    "secrets.update": "claims, aliases and annotations are written by it",
    "versions.add": "every rotation needs it",
    "versions.get": "after a crash, what it left is looked at",
    "versions.list": "after a crash, and for audit verify",
    "versions.disable": "retiring needs it",
    "versions.destroy": "destroying needs it",
}
_PERSONAL = {
    "versions.access": "for show --reveal, adopt and rollback",
    "secrets.create": "for create",
    "versions.enable": "for restore",
}
#: What has no meaning on one secret.
_PROJECT_ALONE = {"secretmanager.secrets.list", "secretmanager.secrets.create"}


class GcpExam(Exam):
    """The questions for the secrets of one project. They need no permission of their own."""

    def __init__(
        self, adapter: GCPSecretManagerAdapter, settings: Settings, now: Callable[[], datetime]
    ) -> None:
        self._login = adapter.login
        self._manager = adapter.manager
        self._kms_keys = settings.get("GCP_KMS_KEY_NAMES")
        self._now = now
        self._host = settings.get("GCP_RESOURCE_MANAGER_ENDPOINT") or _PROJECTS

    def credentials(self) -> Iterator[Check]:
        """Get a token."""
        self._login.token()
        who: Any = getattr(self._login.credentials(), "service_account_email", None)
        found = f"{who or 'a user, or a federated identity'}, in the project {self._login.project}"
        yield Check("credentials", Status.OK, found)

    def clock(self) -> Told | None:
        """Read the date of an answer over HTTP: those of gRPC carry none."""
        date = self._ask([]).headers.get("date")
        return told("Google Cloud", date, self._now())

    def permissions(self, keys: Sequence[str]) -> Iterator[Check]:
        """Yield what IAM says of each permission."""
        wanted = [
            *(Permission(f"secretmanager.{n}", use, always=True) for n, use in _ROTATING.items()),
            *(Permission(f"secretmanager.{n}", use, always=False) for n, use in _PERSONAL.items()),
        ]
        names = [permission.name for permission in wanted]
        try:
            answer = self._ask(names)
            whole = set(answer.document.get("permissions", ())) if answer.status == _OK else None
        except DaenaKMSError:
            whole = None
        on_one = self._on(keys[0], names) if keys else set()
        for permission in wanted:
            yield _verdict(permission, whole, on_one, asked=bool(keys))

    def encryption(self) -> Iterator[Check]:
        """Say which key new secrets are under."""
        if self._kms_keys is None:
            found = "new secrets are under Google's own keys, which Google rotates"
            yield Check("encryption", Status.OK, found)
            return
        found = (
            "new secrets are under Cloud KMS keys of yours; their rotation is not seen from here"
        )
        todo = f"Run: gcloud kms keys describe {self._kms_keys.split(',')[0]}"
        yield Check("encryption", Status.UNKNOWN, found, todo)

    def places(self) -> Iterator[Check]:
        """Look for keys that Terraform's provider has marked as its own, as it does since 6.0.

        https://github.com/hashicorp/terraform-provider-google/issues/18300
        """
        pages = self._manager.pages(
            "list_secrets", None, parent=self._manager.parent, filter=f"labels.{_TERRAFORM}=true"
        )
        found = (
            secret.name.rpartition("/")[2] for secret in pages if MANAGED in secret.annotations
        )
        means = "an apply takes away the aliases and annotations that it is not told to ignore"
        todo = "Write lifecycle { ignore_changes = [annotations, version_aliases, labels] }"
        yield from owned(found, "Terraform", means, todo)

    def _ask(self, names: Sequence[str]) -> Answer:
        token, _ = self._login.token()
        url = f"{self._host}/v1/projects/{self._login.project}:testIamPermissions"
        return ask(url, token, body={"permissions": list(names)})

    def _on(self, key: str, names: Sequence[str]) -> set[str]:
        asked = [name for name in names if name not in _PROJECT_ALONE]
        answer = self._manager.read(
            "test_iam_permissions", key, resource=self._manager.secret(key), permissions=asked
        )
        return set(answer.permissions)


def _verdict(
    permission: Permission, whole: set[str] | None, on_one: set[str], *, asked: bool
) -> Check:
    """Return the check; ``whole`` is what is allowed on the project, if that could be asked."""
    name = f"permission {permission.name}"
    if whole is not None and permission.name in whole:
        return Check(name, Status.OK, "allowed on the project")
    if permission.name in on_one:
        return Check(name, Status.OK, "allowed on the first secret, if not on the project")
    decided = asked and permission.name not in _PROJECT_ALONE
    if decided or (whole is not None and permission.name in _PROJECT_ALONE):
        return refused(permission)
    found = "neither the project nor a secret could be asked"
    if whole is not None:
        found = "not allowed on the project, and no secret is known to ask"
    found = f"{found}; {permission.use}"
    todo = f"Look for {permission.name} in the role, or enable the Cloud Resource Manager API"
    return Check(name, Status.UNKNOWN, found, todo)
