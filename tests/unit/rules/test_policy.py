"""Policies in tags and defaults: what is taken, and what each refusal says."""

from dataclasses import replace
from datetime import datetime

import pytest
from daena_kms.errors import ConfigError
from daena_kms.rules.policy import TAGS, Defaults, Policy, is_managed, parse_policy
from daena_kms.rules.specs import NAMES
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.keys import CAN, DAY, DEFAULTS, HOUR, NOW, SECOND

TIME_FORM = "Write RFC 3339 in UTC, such as 2026-11-24T15:50:00Z"
DURATION_FORM = "Write whole days or hours, such as 90d or 12h"
KEEP_FORM = "On this store it must be a number from 2 to 100"
HOLD_FORM = "Write true, or the time at which the hold ends, such as 2026-11-24T15:50:00Z"
DESTROYS_IN_GRACE = (
    "daena.destroy-after is set, but grace is never: versions would be destroyed inside their grace"
)
ENCRYPTS = [name for name in NAMES if name not in {"password", "token"}]


def parse(defaults: Defaults = DEFAULTS, /, **tags: str) -> Policy:
    """Return the policy in tags that are written with underscores and without their prefix."""
    return parse_policy(_tags(tags), defaults, CAN)


def _tags(tags: dict[str, str]) -> dict[str, str]:
    return {"daena." + name.replace("_", "-"): value for name, value in tags.items()}


@pytest.mark.parametrize("spec", ENCRYPTS)
def test_what_encrypts_or_signs_is_never_retired_by_default(spec: str) -> None:
    """Grace and destruction are never, for each spec whose old versions data may need."""
    everything = Defaults(grace=DAY, destroy_after=DAY)
    for policy in (parse(spec=spec), parse(everything, spec=spec)):
        assert (policy.grace, policy.destroy_after) == (None, None)
    assert parse(spec=spec).rotate_after == 90 * DAY


@pytest.mark.parametrize("spec", ["password", "token"])
def test_passwords_and_tokens_have_a_week_of_grace_by_default(spec: str) -> None:
    """What only lets somebody in is retired after seven days, and never destroyed."""
    policy = parse(spec=spec)
    assert (policy.rotate_after, policy.grace, policy.destroy_after) == (90 * DAY, 7 * DAY, None)
    assert (policy.keep, policy.first_due, policy.hold) == (2, None, False)


def test_a_key_without_tags_is_an_encryption_key() -> None:
    """The default spec is aes-256."""
    assert parse().spec.name == "aes-256"


@pytest.mark.parametrize(
    ("tags", "changed"),
    [
        ({"rotate_after": "1h"}, {"rotate_after": HOUR}),
        ({"rotate_after": "36500d"}, {"rotate_after": 36_500 * DAY}),
        ({"grace": "24h"}, {"grace": DAY}),
        ({"grace": "1d", "destroy_after": "1h"}, {"grace": DAY, "destroy_after": HOUR}),
        ({"grace": "400d", "rotate_after": "30d"}, {"grace": 400 * DAY, "rotate_after": 30 * DAY}),
        ({"grace": "never"}, {}),
        ({"destroy_after": "never"}, {}),
        ({"keep": "2"}, {"keep": 2}),
        ({"keep": "100"}, {"keep": 100}),
        ({"hold": "true"}, {"hold": True}),
        ({"hold": "false"}, {}),
        ({"hold": "2026-11-24T12:00:00Z"}, {"hold": NOW}),
        ({"first_due": "2026-11-24T12:00:00Z"}, {"first_due": NOW}),
        ({"managed": "true"}, {}),
    ],
)
def test_each_tag_sets_its_part(tags: dict[str, str], changed: dict[str, object]) -> None:
    """A well-formed tag changes what it names and nothing else, least values included."""
    without = parse()
    wanted = {name: getattr(without, name) for name in Policy.__slots__} | changed
    assert {name: getattr(parse(**tags), name) for name in Policy.__slots__} == wanted


