"""What is planned for a key that carries only our tags, and when such a key is first due."""

from dataclasses import replace
from datetime import timedelta

import pytest
from daena_kms.errors import ConfigError
from daena_kms.rules.adoption import (
    check_enrollable,
    enrolment_hour,
    first_due_by_tag,
    unfit_content,
)
from daena_kms.rules.due import due_at, is_due, needs_detail, not_before
from daena_kms.rules.model import Key
from daena_kms.rules.plan import CHANGES, Action, Kind, plan_key
from daena_kms.rules.policy import MANAGED, parse_policy
from daena_kms.rules.summary import action_record
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.keys import (
    CAN,
    DAY,
    DEFAULTS,
    HOUR,
    MINUTE,
    NOW,
    SECOND,
    aged,
    at,
    previous,
    tagged,
    version,
)

TOKEN = {"spec": "token"}
COMMAND = r"daena-kms adopt k --spec"


def by_tag(tags: dict[str, str] | None = None, age: timedelta = 400 * DAY) -> Key:
    """Return a key that somebody tagged."""
    return replace(aged(age, TOKEN if tags is None else tags), enrolled=False)


def planned(key: Key, *, named: bool = False, compromised: bool = False) -> list[Action]:
    """Return the plan at NOW."""
    return plan_key(key, DEFAULTS, CAN, NOW, named=named, compromised=compromised)


@pytest.mark.parametrize("age", [timedelta(), 89 * DAY, 90 * DAY, 4000 * DAY])
def test_it_is_enrolled_whatever_its_age(age: timedelta) -> None:
    """Once, without a rotation; the record names the versions that it has."""
    key = by_tag(age=age)
    (action,) = planned(key)
    assert (action.kind, action.base, action.version) == (Kind.ENROL, key.versions[0].id, None)
    assert action.reason.startswith("enrolled by tag; first due at 20")
    assert action.kind in CHANGES
    assert action_record(action)["versions"] == [key.versions[0].id]
    assert "versions" not in action_record(replace(action, versions=()))


def test_older_versions_of_others_stay() -> None:
    """Nothing is retired before the key is enrolled, and nothing because a log says so."""
    key = replace(tagged(TOKEN, version(DAY), previous(90 * DAY)), enrolled=False)
    assert [a.kind for a in planned(key)] == [Kind.ENROL]
    pending = {key.versions[1].id}
    actions = plan_key(key, DEFAULTS, CAN, NOW, pending_revocations=pending)
    assert [a.kind for a in actions] == [Kind.ENROL]


def test_who_names_it_is_told_that_it_is_not_rotated() -> None:
    """Named or not, it is enrolled first."""
    (action,) = planned(by_tag(), named=True)
    assert action.kind is Kind.ENROL
    assert "not rotated, because it is not enrolled yet" in action.reason


def test_an_emergency_rotates_it_as_well() -> None:
    """Enrolled, rotated, and the old version retired, from one base."""
    key = by_tag()
    actions = planned(key, named=True, compromised=True)
    assert [a.kind for a in actions] == [Kind.ENROL, Kind.ROTATE, Kind.RETIRE]
    assert {a.base for a in actions} == {key.versions[0].id}
    assert [a.compromised for a in actions] == [False, True, True]
    assert "not rotated" not in actions[0].reason


@pytest.mark.parametrize("options", [{}, {"named": True}, {"named": True, "compromised": True}])
@pytest.mark.parametrize(
    ("key", "words"),
    [
        (by_tag({}), rf"no daena\.spec, .*neither created nor adopted it\. Run: {COMMAND}"),
        (by_tag({"rotate-after": "1h"}), COMMAND),
        (replace(by_tag({}), trouble="it has no alias 'current'"), "no alias 'current'"),
        (replace(by_tag(), unfit="its content type is 'application/json'"), COMMAND),
        (replace(by_tag(), owner="Another service"), "Another service rotates it"),
        (replace(by_tag(), room=0), "no room"),
        (replace(by_tag(), versions=()), "no current version"),
        (replace(by_tag(), versions=(), trouble="its newest version is disabled"), "is disabled"),
        (by_tag({"spec": "nonsense"}), "not a key spec"),
        (by_tag(TOKEN | {"grace": "1h"}), r"daena\.grace is 1h"),
        (by_tag(TOKEN | {"colour": "red"}), "is not a tag of daena-kms"),
        (replace(by_tag(), deleted=NOW), "it was deleted"),
        (by_tag(age=-DAY), "in the future"),
    ],
    ids=[
        *("no spec", "only an interval", "no alias", "unfit", "owned", "full", "empty"),
        *("disabled", "a bad spec", "a bad policy", "an unknown tag", "deleted", "from tomorrow"),
    ],
)
def test_what_can_be_judged_without_its_value_is_judged(
    key: Key, words: str, options: dict[str, bool]
) -> None:
    """It fails with what to do, and nothing is done, also in an emergency."""
    actions = planned(key, **options)
    if key.deleted is not None and not options:
        assert actions == []
        return
    (action,) = actions
    assert action.kind is Kind.FAILING
    with pytest.raises(type(action.error or Exception()), match=words):
        raise action.error or AssertionError


