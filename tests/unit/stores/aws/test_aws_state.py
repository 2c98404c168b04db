"""What each combination of labels says about a version; pure tables, no call."""

from datetime import UTC, datetime, timedelta
from itertools import combinations

import pytest
from daena_kms.rules.model import PROMOTION_BOUND, VersionState
from daena_kms.rules.names import new_version_id
from daena_kms.stores.aws.labels import (
    CURRENT,
    KEEP,
    MADE,
    MAX_LABELS,
    PENDING,
    PREVIOUS,
    RETIRED,
    Labels,
    label,
)
from daena_kms.stores.aws.room import Room

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
OTHER = "f" * 36
OWN = (MADE, KEEP, RETIRED)


def a_version(base: str | None = OTHER, at: datetime = NOW) -> str:
    """Return an id of ours."""
    return new_version_id(base, at)


def on(version: str, *names: str, at: datetime = NOW) -> dict[str, list[str]]:
    """Return a version with labels: AWS's by their name, ours by their prefix."""
    return {version: [label(n, version, at) if n in OWN else n for n in names]}


# For a version of ours: what its own labels say, whoever is current and whatever it was made from.
TABLE = {
    (): "lost",
    (MADE,): "lost",
    (PENDING,): "lost",
    (MADE, PENDING): "lost",
    (KEEP,): VersionState.PREVIOUS,
    (MADE, KEEP): VersionState.PREVIOUS,
    (PREVIOUS,): VersionState.PREVIOUS,
    (MADE, PREVIOUS): VersionState.PREVIOUS,
    (KEEP, PREVIOUS): VersionState.PREVIOUS,
    (RETIRED,): VersionState.RETIRED,
    (RETIRED, PENDING): VersionState.RETIRED,
    # A retirement that was interrupted before it had taken all else off.
    (RETIRED, MADE): VersionState.PREVIOUS,
    (RETIRED, KEEP): VersionState.PREVIOUS,
    (RETIRED, PREVIOUS): VersionState.PREVIOUS,
    (RETIRED, MADE, KEEP, PREVIOUS): VersionState.PREVIOUS,
}


@pytest.mark.parametrize("names", TABLE, ids="+".join)
def test_a_version_of_ours(names: tuple[str, ...]) -> None:
    """Its labels decide; without one that proves it was current, its base does."""
    current = a_version()
    for base, lost in ((current, VersionState.PENDING), (OTHER, VersionState.ABANDONED)):
        version = a_version(base)
        labels = Labels({**on(current, CURRENT, MADE), **on(version, *names)})
        expected = lost if TABLE[names] == "lost" else TABLE[names]
        assert labels.state(version) == expected, base
        assert labels.state(current) is VersionState.CURRENT


@pytest.mark.parametrize("count", range(6))
def test_the_current_version_is_current(count: int) -> None:
    """Whatever else is on it."""
    version = a_version()
    for names in combinations((PREVIOUS, PENDING, MADE, KEEP, RETIRED), count):
        assert Labels(on(version, CURRENT, *names)).state(version) is VersionState.CURRENT


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ((), VersionState.PENDING),
        ((PENDING,), VersionState.PENDING),
        (("their-own-label",), VersionState.PENDING),
        ((PREVIOUS,), VersionState.PREVIOUS),
        ((KEEP,), VersionState.PREVIOUS),
        ((RETIRED,), VersionState.RETIRED),
        ((RETIRED, KEEP), VersionState.PREVIOUS),
        ((CURRENT,), VersionState.CURRENT),
    ],
)
def test_a_version_of_others(names: tuple[str, ...], expected: VersionState) -> None:
    """Its id says nothing, so only its labels and what was made from it tell."""
    current = {} if CURRENT in names else on(a_version("e" * 36), CURRENT)
    assert Labels({**current, **on(OTHER, *names)}).state(OTHER) is expected
    child = on(a_version(OTHER), MADE)
    proved = VersionState.PREVIOUS if expected is VersionState.PENDING else expected
    assert Labels({**current, **on(OTHER, *names), **child}).state(OTHER) is proved


def test_a_child_proves_its_base() -> None:
    """A version from which another was made was current, even if that one lost its race."""
    base = a_version("e" * 36)
    for child_labels in ((MADE,), (PENDING, MADE), (RETIRED,), (CURRENT,)):
        child = on(a_version(base), *child_labels)
        assert Labels({**on(base, MADE), **child}).state(base) is VersionState.PREVIOUS
    assert Labels({**on(base, MADE), **on(OTHER, CURRENT)}).state(base) is VersionState.ABANDONED


