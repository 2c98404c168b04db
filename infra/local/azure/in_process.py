"""An Azure client's way to a simulator in its own process: a call instead of a connection."""

import json
from collections.abc import Callable, Iterator, MutableMapping
from dataclasses import replace
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from azure.core.exceptions import HttpResponseError, ServiceResponseError
from azure.core.pipeline.transport import HttpTransport
from azure.core.rest import HttpRequest, HttpResponse
from azure.core.utils import case_insensitive_dict

from infra.local.http_server import Request, Response

type Ask = Callable[[Request], Response | None]


class InProcess(HttpTransport[HttpRequest, HttpResponse]):
    """A transport of the SDK that sends to ``ask``; all above it is as on the wire.

    It has no connection, so time limits and certificates have no meaning here. Where the SDK would
    sleep before it repeats a call, ``sleep`` lets simulated time pass.
    """

    def __init__(self, ask: Ask, sleep: Callable[[float], None]) -> None:
        self._ask = ask
        self._pass_by = sleep

    def send(self, request: HttpRequest, **_options: Any) -> HttpResponse:
        """Return the answer."""
        to = urlsplit(request.url)
        body: str | bytes = request.content or b""
        sent = Request.sent(
            request.method,
            f"{to.path}?{to.query}" if to.query else to.path,
            {"Host": to.netloc, **request.headers},
            body.encode() if isinstance(body, str) else body,
            secure=to.scheme == "https",
        )
        response = self._ask(replace(sent, waits=False))
        if response is None:
            raise ServiceResponseError("Remote end closed connection without response")
        return _Answer(request, response)

    def sleep(self, duration: float) -> None:
        """Let simulated time pass."""
        self._pass_by(duration)

    def open(self) -> None:
        """Open nothing."""

    def close(self) -> None:
        """Close nothing."""

    def __exit__(self, *_error: object) -> None:
        self.close()


class _Answer(HttpResponse):
    """An answer that is here as a whole."""

    is_closed = True
    is_stream_consumed = True
    encoding: str | None = None

    def __init__(self, request: HttpRequest, response: Response) -> None:
        self._request = request
        self._response = response
        self._headers = case_insensitive_dict(response.sent_headers())

    @property
    def request(self) -> HttpRequest:
        return self._request

    @property
    def status_code(self) -> int:
        return self._response.status

    @property
    def headers(self) -> MutableMapping[str, str]:
        return self._headers

    @property
    def reason(self) -> str:
        return HTTPStatus(self._response.status).phrase

    @property
    def content_type(self) -> str | None:
        return self._headers.get("Content-Type")

    @property
    def url(self) -> str:
        return self._request.url

    @property
    def content(self) -> bytes:
        return self._response.body

    def text(self, encoding: str | None = None) -> str:
        return self.content.decode(encoding or "utf-8-sig")

    def json(self) -> Any:
        return json.loads(self.text())

    def raise_for_status(self) -> None:
        if self.status_code >= 400:
            raise HttpResponseError(response=self)

    def read(self) -> bytes:
        return self.content

    def iter_raw(self, **_options: Any) -> Iterator[bytes]:
        yield self.content

    iter_bytes = iter_raw

    def close(self) -> None:
        pass

    def __enter__(self) -> HttpResponse:
        return self

    def __exit__(self, *_error: object) -> None:
        pass
