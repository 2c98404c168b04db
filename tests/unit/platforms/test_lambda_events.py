"""What a function URL, an HTTP API and a REST API send: one request, and only verified callers."""

from typing import Any

import pytest
from daena_kms.platforms.aws import lambda_request, seconds_to_answer

ARN = "arn:aws:iam::123456789012:user/operator"
URL: dict[str, Any] = {
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
REST: dict[str, Any] = {
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


@pytest.mark.parametrize(
    ("path", "mapped"),
    [
        ("/v1/audit", "/v1/audit"),
        ("/kms/v1/audit", "/v1/audit"),
        ("/security/kms/v1/audit", "/v1/audit"),
        ("/v1/v1/audit", "/v1/audit"),
        ("/kms/v1/v1/audit", "/v1/audit"),
        ("/v1/keys/v1/rotate", "/v1/keys/v1/rotate"),
        ("/kms/v1/keys/v1/rotate", "/v1/keys/v1/rotate"),
        ("/v1/keys/v1", "/v1/keys/v1"),
        ("/kms/v2/audit", "/kms/v2/audit"),
        ("/kms", "/kms"),
        ("/kms/v1", "/kms/v1"),
        ("//v1/audit", "//v1/audit"),
        ("", ""),
    ],
)
def test_the_base_path_of_a_custom_domain_is_no_part_of_the_path(path: str, mapped: str) -> None:
    """Both kinds of API put it first, and an HTTP API keeps it beside a stage of any name."""
    at_home = {"domainName": "kms.example.com"}
    url, rest = URL["requestContext"], REST["requestContext"]
    for stage in ("$default", "prod"):
        context = {**url, **at_home, "stage": stage}
        assert lambda_request({**URL, "rawPath": path, "requestContext": context}).path == mapped
    for domain in (at_home, {}):
        context = {**rest, **domain, "path": path}
        assert lambda_request({**REST, "path": path, "requestContext": context}).path == mapped


@pytest.mark.parametrize(
    "domain",
    [
        "abc.execute-api.eu-central-1.amazonaws.com",
        "abc.execute-api.cn-north-1.amazonaws.com.cn",
        "abc-vpce-1.execute-api.eu-central-1.amazonaws.com",
        "vpce-1.execute-api.eu-central-1.vpce.amazonaws.com",
        "abc.execute-api.eu-central-1.api.aws",
        "abc.lambda-url.eu-central-1.on.aws",
    ],
)
def test_a_domain_of_aws_has_no_base_path(domain: str) -> None:
    """There the path is what was called, and nothing of it is taken off."""
    context = {**URL["requestContext"], "domainName": domain}
    event = {**URL, "rawPath": "/kms/v1/audit", "requestContext": context}
    assert lambda_request(event).path == "/kms/v1/audit"


def test_a_resource_that_takes_the_rest_of_the_path() -> None:
    """It says where the API begins, whatever the domain is called."""
    context = {**URL["requestContext"], "domainName": "a.execute-api.eu-central-1.amazonaws.com"}
    event = {**URL, "rawPath": "/kms/v1/audit", "requestContext": context}
    assert lambda_request({**event, "pathParameters": {"proxy": "v1/audit"}}).path == "/v1/audit"
    assert lambda_request({**event, "pathParameters": {"proxy": "audit"}}).path == "/kms/v1/audit"


@pytest.mark.parametrize("at", [("jwt", "claims"), ("claims",)], ids=["HTTP API", "REST API"])
def test_a_caller_whom_a_token_names(at: tuple[str, ...]) -> None:
    """An authorizer has checked it; nobody but the platform writes the context."""

    def caller(**claims: object) -> str | None:
        found: dict[str, object] = dict(claims)
        for name in reversed(at):
            found = {name: found}
        context = {"http": {"method": "GET"}, "authorizer": found}
        return lambda_request({**URL, "requestContext": context}).principal

    assert caller(iss="https://login.example.com", sub="jane") == "https://login.example.com jane"
    assert caller(iss="https://other.example.com", sub="jane") == "https://other.example.com jane"
    for claims in (
        {"iss": "https://login.example.com"},
        {"iss": "https://login.example.com", "sub": ""},
        {"iss": "https://login.example.com jane", "sub": "x"},
        {"iss": "i" * 999, "sub": "jane"},
        {"sub": "https://login.example.com jane"},
        {"sub": "arn:aws:sts::1:assumed-role/oncall/x"},
        {"iss": ["https://login.example.com"], "sub": 7},
    ):
        assert caller(**claims) is None


def test_what_other_authorizers_write_names_nobody() -> None:
    """A function of the account's own may write anything."""
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
