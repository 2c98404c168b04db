"""What a function URL, an HTTP API and a REST API send: one request, and only verified callers."""

from typing import Any

import pytest
from daena_kms.platforms.aws import lambda_request, seconds_to_answer

ARN = "arn:aws:iam::123456789012:user/operator"
URL = {
    "version": "2.0",
    "rawPath": "/v1/audit",
    "rawQueryString": "key=a&limit=2",
    "headers": {"If-Match": '"v"', "content-type": "application/json"},
    "requestContext": {
        "http": {"method": "GET", "path": "/v1/audit"},
        "requestId": "e1506fd5",
        "stage": "$default",
        "authorizer": {"iam": {"userArn": ARN}},
    },
    "isBase64Encoded": False,
}
REST = {
    "version": "1.0",
    "path": "/v1/audit",
    "httpMethod": "GET",
    "headers": {"If-Match": '"v"', "Content-Type": "application/json"},
    "multiValueQueryStringParameters": {"key": ["a"], "limit": ["2"]},
    "requestContext": {
        "requestId": "e1506fd5",
        "stage": "prod",
        "path": "/prod/v1/audit",
        "identity": {"userArn": ARN},
    },
    "body": None,
    "isBase64Encoded": False,
}


@pytest.mark.parametrize("event", [URL, REST], ids=["2.0", "1.0"])
def test_both_formats_say_the_same(event: dict[str, Any]) -> None:
    """Method, path, query, headers in lower case, caller and request id."""
    asked = lambda_request(event)
    assert (asked.method, asked.path, asked.query) == ("GET", "/v1/audit", "key=a&limit=2")
    assert asked.headers == {"if-match": '"v"', "content-type": "application/json"}
    assert (asked.principal, asked.request_id, asked.body) == (ARN, "e1506fd5", None)


def test_a_stage_with_a_name_is_no_part_of_the_path() -> None:
    """An HTTP API puts it first; a path that only begins alike stays as it is."""
    context = URL["requestContext"]
    assert isinstance(context, dict)
    staged = {**URL, "requestContext": {**context, "stage": "prod"}}
    assert lambda_request({**staged, "rawPath": "/prod/v1/plan"}).path == "/v1/plan"
    assert (
        lambda_request({**staged, "rawPath": "/production/v1/plan"}).path == "/production/v1/plan"
    )


def test_a_caller_whom_a_token_names() -> None:
    """A JWT authorizer has checked it; nobody but the platform writes the context."""
    context = {"http": {"method": "GET"}, "authorizer": {"jwt": {"claims": {"sub": "jane"}}}}
    assert lambda_request({**URL, "requestContext": context}).principal == "jane"
    context = {"http": {"method": "GET"}, "authorizer": {"lambda": {"userArn": ARN}}}
    assert lambda_request({**URL, "requestContext": context}).principal is None


@pytest.mark.parametrize(
    "event",
    [
        *(None, [], "text", 7, {}),
        {"headers": [], "requestContext": []},
        {"headers": {"a": 1, 2: "b"}, "rawPath": 7, "rawQueryString": []},
        {"httpMethod": "GET", "multiValueQueryStringParameters": {"a": "b", "c": [1], 3: ["d"]}},
        {"httpMethod": "GET", "multiValueQueryStringParameters": []},
    ],
    ids=range(9),
)
def test_an_event_of_any_shape_is_a_request_of_nobody(event: object) -> None:
    """What is not there, or is of another type, is empty."""
    asked = lambda_request(event)
    assert (asked.path, asked.principal, asked.query, asked.body) == ("", None, "", None)
    assert asked.headers == {}


def test_a_query_that_is_no_text_of_utf_8() -> None:
    """Is passed on in the form of an address, and refused like any other."""
    event = {"httpMethod": "GET", "multiValueQueryStringParameters": {"key": ["\ud800"]}}
    assert lambda_request(event).query == "key=%3F"


def test_two_callers_are_never_one() -> None:
    """A name is taken whole or not at all: cut, another's would be the same."""
    path = "arn:aws:iam::123456789012:user/" + "p" * 512 + "/"
    for name, expected in ((f"{path}jane", f"{path}jane"), (path * 2, None)):
        context = {"http": {"method": "GET"}, "authorizer": {"iam": {"userArn": name}}}
        assert lambda_request({**URL, "requestContext": context}).principal == expected


@pytest.mark.parametrize(
    ("event", "seconds"),
    [
        ({"requestContext": {"domainName": "abc.lambda-url.eu-central-1.on.aws"}}, 170),
        ({"requestContext": {"domainName": "abc.execute-api.eu-central-1.amazonaws.com"}}, 20),
        ({"requestContext": {}}, 20),
        (REST, 20),
        (None, 20),
    ],
)
def test_a_gateway_waits_less_than_a_function_url(event: object, seconds: float) -> None:
    """It answers by itself after 29 seconds, and what is left would be told to nobody."""
    assert seconds_to_answer(event) == seconds
