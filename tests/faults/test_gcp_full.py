"""A key on Google Cloud whose versions never are destroyed: a hundred of them, and then no more."""

import secrets
from datetime import timedelta

from daena_kms.engine import run
from daena_kms.rules.plan import Kind
from daena_kms.stores.gcp.state import MAX_VERSIONS, RESERVE
from daena_kms.stores.rotation import rotate

from tests.worlds.base import DAY
from tests.worlds.gcp import GcpWorld

KEY = "app-token"
HOUR = timedelta(hours=1)


def fill(gcp: GcpWorld, count: int) -> timedelta:
    """Rotate once a day up to so many versions, without the log; return how many days that is."""
    store, made = gcp.adapter.store, len(gcp.sim.secrets[KEY].versions)
    for day in range(made, count):
        key = store.describe(KEY)
        rotate(store, key, secrets.token_hex(21) + "A=", lambda day=day: gcp.at(day * DAY))  # type: ignore[misc] # mypy infers no default
    return (count - 1) * DAY


def plan(gcp: GcpWorld, after: timedelta) -> str:
    """Return what the plan says about the key."""
    (action,) = run(gcp.adapter, None, gcp.at(after), dry_run=True).actions
    return action.reason


def test_a_plan_warns_before_a_key_is_full_and_an_emergency_has_room(gcp: GcpWorld) -> None:
    """From 85 versions, with the rate; at 100 it is reported, and ten more are for emergencies."""
    gcp.operations().create(KEY, spec="aes-256", tags={"daena.rotate-after": "1d"})
    now = fill(gcp, MAX_VERSIONS - 16)
    assert "sure to keep" not in plan(gcp, now + HOUR)
    now = fill(gcp, MAX_VERSIONS - 15)
    warned = plan(gcp, now + HOUR)
    assert "it has 85 versions, and the store is sure to keep 100" in warned
    assert "about 30 are added in 30 days, so there is room for about 15 d" in warned
    now = fill(gcp, MAX_VERSIONS) + DAY
    summary = gcp.run(now)
    assert summary.failed == [KEY]
    assert "no room" in str(summary.errors[KEY])
    assert [action.kind for action in summary.actions] == [Kind.FAILING]
    for _ in range(RESERVE):
        now += HOUR
        leaked = gcp.current(KEY)
        summary = gcp.run(now, keys=[KEY], compromised=True, reason="seen in a log")
        assert (summary.errors, summary.revoked_versions) == ({}, {KEY: [leaked]})
    assert gcp.run(now + DAY).failed == [KEY]
    # Once they are destroyed there is room again.
    gcp.tag(KEY, grace="1d", destroy_after="1d")
    for days in range(2, 12):
        summary = gcp.run(now + days * DAY)
    assert summary.failed == []
    assert len([v for v in gcp.look(KEY).versions if not v.over]) < MAX_VERSIONS - 15
