"""The function behind a function URL: its routes, whom it believes, and what it never says."""

import json

import pytest
from daena_kms import errors
from daena_kms.errors import DaenaKMSError

from tests.functions.aws_world import CALLER, LambdaWorld, ask, http_event


def test_health_says_what_can_be_used(world: LambdaWorld) -> None:
    """Configuration, store and log are each tried, and no account or address is told."""
    status, document = ask(world.handler(), http_event("GET", "/v1/health"))

    checks = {"configuration": "ok", "store": "ok", "audit": "ok"}
    assert (status, document) == (200, {"ok": True, "provider": "aws", "checks": checks})


def test_health_needs_no_caller(world: LambdaWorld) -> None:
    """A load balancer asks without a signature where the URL allows it."""
    status, _ = ask(world.handler(), http_event("GET", "/v1/health", requestContext={"http": {}}))
    assert status == 405
    anonymous = {"http": {"method": "GET"}}

    assert ask(world.handler(), http_event("GET", "/v1/health", requestContext=anonymous))[0] == 200


@pytest.mark.parametrize(
    ("operation", "check", "code"),
    [
        ("ListSecrets", "store", "access-denied"),
        ("ListObjectsV2", "audit", "audit-unavailable"),
    ],
)
def test_health_names_what_is_wrong(
    world: LambdaWorld, operation: str, check: str, code: str
) -> None:
    """A store or log that refuses is named by a stable word, with status 503."""
    world.sim.faults.deny(operation)

    status, document = ask(world.handler(), http_event("GET", "/v1/health"))

    assert (status, document["ok"], document["checks"][check]) == (503, False, code)


def test_plan_shows_every_key_and_changes_nothing(world: LambdaWorld) -> None:
    """The plan's actions come with their reasons."""
    world.create("due", days=91)
    world.create("fresh")

    status, document = ask(world.handler(), http_event("GET", "/v1/plan"))

    assert status == 200
    assert {a["key"]: a["kind"] for a in document["actions"]} == {
        "due": "rotate",
        "fresh": "nothing",
    }
    assert all(a["why"] for a in document["actions"])
    assert world.changed() == set()


def test_one_key_is_rotated_on_demand(world: LambdaWorld) -> None:
    """The answer names the new version, and the log who asked and why."""
    world.create("fresh", "other")
    old = world.adapter.get_key("fresh")
    body = json.dumps({"reason": "leaked in a build log"})

    status, document = ask(world.handler(), http_event("POST", "/v1/keys/fresh/rotate", body=body))

    current = world.adapter.store.describe("fresh").current
    assert current is not None
    assert (status, document["key"], document["version"]) == (200, "fresh", current.id)
    assert world.adapter.get_key("fresh") != old
    assert world.changed() == {"fresh"}
    run = list(world.records())
    assert {r["run"] for r in run} == {document["run"]}
    assert {(r["trigger"], r["principal"], r["reason"]) for r in run} == {
        ("http", CALLER, "leaked in a build log")
    }


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/v1/keys/key/rotate", 405),
        ("DELETE", "/v1/plan", 405),
        ("POST", "/v1/health", 405),
        ("", "/v1/health", 405),
        ("GET", "/", 404),
        ("GET", "", 404),
        ("GET", "/v1/plan/", 404),
        ("POST", "/v1/keys//rotate", 404),
        ("POST", "/v1/keys/a/b/rotate", 404),
        ("POST", "/v1/keys/" + "k" * 201 + "/rotate", 404),
        ("GET", "/" + "x" * 1_000_000, 404),
        ("POST", "/v1/keys/UPPER/rotate", 400),
        ("POST", "/v1/keys/k\n/rotate", 400),
        ("POST", "/v1/keys/schlüssel/rotate", 400),
        ("POST", "/v1/keys/%2e%2e/rotate", 400),
        ("POST", "/v1/keys/" + "k" * 101 + "/rotate", 400),
    ],
    ids=range(16),
)
def test_other_addresses_and_methods_are_refused(
    world: LambdaWorld, method: str, path: str, expected: int
) -> None:
    """With a problem document of a readable length, and without a call to the store."""
    handler = world.handler()

    status, document = ask(handler, http_event(method, path))

    assert status == expected
    assert len(document["detail"]) < 400
    assert world.changed() == set()


@pytest.mark.parametrize(
    ("key_id", "tags", "status", "code"),
    [
        ("missing", {}, 404, "key-not-found"),
        ("held", {"daena.hold": "true"}, 409, "rotation-conflict"),
        ("unmanaged", {"daena.managed": "false"}, 409, "not-managed"),
    ],
)
def test_a_key_that_can_not_be_rotated_says_why(
    world: LambdaWorld, key_id: str, tags: dict[str, str], status: int, code: str
) -> None:
    """Status and type are stable, and the detail names the key."""
    if tags:
        world.create(key_id)
        world.adapter.store.tag(world.adapter.store.describe(key_id), tags)

    answered, document = ask(world.handler(), http_event("POST", f"/v1/keys/{key_id}/rotate"))

    assert (answered, document["type"]) == (status, f"urn:daena-kms:{code}")
    assert repr(key_id) in document["detail"]


def test_no_time_left_is_said(world: LambdaWorld) -> None:
    """Nothing was begun: the caller may ask again."""
    world.create("key")

    status, document = ask(world.handler(), http_event("POST", "/v1/keys/key/rotate"), left=1)

    assert (status, "no time left" in document["detail"]) == (503, True)
    assert world.changed() == set()


def test_a_rotation_that_lost_its_race_is_a_conflict(
    world: LambdaWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another rotation promoted first: 409, and the caller reads what it has."""
    world.create("key")
    handler = world.handler()
    adapter, _ = handler.services()
    stage = adapter.store.stage

    def overtaken(*arguments: object) -> object:
        world.adapter.rotate_key("key")
        return stage(*arguments)

    monkeypatch.setattr(adapter.store, "stage", overtaken)

    status, document = ask(handler, http_event("POST", "/v1/keys/key/rotate"))

    assert status == 409
    assert "already rotated" in document["detail"]


STATUS = {
    errors.InvalidKeyId: 400,
    errors.KeyNotFound: 404,
    errors.KeyExists: 409,
    errors.AccessDenied: 502,
    errors.NotManaged: 409,
    errors.RotationConflict: 409,
    errors.StoreUnavailable: 503,
    errors.AuditUnavailable: 503,
    errors.Paused: 503,
    errors.ManifestInvalid: 500,
    errors.ConfigError: 500,
    DaenaKMSError: 500,
}


@pytest.mark.parametrize("kind", STATUS)
def test_every_error_has_a_status(
    world: LambdaWorld, kind: type[DaenaKMSError], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error becomes a problem document with its code, and never leaves the function."""
    handler = world.handler()
    adapter, _ = handler.services()

    def fail() -> None:
        raise kind("it went wrong", key_id="key", todo="Mend it")

    monkeypatch.setattr(adapter.store, "scan", fail)

    status, document = ask(handler, http_event("GET", "/v1/plan"))

    assert (status, document["type"]) == (STATUS[kind], f"urn:daena-kms:{kind.code}")
    assert document["detail"] == "key 'key': it went wrong"
    # Where the stores speak of the command line, the API names its own addresses.
    lists = kind is errors.KeyNotFound
    assert document["todo"].startswith("GET /v1/keys" if lists else "Mend it")


def test_the_table_of_statuses_is_complete() -> None:
    """An error that is added gets its line above."""
    public = {kind for kind in vars(errors).values() if isinstance(kind, type)}
    assert {k for k in public if issubclass(k, DaenaKMSError)} == STATUS.keys()
