"""The API as each cloud mounts it, behind an address on loopback that any HTTP client can use.

Google's framework serves HTTP itself. Before the Lambda function in the local AWS and before the
Function App in Microsoft's worker library stands a small server that does what the platform's front
end does: it makes the platform's own event of a request, and a response of what comes back.
"""

import base64
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from infra.local.aws import lambda_functions
from infra.local.aws.ministack import LocalAws
from infra.local.azure.worker import FunctionApp, Request
from tests.functions.aws_world import CALLER


class Sent(NamedTuple):
    """One request as it came in."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


class Answered(NamedTuple):
    """What the platform answers."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@contextmanager
def front_end(answer: Callable[[Sent], Answered]) -> Iterator[str]:
    """Serve what ``answer`` answers, on a free port; gives the address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one_request(self) -> None:
            """Read a request of any method and answer it."""
            self.raw_requestline = self.rfile.readline(65_537)
            if not self.raw_requestline or not self.parse_request():
                self.close_connection = True
                return
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            found = answer(Sent(self.command, self.path, dict(self.headers), body))
            self.send_response_only(found.status)
            for name, text in found.headers.items():
                self.send_header(name, text)
            self.send_header("Content-Length", str(len(found.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(found.body)
            self.wfile.flush()

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def lambda_front_end(aws: LocalAws, function: str) -> Callable[[Sent], Answered]:
    """Answer as a function URL of type AWS_IAM does for a caller whose signature was right.

    https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html#urls-payloads
    """

    def answer(sent: Sent) -> Answered:
        address = urlsplit(sent.target)
        context = {
            "http": {"method": sent.method, "path": address.path},
            "authorizer": {"iam": {"userArn": CALLER}},
            "requestId": "e1506fd5-9e7b-434f-bd42-4f8fa224b599",
            "stage": "$default",
        }
        event = {
            "version": "2.0",
            "rawPath": address.path,
            "rawQueryString": address.query,
            "headers": {name.lower(): text for name, text in sent.headers.items()},
            "requestContext": context,
            "body": base64.b64encode(sent.body).decode() if sent.body else None,
            "isBase64Encoded": bool(sent.body),
        }
        found = lambda_functions.invoke(aws.client("lambda"), function, event)
        assert found.error is None, found
        payload: dict[str, Any] = found.payload
        return Answered(payload["statusCode"], payload["headers"], payload["body"].encode())

    return answer


def function_app_front_end(app: FunctionApp) -> Callable[[Sent], Answered]:
    """Answer as the Functions host does: the more particular route first, then the catch-all."""

    def answer(sent: Sent) -> Answered:
        address = urlsplit(sent.target)
        path = unquote(address.path)
        name = "health" if (sent.method, path) == ("GET", "/v1/health") else "http"
        if not path.startswith("/v1/") or sent.method not in _methods(app):
            return Answered(404, {}, b"")
        route = {} if name == "health" else {"path": path.removeprefix("/v1/")}
        url = f"https://app.azurewebsites.net{sent.target}"
        found = app.http(name, Request(sent.method, url, sent.headers, route, sent.body)).response
        assert found is not None
        return Answered(found.status, found.headers, found.body)

    return answer


def _methods(app: FunctionApp) -> list[str]:
    found: list[str] = app.functions["http"].trigger.settings["methods"]
    return found


def problem(answered: Answered) -> dict[str, Any]:
    """Read a problem document."""
    found: dict[str, Any] = json.loads(answered.body)
    return found
