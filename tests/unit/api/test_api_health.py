"""The plan and the health over HTTP, and how events are read."""

import secrets
from collections.abc import Callable

import pytest
from daena_kms.api.messages import Request, decoded, dig
from daena_kms.api.router import respond
from daena_kms.errors import AccessDenied, AuditUnavailable, ConfigError

from tests.unit.api.asking import ARN, ask, check_problem
from tests.unit.engine.engines import World


def test_the_plan(world: World) -> None:
    """Every managed key with what is to be done and why; nothing changes, nothing is written."""
    world.create("app-key")
    world.create("held-key", hold="true")
    puts = world.log.puts
    response = ask(world, "GET", "/v1/plan")
    found = {action["key"]: action["kind"] for action in response.document["actions"]}
    assert (response.status, found) == (200, {"app-key": "nothing", "held-key": "held"})
    assert (world.log.puts, world.store.changes) == (puts, [])
    assert "123456789012" not in response.body


def fails(error: Exception) -> Callable[..., object]:
    """Return a function that raises that."""

    def fail(*_arguments: object) -> object:
        raise error

    return fail


def test_health(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each part by itself, as a code: no account, no address, no text of an error."""
    canary = secrets.token_urlsafe()
    response = ask(world, "GET", "/v1/health")
    ok = {"configuration": "ok", "store": "ok", "audit": "ok"}
    assert (response.status, response.document) == (
        200,
        {"ok": True, "provider": "local", "checks": ok},
    )
    monkeypatch.setattr(world.store, "scan", fails(AccessDenied(canary)))
    response = ask(world, "GET", "/v1/health")
    assert (response.status, response.document["checks"]) == (503, {**ok, "store": "access-denied"})
    monkeypatch.setattr(world.log, "children", fails(AuditUnavailable(canary)))
    response = ask(world, "GET", "/v1/health")
    assert response.document["checks"]["audit"] == "audit-unavailable"
    assert response.document["ok"] is False
    assert canary not in response.body


def test_anonymous_health_costs_no_call(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says only whether the configuration can be used: neither store nor log is asked."""
    monkeypatch.setattr(world.store, "probe", fails(AssertionError("the store was asked")))
    monkeypatch.setattr(world.log, "children", fails(AssertionError("the log was asked")))
    response = ask(world, "GET", "/v1/health", principal=None)
    assert (response.status, response.document) == (
        200,
        {"ok": True, "provider": "local", "checks": {"configuration": "ok"}},
    )


def test_health_without_configuration() -> None:
    """What can't be set up is said by its code alone; the other addresses answer with a problem."""
    broken = fails(ConfigError("no region"))
    response = respond(Request("GET", "/v1/health", None, None), broken)  # type: ignore[arg-type] # it only raises
    assert (response.status, response.document) == (
        503,
        {"ok": False, "checks": {"configuration": "config-error"}},
    )
    for method, path in (("GET", "/v1/plan"), ("POST", "/v1/keys/app-key/rotate")):
        check_problem(respond(Request(method, path, None, ARN), broken), 500, "config-error")  # type: ignore[arg-type] # as above


@pytest.mark.parametrize(
    ("name", "text"),
    [("DAENA_KMS_ENDPOINT", "http://receiver"), ("DAENA_KMS_MIN_INTERVAL", "10")],
)
def test_health_with_a_wrong_setting(
    world: World, monkeypatch: pytest.MonkeyPatch, name: str, text: str
) -> None:
    """Also of what no rotation stops for."""
    monkeypatch.setenv(name, text)
    response = ask(world, "GET", "/v1/health")
    assert (response.status, response.document["checks"]["configuration"]) == (503, "config-error")


def test_reading_events() -> None:
    """A path into an event of any shape gives text or nothing; a body that is no base64 stays."""
    event = {"a": {"b": "text", "c": 7}, "d": ["x"]}
    assert dig(event, "a", "b") == "text"
    for path in (("a",), ("a", "c"), ("d",), ("d", "x"), ("a", "b", "c"), ("e", "f")):
        assert dig(event, *path) is None
    odd: object
    for odd in (None, [], "text", 7):
        assert dig(odd, "a") is None
    assert decoded("e30=", is_base64=True) == b"{}"
    assert decoded("{}", is_base64=False) == "{}"
    assert decoded("not base64!", is_base64=True) == "not base64!"
    assert decoded(None, is_base64=True) is None
