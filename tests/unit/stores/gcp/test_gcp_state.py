"""What Secret Manager's annotations and aliases say of a key and its versions; pure, no call."""

from datetime import UTC, datetime

import pytest
from daena_kms.rules.model import Key, VersionState
from daena_kms.rules.names import mark
from daena_kms.rules.plan import Kind
from daena_kms.stores.gcp.state import (
    CLAIM,
    DELETED,
    MAX_VERSIONS,
    VERSIONS,
    Claim,
    Record,
    highest,
    number,
    secret_of,
    to_key,
    write_claim,
)
from google.cloud.secretmanager_v1 import Secret

from tests.unit.keys import DAY, HOUR, MINUTE, NOW
from tests.unit.stores.gcp.gcp_messages import (
    MADE,
    MANAGED,
    NAME,
    listed,
    look,
    one,
    planned,
    secret,
)

TWO = {"1": Record(MADE - 90 * DAY, until=MADE), "2": Record(MADE, base="1")}
CURRENT_2 = {"current": 2, "previous": 1}
CLAIMED = Claim("0123", 2, NOW - HOUR, NOW - 45 * MINUTE)


def test_a_listing_is_enough() -> None:
    """The records say when each version was made, from which, and until when it was current."""
    key = to_key(secret(TWO, aliases=CURRENT_2))
    first, second = key.versions
    assert (key.id, key.tags, key.deleted, key.trouble) == ("some-key", MANAGED, None, None)
    assert (first.id, first.state) == ("1", VersionState.PREVIOUS)
    assert (first.created, first.superseded, first.base_mark) == (MADE - 90 * DAY, MADE, mark(None))
    assert (second.id, second.state) == ("2", VersionState.CURRENT)
    assert (second.created, second.superseded, second.base_mark) == (MADE, None, mark("1"))
    assert key.room == MAX_VERSIONS - 2
    assert (key.owner, key.drift) == (None, None)
    assert key.previous is first


def test_a_secret_of_others() -> None:
    """Its current version is the alias's; when it was made, only a closer look tells."""
    key = to_key(secret(annotations={"daena.managed": "true"}, aliases={"current": 3}))
    assert key.current is not None
    assert (key.current.id, key.current.created_earliest) == ("3", MADE - 90 * DAY)
    exact = look(secret(aliases={"current": 3}), listed(3), listed(2, created=MADE - DAY))
    assert exact.current is not None
    assert (exact.current.created, exact.current.created_earliest) == (MADE, None)
    assert one(secret(aliases={"current": 3}), "2", listed(3), listed(2)).state == "pending"


def test_without_dates_of_its_own() -> None:
    """A secret that says no time at all is as young as it can be."""
    before = datetime.now(UTC)
    key = look(secret(aliases={"current": 1}, created=None), listed(1, created=None))
    assert key.current is not None
    assert before <= key.current.created <= datetime.now(UTC)


def test_without_an_alias_the_records_say_which_is_current() -> None:
    """An apply may take aliases away; what was current last is, and the drift is told."""
    orphan = {"3": Record(NOW - DAY, until=NOW - HOUR, orphan=True)}
    key = to_key(secret({**TWO, **orphan}))
    assert key.current is not None
    assert key.current.id == "2"
    assert key.drift is not None
    assert "its alias 'current' was removed" in key.drift
    assert planned(key) == [Kind.RETIRE, Kind.FAILING]


def test_without_records_the_drift_is_told() -> None:
    """An apply may take annotations away, but for those that it knows."""
    key = to_key(secret(aliases=CURRENT_2))
    assert key.drift is not None
    assert f"its annotation {VERSIONS} was removed" in key.drift


def test_a_secret_that_deletes_itself() -> None:
    """It is no place for a key, and the day is told."""
    key = to_key(secret(TWO, aliases=CURRENT_2, expires=NOW + DAY))
    assert key.drift == "the whole secret expires at 2026-11-25T12:00:00Z, and is then deleted"


