"""The harness fixture: each case runs on every store."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.clouds import open_harness
from tests.contract.harness import Harness


@pytest.fixture(params=["local", "aws", "azure", "gcp"])
def harness(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Harness]:
    """Give an empty store of each kind."""
    with open_harness(request.param, tmp_path) as opened:
        yield opened
