"""Key Vault throttles in the middle of a run: it slows down, ends or says what is left."""

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from daena_kms.audit.verify import CONFIRMED
from daena_kms.engine import run
from daena_kms.errors import StoreUnavailable
from daena_kms.objects.base import CLAIMS
from daena_kms.rules.summary import Summary
from daena_kms.sdk.azure.client import Vault
from daena_kms.sdk.azure.login import Login
from daena_kms.stores.adapter import CloudKMSAdapter
from daena_kms.stores.azure.claims import Claims
from daena_kms.stores.azure.set import Setter
from daena_kms.stores.azure.store import AzureStore

from infra.local.azure.sim import AzureSimulator
from infra.local.faults import only
from tests.faults.test_many_keys import make
from tests.worlds.azure import AzureWorld, container
from tests.worlds.base import DAY
from tests.worlds.seconds import time_runs_by

LATER = 91 * DAY
MINUTE = timedelta(minutes=1)
SET = only("keyvault", "SetSecret")
KEYS = 12


class Clock:
    """A clock that goes on when somebody sleeps, for the vault's quota and for us alike."""

    def __init__(self) -> None:
        self.time = 0.0
        self.slept: list[float] = []
        #: What happens while somebody waits for a quota.
        self.meanwhile: Callable[[], object] = bool
        self._lock = threading.Lock()

    def monotonic(self) -> float:
        """Return the time."""
        return self.time

    def sleep(self, seconds: float) -> None:
        """Let this time pass."""
        with self._lock:
            self.slept.append(seconds)
            self.time += seconds
            if seconds >= 1:
                self.meanwhile()


class Slow:
    """A vault with a quota, and an adapter that waits by the same clock."""

    def __init__(self, sim: AzureSimulator, clock: Clock) -> None:
        self.clock = clock
        self.world = AzureWorld(sim)
        self.sim = sim
        self.ids = make(self.world, KEYS)

    def run(self, after: timedelta = LATER, **options: float | None) -> Summary:
        """Run the engine, with a client of the SDK's whose own retries take no time."""
        client = self.sim.secrets_client(retry_total=3, retry_backoff_factor=0)
        vault = Vault(None, Login({}, credential=self.sim.credential()), client)
        claims = Claims(container(self.sim, "claims", CLAIMS), vault.name)
        setter = Setter(
            vault, lambda: claims, monotonic=self.clock.monotonic, sleep=self.clock.sleep
        )
        adapter = CloudKMSAdapter(AzureStore(vault, setter))
        now = self.world.at(after)
        deadline, workers = options.get("deadline"), int(options.get("workers") or 4)
        return run(adapter, self.world.log, now=now, deadline=deadline, workers=workers)

    def check_nothing_lost(self, rotated: list[str]) -> None:
        """Assert that these keys, and no other, have one version more, all of them readable."""
        for key_id in self.ids:
            assert len(self.world.readable(key_id)) == (2 if key_id in rotated else 1)
        report = self.world.verify()
        assert report.problems == []
        assert {finding.status for finding in report.findings} == {CONFIRMED}


@pytest.fixture
def slow() -> Iterator[Slow]:
    """Give twelve keys that are due later."""
    clock = Clock()
    with AzureSimulator(monotonic=clock.monotonic) as sim:
        yield Slow(sim, clock)


@pytest.mark.parametrize(("retry_after", "workers"), [(1, 4), (1, 1), (3, 1), (None, 1)])
def test_a_quota_slows_the_run_down(slow: Slow, retry_after: int | None, workers: int) -> None:
    """Each set that is refused for its rate waits as the vault says, and all keys are rotated."""
    slow.sim.faults.quota(2, retry_after)
    slow.sim.calls.clear()
    summary = slow.run(workers=workers)
    assert (summary.rotated, summary.failed) == (slow.ids, [])
    sets = [call.outcome for call in slow.sim.calls if call.operation == "SetSecret"]
    refused = len([outcome for outcome in sets if outcome != "ok"])
    assert len(sets) - refused == KEYS
    assert refused >= 1
    # The SDK repeats none by itself: to each refusal one sleep of ours belongs.
    waits = [seconds for seconds in slow.clock.slept if seconds >= 1]
    assert len(waits) == refused
    assert retry_after is None or set(waits) == {retry_after}
    slow.check_nothing_lost(slow.ids)


def test_a_vault_that_throttles_for_good(slow: Slow) -> None:
    """After half a minute a key is given up, and said so; the next run goes on at once."""
    slow.sim.faults.throttle(10_000, when=SET, retry_after=10)
    summary = slow.run()
    assert (summary.rotated, summary.failed) == ([], slow.ids)
    assert all(isinstance(error, StoreUnavailable) for error in summary.errors.values())
    assert summary.overdue == KEYS
    slow.check_nothing_lost([])
    slow.sim.faults.clear()
    again = slow.run(LATER + timedelta(seconds=1))
    assert (again.finished, again.failed, again.skipped) == (slow.ids, [], [])
    slow.check_nothing_lost(slow.ids)


def test_throttled_in_the_middle_with_a_deadline(
    slow: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its time over the run says what is left; the next one does that, and nothing twice."""
    slow.sim.faults.quota(1, 1)
    time_runs_by(slow.clock.monotonic, monkeypatch)
    summary = slow.run(deadline=5, workers=1)
    assert summary.left
    assert summary.rotated
    assert sorted(summary.rotated + summary.left) == slow.ids
    assert summary.overdue == len(summary.left)
    slow.check_nothing_lost(summary.rotated)
    slow.sim.faults.clear()
    assert slow.run(LATER + MINUTE).rotated == summary.left
    slow.check_nothing_lost(slow.ids)


def test_a_vault_that_asks_for_too_long_a_wait(slow: Slow) -> None:
    """Who would have to wait for hours does not: the claim is given back, the key is reported."""
    slow.sim.faults.throttle(1, when=SET, retry_after=36_000)
    summary = slow.run(workers=1)
    assert len(summary.failed) == 1
    assert len(summary.rotated) == KEYS - 1
    assert not [seconds for seconds in slow.clock.slept if seconds >= 1]
    assert slow.run(LATER + MINUTE).finished == summary.failed


@pytest.mark.parametrize("operation", ["GetSecret", "GetSecrets"])
def test_throttled_reading_is_repeated_by_the_sdk(slow: Slow, operation: str) -> None:
    """A look or a listing that is refused for its rate is made again, and nobody notices."""
    slow.sim.faults.throttle(2, when=only("keyvault", operation), retry_after=0)
    slow.sim.calls.clear()
    summary = slow.run()
    assert (summary.rotated, summary.failed) == (slow.ids, [])
    refused = [c.operation for c in slow.sim.calls if c.outcome == "Throttled"]
    assert refused == [operation] * 2
    slow.check_nothing_lost(slow.ids)


def test_a_key_that_changes_while_we_wait(slow: Slow) -> None:
    """Before a throttled set is tried again the key is looked at again: a hold stops it."""
    slow.sim.faults.throttle(1, when=SET, retry_after=5)
    (first,) = slow.ids[:1]

    def hold() -> None:
        tags = {**slow.sim.secrets.version(first).tags, "daena.hold": "true"}
        slow.world.operate(first, tags=tags)

    slow.clock.meanwhile = hold
    summary = slow.run(workers=1)
    assert first in summary.skipped
    assert len(summary.rotated) == KEYS - 1
    assert slow.run(LATER + MINUTE).held == [first]
    slow.check_nothing_lost([key_id for key_id in slow.ids if key_id != first])
