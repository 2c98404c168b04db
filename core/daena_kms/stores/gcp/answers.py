"""Check that an answer of Secret Manager is one: whole, about what was asked, and as it was asked.

A proxy, or an emulator, may answer a call with a message in which everything is missing, or with
another one's. Such an answer says nothing, neither that a change was made nor that something is
absent or empty, so it counts as none (:class:`~daena_kms.sdk.gcp.errors.Unanswered`): whoever made
the call looks again, or leaves the result open. An empty ``Secret`` is not harmless: without its
etag, the next update would have no precondition. So it is with a version, which is switched by its
own.
"""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from daena_kms.sdk.gcp.errors import Unanswered

if TYPE_CHECKING:
    from google.cloud.secretmanager_v1 import Secret, SecretPayload, SecretVersion

#: The states that a version may have. We don't know what another one would mean.
_STATES = {"ENABLED", "DISABLED", "DESTROYED"}
_NUMBER = re.compile(r"[1-9][0-9]{0,9}", re.ASCII)


def whole_secret(answer: Any, name: str, key_id: str | None) -> "Secret":
    """Return the answer if it is a whole secret.

    Args:
        answer: What the client returned.
        name: The secret's name; its project counts for nothing, since a request names it by its id
            and an answer by its number.
        key_id: The key, for the error.
    """
    if type(answer).__name__ != "Secret" or not _same(answer.name, name) or not answer.etag:
        raise _none(key_id)
    secret: Secret = answer
    return secret


def listed_secret(answer: Any, parent: str) -> "Secret":
    """Return an item of a listing if it is a whole secret of this project and location."""
    secret_id = str(getattr(answer, "name", "")).rpartition("/")[2]
    return whole_secret(answer, f"{parent}/secrets/{secret_id}", None)


def changed_secret(answer: Any, name: str, key_id: str, changes: Mapping[str, object]) -> "Secret":
    """Return the answer if it is a whole secret whose fields are what was written."""
    secret = whole_secret(answer, name, key_id)
    if any(dict(getattr(secret, field)) != wanted for field, wanted in changes.items()):
        raise _none(key_id)
    return secret


def whole_version(answer: Any, name: str, key_id: str) -> "SecretVersion":
    """Return the answer if it is a whole version; a name without a number means any of them."""
    if type(answer).__name__ != "SecretVersion" or not _is_version(answer.name, name):
        raise _none(key_id)
    known = getattr(answer.state, "name", "") in _STATES
    if not (known and answer.create_time and answer.etag):
        raise _none(key_id)
    version: SecretVersion = answer
    return version


def switched_version(answer: Any, name: str, key_id: str, states: set[str]) -> "SecretVersion":
    """Return the answer if it is a whole version in one of these states."""
    version = whole_version(answer, name, key_id)
    if version.state.name not in states:
        raise _none(key_id)
    return version


def whole_payload(answer: Any, name: str, key_id: str) -> "SecretPayload":
    """Return the payload in an answer if it has a value with a checksum; no value is empty."""
    if type(answer).__name__ != "AccessSecretVersionResponse":
        raise _none(key_id)
    payload: SecretPayload = answer.payload
    right = _is_version(answer.name, name) and payload.data and "data_crc32c" in payload
    if not right:
        raise _none(key_id)
    return payload


def _same(shown: str, name: str) -> bool:
    """Whether two names differ at most in how they name the project."""
    theirs, ours = shown.split("/"), name.split("/")
    return theirs[:1] == ours[:1] and len(theirs) > 1 and theirs[1] != "" and theirs[2:] == ours[2:]


def _is_version(shown: str, name: str) -> bool:
    """Whether a name is that of the version asked for, by its number or by an alias."""
    secret, _, asked = name.rpartition("/")
    theirs, _, number = shown.rpartition("/")
    wanted = asked if _NUMBER.fullmatch(asked) else number
    return _same(theirs, secret) and number == wanted and _NUMBER.fullmatch(number) is not None


def _none(key_id: str | None) -> Unanswered:
    msg = "the answer did not come from Secret Manager, or is not whole"
    return Unanswered(msg, key_id=key_id, todo="Check the endpoint that is set, and any proxy")
