"""What botocore makes of an answer that is none, and what we make of that: the store is away."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from daena_kms.errors import ConfigError, DaenaKMSError, NotManaged, StoreUnavailable
from daena_kms.sdk.aws.client import AWS
from daena_kms.sdk.aws.errors import FailedError, RefusedError

from infra.local.aws.in_process import connect
from infra.local.aws.sim import REGION, clients
from infra.local.http_server import Request, Response

KEY, TOKEN = "some-key", "0" * 32
ARN = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:some-key-a1b2c3"
NAMED: dict[str, Any] = {"ARN": ARN, "Name": KEY}
NAMED_BY = {"SecretId": KEY}
HEADERS = {"x-amzn-RequestId": "1", "Content-Type": "application/x-amz-json-1.1"}

#: By operation, what is asked for, and an answer that its reference promises.
ANSWERS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "create_secret": (
        {"Name": KEY, "ClientRequestToken": TOKEN, "SecretString": "x"},
        {**NAMED, "VersionId": TOKEN},
    ),
    "put_secret_value": (
        {"SecretId": KEY, "ClientRequestToken": TOKEN, "SecretString": "x"},
        {**NAMED, "VersionId": TOKEN},
    ),
    "update_secret_version_stage": (
        {"SecretId": KEY, "VersionStage": "AWSCURRENT", "MoveToVersionId": TOKEN},
        NAMED,
    ),
    "get_secret_value": (
        {"SecretId": KEY, "VersionId": TOKEN},
        {**NAMED, "VersionId": TOKEN, "SecretString": "x"},
    ),
    "describe_secret": ({"SecretId": KEY}, {**NAMED, "CreatedDate": 1.5}),
    "list_secrets": ({}, {"SecretList": [{**NAMED, "CreatedDate": 1.5}]}),
    "list_secret_version_ids": (
        {"SecretId": KEY},
        {**NAMED, "Versions": [{"VersionId": TOKEN, "CreatedDate": 1.5}]},
    ),
    "delete_secret": ({"SecretId": KEY}, {**NAMED, "DeletionDate": 1.5}),
    "restore_secret": ({"SecretId": KEY}, NAMED),
    "get_resource_policy": ({"SecretId": KEY}, NAMED),
    "put_resource_policy": ({"SecretId": KEY, "ResourcePolicy": "{}"}, NAMED),
    "generate_random": ({"NumberOfBytes": 3}, {"Plaintext": "AAAA"}),
    "generate_data_key": (
        {"KeyId": "alias/x", "NumberOfBytes": 3},
        {"Plaintext": "AAAA", "CiphertextBlob": "AAAA", "KeyId": "x"},
    ),
    "describe_key": (
        {"KeyId": "x"},
        {"KeyMetadata": {"KeyId": "x", "Arn": "arn:x", "KeyState": "Enabled"}},
    ),
    "get_key_rotation_status": ({"KeyId": "x"}, {"KeyRotationEnabled": False}),
    "get_public_key": (
        {"KeyId": "x"},
        {"KeyId": "x", "PublicKey": "AAAA", "KeySpec": "x", "KeyUsage": "x"},
    ),
    "sign": (
        {"KeyId": "x", "Message": b"x", "SigningAlgorithm": "ED25519_SHA_512"},
        {"KeyId": "x", "Signature": "AAAA", "SigningAlgorithm": "ED25519_SHA_512"},
    ),
}
EMPTY: dict[str, dict[str, Any]] = {
    "tag_resource": {"SecretId": KEY, "Tags": []},
    "untag_resource": {"SecretId": KEY, "TagKeys": []},
}
OF_KMS = {
    *("generate_random", "generate_data_key", "describe_key", "get_key_rotation_status"),
    *("get_public_key", "sign"),
}
NO_ANSWERS = (
    *(b"<html>x</html>", b" <!DOCTYPE html>", b"", b'{"ARN": "arn:aws:sec', b"[]", b"5", b"null"),
    *(b'"ok"', b"true", b"{}", b'{"status": "ok"}', b"\xff\xfe\x00", b'{"a": ' * 60_000),
)


class Line:
    """An AWS whose every call gets the answer that a test has put here."""

    def __init__(self) -> None:
        made = clients("http://127.0.0.1:1")
        for client in made:
            connect(client, self._answer)
        self.aws = AWS(REGION, None, {"secretsmanager": made.secrets, "kms": made.kms})
        self.response = Response(200)

    def _answer(self, _request: Request) -> Response:
        return self.response

    def call(
        self,
        operation: str,
        asked: Mapping[str, Any],
        body: bytes | dict[str, Any],
        status: int = 200,
        headers: Mapping[str, str] = HEADERS,
    ) -> Any:
        """Make a call that gets this answer."""
        sent = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.response = Response(status, sent, headers)
        service = "kms" if operation in OF_KMS else "secretsmanager"
        return self.aws.call(service, operation, KEY, **asked)


@pytest.fixture(scope="module")
def line() -> Line:
    """Return one, with clients that are made once."""
    return Line()


def others(name: str) -> list[object]:
    """Return what a member must not be. A list may be empty, and a number is a date."""
    found: list[object] = [None, {"a": 5}, [5]]
    found += [] if name in {"SecretList", "Versions"} else [[], ""]
    return found + ([] if name.endswith("Date") else [5])


@pytest.mark.parametrize("operation", ANSWERS)
def test_a_whole_answer_is_one(line: Line, operation: str) -> None:
    """And without any one of its members, or with one of another type, it is none."""
    asked, answer = ANSWERS[operation]
    assert line.call(operation, asked, answer)
    for name in answer:
        for other in others(name):
            with pytest.raises(StoreUnavailable):
                line.call(operation, asked, {**answer, name: other})


def test_a_body_of_nothing_from_who_knows_where(line: Line) -> None:
    """Without the headers of AWS the SDK takes ``null`` for an answer and trips over it."""
    asked, _ = ANSWERS["describe_secret"]
    with pytest.raises(StoreUnavailable, match="proxy in between"):
        line.call("describe_secret", asked, b"null", headers={})


@pytest.mark.parametrize("operation", [*ANSWERS, *EMPTY])
def test_what_is_no_answer(line: Line, operation: str) -> None:
    """Whatever it is: nobody knows whether the call took effect."""
    asked = EMPTY[operation] if operation in EMPTY else ANSWERS[operation][0]
    for body in NO_ANSWERS:
        if operation in EMPTY and body in {b"", b"{}"}:
            assert line.call(operation, asked, body)
            continue
        with pytest.raises(StoreUnavailable, match="proxy in between") as caught:
            line.call(operation, asked, body)
        assert caught.value.__context__ is None
        assert caught.value.key_id == KEY


@pytest.mark.parametrize(
    ("operation", "name"),
    [
        ("put_secret_value", "VersionId"),
        ("get_secret_value", "VersionId"),
        ("describe_secret", "Name"),
        ("update_secret_version_stage", "Name"),
        ("create_secret", "Name"),
    ],
)
def test_an_answer_about_something_else(line: Line, operation: str, name: str) -> None:
    """It must name the secret and the version that were asked for."""
    asked, answer = ANSWERS[operation]
    other = {**answer, "ARN": "arn:other", name: "1" * 32}
    with pytest.raises(StoreUnavailable):
        line.call(operation, asked, other)


@pytest.mark.parametrize("plaintext", ["AAA=", "AAAAAAAA", "!!!!"])
def test_another_number_of_bytes(line: Line, plaintext: str) -> None:
    """Fewer or more random bytes than were asked for."""
    asked, _ = ANSWERS["generate_random"]
    with pytest.raises(StoreUnavailable):
        line.call("generate_random", asked, {"Plaintext": plaintext})


@pytest.mark.parametrize("status", [300, 301, 302, 307, 400, 403, 404, 407, 413, 429, 500, 503])
def test_an_error_of_something_else(line: Line, status: int) -> None:
    """No status alone means anything: not that there is no such key, nor that we may not."""
    for body in (b"", b"<html></html>", b"<p>", b"[]", b'{"__type": 5}', b"\xff"):
        with pytest.raises(StoreUnavailable):
            line.call("describe_secret", NAMED_BY, body, status, {})


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("com.amazonaws.secretsmanager#ResourceExistsException", DaenaKMSError),
        ("InvalidRequestException:http://internal.amazon.com/", RefusedError),
        ("SomethingNew", FailedError),
        ("Some\x1b[2Jthing", FailedError),
    ],
)
def test_odd_codes(line: Line, code: str, kind: type[DaenaKMSError]) -> None:
    """A code in one of its longer forms is the same code, and none is shown as it came."""
    with pytest.raises(kind) as caught:
        line.call("restore_secret", NAMED_BY, {"__type": code}, 400)
    assert str(caught.value).isprintable()


def test_a_replica_is_not_ours(line: Line) -> None:
    """Its refusal has the code of many others, and only the text tells.

    Recorded by gruntwork-io/cloud-nuke#435 and lgallard/terraform-aws-secrets-manager#188.
    """
    text = "Operation not permitted on a replica secret. Call must be made in primary secret's "
    body = {"__type": "InvalidParameterException", "message": text + "region."}
    with pytest.raises(NotManaged, match="it is a replica"):
        line.call("restore_secret", NAMED_BY, body, 400)
    body["message"] = "RemoveFromVersionId must be the version that has the staging label x."
    with pytest.raises(RefusedError):
        line.call("restore_secret", NAMED_BY, body, 400)


def test_a_client_of_ones_own_is_left_as_it_is(line: Line) -> None:
    """Where its owner uses it, it answers as botocore has it."""
    asked = EMPTY["tag_resource"]
    with pytest.raises(StoreUnavailable):
        line.call("tag_resource", asked, b"<html></html>")
    client: Any = line.aws.client("secretsmanager")
    assert client.tag_resource(**asked)["ResponseMetadata"]["HTTPStatusCode"] == 200


def test_a_defect_is_not_taken_for_an_answer(line: Line) -> None:
    """A mistake in the arguments is told as such."""
    with pytest.raises(ConfigError, match="refused the call"):
        line.call("tag_resource", {"SecretId": 5}, b"{}")
