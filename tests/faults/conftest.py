"""The worlds, as fixtures: also one in which many come at once, and one whose SDK logs all."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.leaks import Recorder, recorded
from tests.worlds.azure import AzureWorld
from tests.worlds.base import FaultWorld
from tests.worlds.kinds import (
    CLOUDS,
    KINDS,
    InCloud,
    aws,
    azure,
    cloud,
    gcp,
    open_cloud,
    open_world,
    wire,
    world,
)

__all__ = ["aws", "azure", "calm", "cloud", "gcp", "logs", "loud", "wire", "world"]


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


@pytest.fixture
def logs() -> Iterator[Recorder]:
    """Record everything that is logged anywhere, at DEBUG."""
    with recorded() as recorder:
        yield recorder


@pytest.fixture(params=CLOUDS)
def loud(request: pytest.FixtureRequest) -> Iterator[InCloud]:
    """Give a cloud whose client logs whole messages at DEBUG, and tries no call again.

    Over the wire: what handles the connection logs, too.
    """
    options = {"logging_enable": True} if request.param == "azure" else {}
    with (
        pytest.MonkeyPatch.context() as patch,
        open_cloud(request.param, wire=True, **options) as opened,
    ):
        patch.setattr("daena_kms.sdk.gcp.client._DEADLINE", 0.0)
        yield opened
