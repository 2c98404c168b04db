"""The fields of a policy: where each comes from, and what a change of them may be."""

from dataclasses import replace
from typing import Any

import pytest
from daena_kms.errors import ConfigError, RotationConflict
from daena_kms.rules.fields import FIELDS, field_named, fields_of, named, policy_record, tags_of
from daena_kms.rules.model import Key
from daena_kms.rules.policy import HOLD, MANAGED, TAGS, Defaults, parse_policy
from daena_kms.rules.policy_change import PolicyChange, plan_change, policy_was_set

from tests.unit.keys import CAN, DAY, DEFAULTS, tagged

WEAK = "password:length=12:classes=digit"


def sources(
    tags: dict[str, str], environ: dict[str, str] | None = None
) -> dict[str, tuple[Any, ...]]:
    """Return value, source and what sets it of each field, by its name."""
    defaults = Defaults.from_environment(environ or {})
    policy = parse_policy(tags, defaults, CAN)
    return {f.name: (f.value, f.source, f.set_by) for f in fields_of(policy, tags, defaults)}


def test_every_tag_is_a_field_but_those_that_enrol_and_hold() -> None:
    """What is not a field has commands of its own: adopt, hold and release."""
    assert {*FIELDS.values()} == {*TAGS} - {MANAGED, HOLD}
    assert [field_named(named(name)) for name in FIELDS] == list(FIELDS)


def test_a_key_without_tags_goes_by_the_defaults() -> None:
    """Each field says so."""
    found = sources({})
    assert {source for _, source, _ in found.values()} == {"default"}
    assert {name: value for name, (value, _, _) in found.items()} == {
        "spec": "aes-256",
        "rotate_after": "90d",
        "grace": "never",
        "destroy_after": "never",
        "keep": "2",
        "first_due": None,
    }


@pytest.mark.parametrize(
    ("field", "text", "value"),
    [
        ("spec", "password:length=40", "password:length=40"),
        ("rotate_after", "48h", "2d"),
        ("grace", "25h", "25h"),
        ("keep", "5", "5"),
        ("first_due", "2027-01-01T00:00:00Z", "2027-01-01T00:00:00Z"),
        ("destroy_after", "never", "never"),
    ],
)
def test_a_tag_is_named(field: str, text: str, value: str) -> None:
    """With what it says, in the form that the log and the command line show."""
    assert sources({FIELDS[field]: text})[field] == (value, "tag", FIELDS[field])


@pytest.mark.parametrize(
    ("field", "variable", "text"),
    [
        ("rotate_after", "DAENA_KMS_ROTATE_AFTER", "30d"),
        # Set to what is built in: it is the deployment's all the same.
        ("rotate_after", "DAENA_KMS_ROTATE_AFTER", "90d"),
        ("grace", "DAENA_KMS_GRACE", "7d"),
        ("grace", "DAENA_KMS_GRACE", "never"),
        ("destroy_after", "DAENA_KMS_DESTROY_AFTER", "30d"),
    ],
)
def test_a_setting_is_named(field: str, variable: str, text: str) -> None:
    """The deployment's variable counts where the key has no tag; otherwise the tag does."""
    token = {"daena.spec": "token"}
    assert sources(token, {variable: text})[field] == (text, "setting", variable)
    tagged_too = {**token, FIELDS[field]: "60d"}
    assert sources(tagged_too, {variable: text})[field] == ("60d", "tag", FIELDS[field])


def test_settings_that_do_not_apply_are_not_named() -> None:
    """Grace is for passwords and tokens, and what is never retired is never destroyed."""
    environ = {"DAENA_KMS_GRACE": "2d", "DAENA_KMS_DESTROY_AFTER": "30d"}
    found = sources({"daena.spec": "aes-256"}, environ)
    assert found["grace"] == ("never", "default", None)
    assert found["destroy_after"] == ("never", "default", None)


