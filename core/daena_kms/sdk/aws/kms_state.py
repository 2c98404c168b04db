"""Which KMS key an error is about, and in which state it is: what a person needs to mend it.

Secrets Manager says only that it can't encrypt or decrypt. The key is the secret's own, as the last
look at the secret showed it. Its state takes ``kms:DescribeKey``, which no rotation needs: where it
is refused, it is not asked for again, and the error says how to look. At most one call a minute for
a KMS key is made, whatever fails and however often.

https://docs.aws.amazon.com/kms/latest/developerguide/key-state.html
"""

import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from daena_kms.errors import AccessDenied, ConfigError, DaenaKMSError
from daena_kms.sdk.errors import safe_word
from daena_kms.sdk.forms import check_kms_key

#: What encrypts a secret that names no key.
_DEFAULT = "alias/aws/secretsmanager"
_KNOWN_FOR = 60.0
_CANCEL = (
    "Cancel that: aws kms cancel-key-deletion --key-id {key}; then enable it: "
    "aws kms enable-key --key-id {key}"
)
_ALLOW = (
    "Allow kms:GenerateDataKey and kms:Decrypt in the caller's policy and in the key's. An old "
    "version may be under an earlier key: aws secretsmanager list-secret-version-ids "
    "--include-deprecated shows it"
)
#: The states, and what to do.
_STATES: Mapping[str, tuple[str, str]] = {
    "Disabled": ("is disabled", "Enable it: aws kms enable-key --key-id {key}"),
    "PendingDeletion": ("is pending deletion{until}", _CANCEL),
    "PendingReplicaDeletion": ("is pending deletion, once its replicas are deleted", _CANCEL),
    "PendingImport": (
        "has no key material",
        "Import it again: aws kms import-key-material --key-id {key}",
    ),
    "Unavailable": ("can't be reached", "Connect its key store, and look at that store's state"),
    "Creating": ("is being created", "Try again in a few minutes"),
    "Updating": ("is being updated", "Try again in a few minutes"),
    "Enabled": ("is enabled", _ALLOW),
}
#: About the key itself: its state says why.
_BY_STATE = frozenset(
    {
        *("DecryptionFailure", "EncryptionFailure", "DisabledException"),
        *("KMSInvalidStateException", "KeyUnavailableException"),
    }
)
#: Perhaps about the key, or about the way it is named.
_BY_NAME = frozenset(
    {"InternalServiceError", "NotFoundException", "InvalidKeyUsageException", "InvalidArnException"}
)
_REFUSED = frozenset({"AccessDeniedException", "AccessDenied"})
#: What Secrets Manager says where KMS refuses the caller.
_NO_ACCESS = "Access to KMS is not allowed"


class KmsKeys:
    """The KMS keys that one adapter has met.

    Args:
        describe_key: Calls ``DescribeKey`` with a KMS key's id, ARN or alias.
        describe_secret: Calls ``DescribeSecret`` with a key's id.
        monotonic: The clock, in seconds.
    """

    def __init__(
        self,
        describe_key: Callable[[str], Mapping[str, Any]],
        describe_secret: Callable[[str], Mapping[str, Any]],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._describe_key = describe_key
        self._describe_secret = describe_secret
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._of_secret: dict[str, str] = {}
        self._seen: dict[str, tuple[float, Mapping[str, Any] | None]] = {}
        self._refused = False

    def saw(self, operation: str, answer: Mapping[str, Any]) -> None:
        """Remember the KMS key of a secret that an answer describes."""
        entries = answer["SecretList"] if operation == "list_secrets" else ()
        for entry in [answer] if operation == "describe_secret" else entries:
            self._of_secret[entry["Name"]] = entry.get("KmsKeyId") or _DEFAULT

    def explain(
        self, error: DaenaKMSError, code: str, text: str, operation: str, asked: Mapping[str, Any]
    ) -> None:
        """Add to an error which KMS key it is about, and that key's state, as far as is known.

        Args:
            error: The error.
            code: The service's code.
            text: The service's text, of which nothing is shown.
            operation: The operation that was refused.
            asked: Its arguments.
        """
        no_access = code in _REFUSED and _NO_ACCESS in text
        about_one = no_access or code in _BY_STATE or code in _BY_NAME
        if operation.startswith("describe_") or not about_one:
            return
        key = self._key_of(operation, asked, look=code not in _BY_NAME)
        if no_access:
            error.what = "Secrets Manager may not use its KMS key for this caller"
            error.todo = "Allow kms:GenerateDataKey and kms:Decrypt to the caller, in its policy "
            error.todo += "and in the key's"
        if key is not None:
            described = None if code in _BY_NAME else self._state(key)
            _say(error, key, described)
        error.args = (error.what, error.key_id, error.todo)

    def _key_of(self, operation: str, asked: Mapping[str, Any], *, look: bool) -> str | None:
        """Return how the KMS key is named, in a form that can be shown; ``None``: not known."""
        named = asked.get("KeyId")
        secret = asked.get("SecretId")
        if operation == "create_secret":
            named = asked.get("KmsKeyId", _DEFAULT)
        elif isinstance(secret, str):
            named = self._of_secret.get(secret)
            if named is None and look:
                named = self._looked_up(secret)
        try:
            return check_kms_key(named) if isinstance(named, str) else None
        except ConfigError:
            return None

    def _looked_up(self, secret: str) -> object:
        try:
            return self._describe_secret(secret).get("KmsKeyId") or _DEFAULT
        except DaenaKMSError:
            return None

    def _state(self, key: str) -> Mapping[str, Any] | None:
        """Return what KMS says of a key, now or a minute ago; ``None`` if it does not."""
        with self._lock:
            until, described = self._seen.get(key, (0.0, None))
            if self._refused or self._monotonic() < until:
                return described
            try:
                described = self._describe_key(key)["KeyMetadata"]
            except AccessDenied:
                self._refused = True
                described = None
            except DaenaKMSError:
                described = None
            self._seen[key] = (self._monotonic() + _KNOWN_FOR, described)
            return described


def _say(error: DaenaKMSError, key: str, described: Mapping[str, Any] | None) -> None:
    if described is None:
        error.what = f"{error.what}: KMS key {key}"
        how = f"aws kms describe-key --key-id {key} shows its state"
        error.todo = f"{error.todo}; {how}" if error.todo else how
        return
    own = str(described["KeyId"])
    name = key if own in key else f"{key} ({safe_word(own)})"
    state = safe_word(described["KeyState"])
    words, todo = _STATES.get(state, ("is not usable", "Look up its state in AWS's documentation"))
    when = described.get("DeletionDate")
    until = f", on {when:%Y-%m-%d}" if isinstance(when, datetime) else ""
    error.what = f"{error.what}: KMS key {name} {words.format(until=until)} (state {state})"
    error.todo = todo.format(key=key)
