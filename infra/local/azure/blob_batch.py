"""Blob Batch: several deletions in one request, which is how obstore deletes even one blob.

https://learn.microsoft.com/rest/api/storageservices/blob-batch
"""

from collections.abc import Sequence
from http import HTTPStatus
from urllib.parse import unquote, urlsplit

from infra.local.azure.blob_forms import xml_headers
from infra.local.azure.documents import AzureError
from infra.local.http_server import Request, Response

MAX_PARTS = 256


def is_batch(request: Request) -> bool:
    """Say whether a request is a batch on a container."""
    return request.method == "POST" and request.query == {"restype": "container", "comp": "batch"}


def parts(request: Request) -> list[Request]:
    """Return the requests in a batch. Raises :class:`AzureError` for anything but deletions."""
    _, _, boundary = request.headers.get("content-type", "").partition("boundary=")
    pieces = request.body.decode(errors="replace").split(f"--{boundary.strip('"')}")
    if not boundary or len(pieces) < 3 or pieces[-1].strip() != "--":
        raise _malformed()
    found = [_part(piece) for piece in pieces[1:-1]]
    if len(found) > MAX_PARTS:
        raise AzureError(400, "ExceedsMaxBatchRequestCount", f"At most {MAX_PARTS} parts.")
    return found


def batch_answer(responses: Sequence[Response]) -> Response:
    """Return the answers to the requests of a batch."""
    boundary = "batchresponse_simulated"
    pieces = [_piece(number, response) for number, response in enumerate(responses)]
    body = b"".join(f"--{boundary}\r\n".encode() + piece for piece in pieces)
    headers = xml_headers() | {"Content-Type": f"multipart/mixed; boundary={boundary}"}
    error = next((response.error for response in responses if response.error), "")
    return Response(202, body + f"--{boundary}--\r\n".encode(), headers, error)


def _part(piece: str) -> Request:
    _, _, message = piece.strip().partition("\r\n\r\n")
    head = message.partition("\r\n\r\n")[0]
    first, *lines = head.split("\r\n")
    method, _, target = first.partition(" ")
    if method != "DELETE":
        raise _malformed()
    headers = {name.lower(): value.strip() for name, _, value in (s.partition(":") for s in lines)}
    return Request("DELETE", unquote(urlsplit(target.split(" ")[0]).path), {}, headers, b"")


def _piece(number: int, response: Response) -> bytes:
    lines = [
        "Content-Type: application/http",
        f"Content-ID: {number}",
        "",
        f"HTTP/1.1 {response.status} {HTTPStatus(response.status).phrase}",
        *(f"{name}: {value}" for name, value in response.headers.items()),
        f"Content-Length: {len(response.body)}",
        "",
        "",
    ]
    return "\r\n".join(lines).encode() + response.body + b"\r\n"


def _malformed() -> AzureError:
    return AzureError(400, "InvalidInput", "One of the request inputs is not valid.")
