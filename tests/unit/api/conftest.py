"""An empty store and log for each test."""

from pathlib import Path

import pytest

from tests.unit.engine.engines import World


@pytest.fixture
def world(tmp_path: Path) -> World:
    """An empty store and log."""
    return World(tmp_path)
