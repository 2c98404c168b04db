"""When a version is destroyed: after a time that no tag shortens. The plan says when, and why."""

from dataclasses import replace
from datetime import timedelta

import pytest
from daena_kms.rules.destroying import destroy_time, oldest_previous, outlook
from daena_kms.rules.model import Key, Version, VersionState
from daena_kms.rules.plan import Kind, plan_key
from daena_kms.rules.policy import MIN_KEPT, Defaults, Policy, parse_policy

from tests.unit.keys import CAN, DAY, DEFAULTS, HOUR, NOW, SECOND, previous, tagged, version

HOURLY = {"spec": "token", "rotate-after": "1h", "grace": "24h", "destroy-after": "1h"}


def policy_of(tags: dict[str, str], defaults: Defaults = DEFAULTS) -> Policy:
    """Return the policy in tags that are written without their prefix."""
    return parse_policy({f"daena.{name}": text for name, text in tags.items()}, defaults, CAN)


def gone(superseded: timedelta | None, retired: timedelta) -> Version:
    """Return a retired version, superseded and retired so long ago."""
    return version(400 * DAY, VersionState.RETIRED, superseded=superseded, retired=retired)


def destroyed(key: Key, defaults: Defaults = DEFAULTS) -> list[str | None]:
    """Return the versions that a plan at NOW destroys."""
    actions = plan_key(key, defaults, CAN, NOW)
    return [action.version for action in actions if action.kind is Kind.DESTROY]


@pytest.mark.parametrize(
    ("superseded", "retired", "expected"),
    [
        (25 * HOUR, HOUR, False),
        (27 * HOUR, 3 * HOUR, False),
        (MIN_KEPT - SECOND, 5 * DAY, False),
        (MIN_KEPT, 5 * DAY, True),
        (MIN_KEPT, HOUR - SECOND, False),
        (MIN_KEPT, HOUR, True),
        (30 * DAY, HOUR, True),
        # Nobody knows when it was superseded: at the latest when it was retired.
        (None, MIN_KEPT - SECOND, False),
        (None, MIN_KEPT, True),
    ],
)
def test_tags_alone_destroy_nothing_within_a_week(
    superseded: timedelta | None, retired: timedelta, expected: bool
) -> None:
    """Both times must be over: a week since it was superseded, and destroy-after since then."""
    old = gone(superseded, retired)
    key = tagged(HOURLY, version(HOUR / 2), version(2 * DAY, VersionState.PREVIOUS), old)
    assert destroyed(key) == ([old.id] if expected else [])


@pytest.mark.parametrize(
    ("setting", "superseded", "expected"),
    [
        ("1h", 25 * HOUR, True),
        ("2d", 2 * DAY - SECOND, False),
        ("2d", 2 * DAY, True),
        ("7d", MIN_KEPT - SECOND, False),
        ("30d", MIN_KEPT - SECOND, False),
        # A setting that is longer than a week delays only keys without the tag.
        ("30d", MIN_KEPT, True),
        ("never", MIN_KEPT - SECOND, False),
        ("never", MIN_KEPT, True),
    ],
)
def test_only_the_deployment_s_own_setting_shortens_the_week(
    setting: str, superseded: timedelta, expected: bool
) -> None:
    """DAENA_KMS_DESTROY_AFTER counts where it is shorter, and only then."""
    defaults = Defaults.from_environment({"DAENA_KMS_DESTROY_AFTER": setting})
    old = gone(superseded, min(superseded, HOUR))
    key = tagged(HOURLY, version(HOUR / 2), version(2 * DAY, VersionState.PREVIOUS), old)
    assert destroyed(key, defaults) == ([old.id] if expected else [])


@pytest.mark.parametrize("hours", [27, 100, 167])
def test_an_owner_s_original_outlives_hours_of_hourly_rotations(hours: int) -> None:
    """The tags rotate each hour and destroy an hour after the retirement; the original stays."""
    original = gone((hours - 1) * HOUR, (hours - 25) * HOUR)
    others = [gone(ago * HOUR, (ago - 24) * HOUR) for ago in range(25, hours - 1)]
    key = tagged(HOURLY, version(HOUR), version(2 * HOUR, VersionState.PREVIOUS), original, *others)
    assert destroyed(key) == []


