"""Which of a key's versions is current, and which is the previous one."""

from dataclasses import replace

import pytest
from daena_kms.rules.model import Key, Version, VersionState
from daena_kms.rules.names import mark

from tests.unit.keys import DAY, HOUR, previous, retired, tagged, version


def test_a_key_finds_its_versions() -> None:
    """The current version is the one in that state, and any is found by its id."""
    current, old = version(DAY), previous(DAY)
    key = tagged({}, old, current)
    assert key.current is current
    assert key.version(old.id) is old
    assert key.version("daena") is None


@pytest.mark.parametrize("state", [s for s in VersionState if s is not VersionState.CURRENT])
def test_a_key_may_have_no_current_version(state: VersionState) -> None:
    """No other state stands in for the current one."""
    assert tagged({}, version(DAY, state)).current is None


@pytest.mark.parametrize("state", [s for s in VersionState if s is not VersionState.PREVIOUS])
def test_only_a_readable_version_is_previous(state: VersionState) -> None:
    """What is pending, given up, retired or destroyed is no previous version."""
    old = version(DAY, state, superseded=HOUR)
    assert replace(tagged({}, old), versions=(version(HOUR), old)).previous is None


def test_previous_is_the_base_of_the_current_one() -> None:
    """The version that the current one was made from goes before one superseded later."""
    base, later = previous(10 * DAY), previous(DAY)
    current = version(DAY, base_mark=mark(base.id))
    for versions in ((current, base, later), (later, base, current)):
        assert tagged({}, *versions).previous is base


def test_without_the_base_previous_is_the_one_superseded_last() -> None:
    """If the base is no longer readable, or nobody knows it, the newest end counts."""
    old, newer, gone = previous(10 * DAY), previous(DAY), retired(DAY)
    for base_mark in (mark(gone.id), None, mark(None)):
        assert tagged({}, version(DAY, base_mark=base_mark), old, newer, gone).previous is newer


def test_one_of_unknown_end_came_last() -> None:
    """Where no time of its end is known, an outsider's version came after those that are ours."""
    outsider = version(400 * DAY, VersionState.PREVIOUS, base_mark=None)
    outsiders = [outsider, version(500 * DAY, VersionState.PREVIOUS, base_mark=None)]
    ours = previous(DAY)
    key = tagged({}, version(HOUR, base_mark=None), ours, *outsiders)
    assert key.previous is outsider


def test_a_key_without_a_current_version_still_has_a_previous_one() -> None:
    """What was current before stays findable."""
    old = previous(DAY)
    assert Key("k", {}, (old,)).previous is old


def test_a_look_at_a_key_shows_no_secret_of_the_store() -> None:
    """What a store remembers of a look is neither shown nor compared."""
    plain = tagged({}, version(DAY))
    handled = replace(plain, handle=object())
    assert handled == plain
    assert "handle" not in repr(handled)


def test_a_version_holds_no_value() -> None:
    """Nothing in a version is the value: it can be logged."""
    assert set(Version.__slots__) == {
        *("id", "alias", "state", "created", "created_earliest", "base_mark", "superseded"),
        *("retired", "to_be_destroyed", "expires", "compromised", "revoked"),
        *("unlabelled", "gives_way", "orphan"),
    }
