"""AWS clients that reach a simulator in their own process by a call instead of a connection."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, cast

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ConnectionClosedError

from infra.local.http_server import Request, Response

type Ask = Callable[[Request], Response | None]


def connect(client: Any, ask: Ask) -> None:
    """Let a client of botocore send its requests to ``ask``.

    All else is as on the wire: the client writes and signs the request, reads the answer, and
    tries again as it is configured to.
    """

    def send(request: AWSPreparedRequest, **_event: object) -> AWSResponse:
        return _sent(request, ask)

    client.meta.events.register("before-send", send)


def _sent(request: AWSPreparedRequest, ask: Ask) -> AWSResponse:
    host, _, target = request.url.removeprefix("http://").partition("/")
    # What these clients send is text or bytes, never a file.
    body = cast("str | bytes | bytearray", request.body or b"")
    # The client has encoded some of them already.
    headers = {name: _text(value) for name, value in request.headers.items()}
    sent = Request.sent(
        request.method,
        f"/{target}",
        {"Host": host, **headers},
        body.encode() if isinstance(body, str) else bytes(body),
    )
    response = ask(replace(sent, waits=False))
    if response is None:
        raise ConnectionClosedError(endpoint_url=request.url, request=request)
    answered = HTTPHeaders.from_dict(response.sent_headers())
    return AWSResponse(request.url, response.status, answered, _Raw(response.body))


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


class _Raw:
    """The body, as botocore reads it."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self) -> Iterator[bytes]:
        """Yield all of it."""
        yield self._body
