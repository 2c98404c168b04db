"""The same request to the three clouds: the same status, the same body, but for ids and dates."""

import json
import re
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from http.client import HTTPConnection
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest

from infra.local.aws.ministack import LocalAws
from tests.functions.mounted import Mounted, mounted

pytestmark = pytest.mark.xdist_group("local-aws")

#: What may differ: ids of versions, runs and requests; times; and what the store is.
_DIFFERS = {
    *("version", "run", "request_id", "current", "newest", "next", "base", "id", "new_version"),
    *("created", "due", "time", "started", "ended", "superseded", "retired", "expires", "began"),
    *("seconds", "provider", "principal", "why", "objects", "object"),
}
_HEADERS = ("cache-control", "x-content-type-options", "allow", "www-authenticate", "retry-after")
_UNKNOWN = {"if-match": '"another"'}


class Answer(NamedTuple):
    """What came back."""

    status: int
    kind: str
    headers: dict[str, str | None]
    document: Any
    tag: str | None


def send(
    api: Mounted,
    method: str,
    target: str,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
    *,
    anonymous: bool = False,
) -> Answer:
    """Send a request as it stands, whatever it looks like."""
    address = urlsplit(api.url)
    given = {"Content-Type": "application/json"} | dict(headers or {})
    connection = HTTPConnection(address.hostname or "", address.port, timeout=60)
    try:
        connection.putrequest(method, target, skip_accept_encoding=True)
        for name, text in (given if anonymous else given | api.headers).items():
            connection.putheader(name, text)
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        response = connection.getresponse()
        told = response.read()
    finally:
        connection.close()
    kind = response.headers.get_content_type()
    same = {name: response.headers.get(name) for name in _HEADERS}
    document = json.loads(told) if told else None
    return Answer(response.status, kind, same, document, response.headers.get("etag"))


def alike(part: Any) -> Any:
    """Take out what may differ between the clouds."""
    if isinstance(part, dict):
        kept = {name: alike(inner) for name, inner in part.items() if name not in _DIFFERS}
        for name in ("new_versions", "notes"):
            if name in kept:
                kept[name] = sorted(kept[name])
        if "versions" in kept:
            kept["versions"] = len(kept["versions"])
        return kept
    if isinstance(part, list):
        return [alike(inner) for inner in part]
    if isinstance(part, str):
        return re.sub(r"\b\d+ s\b", "n s", part)
    return part


@pytest.fixture(scope="module")
def clouds(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Mounted]]:
    """The API on each cloud, with the same keys."""

    def aws() -> tuple[LocalAws, bytes]:
        return request.getfixturevalue("local_aws"), request.getfixturevalue("bundle")

    with ExitStack() as stack:
        found = {
            cloud: stack.enter_context(mounted(cloud, aws, tmp_path_factory.mktemp(cloud)))
            for cloud in ("aws", "azure", "gcp")
        }
        for api in found.values():
            for key_id, days in (("app-key", 0), ("due-key", 91), ("held-key", 0)):
                api.make(key_id, days)
        yield found


def same(clouds: dict[str, Mounted], *request: Any, **options: Any) -> Answer:
    """Send to each cloud, expect one answer, and return that of AWS."""
    answers = {cloud: send(api, *request, **options) for cloud, api in clouds.items()}
    forms = {
        cloud: (a.status, a.kind, a.headers, alike(a.document), a.tag is not None)
        for cloud, a in answers.items()
    }
    assert forms["azure"] == forms["aws"]
    assert forms["gcp"] == forms["aws"]
    return answers["aws"]


def test_the_life_of_a_key(clouds: dict[str, Mounted]) -> None:
    """Look, rotate, roll back, hold, release, run, and read the log: alike on each cloud."""
    for method, target, body, status in (
        ("GET", "/v1/keys", b"", 200),
        ("GET", "/v1/keys?limit=1", b"", 200),
        ("GET", "/v1/keys?limit=2&after=app-key", b"", 200),
        ("GET", "/v1/keys/app-key", b"", 200),
        ("GET", "/v1/plan", b"", 200),
        ("POST", "/v1/keys/app-key/rotate", b'{"reason": "leaked \\u00e4\\ud83d\\udd11"}', 200),
        ("GET", "/v1/keys/app-key", b"", 200),
        ("POST", "/v1/keys/app-key/rollback", b"", 200),
        ("POST", "/v1/keys/held-key/hold", b'{"until": "2999-01-01T00:00:00Z"}', 200),
        ("POST", "/v1/keys/held-key/rotate", b"", 409),
        ("POST", "/v1/keys/held-key/release", b"{}", 200),
        ("POST", "/v1/runs", b'{"dry_run": true}', 200),
        ("POST", "/v1/runs", b'{"reason": "by hand"}', 200),
        ("POST", "/v1/runs", b"", 200),
        ("GET", "/v1/audit?key=due-key", b"", 200),
        ("GET", "/v1/openapi.json", b"", 200),
    ):
        assert same(clouds, method, target, body).status == status, target


