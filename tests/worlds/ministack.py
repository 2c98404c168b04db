"""The local AWS that the demonstration runs, as a fixture: one for each test process.

Import it in a folder's conftest. State stays between tests: give every
function, secret and bucket a name of its own, or call ``local_aws.reset()`` first.
"""

from collections.abc import Iterator

import pytest

from infra.local.aws.ministack import LocalAws

__all__ = ["LocalAws", "local_aws"]


@pytest.fixture(scope="session")
def local_aws() -> Iterator[LocalAws]:
    """Give a running local AWS in which functions see their own bundle and no more."""
    with LocalAws() as aws:
        yield aws
