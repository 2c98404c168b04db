"""Rotating one key over HTTP: what is taken, what is answered, and what no answer holds."""

import json
import secrets

import pytest
from daena_kms.api.inputs import MAX_BODY
from daena_kms.errors import (
    AccessDenied,
    ConfigError,
    DaenaKMSError,
    KeyExists,
    KeyNotFound,
    NotManaged,
    RotationConflict,
    StoreUnavailable,
)

from tests.unit.api.asking import ARN, ask, check_problem
from tests.unit.engine.engines import World


def test_rotating_one_key(world: World) -> None:
    """The answer names the key, its new version and the run; the log says who and why."""
    world.create("app-key")
    old = world.adapter.get_key("app-key")
    response = ask(world, "POST", "/v1/keys/app-key/rotate", '{"reason": "leaked"}')
    current = world.store.describe("app-key").current
    assert current is not None
    assert (response.status, response.content_type) == (200, "application/json")
    record = world.records("closing")[-1]
    assert response.document == {"key": "app-key", "version": current.id, "run": record["run"]}
    assert (record["trigger"], record["reason"], record["principal"]) == ("http", "leaked", ARN)
    assert response.headers["etag"] == f'"{current.id}"'
    assert not {old, world.adapter.get_key("app-key")} & set(response.body.split('"'))


@pytest.mark.parametrize("body", [None, "", b"", "{}", '{"reason": null}'])
def test_a_reason_is_no_must(world: World, body: str | bytes | None) -> None:
    """Nothing, or an object without a reason, rotates all the same."""
    world.create("app-key")
    assert ask(world, "POST", "/v1/keys/app-key/rotate", body).status == 200
    assert world.records("closing")[-1]["reason"] is None


@pytest.mark.parametrize(
    "body",
    [
        "reason",
        "null",
        "[]",
        "7",
        '"text"',
        "{",
        '{"reason": 7}',
        '{"reason": ["x"]}',
        '{"reason": "' + "x" * 501 + '"}',
        '{"reason": ""}',
        '{"reason": "two\\nlines"}',
        '{"reason": "x", "reason": "y"}',
        '{"reasn": "x"}',
        '{"principal": "somebody else"}',
        '{"reason": NaN}',
        "[" * 5_000,
        '{"a":' * 1_900,
        "9" * 9_000,
        b"\xff\xfe\xfd",
        b"\x00" * 10,
    ],
    ids=lambda body: f"{body[:12]!r}-{len(body)}",
)
def test_a_body_that_is_none_of_ours(world: World, body: str | bytes) -> None:
    """Malformed, deep, huge or of another form: 400, and nothing happened."""
    world.create("app-key")
    puts = world.log.puts
    response = ask(world, "POST", "/v1/keys/app-key/rotate", body)
    assert "a JSON object with reason" in check_problem(response, 400, "bad-request")["todo"] or (
        "reason" in response.document["detail"]
    )
    assert (world.log.puts, world.store.changes) == (puts, [])


@pytest.mark.parametrize(
    "body",
    [
        " " * (MAX_BODY + 1),
        "ä" * (MAX_BODY // 2 + 1),
        b"x" * (MAX_BODY + 1),
        '{"a":' * 100_000,
        json.dumps({"other": "ä" * (MAX_BODY // 2)}, ensure_ascii=False),
    ],
    ids=range(5),
)
def test_a_body_is_measured_in_bytes(world: World, body: str | bytes) -> None:
    """Over the limit it is not even read; the limit does not depend on the alphabet."""
    world.create("app-key")
    check_problem(ask(world, "POST", "/v1/keys/app-key/rotate", body), 413, "too-large")
    assert world.store.changes == []


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "json"])
def test_a_body_says_that_it_is_json(world: World, kind: str) -> None:
    """Another type is 415, also without a body; parameters, case and no type do not matter."""
    world.create("app-key")
    path = "/v1/keys/app-key/rotate"
    answer = ask(world, "POST", path, "{}", headers={"content-type": kind})
    check_problem(answer, 415, "wrong-media-type")
    good = {"content-type": "Application/JSON ; charset=utf-8"}
    assert ask(world, "POST", path, "{}", headers=good).status == 200
    assert ask(world, "POST", path, "{}", headers={"content-type": ""}).status == 200
    empty = ask(world, "POST", path, headers={"content-type": kind})
    check_problem(empty, 415, "wrong-media-type")


def test_a_reason_of_the_longest(world: World) -> None:
    """500 characters are taken."""
    world.create("app-key")
    body = json.dumps({"reason": "ä" * 500})
    assert ask(world, "POST", "/v1/keys/app-key/rotate", body).status == 200


def test_keys_that_cannot_be_rotated(world: World) -> None:
    """Each finding has its status and its type."""
    world.create("held-key", "their-key", "bad-key")
    for key_id, tags in (
        ("held-key", {"daena.hold": "true"}),
        ("their-key", {"daena.managed": None}),
        ("bad-key", {"daena.keep": "0"}),
    ):
        world.store.tag(world.store.describe(key_id), tags)
    for key_id, status, code in (
        ("no-key", 404, "key-not-found"),
        ("held-key", 409, "rotation-conflict"),
        ("their-key", 409, "not-managed"),
        ("bad-key", 500, "config-error"),
        ("No-Key", 400, "invalid-key-id"),
        ("a%2Fb", 400, "invalid-key-id"),
        ("schlüssel", 400, "invalid-key-id"),
        ("x" * 101, 400, "invalid-key-id"),
    ):
        check_problem(ask(world, "POST", f"/v1/keys/{key_id}/rotate"), status, code)
    assert world.store.changes == []


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (KeyNotFound("gone"), 404),
        (NotManaged("theirs"), 409),
        (KeyExists("there"), 409),
        (AccessDenied("refused"), 502),
        (StoreUnavailable("no answer"), 503),
        (ConfigError("wrong"), 500),
        (DaenaKMSError("other"), 500),
        (RotationConflict("faster"), 409),
    ],
)
def test_what_goes_wrong_in_the_store(world: World, error: DaenaKMSError, status: int) -> None:
    """An error of the change is the answer; a lost race is 409, whoever won."""
    world.create("app-key")

    def fail(_name: str, _key: str) -> None:
        raise error

    world.store.before = fail
    response = ask(world, "POST", "/v1/keys/app-key/rotate")
    check_problem(response, status, error.code)


