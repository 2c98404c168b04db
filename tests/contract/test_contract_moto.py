"""The contract once more on moto, through a session of boto3: neither is ours.

Whoever wrote moto read the same API as we did and shares none of our misreadings of it. Where it
differs from AWS, ``test_moto_deviations`` shows that by itself, and ``DEVIATIONS`` names the tests
that can't hold because of it: they are expected to fail. So a moto that was mended shows.
"""

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from tests.contract import (
    test_contract_compromised,
    test_contract_enrol,
    test_contract_keys,
    test_contract_kms,
    test_contract_policy,
    test_contract_recovery,
    test_contract_runs,
    test_moto_deviations,
)
from tests.worlds.moto import MotoWorld, open_moto

CONTRACT: tuple[ModuleType, ...] = (
    *(test_contract_keys, test_contract_runs, test_contract_policy, test_contract_recovery),
    *(test_contract_compromised, test_contract_kms, test_contract_enrol),
)
#: What is refused without a call says nothing about whoever would have been called.
WITHOUT_A_CALL = "before_any_call"
#: They plan faults in the simulator, which moto has none of.
FAULTS = {"test_an_enrolment_that_is_interrupted_is_settled"}
#: Tests of the contract that can't hold, each with the test in test_moto_deviations that shows why.
DEVIATIONS = {
    "test_deleting_is_recoverable": "creating_over_a_deleted_secret",
    "test_a_key_that_was_deleted_meanwhile": "creating_over_a_deleted_secret",
    "test_the_window_is_as_it_is_said": "a_recovery_window_never_ends",
    "test_retired_versions_go_by_policy_and_never_below_keep": "versions_without_labels_are_shown",
    "test_nothing_of_ours_is_enrolled_again": "a_put_takes_every_label_off",
    "test_a_run_enrols_it_and_a_later_one_rotates_it": "the_list_of_versions_is_dated_now",
    "test_it_is_not_due_for_a_day[90d-None-least2-most2]": "the_list_of_versions_is_dated_now",
}

for _module in CONTRACT:
    globals().update(
        {
            name: test
            for name, test in vars(_module).items()
            if name.startswith("test_") and WITHOUT_A_CALL not in name and name not in FAULTS
        }
    )


@pytest.fixture
def world(tmp_path: Path) -> Iterator[MotoWorld]:
    """Give an empty AWS as moto has it."""
    with open_moto(tmp_path) as opened:
        yield opened


@pytest.fixture(autouse=True)
def deviates(request: pytest.FixtureRequest) -> None:
    """Expect a test to fail where moto differs from AWS; one that passes after all fails."""
    name = DEVIATIONS.get(request.node.name) or DEVIATIONS.get(request.node.originalname)
    if name is not None:
        wrong = (AssertionError, pytest.fail.Exception)
        request.applymarker(pytest.mark.xfail(raises=wrong, reason=name))


def test_every_deviation_is_shown() -> None:
    """Whatever is expected to fail is a test of the contract, and has a test that shows why."""
    assert {name.partition("[")[0] for name in DEVIATIONS} | FAULTS <= {
        name for module in CONTRACT for name in vars(module) if name.startswith("test_")
    }
    assert {f"test_{name}" for name in DEVIATIONS.values()} <= vars(test_moto_deviations).keys()
