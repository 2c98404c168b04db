"""Blob Storage's forms: errors, common headers, and conditions on etags."""

import secrets
from xml.sax.saxutils import escape

from infra.local.azure.documents import AzureError
from infra.local.http_server import Request, Response

VERSION = "2024-11-04"
DECLARATION = '<?xml version="1.0" encoding="utf-8"?>'


def xml_headers() -> dict[str, str]:
    """Return the headers of every answer."""
    return {"x-ms-request-id": secrets.token_hex(16), "x-ms-version": VERSION}


def xml_answer(status: int, document: str) -> Response:
    """Return a document."""
    headers = xml_headers() | {"Content-Type": "application/xml"}
    return Response(status, (DECLARATION + document).encode(), headers)


def error_answer(error: AzureError) -> Response:
    """Return an error; its code is in a header, too, for answers without a body.

    https://learn.microsoft.com/rest/api/storageservices/status-and-error-codes2
    """
    document = f"<Error><Code>{error.code}</Code><Message>{escape(error.message)}</Message></Error>"
    made = xml_answer(error.status, document)
    headers = {**made.headers, **error.headers, "x-ms-error-code": error.code}
    body = b"" if error.status == 304 else made.body
    return Response(error.status, body, headers, error.code)


def check_conditions(request: Request, etag: str | None) -> None:
    """Check the conditions on the blob that is there, or on there being none.

    https://learn.microsoft.com/rest/api/storageservices/specifying-conditional-headers-for-blob-service-operations
    """
    write = request.method not in {"GET", "HEAD"}
    if "if-modified-since" in request.headers or "if-unmodified-since" in request.headers:
        raise AzureError(400, "UnsupportedHeader", "Conditions on dates are not modelled.")
    wanted = request.headers.get("if-match")
    if wanted is not None and (etag is None or wanted not in {"*", etag}):
        raise _unmet()
    unwanted = request.headers.get("if-none-match")
    if unwanted is None or etag is None or unwanted not in {"*", etag}:
        return
    if not write:
        raise AzureError(304, "ConditionNotMet", "The condition was not met.")
    if unwanted == "*" and request.method == "PUT":
        raise AzureError(409, "BlobAlreadyExists", "The specified blob already exists.")
    raise _unmet()


def _unmet() -> AzureError:
    message = "The condition specified using HTTP conditional header(s) is not met."
    return AzureError(412, "ConditionNotMet", message)