@pytest.mark.parametrize(
    ("tag", "text", "what", "todo"),
    [
        (
            "rotate-after",
            "90",
            "daena.rotate-after is '90', which is not a duration",
            DURATION_FORM,
        ),
        (
            "rotate-after",
            "-1d",
            "daena.rotate-after is '-1d', which is not a duration",
            DURATION_FORM,
        ),
        (
            "rotate-after",
            "1y2",
            "daena.rotate-after is '1y2', which is not a duration",
            DURATION_FORM,
        ),
        ("rotate-after", "0d", "daena.rotate-after is 0d", "It must be at least 1h"),
        ("rotate-after", "0h", "daena.rotate-after is 0h", "It must be at least 1h"),
        (
            *("rotate-after", "never", "daena.rotate-after is 'never', which is not a duration"),
            DURATION_FORM,
        ),
        (
            *(
                "rotate-after",
                "36501d",
                "daena.rotate-after is 36501d, which is longer than 36500d",
            ),
            "Write a shorter duration, or never where that is allowed",
        ),
        ("grace", "23h", "daena.grace is 23h", "It must be at least 1d"),
        ("grace", "0d", "daena.grace is 0d", "It must be at least 1d"),
        ("grace", "Never", "daena.grace is 'Never', which is not a duration", DURATION_FORM),
        ("grace", "", "daena.grace is '', which is not a duration", DURATION_FORM),
        ("destroy-after", "0h", "daena.destroy-after is 0h", "It must be at least 1h"),
        (
            "destroy-after",
            "1",
            "daena.destroy-after is '1', which is not a duration",
            DURATION_FORM,
        ),
        (
            "destroy-after",
            "30d",
            DESTROYS_IN_GRACE,
            "Set daena.grace too, or remove daena.destroy-after",
        ),
        ("keep", "1", "daena.keep is '1'", KEEP_FORM),
        ("keep", "0", "daena.keep is '0'", KEEP_FORM),
        ("keep", "-3", "daena.keep is '-3'", KEEP_FORM),
        ("keep", "101", "daena.keep is '101'", KEEP_FORM),
        ("keep", "never", "daena.keep is 'never'", KEEP_FORM),
        ("keep", "\u0663", "daena.keep is '\u0663'", KEEP_FORM),
        ("keep", "", "daena.keep is ''", KEEP_FORM),
        ("keep", "9" * 9999, f"daena.keep is '{'9' * 20}'", KEEP_FORM),
        ("first-due", "soon", "daena.first-due is 'soon', which is not a time in UTC", TIME_FORM),
        ("first-due", "never", "daena.first-due is 'never', which is not a time in UTC", TIME_FORM),
        (
            *("first-due", "2026-02-30T00:00:00Z"),
            *(
                "daena.first-due is '2026-02-30T00:00:00Z', but there is no such date or time",
                TIME_FORM,
            ),
        ),
        ("hold", "True", "daena.hold is 'True'", HOLD_FORM),
        ("hold", "yes", "daena.hold is 'yes'", HOLD_FORM),
        ("hold", "", "daena.hold is ''", HOLD_FORM),
        ("hold", "2026-11-24", "daena.hold is '2026-11-24'", HOLD_FORM),
        (
            *("spec", "aes-512", "daena.spec is 'aes-512', which is not a key spec"),
            f"Use one of {', '.join(NAMES)}; only password takes options",
        ),
        ("rotate", "90d", "'daena.rotate' is not a tag of daena-kms", f"Use {', '.join(TAGS)}"),
        ("Hold", "true", "'daena.Hold' is not a tag of daena-kms", f"Use {', '.join(TAGS)}"),
        (
            *("x" * 500, "", f"'daena.{'x' * 54}' is not a tag of daena-kms"),
            f"Use {', '.join(TAGS)}",
        ),
    ],
)
def test_a_malformed_tag_is_refused(tag: str, text: str, what: str, todo: str) -> None:
    """The refusal names the tag, what stands there, and what may stand there."""
    with pytest.raises(ConfigError) as refused:
        parse_policy({"daena." + tag: text}, DEFAULTS, CAN)
    assert (refused.value.what, refused.value.todo) == (what, todo)


