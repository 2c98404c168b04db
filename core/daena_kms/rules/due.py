"""When a key is due, and why. Pure, like :mod:`daena_kms.rules.plan`."""

from datetime import datetime, timedelta

from daena_kms.errors import ConfigError, KeyNotFound
from daena_kms.rules.durations import about, format_duration, format_time
from daena_kms.rules.model import Capabilities, Key
from daena_kms.rules.policy import Defaults, Policy, parse_policy

#: The clocks of a store and of a function differ by seconds. If a version is dated further ahead
#: than this, one of them is wrong, and the key's age can't be trusted.
CLOCK_SKEW = timedelta(minutes=5)
#: How long before an expiry it counts as near: the same time as for Key Vault's own events.
#: https://learn.microsoft.com/azure/key-vault/general/event-grid-overview
NEAR_EXPIRY = timedelta(days=30)


def due_at(key: Key, policy: Policy) -> datetime:
    """Return when the key is due: its interval after the current version, not before first-due.

    A version that would expire before that is due when its expiry is near.

    Raises:
        KeyNotFound: The key has no current version.
    """
    current = key.current
    if current is None:
        msg = "it has no current version"
        raise KeyNotFound(msg, key_id=key.id)
    due = regular_due(current.created, policy)
    if current.expires is None or current.expires >= due - CLOCK_SKEW:
        return due
    life = max(timedelta(), current.expires - current.created)
    near = current.expires - min(NEAR_EXPIRY, life / 2)
    return min(due, near if policy.first_due is None else max(near, policy.first_due))


def regular_due(made: datetime, policy: Policy) -> datetime:
    """Return when a version made at that time is due if it never expires."""
    due = made + policy.rotate_after
    return due if policy.first_due is None else max(due, policy.first_due)


def needs_detail(key: Key, defaults: Defaults, can: Capabilities, now: datetime) -> bool:
    """Whether a closer look may show more to do than a listing does.

    A listing may only bound the current version's age, which leaves open whether the key is due.
    Or it may not show older versions, one of which may have to be retired by now. Where a version
    is to be revoked, a listing is never enough.
    """
    if key.unrevoked or any(version.to_revoke for version in key.versions):
        return True
    current = key.current
    if current is None or (current.created_earliest is None and key.older_since is None):
        return False
    try:
        policy = parse_policy(key.tags, defaults, can)
    except ConfigError:
        return False
    if key.older_since is not None and policy.grace is not None:
        return now >= key.older_since + policy.grace
    if current.created_earliest is None:
        return False
    certain = due_at(key, policy)
    possible = current.created_earliest + policy.rotate_after
    if policy.first_due is not None:
        possible = max(possible, policy.first_due)
    return possible <= now < certain


def due_reason(key: Key, policy: Policy, due: datetime, now: datetime) -> str:
    """Return why a key that is due is due, for people."""
    current = key.current
    age = about(now - current.created) if current is not None else "an unknown time"
    since = "due now" if now == due else f"overdue by {about(now - due)}"
    interval = format_duration(policy.rotate_after).replace("d", " d").replace("h", " h")
    if (
        current is not None
        and current.expires is not None
        and due < regular_due(current.created, policy)
    ):
        return f"{since}: its version expires at {format_time(current.expires)}"
    if policy.first_due == due:
        return f"{since}: first-due {format_time(due)} reached, rotate-after {interval}"
    return f"{since}: last rotated {age} ago, rotate-after {interval}"