def test_a_retired_version() -> None:
    """It is retired since the record's time."""
    records = {"1": Record(MADE - 90 * DAY, until=MADE, retired=NOW - DAY), "2": TWO["2"]}
    found = one(secret(records, aliases=CURRENT_2), "1")
    assert (found.state, found.retired) == (VersionState.RETIRED, NOW - DAY)


def test_what_a_crash_left() -> None:
    """It never was current, is given up since the record's time, and is retired once."""
    left = Record(NOW - 3 * DAY, until=NOW - 2 * DAY, orphan=True)
    shown = secret({"2": TWO["2"], "3": left}, aliases={"current": 2})
    found = one(shown, "3")
    assert (found.state, found.base_mark) == (VersionState.ABANDONED, None)
    assert found.superseded == NOW - 2 * DAY
    assert planned(to_key(shown)) == [Kind.RETIRE]
    done = Record(left.at, until=left.until, retired=NOW - HOUR, orphan=True)
    retired = secret({"2": TWO["2"], "3": done}, aliases={"current": 2})
    for versions in ([], [listed(2), listed(3, "DISABLED")]):
        assert one(retired, "3", *versions).retired == NOW - HOUR
        assert planned(look(retired, *versions)) == [Kind.NOTHING]


@pytest.mark.parametrize(
    ("record", "state", "after"),
    [
        (Record(MADE, until=NOW), "ENABLED", VersionState.PREVIOUS),
        (Record(MADE, until=NOW), "DISABLED", VersionState.RETIRED),
        (Record(MADE, until=NOW), "DESTROYED", VersionState.DESTROYED),
        (Record(MADE, until=NOW, retired=NOW), "ENABLED", VersionState.PREVIOUS),
        (Record(MADE, until=NOW, retired=NOW), "DISABLED", VersionState.RETIRED),
        (Record(MADE, until=NOW, orphan=True), "ENABLED", VersionState.ABANDONED),
        (Record(MADE, until=NOW, orphan=True), "DISABLED", VersionState.ABANDONED),
        (Record(MADE, until=NOW, orphan=True), "DESTROYED", VersionState.DESTROYED),
        (Record(MADE, until=NOW, retired=NOW), "DESTROYED", VersionState.DESTROYED),
    ],
    ids=lambda value: str(value) if isinstance(value, str) else "",
)
def test_a_closer_look_shows_the_state(record: Record, state: str, after: VersionState) -> None:
    """What Secret Manager shows counts, whatever the record says."""
    shown = secret({"1": record, "2": TWO["2"]}, aliases={"current": 2})
    found = one(shown, "1", listed(1, state), listed(2))
    assert found.state is after
    assert (found.retired is None) is (state == "ENABLED" or record.retired is None)


def test_a_version_that_the_listing_lacks_is_there() -> None:
    """Listings lag behind, also for hours: what the records say of a newer version stands."""
    shown = secret({**TWO, "3": Record(NOW, base="2")}, aliases={"current": 3, "previous": 2})
    key = look(shown, listed(1), listed(2))
    assert key.current is not None
    assert key.current.id == "3"
    assert [v.state for v in key.versions] == ["previous", "previous", "current"]


@pytest.mark.parametrize("state", ["DISABLED", "DESTROYED"])
def test_a_current_version_that_cannot_be_read(state: str) -> None:
    """The key has none, and says why."""
    key = look(secret(TWO, aliases=CURRENT_2), listed(1), listed(2, state))
    assert key.current is None
    assert key.trouble == "its current version is disabled or destroyed"


def test_why_there_is_no_current_version() -> None:
    """Nothing was ever made current, or the creation was interrupted."""
    assert to_key(secret()).trouble == "it has no alias 'current'"
    made = secret(annotations={CLAIM: write_claim(CLAIMED)})
    assert to_key(made).trouble == "its creation was interrupted: create it again"
    assert planned(to_key(made)) == [Kind.FAILING]


def test_an_alias_that_a_hand_moved_back_shortens_no_grace() -> None:
    """When the newer version stopped being current nobody noted, so its grace has not begun."""
    back = to_key(secret(TWO, aliases={"current": 1}))
    newer = one(secret(TWO, aliases={"current": 1}), "2")
    assert (newer.state, newer.superseded) == (VersionState.PREVIOUS, None)
    assert back.current is not None
    assert (back.current.id, back.current.superseded) == ("1", None)
    assert Kind.RETIRE not in planned(back)