def test_an_abandoned_version_is_kept_as_long() -> None:
    """A reader of the newest version may have used it."""
    early = version(3 * DAY, VersionState.ABANDONED, superseded=3 * DAY, retired=2 * DAY)
    late = version(9 * DAY, VersionState.ABANDONED, superseded=8 * DAY, retired=7 * DAY)
    assert destroyed(tagged(HOURLY, version(HOUR / 2), early, late)) == [late.id]


def test_what_was_retired_first_need_not_be_destroyed_first() -> None:
    """A compromised version is retired at once, and still kept for the week."""
    compromised = gone(2 * DAY, 2 * DAY)
    ordinary = gone(8 * DAY, DAY)
    key = tagged(
        HOURLY, version(HOUR / 2), version(DAY, VersionState.PREVIOUS), compromised, ordinary
    )
    assert destroyed(key) == [ordinary.id]


def test_the_plan_says_when_and_why_not_earlier() -> None:
    """For a key with nothing to do, and in the reason of a rotation in its place."""
    kept = gone(2 * DAY, DAY)
    calm = tagged({**HOURLY, "rotate-after": "90d"}, version(DAY), previous(HOUR), kept)
    (nothing,) = plan_key(calm, DEFAULTS, CAN, NOW)
    assert nothing.kind is Kind.NOTHING
    when = f"version {kept.id} is destroyed in 5 d, at 2026-11-29T12:00:00Z"
    why = "7d after it was superseded, which only DAENA_KMS_DESTROY_AFTER can shorten"
    assert nothing.reason.endswith(f"; {when}: {why}")
    due = replace(calm, tags={**calm.tags, "daena.rotate-after": "1h"})
    (rotation,) = plan_key(due, DEFAULTS, CAN, NOW)
    assert rotation.kind is Kind.ROTATE
    assert rotation.reason.endswith(f"; {when}: {why}")


def test_the_plan_says_what_destroy_after_leads_to() -> None:
    """Where the tag decides, it is the reason; a rotation does not repeat that."""
    tags = {**HOURLY, "rotate-after": "90d", "destroy-after": "30d"}
    kept = gone(20 * DAY, 10 * DAY)
    (nothing,) = plan_key(tagged(tags, version(DAY), previous(HOUR), kept), DEFAULTS, CAN, NOW)
    assert nothing.reason.endswith(
        f"; version {kept.id} is destroyed in 20 d, at 2026-12-14T12:00:00Z: "
        "destroy-after 30d after its retirement"
    )
    (rotation,) = plan_key(
        tagged(tags, version(91 * DAY), previous(HOUR), kept), DEFAULTS, CAN, NOW
    )
    assert "destroyed" not in rotation.reason


@pytest.mark.parametrize(
    ("tags", "superseded", "retired", "destroyed_at", "bound"),
    [
        (HOURLY, 2 * HOUR, 22 * HOUR, MIN_KEPT - 2 * HOUR, True),
        ({**HOURLY, "destroy-after": "10d"}, 2 * HOUR, 22 * HOUR, 10 * DAY + 22 * HOUR, False),
        ({**HOURLY, "destroy-after": "6d"}, 2 * HOUR, 22 * HOUR, 6 * DAY + 22 * HOUR, False),
        ({"spec": "token"}, DAY, 6 * DAY, None, False),
        ({"spec": "aes-256"}, DAY, None, None, False),
    ],
)
def test_what_will_become_of_a_previous_version(
    tags: dict[str, str],
    superseded: timedelta,
    retired: timedelta | None,
    destroyed_at: timedelta | None,
    bound: bool,
) -> None:
    """When it is retired and destroyed if the policy stays, and which of the two times decides."""
    found = outlook(previous(superseded), policy_of(tags))
    assert found.retired == (None if retired is None else NOW + retired)
    assert found.destroyed == (None if destroyed_at is None else NOW + destroyed_at)
    assert found.bound is bound


def test_the_oldest_previous_version_was_superseded_first() -> None:
    """Not the one that was made first: somebody may have gone back to it."""
    first, second = previous(3 * DAY), previous(5 * DAY)
    key = tagged({}, version(DAY), first, second, gone(9 * DAY, 2 * DAY))
    assert oldest_previous(key) == second
    assert oldest_previous(tagged({}, version(DAY))) is None


def test_what_is_never_destroyed_has_no_time() -> None:
    """By the policy, or because it is readable."""
    assert destroy_time(gone(9 * DAY, 8 * DAY), policy_of({"spec": "token"})) is None
    assert destroy_time(previous(9 * DAY), policy_of(HOURLY)) is None
