"""What a list of all versions says about those without a label; pure tables, no call."""

from datetime import timedelta

import pytest
from daena_kms.rules.model import PROMOTION_BOUND, VersionState
from daena_kms.stores.aws.labels import CURRENT, KEEP, MADE, MAX_LABELS, PENDING, PREVIOUS, Labels
from daena_kms.stores.aws.room import KEPT_FOR_SURE, Room
from daena_kms.stores.aws.state import is_partial, to_key

from tests.unit.stores.aws.test_aws_state import HOUR, NOW, OTHER, a_version, on

MINUTE = timedelta(minutes=1)
THEIRS = "e" * 36


def chain(count: int) -> list[str]:
    """Return versions, each made from the one before it, an hour after it."""
    versions: list[str] = []
    for number in range(count):
        versions.append(a_version(versions[-1] if versions else None, NOW + number * HOUR))
    return versions


def labelled(versions: list[str]) -> dict[str, list[str]]:
    """Return the labels of versions of ours, the last of which is current."""
    *_, previous, current = versions
    stages: dict[str, list[str]] = {}
    for version in versions:
        stages |= on(version, MADE)
    stages[current] += [CURRENT, PENDING]
    stages[previous] += [PREVIOUS]
    return stages


def test_what_a_later_version_was_made_from_was_current() -> None:
    """Also where that one has lost its own label."""
    versions = chain(6)
    labels = Labels(labelled(versions[3:]), dict.fromkeys(versions, NOW))
    assert [labels.state(v) for v in versions[:3]] == [VersionState.PREVIOUS] * 3
    assert labels.superseded(versions[0]) == NOW + HOUR + PROMOTION_BOUND
    assert (labels.total, labels.complete) == (6, False)


def test_what_lost_a_race_is_abandoned() -> None:
    """Another version from its base was promoted, whether that one has a label or not."""
    versions = chain(6)
    for base in (versions[1], versions[4]):
        loser = a_version(base, NOW + 2 * HOUR)
        labels = Labels(labelled(versions[3:]), dict.fromkeys([*versions, loser], NOW))
        assert labels.state(loser) is VersionState.ABANDONED
        assert labels.state(base) is VersionState.PREVIOUS


def test_what_is_written_and_not_promoted_is_not_previous() -> None:
    """It was made from the version that is current yet."""
    versions = chain(3)
    pending = a_version(versions[-1], NOW + 5 * HOUR)
    labels = Labels(labelled(versions), dict.fromkeys([*versions, pending], NOW))
    assert labels.state(pending) is VersionState.ABANDONED


@pytest.mark.parametrize(
    ("after", "state"),
    [
        (-6 * MINUTE, VersionState.PREVIOUS),
        (-5 * MINUTE, VersionState.ABANDONED),
        (timedelta(), VersionState.ABANDONED),
        (PROMOTION_BOUND, VersionState.ABANDONED),
        (PROMOTION_BOUND + MINUTE, VersionState.PREVIOUS),
    ],
)
def test_what_somebody_else_superseded(after: timedelta, state: VersionState) -> None:
    """It lost to a version that others made in its minutes, or else was current until theirs."""
    base = a_version(None, NOW - 9 * HOUR)
    version = a_version(base, NOW)
    labels = Labels(on(THEIRS, CURRENT), {base: NOW, version: NOW, THEIRS: NOW + after})
    assert labels.state(version) is state


def test_what_others_made_was_current() -> None:
    """Their put makes a version current. The one that a version was made from did not beat it."""
    version = a_version(OTHER, NOW)
    labels = Labels(on(THEIRS, CURRENT), {OTHER: NOW - MINUTE, version: NOW, THEIRS: NOW + HOUR})
    assert labels.state(OTHER) is VersionState.PREVIOUS
    assert labels.state(version) is VersionState.PREVIOUS
    assert labels.superseded(OTHER) == NOW + PROMOTION_BOUND


@pytest.mark.parametrize(
    ("stages", "complete"),
    [
        (labelled(chain(3)), True),
        (labelled(chain(5)[2:]), False),
        (on(OTHER, CURRENT), False),
        ({}, True),
    ],
)
def test_whether_a_list_could_show_more(stages: dict[str, list[str]], *, complete: bool) -> None:
    """Not where each version was made from one that is shown, down to the first."""
    assert Labels(stages).complete is complete
    dates = {"CreatedDate": NOW, "LastChangedDate": NOW + HOUR}
    key = to_key({"Name": "k", **dates, "VersionIdsToStages": stages}, None)
    assert is_partial(key, exact=True) is not complete
    assert not is_partial(key)


def test_a_rotation_asks_for_the_list_where_the_labels_are_short() -> None:
    """At sixteen versions of our own."""
    for count in (15, 16):
        stages = labelled(chain(count))
        key = to_key({"Name": "k", "CreatedDate": NOW, "VersionIdsToStages": stages}, None)
        assert is_partial(key) is (count == 16)
        assert any(v.gives_way for v in key.versions) is (count == 16)


def test_who_gives_a_label_and_who_never_does() -> None:
    """The oldest first; not what is current or was right before, nor what only a label proves."""
    versions = chain(16)
    stages = labelled(versions)
    donors = [v for v, _ in Room(Labels(stages)).donors()]
    assert donors == versions[:-2]
    # Nothing was made from this one, and others made one in its minutes: it may have lost to that.
    lonely = a_version(a_version("d" * 36), NOW)
    listed = {**dict.fromkeys(versions, NOW), lonely: NOW, THEIRS: NOW + MINUTE}
    more = Labels({**stages, **on(lonely, KEEP), **on(THEIRS, KEEP)}, listed)
    assert lonely not in [v for v, _ in Room(more).donors()]
    assert THEIRS in [v for v, _ in Room(more).donors()]


@pytest.mark.parametrize("total", [17, KEPT_FOR_SURE - 1, KEPT_FOR_SURE])
def test_how_many_versions_end_it(total: int) -> None:
    """A label goes on only while AWS is sure to keep what has none."""
    versions = chain(total)
    labels = Labels(labelled(versions[-16:]), dict.fromkeys(versions, NOW))
    assert labels.used == MAX_LABELS - 1
    shed = Room(labels).shed(NOW)
    assert [v for v, _ in shed] == ([versions[-16]] if total < KEPT_FOR_SURE else [])
    assert Room(labels).more_kept() == KEPT_FOR_SURE - total
