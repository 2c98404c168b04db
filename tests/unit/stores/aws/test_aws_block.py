"""The resource policy that denies reading what is compromised, merged into what is there."""

import json
from typing import Any

import pytest
from daena_kms.errors import ConfigError
from daena_kms.rules.names import mark, new_version_id
from daena_kms.stores.aws.block import BY_ID, BY_LABEL, MAX_POLICY, blocked

from tests.unit.keys import NOW

KEY = "app-key"
OLD, OLDER = new_version_id(None, NOW), new_version_id("x", NOW)
THEIRS = {
    "Sid": "Theirs",
    "Effect": "Allow",
    "Principal": {"AWS": "arn:aws:iam::123456789012:role/app"},
    "Action": "secretsmanager:GetSecretValue",
    "Resource": "*",
    "Condition": {"Bool": {"aws:SecureTransport": "true"}},
}


def policy(*statements: object, **more: object) -> str:
    """Return a policy of these statements."""
    return json.dumps({"Version": "2012-10-17", **more, "Statement": list(statements)})


def after(text: str | None, version: str = OLD) -> dict[str, Any]:
    """Return the policy that also denies a version, and assert that it does."""
    made = blocked(text, version, KEY)
    assert made is not None
    assert blocked(made, version, KEY) is None
    found: dict[str, Any] = json.loads(made)
    return found


def denied(found: dict[str, Any]) -> dict[str, list[str]]:
    """Return what each statement of ours denies."""
    ours = {s["Sid"]: s for s in found["Statement"] if s["Sid"] in (BY_ID, BY_LABEL)}
    return {
        sid: next(iter(next(iter(s["Condition"].values())).values())) for sid, s in ours.items()
    }


@pytest.mark.parametrize("text", [None, "", policy()])
def test_a_secret_without_a_policy_gets_one(text: str | None) -> None:
    """Two statements: one on the version's id, one on the labels that end in its mark."""
    found = after(text)
    assert found["Version"] == "2012-10-17"
    assert denied(found) == {BY_ID: [OLD], BY_LABEL: [f"daena-*-{mark(OLD)}"]}
    for statement in found["Statement"]:
        assert (statement["Effect"], statement["Principal"], statement["Resource"]) == (
            "Deny",
            "*",
            "*",
        )
        assert statement["Action"] == "secretsmanager:GetSecretValue"


@pytest.mark.parametrize("text", [policy(THEIRS, Id="x"), json.dumps({"Statement": THEIRS})])
def test_what_others_wrote_stays(text: str) -> None:
    """Their statements and the rest of the policy are the same after it."""
    found, before = after(text), json.loads(text)
    assert found["Statement"][0] == THEIRS
    assert {n: v for n, v in found.items() if n != "Statement"} == {
        n: v for n, v in before.items() if n != "Statement"
    }


def test_a_further_version_is_added() -> None:
    """To the same two statements; what they denied before is denied still."""
    both = after(json.dumps(after(policy(THEIRS), OLDER)))
    assert len(both["Statement"]) == 3
    assert denied(both)[BY_ID] == [OLDER, OLD]
    assert blocked(json.dumps(both), OLDER, KEY) is None


@pytest.mark.parametrize(
    "change",
    [
        {"Effect": "Allow"},
        {"Condition": {}},
        {"Condition": "none"},
        {"Condition": {"StringEquals": {}}},
        {"Condition": {"StringEquals": {"secretsmanager:VersionId": OLDER}}},
        {"Principal": {"AWS": "arn:aws:iam::123456789012:role/app"}},
    ],
)
def test_a_statement_of_ours_that_somebody_changed_is_written_anew(
    change: dict[str, object],
) -> None:
    """What of it can be read still is kept, and it denies for everybody again."""
    found = after(policy(THEIRS))
    found["Statement"] = [s | change if s["Sid"] == BY_ID else s for s in found["Statement"]]
    mended = after(json.dumps(found))
    assert OLD in denied(mended)[BY_ID]
    assert {s["Effect"] for s in mended["Statement"] if s["Sid"] != "Theirs"} == {"Deny"}
    assert THEIRS in mended["Statement"]
    if OLDER in json.dumps(change):
        assert OLDER in denied(mended)[BY_ID]


def test_a_statement_that_somebody_doubled_is_made_one() -> None:
    """What either of the two denied stays denied; an odd statement of others is theirs."""
    other = new_version_id("y", NOW)
    statements = after(policy({"Sid": ["odd"]}), OLD)["Statement"]
    doubled = [*statements, *after(None, OLDER)["Statement"]]
    found = after(policy(*doubled), other)
    assert denied(found)[BY_ID] == [OLD, OLDER, other]
    assert [s["Sid"] for s in found["Statement"]] == [["odd"], BY_ID, BY_LABEL]
    assert denied(after(policy(*doubled), OLD))[BY_ID] == [OLD, OLDER]


@pytest.mark.parametrize("text", ["no json", "[]", "{}", '{"Statement": "x"}', "[" * 100_000])
def test_what_is_no_policy_is_not_replaced(text: str) -> None:
    """It is refused, with what to look at."""
    with pytest.raises(ConfigError, match=r"app-key.*is malformed.*get-resource-policy"):
        blocked(text, OLD, KEY)


def test_a_policy_that_would_be_too_long_is_refused() -> None:
    """AWS takes 20,480 characters; up to that it is written."""
    room = MAX_POLICY - len(blocked(policy({"Sid": ""}), OLD, KEY) or "")
    assert len(blocked(policy({"Sid": "x" * room}), OLD, KEY) or "") == MAX_POLICY
    with pytest.raises(ConfigError, match="longer than 20480 characters"):
        blocked(policy({"Sid": "x" * (room + 1)}), OLD, KEY)