def test_no_version_at_all() -> None:
    """A secret without a value has no versions and all its room."""
    labels = Labels({})
    assert (labels.holder(CURRENT), Room(labels).dead(NOW), labels.unpinned() or None) == (
        None,
        {},
        None,
    )
    assert labels.state("unknown") is VersionState.PENDING


def test_the_latest_end_of_a_version() -> None:
    """It ended when the one made from it was promoted, at most the bound after that was made."""
    first = a_version(None, NOW)
    second = a_version(first, NOW + HOUR)
    third = a_version(second, NOW + 2 * HOUR)
    stages = {
        **on(first, MADE),
        **on(second, MADE, PREVIOUS, at=NOW + HOUR),
        **on(third, CURRENT, MADE, at=NOW + 2 * HOUR),
    }
    labels = Labels(stages)
    assert labels.superseded(first) == NOW + HOUR + PROMOTION_BOUND
    assert labels.superseded(second) == NOW + 2 * HOUR + PROMOTION_BOUND
    assert labels.superseded(third) is None


def test_a_lost_race_ends_nothing() -> None:
    """Two versions from one base: the one that was promoted says when the base ended."""
    base = a_version(None, NOW)
    winner, loser = a_version(base, NOW + 3 * HOUR), a_version(base, NOW + HOUR)
    for pair in ((winner, loser), (loser, winner)):
        stages = on(base, MADE, PREVIOUS)
        for version in pair:
            stages |= on(version, MADE, *([CURRENT] if version == winner else []), at=NOW + HOUR)
        assert Labels(stages).superseded(base) == NOW + 3 * HOUR + PROMOTION_BOUND


def test_what_an_outsider_superseded() -> None:
    """It ended before the first version that we made and promoted after it; until then: unknown."""
    ours = a_version(None, NOW)
    stages = {**on(ours, MADE, PREVIOUS), **on(OTHER, CURRENT)}
    assert Labels(stages).superseded(ours) is None
    later = a_version(OTHER, NOW + 5 * HOUR)
    stages = {
        **on(ours, MADE, KEEP),
        **on(OTHER, PREVIOUS),
        **on(later, CURRENT, MADE, at=NOW + 5 * HOUR),
    }
    assert Labels(stages).superseded(ours) == NOW + 5 * HOUR + PROMOTION_BOUND
    assert Labels(stages).superseded(OTHER) == NOW + 5 * HOUR + PROMOTION_BOUND


def test_a_base_of_the_same_second_does_not_end_a_version() -> None:
    """A version made within a second of its base is not taken to have ended with that base."""
    base = a_version(None, NOW)
    version = a_version(base, NOW)
    stages = {**on(base, MADE), **on(version, MADE, PREVIOUS), **on(OTHER, CURRENT)}
    assert Labels(stages).superseded(version) is None


def test_what_gives_way() -> None:
    """A loser's label goes at once, a crash's after the bound; what may have been current stays."""
    base = a_version(None, NOW - 9 * HOUR)
    winner, loser = a_version(base, NOW - HOUR), a_version(base, NOW - HOUR)
    crashed = a_version(winner, NOW - PROMOTION_BOUND - timedelta(seconds=1))
    recent = a_version(winner, NOW - PROMOTION_BOUND)
    perhaps = a_version("e" * 36, NOW - HOUR)
    stages = {
        **on(base, MADE),
        **on(winner, MADE, CURRENT),
        **on(loser, MADE),
        **on(crashed, MADE, PENDING),
        **on(recent, MADE),
        **on(perhaps, MADE),
    }
    assert Room(Labels(stages)).dead(NOW) == {
        loser: stages[loser],
        crashed: [stages[crashed][0]],
    }


def test_room() -> None:
    """Each put takes a label, and AWSPENDING and AWSPREVIOUS once; what is dead gives way.

    A retirement adds its label before it takes others off, so it needs one that is left over.
    """
    first = a_version(None, NOW - HOUR)
    current = a_version(first, NOW)
    stages = {**on(first, MADE, PREVIOUS), **on(current, MADE, CURRENT, PENDING)}
    room = Room(Labels(stages)).ordinary()
    assert MAX_LABELS - 5 - room in {0, 1}
    fill = {f"{n:036}": [f"theirs-{n}"] for n in range(room)}
    assert Room(Labels({**stages, **fill})).ordinary() == 0
    loser = on(a_version(first), MADE)
    assert Room(Labels({**stages, **fill, **loser})).ordinary() == 0
    # What may have been current is not thrown away for room.
    perhaps = on(a_version("e" * 36), MADE)
    assert Room(Labels({**stages, **fill, **perhaps})).ordinary() == -1
