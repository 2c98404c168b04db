"""Twenty at once on one key: one new current version, and nobody fails."""

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from daena_kms.audit import open_log
from daena_kms.audit.verify import verify
from daena_kms.cloud_kms import LocalAdapter
from daena_kms.engine import run
from daena_kms.errors import RotationConflict
from daena_kms.objects.base import CLAIMS
from daena_kms.objects.cloud import CloudObjects
from daena_kms.operations import Operations
from daena_kms.rules.model import VersionState
from daena_kms.stores.gcp.state import read_records

from tests.faults import racer
from tests.faults.at_once import at_once
from tests.faults.conftest import calm_down, client_options
from tests.worlds.aws import AwsWorld
from tests.worlds.azure import AzureWorld
from tests.worlds.base import CLAIMED, DAY, FaultWorld
from tests.worlds.gcp import GcpWorld
from tests.worlds.kinds import InCloud, open_cloud
from tests.worlds.servers import LocalBlobs

KEY = "app-key"
MANY = 20
PROCESSES = 8
LATER = 91 * DAY
#: Of each call, so that all overlap.
LATENCY = 0.02


IN_CLOUD = (
    *("aws", "azure", "azure, claims in azurite"),
    *("gcp, etag stays", "gcp, adding changes the etag"),
)


@pytest.fixture(params=IN_CLOUD)
def apart(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[InCloud]:
    """Give a cloud that each of many comes to with clients of their own.

    A vault lets two sets at once both make a version, with claims in either place; in Secret
    Manager an added version changes the secret's etag, or does not.
    """
    kind, _, how = request.param.partition(", ")
    with ExitStack() as stack:
        options: dict[str, object] = {**client_options(kind)}
        if how == "claims in azurite":
            blobs = request.getfixturevalue("local_blobs")
            container = _container(blobs, tmp_path)
            address = f"az://{blobs.account}/{container}"
            options["claims"] = lambda: CloudObjects(blobs.store(container), address, CLAIMS)
        world = stack.enter_context(open_cloud(kind, **options))
        calm_down(world)
        if isinstance(world, GcpWorld):
            world.sim.secrets.add_changes_etag = how == "adding changes the etag"
        yield world


def _container(blobs: LocalBlobs, tmp_path: Path) -> str:
    """Make a container that no other test uses."""
    name = "claims-" + "".join(c for c in tmp_path.name.lower() if c.isalnum())[-40:]
    blobs.create_container(name)
    return name


@contextmanager
def overlapping(world: InCloud) -> Iterator[None]:
    """Let each call take so long that all overlap."""
    world.sim.set_latency(LATENCY)
    yield
    world.sim.set_latency(0)


def was_current(world: FaultWorld) -> list[str]:
    """Return the versions of the key that are or were current."""
    return [v.id for v in world.look(KEY).versions if v.was_current]


def values_set(world: InCloud) -> int:
    """Return how many values of the key the cloud has taken."""
    match world:
        case AwsWorld():
            return world.sim.calls.counts()["PutSecretValue"] + 1
        case AzureWorld():
            assert len(world.sim.secrets.versions(KEY)) == world.sim.calls.counts()["SetSecret"]
            return len(world.sim.secrets.versions(KEY))
        case GcpWorld():
            return len(world.sim.secrets[KEY].versions)


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
        versions = (v for v in calm.look(KEY).versions if not v.unlabelled)
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


def test_many_creations_make_one_key(calm: FaultWorld) -> None:
    """Of twenty creations of one key one succeeds, and the value that it returned is the key's."""
    adapter = calm.adapter
    answers = at_once([lambda: adapter.create_key(KEY) for _ in range(MANY)])
    values = [answer for answer in answers if isinstance(answer, str)]
    assert values == [adapter.get_key(KEY)]
    assert {type(a).__name__ for a in answers if not isinstance(a, str)} == {"KeyExists"}


def test_many_clients_rotate_once(apart: InCloud) -> None:
    """Of twenty runs with clients of their own one rotates the due key, and none fails."""
    apart.operations().create(KEY)
    first, promotions = apart.adapter.get_key(KEY), apart.promotions()
    adapters = [apart.again() for _ in range(MANY)]
    now = apart.at(LATER)
    with overlapping(apart):
        summaries = at_once([lambda a=a: run(a, apart.log, now=now) for a in adapters])  # type: ignore[misc] # mypy infers no default
    outcomes = Counter[str]()
    for summary in summaries:
        assert not isinstance(summary, BaseException), summary
        assert summary.failed == [], summary.errors
        outcomes["rotated"] += len(summary.rotated + summary.finished)
    assert outcomes["rotated"] == 1
    assert len(was_current(apart)) == 2
    assert apart.promotions() - promotions == 1
    # The losers lost their claim: none of them had set a value yet. On AWS a put is no claim.
    assert isinstance(apart, AwsWorld) or values_set(apart) == 2
    check_calm_after(apart, first)


def test_many_creations_set_one_value(apart: InCloud) -> None:
    """Of twenty creations one sets a value, and the one that it returned is the key's."""
    adapters = [apart.again() for _ in range(MANY)]
    with overlapping(apart):
        answers = at_once([lambda a=a: a.create_key(KEY) for a in adapters])  # type: ignore[misc] # mypy infers no default
    values = [answer for answer in answers if isinstance(answer, str)]
    assert values == [apart.adapter.get_key(KEY)]
    assert {type(a).__name__ for a in answers if not isinstance(a, str)} == {"KeyExists"}
    assert values_set(apart) == 1
    assert apart.values() == values


# The container's own clock judges, and azurite's can't be moved.
@pytest.mark.parametrize("apart", [way for way in IN_CLOUD if "azurite" not in way], indirect=True)
def test_many_take_over_from_a_dead_run_once(apart: InCloud) -> None:
    """Of twenty that find what a dead run began, its claim's time over, one takes over."""
    apart.operations().create(KEY)
    store = apart.adapter.store
    store.stage(store.describe(KEY), "never promoted", apart.at(LATER))
    now = apart.at(LATER + CLAIMED)
    adapters = [apart.again() for _ in range(MANY)]
    with overlapping(apart):
        summaries = at_once([lambda a=a: run(a, apart.log, now=now) for a in adapters])  # type: ignore[misc] # mypy infers no default
    for summary in summaries:
        assert not isinstance(summary, BaseException), summary
        assert summary.failed == [], summary.errors
    assert len(was_current(apart)) == 2
    assert apart.adapter.get_key(KEY) != "never promoted"
    match apart:
        case AzureWorld():
            assert values_set(apart) == 2
        case GcpWorld():
            # The orphan is noted once.
            secret = apart.sim.secrets[KEY]
            records = read_records(secret.annotations)
            assert sorted(secret.versions) == [1, 2, 3]
            assert [name for name, record in records.items() if record.orphan] == ["2"]
            assert secret.version_aliases == {"current": 3, "previous": 1}


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


def _check_processes(folder: Path, world: InCloud, one: racer.Race) -> None:
    """Let several processes rotate one due key of a cloud."""
    log = open_log((folder / "audit").as_uri())
    Operations(world.adapter, log, now=world.at()).create(KEY)
    now = world.at(LATER)
    with overlapping(world):
        outcomes = Counter(racer.race(one, folder, KEY, now, PROCESSES))
    assert outcomes[racer.ROTATED] == 1
    assert set(outcomes) <= {racer.ROTATED, racer.SKIPPED, racer.IDLE}
    assert len(world.values()) == 2
    assert run(world.adapter, log, now=now + timedelta(hours=2)).actions == []
    assert verify(log, world.adapter.store.inventory()).ok


@pytest.mark.parametrize("changes", [False, True], ids=["etag stays", "adding changes the etag"])
def test_many_processes_on_google_cloud(tmp_path: Path, gcp: GcpWorld, *, changes: bool) -> None:
    """Of several processes at once one rotates the key, and none fails."""
    gcp.sim.secrets.add_changes_etag = changes
    _check_processes(tmp_path, gcp, racer.GcpRun(gcp.sim.target))
    assert sorted(gcp.sim.secrets[KEY].versions) == [1, 2]


def test_many_processes_on_azure(
    tmp_path: Path, azure: AzureWorld, local_blobs: LocalBlobs
) -> None:
    """Of several processes at once, with claims in azurite, one rotates the key; none fails."""
    calm_down(azure)
    container = _container(local_blobs, tmp_path)
    environment = {
        "AZURE_STORAGE_ENDPOINT": local_blobs.blob_url,
        "AZURE_STORAGE_ACCOUNT_KEY": local_blobs.key,
        "DAENA_KMS_CLAIMS_URL": f"az://{local_blobs.account}/{container}",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        one = racer.AzureRun(azure.sim.vault_url, azure.sim.ca_file, environment)
        _check_processes(tmp_path, azure, one)
        claims = [meta["path"] for batch in local_blobs.store(container).list() for meta in batch]
        # One by the world's own adapter, at the creation, would be in the simulator.
        assert len(claims) == 1
    assert "AZURE_STORAGE_ACCOUNT_KEY" not in os.environ
