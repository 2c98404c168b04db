"""What the tests of Terraform share."""

from collections.abc import Iterator

import pytest

from tests.infra.deployed import PROVIDERS


@pytest.fixture(scope="session", autouse=True)
def _providers() -> Iterator[None]:
    """End the providers that some test started."""
    yield
    PROVIDERS.stop()
