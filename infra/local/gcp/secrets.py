"""A simulated Secret Manager, as strict as its reference: its operations."""

from collections.abc import Callable
from datetime import datetime

import grpc
from google.cloud.secretmanager_v1.types import (
    AccessSecretVersionRequest,
    AccessSecretVersionResponse,
    AddSecretVersionRequest,
    CreateSecretRequest,
    DeleteSecretRequest,
    DestroySecretVersionRequest,
    DisableSecretVersionRequest,
    EnableSecretVersionRequest,
    GetSecretRequest,
    GetSecretVersionRequest,
    ListSecretsRequest,
    ListSecretsResponse,
    ListSecretVersionsRequest,
    ListSecretVersionsResponse,
    SecretPayload,
    SecretVersion,
    UpdateSecretRequest,
)
from google.cloud.secretmanager_v1.types import Secret as SecretMessage

from infra.local.gcp import checks
from infra.local.gcp.crc32c import crc32c
from infra.local.gcp.names import GcpError, Parent, invalid, precondition
from infra.local.gcp.pages import Question
from infra.local.gcp.state import DESTROYED, DISABLED, ENABLED, Secret, State, Version
from infra.local.gcp.store import SecretStore

MAX_PAYLOAD_BYTES = 64 * 1024
type VersionChange = (
    EnableSecretVersionRequest | DisableSecretVersionRequest | DestroySecretVersionRequest
)


