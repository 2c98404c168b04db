"""Many at once on one key of Secret Manager: the secret's etag decides."""

from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest
from daena_kms.audit import open_log
from daena_kms.audit.verify import verify
from daena_kms.engine import run
from daena_kms.operations import Operations
from daena_kms.stores.gcp.state import read_records

from tests.faults import racer
from tests.faults.test_races import KEY, LATER, MANY, at_once, check_calm_after, was_current
from tests.worlds.base import CLAIMED
from tests.worlds.gcp import GcpWorld

PROCESSES = 6
#: Of each call, so that all overlap.
LATENCY = 0.02


@pytest.fixture(params=[False, True], ids=["etag stays", "adding changes the etag"])
def gcp(request: pytest.FixtureRequest, gcp: GcpWorld) -> GcpWorld:
    """Give a Secret Manager where an added version changes the secret's etag, or does not."""
    gcp.sim.secrets.add_changes_etag = request.param
    return gcp


def test_many_clients_rotate_once(gcp: GcpWorld) -> None:
    """Of twenty runs with clients of their own one rotates the due key, and none fails."""
    gcp.operations().create(KEY)
    first = gcp.adapter.get_key(KEY)
    adapters = [gcp.again() for _ in range(MANY)]
    now = gcp.at(LATER)
    gcp.sim.set_latency(LATENCY)
    summaries = at_once([lambda a=a: run(a, gcp.log, now=now) for a in adapters])  # type: ignore[misc] # mypy infers no default
    gcp.sim.set_latency(0)
    outcomes = Counter[str]()
    for summary in summaries:
        assert not isinstance(summary, BaseException), summary
        assert summary.failed == [], summary.errors
        outcomes["rotated"] += len(summary.rotated + summary.finished)
    assert outcomes["rotated"] == 1
    assert len(was_current(gcp)) == 2
    assert gcp.promotions() == 2
    # The losers lost their claim: none of them had added a version yet.
    assert sorted(gcp.sim.secrets[KEY].versions) == [1, 2]
    check_calm_after(gcp, first)


def test_many_creations_make_one_version(gcp: GcpWorld) -> None:
    """Of twenty creations one adds a version, and the value that it returned is the key's."""
    adapters = [gcp.again() for _ in range(MANY)]
    gcp.sim.set_latency(LATENCY)
    answers = at_once([lambda a=a: a.create_key(KEY) for a in adapters])  # type: ignore[misc] # mypy infers no default
    gcp.sim.set_latency(0)
    values = [answer for answer in answers if isinstance(answer, str)]
    assert values == [gcp.adapter.get_key(KEY)]
    assert {type(a).__name__ for a in answers if not isinstance(a, str)} == {"KeyExists"}
    assert list(gcp.sim.secrets[KEY].versions) == [1]


def test_many_take_over_a_dead_claim_once(gcp: GcpWorld) -> None:
    """Of twenty that find a dead claim and its orphan one takes over; the orphan is noted once."""
    gcp.operations().create(KEY)
    store = gcp.adapter.store
    store.stage(store.describe(KEY), "never promoted", gcp.at(LATER))
    now = gcp.at(LATER + CLAIMED)
    adapters = [gcp.again() for _ in range(MANY)]
    gcp.sim.set_latency(LATENCY)
    summaries = at_once([lambda a=a: run(a, gcp.log, now=now) for a in adapters])  # type: ignore[misc] # mypy infers no default
    gcp.sim.set_latency(0)
    for summary in summaries:
        assert not isinstance(summary, BaseException), summary
        assert summary.failed == [], summary.errors
    secret = gcp.sim.secrets[KEY]
    records = read_records(secret.annotations)
    assert sorted(secret.versions) == [1, 2, 3]
    assert [name for name, record in records.items() if record.orphan] == ["2"]
    assert secret.version_aliases == {"current": 3, "previous": 1}


def test_many_processes(tmp_path: Path, gcp: GcpWorld) -> None:
    """Of several processes at once one rotates the key, and none fails."""
    log = open_log((tmp_path / "audit").as_uri())
    Operations(gcp.adapter, log, now=gcp.at()).create(KEY)
    now = gcp.at(LATER)
    one = racer.GcpRun(gcp.sim.target)
    gcp.sim.set_latency(LATENCY)
    outcomes = Counter(racer.race(one, tmp_path, KEY, now, PROCESSES))
    gcp.sim.set_latency(0)
    assert outcomes[racer.ROTATED] == 1
    assert set(outcomes) <= {racer.ROTATED, racer.SKIPPED, racer.IDLE}
    assert sorted(gcp.sim.secrets[KEY].versions) == [1, 2]
    assert run(gcp.adapter, log, now=now + timedelta(hours=2)).actions == []
    assert verify(log, gcp.adapter.store.inventory()).ok
