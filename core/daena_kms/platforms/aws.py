"""What a Lambda function URL and an API Gateway send, taken apart without trusting it."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from daena_kms.api.messages import Request, Response, decoded, dig

_LONGEST_NAME = 1_000
#: Seconds to begin work in for HTTP: whoever asks a function URL waits no longer.
_ANSWER = 170.0
#: An API Gateway answers by itself after 29 or 30 seconds, less what closing a run may take.
#: https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html
_GATEWAY = 20.0


def seconds_to_answer(event: object) -> float:
    """Return how long work may be begun, by what stands before the function."""
    at_url = ".lambda-url." in (dig(event, "requestContext", "domainName") or "")
    return _ANSWER if at_url else _GATEWAY


def lambda_request(event: object) -> Request:
    """Return what an event asks, and who asks if IAM or an authorizer has verified that.

    Known are the payload formats 2.0 (function URL, HTTP API) and 1.0 (REST API). The caller is in
    ``requestContext``, which the platform writes and no header reaches; whoever may invoke the
    function directly may write it, so grant ``lambda:InvokeFunctionUrl`` and not
    ``lambda:InvokeFunction``.

    https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html#urls-payloads
    https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
    """
    is_base64 = isinstance(event, Mapping) and event.get("isBase64Encoded") is True
    old = dig(event, "httpMethod") is not None
    return Request(
        method=dig(event, "httpMethod") or dig(event, "requestContext", "http", "method") or "",
        path=(dig(event, "path") or "") if old else _path(event),
        body=decoded(dig(event, "body"), is_base64=is_base64),
        principal=_caller(event),
        query=_old_query(event) if old else dig(event, "rawQueryString") or "",
        headers=_headers(event),
        request_id=dig(event, "requestContext", "requestId"),
    )


def lambda_response(answer: Response) -> dict[str, Any]:
    """Return an answer in the form that both payload formats take."""
    return {"statusCode": answer.status, "headers": answer.all_headers, "body": answer.body}


def _caller(event: object) -> str | None:
    """Return the caller: IAM's, or the subject of a token that an authorizer has verified."""
    found = (
        dig(event, "requestContext", "authorizer", "iam", "userArn")
        or dig(event, "requestContext", "identity", "userArn")
        or dig(event, "requestContext", "authorizer", "jwt", "claims", "sub")
    )
    # Cut, two names would be one; an ARN has 700 characters at most.
    return found if found and len(found) <= _LONGEST_NAME else None


def _path(event: object) -> str:
    """Return the path below the stage: an HTTP API puts a stage with a name before it."""
    path, stage = dig(event, "rawPath") or "", dig(event, "requestContext", "stage")
    prefix = f"/{stage}"
    if stage not in {None, "", "$default"} and path.startswith(f"{prefix}/"):
        return path.removeprefix(prefix)
    return path


def _headers(event: object) -> dict[str, str]:
    found = event.get("headers") if isinstance(event, Mapping) else None
    if not isinstance(found, Mapping):
        return {}
    return {
        name.lower(): text
        for name, text in found.items()
        if isinstance(name, str) and isinstance(text, str)
    }


def _old_query(event: object) -> str:
    """Return format 1.0's query, which comes decoded, in the form of an address again."""
    found = event.get("multiValueQueryStringParameters") if isinstance(event, Mapping) else None
    if not isinstance(found, Mapping):
        return ""
    return urlencode(
        [
            (name, text)
            for name, texts in found.items()
            if isinstance(name, str) and isinstance(texts, list)
            for text in texts
            if isinstance(text, str)
        ],
        errors="replace",
    )