class SecretOperations:
    """The twelve operations; each takes the client's request and returns the client's answer."""

    def __init__(self, store: SecretStore) -> None:
        self._store = store

    def create(self, request: CreateSecretRequest) -> SecretMessage:
        """CreateSecret; the secret has no version yet, so no alias either."""
        parent, given = Parent.parse(request.parent), request.secret
        checks.check_secret_id(request.secret_id)
        name, now = parent.secret(request.secret_id), self._store.clock()
        secret = Secret(
            name,
            sequence=0,
            create_time=now,
            replication=checks.replication(given, parent),
            cmek=checks.cmek(given, parent),
        )
        for assign in _FIELDS.values():
            assign(secret, given, now)
        _check_rotation(secret)
        if self._store.lookup(name) is not None:
            raise GcpError(grpc.StatusCode.ALREADY_EXISTS, f"Secret [{name}] already exists.")
        secret.sequence = self._store.next_sequence()
        self._store.by_name[name] = secret
        return secret.message()

    def get(self, request: GetSecretRequest) -> SecretMessage:
        """GetSecret."""
        return self._store.find(*Parent.of_secret(request.name)).message()

    def list(self, request: ListSecretsRequest) -> ListSecretsResponse:
        """ListSecrets: "sorted in reverse by create_time (newest first)" (the types)."""
        shown = self._store.list_secrets(Parent.parse(request.parent), _question(request))
        return ListSecretsResponse(
            secrets=shown.messages, next_page_token=shown.token, total_size=shown.total
        )

    def update(self, request: UpdateSecretRequest) -> SecretMessage:
        """UpdateSecret: the fields in the mask become what is given, all others stay.

        "In a secrets.patch request, the request etag is embedded in the Secret data", and counts
        whether the mask names it or not (etags). Measured (see ``checks``): it is compared before
        anything else is judged; a mask without a path changes nothing but the etag.
        """
        given = request.secret
        parent, secret_id = Parent.of_secret(given.name)
        secret = self._store.find(parent, secret_id)
        _check_etag(given.etag, secret.etag)
        if "update_mask" not in request:
            raise invalid("Field [update_mask] is required.")
        paths = set(request.update_mask.paths)
        if paths - _FIELDS.keys() - _IGNORED - _ENCRYPTION:
            raise invalid(f"update_mask: not valid or not modelled: {', '.join(sorted(paths))}.")
        changed = _copy(secret)
        if "customer_managed_encryption" in paths:
            changed.cmek = checks.cmek(given, parent)
        if "replication" in paths:
            _update_replication(changed, given, parent)
        for path in sorted(paths & _FIELDS.keys()):
            _FIELDS[path](changed, given, self._store.clock())
        _check_rotation(changed)
        changed.touch()
        # In place, because whoever looks at the state may hold on to this object.
        vars(secret).update(vars(changed))
        return secret.message()

    def delete(self, request: DeleteSecretRequest) -> None:
        """DeleteSecret: final, with all versions."""
        secret = self._store.find(*Parent.of_secret(request.name))
        _check_etag(request.etag, secret.etag)
        del self._store.by_name[secret.name]

    def add_version(self, request: AddSecretVersionRequest) -> SecretVersion:
        """AddSecretVersion: "IDs in a Secret start at 1 and are incremented" (the types)."""
        secret = self._store.find(*Parent.of_secret(request.parent))
        data, checked = request.payload.data, "data_crc32c" in request.payload
        if not data:
            raise invalid("Secret Payload cannot be empty.")
        if len(data) > MAX_PAYLOAD_BYTES:
            raise invalid(f"The payload must be no larger than {MAX_PAYLOAD_BYTES} bytes.")
        self._store.check_kms_keys(secret.kms_keys())
        checksum = crc32c(data)
        if checked and request.payload.data_crc32c != checksum:
            raise invalid("The checksum does not match the payload's data.")
        number = (secret.latest or 0) + 1
        version = Version(
            number, data, checksum, checked, self._store.clock(), kms_keys=secret.kms_keys()
        )
        secret.versions[number] = version
        if self._store.add_changes_etag:
            secret.touch()
        return secret.version_message(version)

    def list_versions(self, request: ListSecretVersionsRequest) -> ListSecretVersionsResponse:
        """ListSecretVersions, newest first."""
        secret = self._store.find(*Parent.of_secret(request.parent))
        shown = self._store.list_versions(secret, _question(request))
        return ListSecretVersionsResponse(
            versions=shown.messages, next_page_token=shown.token, total_size=shown.total
        )

    def get_version(self, request: GetSecretVersionRequest) -> SecretVersion:
        """GetSecretVersion, by number, alias or ``latest``; in any state."""
        secret, version = self._store.find_version(*Parent.of_version(request.name))
        return secret.version_message(version)

    def access_version(self, request: AccessSecretVersionRequest) -> AccessSecretVersionResponse:
        """AccessSecretVersion, by number, alias or ``latest``; only an enabled one."""
        secret, version = self._store.find_version(*Parent.of_version(request.name))
        name = f"{secret.name}/versions/{version.number}"
        state = self._store.readable_state(secret, version)
        if state is not ENABLED:
            raise precondition(f"Secret Version [{name}] is in {state.name} state.")
        self._store.check_kms_keys(version.kms_keys)
        payload = SecretPayload(data=version.data, data_crc32c=version.crc32c)
        return AccessSecretVersionResponse(name=name, payload=payload)

    def enable_version(self, request: EnableSecretVersionRequest) -> SecretVersion:
        """EnableSecretVersion; that also cancels a scheduled destruction."""
        return self._become(request, ENABLED)

    def disable_version(self, request: DisableSecretVersionRequest) -> SecretVersion:
        """DisableSecretVersion; that also cancels a scheduled destruction."""
        return self._become(request, DISABLED)

    def destroy_version(self, request: DestroySecretVersionRequest) -> SecretVersion:
        """DestroySecretVersion: at once, or after the secret's ``version_destroy_ttl``.

        Measured (see ``checks``): the one of the three that can't be repeated.
        """
        secret, version = self._changeable(request)
        if version.scheduled_destroy_time is not None:
            raise precondition("SecretVersion is already scheduled for DESTRUCTION.")
        now = self._store.clock()
        if secret.version_destroy_ttl is None:
            version.become(DESTROYED, now)
        else:
            version.schedule(now + secret.version_destroy_ttl)
        return secret.version_message(version)

    def _become(self, request: VersionChange, state: State) -> SecretVersion:
        secret, version = self._changeable(request)
        version.become(state, self._store.clock())
        return secret.version_message(version)

    def _changeable(self, request: VersionChange) -> tuple[Secret, Version]:
        parent, secret_id, number = Parent.of_version(request.name)
        # "Access by alias is only supported on GetSecretVersion and AccessSecretVersion" (the
        # types).
        if not number.isdecimal():
            raise invalid(f"The version [{number}] must be a number.")
        secret, version = self._store.find_version(parent, secret_id, number)
        _check_etag(request.etag, version.etag)
        # "A version may not leave this state once entered" (the types).
        if version.state is DESTROYED:
            raise precondition("SecretVersion.state is already DESTROYED")
        return secret, version


