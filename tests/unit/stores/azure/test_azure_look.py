"""What Key Vault's attributes say of a key and its versions; pure, no call."""

import itertools
import secrets
from datetime import UTC, datetime, timedelta

import pytest
from daena_kms.rules.model import PROMOTION_BOUND, Key, VersionState
from daena_kms.rules.names import mark, new_version_id
from daena_kms.stores.azure.look import OPEN, look_of, to_key
from daena_kms.stores.azure.order import NAME, clear_newest, newest_of

from tests.unit.keys import DAY, HOUR, MINUTE, NOW, SECOND
from tests.unit.stores.azure.azure_versions import MADE, MANAGED, ours, properties


def states(key: Key) -> dict[str, VersionState]:
    """Return each version's state by its id."""
    return {v.id: v.state for v in key.versions}


def test_a_listing_of_a_version_of_ours() -> None:
    """Its name of ours stands for the id that the listing lacks, and says when, and from what."""
    base = secrets.token_hex(16)
    name = new_version_id(base, MADE)
    key = to_key(properties(MADE + SECOND, {**MANAGED, NAME: name, "team": "a"}, version=""))
    (only,) = key.versions
    assert key.tags == MANAGED
    assert (only.id, only.alias, only.ref) == (name, name, name)
    assert (only.state, only.base_mark, only.created) == (
        VersionState.CURRENT,
        mark(base),
        MADE + SECOND,
    )
    assert (key.owner, key.trouble, key.deleted) == (None, None, None)
    assert look_of(key).version is None


def test_a_look_names_the_version_as_the_listing_did() -> None:
    """The id is the vault's own, and what plans call the version stays the same."""
    shown = ours()
    key = to_key(shown)
    assert key.current is not None
    assert (key.current.id, key.current.ref) == (shown.version, (shown.tags or {})[NAME])
    assert look_of(key).version == shown.version
    assert look_of(key).recoverable


@pytest.mark.parametrize("tags", [None, {}, {NAME: ""}, {NAME: "v1"}, {NAME: "daena-x"}], ids=str)
def test_a_version_of_others(tags: dict[str, str] | None) -> None:
    """It has no base; in a listing it is called by the second in which it was made."""
    key = to_key(properties(MADE, tags, version=""))
    assert key.current is not None
    assert (key.current.id, key.current.base_mark) == ("made-20261114T120000Z", None)
    assert key.older_since == MADE


def test_a_name_in_upper_case_is_a_key_in_lower_case() -> None:
    """Names are case-insensitive in a vault, and a key's id has lower case."""
    assert to_key(properties(name="Team-KEY")).id == "team-key"


def test_the_secret_of_a_certificate_has_an_owner() -> None:
    """Key Vault itself makes its versions."""
    assert to_key(properties(managed=True)).owner == "the certificate of that name"
    assert to_key(properties(managed=False)).owner is None


@pytest.mark.parametrize(
    ("level", "recoverable"),
    [
        ("Recoverable", True),
        ("Recoverable+Purgeable", True),
        ("CustomizedRecoverable+Purgeable", True),
        ("Purgeable", False),
        (None, False),
    ],
)
def test_what_a_deletion_would_mean(level: str | None, recoverable: bool) -> None:
    """Only a vault with soft delete keeps what is deleted."""
    assert look_of(to_key(properties(recovery_level=level))).recoverable is recoverable


def test_a_disabled_newest_version_is_no_current_one() -> None:
    """The key has none, and says why; a version before it is not promoted in its place."""
    older = ours(made=MADE - DAY)
    newest = properties(MADE, ours().tags, enabled=False, updated=NOW)
    key = to_key(newest, [older, newest])
    assert key.current is None
    assert key.trouble == "its newest version is disabled"
    assert states(key) == {
        str(older.version): VersionState.PREVIOUS,
        str(newest.version): VersionState.RETIRED,
    }
    assert key.version(str(newest.version)) in key.versions
    assert [v.retired for v in key.versions] == [None, NOW]


