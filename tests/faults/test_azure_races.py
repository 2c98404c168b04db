"""Many at once on one key of a vault: the claims alone decide, also those in azurite."""

import os
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from daena_kms.audit import open_log
from daena_kms.audit.verify import verify
from daena_kms.engine import run
from daena_kms.objects.base import CLAIMS
from daena_kms.objects.cloud import CloudObjects
from daena_kms.operations import Operations
from obstore.store import AzureStore

from infra.local.azure.sim import AzureSimulator
from tests.faults import racer
from tests.faults.test_races import KEY, LATER, MANY, at_once, check_calm_after, was_current
from tests.worlds.azure import AzureWorld
from tests.worlds.azurite import LocalBlobs, local_blobs

__all__ = ["local_blobs"]

PROCESSES = 8
#: Of each call, so that all overlap.
LATENCY = 0.02


@pytest.fixture(params=["claims in the simulator", "claims in azurite"])
def azure(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[AzureWorld]:
    """Give a vault that lets two sets at once both make a version, with claims in either place."""
    with AzureSimulator() as sim:
        sim.configure(parallel_writes=True)
        if request.param == "claims in the simulator":
            yield AzureWorld(sim)
            return
        blobs = request.getfixturevalue("local_blobs")
        container = _container(blobs, tmp_path)

        def opened() -> CloudObjects:
            return CloudObjects(blobs.store(container), f"az://{blobs.account}/{container}", CLAIMS)

        yield AzureWorld(sim, claims=opened)


def _container(blobs: LocalBlobs, tmp_path: Path) -> str:
    """Make a container that no other test uses."""
    name = "claims-" + "".join(c for c in tmp_path.name.lower() if c.isalnum())[-40:]
    blobs.create_container(name)
    return name


def claims_on(blobs: AzureStore) -> list[str]:
    """Return the claims in a container."""
    return [meta["path"] for batch in blobs.list() for meta in batch]


def test_many_clients_rotate_once(azure: AzureWorld) -> None:
    """Of twenty runs with clients of their own one rotates the due key, and none fails."""
    azure.operations().create(KEY)
    first = azure.adapter.get_key(KEY)
    adapters = [azure.again() for _ in range(MANY)]
    azure.at(LATER)
    azure.sim.set_latency(LATENCY)
    now = azure.began + LATER
    summaries = at_once([lambda a=a: run(a, azure.log, now=now) for a in adapters])  # type: ignore[misc] # mypy infers no default
    azure.sim.set_latency(0)
    outcomes = Counter[str]()
    for summary in summaries:
        assert not isinstance(summary, BaseException), summary
        assert summary.failed == [], summary.errors
        outcomes["rotated"] += len(summary.rotated + summary.finished)
    assert outcomes["rotated"] == 1
    assert len(was_current(azure)) == 2
    assert azure.sim.calls.counts()["SetSecret"] == 2
    check_calm_after(azure, first)


def test_many_creations_set_one_version(azure: AzureWorld) -> None:
    """Of twenty creations one sets a version, and the value that it returned is the key's."""
    adapters = [azure.again() for _ in range(MANY)]
    azure.sim.set_latency(LATENCY)
    answers = at_once([lambda a=a: a.create_key(KEY) for a in adapters])  # type: ignore[misc] # mypy infers no default
    azure.sim.set_latency(0)
    values = [answer for answer in answers if isinstance(answer, str)]
    assert values == [azure.adapter.get_key(KEY)]
    assert {type(a).__name__ for a in answers if not isinstance(a, str)} == {"KeyExists"}
    assert azure.sim.calls.counts()["SetSecret"] == 1
    assert len(azure.sim.secrets.versions(KEY)) == 1


def test_many_take_over_a_dead_claim_once(azure: AzureWorld) -> None:
    """Of twenty that find a claim whose time is over one takes over, and sets one version."""
    azure.operations().create(KEY)
    store = azure.adapter.store
    store.stage(store.describe(KEY), "never set", azure.at(LATER))
    late = LATER + timedelta(minutes=16)
    now = azure.at(late)
    adapters = [azure.again() for _ in range(MANY)]
    azure.sim.set_latency(LATENCY)
    summaries = at_once([lambda a=a: run(a, azure.log, now=now) for a in adapters])  # type: ignore[misc] # mypy infers no default
    azure.sim.set_latency(0)
    for summary in summaries:
        assert not isinstance(summary, BaseException), summary
        assert summary.failed == [], summary.errors
    assert azure.sim.calls.counts()["SetSecret"] == 2
    assert len(was_current(azure)) == 2


def test_many_processes(tmp_path: Path, local_blobs: LocalBlobs) -> None:
    """Of several processes at once, with claims in azurite, one rotates the key; none fails."""
    container = _container(local_blobs, tmp_path)
    with AzureSimulator() as sim, pytest.MonkeyPatch.context() as patch:
        sim.configure(parallel_writes=True)
        world = AzureWorld(sim)
        environment = {
            "AZURE_STORAGE_ENDPOINT": local_blobs.blob_url,
            "AZURE_STORAGE_ACCOUNT_KEY": local_blobs.key,
            "DAENA_KMS_CLAIMS_URL": f"az://{local_blobs.account}/{container}",
        }
        for name, value in environment.items():
            patch.setenv(name, value)
        one = racer.AzureRun(sim.vault_url, sim.ca_file, environment)
        log = open_log((tmp_path / "audit").as_uri())
        Operations(world.adapter, log, now=world.at()).create(KEY)
        now = world.at(LATER)
        sim.set_latency(LATENCY)
        outcomes = Counter(racer.race(one, tmp_path, KEY, now, PROCESSES))
        sim.set_latency(0)
        assert outcomes[racer.ROTATED] == 1
        assert set(outcomes) <= {racer.ROTATED, racer.SKIPPED, racer.IDLE}
        assert len(sim.secrets.versions(KEY)) == 2
        assert len(claims_on(local_blobs.store(container))) == 1
        assert run(world.adapter, log, now=now + timedelta(hours=2)).actions == []
        assert verify(log, world.adapter.store.inventory()).ok
    assert "AZURE_STORAGE_ACCOUNT_KEY" not in os.environ
