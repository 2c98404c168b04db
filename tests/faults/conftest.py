"""The worlds, as fixtures, and one in which many come at once."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.worlds.azure import AzureWorld
from tests.worlds.base import FaultWorld
from tests.worlds.kinds import KINDS, aws, azure, cloud, gcp, open_world, world

__all__ = ["aws", "azure", "calm", "cloud", "gcp", "world"]


def client_options(kind: str) -> dict[str, int]:
    """Let AWS clients repeat calls, as ours do."""
    return {"retries": 5} if kind == "aws" else {}


def calm_down(world: FaultWorld) -> None:
    """Let a vault stop no race by itself."""
    if isinstance(world, AzureWorld):
        world.sim.configure(parallel_writes=True)


@pytest.fixture(params=KINDS)
def calm(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FaultWorld]:
    """Give a world whose AWS clients repeat calls, as ours do, and whose vault stops no race."""
    with open_world(request.param, tmp_path, **client_options(request.param)) as opened:
        calm_down(opened)
        yield opened