def test_the_newest_of_versions_of_one_second_is_the_disabled_one() -> None:
    """The vault has said that the newest one is disabled, and its dates are whole seconds."""
    older = properties(MADE, updated=NOW)
    newest = properties(MADE, enabled=False, updated=MADE + HOUR)
    for order in itertools.permutations([older, newest, properties(MADE - SECOND, enabled=False)]):
        assert newest_of(list(order)) is newest
    later = properties(MADE + SECOND, enabled=False)
    assert newest_of([properties(None), later, newest]) is later


def test_older_versions_end_when_the_next_one_was_made() -> None:
    """In the order of their making, whatever order the vault lists them in."""
    first, second = ours(made=MADE - 20 * DAY), properties(MADE - 5 * DAY)
    third = ours(second.version)
    for order in itertools.permutations([first, second, third]):
        key = to_key(third, list(order))
        ends = {v.id: v.superseded for v in key.versions}
        assert ends == {
            first.version: MADE - 5 * DAY,
            second.version: MADE + SECOND,
            third.version: None,
        }
        assert [v.id for v in key.versions] == [first.version, second.version, third.version]
        assert key.previous is not None
        assert key.previous.id == second.version
        assert key.older_since is None


def test_versions_of_one_second_are_in_the_order_of_their_bases() -> None:
    """Where the dates tie, a version made from another comes after it."""
    first = ours(late=timedelta())
    second = ours(first.version, late=timedelta())
    third = ours(second.version, late=timedelta())
    newest = ours(third.version, NOW)
    for order in itertools.permutations([first, second, third, newest]):
        key = to_key(newest, list(order))
        assert [v.id for v in key.versions] == [p.version for p in (first, second, third, newest)]


def test_bases_in_a_circle_end() -> None:
    """Nonsense in tags keeps nobody busy: each version is shown once."""
    one, other = secrets.token_hex(16), secrets.token_hex(16)
    circle = [
        properties(MADE, {NAME: new_version_id(other, MADE)}, version=one),
        properties(MADE, {NAME: new_version_id(one, MADE)}, version=other),
    ]
    newest = ours(one, NOW)
    assert len(to_key(newest, [*circle, newest]).versions) == 3


def test_a_copied_name_is_the_older_versions() -> None:
    """Who sets a value with all tags copies the name, too: only the first one was made by us."""
    first = ours()
    copy = properties(MADE + 5 * MINUTE, first.tags)
    key = to_key(copy, [first, copy])
    older, current = key.versions
    assert (older.id, older.base_mark, older.ref) == (
        first.version,
        mark(None),
        (first.tags or {})[NAME],
    )
    assert (current.id, current.base_mark) == (copy.version, None)
    # Between two later ones it is nobody's name either.
    last = ours(copy.version, MADE + HOUR)
    named = [v.base_mark is not None for v in to_key(last, [first, copy, last]).versions]
    assert named == [True, False, True]


@pytest.mark.parametrize(
    ("late", "known"),
    [
        (PROMOTION_BOUND + 5 * MINUTE, True),
        (PROMOTION_BOUND + 5 * MINUTE + SECOND, False),
        (90 * DAY, False),
    ],
    ids=["within the bound", "after it", "a quarter later"],
)
def test_a_name_older_than_its_version_was_copied(late: timedelta, known: bool) -> None:
    """A version is set within minutes of its stamp, or the stamp is another version's."""
    key = to_key(ours(late=late))
    assert key.current is not None
    assert (key.current.base_mark is not None) is known
    assert key.current.created == MADE + late


def test_a_stamp_ahead_of_the_vault_counts() -> None:
    """A function's clock may be ahead: the version is as young as the later of the two says."""
    key = to_key(ours(late=-HOUR))
    assert key.current is not None
    assert key.current.created == MADE


@pytest.mark.parametrize(
    "created",
    [None, datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, tzinfo=UTC)],
    ids=["none", "the first year", "the last"],
)
def test_a_date_that_is_none(created: datetime | None) -> None:
    """A version without a believable date is old, which makes it due and breaks no sum."""
    key = to_key(properties(created, MANAGED))
    assert key.current is not None
    assert key.current.created == datetime(1970, 1, 1, tzinfo=UTC)
    assert to_key(properties(created, {NAME: new_version_id(None, MADE)})).current is not None


