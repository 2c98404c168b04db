"""Broken at every call, in every way: run again, and it converges."""

import contextlib
from pathlib import Path

import pytest

from tests.contract.harness import AwsHarness, open_harness
from tests.faults.scenarios import SCENARIOS, attempt, check
from tests.faults.wrap import Fault, Killed, break_primitives, break_wire

WAYS = ["before", "after", "killed-before", "killed-after"]


@pytest.mark.parametrize("store", ["local", "aws"])
@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("name", SCENARIOS)
def test_every_primitive_and_every_record(name: str, how: str, store: str, tmp_path: Path) -> None:
    """A fault at any primitive or any audit record leaves what the next run makes right."""
    scenario = SCENARIOS[name]
    at = total = 1
    while at <= total:
        with open_harness(store, tmp_path / str(at)) as harness:
            scenario.prepare(harness)
            fault = Fault(at, how)
            mend = break_primitives(harness, fault)
            with contextlib.suppress(Killed):
                attempt(scenario.act, harness)
            mend()
            if fault.count >= at:
                total = at + 1
            scenario.again(harness)
            check(harness, scenario)
        at += 1
    assert total >= 5


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("name", SCENARIOS)
def test_every_call_on_the_wire(name: str, how: str, tmp_path: Path) -> None:
    """A fault at any call to AWS, with no retry of the SDK's, leaves what is made right."""
    scenario = SCENARIOS[name]
    at = total = 1
    while at <= total:
        with open_harness("aws", tmp_path / str(at)) as harness:
            assert isinstance(harness, AwsHarness)
            scenario.prepare(harness)
            seen, mend = break_wire(harness, at, how)
            with contextlib.suppress(Killed):
                attempt(scenario.act, harness)
            if seen() >= at:
                total = at + 1
            mend()
            scenario.again(harness)
            check(harness, scenario)
        at += 1
    assert total >= 2
