"""Secret Manager's own quotas, on a clock that goes on when somebody sleeps.

https://cloud.google.com/secret-manager/quotas: two additions and updates a second for a secret, one
switch a second for a version, 600 writes and 600 reads a minute for a project.
"""

import functools
import threading
from collections.abc import Iterator

import pytest
from daena_kms.sdk.gcp import client as gcp_client
from daena_kms.sdk.pace import Pacer

from infra.local.gcp import quotas
from infra.local.gcp.sim import GcpSimulator
from tests.worlds.base import DAY
from tests.worlds.gcp import GcpWorld

LATER = 91 * DAY
KEYS = 40
IDS = [f"key-{number:02}" for number in range(KEYS)]
THROTTLED = "RESOURCE_EXHAUSTED"


class Clock:
    """The time of the quotas and of our waiting."""

    def __init__(self) -> None:
        self.time = 0.0
        self._lock = threading.Lock()

    def monotonic(self) -> float:
        """Return the time."""
        return self.time

    def sleep(self, seconds: float) -> None:
        """Let this time pass."""
        with self._lock:
            self.time += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Give the clock, by which our client and the SDK's retries wait."""
    made = Clock()
    paced = functools.partial(Pacer, monotonic=made.monotonic, sleep=made.sleep)
    monkeypatch.setattr(gcp_client, "Pacer", paced)
    monkeypatch.setattr("google.api_core.retry.retry_unary.time.sleep", made.sleep)
    return made


@pytest.fixture
def world(clock: Clock) -> Iterator[GcpWorld]:
    """A project by that clock."""
    with GcpSimulator(monotonic=clock.monotonic) as sim:
        yield GcpWorld(sim)


def outcomes(world: GcpWorld) -> dict[str, int]:
    """Count the calls to the store by what became of them."""
    ended = [call.outcome for call in world.sim.calls if call.service == "secretmanager"]
    return {outcome: ended.count(outcome) for outcome in sorted(set(ended))}


def test_the_life_of_one_key(world: GcpWorld, clock: Clock) -> None:
    """What we do to one secret and its versions waits for its quotas, and nothing fails."""
    world.sim.enforce_quotas()
    world.operations().create("a-key", spec="token")
    began = clock.time
    assert world.run(LATER).rotated == ["a-key"]
    assert clock.time - began < 10
    assert world.run(LATER + DAY, keys=["a-key"], compromised=True, reason="leaked").revoked
    world.operations(LATER + DAY).rollback("a-key", "1")
    world.operations(LATER + DAY).delete("a-key")
    world.operations(LATER + DAY).restore("a-key")
    assert world.adapter.get_key("a-key")
    assert outcomes(world).keys() == {"ok", THROTTLED}
    assert world.verify().problems == []


@pytest.fixture
def small(world: GcpWorld, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> GcpWorld:
    """The project with a tenth of its quotas, and ours, so that few keys exceed them."""
    monkeypatch.setattr(quotas, "WRITES", quotas.WRITES // 10)
    monkeypatch.setattr(quotas, "READS", quotas.READS // 10)
    monkeypatch.setattr(gcp_client, "_CALLS_PER_SECOND", gcp_client._CALLS_PER_SECOND / 10)
    made = GcpWorld(world.sim)
    for key_id in IDS:
        made.adapter.create_key(key_id)
    clock.sleep(60)
    world.sim.enforce_quotas()
    world.sim.calls.clear()
    return made


def test_a_run_of_many_keys(small: GcpWorld, clock: Clock) -> None:
    """It takes the minutes that the project's quota asks for, and rotates every key."""
    began = clock.time
    summary = small.run(LATER, workers=1)
    assert (len(summary.rotated), summary.failed) == (KEYS, [])
    quota = 3 * KEYS / 60  # in minutes: three writes a key
    assert 60 * (quota - 1) < clock.time - began < 60 * (quota + 1)


def test_looks_at_many_keys(small: GcpWorld) -> None:
    """After the first refusal they are spaced, too, so that no key is given up."""
    for key_id in IDS * 6:
        assert small.adapter.store.describe(key_id).id == key_id
    counted = outcomes(small)
    assert counted["ok"] == 6 * KEYS
    assert 1 <= counted[THROTTLED] < 30  # 48 where only a refused look waits
    assert small.adapter.get_key(IDS[0])
