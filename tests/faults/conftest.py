"""A world of each kind for the tests of faults."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.local.aws.sim import AwsSimulator
from tests.faults.worlds import KINDS, AwsWorld, AzureWorld, GcpWorld, World, open_world


@pytest.fixture(params=KINDS)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """Give an empty store of each kind with its log."""
    with open_world(request.param, tmp_path) as opened:
        yield opened


@pytest.fixture
def aws() -> Iterator[AwsWorld]:
    """Give an empty AWS."""
    with AwsSimulator() as sim:
        yield AwsWorld(sim)


@pytest.fixture
def azure(tmp_path: Path) -> Iterator[AzureWorld]:
    """Give an empty Azure."""
    with open_world("azure", tmp_path) as opened:
        assert isinstance(opened, AzureWorld)
        yield opened


@pytest.fixture
def gcp(tmp_path: Path) -> Iterator[GcpWorld]:
    """Give an empty Google Cloud."""
    with open_world("gcp", tmp_path) as opened:
        assert isinstance(opened, GcpWorld)
        yield opened
