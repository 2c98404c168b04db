"""The Function App as Microsoft's worker indexes it, and its timer."""

import json
from collections.abc import Iterator
from datetime import timedelta

import pytest

from infra.local.azure.worker import FunctionApp
from infra.local.faults import only
from tests.functions.azure_world import FOLDER, AzureApp, azure_app, runs

HOST = json.loads((FOLDER / "host.json").read_text())


@pytest.fixture
def world() -> Iterator[AzureApp]:
    """Give the app with an empty vault."""
    with azure_app() as opened:
        yield opened


def test_the_worker_finds_every_function(world: AzureApp) -> None:
    """Each with its binding, its route, its methods and who may call it."""
    found = {name: f.trigger for name, f in world.app.functions.items()}
    assert {name: trigger.type for name, trigger in found.items()} == {
        "scheduled": "timerTrigger",
        "expiring": "eventGridTrigger",
        "http": "httpTrigger",
        "health": "httpTrigger",
    }
    timer = found["scheduled"].settings
    assert timer["schedule"] == "%DAENA_KMS_SCHEDULE%"
    assert timer["runOnStartup"] is False
    assert timer["useMonitor"] is True
    http, health = found["http"].settings, found["health"].settings
    assert (http["route"], http["authLevel"]) == ("v1/{*path}", "FUNCTION")
    assert {"GET", "POST", "DELETE"} < set(http["methods"])
    assert (health["route"], health["authLevel"]) == ("v1/health", "ANONYMOUS")
    assert health["methods"] == ["GET"]


def test_only_the_timer_is_tried_again(world: AzureApp) -> None:
    """Twice, a minute apart; a caller and Event Grid repeat by themselves."""
    retries = {name: f.retry for name, f in world.app.functions.items() if f.retry}
    assert list(retries) == ["scheduled"]
    assert retries["scheduled"]["retry_strategy"] == "fixed_delay"
    assert int(retries["scheduled"]["max_retry_count"]) == 2
    assert retries["scheduled"]["delay_interval"] == timedelta(minutes=1)


def test_the_host_s_settings() -> None:
    """Routes are as they are written, and a run ends before the host ends the function."""
    minutes = int(HOST["functionTimeout"].split(":")[1])
    assert HOST["version"] == "2.0"
    assert HOST["extensions"]["http"]["routePrefix"] == ""
    with FunctionApp(FOLDER) as app:
        assert minutes * 60 >= app.module.RUN + 60
        assert app.module.ANSWER < 200  # the front end waits for 230


def test_the_timer_rotates_what_is_due(world: AzureApp) -> None:
    """And leaves the rest; a second time finds nothing to do."""
    old = world.secret("due-key", days=91)
    fresh = world.secret("fresh-key")
    world.secret("their-key", days=400, tags={})
    first = world.fire()
    assert first.ok, first.error
    (summary,) = runs(first)
    assert summary["rotated"] == ["due-key"]
    assert summary["counts"]["keys"] == 2
    assert world.sim.secrets.version("due-key").value != old
    assert world.sim.secrets.version("fresh-key").value == fresh
    assert len(world.sim.secrets.versions("their-key")) == 1
    (again,) = runs(world.fire())
    assert again["rotated"] == []
    rows = world.history()
    assert [(r["key"], r["result"], r["trigger"]) for r in rows] == [
        ("due-key", "done", "schedule")
    ]
    assert rows[0]["principal"] == "function app without a name"


def test_a_timer_that_is_late_says_so(world: AzureApp) -> None:
    """IsPastDue is in the log, and the run is done all the same."""
    world.secret("due-key", days=91)
    late = world.fire(past_due=True)
    assert any("past due" in r.getMessage() and r.levelname == "WARNING" for r in late.records)
    assert runs(late)[0]["rotated"] == ["due-key"]
    assert not any("past due" in r.getMessage() for r in world.fire().records)


