"""List Blobs: pages in order of names, folders made by a delimiter.

https://learn.microsoft.com/rest/api/storageservices/list-blobs
"""

import base64
from bisect import bisect_left, bisect_right
from email.utils import format_datetime
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape, quoteattr

from infra.local.azure.blob_forms import xml_answer
from infra.local.azure.documents import AzureError
from infra.local.http_server import Request, Response

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infra.local.azure.blob import Blob

MAX_RESULTS = 5000
MODELLED = {
    *("restype", "comp", "prefix", "delimiter", "marker"),
    *("maxresults", "startFrom", "timeout", "include"),
}


def listing(container: str, blobs: "Mapping[str, Blob]", request: Request) -> Response:
    """Return one page."""
    query = request.query
    if query.get("restype") != "container" or not query.keys() <= MODELLED or query.get("include"):
        raise AzureError(400, "InvalidQueryParameterValue", "This listing is not modelled.")
    prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
    size = _size(query.get("maxresults", str(MAX_RESULTS)))
    # startFrom is inclusive, and obstore leaves that one out.
    start = max(_marker(query.get("marker", "")), query.get("startFrom", ""))
    items = _items(sorted(blobs), prefix, delimiter, start, size + 1)
    shown, more = items[:size], items[size:]
    parts = [
        f"<Blob><Name>{escape(name)}</Name><Properties>"
        f"<Last-Modified>{format_datetime(blobs[name].modified, usegmt=True)}</Last-Modified>"
        f"<Etag>{escape(blobs[name].etag.strip('"'))}</Etag>"
        f"<Content-Length>{len(blobs[name].body)}</Content-Length>"
        f"<Content-Type>{escape(blobs[name].content_type)}</Content-Type>"
        f"<Content-MD5>{blobs[name].md5}</Content-MD5><BlobType>BlockBlob</BlobType>"
        "</Properties></Blob>"
        if name in blobs
        else f"<BlobPrefix><Name>{escape(name)}</Name></BlobPrefix>"
        for name in shown
    ]
    marker = base64.urlsafe_b64encode(more[0].encode()).decode() if more else ""
    return xml_answer(
        200,
        f"<EnumerationResults ContainerName={quoteattr(container)}>"
        f"<Prefix>{escape(prefix)}</Prefix><MaxResults>{size}</MaxResults><Delimiter>{escape(delimiter)}</Delimiter>"
        f"<Blobs>{''.join(parts)}</Blobs><NextMarker>{marker}</NextMarker></EnumerationResults>",
    )


def _items(names: list[str], prefix: str, delimiter: str, start: str, count: int) -> list[str]:
    """Return up to this many names and folders from ``start`` on."""
    found: list[str] = []
    at = bisect_left(names, max(prefix, start))
    while at < len(names) and names[at].startswith(prefix) and len(found) < count:
        name = names[at]
        head, folder, _ = name.removeprefix(prefix).partition(delimiter or "\0")
        if folder and delimiter:
            name = prefix + head + delimiter
            # The first name that does not begin with the folder's.
            at = bisect_right(names, name + "\U0010ffff")
        else:
            at += 1
        found.append(name)
    return found


def _size(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise AzureError(400, "OutOfRangeQueryParameterValue", "maxresults must be from 1 on.")
    return min(int(text), MAX_RESULTS)


def _marker(text: str) -> str:
    try:
        return base64.urlsafe_b64decode(text).decode()
    except ValueError:
        raise AzureError(400, "InvalidMarker", "The marker is invalid.") from None