@pytest.mark.parametrize(
    ("method", "target", "body", "headers", "status"),
    [
        ("GET", "/v1/nothing", b"", {}, 404),
        ("GET", "/v1/keys/", b"", {}, 404),
        ("GET", "/v1/keys/no-key", b"", {}, 404),
        ("GET", "/v1/keys/Bad_Key", b"", {}, 400),
        ("GET", "/v1/keys/" + "k" * 150, b"", {}, 400),
        ("GET", "/v1/keys/app-key/rotate", b"", {}, 405),
        ("DELETE", "/v1/keys/app-key", b"", {}, 405),
        ("PUT", "/v1/plan", b"", {}, 405),
        ("OPTIONS", "/v1/runs", b"", {}, 405),
        ("PATCH", "/v1/health", b"", {}, 405),
        ("GET", "/v1/keys?limit=0", b"", {}, 400),
        ("GET", "/v1/keys?limit=1&limit=2", b"", {}, 400),
        ("GET", "/v1/plan?x=%00%0d%0aX-Injected:%20yes", b"", {}, 400),
        ("GET", "/v1/audit?since=now", b"", {}, 400),
        ("POST", "/v1/runs", b"{", {}, 400),
        ("POST", "/v1/runs", b"[" * 9_000, {}, 400),
        ("POST", "/v1/runs", b"\xff\xfe\x00", {}, 400),
        ("POST", "/v1/runs", b'{"dry_run": "yes"}', {}, 400),
        ("POST", "/v1/runs", b" " * 20_000, {}, 413),
        ("POST", "/v1/runs", b"<a/>", {"Content-Type": "text/xml"}, 415),
        ("POST", "/v1/keys/app-key/rotate", b"", _UNKNOWN, 412),
        ("POST", "/v1/keys/app-key/rotate", b"", {"if-match": "no tag"}, 400),
        ("POST", "/v1/keys/app-key/rollback", b'{"version": "??"}', {}, 400),
        ("POST", "/v1/keys/no-key/rotate", b"", {}, 404),
        ("POST", "/v1/keys/app-key/rotate", b'{"reason": "two\\nlines"}', {}, 400),
        ("GET", "/v1/keys/..%2f..%2fsecret", b"", {}, None),
        ("GET", "/v1/keys/%2e%2e", b"", {}, None),
    ],
    ids=range(27),
)
def test_what_is_refused(
    clouds: dict[str, Mounted],
    method: str,
    target: str,
    body: bytes,
    headers: dict[str, str],
    status: int | None,
) -> None:
    """With the same problem document, and nothing of the request in a header."""
    if status is None:  # what is escaped, some platforms have decoded
        for api in clouds.values():
            assert send(api, method, target, body, headers).status in {400, 404}
        return
    answer = same(clouds, method, target, body, headers=headers)
    assert answer.status == status
    assert answer.kind == "application/problem+json"


FORGED = {
    "x-ms-client-principal": "eyJ1c2VySWQiOiJyb290In0=",
    "x-ms-client-principal-id": "root",
    "x-ms-client-principal-name": "root",
    "X-Goog-Authenticated-User-Email": "accounts.google.com:root@example.com",
    "X-Goog-IAP-JWT-Assertion": "e30.eyJlbWFpbCI6InJvb3QifQ.x",
    "X-Serverless-Authorization": "Bearer e30.eyJlbWFpbCI6InJvb3QifQ.x",
    "x-amzn-oidc-identity": "root",
    "x-amzn-iam-arn": "arn:aws:iam::1:root",
    "X-Forwarded-User": "root",
}


def test_forged_identities_do_not_reach_the_log(clouds: dict[str, Mounted]) -> None:
    """Headers that name a caller count for nothing where the platform has not verified them."""
    for cloud, api in clouds.items():
        answer = send(api, "POST", "/v1/keys/app-key/rotate", headers=FORGED)
        entries = send(api, "GET", "/v1/audit?key=app-key").document["entries"]
        if cloud == "gcp":  # of two tokens the one that was not checked is the one that counts
            assert answer.status == 401
        else:
            assert answer.status == 200
        assert "root" not in {entry["principal"].lower() for entry in entries}
        assert not any("root" in json.dumps(entry) for entry in entries)


@pytest.mark.parametrize("cloud", ["aws", "azure", "gcp"])
def test_many_deliveries_of_one_request_rotate_once(clouds: dict[str, Mounted], cloud: str) -> None:
    """One is done; the others say that the key has moved on, or that somebody is at it."""
    api = clouds[cloud]
    shown = send(api, "GET", "/v1/keys/app-key")
    assert shown.tag is not None
    headers = {"if-match": shown.tag}

    def deliver(_: int) -> Answer:
        return send(api, "POST", "/v1/keys/app-key/rotate", headers=headers)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(deliver, range(24)))

    done = [answer for answer in answers if answer.status == 200]
    assert len(done) == 1
    assert {answer.status for answer in answers} <= {200, 409, 412}
    again = send(api, "POST", "/v1/keys/app-key/rotate", headers=headers)
    assert (again.status, again.document["current"]) == (412, done[0].document["version"])
    after = send(api, "GET", "/v1/keys/app-key").document
    made = {v["id"] for v in after["versions"]} - {v["id"] for v in shown.document["versions"]}
    current = {v["id"] for v in after["versions"] if v["state"] in {"current", "previous"}}
    assert made & current == {done[0].document["version"]}
