"""When a key is due, and why. Pure, like :mod:`daena_kms.rules.plan`."""

from datetime import datetime, timedelta

from daena_kms.errors import ConfigError, KeyNotFound
from daena_kms.rules.adoption import first_due_by_tag
from daena_kms.rules.durations import about, format_duration, format_time
from daena_kms.rules.model import Capabilities, Key
from daena_kms.rules.policy import MANAGED, Defaults, Policy, parse_policy

#: The clocks of a store and of a function differ by seconds. If a version is dated further ahead
#: than this, one of them is wrong, and the key's age can't be trusted.
CLOCK_SKEW = timedelta(minutes=5)
#: How long before an expiry it counts as near: the same time as for Key Vault's own events.
#: https://learn.microsoft.com/azure/key-vault/general/event-grid-overview
NEAR_EXPIRY = timedelta(days=30)
#: A key counts as due this part of its interval early, and at most that long: so it rotates at
#: every firing of a timer with the same interval, also when one comes a little early.
_EARLY_PART, _EARLY_MOST = 20, timedelta(minutes=5)


def tolerance(interval: timedelta) -> timedelta:
    """Return by how much a key with this interval counts as due before its due time."""
    return min(interval / _EARLY_PART, _EARLY_MOST)


def is_due(key: Key, policy: Policy, now: datetime) -> bool:
    """Whether the key is rotated at ``now``: at its due time, or a little before it.

    Never before its first due time.

    Raises:
        KeyNotFound: The key has no current version.
    """
    return _counts_as_due(due_at(key, policy), not_before(key, policy), policy, now)


def _counts_as_due(due: datetime, first: datetime | None, policy: Policy, now: datetime) -> bool:
    early = due - now <= tolerance(policy.rotate_after)  # no sum: a far due time may overflow
    return early and (first is None or now >= first)


def not_before(key: Key, policy: Policy) -> datetime | None:
    """Return the time before which the key is never due, or ``None``.

    That is the tag ``daena.first-due``, or what follows from the enrolment of a key by its tags.
    """
    if key.enrolled_by_tag is None:
        return policy.first_due
    by_tag = first_due_by_tag(key.id, key.enrolled_by_tag, policy.rotate_after)
    return by_tag if policy.first_due is None else max(by_tag, policy.first_due)


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
    first = not_before(key, policy)
    due = _latest(regular_due(current.created, policy), first)
    if current.expires is None or current.expires >= due - CLOCK_SKEW:
        return due
    life = max(timedelta(), current.expires - current.created)
    near = current.expires - min(NEAR_EXPIRY, life / 2)
    return min(due, _latest(near, first))


def regular_due(made: datetime, policy: Policy) -> datetime:
    """Return when a version made at that time is due if it never expires."""
    return _latest(made + policy.rotate_after, policy.first_due)


def _latest(due: datetime, first: datetime | None) -> datetime:
    return due if first is None else max(due, first)


def needs_detail(key: Key, defaults: Defaults, can: Capabilities, now: datetime) -> bool:
    """Whether a closer look may show more to do than a listing does.

    A listing may only bound the current version's age, which leaves open whether the key is due.
    Or it may not show older versions, one of which may have to be retired by now, or may be of
    ours although the current one shows no sign of that. Where a version is to be revoked, a
    listing is never enough.
    """
    if key.unrevoked or any(version.to_revoke for version in key.versions):
        return True
    if not key.enrolled:
        return key.tags.get(MANAGED) == "true" and not can.lists_versions
    if key.current is None or not (key.current.created_earliest or key.older_since):
        return False
    try:
        policy = parse_policy(key.tags, defaults, can)
    except ConfigError:
        return False
    if key.older_since is not None and policy.grace is not None:
        return now >= key.older_since + policy.grace
    return _may_be_due(key, policy, now)


def _may_be_due(key: Key, policy: Policy, now: datetime) -> bool:
    """Whether a key may be due although its listing does not show it."""
    current = key.current
    if current is None or current.created_earliest is None:
        return False
    first = not_before(key, policy)
    possible = current.created_earliest + policy.rotate_after
    return _counts_as_due(possible, first, policy, now) and not is_due(key, policy, now)


def due_reason(key: Key, policy: Policy, due: datetime, now: datetime) -> str:
    """Return why a key that is due is due, for people."""
    current = key.current
    age = about(now - current.created) if current is not None else "an unknown time"
    since = "due now" if now == due else f"overdue by {about(now - due)}"
    if now < due:
        since = f"due in {about(due - now)}, which counts as due now"
    interval = format_duration(policy.rotate_after).replace("d", " d").replace("h", " h")
    if (
        current is not None
        and current.expires is not None
        and due < _latest(regular_due(current.created, policy), not_before(key, policy))
    ):
        return f"{since}: its version expires at {format_time(current.expires)}"
    if not_before(key, policy) == due:
        return f"{since}: first-due {format_time(due)} reached, rotate-after {interval}"
    return f"{since}: last rotated {age} ago, rotate-after {interval}"
