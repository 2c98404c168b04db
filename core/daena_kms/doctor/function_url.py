"""The URL of the function that answers the HTTP API: whether this caller may call it.

Since October 2025, Lambda asks for two actions, and its refusal does not say which is missing. For
a time it asks for the first alone in accounts that had such URLs before, so that its consent
proves the first alone.
https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html and
https://github.com/serverless/serverless/issues/13147
"""

import re
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from daena_kms.doctor.check import Check, Status, failed
from daena_kms.doctor.web import LOOPBACK, Answer, ask
from daena_kms.errors import ConfigError, DaenaKMSError
from daena_kms.sdk.aws.client import AWS
from daena_kms.sdk.aws.signature import signature

_NAME, _OPTION = "function URL", "--function-url"
_ACTIONS = ("lambda:InvokeFunctionUrl", "lambda:InvokeFunction")
_USE = "callers of the HTTP API need it"
_HOST = re.compile(r"[a-z0-9]+\.lambda-url\.(?P<region>[a-z0-9-]+)\.on\.aws", re.ASCII)
#: It is answered without a look at the store or the log.
_PATH = "/v1/openapi.json"


class FunctionUrl:
    """The checks of one URL, or of none.

    They need no permission beside the two actions themselves.
    """

    def __init__(self, aws: AWS, url: str | None) -> None:
        self._aws = aws
        self._url = None if url is None else url.rstrip("/")
        self._region = None if url is None else _region(url)

    def permissions(self) -> Iterator[Check]:
        """Yield one check for each of the two actions, and one for the URL if it is known.

        Two requests for the API's description are sent, a signed one and one that nobody signed.
        """
        if self._url is None:
            found = f"can't be tried without the function's URL; {_USE}"
            todo = f"As a caller, run doctor {_OPTION} URL, or look for {{}} in the role"
            yield from _actions(Status.UNKNOWN, found, todo)
            return
        url = f"{self._url}{_PATH}"
        try:
            headers = signature(self._aws, url, "lambda", self._region)
            signed = ask(url, None, headers)
            unsigned = ask(url, None) if _is_ours(signed) else None
        except DaenaKMSError as error:
            yield from _actions(Status.UNKNOWN, error.what, error.todo or "")
            yield failed(_NAME, error, Status.UNKNOWN)
            return
        yield from _findings(signed, unsigned)


def _region(url: str) -> str | None:
    """Return the region in a function's URL; ``None`` on this machine itself.

    Raises:
        ConfigError: it is the URL of something else, which is not to get a signature of the caller.
    """
    parts = urlsplit(url)
    if parts.scheme in {"http", "https"} and parts.hostname in LOOPBACK and not parts.query:
        return None
    found = _HOST.fullmatch(parts.netloc)
    bare = parts.path in {"", "/"} and not parts.query and not parts.fragment
    if not bare or parts.scheme != "https" or found is None:
        msg = f"{_OPTION} is not the URL of a Lambda function"
        todo = "Write it as Lambda shows it: https://ID.lambda-url.REGION.on.aws/"
        raise ConfigError(msg, todo=todo)
    return found["region"]


def _findings(signed: Answer, unsigned: Answer | None) -> Iterator[Check]:
    """Return what the two answers prove; the second is asked only if the first is the API's."""
    role = "Look for {} in the caller's role and in the function's policy"
    if unsigned is None:
        found = f"the URL does not answer as the API does (status {signed.status})"
        status, todo = Status.UNKNOWN, "Check the URL, and any proxy in between"
        if _is_refusal(signed):
            found = "Lambda refuses this caller: it lacks one of the two actions, or both"
            status, todo = Status.WRONG, f"Allow {' and '.join(_ACTIONS)} as docs/AWS.md says"
        yield from _actions(Status.UNKNOWN, f"{found}; {_USE}", role)
        yield Check(_NAME, status, found, todo)
    elif _is_refusal(unsigned):
        first, second = _ACTIONS
        yield Check(f"permission {first}", Status.OK, "allowed for the function's URL")
        found = f"the URL may not ask for it yet, as in accounts with older ones; {_USE}"
        yield Check(f"permission {second}", Status.UNKNOWN, found, role.format(second))
        yield Check(_NAME, Status.OK, "the API answers this caller, and nobody who did not sign")
    elif _is_ours(unsigned):
        found = "the URL answers whoever asks, signed or not"
        yield from _actions(Status.UNKNOWN, f"{found}, so an answer proves nothing", role)
        yield Check(_NAME, Status.WRONG, found, "Set the URL's auth type to AWS_IAM")
    else:
        found = f"what is not signed gets an answer that proves nothing (status {unsigned.status})"
        yield from _actions(Status.UNKNOWN, found, role)
        yield Check(_NAME, Status.UNKNOWN, found, "Check that the URL's auth type is AWS_IAM")


def _actions(status: Status, found: str, todo: str) -> Iterator[Check]:
    for action in _ACTIONS:
        yield Check(f"permission {action}", status, found, todo.format(action))


def _is_ours(answer: Answer) -> bool:
    document: Mapping[str, Any] = answer.document or {}
    paths = document.get("paths")
    return (
        answer.status == HTTPStatus.OK
        and "openapi" in document
        and isinstance(paths, dict)
        and "/v1/keys" in paths
    )


def _is_refusal(answer: Answer) -> bool:
    """Return whether Lambda itself has refused a request: the API's own errors name no such type.

    Seen of it: status 403, ``x-amzn-ErrorType: AccessDeniedException`` and ``{"Message":
    "Forbidden. …"}``.
    """
    document = answer.document or {}
    kinds = (answer.headers.get("x-amzn-errortype"), document.get("__type"))
    refused = "Message" in document or any("AccessDenied" in str(kind) for kind in kinds)
    return answer.status == HTTPStatus.FORBIDDEN and refused
