"""What a version's tags and dates mean for the one that comes after it; pure, no call."""

from datetime import UTC, datetime, timedelta

import pytest
from azure.keyvault.secrets import DeletedSecret
from daena_kms.errors import ConfigError
from daena_kms.rules.durations import format_time
from daena_kms.rules.model import Key, VersionState
from daena_kms.rules.names import new_version_id
from daena_kms.stores.azure.deleted import deleted_key
from daena_kms.stores.azure.look import OPEN, RETIRED, look_of, to_key
from daena_kms.stores.azure.order import NAME
from daena_kms.stores.azure.set import MAX_TAGS, checked, next_tags, oldest_readable

from tests.unit.keys import DAY, HOUR, NOW, SECOND
from tests.unit.stores.azure.azure_versions import MADE, MANAGED, ours, properties


def test_since_when_older_ones_may_be_readable() -> None:
    """The tag says so. Without it nothing is before a version of ours; of others nobody knows."""
    late = MADE + SECOND
    table = [
        (ours(), None),
        (ours(daena_open=format_time(MADE - DAY)), MADE - DAY),
        (ours(daena_open=format_time(NOW)), late),
        (ours(daena_open="soon"), late),
        (properties(MADE), MADE),
        (properties(MADE, {OPEN: format_time(MADE - DAY)}), MADE - DAY),
    ]
    for shown, since in table:
        assert to_key(shown).older_since == since


def test_the_tags_of_the_next_version() -> None:
    """All that the owner and the policy put there, our two anew, and not that of a retirement."""
    name = new_version_id(None, NOW)
    shown = ours(team="a", daena_retired="x", daena_open=format_time(MADE - DAY))
    given = next_tags(to_key(shown), name, NOW)
    assert given == {**MANAGED, "team": "a", NAME: name, OPEN: format_time(MADE - DAY)}
    # Nothing before it is readable: it itself will be, from now on.
    assert next_tags(to_key(ours()), name, NOW)[OPEN] == format_time(NOW)
    # A closer look knows better than the tag.
    older, newest = ours(made=MADE - 9 * DAY), ours()
    looked = to_key(newest, [older, newest])
    assert next_tags(looked, name, NOW)[OPEN] == format_time(MADE + SECOND)


def test_more_tags_than_a_vault_takes() -> None:
    """Fifteen are taken; with a sixteenth the key is reported, before anything is set."""
    name = new_version_id(None, NOW)
    theirs = {f"theirs-{n}": "x" for n in range(MAX_TAGS - len(MANAGED) - 2)}
    full = next_tags(to_key(properties(MADE, {**MANAGED, **theirs})), name, NOW)
    assert len(full) == MAX_TAGS
    assert checked(full, "key") is full
    with pytest.raises(ConfigError, match=r"'key': it would have 16 tags, but Key Vault allows 15"):
        next_tags(to_key(properties(MADE, {**MANAGED, **theirs, "one": "more"})), name, NOW)


def test_the_oldest_that_is_readable() -> None:
    """Of the versions before the current one, retired ones and the one named left out."""
    first, second = ours(made=MADE - 30 * DAY), ours(made=MADE - 20 * DAY)
    gone = properties(MADE - 40 * DAY, {RETIRED: format_time(NOW)}, enabled=False)
    newest = ours()
    key = to_key(newest, [gone, first, second, newest])
    assert oldest_readable(key) == MADE - 20 * DAY + SECOND
    assert oldest_readable(key, without=first.version) == MADE + SECOND
    assert oldest_readable(to_key(newest, [newest])) is None
    assert oldest_readable(to_key(newest)) is None


@pytest.mark.parametrize(
    ("tags", "when"),
    [
        ({RETIRED: format_time(NOW - HOUR)}, NOW - HOUR),
        ({RETIRED: "yesterday"}, NOW - DAY),
        ({}, NOW - DAY),
        (None, NOW - DAY),
    ],
    ids=["noted", "nonsense", "not noted", "no tags"],
)
def test_when_a_version_was_retired(tags: dict[str, str] | None, when: datetime) -> None:
    """As its tag says, or else as the vault dates its last change."""
    old = properties(MADE - DAY, tags, enabled=False, updated=NOW - DAY)
    newest = ours()
    retired = to_key(newest, [old, newest]).version(str(old.version))
    assert retired is not None
    assert (retired.state, retired.retired) == (VersionState.RETIRED, when)


def test_a_version_that_was_enabled_again_is_readable() -> None:
    """The state is what the vault shows, whatever a tag says."""
    old = properties(MADE - DAY, {RETIRED: format_time(NOW - HOUR)})
    newest = ours()
    found = to_key(newest, [old, newest]).version(str(old.version))
    assert found is not None
    assert (found.state, found.retired) == (VersionState.PREVIOUS, None)


@pytest.mark.parametrize(
    ("expires", "lifetime"),
    [
        (None, None),
        (MADE + 90 * DAY, 90 * DAY),
        (MADE, None),
        (MADE - DAY, None),
        (datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC), 36_500 * DAY),
    ],
    ids=["never", "a quarter", "at once", "before it was made", "the end of time"],
)
def test_for_how_long_the_owner_lets_a_version_live(
    expires: datetime | None, lifetime: timedelta | None
) -> None:
    """As long as from its making to its expiry, and never so long that a sum breaks."""
    key = to_key(properties(MADE, MANAGED, expires=expires, content_type="text/plain"))
    assert look_of(key).lifetime == lifetime
    assert look_of(key).content_type == "text/plain"
    assert key.current is not None
    assert key.current.expires == expires
    assert lifetime is None or NOW + lifetime > NOW
    assert look_of(to_key(properties(None, expires=expires))).lifetime is None


def test_a_deleted_key() -> None:
    """Its tags and the time are known, its versions are not."""
    gone = DeletedSecret(properties(tags=MANAGED | {"team": "a"}, name="Key"), deleted_date=NOW)
    key = deleted_key(gone)
    assert (key.id, key.tags, key.versions, key.deleted) == ("key", MANAGED, (), NOW)
    undated = deleted_key(DeletedSecret(properties(), deleted_date=None))
    assert undated.deleted is not None
    assert undated.tags == {}


def test_a_key_that_was_not_described_here() -> None:
    """It is a mistake of the caller's, and not taken."""
    with pytest.raises(TypeError, match="not described by this store"):
        look_of(Key("key", {}, ()))