def test_a_failed_key_fails_the_invocation_after_the_others_were_done(world: AzureApp) -> None:
    """The host sees the failure, with the key's name; the other key has its new version."""
    world.secret("bad-key", days=91, tags={"daena.managed": "true", "daena.spec": "nonsense"})
    world.secret("good-key", days=91)
    result = world.fire()
    assert not result.ok
    assert result.error is not None
    assert "1 of 2 keys failed: bad-key" in result.error
    assert len(world.sim.secrets.versions("good-key")) == 2
    assert runs(result)[0]["failed"] == ["bad-key"]


def test_without_a_log_nothing_changes(world: AzureApp) -> None:
    """A container that can't be written to stops the run before the vault is changed."""
    world.secret("due-key", days=91)
    world.sim.faults.deny("PutBlob")
    result = world.fire()
    assert not result.ok
    assert "the audit log" in (result.error or "")
    assert len(world.sim.secrets.versions("due-key")) == 1


def test_a_lost_answer_is_resolved(world: AzureApp) -> None:
    """The set took effect, its answer was lost: one new version, and the run knows it."""
    world.secret("due-key", days=91)
    world.sim.faults.fail_after(1, when=only("keyvault", "SetSecret"))
    assert runs(world.fire())[0]["rotated"] == ["due-key"]
    assert len(world.sim.secrets.versions("due-key")) == 2


def test_the_site_s_name_is_who_did_it() -> None:
    """The platform says who the app is."""
    with azure_app(WEBSITE_SITE_NAME="rotator-prod") as world:
        world.secret("due-key", days=91)
        assert world.fire().ok
        assert world.history()[0]["principal"] == "function app rotator-prod"


def test_a_user_assigned_identity_is_the_one_that_is_used() -> None:
    """AZURE_CLIENT_ID chooses it; the system's own identity is asked for nothing."""
    with azure_app(AZURE_CLIENT_ID="11111111-2222-3333-4444-555555555555") as world:
        world.sim.identity.identities = {"11111111-2222-3333-4444-555555555555": "rotator"}
        world.secret("due-key", days=91)
        assert world.fire().ok
        asked = [c.params for c in world.sim.calls if c.service == "identity"]
        assert {p.get("client_id") for p in asked} == {"11111111-2222-3333-4444-555555555555"}
        assert len(asked) == 2  # one token for the vault, one for the account


def test_a_verified_caller_is_in_the_log() -> None:
    """With App Service authentication the platform guards that header."""
    with azure_app(WEBSITE_AUTH_ENABLED="True") as world:
        world.secret("app-key")
        headers = {"X-MS-CLIENT-PRINCIPAL-ID": "0c4f"}
        assert world.ask("POST", "keys/app-key/rotate", headers=headers).status == 200
        assert world.history()[0]["principal"] == "entra 0c4f"


def test_no_value_is_in_a_record(world: AzureApp) -> None:
    """Nothing that the app or an SDK logged in a run holds an old or a new value."""
    values = [world.secret("due-key", days=91)]
    result = world.fire()
    values += [str(v.value) for v in world.sim.secrets.versions("due-key")]
    assert len(set(values)) == 2
    assert not any(value in result.log for value in values)


@pytest.mark.parametrize(
    ("name", "value", "what"),
    [
        ("AZURE_KEY_VAULT_URL", "", "no Key Vault is set"),
        ("AZURE_KEY_VAULT_URL", "http://vault", "is not https://"),
        ("DAENA_KMS_AUDIT_URL", "", "no audit log is set"),
        ("DAENA_KMS_GRACE", "1w", "DAENA_KMS_GRACE"),
    ],
)
def test_a_broken_setting_is_named(name: str, value: str, what: str) -> None:
    """The app loads, and each run fails with the setting and its form."""
    with azure_app(**{name: value}) as world:
        result = world.fire()
        assert not result.ok
        assert what in (result.error or "")
