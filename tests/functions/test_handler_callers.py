"""The function behind a function URL: whom it believes, what it takes, and what it never says."""

import base64
import json
import secrets
from typing import Any

import pytest

from tests.functions.aws_world import CALLER, Context, LambdaWorld, ask, http_event


@pytest.mark.parametrize("body", [None, "", "{}", '{"reason": null}'])
def test_a_reason_is_optional(world: LambdaWorld, body: str | None) -> None:
    """Without one the rotation is done all the same."""
    world.create("key")

    assert ask(world.handler(), http_event("POST", "/v1/keys/key/rotate", body=body))[0] == 200


@pytest.mark.parametrize("text", ["because", "wegen Zürich 漢字 🔑"])
def test_a_body_in_base64_is_decoded(world: LambdaWorld, text: str) -> None:
    """The platform encodes what it takes for binary."""
    world.create("key")
    body = base64.b64encode(json.dumps({"reason": text}, ensure_ascii=False).encode()).decode()
    asked = http_event("POST", "/v1/keys/key/rotate", body=body, isBase64Encoded=True)

    assert ask(world.handler(), asked)[0] == 200
    assert {r["reason"] for r in world.records()} == {text}


@pytest.mark.parametrize(
    ("body", "is_base64"),
    [
        ("{", False),
        ("reason", False),
        ("[]", False),
        ('"reason"', False),
        ('{"reason": 1}', False),
        ('{"reason": ["a"]}', False),
        (json.dumps({"reason": "x" * 501}), False),
        ("x" * 1_000_000, False),
        ("[" * 9_000, False),
        ("not base64!", True),
        (base64.b64encode(b"\xff\xfe{}").decode(), True),
        (base64.b64encode(b"x" * 20_000).decode(), True),
    ],
    ids=range(12),
)
def test_a_malformed_body_is_refused_before_any_call(
    world: LambdaWorld,
    body: str,
    is_base64: bool,
) -> None:
    """The answer says what to send, and nothing of the body comes back."""
    world.create("key")
    handler = world.handler()
    asked = http_event("POST", "/v1/keys/key/rotate", body=body, isBase64Encoded=is_base64)

    status, document = ask(handler, asked)

    refused = {(400, "urn:daena-kms:bad-request"), (413, "urn:daena-kms:too-large")}
    assert (status, document["type"]) in refused
    assert document["todo"]
    assert len(json.dumps(document)) < 500
    assert len(world.sim.calls) == 0


def test_without_a_verified_caller_nothing_is_answered(world: LambdaWorld) -> None:
    """Whatever headers, body or path claim, only the platform's word on the caller counts."""
    world.create("key")
    handler = world.handler()
    claims = {
        "x-amzn-iam-arn": CALLER,
        "x-amzn-oidc-identity": CALLER,
        "x-forwarded-user": CALLER,
        "authorization": "AWS4-HMAC-SHA256 Credential=" + CALLER,
    }
    body = json.dumps({"principal": CALLER, "requestContext": {"authorizer": {"iam": CALLER}}})
    contexts: tuple[dict[str, Any], ...] = ({}, {"authorizer": None}, {"authorizer": {"iam": {}}})
    for context in contexts:
        for method, path in (("POST", "/v1/keys/key/rotate"), ("GET", "/v1/plan"), ("GET", "/x")):
            http = {"http": {"method": method}} | context
            asked = http_event(method, path, requestContext=http, headers=claims, body=body)

            status, document = ask(handler, asked)

            assert (status, document["type"]) == (401, "urn:daena-kms:unauthenticated")
    assert len(world.sim.calls) == 0


def test_a_claimed_identity_does_not_reach_the_log(world: LambdaWorld) -> None:
    """The principal in the log is the verified one, next to forged headers too."""
    world.create("key")
    forged = "arn:aws:iam::123456789012:root"
    asked = http_event(
        "POST",
        "/v1/keys/key/rotate",
        headers={
            "content-type": "application/json",
            "x-amzn-iam-arn": forged,
            "x-forwarded-user": forged,
        },
        queryStringParameters={"principal": forged},
        cookies=[f"principal={forged}"],
    )

    ask(world.handler(), asked)

    assert {r["principal"] for r in world.records()} == {CALLER}


def test_no_answer_holds_a_value(
    world: LambdaWorld, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Neither a rotation, a plan, health nor an error says what a key holds, nor does the log."""
    caplog.set_level("DEBUG")
    world.create("key", "due", days=91)
    canary = secrets.token_urlsafe()
    world.adapter.create_key("given", canary, spec="token")
    handler = world.handler()

    told = "".join(
        handler.http(http_event(method, path), Context())["body"]
        for method, path in (
            ("POST", "/v1/keys/key/rotate"),
            ("POST", "/v1/keys/given/rotate"),
            ("GET", "/v1/plan"),
            ("GET", "/v1/health"),
            ("POST", "/v1/keys/missing/rotate"),
        )
    )

    printed = capsys.readouterr()
    told += printed.out + printed.err + caplog.text + json.dumps(list(world.records()))
    values = world.values()
    assert canary in values
    assert [value for value in values if value in told] == []