def test_tags_of_others_are_none_of_our_business() -> None:
    """A tag without our prefix may say anything."""
    assert (
        parse_policy({"owner": "x", "daena": "y", "Daena.hold": "true"}, DEFAULTS, CAN) == parse()
    )


def test_an_explicit_grace_allows_destruction() -> None:
    """An encryption key is destroyed only where both tags say so."""
    policy = parse(grace="30d", destroy_after="60d")
    assert (policy.grace, policy.destroy_after) == (30 * DAY, 60 * DAY)
    kept = parse(spec="token", grace="never", destroy_after="never")
    assert (kept.grace, kept.destroy_after) == (None, None)
    with pytest.raises(ConfigError, match="would be destroyed inside their grace"):
        parse(spec="token", grace="never", destroy_after="30d")


@pytest.mark.parametrize(
    ("grace", "held"),
    [("30d", 2), ("721h", 3), ("60d", 3), ("61d", 4), ("1d", 2)],
)
def test_a_store_must_hold_every_version_in_grace(grace: str, held: int) -> None:
    """A policy that keeps one version more readable than the store holds is refused."""
    tags = {"daena.grace": grace, "daena.rotate-after": "30d"}
    assert parse_policy(tags, DEFAULTS, replace(CAN, max_versions=held)).grace
    with pytest.raises(ConfigError) as refused:
        parse_policy(tags, DEFAULTS, replace(CAN, max_versions=held - 1))
    what = f"keeps {held} versions readable, but this store can keep {held - 1}"
    assert refused.value.what == f"grace {grace} at rotate-after 30d {what}"
    assert refused.value.todo == "Shorten daena.grace or lengthen daena.rotate-after"


@pytest.mark.parametrize(
    ("grace", "destroy", "kept"),
    [("7d", "30d", 20), ("1d", "1h", 5), ("6d", "1d", 5), ("10d", "1d", 7)],
)
def test_where_retired_versions_count_the_store_must_hold_them_too(
    grace: str, destroy: str, kept: int
) -> None:
    """Until they are destroyed, which is seven days after they were superseded at the earliest."""
    tags = {"daena.spec": "token", "daena.grace": grace, "daena.destroy-after": destroy}
    tags["daena.rotate-after"] = "2d"
    counting = replace(CAN, counts_retired=True)
    assert parse_policy(tags, DEFAULTS, replace(CAN, max_versions=kept - 1)).grace
    assert parse_policy(tags, DEFAULTS, replace(counting, max_versions=kept)).grace
    with pytest.raises(ConfigError) as refused:
        parse_policy(tags, DEFAULTS, replace(counting, max_versions=kept - 1))
    assert f"at rotate-after 2d keep {kept} versions, but" in refused.value.what
    assert refused.value.todo == "Shorten daena.destroy-after or lengthen daena.rotate-after"


def test_keep_is_limited_by_the_store() -> None:
    """A store that can label few versions allows a smaller keep, and says which."""
    few = replace(CAN, max_keep=16)
    assert parse_policy({"daena.keep": "16"}, DEFAULTS, few).keep == 16
    with pytest.raises(ConfigError, match="a number from 2 to 16"):
        parse_policy({"daena.keep": "17"}, DEFAULTS, few)


@pytest.mark.parametrize(
    ("hold", "moment", "held"),
    [
        (True, NOW, True),
        (False, NOW, False),
        (NOW, NOW - SECOND, True),
        (NOW, NOW, False),
        (NOW, NOW + SECOND, False),
    ],
)
def test_a_hold_ends_when_it_says(hold: bool | datetime, moment: datetime, held: bool) -> None:
    """A hold without an end holds; one until a time holds until right before that time."""
    assert replace(parse(), hold=hold).held(moment) is held


