"""The key that an answer of Secrets Manager shows."""

from datetime import timedelta

import pytest
from daena_kms.rules.model import VersionState
from daena_kms.rules.names import mark
from daena_kms.stores.aws.labels import (
    CURRENT,
    KEEP,
    MADE,
    PREVIOUS,
    RETIRED,
    enrolled_label,
    label,
)
from daena_kms.stores.aws.state import to_key

from tests.unit.stores.aws.test_aws_state import HOUR, NOW, OTHER, a_version, on


def answer(stages: dict[str, list[str]], **more: object) -> dict[str, object]:
    """Return an answer of DescribeSecret."""
    return {
        "Name": "some-key",
        "CreatedDate": NOW,
        "LastChangedDate": NOW + HOUR,
        "VersionIdsToStages": stages,
        **more,
    }


def test_ages_are_exact_or_bounded() -> None:
    """Our ids tell the second; an outsider's version is between the secret's two dates."""
    ours = a_version(None, NOW + timedelta(minutes=5))
    key = to_key(answer({**on(ours, PREVIOUS), **on(OTHER, CURRENT)}), None)
    found = {v.id: (v.created, v.created_earliest) for v in key.versions}
    assert found == {ours: (NOW + timedelta(minutes=5), None), OTHER: (NOW + HOUR, NOW)}
    exact = to_key(answer(on(OTHER, CURRENT)), None, {OTHER: NOW + HOUR / 2})
    assert (exact.versions[0].created, exact.versions[0].created_earliest) == (NOW + HOUR / 2, None)
    never_changed = to_key(answer(on(OTHER, CURRENT), LastChangedDate=NOW), None)
    assert (never_changed.versions[0].created, never_changed.versions[0].created_earliest) == (
        NOW,
        None,
    )


def test_tags_and_dates_of_a_secret() -> None:
    """Only our tags are the key's; a deletion's date is; a listing's form is read, too."""
    tags = [{"Key": "daena.managed", "Value": "true"}, {"Key": "team", "Value": "x"}]
    key = to_key(answer(on(OTHER, CURRENT), Tags=tags, DeletedDate=NOW), None)
    assert (key.id, key.tags, key.deleted) == ("some-key", {"daena.managed": "true"}, NOW)
    listed = answer({}, SecretVersionsToStages=on(OTHER, CURRENT))
    assert to_key(listed, None).current is not None
    empty = to_key({"Name": "some-key", "CreatedDate": NOW}, None)
    assert (empty.versions, empty.tags, empty.deleted, empty.owner) == ((), {}, None, None)
    retired = to_key(answer(on(OTHER, RETIRED)), None).versions[0]
    assert (retired.state, retired.retired) == (VersionState.RETIRED, NOW)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"RotationEnabled": True}, "RotationEnabled"),
        ({"RotationEnabled": False}, None),
        ({"OwningService": "rds"}, "the AWS service rds"),
        ({"Type": "SalesforceClientSecret"}, "the partner SalesforceClientSecret"),
        ({"PrimaryRegion": "eu-west-1"}, "its primary in eu-west-1"),
        ({"PrimaryRegion": "eu-central-1"}, None),
        ({}, None),
    ],
)
def test_who_else_owns_a_secret(more: dict[str, object], words: str | None) -> None:
    """Another rotation, an AWS service, or a primary in another region."""
    owner = to_key(answer(on(OTHER, CURRENT), **more), "eu-central-1").owner
    assert owner is None if words is None else words in str(owner)


@pytest.mark.parametrize(
    "text", ["", "x", "20260301T120000", "99999999T999999Z", "²0260301T120000Z"]
)
def test_a_label_that_only_looks_like_ours(text: str) -> None:
    """A label with our prefix and no time in it pins, and says nothing of when."""
    key = to_key(answer({OTHER: [f"{RETIRED}{text}"]}), None)
    assert key.versions[0].state is VersionState.RETIRED
    assert key.versions[0].retired is None or text.startswith("2026")


def test_what_shows_that_we_wrote_to_a_secret() -> None:
    """A version id or a label of ours, on whatever version: not a tag, not somebody's label."""
    ours = a_version(None, NOW)
    shown = {
        "an id": {**on(ours, PREVIOUS), **on(OTHER, CURRENT)},
        "a made label": {OTHER: [CURRENT, label(MADE, OTHER, NOW)]},
        "a keep label": {OTHER: [CURRENT, label(KEEP, OTHER, NOW)]},
        "a retired label": {OTHER: [label(RETIRED, OTHER, NOW)]},
        "an enrolment": {OTHER: [CURRENT, enrolled_label(OTHER, NOW)]},
    }
    assert [to_key(answer(stages), None).enrolled for stages in shown.values()] == [True] * 5
    tags = [{"Key": f"daena.{name}", "Value": "true"} for name in ("managed", "spec", "keep")]
    theirs = {OTHER: [CURRENT, "daena-prod", "daena-keep-", "daena-keep-20261124", "blue"]}
    for stages in (theirs, on(OTHER, CURRENT), {}):
        key = to_key(answer(stages, Tags=tags), None)
        assert (key.enrolled, key.enrolled_by_tag) == (False, None)


def test_an_enrolment_by_tag_is_a_pin_with_its_hour() -> None:
    """It keeps a version as a pin does, ends in the version's mark, and says when it was put on."""
    text = enrolled_label(OTHER, NOW)
    assert text == f"daena-keep-{NOW:%Y%m%dT%H%M%SZ}-enrolled-{mark(OTHER)}"
    key = to_key(answer({OTHER: [PREVIOUS, text], "x" * 36: [CURRENT]}), None)
    assert key.enrolled_by_tag == NOW
    assert key.versions[0].state is VersionState.PREVIOUS
    both = {OTHER: [CURRENT, text, enrolled_label(OTHER, NOW + HOUR), label(KEEP, OTHER, NOW)]}
    assert to_key(answer(both), None).enrolled_by_tag == NOW + HOUR
    assert to_key(answer({OTHER: [CURRENT, label(KEEP, OTHER, NOW)]}), None).enrolled_by_tag is None