@pytest.mark.parametrize("named", [False, True])
def test_a_hold_comes_first(named: bool) -> None:
    """A key on hold is not enrolled."""
    (action,) = planned(by_tag(TOKEN | {"hold": "true"}), named=named)
    assert action.kind is Kind.HELD


def test_a_key_of_ours_needs_nothing_of_that() -> None:
    """What daena-kms created may have neither a spec nor a fitting content type."""
    key = replace(aged(DAY), unfit="anything")
    check_enrollable(key)
    assert [a.kind for a in planned(key)] == [Kind.NOTHING]


@pytest.mark.parametrize(("lists", "closer"), [(True, False), (False, True)])
def test_a_closer_look_is_taken_where_a_listing_hides_versions(lists: bool, closer: bool) -> None:
    """An older version may be of ours; where the listing shows all, no call is spent."""
    can = replace(CAN, lists_versions=lists)
    assert needs_detail(by_tag(), DEFAULTS, can, NOW) is closer
    assert not needs_detail(aged(DAY), DEFAULTS, can, NOW)
    released = replace(by_tag(), tags={MANAGED: "false"})
    assert not needs_detail(released, DEFAULTS, can, NOW)


@given(
    st.text("abcdefgh-", min_size=1, max_size=20),
    st.integers(1, 24 * 36_500),
    st.integers(0, 86_400 * 400),
)
def test_the_first_time_by_tag(key_id: str, hours: int, offset: int) -> None:
    """A day from the enrolment at the earliest; the same for all runs of one hour."""
    now, interval = NOW + offset * SECOND, hours * HOUR
    hour = enrolment_hour(now)
    assert timedelta() <= now - hour < HOUR
    due = first_due_by_tag(key_id, hour, interval)
    assert due == first_due_by_tag(key_id, enrolment_hour(hour + 59 * MINUTE), interval)
    assert due - now >= DAY
    assert due - now <= max(interval, 2 * DAY + HOUR, DAY + HOUR + interval)
    assert due.microsecond == 0


def test_the_first_times_by_tag_are_spread() -> None:
    """Of a thousand keys that one apply tags, no day of ninety gets many."""
    due = [first_due_by_tag(f"key-{n}", NOW, 90 * DAY) - NOW for n in range(1000)]
    by_day = [sum(d // DAY == day for d in due) for day in range(91)]
    assert max(by_day) < 30
    assert by_day[0] == 0
    hourly = {first_due_by_tag(f"key-{n}", NOW, HOUR) for n in range(100)}
    assert len(hourly) > 90


@pytest.mark.parametrize(
    ("first", "expected"),
    [(None, "by tag"), (-400 * DAY, "by tag"), (400 * DAY, "the tag's")],
)
def test_a_store_that_keeps_the_hour_apart_from_the_tags(
    first: timedelta | None, expected: str
) -> None:
    """The later of both times counts, so that no tag brings it forward."""
    tags = TOKEN | ({} if first is None else {"first-due": at(first)})
    key = replace(aged(800 * DAY, tags), enrolled_by_tag=enrolment_hour(NOW))
    policy = parse_policy(key.tags, DEFAULTS, CAN)
    mine = first_due_by_tag("k", enrolment_hour(NOW), policy.rotate_after)
    due = mine if expected == "by tag" else NOW + 400 * DAY
    assert due_at(key, policy) == not_before(key, policy) == due
    assert not is_due(key, policy, due - SECOND)
    assert is_due(key, policy, due)
    (action,) = planned(key)
    assert (action.kind, action.due) == (Kind.NOTHING, due)


@pytest.mark.parametrize(
    "content_type",
    [
        *("application/json", "application/json; charset=utf-8", "text/json", "TEXT/XML", "json"),
        *("application/x-pkcs12", "application/x-pem-file", "application/octet-stream"),
        *("application/vnd.ms-sastoken-storage", "image/png", "pfx", "certificate (PEM)"),
        *("Connection String", "yaml", "text/csv", "application/vnd.example"),
    ],
)
def test_a_content_type_that_speaks_against_it(content_type: str) -> None:
    """A structure, a certificate, a token of an issuer, anything binary."""
    found = unfit_content(content_type)
    assert found is not None
    assert content_type[:20] in found


@pytest.mark.parametrize(
    "content_type",
    [None, "", "text/plain", "text/plain; charset=utf-8", "text/x-key", "password", "API token"],
)
def test_a_content_type_that_says_nothing(content_type: str | None) -> None:
    """Text, or a word of the owner's."""
    assert unfit_content(content_type) is None


def test_a_long_content_type_is_cut() -> None:
    """A message stays readable."""
    found = unfit_content("application/" + "x" * 5000)
    assert found is not None
    assert len(found) < 150


def test_the_error_is_one_of_settings() -> None:
    """It counts as what it is: something to correct in the store."""
    with pytest.raises(ConfigError):
        check_enrollable(by_tag({}))


def test_an_enrolment_names_the_newest_versions() -> None:
    """As many as a reader of the log takes, whatever their order."""
    versions = [version(DAY), *(previous(DAY * n) for n in range(2, 1_200))]
    key = replace(tagged(TOKEN, *reversed(versions)), enrolled=False)
    (enrolment,) = planned(key)
    assert list(enrolment.versions) == [v.id for v in versions[:1000]]
