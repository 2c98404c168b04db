"""Whether a store has room for one more version of a key, and for how long yet. Pure.

A store may name few versions, and keep more by their ids alone. Then an older version loses its
name to a newer one, and stays readable by its id. Whose turn it is, the policy says: a version in
its grace keeps its name until it is retired.
"""

from datetime import datetime, timedelta

from daena_kms.errors import ConfigError
from daena_kms.rules.durations import about
from daena_kms.rules.model import Key, Version, VersionState
from daena_kms.rules.policy import Policy

#: A key is reported as crowded when no more versions than these are kept for sure.
WARN_AT = 15
#: The rate at which a key grows is that of so many versions.
_RECENT = 16
_MONTH = timedelta(days=30)


def has_room(key: Key, policy: Policy, now: datetime, spare: int) -> bool:
    """Whether one more version can be made.

    Args:
        key: The key. Where only a listing was seen, this may turn out to be wrong.
        policy: Its policy.
        now: The time of the plan.
        spare: How many versions more than usual can be made: others are destroyed first, or this
            is an emergency.
    """
    if key.room is None:
        return True
    giving = key.more_kept is None or key.more_kept > 0
    more = sum(_may_give(v, policy, now) for v in key.versions) if giving else 0
    return key.room + spare + more >= 1


def no_room(key: Key, policy: Policy) -> ConfigError:
    """Return the error for a key that can't be rotated because there is no room."""
    msg = "the store has no room for one more readable version"
    todo = (
        "If no data needs the older versions, set daena.grace and daena.destroy-after; "
        "otherwise re-encrypt that data first"
    )
    if key.more_kept is not None and key.more_kept < 1:
        msg += f": it has {len(key.versions)}, and is sure to keep {_most(key)}"
        todo += (
            ", and go on with a new key. A rotation has room once a version was retired for as "
            "long as destroy-after says. An emergency rotation has room now"
        )
    elif policy.grace is not None and any(v.gives_way for v in key.versions):
        todo = "Wait until the grace of the oldest version is over, or shorten daena.grace"
    return ConfigError(msg, key_id=key.id, todo=todo)


def warning(key: Key, policy: Policy) -> str | None:
    """Return, in words for people, that a key has little room left; ``None``: it has enough.

    A key whose versions are destroyed in time needs no more room.
    """
    left = key.more_kept
    if left is None or left > WARN_AT or policy.destroy_after is not None:
        return None
    text = f"it has {len(key.versions)} versions, and the store is sure to keep {_most(key)}"
    made = sorted(version.created for version in key.versions)[-_RECENT:]
    each = (made[-1] - made[0]) / (len(made) - 1) if len(made) > 1 else timedelta()
    if not each:
        return text
    text += f"; about {_MONTH / each:.2g} are added in 30 days"
    return text if left < 1 else f"{text}, so there is room for about {about(each * left)}"


def _may_give(version: Version, policy: Policy, now: datetime) -> bool:
    """Whether the policy lets a version be kept by its id alone, which the store could do."""
    if not version.gives_way or policy.grace is None:
        return version.gives_way
    if version.state is VersionState.PREVIOUS:
        return version.superseded is not None and now - version.superseded >= policy.grace
    return version.state is VersionState.RETIRED


def _most(key: Key) -> int:
    return len(key.versions) + (key.more_kept or 0)
