"""A set whose answer is lost on Azure: made or not, at once or late, and what then follows."""

import threading
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

import pytest
from daena_kms.audit.verify import CONFIRMED
from daena_kms.errors import KeyExists, RotationConflict, StoreUnavailable
from daena_kms.rules.plan import Outcome
from daena_kms.stores.azure.claims import CLAIM_LIFETIME
from daena_kms.stores.azure.order import NAME

from infra.local.faults import only
from tests.worlds.azure import AzureWorld
from tests.worlds.base import DAY

KEY = "app-key"
LATER = 91 * DAY
MINUTE = timedelta(minutes=1)
OVER = CLAIM_LIFETIME + timedelta(seconds=2)
SET = only("keyvault", "SetSecret")
LOOKS_AT = only("keyvault", "GetSecretVersions")
#: More looks than the simulator needs to let a set through.
LOOKS = 2000


@pytest.fixture
def wire() -> bool:
    """Who gives up does so on a connection, while the call goes on behind it."""
    return True


@pytest.fixture
def due(azure: AzureWorld) -> AzureWorld:
    """Give a key, which is due later."""
    azure.operations().create(KEY)
    return azure


def statuses(world: AzureWorld) -> list[str]:
    """Return what the log says of each version, the oldest first."""
    report = world.verify()
    assert report.problems == []
    return [finding.status for finding in report.findings]


def tags_that_were_set(world: AzureWorld) -> Mapping[str, str]:
    """Return the tags of the last set that was sent, whether it arrived or not."""
    tags: Any = [c for c in world.sim.calls if c.operation == "SetSecret"][-1].params["tags"]
    return dict(tags)


def lose_a_set(world: AzureWorld) -> Mapping[str, str]:
    """Let a run's set get lost on its way, and return the tags that it had."""
    world.sim.faults.fail_before(1, when=SET)
    summary = world.run(LATER)
    assert (summary.failed, summary.rotated) == ([KEY], [])
    assert isinstance(summary.errors[KEY], StoreUnavailable)
    assert not summary.ok
    return tags_that_were_set(world)


def test_an_answer_that_is_lost_after_the_set(due: AzureWorld) -> None:
    """The version is found by its name of ours: the rotation is done, in the same run."""
    due.sim.faults.fail_after(1, when=SET)
    summary = due.run(LATER)
    assert (summary.rotated, summary.failed) == ([KEY], [])
    assert summary.new_versions[KEY] == due.sim.secrets.version(KEY).id
    assert statuses(due) == [CONFIRMED, CONFIRMED]
    assert due.run(LATER + MINUTE).actions == []


def test_an_internal_error_after_the_set(due: AzureWorld) -> None:
    """A 500 may hide a success, and is resolved in the same way."""
    due.sim.faults.fail_after(1, when=SET, how="error")
    assert due.run(LATER).rotated == [KEY]
    due.sim.faults.fail_before(1, when=SET, how="error")
    assert due.run(2 * LATER).failed == [KEY]
    assert len(due.readable(KEY)) == 2


def test_a_set_that_got_lost_is_repeated_by_nobody_too_early(due: AzureWorld) -> None:
    """It is reported, the key waits until the claim is over, and then gets a fresh value."""
    lose_a_set(due)
    before = due.state()
    for minutes in (1, 5, 14):
        summary = due.run(LATER + minutes * MINUTE)
        assert (summary.skipped, summary.failed) == ([KEY], [])
        assert summary.overdue == 1
    assert due.state() == before
    summary = due.run(LATER + OVER)
    assert (summary.finished, summary.failed) == ([KEY], [])
    assert statuses(due) == [CONFIRMED, CONFIRMED]


def test_a_lost_answer_that_no_look_resolves(due: AzureWorld) -> None:
    """When the look fails, too, the outcome is unknown; a later run writes what became of it."""
    due.sim.faults.fail_after(1, when=SET)
    due.sim.faults.fail_before(1, when=LOOKS_AT, times=9)
    summary = due.run(LATER)
    assert (summary.failed, summary.rotated) == ([KEY], [])
    assert due.held().results()[-1]["result"] == Outcome.UNKNOWN
    due.mend()
    assert len(due.readable(KEY)) == 2
    assert due.run(LATER + MINUTE).actions == []
    assert statuses(due) == [CONFIRMED, CONFIRMED]


