"""Twenty at once on one key: one new current version, and nobody fails."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from daena_kms.audit import open_log
from daena_kms.audit.verify import verify
from daena_kms.cloud_kms import AWSKMSAdapter, LocalAdapter
from daena_kms.engine import run
from daena_kms.errors import RotationConflict
from daena_kms.operations import Operations
from daena_kms.rules.model import VersionState

from infra.local.aws.sim import REGION, AwsSimulator, clients
from tests.faults import racer
from tests.worlds.aws import AwsWorld
from tests.worlds.azure import AzureWorld
from tests.worlds.base import DAY, FaultWorld
from tests.worlds.kinds import KINDS, open_world

KEY = "app-key"
MANY = 20
LATER = 91 * DAY


@pytest.fixture(params=KINDS)
def calm(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FaultWorld]:
    """Give a world whose AWS clients repeat calls, as ours do, and whose vault stops no race."""
    options = {"retries": 5} if request.param == "aws" else {}
    with open_world(request.param, tmp_path, **options) as opened:
        if isinstance(opened, AzureWorld):
            opened.sim.configure(parallel_writes=True)
        yield opened


def at_once[T](calls: list[Callable[[], T]]) -> list[T | BaseException]:
    """Make all calls at the same moment, each in a thread; return answers and errors."""
    barrier = threading.Barrier(len(calls))
    found: list[T | BaseException] = []

    def one(call: Callable[[], T]) -> None:
        barrier.wait(30)
        try:
            found.append(call())
        except BaseException as error:  # noqa: BLE001 - the test looks at each
            found.append(error)

    threads = [threading.Thread(target=one, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def was_current(world: FaultWorld) -> list[str]:
    """Return the versions of the key that are or were current."""
    never = {VersionState.PENDING, VersionState.ABANDONED}
    return [v.id for v in world.look(KEY).versions if v.state not in never]


def check_calm_after(world: FaultWorld, first: str) -> None:
    """Assert that the race is over: no run finds anything to do, and the old value reads."""
    assert world.adapter.get_key(KEY, "previous") == first
    assert world.run(LATER + timedelta(minutes=1)).actions == []
    before = world.state()
    assert world.run(LATER + timedelta(hours=2)).actions == []
    assert world.state() == before
    report = world.verify()
    assert report.problems == []
    assert {finding.status for finding in report.findings} == {"confirmed"}


def test_many_runs_in_threads_rotate_once(calm: FaultWorld) -> None:
    """Of twenty runs at once one rotates the due key; the others skip it, and none fails."""
    calm.operations().create(KEY)
    first = calm.adapter.get_key(KEY)
    summaries = at_once([lambda: calm.run(LATER) for _ in range(MANY)])
    outcomes = Counter[str]()
    for summary in summaries:
        assert not isinstance(summary, BaseException), summary
        assert summary.failed == []
        outcomes["rotated"] += len(summary.rotated) + len(summary.finished)
    assert outcomes["rotated"] == 1
    assert len(was_current(calm)) == 2
    check_calm_after(calm, first)


def test_many_named_runs_rotate_once_for_each_that_says_so(calm: FaultWorld) -> None:
    """Runs that name the key make as many versions as say that they rotated it."""
    calm.operations().create(KEY)
    summaries = at_once([lambda: calm.run(keys=[KEY]) for _ in range(MANY)])
    rotated = 0
    for summary in summaries:
        assert not isinstance(summary, BaseException), summary
        assert summary.failed == []
        assert len(summary.rotated + summary.finished + summary.skipped) == 1
        rotated += len(summary.rotated + summary.finished)
    assert rotated >= 1
    assert len(was_current(calm)) == 1 + rotated


def test_many_runs_retire_and_destroy_without_a_failure(calm: FaultWorld) -> None:
    """Twenty runs at once that retire and destroy the same versions do it once; none fails."""
    tags = {"daena.grace": "1d", "daena.rotate-after": "30d"}
    destroys = calm.adapter.store.can.destroy_means is not None
    if destroys:
        tags["daena.destroy-after"] = "5d"
    calm.operations().create(KEY, spec="token", tags=tags)
    for hours in (30 * 24 + 1, 60 * 24 + 2):
        assert calm.run(timedelta(hours=hours)).rotated == [KEY]
    for days, left in ((62, 3), (68, 2 if destroys else 3)):
        for summary in at_once([lambda at=days: calm.run(at * DAY) for _ in range(MANY)]):  # type: ignore[misc] # mypy infers no default
            assert not isinstance(summary, BaseException), summary
            assert summary.failed == [], summary.errors
        versions = calm.look(KEY).versions
        states = sorted(v.state for v in versions if v.state is not VersionState.DESTROYED)
        assert states == [VersionState.CURRENT] + [VersionState.RETIRED] * (left - 1)
    assert calm.run(68 * DAY + timedelta(hours=2)).actions == []


def test_many_calls_of_the_adapter(calm: FaultWorld) -> None:
    """Each success of rotate_key is one new version; each loser gets RotationConflict."""
    calm.adapter.create_key(KEY)
    adapter = calm.adapter
    answers = at_once([lambda: adapter.rotate_key(KEY) for _ in range(MANY)])
    values = [answer for answer in answers if isinstance(answer, str)]
    errors = [answer for answer in answers if isinstance(answer, BaseException)]
    assert {type(error) for error in errors} <= {RotationConflict}, errors
    assert len(values) >= 1
    assert len(set(values)) == len(values)
    assert len(was_current(calm)) == 1 + len(values)
    assert calm.adapter.get_key(KEY) in values


def test_many_separate_clients_of_one_store() -> None:
    """Twenty adapters with clients and clocks of their own rotate a due secret once."""
    with AwsSimulator() as sim:
        world = AwsWorld(sim, retries=5)
        world.operations().create(KEY)
        first = world.adapter.get_key(KEY)

        def one() -> object:
            secrets_client, kms_client = clients(sim.url, retries=5)
            adapter = AWSKMSAdapter(
                REGION, world.kms_key, secrets_client=secrets_client, kms_client=kms_client
            )
            return run(adapter, world.log, now=world.began + LATER)

        for summary in at_once([one for _ in range(MANY)]):
            assert not isinstance(summary, BaseException), summary
        assert len(was_current(world)) == 2
        check_calm_after(world, first)


def test_many_creations_make_one_key(calm: FaultWorld) -> None:
    """Of twenty creations of one key one succeeds, and the value that it returned is the key's."""
    adapter = calm.adapter
    answers = at_once([lambda: adapter.create_key(KEY) for _ in range(MANY)])
    values = [answer for answer in answers if isinstance(answer, str)]
    assert values == [adapter.get_key(KEY)]
    assert {type(a).__name__ for a in answers if not isinstance(a, str)} == {"KeyExists"}


@pytest.mark.parametrize("one", [racer.outcome_of_a_run, racer.outcome_of_a_call])
def test_many_processes(tmp_path: Path, one: racer.Race) -> None:
    """Of twenty processes at once on the local store one rotates from each base; none fails."""
    adapter = LocalAdapter(tmp_path / "store")
    log = open_log((tmp_path / "audit").as_uri())
    Operations(adapter, log).create(KEY)
    now = datetime.now(UTC) + LATER
    outcomes = Counter(racer.race(one, tmp_path, KEY, now, MANY))
    versions = adapter.store.describe(KEY).versions
    assert len(versions) == 1 + outcomes[racer.ROTATED]
    if one is racer.outcome_of_a_run:
        assert outcomes[racer.ROTATED] == 1
        assert set(outcomes) <= {racer.ROTATED, racer.SKIPPED, racer.IDLE}
        assert run(adapter, log, now=now + timedelta(hours=2)).actions == []
        assert verify(log, adapter.store.scan()).ok
    else:
        assert outcomes[racer.ROTATED] >= 1
        assert set(outcomes) <= {racer.ROTATED, racer.CONFLICT}