def test_defaults_that_a_program_made_are_settings() -> None:
    """Nobody read the environment, and they are not the built-in ones."""
    mine = Defaults(rotate_after=DAY)
    policy = parse_policy({}, mine, CAN)
    (found,) = (f for f in fields_of(policy, {}, mine) if f.name == "rotate_after")
    assert (found.value, found.source) == ("1d", "setting")


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({}, "no change of the policy was given"),
        ({"hold": "true"}, "'hold' is not a field of a policy"),
        ({"managed": "false"}, "'managed' is not a field of a policy"),
        ({"rotate-after": "30d"}, "'rotate-after' is not a field of a policy"),
        ({"x" * 99: "1"}, f"'{'x' * 40}' is not a field of a policy"),
        ({"spec": None}, "daena.spec can't be removed: every key has a spec"),
        ({"spec": "aes-512"}, "daena.spec is 'aes-512', which is not a key spec"),
        ({"spec": WEAK}, f"daena.spec is {WEAK!r}, whose values have 39.9 bits of entropy"),
        ({"grace": "1h"}, "daena.grace is 1h"),
        ({"grace": 2.5}, "daena.grace is not printable text"),
        ({"grace": "2d\n"}, "daena.grace is not printable text"),
        ({"rotate_after": "never"}, "daena.rotate-after is 'never', which is not a duration"),
        ({"destroy_after": "0h"}, "daena.destroy-after is 0h"),
        ({"keep": 1}, "daena.keep is '1'"),
        ({"keep": True}, "daena.keep is not printable text"),
        ({"keep": "two"}, "daena.keep is 'two'"),
        ({"first_due": "soon"}, "daena.first-due is 'soon', which is not a time in UTC"),
        ({"grace": "2d", "keep": 101}, "daena.keep is '101'"),
    ],
)
def test_a_change_is_refused_before_the_key_is_known(changes: dict[str, Any], what: str) -> None:
    """By the name of its tag, and with what may stand there."""
    with pytest.raises(ConfigError) as refused:
        tags_of(changes, DEFAULTS, CAN)
    assert refused.value.what.startswith(what)
    assert refused.value.todo


def test_changes_become_tags() -> None:
    """Text as it is, numbers as text, and None removes a tag."""
    changes = {"spec": "token", "keep": 3, "grace": None, "first_due": "2027-01-01T00:00:00Z"}
    assert tags_of(changes, DEFAULTS, CAN) == {
        "daena.spec": "token",
        "daena.keep": "3",
        "daena.grace": None,
        "daena.first-due": "2027-01-01T00:00:00Z",
    }


def test_a_store_that_can_t_destroy_takes_no_destruction() -> None:
    """That is known before any call; never is taken."""
    cannot = replace(CAN, destroy_means=None)
    with pytest.raises(ConfigError, match="This store can't destroy a single version"):
        tags_of({"destroy_after": "30d"}, DEFAULTS, cannot)
    assert tags_of({"destroy_after": "never"}, DEFAULTS, cannot)


@pytest.mark.parametrize("text", ["hold", "managed", "gracee", "", "daena.grace"])
def test_what_people_call_no_field_is_refused(text: str) -> None:
    """With the names that there are."""
    with pytest.raises(ConfigError, match="is not a field of a policy") as refused:
        field_named(text)
    assert refused.value.todo == ("Use spec, rotate-after, grace, destroy-after, keep, first-due")


def change(key: Key, **changes: object) -> PolicyChange:
    """Return a change of a key's policy."""
    return plan_change(key, tags_of(changes, DEFAULTS, CAN), DEFAULTS, CAN)


