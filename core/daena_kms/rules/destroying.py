"""Which retired versions may be destroyed, when, and why not earlier. Pure.

Two times must be over: ``destroy-after``, counted from the version's retirement, and a bound that
no tag can shorten, counted from when it was superseded (:attr:`Policy.kept_for`). So whoever may
only tag a key can't erase, within a day or two, a value that its owner still needs.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from daena_kms.rules.durations import about, format_duration, format_time
from daena_kms.rules.model import Key, Version, VersionState
from daena_kms.rules.policy import DESTROY_AFTER, Policy, variable_of

_UNREADABLE = {VersionState.RETIRED, VersionState.ABANDONED}
#: The states of versions that count for ``keep``; abandoned ones don't.
_KEPT = {VersionState.CURRENT, VersionState.PREVIOUS, VersionState.RETIRED}


def destroy_time(version: Version, policy: Policy) -> datetime | None:
    """Return when a retired version may be destroyed at the earliest; ``None``: never.

    ``keep`` is not looked at: it may hold the version back for longer.
    """
    if version.retired is None or policy.destroy_after is None:
        return None
    # A version is superseded before it is retired. So where the one time is unknown, the other one
    # is late enough.
    superseded = version.superseded or version.retired
    return max(version.retired + policy.destroy_after, superseded + policy.kept_for)


def destroyable(key: Key, policy: Policy) -> Iterator[tuple[datetime, Version]]:
    """Yield the retired versions that ``keep`` does not hold back, and when each may be destroyed.

    The one that may be destroyed first comes first.
    """
    spare = sum(v.state in _KEPT and not v.unlabelled for v in key.versions) - policy.keep
    times = ((destroy_time(v, policy), v) for v in key.versions if v.state in _UNREADABLE)
    timed = [(when, version) for when, version in times if when is not None]
    for when, version in sorted(timed, key=lambda pair: (pair[0], pair[1].id)):
        if version.state is VersionState.RETIRED:
            if spare < 1:
                continue
            spare -= 1
        yield when, version


def destroy_note(key: Key, policy: Policy, now: datetime, *, bound_only: bool = False) -> str:
    """Return, for the reason in a plan, when the next version is destroyed and why not earlier.

    Args:
        key: The key.
        policy: Its policy.
        now: The time of the plan.
        bound_only: Say nothing of a version that the policy itself keeps still.

    Returns:
        The continuation of a sentence; empty where nothing is to be destroyed after ``now``.
    """
    for when, version in destroyable(key, policy):
        if now < when and (not bound_only or _is_kept_now(version, policy, now)):
            return f"; {destroy_text(version, policy, when, now)}"
    return ""


def _is_kept_now(version: Version, policy: Policy, now: datetime) -> bool:
    """Whether the policy would destroy a version by now, if it were not for the bound."""
    if version.retired is None or policy.destroy_after is None:
        return False
    return version.retired + policy.destroy_after <= now


def _is_bound(version: Version, policy: Policy) -> bool:
    """Whether the bound decides when a version is destroyed, and not ``destroy-after``."""
    when = destroy_time(version, policy)
    if when is None or version.retired is None or policy.destroy_after is None:
        return False
    return when > version.retired + policy.destroy_after


def destroy_text(version: Version, policy: Policy, when: datetime, now: datetime) -> str:
    """Return when a version is destroyed, and why not earlier, in words for people.

    Args:
        version: A retired version.
        policy: The key's policy, which destroys.
        when: What :func:`destroy_time` returns.
        now: The time of the plan.
    """
    text = f"version {version.id} is destroyed in {about(when - now)}, at {format_time(when)}"
    return f"{text}: {destroy_reason(policy, bound=_is_bound(version, policy))}"


def destroy_reason(policy: Policy, *, bound: bool) -> str:
    """Return why a version is not destroyed earlier, in words for people.

    Args:
        policy: The key's policy, which destroys.
        bound: Whether the bound decides, and not ``destroy-after``.
    """
    if bound:
        since = f"{format_duration(policy.kept_for)} after it was superseded"
        return f"{since}, which only {variable_of(DESTROY_AFTER)} can shorten"
    return f"destroy-after {format_duration(policy.destroy_after)} after its retirement"


@dataclass(frozen=True, slots=True)
class Outlook:
    """What the policy will do with one version that is not current, and when at the earliest."""

    version: Version
    #: When it is retired, or was; ``None``: never.
    retired: datetime | None
    #: ``None``: never.
    destroyed: datetime | None
    #: Whether the bound decides when it is destroyed, and not ``destroy-after``.
    bound: bool


def outlook(version: Version, policy: Policy) -> Outlook:
    """Return when a version is retired and destroyed, if the policy stays as it is."""
    retired = version.retired
    if retired is None and version.superseded is not None and policy.grace is not None:
        retired = version.superseded + policy.grace
    gone = replace(version, retired=retired)
    return Outlook(version, retired, destroy_time(gone, policy), _is_bound(gone, policy))


def oldest_previous(key: Key) -> Version | None:
    """Return the readable version that was superseded first, or ``None``.

    Not one that is kept by its id alone, which is never retired.
    """
    named = (v for v in key.versions if not v.unlabelled)
    previous = [v for v in named if v.state is VersionState.PREVIOUS]
    return min(previous, key=lambda v: (v.superseded or v.created, v.created), default=None)
