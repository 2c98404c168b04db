"""Runs and operations on a Secret Manager key one of whose versions waits for its destruction."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from daena_kms.engine.documents import key_document

from tests.worlds.base import DAY
from tests.worlds.gcp import GcpWorld
from tests.worlds.kinds import open_world

KEY = "app-token"
HOUR = timedelta(hours=1)
TAGS = {"daena.grace": "1d", "daena.rotate-after": "31d", "daena.destroy-after": "10d"}


@pytest.fixture
def gcp(tmp_path: Path) -> Iterator[GcpWorld]:
    """A token that was rotated once, in a secret whose destructions take sixty days."""
    with open_world("gcp", tmp_path) as opened:
        assert isinstance(opened, GcpWorld)
        opened.operations().create(KEY, spec="token", tags=TAGS)
        opened.change(KEY, version_destroy_ttl=60 * DAY)
        assert opened.run(31 * DAY + HOUR).rotated == [KEY]
        opened.sim.calls.clear()
        yield opened


def condemn(gcp: GcpWorld, version: int) -> None:
    """Ask for a version's destruction."""
    gcp.client.destroy_secret_version(request={"name": f"{gcp.name(KEY)}/versions/{version}"})


def is_condemned(gcp: GcpWorld, version: int) -> bool:
    """Whether that stands."""
    held = gcp.sim.secrets[KEY].versions[version]
    return held.state.name == "DISABLED" and held.scheduled_destroy_time is not None


def test_a_run_retires_and_rotates_with_five_calls(gcp: GcpWorld) -> None:
    """A look right before the version is disabled; its note goes with the rotation's claim."""
    summary = gcp.run(62 * DAY + 2 * HOUR)
    assert (summary.retired, summary.rotated) == ([KEY], [KEY])
    assert gcp.store_calls() == [
        *("ListSecrets", "GetSecret", "DisableSecretVersion"),
        *("UpdateSecret", "AddSecretVersion", "UpdateSecret"),
    ]
    gcp.sim.calls.clear()
    assert gcp.run(64 * DAY).retired == [KEY]
    alone = ["ListSecrets", "GetSecret", "DisableSecretVersion", "UpdateSecret"]
    assert gcp.store_calls() == alone
    assert gcp.run(65 * DAY).retired == []
    assert gcp.verify().problems == []


def test_runs_leave_a_destruction_alone(gcp: GcpWorld) -> None:
    """Its grace ends, its time to be destroyed comes, and nothing that a run does cancels it."""
    condemn(gcp, 1)
    assert gcp.run(33 * DAY).retired == [KEY]
    assert is_condemned(gcp, 1)
    assert gcp.run(34 * DAY).to_dict()["retired"] == []
    assert gcp.run(62 * DAY + 2 * HOUR).rotated == [KEY]
    gcp.run(64 * DAY)
    gcp.run(80 * DAY)
    assert is_condemned(gcp, 1)
    gcp.run(100 * DAY)
    assert gcp.sim.secrets[KEY].versions[1].state.name == "DESTROYED"
    assert gcp.verify().problems == []


@pytest.mark.parametrize("version", [1, 2], ids=["previous", "current"])
def test_an_emergency_leaves_a_destruction_alone(gcp: GcpWorld, version: int) -> None:
    """Nobody can read the version any more, so nothing is left to do, then or later."""
    condemn(gcp, version)
    summary = gcp.run(32 * DAY, keys=[KEY], compromised=True, reason="leaked")
    assert (summary.rotated, summary.failed, summary.unrevoked) == ([KEY], [], {})
    gcp.run(34 * DAY)
    assert is_condemned(gcp, version)
    assert gcp.adapter.get_key(KEY)
    assert gcp.verify().problems == []


def test_a_version_that_is_saved_from_destruction_is_revoked(gcp: GcpWorld) -> None:
    """It is marked and was never revoked: when a person enables it, the next run retires it."""
    condemn(gcp, 2)
    gcp.run(33 * DAY, keys=[KEY], compromised=True, reason="leaked")
    gcp.enable(KEY, "2")
    assert gcp.run(34 * DAY).revoked == [KEY]
    assert gcp.sim.secrets[KEY].versions[2].state.name == "DISABLED"


def test_restore_says_what_stays_away(gcp: GcpWorld) -> None:
    """In its answer, in the log, and in what show tells of the version."""
    gcp.operations(HOUR).delete(KEY)
    condemn(gcp, 1)
    left = gcp.operations(2 * HOUR).restore(KEY)
    assert left is not None
    assert "its version 1 stays disabled" in left
    assert is_condemned(gcp, 1)
    results = [row for record in gcp.records() for row in record.get("results", ())]
    (row,) = (row for row in results if row["kind"] == "restore")
    assert row["message"] == left
    key = gcp.adapter.store.describe(KEY, exact=True)
    first = key_document(key, gcp.adapter)["versions"][0]
    assert (first["id"], first["state"]) == ("1", "destroyed")
    assert first["to_be_destroyed"].startswith("20")
