"""The worlds, as fixtures: here every client connects to its simulator."""

import pytest

from tests.worlds.kinds import aws, azure, cloud, gcp, world

__all__ = ["aws", "azure", "cloud", "gcp", "wire", "world"]


@pytest.fixture
def wire() -> bool:
    """What holds on every store is shown over the SDK's own protocol."""
    return True
