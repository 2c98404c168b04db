"""Reads the events of a Lambda function URL and an API Gateway; nothing in them is trusted."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from daena_kms.api.messages import MAX_NAME, Request, Response, decoded, dig, name_of_token

#: Seconds within which a request may begin work: the caller of a function URL waits no longer.
_ANSWER = 170.0
#: An API Gateway itself answers after 29 or 30 seconds; the rest is for closing a run.
#: https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html
_GATEWAY = 20.0
#: Ends of the names that AWS gives to an API and a function URL, in every partition.
#: https://docs.aws.amazon.com/apigateway/latest/developerguide/how-to-call-api.html
_NAMED_BY_AWS = re.compile(
    r"\.(execute-api|lambda-url)\.[a-z0-9-]+\.(vpce\.)?(amazonaws\.[a-z.]+|on\.aws|api\.[a-z.]+)$",
    re.ASCII | re.IGNORECASE,
)
#: What stands before an address of the API, where the base path may itself end with ``/v1``.
_MOUNTED = re.compile(r"((?:/[^/]+)*?)(?=/v1/(?!v1/))")


def seconds_to_answer(event: object) -> float:
    """Return for how many seconds a request may begin work: more at a function URL."""
    at_url = ".lambda-url." in (dig(event, "requestContext", "domainName") or "")
    return _ANSWER if at_url else _GATEWAY


def lambda_request(event: object) -> Request:
    """Return the request in an event, with its caller if IAM or an authorizer has verified one.

    It reads the payload formats 2.0 (function URL, HTTP API) and 1.0 (REST API). The caller is in
    ``requestContext``, which the platform writes and no header can set. But anybody who may invoke
    the function directly can write it, so grant ``lambda:InvokeFunctionUrl`` and not
    ``lambda:InvokeFunction``.

    https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html#urls-payloads
    https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
    """
    is_base64 = isinstance(event, Mapping) and event.get("isBase64Encoded") is True
    old = dig(event, "httpMethod") is not None
    return Request(
        method=dig(event, "httpMethod") or dig(event, "requestContext", "http", "method") or "",
        path=_path(event, "path") if old else _without_stage(event),
        body=decoded(dig(event, "body"), is_base64=is_base64),
        principal=_caller(event),
        query=_old_query(event) if old else dig(event, "rawQueryString") or "",
        headers=_headers(event),
        request_id=dig(event, "requestContext", "requestId"),
    )


def lambda_response(answer: Response) -> dict[str, Any]:
    """Return an answer in the form of both payload formats."""
    return {"statusCode": answer.status, "headers": answer.all_headers, "body": answer.body}


def _caller(event: object) -> str | None:
    """Return IAM's caller, or the one whom a token names that an authorizer has verified.

    An HTTP API puts a token's claims below ``jwt``. A REST API with a Cognito user pool puts them
    directly into the authorizer.
    """
    caller = dig(event, "requestContext", "authorizer", "iam", "userArn") or dig(
        event, "requestContext", "identity", "userArn"
    )
    if caller:
        # If a long name were cut, two callers could become one. An ARN has at most 700 characters.
        return caller if len(caller) <= MAX_NAME else None
    for claims in (("jwt", "claims"), ("claims",)):
        at = ("requestContext", "authorizer", *claims)
        caller = name_of_token(dig(event, *at, "iss"), dig(event, *at, "sub"))
        if caller:
            return caller
    return None


def _path(event: object, name: str) -> str:
    """Return the path without the base path of a custom domain.

    Behind a domain of one's own, both kinds of API put the base path first, and neither says what
    it is. Nothing on the way to the function is decided by the part that is taken off: the access
    policy looks at the caller and the key.

    https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-mappings.html
    """
    path = dig(event, name) or ""
    if not _is_mapped(event, path):
        return path
    mounted = _MOUNTED.match(path)
    return path if mounted is None else path[mounted.end() :]


def _is_mapped(event: object, path: str) -> bool:
    """Whether the request came through a custom domain, or a resource says where the API begins."""
    domain = dig(event, "requestContext", "domainName")
    rest = dig(event, "pathParameters", "proxy")
    if rest and path.endswith(f"/{rest}") and rest.startswith("v1/"):
        return True
    if domain is not None:
        return _NAMED_BY_AWS.search(domain) is None
    # The context of a REST API shows the stage before the path, and behind a custom domain neither.
    return path == dig(event, "requestContext", "path")


def _without_stage(event: object) -> str:
    """Return the path without the stage, which an HTTP API puts first if the stage has a name."""
    path, stage = _path(event, "rawPath"), dig(event, "requestContext", "stage")
    prefix = f"/{stage}"
    if stage not in {None, "", "$default"} and path.startswith(f"{prefix}/"):
        return path.removeprefix(prefix)
    return path


def _headers(event: object) -> dict[str, str]:
    headers = event.get("headers") if isinstance(event, Mapping) else None
    if not isinstance(headers, Mapping):
        return {}
    return {
        name.lower(): text
        for name, text in headers.items()
        if isinstance(name, str) and isinstance(text, str)
    }


def _old_query(event: object) -> str:
    """Return the query string of format 1.0, which arrives decoded, encoded again."""
    fields = event.get("multiValueQueryStringParameters") if isinstance(event, Mapping) else None
    if not isinstance(fields, Mapping):
        return ""
    return urlencode(
        [
            (name, text)
            for name, texts in fields.items()
            if isinstance(name, str) and isinstance(texts, list)
            for text in texts
            if isinstance(text, str)
        ],
        errors="replace",
    )
