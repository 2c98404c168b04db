"""Who may do what over HTTP, how often, and the switch that stops it all."""

import json
import re
from datetime import UTC, datetime, timedelta

import pytest
from daena_kms.api.access import Access, Permission
from daena_kms.errors import ConfigError, Paused
from daena_kms.operations import Operations
from daena_kms.settings import Settings
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.api.asking import ARN, ask, check_problem
from tests.unit.engine.engines import World

JANE, ONCALL, AUDITOR = ARN, "arn:aws:sts::123456789012:assumed-role/oncall/x", "audit@example.com"
RULES = [
    {"who": JANE, "may": ["read", "rotate"], "keys": "pay-*"},
    {"who": "arn:aws:sts::*:assumed-role/oncall/*", "may": "*"},
    {"who": [AUDITOR], "may": ["audit", "read"]},
]
CHANGES = ("rotate", "rollback", "hold", "release")


@pytest.fixture
def ruled(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """Two keys, and a policy."""
    world.create("pay-key", "app-key")
    monkeypatch.setenv("DAENA_KMS_ACCESS", json.dumps(RULES))
    return world


@pytest.mark.parametrize(
    ("method", "address", "jane", "auditor"),
    [
        ("POST", "/v1/keys/pay-key/rotate", 200, 403),
        ("POST", "/v1/keys/app-key/rotate", 403, 403),
        ("POST", "/v1/keys/pay-key/rollback", 403, 403),
        ("POST", "/v1/keys/pay-key/hold", 403, 403),
        ("POST", "/v1/keys/pay-key/release", 403, 403),
        ("POST", "/v1/runs", 403, 403),
        ("GET", "/v1/keys", 200, 200),
        ("GET", "/v1/keys/pay-key", 200, 200),
        ("GET", "/v1/keys/app-key", 403, 200),
        ("GET", "/v1/plan", 200, 200),
        ("GET", "/v1/audit", 403, 200),
        ("GET", "/v1/audit/verify", 403, 200),
        ("GET", "/v1/health", 200, 200),
    ],
)
def test_what_no_rule_allows_is_denied(
    ruled: World, method: str, address: str, jane: int, auditor: int
) -> None:
    """By caller, permission and key; on call may do everything."""
    for who, status in ((JANE, jane), (AUDITOR, auditor), ("somebody else", 403)):
        expected = 200 if address == "/v1/health" else status
        puts = ruled.log.puts
        answer = ask(ruled, method, address, principal=who)
        if expected == 200:
            assert answer.status == 200
        else:
            check_problem(answer, 403, "forbidden")
            assert ruled.log.puts == puts
    assert ask(ruled, method, address, principal=ONCALL).status in {200, 404}


def test_lists_hold_what_the_caller_may_read(ruled: World) -> None:
    """Other keys do not show, in no list."""
    ask(ruled, "POST", "/v1/runs", principal=ONCALL)
    keys = ask(ruled, "GET", "/v1/keys", principal=JANE).document["keys"]
    actions = ask(ruled, "GET", "/v1/plan", principal=JANE).document["actions"]
    assert [entry["key"] for entry in keys] == ["pay-key"]
    assert [action["key"] for action in actions] == ["pay-key"]


def test_an_auditor_of_some_keys(ruled: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sees their entries, and may not verify the whole."""
    rules = [{"who": "a*", "may": ["audit"], "keys": ["pay-*", "other"]}]
    monkeypatch.setenv("DAENA_KMS_ACCESS", json.dumps(rules))
    entries = ask(ruled, "GET", "/v1/audit").document["entries"]
    assert {entry["key"] for entry in entries} == {"pay-key"}
    check_problem(ask(ruled, "GET", "/v1/audit/verify"), 403, "forbidden")


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "{}",
        "null",
        "[1]",
        "[{}]",
        '[{"who": "x"}]',
        '[{"who": "x", "may": []}]',
        '[{"who": "", "may": ["read"]}]',
        '[{"who": "x", "may": ["write"]}]',
        '[{"who": "x", "may": [7]}]',
        '[{"who": "x", "may": ["read"], "keys": []}]',
        '[{"who": "x", "may": ["read"], "key": "y"}]',
        "[" * 100_000,
        '[{"who": "x", "may": ["read"], "who": "*"}]',
        '[{"who": "x", "may": ["read"], "may": ["read"]}]',
        json.dumps([{"who": "*" * 6, "may": "read"}]),
        json.dumps([{"who": "*a" * 2_000, "may": "read"}]),
        json.dumps([{"who": "x", "may": "read", "keys": ["a", "x" * 1_001]}]),
    ],
    ids=range(18),
)
def test_a_policy_that_can_t_be_read_lets_nobody_in(
    world: World, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    """Fail closed; health says that the configuration is wrong."""
    world.create("app-key")
    monkeypatch.setenv("DAENA_KMS_ACCESS", text)
    for method, address in (("POST", "/v1/keys/app-key/rotate"), ("GET", "/v1/plan")):
        problem = check_problem(ask(world, method, address), 500, "config-error")
        assert "DAENA_KMS_ACCESS" in problem["detail"]
    health = ask(world, "GET", "/v1/health")
    assert (health.status, health.document["checks"]["configuration"]) == (503, "config-error")
    assert world.store.changes == []


def test_an_empty_policy_allows_nothing() -> None:
    """A list without rules is a policy, an empty variable is one, too, and no setting is none."""
    assert not Access.load(Settings({"DAENA_KMS_ACCESS": "[]"})).allows("x", Permission.READ, "key")
    assert not Access.load(Settings({"DAENA_KMS_ACCESS": ""})).allows("x", Permission.RUN)
    assert not Access.load(Settings({"DAENA_KMS_ACCESS": ""})).allows_any("x", Permission.READ)
    assert Access.load(Settings({})).allows("x", Permission.RUN)


def test_patterns_match_whole_texts() -> None:
    """A star is any text; everything else is itself."""
    rules = [{"who": "a.b*c", "may": ["read"], "keys": ["x-*", "y"]}]
    access = Access.load(Settings({"DAENA_KMS_ACCESS": json.dumps(rules)}))
    for who, key_id, expected in (
        ("a.bc", "x-1", True),
        ("a.b--\n--c", "y", True),
        ("axbc", "y", False),
        ("a.bcd", "y", False),
        ("a.bc", "x", False),
        ("a.bc", "yy", False),
        ("a.bc", None, False),
    ):
        assert access.allows(who, Permission.READ, key_id) is expected


def test_a_young_version_is_not_replaced(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stolen trigger can't rotate without end; the answer says when to come back."""
    world.create("app-key")
    monkeypatch.setenv("DAENA_KMS_MIN_INTERVAL", "10m")
    puts = world.log.puts
    answer = ask(world, "POST", "/v1/keys/app-key/rotate")
    check_problem(answer, 429, "too-soon")
    assert 590 <= int(answer.headers["retry-after"]) <= 600
    assert (world.store.changes, world.log.puts) == ([], puts)


def test_a_rotation_can_be_undone_at_once_but_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bad rotation is rolled back right after it, and a stolen trigger can't go to and fro."""
    store, then = world.store, datetime.now(UTC) - timedelta(hours=1)
    Operations(world.adapter, world.log, now=then).create("app-key")
    monkeypatch.setenv("DAENA_KMS_MIN_INTERVAL", "10m")
    assert ask(world, "POST", "/v1/keys/app-key/rotate").status == 200
    check_problem(ask(world, "POST", "/v1/keys/app-key/rotate"), 429, "too-soon")
    assert ask(world, "POST", "/v1/keys/app-key/rollback").status == 200
    check_problem(ask(world, "POST", "/v1/keys/app-key/rollback"), 429, "too-soon")
    assert len(store.describe("app-key").versions) == 3


@pytest.mark.parametrize("text", ["10", "10s", "m", "-1m", "never", "1000000h"])
def test_an_interval_that_is_none(world: World, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """The setting is named, and nothing changes."""
    world.create("app-key")
    monkeypatch.setenv("DAENA_KMS_MIN_INTERVAL", text)
    problem = check_problem(ask(world, "POST", "/v1/keys/app-key/rotate"), 500, "config-error")
    assert "DAENA_KMS_MIN_INTERVAL" in problem["detail"]


def test_the_switch_stops_every_change(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over HTTP, in a scheduled run and in an operation; looking goes on, and health says so."""
    world.create("app-key")
    monkeypatch.setenv("DAENA_KMS_PAUSED", "true")
    puts = world.log.puts

    for address in (*(f"/v1/keys/app-key/{what}" for what in ("rotate", "hold")), "/v1/runs"):
        check_problem(ask(world, "POST", address), 503, "paused")
    with pytest.raises(Paused, match="DAENA_KMS_PAUSED"):
        world.run()
    with pytest.raises(Paused):
        Operations(world.adapter, world.log).create("new-key")

    assert (world.store.changes, world.log.puts) == ([], puts)
    assert ask(world, "POST", "/v1/runs", {"dry_run": True}).status == 200
    assert ask(world, "GET", "/v1/plan").status == 200
    health = ask(world, "GET", "/v1/health").document
    assert (health["ok"], health["checks"]["configuration"]) == (True, "paused")


def test_a_switch_that_is_neither_on_nor_off(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stops changes as well: whoever set it meant something."""
    monkeypatch.setenv("DAENA_KMS_PAUSED", "yes")
    with pytest.raises(ConfigError, match="DAENA_KMS_PAUSED"):
        world.run()
    assert ask(world, "GET", "/v1/health").status == 503


@given(
    st.lists(st.text("ab.\n", max_size=3), min_size=1, max_size=6).map("*".join),
    st.text("ab.\n", max_size=12),
)
def test_a_star_stands_for_any_text(pattern: str, text: str) -> None:
    """And nothing else stands for anything: as an expression for each part says."""
    rules = json.dumps([{"who": pattern or "-", "may": "read"}])
    access = Access.load(Settings({"DAENA_KMS_ACCESS": rules}))
    expression = ".*".join(map(re.escape, (pattern or "-").split("*")))
    expected = re.fullmatch(expression, text, re.DOTALL) is not None
    assert access.allows(text, Permission.READ, "some-key") == expected


def test_the_longest_pattern_is_matched_at_once() -> None:
    """No name makes it try one place after another for each star."""
    who = "*" + "a" * 198 + "*" + "a" * 198 + "*" + "a" * 198 + "*b"
    access = Access.load(Settings({"DAENA_KMS_ACCESS": json.dumps([{"who": who, "may": "*"}])}))
    assert not access.allows("a" * 1_000_000, Permission.READ)
    assert access.allows("a" * 1_000_000 + "b", Permission.READ, "some-key")
