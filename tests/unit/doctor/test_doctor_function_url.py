"""The URL of the HTTP API: who may call it is tried by a call, and what that can't tell is unknown.

Who may call is decided as IAM decides by the policy that the template deploys.
"""

from collections.abc import Iterator

import pytest
from daena_kms.api import respond
from daena_kms.api.messages import Request as ApiRequest
from daena_kms.doctor import Check, Status
from daena_kms.errors import ConfigError

from infra.local.aws.iam import Asked, Policies, access_key
from infra.local.aws.sim import ACCESS_KEY
from infra.local.http_server import Request, Response
from infra.local.server import Operation, Refusal, SimServer
from tests.unit.doctor.roles import HTTP, Statements, of_template
from tests.unit.doctor.worlds import Patient

URL, INVOKE = "permission lambda:InvokeFunctionUrl", "permission lambda:InvokeFunction"
THREE = {URL, INVOKE, "function URL"}
JSON = {"Content-Type": "application/json"}
#: As several people have copied it from Lambda's answers, with the header of its type.
FORBIDDEN = (
    b'{"Message":"Forbidden. For troubleshooting Function URL authorization issues, see: '
    b'https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html"}'
)


class FunctionUrl:
    """A function's URL that answers as Lambda does.

    "Starting in October 2025, new function URLs will require both lambda:InvokeFunction and
    lambda:InvokeFunctionUrl permissions":
    https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html
    """

    name = "lambda"

    def __init__(self) -> None:
        self.policies = Policies()
        self.auth_type = "AWS_IAM"
        self.answer: Response | None = None
        self.asked: list[str] = []

    def claim(self, request: Request) -> Operation:
        """Take every request."""
        self.asked.append(f"{request.method} {request.path}")
        return Operation(self.name, "InvokeFunctionUrl", {})

    def perform(self, operation: Operation, request: Request) -> Response:
        """Answer as the API does, if the caller may call it."""
        del operation
        if self.answer is not None:
            return self.answer
        if self.auth_type != "NONE" and not self._may(request):
            return Response(403, FORBIDDEN, {**JSON, "x-amzn-ErrorType": "AccessDeniedException"})
        answer = respond(ApiRequest(request.method, request.path, None, None), pytest.fail)
        return Response(answer.status, answer.body.encode(), JSON)

    def _may(self, request: Request) -> bool:
        caller = access_key(request)
        auth = {"lambda:FunctionUrlAuthType": [self.auth_type]}
        via = {"lambda:InvokedViaFunctionUrl": ["true"]}
        return bool(caller) and all(
            self.policies.allow(caller, asked)
            for asked in (
                Asked("lambda:InvokeFunctionUrl", HTTP, auth),
                Asked("lambda:InvokeFunction", HTTP, via),
            )
        )

    def refuse(self, refusal: Refusal, operation: Operation) -> Response:
        """Nothing is refused."""
        raise NotImplementedError(refusal, operation)


@pytest.fixture
def url() -> Iterator[tuple[FunctionUrl, str]]:
    """Give a function's URL whose one caller has no policy."""
    service = FunctionUrl()
    service.policies.attach(ACCESS_KEY, [])
    with SimServer((service,)) as server:
        yield service, f"{server.url}/"


def seen(aws: Patient, address: str) -> dict[str, Check]:
    """Return what the doctor finds of a URL."""
    return {n: c for n, c in aws.checks(function_url=address).items() if n in THREE}


def caller() -> Statements:
    """What the template gives to callers of the API."""
    return of_template("unused", "HttpCallerPolicy")


def test_the_policy_of_the_template(aws: Patient, url: tuple[FunctionUrl, str]) -> None:
    """The API answers, and is asked for its description alone.

    What may not be asked for, in accounts that Lambda excepts, is proved by no answer.
    """
    service, address = url
    service.policies.attach(ACCESS_KEY, caller())
    found = seen(aws, address)
    assert (found[URL].status, found["function URL"].status) == (Status.OK, Status.OK)
    assert found[INVOKE].status is Status.UNKNOWN
    assert "older ones" in found[INVOKE].found
    assert set(service.asked) == {"GET /v1/openapi.json"}


def test_one_action_is_not_enough(aws: Patient, url: tuple[FunctionUrl, str]) -> None:
    """Lambda does not say which one is missing, so neither does the doctor; the URL is wrong."""
    service, address = url
    for left in caller():
        service.policies.attach(ACCESS_KEY, [left])
        found = seen(aws, address)
        assert {found[URL].status, found[INVOKE].status} == {Status.UNKNOWN}
        assert found["function URL"].status is Status.WRONG
        assert "lambda:InvokeFunctionUrl and lambda:InvokeFunction" in found["function URL"].todo


def test_a_url_for_everybody(aws: Patient, url: tuple[FunctionUrl, str]) -> None:
    """There an answer proves nothing about the caller, and the URL itself is wrong."""
    service, address = url
    service.auth_type = "NONE"
    found = seen(aws, address)
    assert {found[URL].status, found[INVOKE].status} == {Status.UNKNOWN}
    assert (found["function URL"].status, found["function URL"].todo) == (
        Status.WRONG,
        "Set the URL's auth type to AWS_IAM",
    )


PROVING_NOTHING = [
    Response(200, b"<html>", {"Content-Type": "text/html"}),
    Response(200, b"{}", JSON),
    Response(403, b"<html>", {"Content-Type": "text/html"}),
    Response(403, b'{"type": "urn:daena-kms:forbidden"}', JSON),
    Response(429, b'{"Reason": "ConcurrentInvocationLimitExceeded"}', JSON),
    Response(502, b"Internal Server Error", JSON),
]


def test_an_answer_that_proves_nothing(aws: Patient, url: tuple[FunctionUrl, str]) -> None:
    """All three are unknown: after a page, a throttled call, one of the API's own refusals."""
    service, address = url
    for answer in PROVING_NOTHING:
        service.answer = answer
        found = seen(aws, address)
        assert {check.status for check in found.values()} == {Status.UNKNOWN}, answer
        assert all(check.todo for check in found.values())


def test_nobody_answers(aws: Patient) -> None:
    """So it is if nobody does."""
    found = seen(aws, "http://127.0.0.1:1")
    assert found.keys() == THREE
    assert {check.status for check in found.values()} == {Status.UNKNOWN}


def test_without_the_url(aws: Patient) -> None:
    """The two actions are named with how to try them, and nothing is sent."""
    found = aws.checks()
    assert "function URL" not in found
    for name in (URL, INVOKE):
        assert found[name].status is Status.UNKNOWN
        assert "--function-url URL" in found[name].todo
        assert name.removeprefix("permission ") in found[name].todo


NOT_LAMBDA_S = [
    "https://example.com/",
    "https://abc.lambda-url.eu-central-1.on.aws.example.com/",
    "https://user@abc.lambda-url.eu-central-1.on.aws/",
    "http://abc.lambda-url.eu-central-1.on.aws/",
    "https://abc.lambda-url.eu-central-1.on.aws/v1/keys",
    "",
]


def test_a_signature_is_for_lambda_alone(aws: Patient) -> None:
    """Any other address is refused before anything is asked."""
    for address in NOT_LAMBDA_S:
        with pytest.raises(ConfigError, match="not the URL of a Lambda function"):
            aws.checks(function_url=address)


def test_on_another_store(local: Patient) -> None:
    """It is refused there."""
    with pytest.raises(ConfigError, match="for AWS alone"):
        local.checks(function_url="https://abc.lambda-url.eu-central-1.on.aws/")