def test_a_log_that_fails(world: World) -> None:
    """503, and nothing was changed."""
    world.create("app-key")
    world.log.fail_from = 0
    response = ask(world, "POST", "/v1/keys/app-key/rotate")
    check_problem(response, 503, "audit-unavailable")
    assert world.store.changes == []


def test_no_time_left(world: World) -> None:
    """503 before anything began."""
    world.create("app-key")
    response = ask(world, "POST", "/v1/keys/app-key/rotate", deadline=0)
    check_problem(response, 503, "out-of-time")
    assert world.store.changes == []


def test_a_member_that_occurs_twice_is_named_as_such(world: World) -> None:
    """The body is JSON all the same."""
    world.create("app-key")
    body = '{"reason": "one", "reason": "other"}'
    answer = ask(world, "POST", "/v1/keys/app-key/rotate", body)
    check_problem(answer, 400, "bad-request")
    assert "occurs twice" in str(answer.document)
    assert world.store.changes == []


@pytest.mark.parametrize("path", ["/v1/plan", "/v1/keys/app-key/rotate", "/", "/v1/other"])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
@pytest.mark.parametrize("principal", [None, ""])
def test_nobody_gets_in_without_a_verified_name(
    world: World, method: str, path: str, principal: str | None
) -> None:
    """401 for every address but health, whether it exists or not."""
    world.create("app-key")
    answer = ask(world, method, path, principal=principal)
    check_problem(answer, 401, "unauthenticated")
    assert "www-authenticate" in answer.headers
    assert world.store.changes == []
    assert ask(world, "GET", "/v1/health", principal=None).status == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *((m, "/v1/keys/app-key/rotate") for m in ("GET", "PUT", "DELETE", "", "post")),
        *((m, p) for p in ("/v1/plan", "/v1/health") for m in ("POST", "HEAD", "x" * 1000)),
    ],
)
def test_methods(world: World, method: str, path: str) -> None:
    """An address has its own methods; any other is 405."""
    world.create("app-key")
    response = ask(world, method, path)
    check_problem(response, 405, "wrong-method")
    assert response.headers["allow"] == ("POST" if "rotate" in path else "GET")
    assert world.store.changes == []


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/v1",
        "/v1/",
        "/v1/plan/",
        "/v1/keys/",
        "/v1/keys/app-key/",
        "/v1/keys/app-key/other",
        "/v1/keys/app-key/Rotate",
        "/v1/KEYS",
        "/v1/audit/",
        "/v1/keys//rotate",
        "/v1/keys/a/b/rotate",
        "/v1/keys/app-key/rotate/",
        "/v2/plan",
        "/v1/keys/" + "x" * 201 + "/rotate",
        "//v1/plan",
    ],
)
def test_other_addresses(world: World, path: str) -> None:
    """404."""
    for method in ("GET", "POST"):
        check_problem(ask(world, method, path), 404, "no-such-address")


def test_a_key_that_carries_only_our_tags_is_enrolled_first(world: World) -> None:
    """The answer says that it is not rotated; who asks again gets a new version."""
    world.tag_theirs("their-key", secrets.token_urlsafe(), managed="true", spec="token")
    response = ask(world, "POST", "/v1/keys/their-key/rotate", {})
    check_problem(response, 409, "rotation-conflict")
    assert "enrolled by tag" in response.document["detail"]
    assert response.document["todo"] == "Ask again to rotate it now"
    assert world.count("their-key") == 1
    assert ask(world, "POST", "/v1/keys/their-key/rotate", {}).status == 200


def test_a_key_that_no_run_may_enrol_fails(world: World) -> None:
    """Without a spec the answer names the command, and no due time is shown."""
    world.tag_theirs("their-key", secrets.token_urlsafe(), managed="true")
    response = ask(world, "POST", "/v1/keys/their-key/rotate", {})
    assert "daena-kms adopt their-key --spec" in response.document["todo"]
    (shown,) = ask(world, "GET", "/v1/keys").document["keys"]
    assert (shown["key"], shown["due"]) == ("their-key", None)
    assert world.count("their-key") == 1