@pytest.mark.parametrize(
    ("tags", "enrolled"),
    [
        ({NAME: new_version_id(None, MADE)}, True),
        # Copied by who set a value with all tags of the version before.
        ({NAME: new_version_id(None, MADE - 90 * DAY)}, True),
        ({OPEN: "none"}, True),
        ({OPEN: "none-20261114T120000Z"}, True),
        ({OPEN: "2026-11-14T12:00:00Z"}, True),
        ({}, False),
        ({NAME: "v1"}, False),
        ({OPEN: ""}, False),
        ({OPEN: "soon"}, False),
        (
            {"daena-retired": "2026-11-14T12:00:00Z", "daena.first-due": "2020-01-01T00:00:00Z"},
            False,
        ),
    ],
    ids=range(10),
)
def test_what_shows_that_a_key_is_enrolled(tags: dict[str, str], *, enrolled: bool) -> None:
    """A name of ours or the note of an adoption, in their form, on the newest version."""
    assert to_key(properties(MADE, {**MANAGED, **tags}, version="")).enrolled is enrolled


def test_an_older_version_of_ours_shows_it_as_well() -> None:
    """An apply may set a value with the policy's tags alone; a listing can't tell, a look can."""
    old, new = ours(made=MADE - DAY), properties(MADE, dict(MANAGED))
    assert not to_key(new).enrolled
    assert to_key(new, [old, new]).enrolled
    assert not to_key(new, [properties(MADE - DAY, dict(MANAGED)), new]).enrolled


def test_a_content_type_that_speaks_against_a_rotation() -> None:
    """It is told, for a key that nobody has enrolled yet."""
    key = to_key(properties(MADE, dict(MANAGED), content_type="application/json"))
    assert "application/json" in str(key.unfit)
    assert to_key(properties(MADE, dict(MANAGED), content_type="text/plain")).unfit is None


def test_dates_that_are_apart_say_which_version_is_the_newest() -> None:
    """The vault's own dates, whatever stamps in names say; a list leaves no doubt then."""
    first, last = properties(MADE, version="f" * 32), properties(MADE + 6 * SECOND)
    assert clear_newest([last, first]) is last
    assert clear_newest([first]) is first
    # A stamp of a clock that is ahead does not count.
    ahead = properties(MADE, {NAME: new_version_id(None, MADE + DAY)})
    assert clear_newest([ahead, last]) is last


def test_of_versions_of_one_moment_our_names_say_it() -> None:
    """The one that was made from all others, in a row."""
    first = ours(late=timedelta())
    second = ours(first.version, late=timedelta())
    third = ours(second.version, MADE + 2 * SECOND, late=timedelta())
    for order in itertools.permutations([first, second, third]):
        assert clear_newest(list(order)) is third


@pytest.mark.parametrize("order", [1, -1])
def test_a_list_that_leaves_the_newest_open(order: int) -> None:
    """Set by hand in the same moment, with all tags or none; of one base; undated; or nothing."""
    first = ours(late=timedelta())
    second = ours(first.version, late=timedelta())
    by_hand, copy = properties(MADE + SECOND), properties(MADE + SECOND, second.tags)
    fork = ours(first.version, late=timedelta())
    for other in (by_hand, copy, fork):
        assert clear_newest([first, second, other][::order]) is None
    assert clear_newest([properties(None), second][::order]) is None
    assert clear_newest([]) is None


def test_bases_in_a_circle_leave_the_newest_open() -> None:
    """Nonsense in tags decides nothing."""
    one, other = "1" * 32, "2" * 32
    circle = [
        properties(MADE, {NAME: new_version_id(other, MADE)}, version=one),
        properties(MADE, {NAME: new_version_id(one, MADE)}, version=other),
    ]
    assert clear_newest(circle) is None