@pytest.mark.parametrize(("text", "managed"), [("true", True), ("false", False), (None, False)])
def test_only_the_exact_word_enrols_a_key(text: str | None, managed: bool) -> None:
    """A key is managed by the tag's value true, and not by its absence or false."""
    assert is_managed({} if text is None else {"daena.managed": text}) is managed


@pytest.mark.parametrize("text", ["True", "TRUE", "yes", "1", "", " true", "ture"])
def test_a_misspelt_enrolment_is_an_error(text: str) -> None:
    """A key whose owner believes that it is rotated is not passed over in silence."""
    with pytest.raises(ConfigError) as refused:
        is_managed({"daena.managed": text})
    assert str(refused.value) == f"daena.managed is {text!r}. Write true or false"


def test_defaults_come_from_the_environment() -> None:
    """Each variable sets one default, and an empty one sets nothing."""
    environ = {"DAENA_KMS_ROTATE_AFTER": "30d", "DAENA_KMS_GRACE": "never"}
    assert Defaults.from_environment(environ) == Defaults(30 * DAY, None, None)
    environ = {"DAENA_KMS_DESTROY_AFTER": "12h", "DAENA_KMS_GRACE": "48h"}
    assert Defaults.from_environment(environ) == Defaults(90 * DAY, 2 * DAY, 12 * HOUR)
    empty = {f"DAENA_KMS_{name}": "" for name in ("ROTATE_AFTER", "GRACE", "DESTROY_AFTER")}
    assert Defaults.from_environment(empty) == Defaults.from_environment({}) == DEFAULTS


@pytest.mark.parametrize(
    ("name", "text", "what"),
    [
        ("ROTATE_AFTER", "90", "DAENA_KMS_ROTATE_AFTER is '90', which is not a duration"),
        ("ROTATE_AFTER", "never", "DAENA_KMS_ROTATE_AFTER is 'never', which is not a duration"),
        ("ROTATE_AFTER", "0d", "DAENA_KMS_ROTATE_AFTER is 0d"),
        ("GRACE", "1h", "DAENA_KMS_GRACE is 1h"),
        ("DESTROY_AFTER", "0d", "DAENA_KMS_DESTROY_AFTER is 0d"),
    ],
)
def test_a_malformed_default_names_its_variable(name: str, text: str, what: str) -> None:
    """The environment is parsed as strictly as a tag."""
    with pytest.raises(ConfigError) as refused:
        Defaults.from_environment({f"DAENA_KMS_{name}": text})
    assert refused.value.what == what


def test_a_tag_goes_before_the_default() -> None:
    """What the key says counts, whatever the environment says."""
    mine = Defaults(DAY, 2 * DAY, 3 * DAY)
    policy = parse(mine, spec="token", rotate_after="5d", grace="6d", destroy_after="7d")
    assert (policy.rotate_after, policy.grace, policy.destroy_after) == (5 * DAY, 6 * DAY, 7 * DAY)
    silent = parse(mine, spec="token")
    assert (silent.rotate_after, silent.grace, silent.destroy_after) == (DAY, 2 * DAY, 3 * DAY)


_WORDS = st.sampled_from(
    ["true", "false", "never", "1d", "90d", "12h", "2", "token", "aes-256", "2026-11-24T12:00:00Z"]
)


@given(st.dictionaries(st.sampled_from([*TAGS, "daena.x", "y"]), st.text(max_size=30) | _WORDS))
def test_no_tags_break_the_parser(tags: dict[str, str]) -> None:
    """Arbitrary tags are a policy that keeps every rule, or our error."""
    try:
        is_managed(tags)
        policy = parse_policy(tags, DEFAULTS, CAN)
    except ConfigError:
        return
    assert policy.rotate_after >= HOUR
    assert policy.grace is None or policy.grace >= DAY
    assert policy.destroy_after is None or (policy.grace and policy.destroy_after >= HOUR)
    assert 2 <= policy.keep <= CAN.max_keep
    assert policy.hold in {True, False} or isinstance(policy.hold, datetime)
