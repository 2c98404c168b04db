"""Changing a policy over HTTP: behind a switch, with a permission of its own, through the log."""

from typing import Any

import pytest
from daena_kms.api.messages import Response, etag

from tests.unit.api.asking import ARN, ask, check_problem
from tests.unit.engine.engines import World
from tests.unit.local_keys import retag

PATH = "/v1/keys/app-token/policy"
WEAK = "password:length=12:classes=digit"


@pytest.fixture(autouse=True)
def _switched_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAENA_KMS_HTTP_POLICY", "true")


@pytest.fixture
def token(world: World) -> World:
    """A store with a token."""
    world.create("app-token", spec="token")
    return world


def patch(world: World, body: object, **options: Any) -> Response:
    """Ask for a change."""
    return ask(world, "PATCH", PATH, body, **options)


def tags(world: World) -> dict[str, str]:
    """Return the tags of the token's policy."""
    found = dict(world.store.describe("app-token").tags)
    assert (found.pop("daena.managed"), found.pop("daena.spec", "token")) == ("true", "token")
    return found


def test_fields_are_set_and_removed(token: World) -> None:
    """The answer holds the policy before and after; the record names the caller and the reason."""
    first = patch(token, {"rotate_after": "30d", "keep": 3, "reason": "a new rule"})
    assert first.status == 200
    assert first.document["changed"] == ["keep", "rotate_after"]
    assert (first.document["old"]["keep"], first.document["new"]["keep"]) == ("2", "3")
    assert tags(token) == {"daena.rotate-after": "30d", "daena.keep": "3"}
    second = patch(token, {"keep": None, "first_due": "2027-01-01T00:00:00Z"})
    assert second.document["new"]["first_due"] == "2027-01-01T00:00:00Z"
    assert tags(token) == {"daena.rotate-after": "30d", "daena.first-due": "2027-01-01T00:00:00Z"}
    entries = ask(token, "GET", "/v1/audit").document["entries"]
    changes = [e for e in entries if e["kind"] == "policy"]
    assert {e["principal"] for e in changes} == {ARN}
    assert {e["reason"] for e in changes} == {"a new rule", None}
    assert token.count("app-token") == 1


@pytest.mark.parametrize("setting", [None, "", "false"])
def test_the_switch_is_off_by_default(
    token: World, monkeypatch: pytest.MonkeyPatch, setting: str | None
) -> None:
    """The answer names what switches it on, and nothing is changed."""
    if setting is None:
        monkeypatch.delenv("DAENA_KMS_HTTP_POLICY")
    else:
        monkeypatch.setenv("DAENA_KMS_HTTP_POLICY", setting)
    problem = check_problem(patch(token, {"grace": "48h"}), 403, "forbidden")
    assert problem["detail"] == "changing policies over HTTP is switched off"
    for name in ("http_policy", "HttpPolicy", "DAENA_KMS_HTTP_POLICY=true"):
        assert name in problem["todo"]
    assert tags(token) == {}