def _question(request: ListSecretsRequest | ListSecretVersionsRequest) -> Question:
    return Question(request.filter, request.page_size, request.page_token)


def _check_etag(given: str, stored: str) -> None:
    """Compare etags.

    "If an ETag is provided and matches the current resource ETag, the request succeeds; otherwise,
    it fails with a FAILED_PRECONDITION error"; without one it "proceeds without checking" (etags).
    """
    if given and given != stored:
        raise precondition(
            "The etag provided in the request does not match the resource's current etag. "
            "Please retry the whole read-modify-write with exponential backoff."
        )


def _check_rotation(secret: Secret) -> None:
    if secret.next_rotation_time is not None and not secret.topics:
        raise invalid("topics must be set to configure rotation.")


def _copy(secret: Secret) -> Secret:
    fresh = Secret(secret.name, secret.sequence, secret.create_time)
    vars(fresh).update(vars(secret))
    return fresh


def _update_replication(secret: Secret, given: SecretMessage, parent: Parent) -> None:
    """Change the keys in a replication; "the policy cannot be changed" (the types)."""
    replication = checks.replication(given, parent)
    before = secret.replication
    if before is None or replication is None:
        raise invalid("A regional secret has no replication policy.")
    places = [
        sorted(replica.location for replica in policy.user_managed.replicas)
        if "user_managed" in policy
        else None
        for policy in (before, replication)
    ]
    if places[0] != places[1]:
        raise invalid("The replication policy cannot be changed.")
    secret.replication = replication


def _set_labels(secret: Secret, given: SecretMessage, _now: datetime) -> None:
    secret.labels = checks.labels(given.labels)


def _set_annotations(secret: Secret, given: SecretMessage, _now: datetime) -> None:
    secret.annotations = checks.annotations(given.annotations)


def _set_aliases(secret: Secret, given: SecretMessage, _now: datetime) -> None:
    secret.version_aliases = checks.aliases(given.version_aliases, secret)


def _set_topics(secret: Secret, given: SecretMessage, _now: datetime) -> None:
    secret.topics = checks.topics([topic.name for topic in given.topics])


def _set_expiry(secret: Secret, given: SecretMessage, now: datetime) -> None:
    secret.expire_time = checks.expiry(given, now)


def _set_rotation(secret: Secret, given: SecretMessage, now: datetime) -> None:
    secret.next_rotation_time, secret.rotation_period = checks.rotation(given.rotation, now)


def _set_destroy_ttl(secret: Secret, given: SecretMessage, _now: datetime) -> None:
    secret.version_destroy_ttl = checks.destroy_ttl(given)


_IGNORED = frozenset({"name", "create_time", "etag"})
_ENCRYPTION = frozenset({"customer_managed_encryption", "replication"})
_FIELDS: dict[str, Callable[[Secret, SecretMessage, datetime], None]] = {
    "labels": _set_labels,
    "annotations": _set_annotations,
    "version_aliases": _set_aliases,
    "topics": _set_topics,
    "expire_time": _set_expiry,
    "ttl": _set_expiry,
    "rotation": _set_rotation,
    "version_destroy_ttl": _set_destroy_ttl,
}
