"""The Function App's HTTP functions and its Event Grid function."""

import json
from collections.abc import Iterator
from datetime import timedelta

import pytest

from infra.local.faults import only
from tests.functions.azure_world import MANAGED, AzureApp, azure_app, runs


@pytest.fixture(scope="module")
def opened() -> Iterator[AzureApp]:
    """Give one app for the tests of this file."""
    with azure_app() as made:
        yield made


@pytest.fixture
def world(opened: AzureApp) -> AzureApp:
    """Give the app with an empty vault and no faults."""
    opened.sim.faults.clear()
    opened.sim.calls.clear()
    for name in list(opened.sim.secrets.live):
        opened.sim.secrets.remove(name)
    for blobs in opened.sim.blobs.containers.values():
        blobs.clear()
    return opened


def test_one_key_is_rotated_on_demand(world: AzureApp) -> None:
    """Due or not; the answer names key, version and run, and the log who asked and why."""
    old = world.secret("app-key")
    answer = world.ask("POST", "keys/app-key/rotate", b'{"reason": "leaked"}')
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    document = json.loads(answer.body)
    newest = world.sim.secrets.version("app-key")
    assert (document["key"], document["version"]) == ("app-key", newest.id)
    assert newest.value != old
    (row,) = world.history()
    assert (row["trigger"], row["reason"], row["principal"]) == ("http", "leaked", "function key")
    assert row["new_version"] == newest.id


def test_the_plan_changes_nothing(world: AzureApp) -> None:
    """Every key with its reason."""
    world.secret("due-key", days=91)
    answer = world.ask("GET", "plan")
    assert answer.status == 200
    (action,) = json.loads(answer.body)["actions"]
    assert (action["key"], action["kind"]) == ("due-key", "rotate")
    assert len(world.sim.secrets.versions("due-key")) == 1


def test_health_is_for_anybody(world: AzureApp) -> None:
    """So it makes no call, and says neither an account nor an address."""
    answer = world.ask("GET", "health", name="health")
    assert (answer.status, json.loads(answer.body)["ok"]) == (200, True)
    assert json.loads(answer.body)["checks"] == {"configuration": "ok"}
    assert len(world.sim.calls) == 0
    assert b"localhost" not in answer.body


@pytest.mark.parametrize(
    ("request_line", "body", "status", "kind"),
    [
        ("POST keys/no-key/rotate", b"", 404, "key-not-found"),
        ("POST keys/Bad_Key/rotate", b"", 400, "invalid-key-id"),
        ("POST keys/their-key/rotate", b"", 409, "not-managed"),
        ("POST keys/held-key/rotate", b"", 409, "rotation-conflict"),
        ("POST keys/app-key/rotate", b"no json", 400, "bad-request"),
        ("GET keys/app-key/rotate", b"", 405, "wrong-method"),
        ("GET nothing", b"", 404, "no-such-address"),
    ],
)
def test_what_can_not_be_done_is_a_problem(
    world: AzureApp, request_line: str, body: bytes, status: int, kind: str
) -> None:
    """A problem document with a stable type; nothing changes."""
    world.secret("app-key")
    world.secret("their-key", tags={})
    world.secret("held-key", tags=MANAGED | {"daena.hold": "true"})
    method, path = request_line.split()
    answer = world.ask(method, path, body)
    assert answer.status == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert json.loads(answer.body)["type"] == f"urn:daena-kms:{kind}"
    assert all(len(s.versions) == 1 for s in world.sim.secrets.live.values())


def test_a_claimed_identity_does_not_reach_the_log(world: AzureApp) -> None:
    """Without App Service authentication anybody can send the header that names a caller."""
    world.secret("app-key")
    headers = {"X-MS-CLIENT-PRINCIPAL-ID": "the-chief"}
    assert world.ask("POST", "keys/app-key/rotate", headers=headers).status == 200
    assert world.history()[0]["principal"] == "function key"


def test_no_answer_holds_a_value(world: AzureApp) -> None:
    """Not the old one and not the new one."""
    values = [world.secret("app-key")]
    answers = [world.ask("POST", "keys/app-key/rotate"), world.ask("GET", "plan")]
    values.append(str(world.sim.secrets.version("app-key").value))
    assert not any(v.encode() in a.body for v in values for a in answers)


def test_an_event_does_what_is_due(world: AzureApp) -> None:
    """A version that expires before it is due is due when that is near; names are in any case."""
    now = world.sim.now()
    expires = int((now + timedelta(days=20)).timestamp())
    old = world.secret("Dated-Key", days=40, exp=expires)
    world.secret("other-key", days=400)
    result = world.expiring("Dated-Key")
    assert result.ok, result.error
    assert runs(result)[0]["rotated"] == ["dated-key"]
    newest = world.sim.secrets.version("dated-key")
    assert newest.value != old
    assert newest.exp is not None
    assert abs(newest.exp - (now + timedelta(days=60)).timestamp()) < 60
    assert len(world.sim.secrets.versions("other-key")) == 1
    assert world.history()[0]["trigger"] == "event"


def test_an_event_that_comes_twice_does_nothing_more(world: AzureApp) -> None:
    """Delivery is at least once, and an event is a hint."""
    world.secret("due-key", days=91)
    assert runs(world.expiring("due-key"))[0]["rotated"] == ["due-key"]
    assert runs(world.expiring("due-key"))[0]["rotated"] == []
    assert len(world.sim.secrets.versions("due-key")) == 2


def test_an_event_of_what_is_not_ours_is_passed_over(world: AzureApp) -> None:
    """A secret without our tag, or whose name can't be a key's, is left alone; nothing fails."""
    world.secret("their-key", days=400, tags={})
    world.secret("0-odd", days=400)
    for name in ("their-key", "0-odd"):
        assert world.expiring(name).ok
        assert len(world.sim.secrets.versions(name)) == 1


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"eventType": "Microsoft.KeyVault.SecretExpired"}, "has the type"),
        ({"data": {"VaultName": "another", "ObjectName": "due-key"}}, "another vault"),
        ({"data": {"VaultName": "localhost"}}, "does not name a vault and a secret"),
        (
            {"data": {"VaultName": 1, "ObjectName": ["due-key"]}},
            "does not name a vault and a secret",
        ),
    ],
)
def test_an_event_that_should_not_come_fails(
    world: AzureApp, changes: dict[str, object], what: str
) -> None:
    """The subscription is wrong, and whoever made it is told; nothing changes."""
    world.secret("due-key", days=91)
    result = world.expiring("due-key", **changes)
    assert not result.ok
    assert what in (result.error or "")
    assert len(world.sim.secrets.versions("due-key")) == 1


def test_an_event_whose_rotation_fails_fails(world: AzureApp) -> None:
    """So that Event Grid delivers it again."""
    world.secret("due-key", days=91)
    world.sim.faults.deny("SetSecret")
    result = world.expiring("due-key")
    assert not result.ok
    assert "due-key" in (result.error or "")
    world.sim.faults.clear()
    assert runs(world.expiring("due-key"))[0]["rotated"] == ["due-key"]


def test_a_call_that_gets_no_answer_is_503(world: AzureApp) -> None:
    """Worth retrying, and the key is not lost."""
    world.secret("app-key")
    world.sim.faults.fail_before(1, when=only("keyvault", "SetSecret"))
    answer = world.ask("POST", "keys/app-key/rotate")
    assert answer.status == 503
    assert json.loads(answer.body)["type"] == "urn:daena-kms:store-unavailable"
