"""The worlds, as fixtures: in some files every client connects to its simulator."""

import pytest

from tests.worlds.kinds import aws, azure, cloud, gcp, world

__all__ = ["aws", "azure", "cloud", "gcp", "wire", "world"]

#: Where every call of a store is shown over the SDK's own protocol. What builds on these calls is
#: shown without connections, which take most of the time.
_ON_THE_WIRE = frozenset({"keys", "kms", "runs"})


@pytest.fixture
def wire(request: pytest.FixtureRequest) -> bool:
    """Say whether the clients of this file connect."""
    return request.path.stem.removeprefix("test_contract_") in _ON_THE_WIRE