def test_a_set_that_lands_before_the_next_run(due: AzureWorld) -> None:
    """What arrived meanwhile is found by the next run: it is recorded, and nothing is repeated."""
    tags = lose_a_set(due)
    due.at(LATER + 3 * MINUTE)
    due.sim.secrets.add_version(KEY, "late", tags=tags)
    assert due.run(LATER + 5 * MINUTE).actions == []
    assert due.run(LATER + OVER).actions == []
    assert due.adapter.get_key(KEY) == "late"
    assert statuses(due) == [CONFIRMED, CONFIRMED]


def test_a_set_that_lands_while_its_claim_is_taken_over(due: AzureWorld) -> None:
    """Who takes the claim over looks once more before it sets, and stops for what has arrived."""
    tags = lose_a_set(due)
    store = due.adapter.store
    due.at(LATER + OVER)
    look = store.describe(KEY)
    due.sim.secrets.add_version(KEY, "late", tags=tags)
    with pytest.raises(RotationConflict, match="an earlier rotation was completed"):
        store.stage(look, "one too many", due.began + LATER + OVER)
    assert len(due.readable(KEY)) == 2


def test_the_bound_that_no_claim_can_enforce(due: AzureWorld) -> None:
    """A set that lands after the takeover makes a second version from one base.

    That is as docs/AZURE.md has it: the later one is current, both are readable, nothing is lost,
    and the log's verification shows the one that no record explains.
    """
    tags = lose_a_set(due)
    base = due.current(KEY)
    assert due.run(LATER + OVER).finished == [KEY]
    ours = due.current(KEY)
    due.at(LATER + OVER + MINUTE)
    late = due.sim.secrets.add_version(KEY, "late", tags=tags).id
    assert due.current(KEY) == late
    assert set(due.readable(KEY)) == {base, ours, late}
    found = {f.version: f.status for f in due.verify().findings}
    assert found[ours] == CONFIRMED
    assert found[late] != CONFIRMED
    assert due.run(LATER + OVER + 5 * MINUTE).failed == []
    assert due.run(2 * LATER + DAY).failed == []
    assert len(due.readable(KEY)) == 4


class Gate:
    """Holds every set back, in the simulator, until it is opened; all else passes."""

    def __init__(self, world: AzureWorld) -> None:
        self._world = world
        self._open = threading.Event()
        world.sim.latency = 1.0
        world.sim.pause = self._pause

    def _pause(self, _seconds: float) -> None:
        calls = [call for call in self._world.sim.calls if call.outcome == "under way"]
        if calls and calls[-1].operation == "SetSecret":
            self._open.wait(30)

    def open(self) -> None:
        """Let what is held back take effect, and all that comes."""
        self._open.set()


@pytest.fixture
def gate(due: AzureWorld, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    """Hold sets back for longer than our patience."""
    hasty = {"connection_timeout": 5, "read_timeout": 0.2, "timeout": 5, "retry_total": 0}
    monkeypatch.setattr("daena_kms.stores.azure.set.ONCE", hasty)
    gate = Gate(due)
    yield gate
    gate.open()


def test_a_set_that_is_under_way_longer_than_we_wait(due: AzureWorld, gate: Gate) -> None:
    """Over the wire: the SDK gives up, nothing is there; then the set lands, and counts once."""
    summary = due.run(LATER)
    assert (summary.failed, summary.rotated) == ([KEY], [])
    assert "did not answer" in str(summary.errors[KEY])
    assert due.run(LATER + MINUTE).skipped == [KEY]
    gate.open()
    for _ in range(LOOKS):
        if len(due.readable(KEY)) == 2:
            break
    assert due.sim.secrets.version(KEY).tags[NAME] == tags_that_were_set(due)[NAME]
    assert due.sim.calls.counts()["SetSecret"] == 2
    assert due.run(LATER + 2 * MINUTE).actions == []
    assert due.run(LATER + OVER).actions == []
    assert statuses(due) == [CONFIRMED, CONFIRMED]


def test_a_creation_whose_answer_is_lost(azure: AzureWorld) -> None:
    """A created key is found by its version's name; one that got lost can be created again."""
    azure.sim.faults.fail_after(1, when=SET)
    version = azure.operations().create("made-key")
    assert azure.current("made-key") == version
    azure.sim.faults.fail_before(1, when=SET)
    with pytest.raises(StoreUnavailable, match="did not answer"):
        azure.operations().create("lost-key")
    assert azure.adapter.list_keys() == ["made-key"]
    # It may land yet: until the claim is over nobody sets another one.
    with pytest.raises(KeyExists, match="another process is creating it"):
        azure.operations(MINUTE).create("lost-key")
    azure.operations(OVER).create("lost-key")
    assert azure.adapter.list_keys() == ["lost-key", "made-key"]
    assert {f.status for f in azure.verify().findings} == {CONFIRMED}