@pytest.mark.parametrize(
    "record",
    [Record(MADE, until=NOW, orphan=True), Record(MADE, until=NOW, retired=NOW)],
    ids=["given up", "retired"],
)
def test_what_the_alias_names_is_current(record: Record) -> None:
    """Whatever the records say of it: consumers read it."""
    key = to_key(secret({"1": TWO["1"], "2": record}, aliases={"current": 2}))
    assert key.current is not None
    assert key.current.id == "2"


def test_a_deleted_key() -> None:
    """The mark is a time; what is none marks nothing."""
    shown = secret(TWO, aliases=CURRENT_2, annotations={DELETED: "2026-11-24T12:00:00Z"})
    assert to_key(shown).deleted == NOW
    assert to_key(secret(TWO, annotations={DELETED: "yesterday"})).deleted is None


def test_the_highest_number_that_a_secret_tells_of() -> None:
    """In its records or its aliases, by number and not by text."""
    assert highest(Secret(), {}) == 0
    assert highest(secret(aliases={"current": 9}), {"10": Record(NOW)}) == 10
    assert highest(secret(aliases={"theirs": 12}), {"10": Record(NOW)}) == 12
    assert number(f"{NAME}/versions/7") == "7"


def test_managed_by_google(monkeypatch: pytest.MonkeyPatch) -> None:
    """What Google itself rotates has an owner, where the client knows types."""
    kind = type("Kind", (), {"name": "CLOUD_SQL_DB_CREDENTIALS"})
    monkeypatch.setattr(Secret, "secret_type", kind, raising=False)
    assert to_key(secret(TWO)).owner == "Secret Manager's managed rotation"
    monkeypatch.setattr(Secret, "secret_type", type("Kind", (), {"name": "OTHER"}), raising=False)
    assert to_key(secret(TWO)).owner is None


def test_a_key_that_was_not_described_here() -> None:
    """It is a mistake of the caller's, and not taken."""
    shown = secret(TWO)
    assert secret_of(to_key(shown)) is shown
    with pytest.raises(TypeError, match="not described by this store"):
        secret_of(Key("key", {}, ()))


@pytest.mark.parametrize(
    ("shown", "enrolled"),
    [
        (secret(TWO, aliases=CURRENT_2), True),
        (secret(TWO), True),
        # Broken by somebody: ours all the same, and no rotation goes past it.
        (secret(annotations={VERSIONS: "{"}, aliases=CURRENT_2), True),
        (secret(aliases=CURRENT_2), False),
        (secret({}, aliases=CURRENT_2), False),
        (secret(), False),
        (secret(annotations={CLAIM: write_claim(CLAIMED)}, aliases={"current": 2}), False),
        (secret(annotations={"daena.first-due": "2020-01-01T00:00:00Z"}), False),
    ],
)
def test_what_shows_that_a_secret_is_enrolled(shown: Secret, *, enrolled: bool) -> None:
    """The records of its versions; neither the policy nor an alias of its owner."""
    assert to_key(shown).enrolled is enrolled


def test_a_label_and_an_alias_outlive_an_apply_that_removes_annotations() -> None:
    """Both are of ours, so the key is not enrolled anew."""
    shown = secret(aliases=CURRENT_2)
    shown.labels["daena-managed"] = "true"
    assert to_key(shown).enrolled
    shown.version_aliases.clear()
    assert not to_key(shown).enrolled


def test_without_an_alias_the_newest_version_would_be_pinned() -> None:
    """A closer look shows which that is, if it can be read; the lack of the alias is told."""
    key = look(secret(), listed(1), listed(2))
    assert key.current is not None
    assert (key.current.id, key.trouble) == ("2", "it has no alias 'current'")
    off = look(secret(), listed(1), listed(2, "DISABLED"))
    assert (off.current, off.trouble) == (None, "it has no alias 'current'")
    assert planned(to_key(secret())) == [Kind.FAILING]
    assert to_key(secret(expires=NOW + DAY)).unfit is not None