def test_a_switch_that_is_neither_is_an_error(
    token: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not taken for on."""
    monkeypatch.setenv("DAENA_KMS_HTTP_POLICY", "yes")
    problem = check_problem(patch(token, {"grace": "48h"}), 500, "config-error")
    assert "DAENA_KMS_HTTP_POLICY" in problem["detail"]
    assert tags(token) == {}


@pytest.mark.parametrize(
    ("may", "keys", "status"),
    [
        ('"policy"', "app-*", 200),
        ('"*"', "*", 200),
        ('"policy"', "other-*", 403),
        ('["read", "rotate", "compromise", "rollback", "hold", "run", "audit"]', "*", 403),
    ],
)
def test_it_takes_a_permission_of_its_own(
    token: World, monkeypatch: pytest.MonkeyPatch, may: str, keys: str, status: int
) -> None:
    """No other one gives it."""
    monkeypatch.setenv("DAENA_KMS_ACCESS", f'[{{"who": "*", "may": {may}, "keys": "{keys}"}}]')
    assert patch(token, {"grace": "48h"}).status == status
    assert (tags(token) == {}) is (status == 403)


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (None, "the body changes nothing"),
        ({}, "the body changes nothing"),
        ({"reason": "why not"}, "the body changes nothing"),
        ({"spec": None}, "spec is null, but a key's spec can't be removed"),
        ({"spec": "aes-512"}, "daena.spec is 'aes-512'"),
        ({"spec": WEAK}, "39.9 bits of entropy"),
        ({"spec": "aes-256", "destroy_after": "9d"}, "but grace is never"),
        ({"grace": "never", "destroy_after": "9d"}, "but grace is never"),
        ({"grace": "23h"}, "daena.grace is 23h"),
        ({"grace": 24}, "grace is not one line of text"),
        ({"rotate_after": "never"}, "daena.rotate-after is 'never'"),
        ({"rotate-after": "30d"}, "the body has a member 'rotate-after'"),
        ({"hold": "true"}, "the body has a member 'hold'"),
        ({"managed": "false"}, "the body has a member 'managed'"),
        ({"keep": "3"}, "keep is not a whole number"),
        ({"keep": 2.5}, "keep is not a whole number"),
        ({"keep": True}, "keep is not a whole number"),
        ({"keep": 101}, "daena.keep is '101'"),
        ({"first_due": "soon"}, "daena.first-due is 'soon'"),
    ],
)
def test_what_is_refused_is_the_caller_s_input(token: World, body: object, what: str) -> None:
    """400 with what is wrong, and nothing is changed or logged."""
    puts = token.log.puts
    problem = check_problem(patch(token, body), 400, "bad-request")
    assert what in problem["detail"]
    assert (tags(token), token.log.puts) == ({}, puts)


def test_a_policy_that_is_refused_with_the_tags_that_are_there(token: World) -> None:
    """By itself the change is right; a key that is failing can be mended."""
    retag(token.adapter, "app-token", {"daena.destroy-after": "9d"})
    problem = check_problem(patch(token, {"grace": "never"}), 400, "bad-request")
    assert "but grace is never" in problem["detail"]
    retag(token.adapter, "app-token", {"daena.grace": "soon"})
    mended = patch(token, {"grace": "48h"})
    assert (mended.status, mended.document["old"]) == (200, None)


@pytest.mark.parametrize(
    ("key_id", "status", "code"),
    [
        ("theirs", 409, "not-managed"),
        ("gone", 404, "key-not-found"),
        ("none", 404, "key-not-found"),
    ],
)
def test_only_managed_keys_have_a_policy(token: World, key_id: str, status: int, code: str) -> None:
    """Nothing is said about the tags of others' secrets."""
    for name in ("theirs", "gone"):
        token.create(name, grace="never", spec="token")
    token.store.tag(token.store.describe("theirs"), {"daena.managed": None})
    token.adapter.delete_key("gone")
    answer = ask(token, "PATCH", f"/v1/keys/{key_id}/policy", {"destroy_after": "9d"})
    check_problem(answer, status, code)


def test_it_is_meant_for_a_version(token: World) -> None:
    """With If-Match it is done from that version alone; the answer's tag is the current one."""
    seen = ask(token, "GET", "/v1/keys/app-token").headers["etag"]
    done = patch(token, {"keep": 3}, headers={"if-match": seen})
    assert (done.status, done.headers["etag"]) == (200, seen)
    token.adapter.rotate_key("app-token")
    problem = check_problem(patch(token, {"keep": 4}, headers={"if-match": seen}), 412, "key-moved")
    current = token.store.describe("app-token").current
    assert current is not None
    assert problem["current"] == current.id
    assert tags(token) == {"daena.keep": "3"}
    assert patch(token, {"keep": 4}).headers["etag"] == etag(current.id)


def test_a_race_that_is_lost_after_the_look_is_a_412(token: World) -> None:
    """Somebody rotates between the look and the change."""
    seen = ask(token, "GET", "/v1/keys/app-token").headers["etag"]
    put_new = token.log.put_new

    def meddle(name: str, data: bytes) -> None:
        put_new(name, data)
        token.log.put_new = put_new  # type: ignore[method-assign] # the log as it was
        token.adapter.rotate_key("app-token")

    token.log.put_new = meddle  # type: ignore[method-assign] # happens once, at the intent
    check_problem(patch(token, {"keep": 4}, headers={"if-match": seen}), 412, "key-moved")
    assert tags(token) == {}


def test_nobody_else_s_change_is_overwritten(token: World) -> None:
    """Somebody tags the key between the look and the change: 409, and what they set stays."""
    put_new = token.log.put_new

    def meddle(name: str, data: bytes) -> None:
        put_new(name, data)
        token.log.put_new = put_new  # type: ignore[method-assign] # the log as it was
        retag(token.adapter, "app-token", {"daena.grace": "3d"})

    token.log.put_new = meddle  # type: ignore[method-assign] # happens once, at the intent
    check_problem(patch(token, {"keep": 4}), 409, "rotation-conflict")
    assert tags(token) == {"daena.grace": "3d"}


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
def test_the_address_takes_a_patch_alone(token: World, method: str) -> None:
    """Another method is answered with the one that there is."""
    answer = ask(token, method, PATH, {"keep": 3} if method != "GET" else None)
    check_problem(answer, 405, "wrong-method")
    assert answer.headers["allow"] == "PATCH"


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded"])
def test_a_form_can_t_send_it(token: World, kind: str) -> None:
    """Only JSON is read."""
    answer = patch(token, '{"keep": 3}', headers={"content-type": kind})
    check_problem(answer, 415, "wrong-media-type")