def test_a_change_holds_the_old_and_the_new_policy() -> None:
    """In words, and as the tags that a later run compares."""
    key = tagged({"spec": "token", "grace": "2d", "hold": "true"})
    made = change(key, grace=None, rotate_after="30d", spec="token")
    assert made.tags == {"daena.grace": None, "daena.rotate-after": "30d"}
    record = made.record()
    assert record["tags"] == {"daena.grace": None, "daena.rotate-after": "30d"}
    assert record["old_tags"] == {"daena.grace": "2d", "daena.rotate-after": None}
    assert record["old_spec"] == "token"
    assert record["old_policy"] == policy_record(parse_policy(key.tags, DEFAULTS, CAN))
    assert record["message"] == "rotate-after 90d -> 30d, grace 2d -> 7d"
    assert policy_record(made.new)["grace"] == "7d"
    shown = made.to_dict()
    assert (shown["key"], shown["changed"]) == ("k", ["grace", "rotate_after"])
    assert (shown["old"]["grace"], shown["new"]["grace"]) == ("2d", "7d")


def test_a_policy_that_was_refused_can_be_mended() -> None:
    """Then there is no old policy, but the old text of the tag; a long one is cut."""
    key = tagged({"grace": "x" * 9_999})
    record = change(key, grace="2d").record()
    assert record["old_tags"] == {"daena.grace": "x" * 300}
    assert record["message"] == "grace unknown -> 2d"
    assert record.keys() == {"tags", "old_tags", "message"}
    assert change(key, grace="2d").to_dict()["old"] is None


@pytest.mark.parametrize(
    ("tags", "changes", "what"),
    [
        ({}, {"destroy_after": "30d"}, "but grace is never"),
        ({"spec": "token", "destroy-after": "9d"}, {"grace": "never"}, "but grace is never"),
        ({"spec": "token", "destroy-after": "9d"}, {"spec": "aes-256"}, "but grace is never"),
        ({"rotate": "1d"}, {"grace": "2d"}, "'daena.rotate' is not a tag of daena-kms"),
        ({"hold": "yes"}, {"grace": "2d"}, "daena.hold is 'yes'"),
        ({"spec": WEAK}, {"grace": "2d"}, "39.9 bits of entropy"),
    ],
)
def test_a_policy_that_would_be_refused_is_refused(
    tags: dict[str, str], changes: dict[str, object], what: str
) -> None:
    """The change by itself is well formed; with the tags that are there it is not."""
    with pytest.raises(ConfigError, match=what) as refused:
        change(tagged(tags), **changes)
    assert refused.value.key_id == "k"


def test_a_store_must_have_room_for_the_policy() -> None:
    """As many versions in grace as the store can hold, and no more."""
    key = tagged({"spec": "token", "rotate-after": "30d"})
    few = replace(CAN, max_versions=3)
    tags = tags_of({"grace": "61d"}, DEFAULTS, few)
    with pytest.raises(ConfigError, match="keeps 4 versions readable, but this store can keep 3"):
        plan_change(key, tags, DEFAULTS, few)


def test_only_the_policy_that_was_seen_is_changed() -> None:
    """A hold may come and go meanwhile; any other tag of ours may not."""
    made = change(tagged({"spec": "token"}), grace="2d")
    made.check_still(tagged({"spec": "token", "hold": "true"}))
    for tags in ({}, {"spec": "password"}, {"spec": "token", "keep": "3"}):
        with pytest.raises(RotationConflict, match="changed by somebody else meanwhile"):
            made.check_still(tagged(tags))


@pytest.mark.parametrize(
    ("tags", "was_set"),
    [
        ({"daena.grace": "2d"}, True),
        ({"daena.grace": "2d", "daena.keep": None}, True),
        ({"daena.grace": "3d"}, False),
        ({"daena.grace": None}, False),
        ({"daena.grace": "2d", "daena.spec": None}, False),
        ({}, False),
        (None, False),
        ("daena.grace", False),
        ([["daena.grace", "2d"]], False),
        ({"daena.grace": ["2d"]}, False),
    ],
)
def test_a_later_run_compares_the_tags(tags: object, was_set: bool) -> None:
    """All of them, and nonsense in the log is no change."""
    key = tagged({"grace": "2d", "spec": "token"})
    assert policy_was_set({"key": "k", "kind": "policy", "tags": tags}, key) is was_set
