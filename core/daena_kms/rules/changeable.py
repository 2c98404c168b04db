"""Which keys may be changed at all: managed ones with a policy that nobody else rotates. Pure."""

from dataclasses import replace
from datetime import datetime

from daena_kms.errors import ConfigError, InvalidKeyId, KeyNotFound, NotManaged
from daena_kms.rules.durations import format_time
from daena_kms.rules.model import Capabilities, Key
from daena_kms.rules.names import check_key_id
from daena_kms.rules.policy import Defaults, Policy, is_managed, on_hold, parse_policy


def check_key(
    key: Key, defaults: Defaults, can: Capabilities, *, emergency: bool = False
) -> Policy:
    """Return the policy of a key that may be changed, whether it is on hold or not.

    Args:
        key: The key.
        defaults: The policy of a key whose tags say nothing.
        can: What the store can do.
        emergency: Accept a policy for which the store has no room in the long run: that keeps no
            leaked value in use.

    Raises:
        KeyNotFound: The key is deleted.
        NotManaged: The key is not managed, or another rotation owns it.
        ConfigError: A tag of the key is malformed.
        InvalidKeyId: Somebody else gave the key a name that is not a key id.
    """
    if key.deleted is not None:
        msg = f"it was deleted at {format_time(key.deleted)}"
        raise KeyNotFound(msg, key_id=key.id, todo="Restore it first")
    if not managed(key):
        todo = "Enrol it with adopt, or leave it to whoever rotates it now"
        msg = "it does not carry daena.managed=true"
        raise NotManaged(msg, key_id=key.id, todo=todo)
    check_key_id(key.id)
    asked_of = replace(can, max_versions=None) if emergency else can
    try:
        policy = parse_policy(key.tags, defaults, asked_of)
    except ConfigError as error:
        raise ConfigError(error.what, key_id=key.id, todo=error.todo) from error
    if key.owner is not None:
        todo = "Switch that rotation off, or remove the tag daena.managed"
        raise NotManaged(f"{key.owner} rotates it", key_id=key.id, todo=todo)
    return policy


def managed(key: Key) -> bool:
    """Return whether a key carries the tag; an error about a malformed one names the key."""
    try:
        return is_managed(key.tags)
    except ConfigError as error:
        raise ConfigError(error.what, key_id=key.id, todo=error.todo) from error


def revocable(key: Key, now: datetime) -> bool:
    """Whether a key's compromised versions may be retired, even if its policy is refused.

    Only a hold, a deletion, another owner or a name that is no key id stops that, or that the key
    is not managed. Whoever may tag a key can make its policy one that is refused, and must not
    keep a compromised value readable by that.
    """
    try:
        check_key_id(key.id)
        ours = managed(key) and key.owner is None and key.deleted is None
    except (ConfigError, InvalidKeyId):
        return False
    return ours and not on_hold(key.tags, now)
