"""The vault's client as production makes it: its retries repeat looks, and no change.

Only the transport leads to the simulator, and the credential is the simulator's.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from daena_kms.errors import StoreUnavailable
from daena_kms.rules.plan import Outcome

from infra.local.faults import only
from tests.faults.operations import OPERATIONS, Operation
from tests.faults.test_matrix import test_it_comes_right as it_comes_right
from tests.worlds.azure import AzureWorld
from tests.worlds.base import DAY
from tests.worlds.kinds import open_cloud
from tests.worlds.seam import Effect

KEY = "app-key"
LATER = 91 * DAY


@pytest.fixture
def azure() -> Iterator[AzureWorld]:
    """Give an Azure that is reached as in production."""
    with open_cloud("azure", production=True) as opened:
        assert isinstance(opened, AzureWorld)
        yield opened


@pytest.mark.parametrize("effect", [Effect.AFTER, Effect.KILLED_AFTER])
@pytest.mark.parametrize("kind", OPERATIONS)
def test_it_comes_right(azure: AzureWorld, kind: type[Operation], effect: Effect) -> None:
    """The answer to each change is lost once; what the SDK repeats by itself changes no outcome."""
    it_comes_right(azure, kind, effect)


#: What makes a change, the call that does it, and how often that call is made.
CHANGES: dict[str, tuple[Callable[[AzureWorld], Any], str, int]] = {
    "rotate": (lambda w: w.run(LATER, keys=[KEY]), "SetSecret", 1),
    "hold": (lambda w: w.operations().hold(KEY), "UpdateSecret", 1),
    "delete": (lambda w: w.operations().delete(KEY), "DeleteSecret", 1),
    "restore": (lambda w: w.operations().restore(KEY), "RecoverDeletedSecret", 1),
}


@pytest.mark.parametrize("how", ["drop", "error"])
@pytest.mark.parametrize("change", CHANGES)
def test_no_change_is_repeated(azure: AzureWorld, change: str, how: str) -> None:
    """A lost answer, or a 500 that hides a success, is resolved by a look: done, and done once."""
    act, operation, times = CHANGES[change]
    azure.operations().create(KEY)
    if change == "restore":
        azure.operations().delete(KEY)
    azure.sim.calls.clear()
    azure.sim.faults.fail_after(1, when=only("keyvault", operation), times=99, how=how)
    act(azure)
    assert azure.sim.calls.counts()[operation] == times
    assert azure.held().results()[-1]["result"] == Outcome.DONE
    azure.mend()
    assert azure.verify().problems == []


@pytest.mark.parametrize("how", ["drop", "error"])
@pytest.mark.parametrize("change", CHANGES)
def test_a_change_that_does_not_arrive(azure: AzureWorld, change: str, how: str) -> None:
    """It is sent once, and the result is unknown: never a failure because nothing was found."""
    act, operation, times = CHANGES[change]
    azure.operations().create(KEY)
    if change == "restore":
        azure.operations().delete(KEY)
    azure.sim.calls.clear()
    azure.sim.faults.fail_before(1, when=only("keyvault", operation), times=99, how=how)
    with contextlib.suppress(StoreUnavailable):  # a run raises nothing
        act(azure)
    assert azure.sim.calls.counts()[operation] == times
    assert azure.held().results()[-1]["result"] == Outcome.UNKNOWN


def test_looks_are_repeated(azure: AzureWorld) -> None:
    """A look or a listing that fails twice, or is throttled without a wait, is made again."""
    azure.operations().create(KEY)
    azure.sim.faults.fail_before(1, when=only("keyvault", "GetSecrets"), times=2, how="error")
    azure.sim.faults.throttle(2, when=only("keyvault", "GetSecret"))
    summary = azure.run(LATER)
    assert (summary.rotated, summary.failed) == ([KEY], [])


def test_a_throttled_change_is_made_again(azure: AzureWorld) -> None:
    """By us, after a look, with waits that grow: the vault names none."""
    azure.operations().create(KEY)
    began = azure.sim.elapsed()
    azure.sim.faults.throttle(3, when=only("keyvault", "UpdateSecret"))
    azure.operations().hold(KEY)
    assert azure.sim.secrets.version(KEY).tags["daena.hold"] == "true"
    assert 14 <= azure.sim.elapsed() - began < 20
    assert azure.sim.calls.counts()["UpdateSecret"] == 4
